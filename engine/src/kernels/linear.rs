//! Linear layers: rows of activations times packed weights, with what follows.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::_MM_HINT_T0;

use half::bf16;
use rayon::prelude::*;

use super::element::Element;
use super::elementwise::{Activation, narrow_bf16};
use super::level::Level;
use super::norm::Modulation;
use super::panels::{Held, Kind, Panels};
use super::product::{Dispatch, Finish, Source, Sums, product, write_line};
use super::registers::Registers;
use super::scratch::Scratch;
use super::shared::Shared;
#[cfg(target_arch = "x86_64")]
use super::shared::expect;

/// Activations that a product reads.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// In f32; rounded where the weights are bf16.
    F32(&'a [f32]),
    /// In bf16, for weights that are bf16 too.
    Bf16(&'a [bf16]),
}

impl Input<'_> {
    /// Returns how many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::Bf16(x) => x.len(),
        }
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Says what a layer does with its sums: `residual + gate · activation(sum + bias)`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Added to every row.
    pub bias: Option<&'a [f32]>,
    /// Applied to what is then there.
    pub activation: Activation,
    /// Added at the end, `[rows, outputs]`.
    pub residual: Option<&'a [f32]>,
    /// Multiplied before the residual is added: a part of a modulation; none is 1.
    pub gate: Option<(Modulation<'a>, usize)>,
    /// Whether the first half of every panel's columns are gates and the second half the values that
    /// belong to them (see [`paired_row`]): `activation(gate) · value`, half as many outputs.
    pub is_paired: bool,
}

/// The most columns of a panel at any level.
pub(crate) const MOST_COLUMNS: usize = 48;

/// Writes the sums of a linear layer.
struct Writer<'a, O> {
    epilogue: Epilogue<'a>,
    /// Numbers of a row of the output.
    width: usize,
    out: Shared<'a, O>,
}

impl<O: Element> Finish for Writer<'_, O> {
    #[inline(always)]
    unsafe fn finish<T: Element, R: Registers<T>>(&self, sums: &Sums<'_>) {
        // Whole panels have a length that the compiler knows.
        if let Ok(values) = <&[f32; 32]>::try_from(sums.values) {
            let mut line = *values;
            // SAFETY: passed on from the caller.
            unsafe { self.write::<T, R>(sums, &mut line) };
        } else if let Ok(values) = <&[f32; 16]>::try_from(sums.values) {
            let mut line = *values;
            // SAFETY: passed on from the caller.
            unsafe { self.write::<T, R>(sums, &mut line) };
        } else {
            let mut line = [0f32; MOST_COLUMNS];
            let line = &mut line[..sums.values.len()];
            line.copy_from_slice(sums.values);
            // SAFETY: passed on from the caller.
            unsafe { self.write::<T, R>(sums, line) };
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn expect(&self, row: usize, column: usize, columns: usize) {
        let start = row * self.width;
        if self.epilogue.is_paired {
            self.out.expect(start + column / 2, columns / 2);
            return;
        }
        if let Some(residual) = self.epilogue.residual {
            expect::<_MM_HINT_T0, f32>(residual.as_ptr().wrapping_add(start + column), columns);
        }
        self.out.expect(start + column, columns);
    }
}

impl<O: Element> Writer<'_, O> {
    /// Finishes a line of sums and writes it.
    ///
    /// # Safety
    /// The processor must have the instruction set of `R`.
    #[inline(always)]
    unsafe fn write<T: Element, R: Registers<T>>(&self, sums: &Sums<'_>, line: &mut [f32]) {
        let Epilogue { bias, activation, residual, gate, is_paired } = self.epilogue;
        if let Some(bias) = bias {
            // SAFETY: passed on from the caller.
            unsafe { R::add(line, &bias[sums.column..][..line.len()]) };
        }
        if is_paired {
            let half = line.len() / 2;
            let (gates, values) = line.split_at_mut(half);
            // SAFETY: passed on from the caller.
            unsafe { R::bend(activation, gates) };
            // SAFETY: every pair of row and panel is finished once, and writes its own part.
            let out = unsafe { self.out.part(sums.row * self.width + sums.column / 2, half) };
            for (gate, value) in gates.iter_mut().zip(values) {
                *gate *= *value;
            }
            // SAFETY: passed on from the caller.
            unsafe { write_line::<T, R, O>(gates, out) };
            return;
        }
        // SAFETY: passed on from the caller.
        unsafe { R::bend(activation, line) };
        if let Some((modulation, part)) = gate {
            let gate = &modulation.part(sums.row, part, self.width)[sums.column..][..line.len()];
            for (line, gate) in line.iter_mut().zip(gate) {
                *line *= gate;
            }
        }
        let start = sums.row * self.width + sums.column;
        if let Some(residual) = residual {
            // SAFETY: as above.
            unsafe { R::add(line, &residual[start..][..line.len()]) };
        }
        // SAFETY: as above.
        let out = unsafe { self.out.part(start, line.len()) };
        // SAFETY: passed on from the caller.
        unsafe { write_line::<T, R, O>(line, out) };
    }
}

