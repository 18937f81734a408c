//! The sizes of published models, for measuring networks without a checkpoint.

use super::text::{Activation, TextConfig};
use super::unet::{Addition, Level, UnetConfig};
use super::vae::VaeConfig;

impl UnetConfig {
    /// Returns the sizes of Stable Diffusion 1.x.
    ///
    /// # Source
    /// `unet/config.json` of Stable Diffusion 1.5 as diffusers has it.
    pub fn sd15() -> Self {
        let depths = [(320, 1), (640, 1), (1280, 1), (1280, 0)];
        Self {
            in_channels: 4,
            out_channels: 4,
            levels: depths.map(|(channels, depth)| level(channels, depth, 8)).to_vec(),
            mid: Some(vec![1]),
            context: 768,
            time_width: 1280,
            has_linear_projections: false,
            addition: None,
            classes: None,
            guidance_width: None,
        }
    }

    /// Returns the sizes of Stable Diffusion XL's base model.
    ///
    /// # Source
    /// `unet/config.json` of Stable Diffusion XL base 1.0 as diffusers has it.
    pub fn sdxl() -> Self {
        let depths = [(320, 0), (640, 2), (1280, 10)];
        Self {
            levels: depths.map(|(channels, depth)| level(channels, depth, channels / 64)).to_vec(),
            mid: Some(vec![10]),
            context: 2048,
            has_linear_projections: true,
            addition: Some(Addition { input: 2816, size_width: 256 }),
            ..Self::sd15()
        }
    }
}

/// Makes a level of two layers.
fn level(channels: usize, depth: usize, heads: usize) -> Level {
    Level { channels, down: vec![depth; 2], up: vec![depth; 3], heads, is_words_only: false }
}

impl VaeConfig {
    /// Returns the sizes of the autoencoder of Stable Diffusion 1.x, 2.x and XL.
    ///
    /// # Source
    /// `vae/config.json` of Stable Diffusion 1.5 as diffusers has it.
    pub fn sd() -> Self {
        Self {
            picture_channels: 3,
            latent_channels: 4,
            channels: vec![128, 256, 512, 512],
            layers: 2,
            scaling_factor: 0.18215,
            has_quant: true,
            has_encoder: true,
        }
    }
}

impl TextConfig {
    /// Returns the sizes of CLIP ViT-L/14, the encoder of Stable Diffusion 1.x.
    ///
    /// # Source
    /// `text_encoder/config.json` of Stable Diffusion 1.5 as diffusers has it.
    pub fn clip_l() -> Self {
        Self {
            width: 768,
            layers: 12,
            heads: 12,
            inner: 3072,
            vocabulary: 49_408,
            positions: 77,
            activation: Activation::QuickGelu,
            projection: None,
        }
    }

    /// Returns the sizes of OpenCLIP ViT-bigG/14, the second encoder of Stable Diffusion XL.
    ///
    /// # Source
    /// `text_encoder_2/config.json` of Stable Diffusion XL base 1.0 as diffusers has it.
    pub fn clip_g() -> Self {
        Self {
            width: 1280,
            layers: 32,
            heads: 20,
            inner: 5120,
            activation: Activation::Gelu,
            projection: Some(1280),
            ..Self::clip_l()
        }
    }
}
