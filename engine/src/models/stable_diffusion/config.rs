//! The sizes of the family's networks.

use crate::kernels::Activation;

/// Holds the sizes of a denoiser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnetConfig {
    /// Channels that it reads: 4, or more where a mask or a picture stands beside the latents.
    pub in_channels: usize,
    /// Channels that it writes.
    pub out_channels: usize,
    /// Channels of every level, from the largest pictures down.
    pub channels: Vec<usize>,
    /// Blocks of a level on the way down; one more on the way up.
    pub layers: usize,
    /// Transformer blocks behind each block of a level; 0 for a level without attention.
    pub depths: Vec<usize>,
    /// Transformer blocks in the middle.
    pub mid_depth: usize,
    /// Heads of every level.
    pub heads: Vec<usize>,
    /// Numbers of a token of the text.
    pub context_width: usize,
    /// Whether the transformers' first and last layers are stored as matrices.
    pub has_linear_projection: bool,
    /// Numbers of the added condition (pooled text and sizes), 0 for none.
    pub added_width: usize,
}

impl UnetConfig {
    /// Returns the sizes of Stable Diffusion 1.x.
    ///
    /// # Source
    /// `unet/config.json` of Stable Diffusion 1.5 as diffusers has it.
    pub fn sd15() -> Self {
        Self {
            in_channels: 4,
            out_channels: 4,
            channels: vec![320, 640, 1280, 1280],
            layers: 2,
            depths: vec![1, 1, 1, 0],
            mid_depth: 1,
            heads: vec![8; 4],
            context_width: 768,
            has_linear_projection: false,
            added_width: 0,
        }
    }

    /// Returns the sizes of Stable Diffusion XL's base model.
    ///
    /// # Source
    /// `unet/config.json` of Stable Diffusion XL base 1.0 as diffusers has it.
    pub fn sdxl() -> Self {
        Self {
            in_channels: 4,
            out_channels: 4,
            channels: vec![320, 640, 1280],
            layers: 2,
            depths: vec![0, 2, 10],
            mid_depth: 10,
            heads: vec![5, 10, 20],
            context_width: 2048,
            has_linear_projection: true,
            added_width: 2816,
        }
    }
}

/// Holds the sizes of an autoencoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaeConfig {
    /// Channels of every level, from the largest pictures down.
    pub channels: Vec<usize>,
    /// Blocks of a level of the encoder; the decoder has one more.
    pub layers: usize,
    /// Channels of a latent.
    pub latent_channels: usize,
}

impl VaeConfig {
    /// Returns the sizes of the autoencoder of Stable Diffusion 1.x, 2.x and XL.
    ///
    /// # Source
    /// `vae/config.json` of Stable Diffusion 1.5 as diffusers has it.
    pub fn sd() -> Self {
        Self { channels: vec![128, 256, 512, 512], layers: 2, latent_channels: 4 }
    }
}

/// Holds the sizes of a text encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextConfig {
    /// Numbers of a token.
    pub width: usize,
    /// Numbers inside the MLPs.
    pub inner: usize,
    /// Number of layers.
    pub layers: usize,
    /// Number of heads.
    pub heads: usize,
    /// Number of tokens known.
    pub vocabulary: usize,
    /// Tokens of a text.
    pub length: usize,
    /// The MLPs' function.
    pub activation: Activation,
    /// Numbers of the pooled text's projection, 0 for none.
    pub projection: usize,
}

impl TextConfig {
    /// Returns the sizes of CLIP ViT-L/14, the encoder of Stable Diffusion 1.x.
    ///
    /// # Source
    /// `text_encoder/config.json` of Stable Diffusion 1.5 as diffusers has it.
    pub fn clip_l() -> Self {
        Self {
            width: 768,
            inner: 3072,
            layers: 12,
            heads: 12,
            vocabulary: 49_408,
            length: 77,
            activation: Activation::QuickGelu,
            projection: 0,
        }
    }
}
