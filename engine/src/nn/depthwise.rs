//! Convolutions in which every channel sees only itself, in the layout that [`Compute::lay_out`] gives.

use candle_core::{Result, Tensor};

use super::compute::Compute;
use super::conv::apply;
use super::load::Load;
use super::map::map1;
use crate::error::EngineError;
use crate::kernels::{self, Activation, ConvShape};

/// A convolution with bias over each channel of its own, with zeros around the picture so that a stride
/// of 1 keeps its size.
#[derive(Debug, Clone)]
pub struct Depthwise {
    form: Form,
    kernel: usize,
    stride: usize,
}

#[derive(Debug, Clone)]
enum Form {
    Plain(Box<kernels::Depthwise>),
    Tensors { weight: Tensor, bias: Tensor },
}

impl Depthwise {
    /// Loads `weight` `[channels, 1, kernel, kernel]` and `bias` `[channels]`.
    ///
    /// # Errors
    /// As [`Load::values`]; an error of the tensor library when the kernel is even or the stride 0.
    pub fn new(
        channels: usize,
        [kernel, stride]: [usize; 2],
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        let shape = [channels, 1, kernel, kernel];
        let form = match load.compute() {
            Compute::Kernels(..) => {
                let weight = load.values("weight", &shape)?;
                let bias = load.values("bias", &[channels])?;
                let made = kernels::Depthwise::new(kernel, stride, &weight, bias);
                let unsound = || {
                    let text = format!("no such convolution: {shape:?} in steps of {stride}");
                    candle_core::Error::Msg(text)
                };
                Form::Plain(Box::new(made.ok_or_else(unsound)?))
            }
            Compute::Candle(..) => Form::Tensors {
                weight: load.tensor("weight", &shape)?,
                bias: load.tensor("bias", &[channels])?.reshape((1, channels, 1, 1))?,
            },
        };
        Ok(Self { form, kernel, stride })
    }

    /// Computes `activation(conv(x) + bias)`.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        match &self.form {
            Form::Plain(conv) => {
                let (images, height, width, channels) = x.dims4()?;
                let shape = ConvShape { images, height, width, channels };
                let result = conv.output(shape);
                let out_shape = (images, result.height, result.width, channels);
                map1("depthwise", x, out_shape, |x, out: &mut [f32]| {
                    conv.forward(x, shape, activation, out);
                })
            }
            Form::Tensors { weight, bias } => {
                let channels = x.dim(1)?;
                let y = x.conv2d(weight, self.kernel / 2, self.stride, 1, channels)?;
                apply(activation, &y.broadcast_add(bias)?)
            }
        }
    }
}
