//! The autoencoder: pictures to latents and back.

use candle_core::Tensor;

use super::blocks::{Check, PixelAttention, Resnet, doubling, group_norm, halving, plain};
use crate::error::EngineError;
use crate::nn::{Adding, Compute, Conv, GroupNorm, Leading, Linear, Load};
use crate::weights::sd_config::VaeConfig;

/// Added to variances by the autoencoder's norms.
const EPS: f64 = 1e-6;

/// A level of the encoder or decoder.
#[derive(Debug, Clone)]
struct Level {
    resnets: Vec<Resnet>,
    /// Halves or doubles the size.
    resize: Option<Conv>,
}

/// One half of the autoencoder.
#[derive(Debug, Clone)]
struct Half {
    first: Conv,
    levels: Vec<Level>,
    middle: (Resnet, PixelAttention, Resnet),
    norm: GroupNorm,
    last: Conv,
}

/// Turns pictures into latents of an eighth of the size and back.
#[derive(Debug, Clone)]
pub struct Vae {
    compute: Compute,
    decoder: Half,
    /// Before the decoder; some autoencoders have none.
    into_decoder: Option<Linear>,
    encoder: Option<Half>,
    out_of_encoder: Option<Linear>,
}

impl Vae {
    /// Loads an autoencoder by diffusers' names; the encoder only where it is there.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(config: &VaeConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let channels = config.latent_channels;
        let optional = |name: &str, channels: usize| {
            let load = load.pp(name);
            load.has("weight")
                .then(|| Linear::pointwise(channels, channels, false, &load))
                .transpose()
        };
        let encoder = load.pp("encoder");
        let encoder = encoder
            .pp("conv_in")
            .has("weight")
            .then(|| Half::encoder(config, &encoder))
            .transpose()?;
        Ok(Self {
            compute: load.compute().clone(),
            decoder: Half::decoder(config, &load.pp("decoder"))?,
            into_decoder: optional("post_quant_conv", channels)?,
            encoder,
            out_of_encoder: optional("quant_conv", 2 * channels)?,
        })
    }

    /// Returns pictures `[batch, 3, 8·height, 8·width]`, about -1..=1 but not cut off there, of
    /// latents `[batch, channels, height, width]` (divided by the scaling factor already).
    ///
    /// # Errors
    /// That of `check`, and errors of the tensor library.
    pub fn decode(&self, latents: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let x = self.compute.lay_out(latents)?;
        let x = self.pointwise(self.into_decoder.as_ref(), x)?;
        let x = plain(&self.decoder.first, &x)?;
        let x = self.decoder.middle(&x, check)?;
        let x = self.decoder.levels(x, check)?;
        Ok(self.compute.lay_back(&self.decoder.end(&x, check)?)?)
    }

    /// Returns mean and logarithm of the variance, `[batch, 2 · channels, height / 8, width / 8]`, of
    /// pictures `[batch, 3, height, width]` in -1..=1.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the file held no encoder; that of `check`, and errors of
    /// the tensor library.
    pub fn encode(&self, pictures: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let Some(encoder) = &self.encoder else {
            return Err(EngineError::invalid("model", "has no encoder for pictures"));
        };
        let x = plain(&encoder.first, &self.compute.lay_out(pictures)?)?;
        let x = encoder.levels(x, check)?;
        let x = encoder.end(&encoder.middle(&x, check)?, check)?;
        Ok(self.compute.lay_back(&self.pointwise(self.out_of_encoder.as_ref(), x)?)?)
    }

    fn pointwise(&self, linear: Option<&Linear>, x: Tensor) -> Result<Tensor, EngineError> {
        let Some(linear) = linear else { return Ok(x) };
        let [batch, height, width, _] = self.compute.sizes(&x)?;
        let rows = linear.forward(&self.compute.rows(&x)?)?;
        Ok(self.compute.pictures(&rows, [batch, height, width])?)
    }
}

impl Half {
    fn decoder(config: &VaeConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let mut width = config.channels.last().copied().unwrap_or_default();
        let (last, narrow) = (width, config.channels[0]);
        let mut levels = Vec::new();
        for (index, outputs) in config.channels.iter().rev().enumerate() {
            let load = load.pp("up_blocks").pp(index);
            let mut resnets = Vec::new();
            for position in 0..=config.layers {
                let load = load.pp("resnets").pp(position);
                resnets.push(Resnet::new([width, *outputs], None, (EPS, true), &load)?);
                width = *outputs;
            }
            let is_last = index + 1 == config.channels.len();
            let resize = if is_last { None } else { Some(doubling(width, &load)?) };
            levels.push(Level { resnets, resize });
        }
        Ok(Self {
            first: Conv::same(config.latent_channels, last, &load.pp("conv_in"))?,
            middle: Self::load_middle(last, load)?,
            levels,
            norm: group_norm(narrow, EPS, &load.pp("conv_norm_out"))?,
            last: Conv::same(narrow, 3, &load.pp("conv_out"))?,
        })
    }

    fn encoder(config: &VaeConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let mut width = config.channels[0];
        let mut levels = Vec::new();
        for (index, outputs) in config.channels.iter().enumerate() {
            let load = load.pp("down_blocks").pp(index);
            let mut resnets = Vec::new();
            for position in 0..config.layers {
                let load = load.pp("resnets").pp(position);
                resnets.push(Resnet::new([width, *outputs], None, (EPS, true), &load)?);
                width = *outputs;
            }
            // Zeros only below and to the right, as the reference pads.
            let is_last = index + 1 == config.channels.len();
            let resize = if is_last { None } else { Some(halving(width, [0, 1, 0, 1], &load)?) };
            levels.push(Level { resnets, resize });
        }
        Ok(Self {
            first: Conv::same(3, config.channels[0], &load.pp("conv_in"))?,
            levels,
            middle: Self::load_middle(width, load)?,
            norm: group_norm(width, EPS, &load.pp("conv_norm_out"))?,
            last: Conv::same(width, 2 * config.latent_channels, &load.pp("conv_out"))?,
        })
    }

    fn load_middle(
        width: usize,
        load: &Load<'_>,
    ) -> Result<(Resnet, PixelAttention, Resnet), EngineError> {
        let load = load.pp("mid_block");
        let resnet = |index: usize| {
            Resnet::new([width; 2], None, (EPS, true), &load.pp("resnets").pp(index))
        };
        let attention = PixelAttention::new(width, &load.pp("attentions").pp(0))?;
        Ok((resnet(0)?, attention, resnet(1)?))
    }

    fn middle(&self, x: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let (before, attention, after) = &self.middle;
        check()?;
        let x = before.forward(x, None, check)?;
        check()?;
        let x = attention.forward(&x, check)?;
        after.forward(&x, None, check)
    }

    fn levels(&self, mut x: Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        for level in &self.levels {
            for resnet in &level.resnets {
                check()?;
                x = resnet.forward(&x, None, check)?;
            }
            if let Some(resize) = &level.resize {
                check()?;
                let stop = || check().is_err();
                let leading = Leading { stop: Some(&stop), ..Leading::default() };
                x = resize.forward(&x, leading, Adding::default())?;
            }
        }
        check()?;
        Ok(x)
    }

    fn end(&self, x: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let stop = || check().is_err();
        let leading = Leading { norm: Some(&self.norm), stop: Some(&stop), ..Leading::SILU };
        let x = self.last.forward(x, leading, Adding::default())?;
        check()?;
        Ok(x)
    }
}
