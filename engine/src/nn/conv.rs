//! 3×3 convolutions over pictures, in the layout that [`Compute::lay_out`] gives.

use candle_core::{Result, Tensor};

use super::compute::Compute;
use super::load::Load;
use super::map::{map1, map2};
use crate::error::EngineError;
use crate::kernels::{self, ConvOutput, ConvShape, Panels, Prologue};

/// Says what is done to a picture before it is convolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// SiLU.
    Silu,
}

/// Weights in the form that their way of computing reads.
#[derive(Debug, Clone)]
enum Form {
    Packed { panels: Panels, bias: Vec<f32> },
    Tensors { weight: Tensor, bias: Tensor },
}

/// A 3×3 convolution with a border of zeros, perhaps with a pixel shuffle behind it.
#[derive(Debug, Clone)]
pub struct Conv3x3 {
    form: Form,
    outputs: usize,
    is_shuffled: bool,
}

impl Conv3x3 {
    /// Loads `weight` `[outputs, inputs, 3, 3]` and `bias` `[outputs]`.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(
        inputs: usize,
        outputs: usize,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        Self::load(inputs, outputs, false, load)
    }

    /// Loads a convolution to `4 · outputs` channels whose output is shuffled to twice the size.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn shuffled(
        inputs: usize,
        outputs: usize,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        Self::load(inputs, 4 * outputs, true, load)
    }

    fn load(
        inputs: usize,
        outputs: usize,
        is_shuffled: bool,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        let shape = [outputs, inputs, 3, 3];
        let form = match load.compute() {
            Compute::Kernels(level) => {
                let weight = load.values("weight", &shape)?;
                let bias = load.values("bias", &[outputs])?;
                // torch orders shuffled outputs (channel, row, column); the kernel writes runs of
                // channels, so it takes them as (row, column, channel).
                let torch = |output: usize| match (is_shuffled, outputs / 4) {
                    (true, depth) => output % depth * 4 + output / depth,
                    (false, _) => output,
                };
                let at = |o: usize, tap: usize, c: usize| weight[(torch(o) * inputs + c) * 9 + tap];
                let panels = Panels::pack(*level, outputs, 9, inputs, at);
                let bias = (0..outputs).map(|output| bias[torch(output)]).collect();
                Form::Packed { panels, bias }
            }
            Compute::Candle(_) => Form::Tensors {
                weight: load.tensor("weight", &shape)?,
                bias: load.tensor("bias", &[outputs])?.reshape((1, outputs, 1, 1))?,
            },
        };
        Ok(Self { form, outputs, is_shuffled })
    }

    /// Computes `conv(before(x)) + residual`, or the shuffled convolution (without a residual).
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward(&self, x: &Tensor, before: Before, residual: Option<&Tensor>) -> Result<Tensor> {
        match &self.form {
            Form::Packed { panels, bias } => {
                let (images, height, width, channels) = x.dims4()?;
                let shape = ConvShape { images, height, width, channels };
                let run = |x: &[f32], residual: Option<&[f32]>, out: &mut [f32]| {
                    let prologue = match before {
                        Before::Nothing => Prologue::Nothing,
                        Before::Silu => Prologue::Silu,
                    };
                    let output = match self.is_shuffled {
                        true => ConvOutput::Shuffled,
                        false => ConvOutput::Plain(residual),
                    };
                    kernels::conv3x3(x, shape, prologue, panels, bias, output, out);
                };
                if self.is_shuffled {
                    let shape = (images, 2 * height, 2 * width, self.outputs / 4);
                    return map1("conv3x3", x, shape, |x, out| run(x, None, out));
                }
                let shape = (images, height, width, self.outputs);
                match residual {
                    None => map1("conv3x3", x, shape, |x, out| run(x, None, out)),
                    Some(residual) => {
                        map2("conv3x3", [x, residual], shape, |[x, r], out| run(x, Some(r), out))
                    }
                }
            }
            Form::Tensors { weight, bias } => {
                let x = match before {
                    Before::Nothing => x.clone(),
                    Before::Silu => x.silu()?,
                };
                let y = x.conv2d(weight, 1, 1, 1, 1)?.broadcast_add(bias)?;
                let y = if self.is_shuffled { candle_nn::ops::pixel_shuffle(&y, 2)? } else { y };
                match residual {
                    Some(residual) if !self.is_shuffled => y + residual,
                    _ => Ok(y),
                }
            }
        }
    }
}

/// Enlarges pictures to four times the size each way, bilinearly between the centres of pixels.
///
/// # Errors
/// Passes on errors of the tensor library.
pub fn enlarge4(compute: &Compute, x: &Tensor) -> Result<Tensor> {
    match compute {
        Compute::Kernels(_) => {
            let (images, height, width, channels) = x.dims4()?;
            let shape = ConvShape { images, height, width, channels };
            map1("enlarge4", x, (images, 4 * height, 4 * width, channels), |x, out| {
                kernels::enlarge4(x, shape, out);
            })
        }
        Compute::Candle(_) => {
            let (_, _, height, width) = x.dims4()?;
            x.upsample_bilinear2d(4 * height, 4 * width, false)
        }
    }
}
