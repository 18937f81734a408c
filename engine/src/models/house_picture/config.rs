//! The sizes of the networks, from `config.json`.

use std::path::Path;

use serde::Deserialize;

use crate::error::EngineError;

/// Holds the sizes of all networks of a house picture model and the statistics of its latents.
///
/// Names are those of the file; what the program does not need is ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Config {
    /// Version of the format; 1.
    pub version: u32,
    /// Channels of a latent.
    pub latent_channels: usize,
    /// Widths of the encoder's three stages, from the picture to the latent.
    pub enc_widths: [usize; 3],
    /// Residual blocks of the encoder's stages.
    pub enc_blocks: [usize; 3],
    /// Widths of the decoder's three stages, from the latent to the picture.
    pub dec_widths: [usize; 3],
    /// Residual blocks of the decoder's stages.
    pub dec_blocks: [usize; 3],
    /// Width of the decoder at half the picture's size.
    pub dec_out_width: usize,
    /// Groups of the group norms.
    pub norm_groups: usize,
    /// Rows of the token table.
    pub vocab: usize,
    /// Most tokens that are read.
    pub max_tokens: usize,
    /// Width of text states and of the transformer.
    pub width: usize,
    /// Attention heads, of 64 numbers each.
    pub heads: usize,
    /// Width inside the gated MLPs.
    pub mlp: usize,
    /// Blocks of the transformer.
    pub blocks: usize,
    /// Blocks of the text encoder.
    pub text_blocks: usize,
    /// Frequencies of the time embedding.
    pub time_freqs: usize,
    /// Frequencies of the place embedding.
    pub pos_freqs: usize,
    /// Base of the rotary embedding's frequencies.
    pub rope_base: f32,
    /// Mean of each channel of the latents that the transformer knows normalised.
    pub latent_mean: Vec<f32>,
    /// Standard deviation of each channel.
    pub latent_std: Vec<f32>,
    /// The linear map of the preview, when the recipe made one.
    #[serde(default)]
    pub preview: Option<PreviewMap>,
    /// Guidance that the recipe recommends.
    #[serde(default = "default_guidance")]
    pub guidance: f32,
    /// Steps that the recipe recommends.
    #[serde(default = "default_steps")]
    pub steps: u32,
}

fn default_guidance() -> f32 {
    3.0
}

fn default_steps() -> u32 {
    20
}

/// Numbers of an attention head.
pub(crate) const HEAD_WIDTH: usize = 64;
/// Picture pixels per latent cell, each way.
pub(crate) const DOWN: usize = 16;
/// Latent cells per token, each way.
pub(crate) const PATCH: usize = 2;

/// Holds a linear map from the 3×3 cells around a normalised latent cell to a block of pixels.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PreviewMap {
    /// Pixels of the preview per latent cell, each way.
    pub block: usize,
    /// `[3 · block², 9 · channels + 1]`, row-major; rows ordered (colour, row, column), columns
    /// (channel, row, column) and then the constant.
    pub weight: Vec<f32>,
}

impl Config {
    /// Reads and checks a configuration; `path` only names the file in errors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is none, of another version, or its sizes do not fit
    /// together.
    pub fn from_json(json: &str, path: &Path) -> Result<Self, EngineError> {
        let config: Self = serde_json::from_str(json).map_err(|error| {
            EngineError::damaged(path, format!("is no configuration of a model ({error})"))
        })?;
        match config.problem() {
            None => Ok(config),
            Some(problem) => Err(EngineError::damaged(path, problem)),
        }
    }

    fn problem(&self) -> Option<&'static str> {
        let groups = self.norm_groups;
        let widths = self.enc_widths.iter().chain(&self.dec_widths);
        let sizes = [self.latent_channels, self.dec_out_width, self.mlp, self.max_tokens];
        let moments = self.latent_mean.iter().chain(&self.latent_std);
        let map_len = |map: &PreviewMap| 3 * map.block * map.block * (9 * self.latent_channels + 1);
        Some(match () {
            () if self.version != 1 => {
                "describes a model of a version that this program does not know"
            }
            () if groups == 0 || widths.clone().any(|width| *width == 0 || width % groups != 0) => {
                "gives widths that the groups do not divide"
            }
            () if self.width == 0 || self.width != self.heads.saturating_mul(HEAD_WIDTH) => {
                "gives a width that is not 64 per head"
            }
            () if self.mlp % 16 != 0 => "gives an inner width that is not a multiple of 16",
            () if sizes.contains(&0) || self.time_freqs == 0 => "gives a size of zero",
            () if sizes.iter().chain(widths).any(|size| *size > 1 << 16)
                || self.width > 1 << 16 =>
            {
                "gives a size that no house model has"
            }
            () if self.latent_mean.len() != self.latent_channels
                || self.latent_std.len() != self.latent_channels
                || moments.clone().any(|value| !value.is_finite()) =>
            {
                "gives statistics that do not fit the latent's channels"
            }
            () if self.preview.as_ref().is_some_and(|map| {
                !(1..=16).contains(&map.block) || map.weight.len() != map_len(map)
            }) =>
            {
                "gives a preview map of the wrong size"
            }
            () => return None,
        })
    }
}
