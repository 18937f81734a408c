//! What a front end asks for. A request is complete and replayable: the same struct is run,
//! written into the output and read back by “use these settings”.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{SoundRequest, WordsRequest};

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
    /// Whether the output carries the latents before decoding.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_latents: bool,
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

/// Holds the settings of the sampler.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// The algorithm.
    pub sampler: SamplerKind,
    /// Number of steps, 1 to 150.
    pub steps: u32,
    /// Strength of classifier-free guidance; 1 is off, 0 to 30 are accepted.
    pub guidance: f32,
}

impl Default for Sampling {
    /// What the house model's card recommends.
    fn default() -> Self {
        Self { sampler: SamplerKind::default(), steps: 20, guidance: 1.5 }
    }
}

/// Names a sampling algorithm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SamplerKind {
    /// First order; one model call per step.
    #[default]
    Euler,
    /// Second order; two model calls per step.
    Heun,
    /// DPM-Solver++ (2M), second order multistep.
    #[serde(rename = "dpmpp_2m")]
    DpmPp2m,
    /// UniPC, second order predictor and corrector.
    #[serde(rename = "unipc")]
    UniPc,
}

impl SamplerKind {
    /// Lists every sampler, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Euler, Self::Heun, Self::DpmPp2m, Self::UniPc];

    /// Returns the name used on the command line and in recipes.
    pub fn id(self) -> &'static str {
        match self {
            Self::Euler => "euler",
            Self::Heun => "heun",
            Self::DpmPp2m => "dpmpp_2m",
            Self::UniPc => "unipc",
        }
    }

    /// Returns the name that people know it by.
    pub fn label(self) -> &'static str {
        match self {
            Self::Euler => "Euler",
            Self::Heun => "Heun",
            Self::DpmPp2m => "DPM++ 2M",
            Self::UniPc => "UniPC",
        }
    }
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
