//! The sizes of the networks, from `config.json`.

use std::path::Path;

use serde::Deserialize;

use crate::error::EngineError;

/// Holds the sizes of all networks of a house picture model and the statistics of its latents.
///
/// Names are those of the file; what the program does not need is ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Config {
    /// Version of the format: 1, or 2 for one that may have a [`Config::mend`].
    pub version: u32,
    /// How pictures become latents; `area4`.
    pub encoder: String,
    /// What the transformer predicts; `x0`.
    pub prediction: String,
    /// Channels of a latent; 48.
    pub latent_channels: usize,
    /// Width of the decoder at a quarter of the picture's size.
    pub dec_width: usize,
    /// Residual blocks of the decoder.
    pub dec_blocks: usize,
    /// Width of the decoder at half the picture's size.
    pub dec_out_width: usize,
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
    /// First id that is a concept and so has a sketch.
    #[serde(default)]
    pub sketch_first: usize,
    /// Cells of a sketch, each way.
    #[serde(default)]
    pub sketch_side: usize,
    /// Numbers of a sketch's cell.
    #[serde(default)]
    pub sketch_width: usize,
    /// How many of a prompt's concepts bring their sketch; 0 in a model without sketches.
    #[serde(default)]
    pub sketch_max: usize,
    /// Width of the net that mends the seams between tokens; 0 in a model without one.
    #[serde(default)]
    pub mend: usize,
    /// Mean of each channel of the latents that the transformer knows normalised.
    pub latent_mean: Vec<f32>,
    /// Standard deviation of each channel.
    pub latent_std: Vec<f32>,
    /// Guidance that the recipe recommends.
    #[serde(default = "default_guidance")]
    pub guidance: f32,
    /// Steps that the recipe recommends.
    #[serde(default = "default_steps")]
    pub steps: u32,
    /// How far the noise schedule is bent towards noise; 1 is not at all.
    #[serde(default = "default_shift")]
    pub shift: f64,
}

fn default_guidance() -> f32 {
    3.0
}

fn default_steps() -> u32 {
    20
}

fn default_shift() -> f64 {
    1.0
}

/// Numbers of an attention head.
pub(super) const HEAD_WIDTH: usize = 64;
/// Latent cells per token, each way.
pub(super) const PATCH: usize = 2;
/// Picture pixels per pixel of the small picture that a latent is, each way.
pub(super) const AREA: usize = 4;
/// Pixels of the small picture per latent cell, each way.
pub(super) const CELL: usize = 4;

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
        let widths = [self.dec_width, self.dec_out_width, self.width, self.mlp, self.max_tokens];
        let is_absurd = |size: &usize| !(1..=1 << 16).contains(size);
        let moments = self.latent_mean.iter().chain(&self.latent_std);
        Some(match () {
            () if !(1..=2).contains(&self.version)
                || self.encoder != "area4"
                || self.prediction != "x0" =>
            {
                "describes a kind of model that this program does not know"
            }
            () if self.latent_channels != 3 * CELL * CELL => {
                "gives another latent than 48 channels"
            }
            () if widths.iter().any(is_absurd)
                || is_absurd(&self.time_freqs)
                || self.mend > 1 << 16 =>
            {
                "gives a size that no house model has"
            }
            () if Some(self.width) != self.heads.checked_mul(HEAD_WIDTH) => {
                "gives a width that is not 64 per head"
            }
            () if self.sketch_max > 0
                && (is_absurd(&self.sketch_side)
                    || is_absurd(&self.sketch_width)
                    || self.sketch_side > 64
                    || self.sketch_first >= self.vocab) =>
            {
                "gives sketches that do not fit its vocabulary"
            }
            () if !self.mlp.is_multiple_of(16) => {
                "gives an inner width that is not a multiple of 16"
            }
            () if self.latent_mean.len() != self.latent_channels
                || self.latent_std.len() != self.latent_channels
                || moments.clone().any(|value| !value.is_finite()) =>
            {
                "gives statistics that do not fit the latent's channels"
            }
            () => return None,
        })
    }
}
