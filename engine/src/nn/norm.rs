//! Norms over rows of sequences.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::{D, DType, Result, Tensor};

use super::compute::Compute;
use super::conv::apply;
use super::load::Load;
use super::map::{map1, map2, narrow_or_wide, run1};
use crate::error::EngineError;
use crate::kernels::{self, Activation, ChannelScales, ChannelSums, Modulation};

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
        Compute::Kernels(..) => {
            map2("modulate", [x, modulation], x.shape(), |[x, values], out: &mut [f32]| {
                let modulation = Modulation { values, stride, owners: spans.owners() };
                kernels::modulate(x, width, modulation, (shift, scale), RMS_EPS, out);
            })
        }
        Compute::Candle(..) => {
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
            Compute::Kernels(..) => map1("rms_norm", x, x.shape(), |x, out: &mut [f32]| {
                kernels::rms_norm(x, &self.values, RMS_EPS, out);
            }),
            Compute::Candle(..) => rms(x)?.broadcast_mul(&self.weight),
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

/// A group norm over pictures in the layout that [`Compute::lay_out`] gives.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    compute: Compute,
    groups: usize,
    eps: f64,
    values: [Vec<f32>; 2],
    tensors: [Tensor; 2],
}

impl GroupNorm {
    /// Loads `weight` and `bias` `[channels]`.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(
        groups: usize,
        channels: usize,
        eps: f64,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        let (values, tensors) = weight_and_bias(channels, load)?;
        Ok(Self { compute: load.compute().clone(), groups, eps, values, tensors })
    }

    fn plain(&self) -> kernels::GroupNorm<'_> {
        let [weight, bias] = &self.values;
        kernels::GroupNorm { groups: self.groups, eps: self.eps as f32, weight, bias }
    }

    /// Returns what the norm of laid-out pictures multiplies and adds.
    pub(super) fn scales(&self, x: kernels::Input<'_>, images: usize) -> ChannelScales {
        kernels::group_norm(x, images, self.plain())
    }

    /// Returns `[batch, height, width, channels]` of laid-out pictures.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn sizes(&self, x: &Tensor) -> Result<[usize; 4]> {
        self.compute.sizes(x)
    }

    /// Returns the sums that the norm of a laid-out picture follows from, of some of its rows and
    /// columns: the sums of parts add up to those of the whole.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn sums(&self, x: &Tensor, [rows, columns]: [Range<usize>; 2]) -> Result<ChannelSums> {
        let down = if matches!(self.compute, Compute::Candle(..)) { 2 } else { 1 };
        let part = x.narrow(down, rows.start, rows.len())?;
        let part = part.narrow(down + 1, columns.start, columns.len())?.contiguous()?;
        let pixels = rows.len() * columns.len();
        if matches!(self.compute, Compute::Candle(..)) {
            let part = part.flatten_from(2)?; // [1, channels, pixels]
            let mut totals: Vec<f32> = part.sum(2)?.flatten_all()?.to_vec1()?;
            totals.extend(part.sqr()?.sum(2)?.flatten_all()?.to_vec1::<f32>()?);
            return Ok(ChannelSums::new(totals.into_iter().map(f64::from).collect(), pixels));
        }
        let channels = self.values[0].len();
        let found = RefCell::new(None);
        run1("sums", &part, 1, |[x], out: &mut [f32]| {
            out.fill(0.0);
            found.replace(kernels::channel_totals(x, 1, channels).pop());
        })?;
        let found = found.into_inner();
        found.ok_or_else(|| candle_core::Error::Msg("a picture has no sums".to_owned()))
    }

    /// Returns what the norm multiplies and adds in a picture of these sums.
    pub fn scales_of(&self, sums: &ChannelSums) -> ChannelScales {
        sums.scales(self.plain())
    }

    /// Computes the norm of pictures by candle's operations.
    pub(super) fn forward_pictures(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = x.dims4()?;
        let grouped = x.reshape((batch, self.groups, ()))?;
        let mean = grouped.mean_keepdim(D::Minus1)?;
        let centred = grouped.broadcast_sub(&mean)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let normed = centred.broadcast_div(&(variance + self.eps)?.sqrt()?)?;
        let [weight, bias] = &self.tensors;
        normed
            .reshape((batch, channels, height, width))?
            .broadcast_mul(&weight.reshape((1, channels, 1, 1))?)?
            .broadcast_add(&bias.reshape((1, channels, 1, 1))?)
    }

    /// Computes `activation(norm(x))` as rows `[batch · height · width, channels]`, in the numbers
    /// that products read.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward_rows(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let [images, height, width, channels] = self.compute.sizes(x)?;
        if matches!(self.compute, Compute::Candle(..)) {
            let rows = self.compute.rows(&apply(activation, &self.forward_pictures(x)?)?)?;
            return rows.to_dtype(self.compute.products());
        }
        let shape = (images * height * width, channels);
        narrow_or_wide!(self.compute.is_narrow(), O => map1("group_norm", x, shape, |x, out: &mut [O]| {
            let scales = self.scales(kernels::Input::F32(x), images);
            kernels::scale_channels(x, images, &scales, activation, out);
        }))
    }
}

/// Applies a function to rows `[rows, width]`, as f32.
///
/// # Errors
/// Passes on errors of the tensor library.
pub fn activate(compute: &Compute, x: &Tensor, activation: Activation) -> Result<Tensor> {
    let width = x.dim(1)?;
    match compute {
        Compute::Kernels(..) => map1("activate", x, x.shape(), |x, out: &mut [f32]| {
            let scales = ChannelScales { scale: vec![1.0; width], shift: vec![0.0; width] };
            kernels::scale_channels(x, 1, &scales, activation, out);
        }),
        Compute::Candle(..) => apply(activation, x),
    }
}

/// A layer norm over rows.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    compute: Compute,
    eps: f64,
    values: [Vec<f32>; 2],
    tensors: [Tensor; 2],
}

impl LayerNorm {
    /// Loads `weight` and `bias` `[width]`.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(width: usize, eps: f64, load: &Load<'_>) -> std::result::Result<Self, EngineError> {
        let (values, tensors) = weight_and_bias(width, load)?;
        Ok(Self { compute: load.compute().clone(), eps, values, tensors })
    }

    /// Computes the norm of rows `[rows, width]` in the numbers that products read.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, self.compute.is_narrow())
    }

    /// Computes the norm of rows `[rows, width]` as f32.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward_wide(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, false)
    }

    fn run(&self, x: &Tensor, is_narrow: bool) -> Result<Tensor> {
        if matches!(self.compute, Compute::Candle(..)) {
            let [weight, bias] = &self.tensors;
            let y = candle_nn::ops::layer_norm(x, weight, bias, self.eps as f32)?;
            return if is_narrow { y.to_dtype(DType::BF16) } else { Ok(y) };
        }
        let [weight, bias] = &self.values;
        narrow_or_wide!(is_narrow, O => map1("layer_norm", x, x.shape(), |x, out: &mut [O]| {
            kernels::layer_norm(x, weight, bias, self.eps as f32, out);
        }))
    }
}

/// Reads `weight` and `bias` `[width]` as numbers and as tensors.
fn weight_and_bias(
    width: usize,
    load: &Load<'_>,
) -> std::result::Result<([Vec<f32>; 2], [Tensor; 2]), EngineError> {
    let values = [load.values("weight", &[width])?, load.values("bias", &[width])?];
    let tensor = |values: &Vec<f32>| Tensor::from_slice(values, width, load.compute().device());
    let tensors = [tensor(&values[0])?, tensor(&values[1])?];
    Ok((values, tensors))
}
