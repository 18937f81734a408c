//! Convolutions over pictures, in the layout that [`Compute::lay_out`] gives.

use candle_core::{DType, Result, Tensor};
use half::bf16;

use super::compute::Compute;
use super::load::Load;
use super::map::{Inputs, Output, f32s, map1, map2, run1, run2, run3};
use super::norm::GroupNorm;
use crate::error::EngineError;
use crate::kernels::{
    self, Activation, After, Before, ChannelScales, Conv as Packed, ConvMode, ConvPlan, ConvShape,
};

/// Inputs times outputs up to which convolutions of large pictures keep weights of 16/9 of the size
/// where memory is to be saved: there the larger form costs little.
const LEAN_MOST: usize = 1 << 17;

/// Weights in the form that their way of computing reads.
#[derive(Debug, Clone)]
enum Form {
    Packed(Box<Packed>),
    Tensor(Tensor),
}

/// Says what stands before a convolution.
#[derive(Clone, Copy, Default)]
pub struct Leading<'a> {
    /// A norm.
    pub norm: Option<&'a GroupNorm>,
    /// What the norm multiplies and adds, where it is not to follow from the picture itself.
    pub scales: Option<&'a ChannelScales>,
    /// Then a function.
    pub activation: Activation,
    /// Asked within a long convolution on the processor whether to stop. Where it says so, the result
    /// is worth nothing: who gave it asks once more behind the convolution.
    pub stop: Option<&'a dyn Fn() -> bool>,
}

impl Leading<'_> {
    /// SiLU alone.
    pub const SILU: Self =
        Self { norm: None, scales: None, activation: Activation::Silu, stop: None };
}

/// Says what is added to a convolution.
#[derive(Debug, Clone, Copy, Default)]
pub struct Adding<'a> {
    /// A number per image and output, `[batch, outputs]`.
    pub per_image: Option<&'a Tensor>,
    /// A picture of the output's shape.
    pub residual: Option<&'a Tensor>,
}

impl<'a> Adding<'a> {
    /// Adds a picture only.
    pub fn residual(residual: &'a Tensor) -> Self {
        Self { per_image: None, residual: Some(residual) }
    }
}

/// A convolution with bias.
#[derive(Debug, Clone)]
pub struct Conv {
    form: Form,
    plan: ConvPlan,
    bias: (Vec<f32>, Tensor),
    /// Stands behind the convolution, before anything is added.
    activation: Activation,
    /// What is then below 0 is multiplied by these, one per output.
    slopes: Option<(Vec<f32>, Tensor)>,
    /// Whether products read bf16.
    is_narrow: bool,
}

impl Conv {
    /// Loads `weight` `[outputs, inputs, kernel, kernel]` and `bias` `[outputs]`.
    ///
    /// # Errors
    /// As [`Load::values`]; an error of the tensor library when the plan is none.
    pub fn new(
        inputs: usize,
        outputs: usize,
        plan: ConvPlan,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        Self::build([inputs, outputs], plan, load.values("bias", &[outputs])?, load)
    }

    /// Loads a convolution that has no bias.
    ///
    /// # Errors
    /// As [`Conv::new`].
    pub fn without_bias(
        inputs: usize,
        outputs: usize,
        plan: ConvPlan,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        Self::build([inputs, outputs], plan, vec![0.0; outputs], load)
    }

    fn build(
        [inputs, outputs]: [usize; 2],
        plan: ConvPlan,
        bias: Vec<f32>,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        let shape = [outputs, inputs / plan.groups.max(1), plan.kernel[0], plan.kernel[1]];
        let form = match load.compute() {
            Compute::Kernels(level, precision) => {
                let weight = load.values("weight", &shape)?;
                let packed = Packed::new(*level, *precision, plan, [inputs, outputs], &weight);
                let unsound = || candle_core::Error::Msg(format!("no such convolution: {plan:?}"));
                Form::Packed(Box::new(packed.ok_or_else(unsound)?))
            }
            compute @ Compute::Candle(..) => {
                Form::Tensor(load.tensor("weight", &shape)?.to_dtype(compute.products())?)
            }
        };
        let tensor = Tensor::from_slice(&bias, (1, outputs, 1, 1), load.compute().device())?;
        Ok(Self {
            form,
            plan,
            bias: (bias, tensor),
            activation: Activation::None,
            slopes: None,
            is_narrow: load.compute().is_narrow(),
        })
    }

    /// Puts a function behind the convolution, before anything is added to it.
    #[must_use]
    pub fn followed_by(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Puts a PReLU behind the convolution, before anything is added to it; loads its slopes, `weight`
    /// `[outputs]`. Not for a convolution with a shuffle.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn followed_by_slopes(self, load: &Load<'_>) -> std::result::Result<Self, EngineError> {
        let outputs = self.bias.0.len();
        let slopes = load.values("weight", &[outputs])?;
        let tensor = Tensor::from_slice(&slopes, (1, outputs, 1, 1), load.compute().device())?;
        Ok(Self { slopes: Some((slopes, tensor)), ..self })
    }

