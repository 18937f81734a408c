//! The tiny autoencoder: latents to pictures with one part in forty of the weights.
//!
//! # Source
//! Ollin Boer Bohan's TAESD, `taesd.py`.

use candle_core::Tensor;

use super::blocks::{Check, plain};
use crate::error::EngineError;
use crate::kernels::{Activation, ConvMode, ConvPlan};
use crate::nn::{Adding, Compute, Conv, Leading, Load};
use crate::weights::sd_config::TinyVaeConfig;

/// The decoder's inputs are bent into -3..=3.
const CLAMP: f64 = 3.0;

/// Three convolutions beside a short cut.
#[derive(Debug, Clone)]
struct Block {
    convs: [Conv; 3],
}

impl Block {
    fn new(load: &Load<'_>) -> Result<Self, EngineError> {
        let width = TinyVaeConfig::width();
        let conv = |index: usize| Conv::same(width, width, &load.pp("conv").pp(index));
        Ok(Self { convs: [conv(0)?, conv(2)?, conv(4)?] })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, EngineError> {
        let after = Leading { activation: Activation::Relu, ..Leading::default() };
        let [first, second, third] = &self.convs;
        let h = plain(first, x)?;
        let h = second.forward(&h, after, Adding::default())?;
        Ok(third.forward(&h, after, Adding::residual(x))?.relu()?)
    }
}

#[derive(Debug, Clone)]
enum Layer {
    Block(Box<Block>),
    Resize(Conv),
}

/// One half.
#[derive(Debug, Clone)]
struct Half {
    first: Conv,
    layers: Vec<Layer>,
    last: Conv,
}

impl Half {
    fn new(
        [inputs, outputs]: [usize; 2],
        (first, layers, last): (usize, &[(usize, bool)], usize),
        plan: ConvPlan,
        load: &Load<'_>,
    ) -> Result<Self, EngineError> {
        let width = TinyVaeConfig::width();
        let layer = |(number, is_block): &(usize, bool)| -> Result<Layer, EngineError> {
            let load = load.pp(number);
            Ok(match is_block {
                true => Layer::Block(Box::new(Block::new(&load)?)),
                false => Layer::Resize(Conv::without_bias(width, width, plan, &load)?),
            })
        };
        Ok(Self {
            first: Conv::same(inputs, width, &load.pp(first))?,
            layers: layers.iter().map(layer).collect::<Result<_, _>>()?,
            last: Conv::same(width, outputs, &load.pp(last))?,
        })
    }

    fn forward(&self, mut x: Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        for layer in &self.layers {
            check()?;
            x = match layer {
                Layer::Block(block) => block.forward(&x)?,
                Layer::Resize(conv) => plain(conv, &x)?,
            };
        }
        plain(&self.last, &x)
    }
}

/// Turns latents into pictures, and pictures into latents where the file has both halves.
#[derive(Debug, Clone)]
pub struct TinyAutoencoder {
    config: TinyVaeConfig,
    compute: Compute,
    decoder: Option<Half>,
    encoder: Option<Half>,
}

impl TinyAutoencoder {
    /// Loads an autoencoder by its author's names.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(config: &TinyVaeConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let channels = config.latent_channels;
        let decoder = config.has_decoder.then(|| {
            let plan = ConvPlan { mode: ConvMode::Doubled, ..ConvPlan::same(3) };
            let layers = (1, TinyVaeConfig::decoder_layers(), 19);
            Half::new([channels, 3], layers, plan, &load.pp("decoder"))
        });
        let encoder = config.has_encoder.then(|| {
            let plan = ConvPlan { stride: [2; 2], ..ConvPlan::same(3) };
            let layers = (0, TinyVaeConfig::encoder_layers(), 14);
            Half::new([3, channels], layers, plan, &load.pp("encoder"))
        });
        Ok(Self {
            config: *config,
            compute: load.compute().clone(),
            decoder: decoder.transpose()?,
            encoder: encoder.transpose()?,
        })
    }

    /// Returns the sizes.
    pub fn config(&self) -> &TinyVaeConfig {
        &self.config
    }

    /// Returns pictures `[batch, 3, 8·height, 8·width]`, about -1..=1 but not cut off there, of
    /// latents `[batch, channels, height, width]` as the denoiser has them (scaled).
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when there is no decoder; that of `check`; errors of the tensor
    /// library.
    pub fn decode(&self, latents: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let Some(decoder) = &self.decoder else {
            return Err(EngineError::invalid("tiny autoencoder", "has no decoder"));
        };
        let bent = ((latents / CLAMP)?.tanh()? * CLAMP)?;
        let x = plain(&decoder.first, &self.compute.lay_out(&bent)?)?.relu()?;
        let x = self.compute.lay_back(&decoder.forward(x, check)?)?;
        Ok(((x * 2.0)? - 1.0)?)
    }

    /// Returns latents `[batch, channels, height/8, width/8]` as the denoiser has them, of pictures
    /// `[batch, 3, height, width]` in -1..=1.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when there is no encoder; that of `check`; errors of the tensor
    /// library.
    pub fn encode(&self, pictures: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let Some(encoder) = &self.encoder else {
            return Err(EngineError::invalid("tiny autoencoder", "has no encoder"));
        };
        let pictures = ((pictures + 1.0)? * 0.5)?;
        let x = plain(&encoder.first, &self.compute.lay_out(&pictures)?)?;
        Ok(self.compute.lay_back(&encoder.forward(x, check)?)?)
    }
}
