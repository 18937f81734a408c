//! Norms over rows of sequences.

use std::ops::Range;

use candle_core::{D, Result, Tensor};

use super::compute::Compute;
use super::load::Load;
use super::map::{map1, map2};
use crate::error::EngineError;
use crate::kernels::{self, Modulation};

/// Says which rows belong to which sequence, all sequences standing one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    ranges: Vec<Range<usize>>,
    owners: Vec<u32>,
}

impl Spans {
    /// Lays sequences of these lengths one after the other.
    pub fn of_lengths(lengths: &[usize]) -> Self {
        let (mut ranges, mut owners) = (Vec::new(), Vec::new());
        for (sequence, length) in (0u32..).zip(lengths) {
            ranges.push(owners.len()..owners.len() + length);
            owners.resize(owners.len() + length, sequence);
        }
        Self { ranges, owners }
    }

    /// Returns the rows of every sequence.
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// Returns how many rows there are.
    pub fn rows(&self) -> usize {
        self.owners.len()
    }

    /// Returns the sequence of every row.
    pub(super) fn owners(&self) -> &[u32] {
        &self.owners
    }

    /// Repeats a part of numbers per sequence, `[sequences, parts · width]`, for every row:
    /// `[rows, width]`.
    pub(super) fn spread(&self, values: &Tensor, part: usize, width: usize) -> Result<Tensor> {
        let owners = Tensor::from_slice(&self.owners, self.rows(), values.device())?;
        values.narrow(1, part * width, width)?.contiguous()?.index_select(&owners, 0)
    }
}

/// Added to mean squares by the root-mean-square norms of the house's models.
pub(super) const RMS_EPS: f32 = 1e-6;

/// Divides the numbers along the last axis by their root mean square.
pub(super) fn rms(x: &Tensor) -> Result<Tensor> {
    let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(mean + f64::from(RMS_EPS))?.sqrt()?)
}

/// Computes `rms(x) · (1 + scale) + shift` for rows `[rows, width]`, shift and scale being the parts
/// with these indices of a modulation `[sequences, parts · width]`.
///
/// # Errors
/// Passes on errors of the tensor library.
pub fn modulate(
    compute: &Compute,
    x: &Tensor,
    modulation: &Tensor,
    (shift, scale): (usize, usize),
    spans: &Spans,
) -> Result<Tensor> {
    let (width, stride) = (x.dim(1)?, modulation.dim(1)?);
    match compute {
        Compute::Kernels(_) => map2("modulate", [x, modulation], x.shape(), |[x, values], out| {
            let modulation = Modulation { values, stride, owners: spans.owners() };
            kernels::modulate(x, width, modulation, (shift, scale), RMS_EPS, out);
        }),
        Compute::Candle(_) => {
            let scale = (spans.spread(modulation, scale, width)? + 1.0)?;
            (rms(x)? * scale)? + spans.spread(modulation, shift, width)?
        }
    }
}

/// A root-mean-square norm with a learnt scale.
#[derive(Debug, Clone)]
pub struct Scale {
    compute: Compute,
    values: Vec<f32>,
    weight: Tensor,
}

impl Scale {
    /// Loads the scale, a tensor of this name and width.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(
        name: &str,
        width: usize,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        let values = load.values(name, &[width])?;
        let weight = Tensor::from_slice(&values, width, load.compute().device())?;
        Ok(Self { compute: load.compute().clone(), values, weight })
    }

    /// Computes `rms(x) · scale` for rows `[rows, width]`.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self.compute {
            Compute::Kernels(_) => map1("rms_norm", x, x.shape(), |x, out| {
                kernels::rms_norm(x, &self.values, RMS_EPS, out);
            }),
            Compute::Candle(_) => rms(x)?.broadcast_mul(&self.weight),
        }
    }

    /// Returns the scale's numbers.
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    /// Returns the scale `[width]`.
    pub(super) fn weight(&self) -> &Tensor {
        &self.weight
    }
}