    /// Loads a 3×3 convolution that keeps the size.
    ///
    /// # Errors
    /// As [`Conv::new`].
    pub fn same(
        inputs: usize,
        outputs: usize,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        Self::new(inputs, outputs, ConvPlan::same(3), load)
    }

    /// Loads a 3×3 convolution that keeps the size of pictures so large that more memory for weights
    /// is worth fewer products.
    ///
    /// # Errors
    /// As [`Conv::new`].
    pub fn same_large(
        inputs: usize,
        outputs: usize,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        let is_for_large = !load.is_lean() || inputs * outputs <= LEAN_MOST;
        let plan = ConvPlan { is_for_large, ..ConvPlan::same(3) };
        Self::new(inputs, outputs, plan, load)
    }

    /// Loads a 3×3 convolution to `4 · outputs` channels whose output is shuffled to twice the size.
    ///
    /// # Errors
    /// As [`Conv::new`].
    pub fn shuffled(
        inputs: usize,
        outputs: usize,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        let plan = ConvPlan { mode: ConvMode::Shuffled, ..ConvPlan::same(3) };
        Self::new(inputs, 4 * outputs, plan, load)
    }

    /// Computes `behind(conv(activation(norm(x))) + per_image) + residual`, `behind` being what
    /// [`Conv::followed_by`] or [`Conv::followed_by_slopes`] put there.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward(&self, x: &Tensor, leading: Leading<'_>, adding: Adding<'_>) -> Result<Tensor> {
        match &self.form {
            Form::Packed(packed) => self.forward_packed::<f32>(packed, x, leading, adding),
            Form::Tensor(weight) => {
                let x = match (leading.scales, leading.norm) {
                    (Some(scales), _) => &scaled(x, scales)?,
                    (None, Some(norm)) => &norm.forward_pictures(x)?,
                    (None, None) => x,
                };
                let x = apply(leading.activation, x)?;
                let x = match self.plan.mode {
                    ConvMode::Doubled => {
                        let (_, _, height, width) = x.dims4()?;
                        x.upsample_nearest2d(2 * height, 2 * width)?
                    }
                    _ => x,
                };
                let [top, bottom, left, right] = self.plan.padding;
                let is_even = [bottom, left, right].iter().all(|n| *n == top);
                let (x, padding) = if is_even {
                    (x, top)
                } else {
                    let x = x.pad_with_zeros(2, top, bottom)?.pad_with_zeros(3, left, right)?;
                    (x, 0)
                };
                let ([stride, _], [dilation, _]) = (self.plan.stride, self.plan.dilation);
                let settings = [padding, stride, dilation, self.plan.groups];
                let mut y = convolved(&x, weight, settings)?.broadcast_add(&self.bias.1)?;
                if self.plan.mode == ConvMode::Shuffled {
                    y = candle_nn::ops::pixel_shuffle(&y, 2)?;
                }
                if let Some(per_image) = adding.per_image {
                    y = y.broadcast_add(&per_image.unsqueeze(2)?.unsqueeze(3)?)?;
                }
                y = apply(self.activation, &y)?;
                if let Some((_, slopes)) = &self.slopes {
                    let above = y.relu()?;
                    y = (&above + (y - &above)?.broadcast_mul(slopes)?)?;
                }
                match adding.residual {
                    Some(residual) => y + residual,
                    None => Ok(y),
                }
            }
        }
    }

    /// Computes the same for an output that nothing but a convolution reads, with or without a norm
    /// before it: in bf16 where that rounds to it anyway, so that it takes half the memory.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward_for_products(&self, x: &Tensor, leading: Leading<'_>) -> Result<Tensor> {
        match &self.form {
            Form::Packed(packed) if self.is_narrow => {
                self.forward_packed::<bf16>(packed, x, leading, Adding::default())
            }
            _ => self.forward(x, leading, Adding::default()),
        }
    }

    fn forward_packed<O: Output>(
        &self,
        packed: &Packed,
        x: &Tensor,
        leading: Leading<'_>,
        adding: Adding<'_>,
    ) -> Result<Tensor> {
        let (images, height, width, channels) = x.dims4()?;
        let shape = ConvShape { images, height, width, channels };
        let result = match packed.output(shape) {
            Some(result) if channels == packed.inputs() => result,
            _ => candle_core::bail!("a convolution cannot read a picture of {:?}", x.dims()),
        };
        let out_shape = (images, result.height, result.width, result.channels);
        let run = |x: kernels::Input<'_>,
                   image_bias: Option<&[f32]>,
                   residual: Option<&[f32]>,
                   out: &mut [O]| {
            let own = leading.norm.filter(|_| leading.scales.is_none());
            let own = own.map(|norm| norm.scales(x, images));
            let before = Before {
                scales: leading.scales.or(own.as_ref()),
                activation: leading.activation,
                stop: leading.stop,
            };
            let bias = Some(self.bias.0.as_slice());
            let slopes = self.slopes.as_ref().map(|(slopes, _)| slopes.as_slice());
            let activation = self.activation;
            let after = After { bias, image_bias, activation, slopes, residual };
            packed.forward(x, shape, before, after, out);
        };
        const NAME: &str = "conv";
        match (adding.per_image, adding.residual) {
            (None, None) => run1(NAME, x, out_shape, |[x], out| run(x, None, None, out)),
            (Some(bias), None) => {
                let run = |[x, bias]: Inputs<'_, 2>, out: &mut [O]| {
                    run(x, Some(f32s(bias)), None, out);
                };
                run2(NAME, [x, &bias.contiguous()?], out_shape, run)
            }
            (None, Some(residual)) => {
                let run = |[x, residual]: Inputs<'_, 2>, out: &mut [O]| {
                    run(x, None, Some(f32s(residual)), out);
                };
                run2(NAME, [x, residual], out_shape, run)
            }
            (Some(bias), Some(residual)) => {
                let run = |[x, bias, residual]: Inputs<'_, 3>, out: &mut [O]| {
                    run(x, Some(f32s(bias)), Some(f32s(residual)), out);
                };
                run3(NAME, [x, &bias.contiguous()?, residual], out_shape, run)
            }
        }
    }
}

