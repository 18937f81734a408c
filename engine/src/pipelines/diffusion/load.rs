//! Files → networks.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use super::autoencoder::Autoencoder;
use super::files::Description;
use crate::error::EngineError;
use crate::models::stable_diffusion::{ControlNet, TextEncoder, TinyAutoencoder, Unet, Vae};
use crate::nn::{Compute, Load};
use crate::protocol::{JobContext, PredictionChoice};
use crate::weights::Tensors;
use crate::weights::embedding::Embedding;
use crate::weights::lora::{Lora, Patched, Stack, Strength, Targets, Unmatched};
use crate::weights::names::{Named, Part};
use crate::weights::open::Checkpoint;
use crate::weights::sd_config::{ControlConfig, TinyVaeConfig, VaeConfig};

/// Names the files that a model is loaded from.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPlan {
    /// The model: a file, or a folder of diffusers.
    pub model: PathBuf,
    /// LoRAs with their strengths in the net and in the text encoders.
    pub loras: Vec<(PathBuf, [f32; 2])>,
    /// What the net predicts, if the person says so.
    pub prediction: Option<PredictionChoice>,
}

/// Holds the networks of a model.
pub struct Networks {
    /// What they are like.
    pub about: Description,
    /// How they compute.
    pub compute: Compute,
    pub(super) unet: Unet,
    pub(super) first: TextEncoder,
    pub(super) second: Option<TextEncoder>,
    /// The model's own autoencoder, if its file has one.
    pub(super) vae: Option<Autoencoder>,
    /// New words that came with LoRAs.
    pub(super) words: Vec<Embedding>,
    /// What of each LoRA fits nothing in this model.
    pub(super) unmatched: Vec<(PathBuf, Vec<Unmatched>)>,
}

impl Networks {
    /// Loads a model with its LoRAs.
    ///
    /// # Errors
    /// Those of [`Description::of`] and [`Lora::open`]; [`EngineError::Damaged`] when weights are
    /// missing; [`EngineError::Cancelled`] within a tensor's time of a cancel.
    pub fn load(plan: &ModelPlan, compute: Compute, job: &JobContext) -> Result<Self, EngineError> {
        job.check()?;
        let file = Checkpoint::open(&plan.model)?;
        let about = Description::of(&file, plan.prediction, job)?;
        let targets = Targets::new(Some(&about.unet), Some(&about.first), about.second.as_ref());
        let mut loras = Vec::new();
        for (path, strength) in &plan.loras {
            job.check()?;
            loras.push((Lora::open(path, &targets)?, *strength));
        }
        let mut stack = Stack::default();
        for (lora, [unet, text]) in &loras {
            stack.push(lora, Strength { unet: *unet, text: *text })?;
        }
        let progress = Progress::new(&file);
        let loader =
            Loader { file: &file, stack: &stack, compute: &compute, job, progress: &progress };
        // The largest part first: when memory is short, that is seen before the rest is read.
        let unet =
            loader.part(Part::Unet, &about.unet.tensors(), |load| Unet::new(&about.unet, load))?;
        let first = loader.part(Part::TextEncoder, &about.first.tensors(), |load| {
            TextEncoder::new(&about.first, load)
        })?;
        let second = about.second.as_ref().map(|config| {
            loader
                .part(Part::TextEncoder2, &config.tensors(), |load| TextEncoder::new(config, load))
        });
        let vae = about.vae.as_ref().map(|config| loader.vae(config));
        let (second, vae) = (second.transpose()?, vae.transpose()?);
        let words = loras.iter().flat_map(|(lora, _)| lora.words().to_vec()).collect();
        let unmatched = loras
            .iter()
            .filter(|(lora, _)| !lora.unmatched().is_empty())
            .map(|(lora, _)| (lora.path().to_owned(), lora.unmatched().to_vec()))
            .collect();
        Ok(Self { unet, first, second, vae, words, unmatched, about, compute })
    }
}

/// Loads a ControlNet.
///
/// # Errors
/// [`EngineError::Damaged`] when it is none; as [`Networks::load`].
pub fn load_control(
    path: &Path,
    compute: &Compute,
    job: &JobContext,
) -> Result<ControlNet, EngineError> {
    let file = Checkpoint::open(path)?;
    let named = Named::of(&file, Part::ControlNet, job)?;
    let config = ControlConfig::of(named.shapes(), named.settings(), path)?;
    let stack = Stack::default();
    let progress = Progress::new(&file);
    let loader = Loader { file: &file, stack: &stack, compute, job, progress: &progress };
    loader.part(Part::ControlNet, &config.tensors(), |load| ControlNet::new(&config, load))
}

/// Loads a tiny autoencoder.
///
/// # Errors
/// [`EngineError::Damaged`] when it is none; as [`Networks::load`].
pub fn load_tiny(
    path: &Path,
    compute: &Compute,
    job: &JobContext,
) -> Result<TinyAutoencoder, EngineError> {
    let file = Checkpoint::open(path)?;
    let named = Named::of(&file, Part::TinyVae, job)?;
    let config = TinyVaeConfig::of(named.shapes(), path)?;
    // Kin of another build have layers that this one would pass over, and would decode to nonsense.
    let left = named.check(&config.tensors())?;
    if let Some(name) = left.iter().find(|name| name.contains("coder.")) {
        let reason = format!("is a tiny autoencoder of a kind that is not known, with “{name}”");
        return Err(EngineError::damaged(path, reason));
    }
    TinyAutoencoder::new(&config, &Load::new(&named, compute.clone()))
}

/// Counts the bytes that were read of a file.
pub(super) struct Progress {
    done: Cell<u64>,
    total: u64,
}

impl Progress {
    pub(super) fn new(file: &Checkpoint) -> Self {
        Self { done: Cell::new(0), total: file.file_bytes() }
    }
}

/// Loads the parts of one file.
pub(super) struct Loader<'a> {
    pub(super) file: &'a Checkpoint,
    pub(super) stack: &'a Stack<'a>,
    pub(super) compute: &'a Compute,
    pub(super) job: &'a JobContext,
    pub(super) progress: &'a Progress,
}

impl Loader<'_> {
    fn part<T>(
        &self,
        part: Part,
        needed: &[(String, Vec<usize>)],
        make: impl FnOnce(&Load<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let named = Named::of(self.file, part, self.job)?
            .counting(&self.progress.done, self.progress.total);
        named.check(needed)?;
        let patched = Patched::new(&named, self.stack);
        let tensors: &dyn Tensors = if self.stack.is_empty() { &named } else { &patched };
        make(&Load::new(tensors, self.compute.clone()))
    }

    pub(super) fn vae(&self, config: &VaeConfig) -> Result<Autoencoder, EngineError> {
        let net = self.part(Part::Vae, &config.tensors(), |load| Vae::new(config, load))?;
        Ok(Autoencoder::Whole { net: Box::new(net), scaling: config.scaling_factor })
    }
}
