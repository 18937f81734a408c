//! 3×3 convolutions with fewer products: Winograd's F(2×2, 3×3).
//!
//! Four outputs that stand in a square take sixteen products per pair of channels where the plain way
//! takes thirty-six, for some additions before and behind. The weights take 16/9 of the memory.
//!
//! # Source
//! Lavin and Gray, “Fast Algorithms for Convolutional Neural Networks”, section 4.1.

use half::bf16;
use rayon::prelude::*;

use super::border::Part;
use super::conv::{After, ConvShape};
use super::element::Element;
use super::level::Level;
use super::micro::{Isa, Portable, Rows};
use super::panels::{Held, Kind, Panels};
use super::registers::Registers;
use super::scratch::Scratch;
use super::shared::Shared;
use crate::protocol::Precision;

/// The most squares of four outputs that are worked on together: their transformed inputs fit into a
/// core's cache, and all weights are read once for them.
const SQUARES: usize = 72;

/// Transforms a kernel: `G·g·Gᵗ` of the paper, row by row.
#[inline]
fn transform_kernel(kernel: &[f32; 9]) -> [f32; 16] {
    let along = |[a, b, c]: [f32; 3]| [a, 0.5 * (a + b + c), 0.5 * (a - b + c), c];
    let row = |row: usize| along([kernel[3 * row], kernel[3 * row + 1], kernel[3 * row + 2]]);
    let rows = [row(0), row(1), row(2)];
    let mut out = [0.0; 16];
    for column in 0..4 {
        let down = along([rows[0][column], rows[1][column], rows[2][column]]);
        for (place, value) in down.into_iter().enumerate() {
            out[4 * place + column] = value;
        }
    }
    out
}

/// Holds the transformed weights, one matrix for each of sixteen places.
#[derive(Debug, Clone)]
pub(super) struct Winograd {
    places: Vec<Panels>,
}

impl Winograd {
    /// Transforms and packs weights `[outputs, inputs, 3, 3]`.
    pub(super) fn new(
        level: Level,
        precision: Precision,
        [inputs, outputs]: [usize; 2],
        weight: &[f32],
    ) -> Self {
        // All sixteen at once, `[place, output, input]`, so that the kernels are read only once.
        let size = outputs * inputs;
        let mut places = vec![0f32; 16 * size];
        let out = Shared::new(&mut places);
        weight.par_chunks(9 * inputs).enumerate().for_each(|(output, weight)| {
            // SAFETY: the row of an output in each place is written by the task of that output only.
            let mut rows: [&mut [f32]; 16] = std::array::from_fn(|place| unsafe {
                out.part(place * size + output * inputs, inputs)
            });
            for (input, kernel) in weight.as_chunks::<9>().0.iter().enumerate() {
                for (row, value) in rows.iter_mut().zip(transform_kernel(kernel)) {
                    row[input] = value;
                }
            }
        });
        let pack = |weight: &[f32]| {
            Panels::pack_as(level, precision, [outputs, 1, inputs], |o, _, c| {
                weight[o * inputs + c]
            })
        };
        Self { places: places.chunks(size.max(1)).map(pack).collect() }
    }

    /// Returns the packed matrices.
    pub(super) fn panels(&self) -> &[Panels] {
        &self.places
    }

    /// Returns the border that the copy of a picture must have: above, below, left, right.
    pub(super) fn border(shape: ConvShape) -> [usize; 4] {
        [1, 1 + shape.height % 2, 1, 1 + shape.width % 2]
    }

