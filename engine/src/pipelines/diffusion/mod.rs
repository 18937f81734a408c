//! Pictures by models of the Stable Diffusion family.
//!
//! A run goes through these steps: the prompt is read and encoded (`text`), a picture that is to be
//! changed is opened and encoded (`source`), noise is led along the schedule while the net is asked
//! about it (`guide`), and the autoencoder makes a picture of the latents.

mod autoencoder;
mod decode;
mod files;
mod guide;
mod load;
mod refine;
mod source;
mod text;
mod validate;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Tensor;

pub use autoencoder::Autoencoder;
pub use decode::LatentsKeeper;
pub use files::Description;
pub use load::{ModelPlan, Networks, Thrift, load_control, load_tiny};
pub use text::issue_of;
pub use validate::{nearest_size, size_rules, validate};

use crate::error::EngineError;
use crate::kernels::{Lean, release_memory};
use crate::math::schedule::{Schedule, Spacing, TableSettings};
use crate::models::stable_diffusion::prompt::{ClipTokenizer, Wildcards};
use crate::models::stable_diffusion::{ControlNet, Halves, TinyAutoencoder};
use crate::nn::Compute;
use crate::pipelines::noise::Noise;
use crate::pipelines::previews::Previews;
use crate::pipelines::source::mix;
use crate::pipelines::{device, hints, pictures};
use crate::preview::{from_pixels, linear, to_pixels};
use crate::protocol::{
    ControlUse, DeviceChoice, JobContext, Latents, Live, Notice, Picture, PictureOutput,
    PictureRequest, Pixels, Precision, ScheduleKind, Size, Source, Stage,
};
use crate::sampling::{SamplerSettings, Step, sample_with_noise, seeded_noise};
use crate::weights::embedding::{self, Embedding};
use files::{INSTRUCTED_CHANNELS, MASKED_CHANNELS};
use guide::{Beside, Control, Guide};
use source::Prepared;
use text::{Encoder, Prompted, ReadBoth, Words};

/// How many unmatched parts of a LoRA are named.
const NAMED_MAX: usize = 5;

/// Holds what stands beside a model in a run, loaded apart from it.
#[derive(Default)]
pub struct Companions {
    /// The autoencoder in place of the model's own.
    pub vae: Option<Arc<Autoencoder>>,
    /// The ControlNets of the request, in its order.
    pub controls: Vec<Arc<ControlNet>>,
    /// What draws previews; without it colours are guessed.
    pub tiny: Option<Arc<TinyAutoencoder>>,
    /// Files of new words.
    pub embeddings: Vec<PathBuf>,
    /// Lists of words.
    pub wildcards: Wildcards,
    /// Names of the LoRAs that a prompt may name.
    pub lora_names: Vec<String>,
    /// Says how much memory is free, so that a picture is decoded in tiles where it would not fit.
    pub free_memory: Option<fn() -> Option<u64>>,
    /// Writes latents to a safe place before a decoding that may fail.
    pub keeper: Option<LatentsKeeper>,
}

/// A model of the family in memory.
pub struct DiffusionPipeline {
    networks: Networks,
    tokenizer: ClipTokenizer,
}

impl DiffusionPipeline {
    /// Loads a model with its LoRAs; of a [`Thrift::Lean`] one each part when it is needed.
    ///
    /// # Errors
    /// As [`Networks::load`]; [`EngineError::Device`] when the device cannot be used.
    pub fn load(
        plan: &ModelPlan,
        (device, precision): (DeviceChoice, Precision),
        thrift: Thrift,
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let compute = Compute::with(&device::open(device)?, precision);
        let networks = Networks::load(plan, compute, thrift, job)?;
        Ok(Self { networks, tokenizer: ClipTokenizer::new()? })
    }

    /// Loads a model for a given way of computing; for tests and benchmarks.
    ///
    /// # Errors
    /// As [`Networks::load`].
    pub fn load_for(
        plan: &ModelPlan,
        compute: Compute,
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let networks = Networks::load(plan, compute, Thrift::Ample, job)?;
        Ok(Self { networks, tokenizer: ClipTokenizer::new()? })
    }

    /// Returns what the model is like.
    pub fn about(&self) -> &Description {
        &self.networks.about
    }

    /// Returns how it computes.
    pub fn compute(&self) -> &Compute {
        &self.networks.compute
    }

