//! Files → networks.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use super::autoencoder::Autoencoder;
use super::files::Description;
use super::text::KnownContexts;
use crate::error::EngineError;
use crate::models::stable_diffusion::{
    ControlNet, Halves, TextEncoder, TinyAutoencoder, Unet, Vae,
};
use crate::nn::{Compute, Load};
use crate::protocol::{JobContext, Live, PredictionChoice, Stage};
use crate::weights::Tensors;
use crate::weights::embedding::Embedding;
use crate::weights::lora::{Lora, Patched, Stack, Strength, Targets, Unmatched};
use crate::weights::names::{Named, Part};
use crate::weights::open::Checkpoint;
use crate::weights::sd_config::{ControlConfig, TextConfig, TinyVaeConfig, VaeConfig};

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

/// Says how much memory the networks of a model may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Thrift {
    /// All of them stay, in the form that is fastest.
    Ample,
    /// Only the net stays, in the form that is smallest; text encoders and autoencoder are read when
    /// they are needed and let go of right behind that.
    Lean,
}

/// Holds the text encoders of a model.
pub(super) struct Texts {
    pub(super) first: TextEncoder,
    pub(super) second: Option<TextEncoder>,
}

/// Holds the networks of a model: all of them, or those that were needed so far.
pub struct Networks {
    /// What they are like.
    pub about: Description,
    /// How they compute.
    pub compute: Compute,
    pub(super) thrift: Thrift,
    plan: ModelPlan,
    unet: OnceLock<Unet>,
    texts: Option<Arc<Texts>>,
    /// The model's own autoencoder, if its file has one.
    vae: Option<Arc<Autoencoder>>,
    /// New words that came with LoRAs.
    pub(super) words: Vec<Embedding>,
    /// What of each LoRA fits nothing in this model.
    pub(super) unmatched: Vec<(PathBuf, Vec<Unmatched>)>,
    /// What was encoded before.
    pub(super) contexts: Mutex<KnownContexts>,
}

impl Networks {
    /// Loads a model with its LoRAs; a [`Thrift::Lean`] one is only described.
    ///
    /// # Errors
    /// Those of [`Description::of`] and [`Lora::open`]; [`EngineError::Damaged`] when weights are
    /// missing; [`EngineError::Cancelled`] within a tensor's time of a cancel.
    pub fn load(
        plan: &ModelPlan,
        compute: Compute,
        thrift: Thrift,
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        job.check()?;
        let file = Checkpoint::open(&plan.model)?;
        let about = Description::of(&file, plan.prediction, job)?;
        let loras = open_loras(plan, &about, job)?;
        let words = loras.iter().flat_map(|(lora, _)| lora.words().to_vec()).collect();
        let unmatched = loras
            .iter()
            .filter(|(lora, _)| !lora.unmatched().is_empty())
            .map(|(lora, _)| (lora.path().to_owned(), lora.unmatched().to_vec()))
            .collect();
        let mut networks = Self {
            about,
            compute,
            thrift,
            plan: plan.clone(),
            unet: OnceLock::new(),
            texts: None,
            vae: None,
            words,
            unmatched,
            contexts: Mutex::default(),
        };
        if thrift == Thrift::Ample {
            // The largest part first: when memory is short, that is seen before the rest is read.
            let (unet, texts, vae) = networks.with_loader(&file, &loras, job, |loader| {
                let about = &networks.about;
                let vae = about.vae.as_ref().map(|config| loader.vae(config, Halves::Both));
                Ok((loader.unet(about)?, loader.texts(about)?, vae.transpose()?))
            })?;
            networks.unet = OnceLock::from(unet);
            networks.texts = Some(Arc::new(texts));
            networks.vae = vae.map(Arc::new);
        }
        Ok(networks)
    }

    /// Returns the net, which is read when it is not there.
    ///
    /// # Errors
    /// As [`Networks::load`].
    pub(super) fn unet(&self, job: &JobContext) -> Result<&Unet, EngineError> {
        if let Some(unet) = self.unet.get() {
            return Ok(unet);
        }
        let unet = self.read(job, |loader| loader.unet(&self.about))?;
        Ok(self.unet.get_or_init(|| unet))
    }

