//! Products of activations with packed matrices, cut into chunks for a team.

use super::activations::{Activations, Parts};
use super::form::{BLOCK, Form, PANEL};
use super::formats;
use super::isa::{Isa, plain_rows, with_isa};
use super::packed::{Packed, STRETCH, with_format};
use crate::kernels::elementwise::{gelu_tanh, silu};
use crate::kernels::level::{Level, per_level};
use crate::kernels::team::Team;

/// Is a matrix with what is added to its products.
#[derive(Debug)]
pub struct Weights {
    /// The matrix `[outputs, depth]`.
    pub matrix: Packed,
    /// A number for each output, or nothing.
    pub bias: Option<Vec<f32>>,
}

/// Names a function that gates values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// x · sigmoid(x).
    Silu,
    /// The tanh approximation of GELU.
    GeluTanh,
}

/// Says what becomes of the products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// They are written.
    Set,
    /// They are added to what is there.
    Add,
}

/// Is a matrix in a region, and the column where its first output goes.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The matrix.
    pub weights: &'a Weights,
    /// The column of its first output.
    pub column: usize,
}

/// Multiplies rows with one matrix or several, all in one region: `out` is `[rows, stride]`.
///
/// A number has the same bits whatever rows, matrices and threads there are beside it.
///
/// # Panics
/// When a matrix is not as deep as the activations are wide, or its outputs do not lie within a row
/// of `out`.
pub fn multiply(
    team: &mut Team,
    x: &Activations,
    parts: &[Part<'_>],
    finish: Finish,
    out: &mut [f32],
    stride: usize,
) {
    assert_eq!(out.len(), x.rows() * stride, "the output holds every row");
    for part in parts {
        check(x, part.weights, stride, part.column);
    }
    let out = Parts { start: out.as_mut_ptr() };
    let chunks: Vec<Chunks> = parts.iter().map(|part| Chunks::of(team, x, part.weights)).collect();
    let total = chunks.iter().map(|chunks| chunks.count).sum();
    team.run(total, &|mut chunk| {
        for (part, chunks) in parts.iter().zip(&chunks) {
            if chunk < chunks.count {
                let out = Out { parts: out, stride, column: part.column, gate: None };
                let add = finish == Finish::Add;
                let task = Task { x, first: part.weights, second: None, out, adds: add };
                return task.run(chunks.panels(chunk));
            }
            chunk -= chunks.count;
        }
    });
}

/// Multiplies rows with two matrices and writes `gate(x · gatesᵀ) · (x · valuesᵀ)`: `[rows, outputs]`.
///
/// # Panics
/// When the matrices are not of one shape, or not as deep as the activations are wide, or `out` is
/// not as long as the shapes say.
pub fn multiply_gated(
    team: &mut Team,
    x: &Activations,
    [gates, values]: [&Weights; 2],
    gate: Gate,
    out: &mut [f32],
) {
    let stride = gates.matrix.outputs();
    assert_eq!(stride, values.matrix.outputs(), "every value has its gate");
    assert_eq!(out.len(), x.rows() * stride, "the output holds every row");
    check(x, gates, stride, 0);
    check(x, values, stride, 0);
    let out = Out { parts: Parts { start: out.as_mut_ptr() }, stride, column: 0, gate: Some(gate) };
    let chunks = Chunks::of(team, x, gates);
    let task = Task { x, first: gates, second: Some(values), out, adds: false };
    team.run(chunks.count, &|chunk| task.run(chunks.panels(chunk)));
}

fn check(x: &Activations, weights: &Weights, stride: usize, column: usize) {
    let matrix = &weights.matrix;
    assert_eq!(matrix.depth(), x.width(), "a matrix is as deep as its activations are wide");
    assert!(column + matrix.outputs() <= stride, "the outputs lie within a row");
    if let Some(bias) = &weights.bias {
        assert_eq!(bias.len(), matrix.outputs(), "every output has its bias");
    }
}

/// How a matrix's panels are shared out.
struct Chunks {
    panels: usize,
    each: usize,
    count: usize,
}

impl Chunks {
    fn of(team: &Team, x: &Activations, weights: &Weights) -> Self {
        let matrix = &weights.matrix;
        let panels = matrix.panels();
        // Fewer multiplications than this are done before a helper would have noticed.
        const LEAST: usize = 128 * 1024;
        // Larger chunks of weights would not stay in the near cache while the rows pass by.
        const MOST_BYTES: usize = 256 * 1024;
        let least = LEAST.div_ceil(PANEL * matrix.depth() * x.rows().max(1));
        let fair = panels.div_ceil(8 * team.threads());
        let most = (MOST_BYTES / matrix.panel_bytes()).max(1);
        let each = fair.min(most).max(least).max(1);
        Self { panels, each, count: panels.div_ceil(each) }
    }

    fn panels(&self, chunk: usize) -> std::ops::Range<usize> {
        chunk * self.each..self.panels.min((chunk + 1) * self.each)
    }
}

/// Where sums go.
#[derive(Debug, Clone, Copy)]
struct Out {
    parts: Parts<f32>,
    stride: usize,
    column: usize,
    gate: Option<Gate>,
}

/// What a thread is given.
struct Task<'a> {
    x: &'a Activations,
    first: &'a Weights,
    second: Option<&'a Weights>,
    out: Out,
    adds: bool,
}

