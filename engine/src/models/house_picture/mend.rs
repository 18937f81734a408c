//! A guessed latent → the same with the seams between its tokens mended.

use candle_core::{DType, Tensor};

use super::config::Config;
use crate::error::EngineError;
use crate::nn::{Before, Compute, Conv3x3, Linear, Load};

/// Adds to a guess what joins its tokens: the transformer writes them side by side, each blind to
/// the exact edge of the next.
#[derive(Debug, Clone)]
pub(super) struct Mend {
    compute: Compute,
    width: usize,
    conv1: Conv3x3,
    time: Linear,
    conv2: Conv3x3,
    conv3: Conv3x3,
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
            width,
            conv1: Conv3x3::new(2 * channels, width, &load.pp("conv1"))?,
            time: Linear::without_bias(config.width, width, &load.pp("time"))?,
            conv2: Conv3x3::new(width, width, &load.pp("conv2"))?,
            conv3: Conv3x3::new(width, channels, &load.pp("conv3"))?,
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
        let (batch, width) = (guess.dim(0)?, self.width);
        let both = Tensor::cat(&[guess, &latents.to_dtype(DType::F32)?], 1)?;
        let x = self.conv1.forward(&self.compute.lay_out(&both)?, Before::Nothing, None)?;
        let time = self.time.forward(c)?.reshape((batch, width, 1, 1))?;
        let x = x.broadcast_add(&self.compute.lay_out(&time)?)?;
        let x = self.conv2.forward(&x, Before::Silu, None)?;
        let guess = self.compute.lay_out(guess)?;
        let x = self.conv3.forward(&x, Before::Silu, Some(&guess))?;
        Ok(self.compute.lay_back(&x)?)
    }
}
