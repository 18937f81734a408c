//! Functions of one number, written so that the compiler turns a loop over them into vectors.

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

/// Returns the tanh approximation of x · Φ(x); NaN stays NaN.
///
/// # Source
/// PyTorch's `gelu(approximate="tanh")`.
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> f32 {
    // √(2 / π)
    const FACTOR: f32 = 0.797_884_6;
    0.5 * x * (1.0 + tanh(FACTOR * (x + 0.044_715 * x * x * x)))
}