/// The most rows of a tile at any level.
const MOST_ROWS: usize = 12;

impl Task<'_> {
    fn run(&self, panels: std::ops::Range<usize>) {
        let is_rounded =
            |weights: &Weights| weights.matrix.form().is_quantized() && self.x.is_rounded();
        if is_rounded(self.first) && self.second.is_none_or(is_rounded) {
            self.run_rounded(panels);
        } else {
            for panel in panels {
                self.run_plain(panel);
            }
        }
    }

    fn run_rounded(&self, panels: std::ops::Range<usize>) {
        let level = self.x.level();
        let mut first = [0.0; MOST_ROWS * PANEL];
        let mut second = [0.0; MOST_ROWS * PANEL];
        for (tile, x) in self.x.tiles() {
            for panel in panels.clone() {
                let blocks = self.x.width() / BLOCK;
                let product = |weights: &Weights, sums: &mut [f32; MOST_ROWS * PANEL]| {
                    let matrix = &weights.matrix;
                    let (form, place) = (matrix.form(), matrix.place(panel));
                    let sums = sums.as_mut_ptr();
                    // SAFETY: levels are those of this processor; the panel has as many blocks as
                    // the activations (checked by `check`), which the tile has too; no tile is
                    // higher than `sums`.
                    with_isa!(level, rounded_tile(form, place, blocks, x, tile.rows, sums));
                };
                product(self.first, &mut first);
                if let Some(values) = self.second {
                    product(values, &mut second);
                }
                self.finish(panel, tile.first_row, tile.rows, &mut first, &second);
            }
        }
    }

    /// Multiplies rows as they are with a panel that is widened a stretch at a time.
    fn run_plain(&self, panel: usize) {
        let rows = self.x.rows();
        let mut first = vec![0.0; rows * PANEL];
        self.plain_sums(self.first, panel, &mut first);
        let mut second = Vec::new();
        if let Some(values) = self.second {
            second.resize(rows * PANEL, 0.0);
            self.plain_sums(values, panel, &mut second);
        }
        self.finish(panel, 0, rows, &mut first, &second);
    }

    fn plain_sums(&self, weights: &Weights, panel: usize, sums: &mut [f32]) {
        let level = self.x.level();
        let (depth, rows, matrix) = (self.x.width(), self.x.rows(), &weights.matrix);
        let mut lines = [0.0; STRETCH * PANEL];
        for start in (0..depth).step_by(STRETCH) {
            let length = STRETCH.min(depth - start);
            let lines: *const f32 = if matrix.form() == Form::F32 {
                // SAFETY: the panel has `depth` lines of sixteen f32.
                unsafe { matrix.place(panel).low.cast::<f32>().add(start * PANEL) }
            } else {
                matrix.widen(level, panel, start, length, &mut lines);
                lines.as_ptr()
            };
            let x = &self.x.plain()[start..];
            let (x, sums, strides) = (x.as_ptr(), sums.as_mut_ptr(), [depth, PANEL]);
            // SAFETY: levels are those of this processor; `x` has `rows` rows of `depth` numbers
            // from `start` on, `lines` has `length` lines, `sums` a line for every row.
            with_isa!(level, plain_rows(x, lines, length, rows, sums, strides));
        }
    }

    /// Adds biases, gates, and writes the sums of some rows with a panel.
    fn finish(
        &self,
        panel: usize,
        first_row: usize,
        rows: usize,
        first: &mut [f32],
        second: &[f32],
    ) {
        let start = panel * PANEL;
        let columns = PANEL.min(self.first.matrix.outputs() - start);
        let bias = |weights: &Weights| {
            let mut line = [0.0; PANEL];
            if let Some(bias) = &weights.bias {
                line[..columns].copy_from_slice(&bias[start..][..columns]);
            }
            line
        };
        let (first_bias, second_bias) = (bias(self.first), self.second.map(bias));
        if let (Some(gate), Some(second_bias)) = (self.out.gate, second_bias) {
            gate_lines(gate, &mut first[..rows * PANEL], second, first_bias, second_bias);
        }
        for (row, sums) in first.as_chunks::<PANEL>().0[..rows].iter().enumerate() {
            let at = (first_row + row) * self.out.stride + self.out.column + start;
            // SAFETY: `out` holds all rows, and no other chunk or part has these columns of them
            // (`check`); parts of one region do not overlap, or the caller would not know what
            // stands there, but they are written one number at a time and hold any bits.
            let out = unsafe { self.out.parts.slice(at, columns) };
            if self.adds {
                for ((out, sum), bias) in out.iter_mut().zip(sums).zip(first_bias) {
                    *out += sum + bias;
                }
            } else if self.out.gate.is_some() {
                out.copy_from_slice(&sums[..columns]);
            } else {
                for ((out, sum), bias) in out.iter_mut().zip(sums).zip(first_bias) {
                    *out = sum + bias;
                }
            }
        }
    }
}