    /// Convolves a picture in its border of zeros.
    pub(super) fn run<T: Held, O: Element>(
        &self,
        copy: &[f32],
        part: Part,
        after: After<'_>,
        out: &Shared<'_, O>,
    ) {
        let shape = part.shape();
        let [top, bottom, left, right] = Self::border(shape);
        let size = [shape.height + top + bottom, shape.width + left + right];
        assert_eq!(
            copy.len(),
            shape.images * size[0] * size[1] * shape.channels,
            "the copy has its border"
        );
        let squares = [shape.height.div_ceil(2), shape.width.div_ceil(2)];
        let all = shape.images * squares[0] * squares[1];
        // As many tasks for every thread: the last of a few would keep all others waiting.
        let tasks = all.div_ceil(SQUARES).next_multiple_of(rayon::current_num_threads());
        let most = all.div_ceil(tasks.max(1)).max(1);
        (0..all.div_ceil(most)).into_par_iter().with_max_len(1).for_each(|task| {
            let range = task * most..all.min((task + 1) * most);
            let task =
                Task { places: &self.places, copy, part, shape, size, squares, range, after };
            let level = self.places[0].level();
            match (T::KIND, level) {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: panels are only packed for a level that the processor was found to have.
                (Kind::Bf16, _) => unsafe { avx512_bf16(&task, out) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                (_, level) if level >= Level::Avx512 => unsafe { avx512(&task, out) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                (_, Level::Avx2) => unsafe { avx2(&task, out) },
                // SAFETY: the portable tiles need nothing of the processor.
                _ => unsafe { task_of::<f32, Portable, O>(&task, out) },
            }
        });
    }
}

/// Some squares of outputs.
struct Task<'a> {
    places: &'a [Panels],
    copy: &'a [f32],
    part: Part,
    shape: ConvShape,
    /// Height and width of the copy.
    size: [usize; 2],
    /// Squares of an image, down and across.
    squares: [usize; 2],
    range: std::ops::Range<usize>,
    after: After<'a>,
}

/// Defines a task compiled for an instruction set.
#[cfg(target_arch = "x86_64")]
macro_rules! task_for {
    ($name:ident, $element:ty, $isa:ty, $features:literal) => {
        #[target_feature(enable = $features)]
        fn $name<O: Element>(task: &Task<'_>, out: &Shared<'_, O>) {
            // SAFETY: this function may only be called where its features are.
            unsafe { task_of::<$element, $isa, O>(task, out) }
        }
    };
}
#[cfg(target_arch = "x86_64")]
task_for!(avx2, f32, super::micro::Avx2, "avx2,fma,f16c");
#[cfg(target_arch = "x86_64")]
task_for!(avx512, f32, super::micro::Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c");
#[cfg(target_arch = "x86_64")]
task_for!(
    avx512_bf16,
    bf16,
    super::micro::Avx512Bf16,
    "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"
);

/// Runs a task.
///
/// # Safety
/// The processor must have the instruction set `I`.
#[inline(always)]
unsafe fn task_of<T: Held, I: Isa<T>, O: Element>(task: &Task<'_>, out: &Shared<'_, O>) {
    let Task { places, shape, squares, .. } = task;
    let first = &places[0];
    let (depth, outputs) = (first.depth_full(), first.outputs());
    let (width, registers) = (first.width(), first.registers());
    let count = task.range.len();
    // [place, square, channel]
    let mut inputs = Scratch::<T>::take(16 * count * depth);
    for (index, square) in task.range.clone().enumerate() {
        // SAFETY: passed on from the caller.
        unsafe { transform::<T, I::Registers>(task, square, index, count, depth, &mut inputs) };
    }
    // [place, square, column of a panel]
    let mut sums = Scratch::<f32>::take(16 * count * width);
    for panel in 0..first.count() {
        for (place, panels) in places.iter().enumerate() {
            let weights = panels.panel::<T>(panel);
            let mut done = 0;
            while done < count {
                let tile = I::next(done, count, registers);
                let rows = Rows {
                    values: &inputs[..],
                    first: (place * count + tile.start) * depth,
                    row_stride: depth,
                    taps: &[0],
                    depth,
                };
                let sums = &mut sums[(place * count + tile.start) * width..][..tile.len() * width];
                // SAFETY: the inputs hold all squares, the panel `depth · width` numbers, the sums
                // the tile's rows.
                unsafe { I::tile(&rows, tile.len(), registers, weights, sums, false) };
                done = tile.end;
            }
        }
        let column = panel * width;
        let columns = width.min(outputs - column);
        for (index, square) in task.range.clone().enumerate() {
            let (image, at) =
                (square / (squares[0] * squares[1]), square % (squares[0] * squares[1]));
            let (y, x) = (2 * (at / squares[1]), 2 * (at % squares[1]));
            let mut lines = [[0f32; super::linear::MOST_COLUMNS]; 4];
            for start in (0..width).step_by(16) {
                // Panels are 16 or 32 wide, so that sixteen are always there.
                let place = |place: usize| -> &[f32; 16] {
                    let from = (place * count + index) * width + start;
                    sums[from..].first_chunk::<16>().unwrap_or(&[0.0; 16])
                };
                let square = gather(place);
                for (line, part) in lines.iter_mut().zip(square) {
                    line[start..][..16].copy_from_slice(&part);
                }
            }
            for (cell, line) in lines.iter().enumerate() {
                let (y, x) = (y + cell / 2, x + cell % 2);
                if y < shape.height && x < shape.width {
                    let (image, y) = (task.part.images[0] + image, task.part.rows[0] + y);
                    let at = (image * task.part.whole.height + y) * shape.width + x;
                    let place = [image, at, column, outputs];
                    // SAFETY: passed on from the caller.
                    unsafe {
                        task.after.finish::<T, I::Registers, O>(&line[..columns], place, out)
                    };
                }
            }
        }
    }
}

/// Computes `Bᵀ d B` of the paper for the window of a square, sixteen channels at a time.
///
/// # Safety
/// The processor must have the instruction set of `R`.
#[expect(clippy::needless_range_loop, reason = "four arrays are read lane by lane")]
#[inline(always)]
unsafe fn transform<T: Held, R: Registers<T>>(
    task: &Task<'_>,
    square: usize,
    index: usize,
    count: usize,
    depth: usize,
    inputs: &mut [T],
) {
    let channels = task.shape.channels;
    let per_image = task.squares[0] * task.squares[1];
    let (image, at) = (square / per_image, square % per_image);
    let (y, x) = (2 * (at / task.squares[1]), 2 * (at % task.squares[1]));
    let line = task.size[1] * channels;
    let corner = (image * task.size[0] + y) * line + x * channels;
    for start in (0..depth).step_by(16) {
        let len = 16.min(channels.saturating_sub(start));
        let load = |place: usize| -> [f32; 16] {
            let from = corner + place / 4 * line + place % 4 * channels + start;
            match task.copy[from..].first_chunk::<16>() {
                Some(numbers) if len == 16 => *numbers,
                _ => {
                    let mut numbers = [0f32; 16];
                    numbers[..len].copy_from_slice(&task.copy[from..][..len]);
                    numbers
                }
            }
        };
        let window: [[f32; 16]; 16] = std::array::from_fn(load);
        // Columns first, then rows; each is (0-2, 1+2, 2-1, 1-3).
        let mut half = [[0f32; 16]; 16];
        for row in 0..4 {
            let at = |column: usize| &window[4 * row + column];
            for lane in 0..16 {
                half[4 * row][lane] = at(0)[lane] - at(2)[lane];
                half[4 * row + 1][lane] = at(1)[lane] + at(2)[lane];
                half[4 * row + 2][lane] = at(2)[lane] - at(1)[lane];
                half[4 * row + 3][lane] = at(1)[lane] - at(3)[lane];
            }
        }
        for column in 0..4 {
            let at = |row: usize| &half[4 * row + column];
            let mut rows = [[0f32; 16]; 4];
            for lane in 0..16 {
                rows[0][lane] = at(0)[lane] - at(2)[lane];
                rows[1][lane] = at(1)[lane] + at(2)[lane];
                rows[2][lane] = at(2)[lane] - at(1)[lane];
                rows[3][lane] = at(1)[lane] - at(3)[lane];
            }
            for (row, numbers) in rows.iter().enumerate() {
                let place = 4 * row + column;
                let out = &mut inputs[(place * count + index) * depth + start..];
                match out.first_chunk_mut::<16>() {
                    // SAFETY: passed on from the caller.
                    Some(out) if depth - start >= 16 => unsafe { R::narrow(numbers, out) },
                    _ => {
                        for (out, number) in out[..depth - start].iter_mut().zip(numbers) {
                            *out = T::from_f32(*number);
                        }
                    }
                }
            }
        }
    }
}

/// Computes `Aᵀ m A` of the paper: the four outputs of a square from its sixteen sums.
#[inline(always)]
fn gather<'a>(place: impl Fn(usize) -> &'a [f32; 16]) -> [[f32; 16]; 4] {
    let mut half = [[0f32; 16]; 8];
    for column in 0..4 {
        let (a, b, c, d) =
            (place(column), place(4 + column), place(8 + column), place(12 + column));
        let (upper, lower) = half.split_at_mut(4);
        let numbers = upper[column].iter_mut().zip(&mut lower[column]);
        for ((upper, lower), (((a, b), c), d)) in numbers.zip(a.iter().zip(b).zip(c).zip(d)) {
            *upper = a + b + c;
            *lower = b - c - d;
        }
    }
    let mut out = [[0f32; 16]; 4];
    for (row, half) in half.as_chunks::<4>().0.iter().enumerate() {
        let [a, b, c, d] = half;
        for lane in 0..16 {
            out[2 * row][lane] = a[lane] + b[lane] + c[lane];
            out[2 * row + 1][lane] = b[lane] - c[lane] - d[lane];
        }
    }
    out
}
