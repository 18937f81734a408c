//! The arithmetic of a change.

use candle_core::{Device, Tensor};

use super::change::{Axis, Factor, Kind};
use crate::error::EngineError;
use crate::weights::open::Checkpoint;

/// Computes a change without its scale, as a matrix of `[out, in · kernel]`.
///
/// Shapes were checked when the file was matched.
pub(super) fn raw(kind: &Kind, file: &Checkpoint) -> Result<Vec<f32>, EngineError> {
    let read = Read { file };
    match kind {
        Kind::Whole(name) => file.floats(name),
        Kind::LowRank { up, mid: None, down } => read.product(up, down),
        Kind::LowRank { up, mid: Some(mid), down } => {
            // up [out, i], mid [i, j, kernel], down [j, in]
            let (up, to, _) = read.matrix(up)?;
            read.core((up, to), mid, down)
        }
        Kind::Hadamard { first, second } => {
            let mut out = read.factor(first)?.0;
            let second = read.factor(second)?.0;
            out.iter_mut().zip(second).for_each(|(a, b)| *a *= b);
            Ok(out)
        }
        Kind::Kronecker { first, second } => {
            let (first, a, b) = read.factor(first)?;
            let (second, c, d) = read.factor(second)?;
            Ok(kronecker(&first, [a, b], &second, [c, d]))
        }
    }
}

/// Turns a change into DoRA's: the changed weight is brought to the trained lengths, and what that
/// adds to the weight is returned in `delta`.
///
/// # Source
/// DoRA, equation 5, with the length of each output as PEFT takes it, or of each input.
pub(super) fn decompose(
    delta: &mut [f32],
    base: &[f32],
    lengths: &[f32],
    axis: Axis,
    sides: [usize; 3],
) {
    let [to, from, kernel] = sides;
    let row = from * kernel;
    let index = |at: usize| match axis {
        Axis::Out => at / row,
        Axis::In => at % row / kernel,
    };
    let mut squares = vec![0.0_f64; if axis == Axis::Out { to } else { from }];
    for (at, (delta, base)) in delta.iter().zip(base).enumerate() {
        squares[index(at)] += f64::from(delta + base).powi(2);
    }
    let factors: Vec<f32> = squares
        .iter()
        .zip(lengths)
        // A weight of nothing has no direction that a length could be given to.
        .map(|(sum, length)| if *sum > 0.0 { length / sum.sqrt() as f32 } else { 0.0 })
        .collect();
    for (at, (delta, base)) in delta.iter_mut().zip(base).enumerate() {
        *delta = factors[index(at)] * (*delta + base) - base;
    }
}

/// Reads factors and multiplies them.
struct Read<'a> {
    file: &'a Checkpoint,
}

/// A matrix with its rows and columns.
type Matrix = (Vec<f32>, usize, usize);

impl Read<'_> {
    /// Reads a tensor as a matrix of its first side by all others.
    fn matrix(&self, name: &str) -> Result<Matrix, EngineError> {
        let values = self.file.floats(name)?;
        let rows = self.file.tensors().get(name).and_then(|info| info.shape.first().copied());
        let rows = rows.unwrap_or(1).max(1);
        let columns = values.len() / rows;
        Ok((values, rows, columns))
    }

    fn product(&self, left: &str, right: &str) -> Result<Vec<f32>, EngineError> {
        let ((left, to, rank), (right, _, from)) = (self.matrix(left)?, self.matrix(right)?);
        multiply(&left, [to, rank], &right, from)
    }

    /// Computes `left · core · right` for a core of `[i, j, height, width]`.
    fn core(
        &self,
        left: (Vec<f32>, usize),
        core: &str,
        right: &str,
    ) -> Result<Vec<f32>, EngineError> {
        let (left, to) = left;
        let (right, also, from) = self.matrix(right)?;
        let (core, rank, rest) = self.matrix(core)?;
        let kernel = rest / also.max(1);
        let place = |a: usize, b: usize, at: usize, width: usize| (a * width + b) * kernel + at;
        let mut out = vec![0.0; to * from * kernel];
        for at in 0..kernel {
            let slice: Vec<f32> = (0..rank * also)
                .map(|index| core[place(index / also, index % also, at, also)])
                .collect(); // [i, j]
            let middle = multiply(&slice, [rank, also], &right, from)?; // [i, in]
            let whole = multiply(&left, [to, rank], &middle, from)?; // [out, in]
            for (index, value) in whole.into_iter().enumerate() {
                out[place(index / from, index % from, at, from)] = value;
            }
        }
        Ok(out)
    }

    /// Computes a factor of LoHa or LoKr.
    fn factor(&self, factor: &Factor) -> Result<Matrix, EngineError> {
        match factor {
            Factor::Whole(name) => self.matrix(name),
            Factor::Product(a, b) => {
                let ((a, to, rank), (b, _, from)) = (self.matrix(a)?, self.matrix(b)?);
                Ok((multiply(&a, [to, rank], &b, from)?, to, from))
            }
            Factor::Core(a, core, b) => {
                // The first factor is kept the other way round: [i, out].
                let (a, rank, to) = self.matrix(a)?;
                let turned = (0..a.len()).map(|at| a[at % rank * to + at / rank]).collect();
                let out = self.core((turned, to), core, b)?;
                let from = out.len() / to.max(1);
                Ok((out, to, from))
            }
        }
    }
}

fn multiply(
    left: &[f32],
    [rows, inner]: [usize; 2],
    right: &[f32],
    columns: usize,
) -> Result<Vec<f32>, EngineError> {
    let left = Tensor::from_slice(left, (rows, inner), &Device::Cpu)?;
    let right = Tensor::from_slice(right, (inner, columns), &Device::Cpu)?;
    Ok(left.matmul(&right)?.flatten_all()?.to_vec1()?)
}

/// Puts a scaled copy of the second matrix in the place of each number of the first.
fn kronecker(first: &[f32], [a, b]: [usize; 2], second: &[f32], [c, d]: [usize; 2]) -> Vec<f32> {
    let mut out = Vec::with_capacity(a * b * c * d);
    for row in 0..a * c {
        let (outer, inner) = (row / c, row % c);
        for factor in &first[outer * b..(outer + 1) * b] {
            out.extend(second[inner * d..(inner + 1) * d].iter().map(|value| factor * value));
        }
    }
    out
}