    /// Paints the pictures of a request one after the other, hands each to `save` as it completes,
    /// and returns what `save` made of them. The n-th picture has the same bits as that of `seed + n`
    /// alone.
    ///
    /// # Errors
    /// Those of [`validate`] and of opening the files of the request; [`EngineError::NotANumber`] when
    /// a result is not finite; [`EngineError::Cancelled`] within a network layer's time of a cancel;
    /// those of `save`.
    pub fn run(
        &mut self,
        request: &PictureRequest,
        companions: &Companions,
        job: &JobContext,
        save: &mut dyn FnMut(Picture) -> Result<Picture, EngineError>,
    ) -> Result<PictureOutput, EngineError> {
        validate(request)?;
        validate::check(request, &self.networks.about)?;
        let is_lean = self.networks.thrift == Thrift::Lean;
        let _lean = is_lean.then(Lean::begin);
        let run = Run::new(self, request, companions, job)?;
        let mut notices = run.first_notices();
        let shape = run.latent_shape();
        let noise = Noise::open(&request.noise, request.count, shape)?;
        let prepared = run.prepare()?;
        notices.extend(prepared.iter().flat_map(|prepared| prepared.changed.notices.clone()));
        let beside = run.beside(prepared.as_ref())?;
        // All texts before the first picture: a lean model then lets its text encoders go for good.
        let prompts = run.encode(&mut notices)?;
        if is_lean {
            release_memory();
        }
        let mut pictures = Vec::with_capacity(request.count as usize);
        let mut kept = Vec::new();
        for (index, prompts) in (0..request.count).zip(prompts) {
            let mut recipe = request.clone();
            recipe.seed = request.seed.wrapping_add(u64::from(index));
            recipe.count = 1;
            let start = noise.picture(index, recipe.seed, &self.networks.compute)?;
            let told = (prompts, &beside);
            let latents = run.sample(index, (start, recipe.seed), told, prepared.as_ref())?;
            if request.keep_latents {
                kept.extend(latents.flatten_all()?.to_vec1::<f32>()?);
            }
            let mut pixels = run.decode(&latents, &recipe, &mut notices)?;
            if let Some(prepared) = &prepared {
                pixels = prepared.changed.finish(pixels)?;
            }
            let pixels = Arc::new(pixels);
            pictures.push(save(Picture { pixels, recipe, file: None, result_id: None })?);
        }
        let [_, channels, height, width] = shape;
        let latents = request
            .keep_latents
            .then_some(Latents { shape: [pictures.len(), channels, height, width], values: kept });
        Ok(PictureOutput { pictures, notices, latents })
    }
}

/// Holds a run.
struct Run<'a> {
    pipeline: &'a DiffusionPipeline,
    request: &'a PictureRequest,
    companions: &'a Companions,
    embeddings: Vec<Embedding>,
    /// New words that do not fit this model's encoders.
    unfit: Vec<String>,
    knows_lora: Box<dyn Fn(&str) -> bool + 'a>,
    job: &'a JobContext,
}

