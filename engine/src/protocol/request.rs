//! What a front end asks for. A request is complete and replayable: the same struct is run,
//! written into the output and read back by “use these settings”.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    CutOutRequest, EnlargeRequest, Extras, Precision, Sampling, SoundRequest, WordsRequest,
};

/// Asks the engine for one job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// A picture, or several from consecutive seeds.
    Picture(Box<PictureRequest>),
    /// Text from a language model.
    Words(Box<WordsRequest>),
    /// A piece of music.
    Sound(Box<SoundRequest>),
    /// A picture, enlarged.
    Enlarge(Box<EnlargeRequest>),
    /// The subject of a picture, without its background.
    CutOut(Box<CutOutRequest>),
}

/// Describes pictures to be made from a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureRequest {
    /// Which model paints.
    pub model: ModelRef,
    /// What to paint.
    pub prompt: Prompt,
    /// How large.
    pub size: Size,
    /// How to sample.
    pub sampling: Sampling,
    /// The seed of the first picture; the n-th of a batch has `seed + n`.
    pub seed: u64,
    /// How many pictures, at least 1.
    pub count: u32,
    /// Where the starting noise comes from.
    #[serde(default)]
    pub noise: NoiseSource,
    /// What is shown while sampling; no influence on the result.
    #[serde(default)]
    pub preview: PreviewMode,
    /// Which device computes.
    #[serde(default)]
    pub device: DeviceChoice,
    /// How exactly the processor computes.
    #[serde(default = "Precision::of_old_recipes")]
    pub precision: Precision,
    /// Whether the output carries the latents before decoding.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_latents: bool,
    /// Files that change the model, and pictures that guide it.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

/// Names a model by its name and the SHA-256 of its weights.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelRef {
    /// The name in the library (`house-picture`) or the path of a folder.
    pub name: String,
    /// Hexadecimal SHA-256 of the weights file; empty when the front end does not know it yet
    /// (the engine fills it in before the recipe is written).
    #[serde(default)]
    pub sha256: String,
}

impl ModelRef {
    /// Names a model whose hash is not known yet.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), sha256: String::new() }
    }
}

/// Holds the words of a picture request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// What the picture shows.
    pub text: String,
    /// What it should not show; empty for none.
    #[serde(default)]
    pub negative: String,
    /// Style words that are appended to the text, in the model's words.
    #[serde(default)]
    pub styles: Vec<String>,
}

impl Prompt {
    /// Returns the text with its styles, as the model reads it.
    pub fn with_styles(&self) -> String {
        let mut text = self.text.trim().to_owned();
        for style in &self.styles {
            text.push_str(", ");
            text.push_str(style);
        }
        text
    }
}

/// Holds a picture's size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
}

/// Says where the starting noise comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseSource {
    /// From the seed.
    #[default]
    Seed,
    /// From the tensor `noise` (`[batch, c, h, w]`, f32) of a safetensors file.
    File(PathBuf),
}

/// Says what is shown while a picture is sampled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreviewMode {
    /// No preview.
    Off,
    /// A preview after each step, by the cheapest way that looks right.
    #[default]
    EveryStep,
}

/// Says which device computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChoice {
    /// The fastest that works.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The n-th NVIDIA GPU.
    Cuda(usize),
    /// The n-th Apple GPU.
    Metal(usize),
}
