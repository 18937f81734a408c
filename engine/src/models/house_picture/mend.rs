//! A guessed latent → the same with the seams between its tokens mended.

use candle_core::{DType, Tensor};

use super::config::Config;
use crate::error::EngineError;
use crate::nn::{Adding, Compute, Conv, Leading, Linear, Load};

/// Adds to a guess what joins its tokens: the transformer writes them side by side, each blind to
/// the exact edge of the next.
#[derive(Debug, Clone)]
pub(super) struct Mend {
    compute: Compute,
    conv1: Conv,
    time: Linear,
    conv2: Conv,
    conv3: Conv,
}

impl Mend {
    /// Loads the net; `None` in a model without one.
    pub(super) fn new(config: &Config, load: &Load<'_>) -> Result<Option<Self>, EngineError> {
        let (channels, width) = (config.latent_channels, config.mend);
        if width == 0 {
            return Ok(None);
        }
        Ok(Some(Self {
            compute: load.compute().clone(),
            conv1: Conv::same(2 * channels, width, &load.pp("conv1"))?,
            time: Linear::without_bias(config.width, width, &load.pp("time"))?,
            conv2: Conv::same(width, width, &load.pp("conv2"))?,
            conv3: Conv::same(width, channels, &load.pp("conv3"))?,
        }))
    }

    /// Computes `guess + conv3(silu(conv2(silu(conv1(guess, latents) + time(c)))))` for pictures
    /// `[batch, channels, height, width]` and the condition `c` `[batch, width]`.
    pub(super) fn forward(
        &self,
        guess: &Tensor,
        latents: &Tensor,
        c: &Tensor,
    ) -> Result<Tensor, EngineError> {
        let both = Tensor::cat(&[guess, &latents.to_dtype(DType::F32)?], 1)?;
        let time = self.time.forward(c)?; // [batch, width]
        let adding = Adding { per_image: Some(&time), residual: None };
        let x = self.conv1.forward(&self.compute.lay_out(&both)?, Leading::default(), adding)?;
        let x = self.conv2.forward(&x, Leading::SILU, Adding::default())?;
        let guess = self.compute.lay_out(guess)?;
        let x = self.conv3.forward(&x, Leading::SILU, Adding::residual(&guess))?;
        Ok(self.compute.lay_back(&x)?)
    }
}
