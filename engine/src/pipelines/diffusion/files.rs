//! What a model of the Stable Diffusion family is made of, told from its files.

use std::path::Path;

use serde_json::Value;

use crate::error::EngineError;
use crate::math::schedule::{AlignedFor, NoiseTable};
use crate::models::stable_diffusion::prompt::Padding;
use crate::protocol::{JobContext, PredictionChoice};
use crate::sampling::Prediction;
use crate::weights::detect::{self, Base, Family, detect};
use crate::weights::names::{Named, Part};
use crate::weights::open::Checkpoint;
use crate::weights::sd_config::{TextConfig, UnetConfig, VaeConfig, read_json};

/// Channels that a net reads beside its latents: those of a mask and of a picture's latents.
pub(super) const MASKED_CHANNELS: usize = 9;
/// The same of a net that follows instructions: a picture's latents.
pub(super) const INSTRUCTED_CHANNELS: usize = 8;

/// Describes a model: what its nets are like, and how it is sampled.
#[derive(Debug, Clone)]
pub struct Description {
    /// The line of models, where it is told by the width of the words.
    pub base: Option<Base>,
    /// The net.
    pub unet: UnetConfig,
    /// The autoencoder; `None` where the file has none.
    pub vae: Option<VaeConfig>,
    /// The first text encoder.
    pub first: TextConfig,
    /// The second text encoder, in models of the shape of SDXL.
    pub second: Option<TextConfig>,
    /// What the net predicts.
    pub prediction: Prediction,
    /// The noise that it was trained on.
    pub table: NoiseTable,
    /// Its own choice of levels is that of the last timestep of each stretch: turbo models.
    pub is_trailing: bool,
    /// What fills up a text of the first encoder.
    pub padding: Padding,
    /// An empty negative prompt stands for nothing at all, not for an empty text.
    pub has_empty_negative: bool,
}

impl Description {
    /// Describes a model by its files.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is no whole model of the family, or of a kind that cannot be
    /// painted with.
    pub fn of(
        file: &Checkpoint,
        prediction: Option<PredictionChoice>,
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let path = file.path();
        let found = detect(file);
        if found.family != Family::StableDiffusion {
            let reason = match found.family {
                Family::Unknown => "is no model that can be painted with".to_owned(),
                family => format!("is a {family}, not a whole model that can be painted with"),
            };
            return Err(EngineError::damaged(path, reason));
        }
        let net = Named::of(file, Part::Unet, job)?;
        let unet = UnetConfig::of(net.shapes(), net.settings(), path)?;
        refuse_other_kinds(&unet, path)?;
        let base = found.base.or(Base::of_context(unet.context));
        let is_xl = unet.addition.is_some();
        let text = |part| -> Result<TextConfig, EngineError> {
            let named = Named::of(file, part, job).map_err(|_| {
                let reason = format!("lacks the {part} of its model; choose a file that has it");
                EngineError::damaged(path, reason)
            })?;
            TextConfig::of(named.shapes(), named.settings(), path)
        };
        let vae = match Named::of(file, Part::Vae, job) {
            Ok(named) => Some(VaeConfig::of(named.shapes(), named.settings(), base, path)?),
            Err(_) => None,
        };
        let scheduler = Scheduler { file };
        let mut table = scheduler.table()?;
        let is_terminal =
            scheduler.is("rescale_betas_zero_snr") || file.tensors().contains_key("ztsnr");
        if is_terminal {
            table = table.with_zero_terminal_snr()?;
        }
        let first = text(Part::TextEncoder)?;
        Ok(Self {
            base,
            vae,
            padding: padding(file, &first, is_xl)?,
            first,
            second: is_xl.then(|| text(Part::TextEncoder2)).transpose()?,
            prediction: match (prediction, found.prediction) {
                (Some(PredictionChoice::Epsilon), _) => Prediction::Epsilon,
                (Some(PredictionChoice::V), _) | (None, Some(detect::Prediction::V)) => {
                    Prediction::V
                }
                (None, Some(detect::Prediction::Edm)) => {
                    let reason = "predicts as EDM does, which cannot be painted with yet";
                    return Err(EngineError::damaged(path, reason));
                }
                (None, _) => Prediction::Epsilon,
            },
            table,
            is_trailing: scheduler.fact("timestep_spacing") == Some("trailing"),
            has_empty_negative: is_xl && empty_negative(path)?,
            unet,
        })
    }

