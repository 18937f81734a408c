//! Functions of one number, written so that the compiler turns a loop over them into vectors.

use rayon::prelude::*;

use super::element::Element;
use super::level::per_level;

/// What [`Activation::LeakyRelu`] leaves of what is below 0.
pub(crate) const LEAK: f32 = 0.2;

/// Names a function that stands behind a product or a norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Activation {
    /// x itself.
    #[default]
    None,
    /// x · sigmoid(x).
    Silu,
    /// x · Φ(x), Φ being the normal distribution's.
    Gelu,
    /// GELU by its approximation with the hyperbolic tangent.
    GeluTanh,
    /// x · sigmoid(1.702 x), as CLIP has it.
    QuickGelu,
    /// x where positive, else 0.
    Relu,
    /// x where positive, else 0.2 x, as ESRGAN has it.
    LeakyRelu,
}

impl Activation {
    /// Applies the function to every number.
    #[inline(always)]
    pub(crate) fn apply(self, values: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Silu => each(values, silu),
            Self::Gelu => each(values, gelu),
            Self::GeluTanh => each(values, gelu_tanh),
            Self::QuickGelu => each(values, |v| v * sigmoid(1.702 * v)),
            Self::Relu => each(values, |v| v.max(0.0)),
            Self::LeakyRelu => each(values, |v| if v < 0.0 { LEAK * v } else { v }),
        }
    }
}

/// Replaces numbers, sixteen at a time: a loop of a length that the compiler knows becomes vectors
/// also where there are only sixteen.
#[inline(always)]
fn each(values: &mut [f32], f: impl Fn(f32) -> f32) {
    let (chunks, rest) = values.as_chunks_mut::<16>();
    for chunk in chunks {
        for value in chunk {
            *value = f(*value);
        }
    }
    for value in rest {
        *value = f(*value);
    }
}

/// Returns e^x with a relative error below 2e-7; NaN stays NaN.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Beyond these the result is not a normal number. Comparisons are written so that NaN passes.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    // Adding 1.5·2^23 rounds to an integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, the first with few bits so that n times it is exact (Cody and Waite).
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    // Minimax polynomial of e^r - 1 - r on ±ln 2 / 2 (Cephes, expf).
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let y = p * r * r + r + 1.0;
    let bits = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    y * f32::from_bits(bits)
}

/// Adding 1.5·2^23 rounds to an integer and leaves it in the low bits.
pub(crate) const EXP2_ROUND: f32 = 12_582_912.0;

/// Polynomial of 2^x on ±1/2, the highest power first, off by at most 8e-5: by least squares of the
/// relative error at Chebyshev nodes.
pub(crate) const EXP2_COARSE: [f32; 4] = [5.508_868_4e-2, 0.242_604_05, 0.693_276_2, 0.999_928_95];

/// The same, off by at most 2e-9 before rounding.
pub(crate) const EXP2_FINE: [f32; 7] = [
    1.533_757_7e-4,
    1.339_986e-3,
    9.618_52e-3,
    5.550_329e-2,
    0.240_226_45,
    std::f32::consts::LN_2,
    1.0,
];

/// Returns 2^x for x up to 0: to 2e-7, or to 8e-5 where the result is rounded to bf16 anyway. What is
/// below 2^-126 ends there, which is nothing beside a largest weight of 1.
#[inline(always)]
pub(crate) fn exp2(x: f32, is_coarse: bool) -> f32 {
    let x = if x < -126.0 { -126.0 } else { x };
    let shifted = x + EXP2_ROUND;
    let r = x - (shifted - EXP2_ROUND);
    let polynomial = |factors: &[f32]| factors.iter().fold(0.0, |p, factor| p * r + factor);
    let p = if is_coarse { polynomial(&EXP2_COARSE) } else { polynomial(&EXP2_FINE) };
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// Returns 1 / (1 + e^-x).
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Returns x · sigmoid(x); NaN stays NaN.
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// Returns tanh(x) from [`exp`]; NaN stays NaN.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    // Small numbers would lose their digits in the difference from 1.
    let square = x * x;
    let near = x * (1.0 - square * (1.0 / 3.0 - square * (2.0 / 15.0 - square * (17.0 / 315.0))));
    let far = 1.0 - 2.0 / (exp(2.0 * x) + 1.0);
    if x.abs() < 0.12 { near } else { far }
}

/// What stands beside z in the approximation of the error function.
pub(crate) const ERF_NEAR: f32 = 0.327_591_1;

/// Its polynomial, the highest power first.
pub(crate) const ERF: [f32; 5] =
    [1.061_405_4, -1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6];

/// Returns x · Φ(x) with an absolute error below 2e-7 · max(1, |x|).
///
/// # Source
/// The error function by Abramowitz and Stegun, 7.1.26.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + ERF_NEAR * z);
    let p = ERF.iter().fold(0.0, |p, factor| p * t + factor) * t;
    // Half the tail beyond |x|, so that small results are not differences of large numbers.
    let tail = 0.5 * p * exp(-z * z);
    if x < 0.0 { x * tail } else { x - x * tail }
}

/// Returns GELU by its approximation with the hyperbolic tangent.
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> f32 {
    // (1 + tanh u) / 2 is sigmoid(2u).
    x * sigmoid(2.0 * 0.797_884_6 * (x + 0.044_715 * x * x * x))
}

per_level! {
    /// Rounds a row to bf16; what the output has more is zero.
    pub(crate) fn narrow_bf16(x: &[f32], out: &mut [half::bf16]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = Element::from_f32(*x);
        }
        out[x.len()..].fill(half::bf16::ZERO);
    }
}

per_level! {
    /// Widens numbers of bf16.
    pub(crate) fn widen_bf16(x: &[half::bf16], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = Element::to_f32(*x);
        }
    }
}

/// Puts rows of `first` and of `second` numbers side by side.
///
/// # Panics
/// When a slice is not as long as the shapes say.
pub fn join_rows(a: &[f32], first: usize, b: &[f32], second: usize, out: &mut [f32]) {
    assert!(a.len() * second == b.len() * first, "both have the same rows");
    assert_eq!(out.len(), a.len() + b.len(), "the output holds both");
    let rows = 64;
    let parts = a.par_chunks(rows * first).zip(b.par_chunks(rows * second));
    out.par_chunks_mut(rows * (first + second)).zip(parts).for_each(|(out, (a, b))| {
        let rows = a.chunks_exact(first).zip(b.chunks_exact(second));
        for (out, (a, b)) in out.chunks_exact_mut(first + second).zip(rows) {
            out[..first].copy_from_slice(a);
            out[first..].copy_from_slice(b);
        }
    });
}