per_level! {
    /// Replaces gates by gated values.
    fn gate_lines(
        gate: Gate,
        gates: &mut [f32],
        values: &[f32],
        gate_bias: [f32; PANEL],
        value_bias: [f32; PANEL],
    ) {
        let lines = gates.as_chunks_mut::<PANEL>().0.iter_mut().zip(values.as_chunks::<PANEL>().0);
        for (gates, values) in lines {
            for (i, (out, value)) in gates.iter_mut().zip(values).enumerate() {
                let (sum, value) = (*out + gate_bias[i], value + value_bias[i]);
                *out = value * match gate {
                    Gate::Silu => silu(sum),
                    Gate::GeluTanh => gelu_tanh(sum),
                };
            }
        }
    }
}

/// Multiplies a tile of rounded rows with a panel.
///
/// # Safety
/// As [`Isa::rounded`].
pub(super) unsafe fn rounded_tile<I: Isa>(
    form: Form,
    place: formats::Place,
    blocks: usize,
    x: *const u8,
    rows: usize,
    sums: *mut f32,
) {
    macro_rules! run {
        ($format:ident) => {
            // SAFETY: passed on from the caller.
            unsafe {
                match rows {
                    1 => I::rounded::<formats::$format, 1>(place, blocks, x, sums),
                    2 => I::rounded::<formats::$format, 2>(place, blocks, x, sums),
                    3 => I::rounded::<formats::$format, 3>(place, blocks, x, sums),
                    4 => I::rounded::<formats::$format, 4>(place, blocks, x, sums),
                    8 => I::rounded::<formats::$format, 8>(place, blocks, x, sums),
                    12 => I::rounded::<formats::$format, 12>(place, blocks, x, sums),
                    _ => unreachable!("a tile has one of the heights of its level"),
                }
            }
        };
    }
    with_format!(form, run)
}