    /// Returns the text encoders; in a lean model nobody else keeps them.
    ///
    /// # Errors
    /// As [`Networks::load`].
    pub(super) fn texts(&self, job: &JobContext) -> Result<Arc<Texts>, EngineError> {
        match &self.texts {
            Some(texts) => Ok(texts.clone()),
            None => self.read(job, |loader| loader.texts(&self.about)).map(Arc::new),
        }
    }

    /// Returns what is needed of the model's own autoencoder; in a lean model nobody else keeps it.
    ///
    /// # Errors
    /// As [`Networks::load`]; [`EngineError::InvalidSetting`] when there is none.
    pub(super) fn vae(
        &self,
        halves: Halves,
        job: &JobContext,
    ) -> Result<Arc<Autoencoder>, EngineError> {
        let lacks = || EngineError::invalid("model", "has no VAE; choose one beside it");
        let config = self.about.vae.as_ref().ok_or_else(lacks)?;
        match &self.vae {
            Some(vae) => Ok(vae.clone()),
            None => self.read(job, |loader| loader.vae(config, halves)).map(Arc::new),
        }
    }

    /// Opens the files again and reads a part.
    fn read<T>(
        &self,
        job: &JobContext,
        make: impl FnOnce(&Loader<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        job.report(Live { stage: Stage::Loading, ..Live::default() })?;
        let file = Checkpoint::open(&self.plan.model)?;
        let loras = open_loras(&self.plan, &self.about, job)?;
        self.with_loader(&file, &loras, job, make)
    }

    fn with_loader<T>(
        &self,
        file: &Checkpoint,
        loras: &[(Lora, [f32; 2])],
        job: &JobContext,
        make: impl FnOnce(&Loader<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut stack = Stack::default();
        for (lora, [unet, text]) in loras {
            stack.push(lora, Strength { unet: *unet, text: *text })?;
        }
        let (compute, thrift) = (&self.compute, self.thrift);
        let progress = Progress::new(file);
        make(&Loader { file, stack: &stack, compute, thrift, job, progress: &progress })
    }
}

fn open_loras(
    plan: &ModelPlan,
    about: &Description,
    job: &JobContext,
) -> Result<Vec<(Lora, [f32; 2])>, EngineError> {
    let targets = Targets::new(Some(&about.unet), Some(&about.first), about.second.as_ref());
    let mut loras = Vec::new();
    for (path, strength) in &plan.loras {
        job.check()?;
        loras.push((Lora::open(path, &targets)?, *strength));
    }
    Ok(loras)
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
    let thrift = Thrift::Ample;
    let loader = Loader { file: &file, stack: &stack, compute, thrift, job, progress: &progress };
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
    pub(super) thrift: Thrift,
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
        make(&Load::new(tensors, self.compute.clone()).lean(self.thrift == Thrift::Lean))
    }

    fn unet(&self, about: &Description) -> Result<Unet, EngineError> {
        self.part(Part::Unet, &about.unet.tensors(), |load| Unet::new(&about.unet, load))
    }

    fn texts(&self, about: &Description) -> Result<Texts, EngineError> {
        let text = |part, config: &TextConfig| {
            self.part(part, &config.tensors(), |load| TextEncoder::new(config, load))
        };
        let second = about.second.as_ref().map(|config| text(Part::TextEncoder2, config));
        Ok(Texts { first: text(Part::TextEncoder, &about.first)?, second: second.transpose()? })
    }

    pub(super) fn vae(
        &self,
        config: &VaeConfig,
        halves: Halves,
    ) -> Result<Autoencoder, EngineError> {
        let make = |load: &Load<'_>| Vae::load(config, halves, load);
        let net = self.part(Part::Vae, &config.tensors(), make)?;
        Ok(Autoencoder::Whole { net: Box::new(net), scaling: config.scaling_factor })
    }
}
