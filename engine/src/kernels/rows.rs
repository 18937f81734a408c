//! What a decoder does to rows between its matrices.

use super::elementwise::tanh;
use super::level::{Level, per_level};
use super::norm::rms_norm;
use super::quantized::Packed;
use super::quantized::activations::Parts;
use super::team::Team;

/// Widens the rows of a table with these numbers: `out` is `[rows, depth]`, each multiplied by
/// `factor`.
///
/// # Panics
/// When the table has no such row, or `out` is not as long.
pub fn look_up(
    team: &mut Team,
    level: Level,
    table: &Packed,
    rows: &[u32],
    factor: f32,
    out: &mut [f32],
) {
    let depth = table.depth();
    assert_eq!(out.len(), rows.len() * depth, "there is room for every row");
    let parts = Parts { start: out.as_mut_ptr() };
    team.run(rows.len(), &|index| {
        // SAFETY: the row lies within `out`, and no other chunk has it.
        let out = unsafe { parts.slice(index * depth, depth) };
        table.row(level, rows[index] as usize, out);
        if factor != 1.0 {
            out.iter_mut().for_each(|out| *out *= factor);
        }
    });
}

/// Adds `rms(h) · weight` to `x`, row by row.
///
/// # Panics
/// When the slices are not of one length, or not whole rows.
pub fn add_normed(team: &mut Team, h: &[f32], weight: &[f32], eps: f32, x: &mut [f32]) {
    assert_eq!(h.len(), x.len(), "every number is added to one");
    let width = weight.len();
    assert!(x.len().is_multiple_of(width), "rows are whole");
    let parts = Parts { start: x.as_mut_ptr() };
    team.run(x.len() / width, &|row| {
        // SAFETY: the row lies within `x`, and no other chunk has it.
        let x = unsafe { parts.slice(row * width, width) };
        let mut normed = vec![0.0; width];
        rms_norm(&h[row * width..][..width], weight, eps, &mut normed);
        for (x, normed) in x.iter_mut().zip(&normed) {
            *x += normed;
        }
    });
}

per_level! {
    /// Bends numbers so that none goes beyond `limit`.
    pub fn soften(x: &mut [f32], limit: f32) {
        x.iter_mut().for_each(|x| *x = tanh(*x / limit) * limit);
    }
}