impl<'a> Run<'a> {
    fn new(
        pipeline: &'a DiffusionPipeline,
        request: &'a PictureRequest,
        companions: &'a Companions,
        job: &'a JobContext,
    ) -> Result<Self, EngineError> {
        let about = &pipeline.networks.about;
        let widths: Vec<usize> =
            std::iter::once(&about.first).chain(&about.second).map(|text| text.width).collect();
        let asked: Vec<&Path> =
            request.extras.embeddings.iter().map(|file| Path::new(&file.name)).collect();
        let (mut embeddings, mut unfit) = (pipeline.networks.words.clone(), Vec::new());
        for path in &companions.embeddings {
            job.check()?;
            let is_asked = asked.iter().any(|asked| *asked == path);
            let words = match embedding::open(path) {
                Ok(words) => words,
                // One file in a folder of many must not keep all prompts from being read.
                Err(error) if is_asked => return Err(error),
                Err(_) => continue,
            };
            for word in words {
                match word.check(&widths) {
                    Ok(()) => embeddings.push(word),
                    Err(error) if is_asked => return Err(error),
                    Err(_) => unfit.push(word.word),
                }
            }
        }
        let names = &companions.lora_names;
        let knows_lora =
            Box::new(move |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name)));
        Ok(Self { pipeline, request, companions, embeddings, unfit, knows_lora, job })
    }

    fn networks(&self) -> &'a Networks {
        &self.pipeline.networks
    }

    /// Says what is known before anything is painted.
    fn first_notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (path, unmatched) in &self.networks().unmatched {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let example =
                |part: &crate::weights::lora::Unmatched| format!("{} {}", part.key, part.reason);
            let examples = unmatched.iter().take(NAMED_MAX).map(example).collect();
            notices.push(Notice::LoraUnmatched { name, count: unmatched.len(), examples });
        }
        let text = self.request.prompt.with_styles().to_lowercase();
        for word in self.unfit.iter().filter(|word| text.contains(&word.to_lowercase())) {
            let sentence = format!("The embedding “{word}” is for another kind of model");
            notices.push(Notice::Unusual { sentence });
        }
        notices
    }

    /// Reads and encodes the prompts of all pictures.
    fn encode(&self, notices: &mut Vec<Notice>) -> Result<Vec<Vec<Prompted>>, EngineError> {
        let (request, networks, job) = (self.request, self.networks(), self.job);
        job.report(Live { stage: Stage::Encoding, ..Live::default() })?;
        let is_guided = Guide::is_guided(networks, &request.sampling);
        let encoder = Encoder::new(networks, &self.embeddings, request.extras.clip_skip, job);
        let words = Words {
            tokenizer: &self.pipeline.tokenizer,
            wildcards: &self.companions.wildcards,
            embeddings: &self.embeddings,
            knows_lora: &*self.knows_lora,
        };
        let mut prompts = Vec::new();
        for index in 0..request.count {
            let seed = request.seed.wrapping_add(u64::from(index));
            let steps = (request.sampling.steps as usize, seed);
            let read = ReadBoth::read(&networks.about, &request.prompt, &words, steps)?;
            for notice in read.notices(&request.prompt) {
                if !notices.contains(&notice) {
                    notices.push(notice);
                }
            }
            prompts.push(read.encode(&encoder, is_guided)?);
        }
        Ok(prompts)
    }

    /// Returns the autoencoder that was chosen, or the model's own.
    fn vae(&self, halves: Halves) -> Result<Arc<Autoencoder>, EngineError> {
        match &self.companions.vae {
            Some(vae) => Ok(vae.clone()),
            None => self.networks().vae(halves, self.job),
        }
    }

    /// Returns the pixels of a latent's side.
    fn scale(&self) -> usize {
        self.networks().about.scale()
    }

    fn latent_shape(&self) -> [usize; 4] {
        let (size, scale) = (self.request.size, self.scale());
        let channels = self.networks().about.latent_channels();
        [1, channels, size.height_px as usize / scale, size.width_px as usize / scale]
    }

    /// Opens and encodes the picture that is to be changed, if there is one.
    fn prepare(&self) -> Result<Option<Prepared>, EngineError> {
        let Some(source) = &self.request.extras.source else { return Ok(None) };
        self.job.report(Live { stage: Stage::Encoding, ..Live::default() })?;
        let networks = self.networks();
        let is_masked = networks.about.unet.in_channels == MASKED_CHANNELS;
        let sizes = (self.request.size, self.scale());
        let manner = (&networks.compute, is_masked);
        let vae = self.vae(Halves::Encoder)?;
        Prepared::new(source, sizes, &vae, manner, self.job).map(Some)
    }

    fn schedule(&self) -> Result<Schedule, EngineError> {
        let about = &self.networks().about;
        let settings = self.request.sampling;
        let mut table = TableSettings::of(settings.schedule, settings.sampler, about.aligned());
        let is_free = settings.schedule == ScheduleKind::Automatic;
        if is_free && about.is_trailing && !matches!(table.spacing, Spacing::Distilled { .. }) {
            table.spacing = Spacing::Trailing;
        }
        Schedule::from_table(&about.table, settings.steps as usize, table)
    }

    /// Opens the pictures of the ControlNets and reads them.
    fn controls(&self, prepared: Option<&Prepared>) -> Result<Vec<Control>, EngineError> {
        let uses = &self.request.extras.controls;
        let nets = &self.companions.controls;
        uses.iter().zip(nets).map(|(wish, net)| self.control(wish, net, prepared)).collect()
    }

    fn control(
        &self,
        wish: &ControlUse,
        net: &Arc<ControlNet>,
        prepared: Option<&Prepared>,
    ) -> Result<Control, EngineError> {
        let size = self.request.size;
        let picture = pictures::over_white(&pictures::open(&wish.picture.path)?);
        let fitted = match prepared {
            Some(prepared) if wish.over_source => prepared.changed.beside(&picture),
            _ => hints::fit(&picture, size.width_px, size.height_px),
        };
        let drawn = from_pixels(&hints::draw(wish.hint, &fitted))?;
        let drawn = ((drawn + 1.0)? * 0.5)?.to_device(self.networks().compute.device())?;
        let hint = net.hint(&drawn, &|| self.job.check())?;
        Ok(Control { net: net.clone(), hint, strength: wish.strength, between: wish.between })
    }

    /// Returns what the net reads beside the latents.
    fn beside(&self, prepared: Option<&Prepared>) -> Result<Beside, EngineError> {
        let about = &self.networks().about;
        Ok(match (about.unet.in_channels, prepared) {
            (MASKED_CHANNELS, Some(Prepared { masked: Some([mask, picture]), .. })) => {
                Beside::Masked(Tensor::cat(&[mask, picture], 1)?)
            }
            (MASKED_CHANNELS, _) => self.all_open(self.request.size)?,
            (INSTRUCTED_CHANNELS, Some(prepared)) => {
                let keep = self.request.extras.source.as_ref();
                let keep = keep.map_or(1.0, |source: &Source| source.image_guidance);
                Beside::Instructed(prepared.means.clone(), f64::from(keep))
            }
            _ => Beside::Nothing,
        })
    }

    /// Returns what a net for inpainting reads where all may change, and nothing is known of the
    /// picture: grey.
    fn all_open(&self, size: Size) -> Result<Beside, EngineError> {
        let len = size.width_px as usize * size.height_px as usize;
        let grey = Pixels::new(size.width_px, size.height_px, vec![127; 4 * len])
            .ok_or_else(|| EngineError::invalid("size", "is empty"))?;
        let vae = self.vae(Halves::Encoder)?;
        let grey = from_pixels(&grey)?.to_device(self.networks().compute.device())?;
        let grey = vae.encode(&grey, &|| self.job.check())?;
        let mask = grey.narrow(1, 0, 1)?.ones_like()?;
        Ok(Beside::Masked(Tensor::cat(&[&mask, &grey], 1)?))
    }

    /// Turns noise into latents `[1, channels, h, w]`.
    fn sample(
        &self,
        index: u32,
        (noise, seed): (Tensor, u64),
        (prompts, beside): (Vec<Prompted>, &Beside),
        prepared: Option<&Prepared>,
    ) -> Result<Tensor, EngineError> {
        let (request, networks, job) = (self.request, self.networks(), self.job);
        let settings = request.sampling;
        let whole = self.schedule()?;
        let is_instructed = networks.about.unet.in_channels == INSTRUCTED_CHANNELS;
        let strength = request.extras.source.as_ref().map_or(1.0, |source| source.strength);
        let begins_there = prepared.is_some() && !is_instructed && strength < 1.0;
        let schedule =
            if begins_there { whole.with_strength(f64::from(strength))? } else { whole.clone() };
        let first_step = whole.steps() - schedule.steps();
        let start = match prepared {
            Some(prepared) if begins_there => {
                (&prepared.latents + (&noise * schedule.sigmas()[0])?)?
            }
            _ => (&noise * schedule.noise_scale())?,
        };
        // Nets for inpainting see what is to stay; others are held to it after each step.
        let held = match prepared {
            Some(prepared) if prepared.masked.is_none() && !is_instructed => prepared
                .latent_mask((request.size, self.scale()), &networks.compute)?
                .map(|mask| (mask, &prepared.latents)),
            _ => None,
        };
        let guide = RefCell::new(Guide {
            networks,
            unet: networks.unet(job)?,
            schedule: &schedule,
            sampling: settings,
            size: request.size,
            prompts,
            controls: self.controls(prepared)?,
            beside,
            step: 0,
            first_step,
            job,
        });
        let steps = u32::try_from(schedule.steps()).unwrap_or(u32::MAX);
        let (first, total) = (index * steps, request.count * steps);
        let report = |done: u32, preview: Option<Pixels>| {
            job.report(Live {
                stage: Stage::Sampling,
                steps: Some([done, total]),
                preview: preview.map(Arc::new),
                ..Live::default()
            })
        };
        report(first, None)?;
        let mut denoise = |x: &Tensor, sigma: f64| {
            let x0 = guide.borrow().denoise(x, sigma)?;
            // What may not change is known: no step is led by what the net makes of it.
            match &held {
                None => Ok(x0),
                Some((mask, latents)) => mix(&x0, latents, mask),
            }
        };
        let mut previews = Previews::new(request.preview);
        let mut on_step = |step: Step<'_>| {
            guide.borrow_mut().step = step.index + 1;
            let done = first + u32::try_from(step.index + 1).unwrap_or(u32::MAX);
            let preview = previews.draw(|| self.preview(step.x0))?;
            report(done, preview)
        };
        let [_, shape @ ..] = self.latent_shape();
        let seeds = [seed];
        let mut added = seeded_noise(&seeds, &shape, networks.compute.device());
        let sampler = SamplerSettings::from(settings);
        let latents =
            sample_with_noise(sampler, &schedule, start, &mut added, &mut denoise, &mut on_step)?;
        // Some schedules end with a little noise, where latents are as the net was shown them.
        let last = schedule.sigmas().last().copied().unwrap_or_default();
        Ok((latents / last.hypot(1.0))?)
    }

    /// Draws what latents will be.
    fn preview(&self, latents: &Tensor) -> Result<Pixels, EngineError> {
        match &self.companions.tiny {
            Some(tiny) => {
                let picture = tiny.decode(latents, &|| self.job.check())?;
                to_pixels(&picture.squeeze(0)?, "preview")
            }
            None => {
                let is_xl = self.networks().about.second.is_some();
                linear(&latents.squeeze(0)?, is_xl)
            }
        }
    }
}