/// Convolves with products of the numbers that the weights hold, by candle's operations: f32.
fn convolved(
    x: &Tensor,
    weight: &Tensor,
    [padding, stride, dilation, groups]: [usize; 4],
) -> Result<Tensor> {
    let x = x.to_dtype(weight.dtype())?;
    let y = if x.device().is_cpu() {
        // There candle has no convolution of bf16; f32 holds the same numbers.
        let (x, weight) = (x.to_dtype(DType::F32)?, weight.to_dtype(DType::F32)?);
        x.conv2d(&weight, padding, stride, dilation, groups)?
    } else {
        x.conv2d(weight, padding, stride, dilation, groups)?
    };
    y.to_dtype(DType::F32)
}

/// Multiplies and adds per channel of pictures `[1, channels, height, width]`, by candle's operations.
fn scaled(x: &Tensor, scales: &ChannelScales) -> Result<Tensor> {
    let shape = (1, scales.scale.len(), 1, 1);
    let scale = Tensor::from_slice(&scales.scale, shape, x.device())?;
    let shift = Tensor::from_slice(&scales.shift, shape, x.device())?;
    x.broadcast_mul(&scale)?.broadcast_add(&shift)
}

/// Applies a function by candle's operations.
pub(super) fn apply(activation: Activation, x: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::None => Ok(x.clone()),
        Activation::Silu => x.silu(),
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
        Activation::QuickGelu => x * candle_nn::ops::sigmoid(&(x * 1.702)?)?,
        Activation::Relu => x.relu(),
        Activation::LeakyRelu => x.maximum(&(x * f64::from(kernels::LEAK))?),
    }
}

/// Unfolds laid-out pictures whose every place holds a square of `factor` × `factor` pixels (torch's
/// pixel shuffle), and adds `base`, every pixel of it repeated over its square.
///
/// # Errors
/// Passes on errors of the tensor library.
pub fn unfold_over(compute: &Compute, x: &Tensor, base: &Tensor, factor: usize) -> Result<Tensor> {
    let [images, height, width, channels] = compute.sizes(base)?;
    match compute {
        Compute::Kernels(..) => {
            let shape = ConvShape { images, height, width, channels };
            let out_shape = (images, factor * height, factor * width, channels);
            map2("unfold_over", [x, base], out_shape, |[x, base], out: &mut [f32]| {
                kernels::unfold_over(x, base, shape, factor, out);
            })
        }
        Compute::Candle(..) => {
            let unfolded = candle_nn::ops::pixel_shuffle(x, factor)?;
            unfolded + base.upsample_nearest2d(factor * height, factor * width)?
        }
    }
}

/// Enlarges pictures to four times the size each way, bilinearly between the centres of pixels.
///
/// # Errors
/// Passes on errors of the tensor library.
pub fn enlarge4(compute: &Compute, x: &Tensor) -> Result<Tensor> {
    match compute {
        Compute::Kernels(..) => {
            let (images, height, width, channels) = x.dims4()?;
            let shape = ConvShape { images, height, width, channels };
            map1("enlarge4", x, (images, 4 * height, 4 * width, channels), |x, out: &mut [f32]| {
                kernels::enlarge4(x, shape, out);
            })
        }
        Compute::Candle(..) => {
            let (_, _, height, width) = x.dims4()?;
            x.upsample_bilinear2d(4 * height, 4 * width, false)
        }
    }
}
