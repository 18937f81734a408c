//! The denoiser.

use candle_core::Tensor;

use super::blocks::{Check, doubling, group_norm, plain};
use super::trunk::{Conditions, EPS, Layer, Trunk};
use crate::error::EngineError;
use crate::nn::{Adding, Conv, GroupNorm, Leading, Load};
use crate::weights::sd_config::UnetConfig;

/// A level on the way up.
#[derive(Debug, Clone)]
struct Level {
    layers: Vec<Layer>,
    /// Doubles the size.
    resize: Option<Conv>,
}

/// Guesses what was added to a picture's latents, told the time and the text.
#[derive(Debug, Clone)]
pub struct Unet {
    trunk: Trunk,
    up: Vec<Level>,
    norm: GroupNorm,
    last: Conv,
}

impl Unet {
    /// Loads a denoiser by diffusers' names.
    ///
    /// # Errors
    /// As [`Load::values`]; [`EngineError::Model`] for nets that read classes.
    pub fn new(config: &UnetConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let trunk = Trunk::new(config, load)?;
        let mut kept = config.kept();
        let (first, last) = (config.levels[0].channels, config.levels.len() - 1);
        let mut inputs = config.levels[last].channels;
        let mut up = Vec::new();
        for (index, (level, sizes)) in config.levels.iter().enumerate().rev().enumerate() {
            let load = load.pp("up_blocks").pp(index);
            let mut layers = Vec::new();
            for (position, depth) in sizes.up.iter().enumerate() {
                let joined = inputs + kept.pop().unwrap_or_default();
                let place = (position, *depth);
                layers.push(Layer::new(config, (level, sizes), joined, place, &load)?);
                inputs = sizes.channels;
            }
            let resize = if level > 0 { Some(doubling(inputs, &load)?) } else { None };
            up.push(Level { layers, resize });
        }
        Ok(Self {
            trunk,
            up,
            norm: group_norm(first, EPS, &load.pp("conv_norm_out"))?,
            last: Conv::same(first, config.out_channels, &load.pp("conv_out"))?,
        })
    }

    /// Returns the sizes.
    pub fn config(&self) -> &UnetConfig {
        &self.trunk.config
    }

    /// Returns what the net says of latents `[batch, in_channels, height, width]` at a time of
    /// 0..1000 each: `[batch, out_channels, height, width]`.
    ///
    /// # Errors
    /// That of `check`, which is called before every block, and errors of the tensor library, among
    /// them those of sizes that the levels cannot halve.
    pub fn forward(
        &self,
        latents: &Tensor,
        times: &[f32],
        conditions: &Conditions<'_>,
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let trunk = &self.trunk;
        let told = trunk.told(latents, times, conditions, check)?;
        let x = trunk.begin(latents)?;
        let (x, mut kept) = trunk.down(x, &told)?;
        let mut x = trunk.middle(x, &told)?;
        if let Some(residuals) = conditions.residuals {
            x = residuals.apply(x, &mut kept)?;
        }
        for level in &self.up {
            for layer in &level.layers {
                let short = kept.pop().ok_or_else(|| {
                    candle_core::Error::Msg("nothing kept for the way up".to_owned())
                })?;
                x = layer.forward(&trunk.compute.join(&x, &short)?, &told)?;
            }
            if let Some(double) = &level.resize {
                check()?;
                x = plain(double, &x)?;
            }
        }
        let leading = Leading { norm: Some(&self.norm), ..Leading::SILU };
        let x = self.last.forward(&x, leading, Adding::default())?;
        Ok(trunk.compute.lay_back(&x)?)
    }
}
