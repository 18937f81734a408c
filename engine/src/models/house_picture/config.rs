//! The sizes of the networks, from `config.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::error::EngineError;

/// Holds the sizes of all networks of a house picture model and the statistics of its latents.
///
/// Names are those of the file; what the program does not need is ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Config {
    /// Version of the format; 3.
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
    /// First id that is a concept and so has a sketch in every style.
    pub sketch_first: usize,
    /// Cells of a sketch, each way.
    pub sketch_side: usize,
    /// Numbers of a sketch's cell, its code.
    pub sketch_width: usize,
    /// Pixels of the drawing that a sketch makes, each way.
    pub sketch_pixels: usize,
    /// How many sketches a prompt brings at most.
    pub sketch_max: usize,
    /// Ids of the styles, in the order of the sketches; the first is meant where none is named.
    pub style_ids: Vec<u32>,
    /// Where things nominally stand, `[dx, dy, side]` for each: of key 0 a thing alone, of others
    /// those that the relation, size or count of this id gives.
    pub layouts: BTreeMap<u32, Vec<[f32; 3]>>,
    /// How far chance moves things, and by how much it changes the size of one alone, and of several.
    pub stir: [f32; 3],
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
        let mut places = self.layouts.values().flatten();
        let is_inside = |[dx, dy, side]: &[f32; 3]| {
            dx.abs() <= 1.0 && dy.abs() <= 1.0 && (0.05..=2.0).contains(side)
        };
        let moments = self.latent_mean.iter().chain(&self.latent_std);
        Some(match () {
            () if self.version != 3 || self.encoder != "area4" || self.prediction != "x0" => {
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
            () if !(1..=64).contains(&self.sketch_side)
                || is_absurd(&self.sketch_width)
                || !(1..=256).contains(&self.sketch_pixels)
                || !self.sketch_pixels.is_multiple_of(self.sketch_side)
                || self.sketch_first >= self.vocab =>
            {
                "gives sketches that do not fit its vocabulary"
            }
            () if !(1..=64).contains(&self.sketch_max)
                || !(1..=64).contains(&self.style_ids.len())
                || !self.layouts.contains_key(&0)
                || places.any(|place| !is_inside(place))
                || self.stir.iter().any(|share| !(0.0..=0.5).contains(share)) =>
            {
                "gives no styles or places for its sketches, or a place outside of the picture"
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The recipe's configuration, with one of its values replaced.
    fn read(key: &str, value: serde_json::Value) -> Result<Config, EngineError> {
        let json = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../assets/models/house-picture/recipe/config.json"
        ));
        let mut file: serde_json::Value = serde_json::from_str(json).expect("the recipe's file");
        file[key] = value;
        Config::from_json(&file.to_string(), Path::new("config.json"))
    }

    #[test]
    fn a_configuration_needs_styles_and_places_inside_the_picture() {
        assert!(read("version", 3.into()).is_ok());
        assert!(read("version", 2.into()).is_err());
        assert!(read("sketch_pixels", 47.into()).is_err());
        assert!(read("stir", serde_json::json!([0.05, 9.0, 0.07])).is_err());
        assert!(read("style_ids", serde_json::json!([])).is_err());
        assert!(read("sketch_max", 0.into()).is_err());
        for places in [
            serde_json::json!({}),
            serde_json::json!({"0": [[0, 0, 0]]}),
            serde_json::json!({"0": [[0, 0, 0.66]], "92": [[1e9, 0, 0.5]]}),
            serde_json::json!({"0": [[0, 0]]}),
        ] {
            assert!(read("layouts", places.clone()).is_err(), "{places}");
        }
    }
}
