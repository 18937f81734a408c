//! Activations times packed weights, cut into tasks for the threads.

use rayon::prelude::*;

use super::elementwise::silu;
use super::level::Level;
use super::micro::{Isa, Portable, Rows};
use super::norm::Modulation;
use super::panels::Panels;

/// Says how rows of activations lie in groups (an image row is a group), and what each tap adds.
pub(crate) struct Source<'a, B> {
    pub(crate) values: &'a [f32],
    /// All rows, over all groups.
    pub(crate) rows: usize,
    /// Rows of a group; the last group may be shorter.
    pub(crate) group_rows: usize,
    /// Where a group's first row begins.
    pub(crate) group_start: B,
    pub(crate) row_stride: usize,
    pub(crate) taps: &'a [usize],
}

/// What an epilogue is given: the sums of one row with the columns of one panel.
pub(crate) struct Sums<'a> {
    /// The row, over all groups.
    pub(crate) row: usize,
    /// The first row of the task, which begins `out`.
    pub(crate) first_row: usize,
    /// The first column.
    pub(crate) column: usize,
    /// One number per column.
    pub(crate) values: &'a [f32],
}

/// Multiplies every row with every column and hands the sums, a row and panel at a time, to
/// `finish` together with the task's part of `out` (`out_width` numbers per row).
///
/// # Panics
/// When a row does not lie inside the source, or `out` is not `rows · out_width` long.
pub(crate) fn product<B, F>(
    panels: &Panels,
    source: &Source<'_, B>,
    out: &mut [f32],
    out_width: usize,
    finish: F,
) where
    B: Fn(usize) -> usize + Sync,
    F: Fn(Sums<'_>, &mut [f32]) + Sync,
{
    assert_eq!(out.len(), source.rows * out_width, "the output holds every row");
    assert_eq!(source.taps.len(), panels.taps(), "the taps are those of the weights");
    if source.rows == 0 || out_width == 0 {
        return;
    }
    let groups = source.rows.div_ceil(source.group_rows);
    // Two tasks per thread even out interruptions; a task's activations should stay in the cache.
    let wanted = groups.div_ceil(2 * rayon::current_num_threads());
    let task_groups = wanted.clamp(1, 1024usize.div_ceil(source.group_rows));
    let task_rows = task_groups * source.group_rows;
    let run = |(task, out): (usize, &mut [f32])| {
        let groups = task * task_groups..groups.min((task + 1) * task_groups);
        match panels.level() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: panels are only packed for a level that the processor was found to have.
            level if level >= Level::Avx512 => unsafe {
                avx512(panels, source, groups, out, &finish)
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Level::Avx2 => unsafe { avx2(panels, source, groups, out, &finish) },
            // SAFETY: the portable tile needs nothing of the processor.
            _ => unsafe { task_of::<Portable, _, _>(panels, source, groups, out, &finish) },
        }
    };
    if task_rows >= source.rows {
        run((0, out));
    } else {
        out.par_chunks_mut(task_rows * out_width).enumerate().for_each(run);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn avx512<B, F>(
    panels: &Panels,
    source: &Source<'_, B>,
    groups: std::ops::Range<usize>,
    out: &mut [f32],
    finish: &F,
) where
    B: Fn(usize) -> usize,
    F: Fn(Sums<'_>, &mut [f32]),
{
    // SAFETY: this function may only be called where its features are.
    unsafe { task_of::<super::micro::Avx512, B, F>(panels, source, groups, out, finish) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<B, F>(
    panels: &Panels,
    source: &Source<'_, B>,
    groups: std::ops::Range<usize>,
    out: &mut [f32],
    finish: &F,
) where
    B: Fn(usize) -> usize,
    F: Fn(Sums<'_>, &mut [f32]),
{
    // SAFETY: this function may only be called where its features are.
    unsafe { task_of::<super::micro::Avx2, B, F>(panels, source, groups, out, finish) }
}

/// Runs one task: each panel over all its rows, so that the panel is read from the near cache.
///
/// # Safety
/// The processor must have the instruction set `I`.
#[inline(always)]
unsafe fn task_of<I, B, F>(
    panels: &Panels,
    source: &Source<'_, B>,
    groups: std::ops::Range<usize>,
    out: &mut [f32],
    finish: &F,
) where
    I: Isa,
    B: Fn(usize) -> usize,
    F: Fn(Sums<'_>, &mut [f32]),
{
    // The widest tile of any level: 12 rows of 32 columns.
    let mut buffer = [0f32; 12 * 32];
    let first_row = groups.start * source.group_rows;
    for index in 0..panels.count() {
        let panel = panels.panel(index);
        let column = index * I::WIDTH;
        let columns = I::WIDTH.min(panels.outputs() - column);
        for group in groups.clone() {
            let group_row = group * source.group_rows;
            let count = source.group_rows.min(source.rows - group_row);
            let mut rows = Rows {
                values: source.values,
                first: (source.group_start)(group),
                row_stride: source.row_stride,
                taps: source.taps,
                depth: panels.depth(),
            };
            assert!(rows.fits(count), "a group lies inside its activations");
            // Tiles of nearly equal height: a last tile of one row would cost half a full one.
            let tiles = count.div_ceil(I::ROWS);
            let mut row = 0;
            for tile in 0..tiles {
                let height = (count - row).div_ceil(tiles - tile);
                // SAFETY: the caller promises the instruction set; the group fits (checked above),
                // a panel holds taps · depth · WIDTH numbers by construction, the buffer any tile.
                unsafe { I::tile(&rows, height, panel, &mut buffer) };
                for (r, sums) in buffer.chunks_exact(I::WIDTH).take(height).enumerate() {
                    let row = group_row + row + r;
                    finish(Sums { row, first_row, column, values: &sums[..columns] }, out);
                }
                row += height;
                rows.first += height * source.row_stride;
            }
        }
    }
}

/// Says what a linear layer does with its sums.
#[derive(Debug, Clone, Copy)]
pub enum Epilogue<'a> {
    /// Adds the bias, if there is one.
    Bias(Option<&'a [f32]>),
    /// Adds the bias and takes the SiLU.
    BiasSilu(&'a [f32]),
    /// Multiplies with a gate and adds to the residual `[rows, outputs]`.
    GatedResidual {
        /// What is added to.
        residual: &'a [f32],
        /// The gate, a part of a modulation; `None` is 1.
        gate: Option<(Modulation<'a>, usize)>,
    },
    /// The first half of every panel's columns are gates, the second values: SiLU(gate) · value.
    SwiGlu,
}

/// Computes a linear layer over rows: `out = epilogue(x · weightᵀ)`.
///
/// `x` is `[rows, depth]`; `out` is `[rows, outputs]`, or `[rows, outputs / 2]` after
/// [`Epilogue::SwiGlu`], whose panels must hold, for every panel width, half a panel of gates and
/// then the values that belong to them (see [`swiglu_row`]).
///
/// # Panics
/// When a slice is not as long as the shapes say.
pub fn linear(x: &[f32], rows: usize, panels: &Panels, epilogue: Epilogue<'_>, out: &mut [f32]) {
    assert_eq!(x.len(), rows * panels.depth(), "the activations are as long as their shape says");
    let width = panels.outputs();
    let group_rows = rows.div_ceil(2 * rayon::current_num_threads()).max(24);
    let depth = panels.depth();
    let source = Source {
        values: x,
        rows,
        group_rows,
        group_start: |group: usize| group * group_rows * depth,
        row_stride: depth,
        taps: &[0],
    };
    match epilogue {
        Epilogue::Bias(None) => product(panels, &source, out, width, |sums, out| {
            place(&sums, width, out).copy_from_slice(sums.values);
        }),
        Epilogue::Bias(Some(bias)) => product(panels, &source, out, width, |sums, out| {
            let bias = &bias[sums.column..][..sums.values.len()];
            for ((out, sum), bias) in place(&sums, width, out).iter_mut().zip(sums.values).zip(bias)
            {
                *out = sum + bias;
            }
        }),
        Epilogue::BiasSilu(bias) => product(panels, &source, out, width, |sums, out| {
            let bias = &bias[sums.column..][..sums.values.len()];
            for ((out, sum), bias) in place(&sums, width, out).iter_mut().zip(sums.values).zip(bias)
            {
                *out = silu(sum + bias);
            }
        }),
        Epilogue::GatedResidual { residual, gate } => {
            assert_eq!(residual.len(), rows * width, "the residual has the output's shape");
            product(panels, &source, out, width, |sums, out| {
                let residual = &residual[sums.row * width + sums.column..][..sums.values.len()];
                let out = place(&sums, width, out).iter_mut().zip(sums.values).zip(residual);
                if let Some((modulation, part)) = gate {
                    let gate = &modulation.part(sums.row, part, width)[sums.column..];
                    for (((out, sum), residual), gate) in out.zip(gate) {
                        *out = residual + gate * sum;
                    }
                } else {
                    for ((out, sum), residual) in out {
                        *out = residual + sum;
                    }
                }
            });
        }
        Epilogue::SwiGlu => {
            let half = panels.level().panel_width() / 2;
            assert_eq!(width % (2 * half), 0, "gates and values fill whole panels");
            let width = width / 2;
            product(panels, &source, out, width, |sums, out| {
                let start = (sums.row - sums.first_row) * width + sums.column / 2;
                let (gates, values) = sums.values.split_at(half);
                for ((out, gate), value) in out[start..][..half].iter_mut().zip(gates).zip(values) {
                    *out = silu(*gate) * value;
                }
            });
        }
    }
}

/// Returns the row of a matrix of gates and then values that stands at `output` in panels for
/// [`Epilogue::SwiGlu`].
pub fn swiglu_row(level: Level, outputs: usize, output: usize) -> usize {
    let half = level.panel_width() / 2;
    let (panel, column) = (output / (2 * half), output % (2 * half));
    if column < half { panel * half + column } else { outputs / 2 + panel * half + column - half }
}

#[inline(always)]
fn place<'a>(sums: &Sums<'_>, width: usize, out: &'a mut [f32]) -> &'a mut [f32] {
    &mut out[(sums.row - sums.first_row) * width + sums.column..][..sums.values.len()]
}