    /// Returns the pixels of a latent's side.
    pub fn scale(&self) -> usize {
        let levels = self.vae.as_ref().map_or(4, |vae| vae.channels.len());
        1 << (levels.max(1) - 1)
    }

    /// Returns the step of sizes in pixels: a latent that the net's lowest level has once.
    pub fn grid_px(&self) -> u32 {
        let net = 1 << (self.unet.levels.len().max(1) - 1);
        u32::try_from(self.scale() * net).unwrap_or(u32::MAX)
    }

    /// Returns the family for which levels were optimised.
    pub fn aligned(&self) -> AlignedFor {
        match self.unet.addition {
            Some(_) => AlignedFor::StableDiffusionXl,
            None => AlignedFor::StableDiffusion1,
        }
    }

    /// Returns how many channels latents have.
    pub fn latent_channels(&self) -> usize {
        self.unet.out_channels
    }
}

/// Refuses nets that need what a prompt and a picture cannot give.
fn refuse_other_kinds(unet: &UnetConfig, path: &Path) -> Result<(), EngineError> {
    let latent = unet.out_channels;
    let other = match unet.in_channels {
        channels if channels == latent => None,
        MASKED_CHANNELS | INSTRUCTED_CHANNELS => None,
        5 => Some("needs a depth map".to_owned()),
        7 => Some("enlarges pictures by words".to_owned()),
        channels => Some(format!("reads {channels} channels")),
    };
    let other = other.or_else(|| {
        let width = unet.addition.map(|addition| addition.input);
        (width == Some(2560)).then(|| "is the refiner of SDXL".to_owned())
    });
    let other = other.or_else(|| unet.classes.is_some().then(|| "reads classes".to_owned()));
    match other {
        None => Ok(()),
        Some(what) => {
            let reason = format!("holds a net that {what}, which cannot be painted with yet");
            Err(EngineError::damaged(path, reason))
        }
    }
}

/// Reads what a folder of diffusers says about sampling.
struct Scheduler<'a> {
    file: &'a Checkpoint,
}

impl Scheduler<'_> {
    fn fact(&self, key: &str) -> Option<&str> {
        let key = format!("scheduler/{key}");
        let facts = self.file.facts();
        facts.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    fn is(&self, key: &str) -> bool {
        self.fact(key) == Some("true")
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.fact(key)?.parse().ok()
    }

    /// Makes the table that the settings describe; without settings that of Stable Diffusion.
    fn table(&self) -> Result<NoiseTable, EngineError> {
        let steps = self.number("num_train_timesteps").unwrap_or(1000.0);
        let steps = if (2.0..=100_000.0).contains(&steps) { steps as usize } else { 0 };
        let start = self.number("beta_start").unwrap_or(0.00085);
        let end = self.number("beta_end").unwrap_or(0.012);
        match self.fact("beta_schedule") {
            None | Some("scaled_linear") => NoiseTable::scaled_linear(start, end, steps),
            Some("linear") => NoiseTable::linear(start, end, steps),
            Some("squaredcos_cap_v2") => NoiseTable::squared_cosine(steps),
            Some(other) => {
                let reason = format!("names the noise schedule “{other}”, which is not known");
                Err(EngineError::damaged(self.file.path(), reason))
            }
        }
    }
}

/// Returns what fills up a text of the first encoder: what the tokenizer's settings say, where they
/// are; otherwise what the encoder was trained with.
fn padding(file: &Checkpoint, first: &TextConfig, is_xl: bool) -> Result<Padding, EngineError> {
    let settings = file.path().join("tokenizer").join("tokenizer_config.json");
    if settings.is_file() {
        let settings = read_json(&settings)?;
        let token = &settings["pad_token"];
        let token = token.as_str().or(token["content"].as_str());
        return Ok(if token == Some("!") { Padding::Zero } else { Padding::End });
    }
    // The encoder of SD 2.x is OpenCLIP's.
    let is_open = Base::of_context(first.width) == Some(Base::Sd2);
    Ok(if is_open && !is_xl { Padding::Zero } else { Padding::End })
}

/// Tells whether an empty negative prompt stands for zeros: so in SDXL, unless its folder says
/// otherwise.
///
/// # Source
/// diffusers `force_zeros_for_empty_prompt`; Stability's generative-models, `force_zero_embeddings`.
fn empty_negative(path: &Path) -> Result<bool, EngineError> {
    let list = path.join("model_index.json");
    if !list.is_file() {
        return Ok(true);
    }
    let list: Value = read_json(&list)?;
    Ok(list["force_zeros_for_empty_prompt"].as_bool().unwrap_or(true))
}
