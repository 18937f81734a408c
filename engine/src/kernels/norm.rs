//! Norms, with what follows them in the same pass.

use rayon::prelude::*;

use super::level::per_level;

/// Holds numbers per sequence, for rows of several sequences one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Modulation<'a> {
    /// `[sequences, stride]`.
    pub values: &'a [f32],
    /// Numbers per sequence.
    pub stride: usize,
    /// The sequence of every row.
    pub owners: &'a [u32],
}

impl<'a> Modulation<'a> {
    /// Returns the part with this index, `width` numbers, for a row.
    ///
    /// # Panics
    /// When the row or part is not there.
    #[inline(always)]
    pub fn part(&self, row: usize, part: usize, width: usize) -> &'a [f32] {
        &self.values[self.owners[row] as usize * self.stride + part * width..][..width]
    }
}

/// Rows per task: enough that a task costs more than its start.
const TASK_NUMBERS: usize = 16 * 1024;

/// Computes `rms(x) · (1 + scale) + shift` per row, `rms` dividing by the root mean square.
///
/// `x` and `out` are `[rows, width]`; shift and scale are parts of the modulation.
///
/// # Panics
/// When a slice is not as long as the shapes say.
pub fn modulate(
    x: &[f32],
    width: usize,
    modulation: Modulation<'_>,
    (shift, scale): (usize, usize),
    eps: f32,
    out: &mut [f32],
) {
    assert_eq!(x.len(), out.len(), "a norm keeps the shape");
    let rows = (TASK_NUMBERS / width).max(1);
    let run = |(task, (x, out)): (usize, (&[f32], &mut [f32]))| {
        for (r, (x, out)) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).enumerate() {
            let row = task * rows + r;
            let shift = modulation.part(row, shift, width);
            let scale = modulation.part(row, scale, width);
            rms_row(x, eps, scale, 1.0, Some(shift), out);
        }
    };
    let size = rows * width;
    x.par_chunks(size).zip(out.par_chunks_mut(size)).enumerate().for_each(run);
}

/// Computes `rms(x) · weight` per row of `width` numbers.
///
/// # Panics
/// When a slice is not as long as the shapes say.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "a norm keeps the shape");
    let width = weight.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        rms_row(x, eps, weight, 0.0, None, out);
    }
}

per_level! {
    /// Computes `x / sqrt(mean(x²) + eps) · (scale + plus) + shift` for one row.
    fn rms_row(
        x: &[f32],
        eps: f32,
        scale: &[f32],
        plus: f32,
        shift: Option<&[f32]>,
        out: &mut [f32],
    ) {
        let factor = rms_factor(x, eps);
        let row = out.iter_mut().zip(x).zip(scale);
        if let Some(shift) = shift {
            for (((out, x), scale), shift) in row.zip(shift) {
                *out = x * factor * (scale + plus) + shift;
            }
        } else {
            for ((out, x), scale) in row {
                *out = x * factor * (scale + plus);
            }
        }
    }
}

/// Returns `1 / sqrt(mean(x²) + eps)`.
#[inline(always)]
pub(crate) fn rms_factor(x: &[f32], eps: f32) -> f32 {
    // Sixteen sums side by side: the order is fixed by the width, and the compiler may vectorise.
    let mut sums = [0f32; 16];
    let chunks = x.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().map(|x| x * x).sum();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x * x;
        }
    }
    let mean = (sums.iter().sum::<f32>() + rest) / x.len() as f32;
    1.0 / (mean + eps).sqrt()
}
