//! The request that is being written on the left.

use atelier_engine::protocol::{
    DeviceChoice, Extras, ModelRef, NoiseSource, PictureRequest, Precision, PreviewMode, Prompt,
    Sampling, Size,
};

/// How many pictures one request may ask for from the window.
pub const COUNT_MAX: u32 = 16;

/// Holds a shape of picture that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizePreset {
    /// What it is called, for instance `3:4`.
    pub name: &'static str,
    /// Its size on the 32-pixel grid, near 256² pixels.
    pub size: Size,
}

const fn preset(name: &'static str, width_px: u32, height_px: u32) -> SizePreset {
    SizePreset { name, size: Size { width_px, height_px } }
}

/// Lists the shapes that are offered, from tall to wide.
pub const SIZE_PRESETS: [SizePreset; 7] = [
    preset("1:2", 192, 384),
    preset("2:3", 224, 320),
    preset("3:4", 224, 288),
    preset("1:1", 256, 256),
    preset("4:3", 288, 224),
    preset("3:2", 320, 224),
    preset("2:1", 384, 192),
];

/// Holds the seed and what happens to it at the next request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedState {
    /// The number as it stands in the field, also while it is being typed.
    pub text: String,
    /// The last valid number.
    pub value: u64,
    /// Whether the next request keeps it.
    pub locked: bool,
    /// What the next seed is made from; advanced by each roll.
    pub entropy: u64,
}

impl Default for SeedState {
    fn default() -> Self {
        Self { text: "0".to_owned(), value: 0, locked: false, entropy: 0 }
    }
}

impl SeedState {
    /// Sets the seed to a number.
    pub fn set(&mut self, value: u64) {
        self.value = value;
        self.text = value.to_string();
    }

    /// Rolls a new seed of at most ten digits.
    ///
    /// # Source
    /// SplitMix64 (Steele, Lea, Flood 2014) over the entropy that the shell gave.
    pub fn roll(&mut self) {
        self.entropy = self.entropy.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.entropy;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        self.set((z ^ (z >> 31)) >> 32);
    }
}

/// Holds the request that is being written.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptState {
    /// What the picture shows.
    pub text: String,
    /// What it does not show.
    pub negative: String,
    /// The styles that are chosen, in the model's words.
    pub styles: Vec<String>,
    /// How large the picture is.
    pub size: Size,
    /// How many pictures, 1 to [`COUNT_MAX`].
    pub count: u32,
    /// The seed.
    pub seed: SeedState,
    /// Sampler, steps and guidance.
    pub sampling: Sampling,
    /// Whether the advanced settings are shown.
    pub advanced: bool,
    /// The words of the text that the model never saw.
    pub unknown: Vec<String>,
    /// What stands beside a model of the Stable Diffusion family.
    pub extras: Extras,
    /// How exactly the processor computes.
    pub precision: Precision,
}

impl Default for PromptState {
    fn default() -> Self {
        Self {
            text: String::new(),
            negative: String::new(),
            styles: Vec::new(),
            size: Size { width_px: 256, height_px: 256 },
            count: 1,
            seed: SeedState::default(),
            sampling: Sampling::default(),
            advanced: false,
            unknown: Vec::new(),
            extras: Extras::default(),
            precision: Precision::Fast,
        }
    }
}

impl PromptState {
    /// Makes the request that is described, for `model` on `device`.
    pub fn request(&self, model: ModelRef, device: DeviceChoice) -> PictureRequest {
        PictureRequest {
            model,
            prompt: Prompt {
                text: self.text.trim().to_owned(),
                negative: self.negative.trim().to_owned(),
                styles: self.styles.clone(),
            },
            size: self.size,
            sampling: self.sampling,
            seed: self.seed.value,
            count: self.count,
            noise: NoiseSource::Seed,
            preview: PreviewMode::EveryStep,
            device,
            precision: self.precision,
            keep_latents: false,
            extras: self.ready_extras(),
        }
    }

    /// Returns what stands beside the model, without a ControlNet that has no picture yet.
    fn ready_extras(&self) -> Extras {
        let mut extras = self.extras.clone();
        extras.controls.retain(|control| !control.picture.path.as_os_str().is_empty());
        extras
    }

    /// Takes every setting of a recipe; the seed is locked, so that the same picture comes again.
    pub fn take_recipe(&mut self, recipe: &PictureRequest) {
        self.text.clone_from(&recipe.prompt.text);
        self.negative.clone_from(&recipe.prompt.negative);
        self.styles.clone_from(&recipe.prompt.styles);
        self.size = recipe.size;
        self.count = recipe.count.clamp(1, COUNT_MAX);
        self.seed.set(recipe.seed);
        self.seed.locked = true;
        self.sampling = recipe.sampling;
        self.precision = recipe.precision;
    }
}
