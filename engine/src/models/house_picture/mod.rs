//! The house picture model: lexicon, text encoder, flow transformer and decoder.
//!
//! A latent is a picture of a quarter of the size, folded into 48 channels: encoding it and showing
//! it cost next to nothing, and the decoder is a network that enlarges and sharpens.
//!
//! # Source
//! `assets/models/house-picture/recipe/model.py`; every layer has its checkpoint's name.

mod config;
mod decoder;
mod layout;
mod lexicon;
mod mend;
mod mixer;
mod sketch;
mod text_encoder;
mod transformer;

use candle_core::Tensor;

pub use config::Config;
pub use decoder::{Check, Decoder};
pub use layout::{Frame, Stir, Things, View};
pub use lexicon::{Kind, Lexicon, Phrase, Tokens};
pub use sketch::Sketches;
pub use text_encoder::{TextEncoder, TextStates};
pub use transformer::{Conditioning, FlowTransformer};

use crate::error::EngineError;
use crate::nn::{Compute, Load};
use crate::weights::Weights;
use config::{AREA, CELL};

/// Holds all networks of a house picture model.
#[derive(Debug, Clone)]
pub struct HousePicture {
    config: Config,
    compute: Compute,
    text: TextEncoder,
    transformer: FlowTransformer,
    decoder: Decoder,
    mean: Tensor, // [1, channels, 1, 1]
    std: Tensor,  // [1, channels, 1, 1]
}

impl HousePicture {
    /// Loads the networks.
    ///
    /// # Errors
    /// As [`Weights::read`].
    pub fn new(
        config: Config,
        weights: &Weights<'_>,
        compute: Compute,
    ) -> Result<Self, EngineError> {
        let load = Load::new(weights, compute.clone());
        let moments =
            |values: &[f32]| Tensor::from_slice(values, (1, values.len(), 1, 1), compute.device());
        Ok(Self {
            text: TextEncoder::new(&config, &load.pp("text"))?,
            transformer: FlowTransformer::new(&config, &load.pp("dit"))?,
            decoder: Decoder::new(&config, &load.pp("dec"))?,
            mean: moments(&config.latent_mean)?,
            std: moments(&config.latent_std)?,
            compute,
            config,
        })
    }

    /// Returns the sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns where and how it computes.
    pub fn compute(&self) -> &Compute {
        &self.compute
    }

    /// Returns the text encoder.
    pub fn text(&self) -> &TextEncoder {
        &self.text
    }

    /// Returns the transformer.
    pub fn transformer(&self) -> &FlowTransformer {
        &self.transformer
    }

    /// Returns the decoder.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Returns the shape of a picture's latent, `[1, channels, height/16, width/16]`.
    pub fn latent_shape(&self, height_px: usize, width_px: usize) -> [usize; 4] {
        [1, self.config.latent_channels, height_px / (AREA * CELL), width_px / (AREA * CELL)]
    }

    /// Turns normalised latents `[batch, 48, h, w]` into the small pictures `[batch, 3, 4·h, 4·w]`
    /// that they are, about -1..=1: what a preview shows.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn thumbnail(&self, latents: &Tensor) -> Result<Tensor, EngineError> {
        let latents = latents.broadcast_mul(&self.std)?.broadcast_add(&self.mean)?;
        Ok(candle_nn::ops::pixel_shuffle(&latents, CELL)?)
    }

    /// Turns normalised latents `[batch, 48, h, w]` into pictures `[batch, 3, 16·h, 16·w]`, about
    /// -1..=1 but not cut off there.
    ///
    /// # Errors
    /// That of `check`, and errors of the tensor library.
    pub fn decode(&self, latents: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        self.decoder.forward(&self.thumbnail(latents)?, check)
    }

    /// Turns how far each pixel may change, 0 to 255, `[height, width]`, into how far each number of
    /// a latent may, `[1, 48, height/16, width/16]` of 0 to 1: the most of the 4×4 pixels that it is
    /// the mean of.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the mask is not of this size; errors of the tensor library.
    pub fn latent_mask(
        &self,
        mask: &[u8],
        [height, width]: [usize; 2],
    ) -> Result<Tensor, EngineError> {
        let (rows, columns) = (height / AREA, width / AREA);
        let mut most = vec![0u8; rows * columns];
        for (y, row) in mask.chunks_exact(width.max(1)).take(height).enumerate() {
            for (x, value) in row.iter().enumerate() {
                if let Some(most) = most.get_mut(y / AREA * columns + x / AREA) {
                    *most = (*most).max(*value);
                }
            }
        }
        let values: Vec<f32> = most.into_iter().map(|value| f32::from(value) / 255.0).collect();
        let small = Tensor::from_vec(values, (1, 1, rows, columns), self.compute.device())?;
        let cells = candle_nn::ops::pixel_unshuffle(&small, CELL)?; // [1, 16, h, w]
        Ok(Tensor::cat(&[&cells, &cells, &cells], 1)?)
    }

    /// Turns pictures `[batch, 3, height, width]` in -1..=1, whose sizes are multiples of 16, into
    /// normalised latents `[batch, 48, height/16, width/16]`: where editing starts.
    ///
    /// Every 4×4 pixels are averaged; 4×4 of those averages make a cell, ordered (colour, row,
    /// column). Nothing is learnt.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn encode(&self, pictures: &Tensor) -> Result<Tensor, EngineError> {
        let small = pictures.to_device(self.compute.device())?.avg_pool2d(AREA)?;
        let latents = candle_nn::ops::pixel_unshuffle(&small, CELL)?;
        Ok(latents.broadcast_sub(&self.mean)?.broadcast_div(&self.std)?)
    }
}