/// Computes a linear layer over rows: `out = epilogue(x · weightᵀ)`.
///
/// `x` is `[rows, depth]`; `out` is `[rows, outputs]`, half as wide when the epilogue is paired.
///
/// # Panics
/// When a slice is not as long as the shapes say, or `x` is bf16 and the weights are not.
pub fn linear<O: Element>(
    x: Input<'_>,
    rows: usize,
    panels: &Panels,
    epilogue: Epilogue<'_>,
    out: &mut [O],
) {
    let depth = panels.depth();
    assert_eq!(x.len(), rows * depth, "the activations are as long as their shape says");
    match (panels.kind(), x) {
        (Kind::F32, Input::F32(x)) => run(x, rows, panels, epilogue, out),
        (Kind::Bf16, Input::F32(x)) => {
            run(&narrow_rows(x, rows, depth, panels.depth_full()), rows, panels, epilogue, out);
        }
        (Kind::Bf16, Input::Bf16(x)) => {
            let full = panels.depth_full();
            // AMX is several times as slow where its rows lie across two cache lines.
            let is_aligned = x.as_ptr().addr().is_multiple_of(64);
            if full == depth && (is_aligned || panels.level() < Level::AmxBf16) {
                run(x, rows, panels, epilogue, out);
                return;
            }
            let mut copy = Scratch::<bf16>::take(rows * full);
            copy.fill(bf16::ZERO);
            let lines = copy.chunks_exact_mut(full.max(1)).zip(x.chunks_exact(depth.max(1)));
            lines.for_each(|(copy, x)| copy[..depth].copy_from_slice(x));
            run(&copy, rows, panels, epilogue, out);
        }
        (Kind::F32, Input::Bf16(_)) => panic!("activations of bf16 need weights of bf16"),
    }
}

/// Rounds rows to bf16 and fills them up to `full` numbers with zeros.
pub(crate) fn narrow_rows(x: &[f32], rows: usize, depth: usize, full: usize) -> Scratch<bf16> {
    let mut out = Scratch::take(rows * full);
    if depth > 0 && depth == full {
        let size = 64 * 1024;
        out.par_chunks_mut(size).zip(x.par_chunks(size)).for_each(|(out, x)| narrow_bf16(x, out));
    } else if depth > 0 {
        out.chunks_exact_mut(full)
            .zip(x.chunks_exact(depth))
            .for_each(|(out, x)| narrow_bf16(x, out));
    }
    out
}

fn run<T: Held + Dispatch, O: Element>(
    x: &[T],
    rows: usize,
    panels: &Panels,
    epilogue: Epilogue<'_>,
    out: &mut [O],
) {
    let width = panels.outputs();
    if epilogue.is_paired {
        assert_eq!(width % panels.width(), 0, "gates and values fill whole panels");
    }
    let out_width = if epilogue.is_paired { width / 2 } else { width };
    assert_eq!(out.len(), rows * out_width, "the output holds every row");
    let fits = |slice: Option<&[f32]>, len: usize| slice.is_none_or(|slice| slice.len() == len);
    assert!(fits(epilogue.residual, rows * width), "the residual has the output's shape");
    assert!(fits(epilogue.bias, width), "there is one bias per output");
    // Whole tiles in every group but the last.
    let group_rows = 96;
    let depth = panels.depth_full();
    let source = Source {
        values: x,
        rows,
        group_rows,
        group_start: |group: usize| group * group_rows * depth,
        row_stride: depth,
        taps: &[0],
    };
    product(panels, &source, Writer { epilogue, width: out_width, out: Shared::new(out) });
}

/// Returns the row of a matrix of gates and then values that stands at `output` in panels for a
/// paired [`Epilogue`]; `width` is that of a panel.
pub fn paired_row(width: usize, outputs: usize, output: usize) -> usize {
    let half = width / 2;
    let (panel, column) = (output / width, output % width);
    if column < half { panel * half + column } else { outputs / 2 + panel * half + column - half }
}
