//! Every kernel against plain loops in f64, over odd shapes and at every level of this processor.

use super::*;

mod attention;
mod conv;
mod linear;
mod norm;

/// Numbers that look random and are the same everywhere, in -1..1.
pub(super) fn noise(len: usize, salt: u64) -> Vec<f32> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

#[track_caller]
pub(super) fn assert_close(got: &[f32], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(*got) - want).abs();
        assert!(error <= tolerance * want.abs().max(1.0), "{what}: {index}: {got} for {want}");
    }
}

fn silu64(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn plain_product(x: &[f32], weight: &[f32], rows: usize, depth: usize, n: usize) -> Vec<f64> {
    let at = |r: usize, o: usize| {
        (0..depth).map(|k| f64::from(x[r * depth + k]) * f64::from(weight[o * depth + k])).sum()
    };
    (0..rows * n).map(|i| at(i / n, i % n)).collect()
}

/// Returns the ways of multiplying that a level has, each with how far a sum of `depth` products of
/// numbers up to 1 may be off.
fn ways(level: Level, depth: usize) -> Vec<(Precision, f64)> {
    let mut ways = vec![(Precision::Exact, 1e-5)];
    if Kind::of(level, Precision::Fast) == Kind::Bf16 {
        // Each factor is off by 2^-9 at most; such errors add up like a random walk, and four
        // times its length is never reached in the sums that are tried.
        ways.push((Precision::Fast, 4.0 * 2f64.powi(-8) * (depth as f64).sqrt()));
    }
    ways
}
