//! Enlarged pictures, painted over by a model of the family.

use std::cell::RefCell;
use std::sync::Arc;

use candle_core::Tensor;

use super::autoencoder::Autoencoder;
use super::files::{INSTRUCTED_CHANNELS, MASKED_CHANNELS};
use super::guide::{Beside, Guide};
use super::load::Thrift;
use super::text::Prompted;
use super::{Companions, DiffusionPipeline, Run, validate};
use crate::error::EngineError;
use crate::kernels::{Lean, release_memory};
use crate::math::rng;
use crate::math::schedule::Schedule;
use crate::models::stable_diffusion::Halves;
use crate::pipelines::previews::Previews;
use crate::pipelines::refining::{self, Refines, Tally};
use crate::pipelines::windows::{Reading, Windows};
use crate::preview::linear;
use crate::protocol::{JobContext, Notice, PictureRequest, Pixels, Size, Source};
use crate::sampling::{SamplerSettings, Step, model_calls, sample_with_noise, seeded_noise};

/// The share of a window that it has in common with the next.
const OVERLAP: f64 = 0.25;

impl DiffusionPipeline {
    /// Paints over a picture in tiles of the request's size, as far as the strength of its source says;
    /// of the source nothing else is read.
    ///
    /// # Errors
    /// As [`DiffusionPipeline::run`]; [`EngineError::InvalidSetting`] when the autoencoder has no
    /// encoder.
    pub fn refine(
        &mut self,
        request: &PictureRequest,
        companions: &Companions,
        picture: &Pixels,
        job: &JobContext,
    ) -> Result<(Pixels, Vec<Notice>), EngineError> {
        validate(request)?;
        super::validate::check(request, &self.networks.about)?;
        let is_lean = self.networks.thrift == Thrift::Lean;
        let _lean = is_lean.then(Lean::begin);
        let run = Run::new(self, request, companions, job)?;
        let mut notices = run.first_notices();
        let size = Size { width_px: picture.width_px, height_px: picture.height_px };
        let about = &self.networks.about;
        let reading = Reading { grid_px: about.grid_px(), scale: about.scale(), overlap: OVERLAP };
        let windows = Windows::new(size, request.size, reading);
        let prompts = run.encode(&mut notices)?.pop().unwrap_or_default();
        if is_lean {
            release_memory();
        }
        let whole = run.schedule()?;
        let strength = request.extras.source.as_ref().map_or(1.0, |source| source.strength);
        let schedule = whole.with_strength(f64::from(strength))?;
        let calls = model_calls(request.sampling.sampler, schedule.steps());
        let tally = Tally::new(&windows, calls, job);
        let first_step = whole.steps() - schedule.steps();
        let (prompts, vae) = (RefCell::new(prompts), RefCell::default());
        let painter = Painter { run: &run, prompts, schedule, first_step, vae, job };
        let device = self.networks.compute.device();
        let pixels = refining::refine(&painter, picture, &windows, (device, &tally))?;
        Ok((pixels, notices))
    }
}

/// Paints windows of a picture.
struct Painter<'a> {
    run: &'a Run<'a>,
    /// The prompt and its negative, until they are asked about.
    prompts: RefCell<Vec<Prompted>>,
    schedule: Schedule,
    /// The first of the steps of the whole schedule that is run.
    first_step: usize,
    /// The half of the autoencoder that is at work: a lean model reads it each time it is asked for.
    vae: RefCell<Option<Arc<Autoencoder>>>,
    job: &'a JobContext,
}

impl Painter<'_> {
    /// Returns the half of the autoencoder that is at work, which is `halves` when none is yet.
    fn vae(&self, halves: Halves) -> Result<Arc<Autoencoder>, EngineError> {
        if let Some(vae) = &*self.vae.borrow() {
            return Ok(vae.clone());
        }
        let vae = self.run.vae(halves)?;
        Ok(self.vae.borrow_mut().insert(vae).clone())
    }

    /// Lets go of what only the step before needed.
    fn let_go(&self) {
        self.vae.take();
        if self.run.networks().thrift == Thrift::Lean {
            release_memory();
        }
    }

    /// Returns what the net reads beside each window: its latents where it follows instructions, and
    /// otherwise the same for all.
    fn beside(&self, latents: &Tensor, windows: &Windows) -> Result<Vec<Beside>, EngineError> {
        match self.run.networks().about.unet.in_channels {
            INSTRUCTED_CHANNELS => {
                let scaling = self.vae(Halves::Encoder)?.scaling();
                let source = self.run.request.extras.source.as_ref();
                let keep = f64::from(source.map_or(1.0, |source: &Source| source.image_guidance));
                let window = |at| {
                    let means = (windows.of(latents, at)? / scaling)?;
                    Ok(Beside::Instructed(means, keep))
                };
                windows.places().map(window).collect()
            }
            MASKED_CHANNELS => Ok(vec![self.run.all_open(windows.window_px())?]),
            _ => Ok(vec![Beside::Nothing]),
        }
    }
}

impl Refines for Painter<'_> {
    fn encode(&self, window: &Tensor) -> Result<Tensor, EngineError> {
        let device = self.run.networks().compute.device();
        self.vae(Halves::Encoder)?.encode(&window.to_device(device)?, &|| self.job.check())
    }

    fn sample(
        &self,
        latents: &Tensor,
        windows: &Windows,
        tally: &Tally<'_>,
    ) -> Result<Tensor, EngineError> {
        let (request, networks) = (self.run.request, self.run.networks());
        let noise = rng::normal(request.seed, &latents.dims()[1..]);
        let noise = Tensor::from_vec(noise, latents.shape(), latents.device())?;
        let start = (latents + (noise * self.schedule.sigmas()[0])?)?;
        let beside = self.beside(latents, windows)?;
        self.let_go();
        let [_, shape @ ..] = latents.dims4().map(|(n, c, h, w)| [n, c, h, w])?;
        let guide = RefCell::new(Guide {
            networks,
            unet: networks.unet(self.job)?,
            schedule: &self.schedule,
            sampling: request.sampling,
            size: windows.window_px(),
            prompts: self.prompts.take(),
            controls: Vec::new(),
            beside: &Beside::Nothing,
            step: 0,
            first_step: self.first_step,
            job: self.job,
        });
        let mut denoise = |x: &Tensor, sigma: f64| {
            windows.gather(x.device(), |index, at| {
                guide.borrow_mut().beside = &beside[index.min(beside.len() - 1)];
                let x0 = guide.borrow().denoise(&windows.of(x, at)?, sigma)?;
                tally.count()?;
                Ok(x0)
            })
        };
        let mut previews = Previews::new(request.preview);
        let mut on_step = |step: Step<'_>| {
            guide.borrow_mut().step = step.index + 1;
            let is_xl = networks.about.second.is_some();
            tally.show(previews.draw(|| linear(&step.x0.squeeze(0)?, is_xl))?)
        };
        let seeds = [request.seed];
        let mut added = seeded_noise(&seeds, &shape, networks.compute.device());
        let sampler = SamplerSettings::from(request.sampling);
        let schedule = &self.schedule;
        let out =
            sample_with_noise(sampler, schedule, start, &mut added, &mut denoise, &mut on_step)?;
        // Some schedules end with a little noise, where latents are as the net was shown them.
        let last = schedule.sigmas().last().copied().unwrap_or_default();
        self.let_go();
        Ok((out / last.hypot(1.0))?)
    }

    fn decode(&self, latents: &Tensor) -> Result<Tensor, EngineError> {
        self.vae(Halves::Decoder)?.decode(latents, &|| self.job.check())
    }

    fn loses_detail(&self) -> bool {
        false
    }
}
