//! How fast the processor multiplies whole numbers at best.

use std::time::Instant;

use super::isa::{Isa, with_isa};
use super::simd::Simd;
use crate::kernels::level::Level;
use crate::kernels::team::Team;

/// Sums that are built up side by side: enough that none waits for the one before.
pub(super) const CHAINS: usize = 12;
/// Rounds of a measured stretch; a round is two lines against four activations for every sum.
const ROUNDS: usize = 4000;
/// Stretches of which the fastest counts.
const STRETCHES: usize = 30;

/// Measures how many multiplications and additions of 8-bit numbers a team does in a second at
/// best: everything stands in registers or in the nearest cache, and nothing is done with the sums.
pub fn matrix_rate(level: Level, threads: usize) -> f64 {
    let mut team = Team::gather(threads);
    let threads = team.threads();
    let mut best = f64::INFINITY;
    for _ in 0..STRETCHES {
        let start = Instant::now();
        team.run(threads, &|_| {
            // SAFETY: levels are those of this processor.
            with_isa!(level, stretch());
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    // 64 products and 64 sums a line.
    (128 * 2 * CHAINS * ROUNDS * threads) as f64 / best
}

/// Multiplies for a while.
///
/// # Safety
/// The processor must have the instruction set.
unsafe fn stretch<I: Isa>() {
    let lines = std::hint::black_box([[3_u8; 64]; 2]);
    let x = std::hint::black_box([1_i8; 4 * CHAINS]);
    // SAFETY: passed on from the caller; both arrays are as long as the function says.
    std::hint::black_box(unsafe { I::multiply(lines.as_ptr().cast(), x.as_ptr(), ROUNDS) });
}

/// Adds products of two lines with the activations at `x` to a sum for every four of them.
///
/// # Safety
/// The processor must have the instruction set; `lines` must have 128 bytes, `x` four for every
/// chain.
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd>(lines: *const u8, x: *const i8, rounds: usize) -> f32 {
    // SAFETY: the caller promises all of this.
    unsafe {
        let (first, second) = (S::line(lines), S::line(lines.add(64)));
        let mut sums = [S::no_ints(); CHAINS];
        for _ in 0..rounds {
            for (chain, sum) in sums.iter_mut().enumerate() {
                *sum = S::dot(*sum, first, x.add(4 * chain));
            }
            for (chain, sum) in sums.iter_mut().enumerate() {
                *sum = S::dot(*sum, second, x.add(4 * chain));
            }
        }
        let mut all = S::splat(0.0);
        for sum in sums {
            all = S::mul_add(S::to_floats(sum), S::splat(1.0), all);
        }
        let mut out = [0.0; 16];
        S::store(out.as_mut_ptr(), all);
        out[0]
    }
}
