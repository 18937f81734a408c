//! A copy of the denoiser's first half that reads a picture of hints.
//!
//! # Source
//! Zhang, Rao, Agrawala: Adding conditional control to text-to-image diffusion models; the names are
//! those of diffusers' `ControlNetModel`.

use candle_core::Tensor;

use super::blocks::Check;
use super::trunk::{Conditions, Trunk};
use crate::error::EngineError;
use crate::kernels::{Activation, ConvPlan};
use crate::nn::{Adding, Compute, Conv, Leading, Linear, Load};
use crate::weights::sd_config::ControlConfig;

/// Holds what ControlNets add to a denoiser, one picture for each that the way down keeps and one for
/// the middle, laid out as the kernels want them.
#[derive(Debug, Clone)]
pub struct Residuals {
    down: Vec<Tensor>,
    middle: Tensor,
}

impl Residuals {
    /// Returns all as `[batch, channels, height, width]`: those for the way down in its order, then
    /// the one for the middle. `compute` is what the ControlNet was loaded for.
    ///
    /// # Errors
    /// Errors of the tensor library.
    pub fn tensors(&self, compute: &Compute) -> Result<Vec<Tensor>, EngineError> {
        let all = self.down.iter().chain([&self.middle]);
        all.map(|tensor| Ok(compute.lay_back(tensor)?)).collect()
    }

    /// Adds what another ControlNet adds.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the two are for different nets.
    pub fn add(&mut self, other: &Self) -> Result<(), EngineError> {
        if self.down.len() != other.down.len() {
            return Err(EngineError::Model { reason: "ControlNets of other nets".to_owned() });
        }
        for (sum, other) in self.down.iter_mut().zip(&other.down) {
            *sum = (&*sum + other)?;
        }
        self.middle = (&self.middle + &other.middle)?;
        Ok(())
    }

    /// Adds all to what a net keeps, and returns the middle with what is added there.
    pub(super) fn apply(&self, x: Tensor, kept: &mut [Tensor]) -> Result<Tensor, EngineError> {
        let fits = kept.len() == self.down.len()
            && kept.iter().zip(&self.down).all(|(kept, down)| kept.dims() == down.dims());
        if !fits {
            let reason = "is for another kind of model".to_owned();
            return Err(EngineError::invalid("ControlNet", reason));
        }
        for (kept, residual) in kept.iter_mut().zip(&self.down) {
            *kept = (&*kept + residual)?;
        }
        Ok((x + &self.middle)?)
    }
}

/// Turns a picture of hints and the denoiser's input into what guides the denoiser.
#[derive(Debug, Clone)]
pub struct ControlNet {
    trunk: Trunk,
    /// Turn the picture into what is added behind the first convolution.
    hint: Vec<Conv>,
    down: Vec<Linear>,
    middle: Linear,
}

impl ControlNet {
    /// Loads a ControlNet by diffusers' names.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(config: &ControlConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let net = &config.net;
        let trunk = Trunk::new(net, load)?;
        let embedding = load.pp("controlnet_cond_embedding");
        let (first, last) = (config.embedding[0], config.embedding[config.embedding.len() - 1]);
        let mut hint = vec![Conv::same(config.hint_channels, first, &embedding.pp("conv_in"))?];
        for (index, pair) in config.embedding.windows(2).enumerate() {
            let blocks = embedding.pp("blocks");
            hint.push(Conv::same(pair[0], pair[0], &blocks.pp(2 * index))?);
            let halving = ConvPlan { stride: [2; 2], ..ConvPlan::same(3) };
            hint.push(Conv::new(pair[0], pair[1], halving, &blocks.pp(2 * index + 1))?);
        }
        let width = net.levels[0].channels;
        hint.push(Conv::same(last, width, &embedding.pp("conv_out"))?);
        let zero = |width: usize, load: &Load<'_>| Linear::pointwise(width, width, false, load);
        let kept = net.kept();
        let mut down = Vec::with_capacity(kept.len());
        for (index, width) in kept.into_iter().enumerate() {
            down.push(zero(width, &load.pp("controlnet_down_blocks").pp(index))?);
        }
        let deepest = net.levels[net.levels.len() - 1].channels;
        let middle = zero(deepest, &load.pp("controlnet_mid_block"))?;
        Ok(Self { trunk, hint, down, middle })
    }

    /// Reads a picture of hints `[batch, 3, 8 · height, 8 · width]` of 0..=1, once for all steps.
    /// The result is laid out.
    ///
    /// # Errors
    /// That of `check`, and errors of the tensor library.
    pub fn hint(&self, picture: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let mut x = self.trunk.compute.lay_out(picture)?;
        for (index, conv) in self.hint.iter().enumerate() {
            check()?;
            // The function stands behind each but the last: before the next one.
            let activation = if index == 0 { Activation::None } else { Activation::Silu };
            let leading = Leading { activation, ..Leading::default() };
            x = conv.forward(&x, leading, Adding::default())?;
        }
        Ok(x)
    }

    /// Returns what guides a net that reads latents `[batch, channels, height, width]`, `strength`
    /// times; `hint` is that of [`ControlNet::hint`] for every picture of the batch.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] for a hint of another size; that of `check`; errors of the
    /// tensor library.
    pub fn forward(
        &self,
        latents: &Tensor,
        times: &[f32],
        conditions: &Conditions<'_>,
        (hint, strength): (&Tensor, f32),
        check: &Check<'_>,
    ) -> Result<Residuals, EngineError> {
        let trunk = &self.trunk;
        if latents.dim(1)? != trunk.config.in_channels
            || conditions.text.dim(2)? != trunk.config.context
            || conditions.added.is_some() != trunk.config.addition.is_some()
        {
            return Err(EngineError::invalid("ControlNet", "is for another kind of model"));
        }
        let told = trunk.told(latents, times, conditions, check)?;
        let x = trunk.begin(latents)?;
        if hint.dims() != x.dims() {
            let reason = "has another size than the picture that is made";
            return Err(EngineError::invalid("picture of the ControlNet", reason));
        }
        let (x, kept) = trunk.down((x + hint)?, &told)?;
        let middle = trunk.middle(x, &told)?;
        let guided = |linear: &Linear, x: &Tensor| -> Result<Tensor, EngineError> {
            let [batch, height, width, _] = trunk.compute.sizes(x)?;
            let rows = linear.forward(&trunk.compute.rows(x)?)?;
            let rows = (rows * f64::from(strength))?;
            Ok(trunk.compute.pictures(&rows, [batch, height, width])?)
        };
        let down = self.down.iter().zip(&kept).map(|(linear, x)| guided(linear, x));
        Ok(Residuals {
            down: down.collect::<Result<_, _>>()?,
            middle: guided(&self.middle, &middle)?,
        })
    }
}
