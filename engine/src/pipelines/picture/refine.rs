//! Enlarged pictures, painted over by the house model.

use candle_core::Tensor;

use super::{PicturePipeline, prompts, validate};
use crate::error::EngineError;
use crate::math::rng;
use crate::math::schedule::Schedule;
use crate::models::house_picture::{Conditioning, Stir, TextStates, Things, View};
use crate::pipelines::previews::Previews;
use crate::pipelines::refining::{self, Refines, Tally};
use crate::pipelines::windows::{Reading, Windows};
use crate::preview::to_pixels;
use crate::protocol::{
    JobContext, Live, NoiseSource, Notice, PictureRequest, Pixels, Size, Source, Stage,
};
use crate::sampling::{self, model_calls};

/// The share of a window that it has in common with the next. The model writes tokens of 32 pixels side by
/// side; in the mean over many windows, whose tokens lie elsewhere, their grid is gone.
const OVERLAP: f64 = 0.7;

/// How much of what the model changed is taken. It has only seen whole pictures: of a part it makes edges
/// and grounds rougher than they were, and half of that corrects shapes and does not show otherwise.
const SHARE: f64 = 0.5;

/// The same where nobody knows where the things stand: without their drawings their features fade.
const SHARE_UNKNOWN: f64 = 0.2;

/// How many times the area that the model paints a picture may have to be painted over: of one that is
/// larger a window shows too little to be understood.
const AREAS_MAX: f64 = 4.0;

/// Returns by how much of a factor a picture is enlarged before the model paints over it: all of it, or a
/// whole number of times; the rest comes behind that.
pub fn refined_factor(picture: Size, tile: Size, factor: f32) -> f32 {
    let area = |size: Size| f64::from(size.width_px) * f64::from(size.height_px);
    let most = (AREAS_MAX * area(tile) / area(picture).max(1.0)).sqrt() as f32;
    if factor <= most { factor } else { most.floor().max(1.0).min(factor) }
}

impl PicturePipeline {
    /// Paints over a picture in tiles of the request's size, as far as the strength of its source says;
    /// of the source nothing else is read. Where the things of `painted`, the recipe of the picture,
    /// stand is known, their drawings lie there.
    ///
    /// # Errors
    /// As [`PicturePipeline::run`].
    pub fn refine(
        &mut self,
        request: &PictureRequest,
        (picture, painted): (&Pixels, Option<&PictureRequest>),
        job: &JobContext,
    ) -> Result<(Pixels, Vec<Notice>), EngineError> {
        validate(request)?;
        job.report(Live { stage: Stage::Encoding, ..Live::default() })?;
        let (tokens, notices) = prompts::read(&self.lexicon, &request.prompt);
        let text = self.read(&tokens, request.sampling.guidance)?;
        let size = Size { width_px: picture.width_px, height_px: picture.height_px };
        let grid_px = super::SIZE_RULES.grid_px;
        let reading = Reading { grid_px, scale: self.cell_px(), overlap: OVERLAP };
        let windows = Windows::new(size, request.size, reading);
        let stir = painted.map(|painted| self.stir(painted)).transpose()?.flatten();
        let whole = Schedule::flow(request.sampling.steps as usize, self.model.config().shift)?;
        let strength = request.extras.source.as_ref().map_or(1.0, |source| source.strength);
        let schedule = whole.with_strength(f64::from(strength))?;
        let calls = model_calls(request.sampling.sampler, schedule.steps());
        let tally = Tally::new(&windows, calls, job);
        let painter = Painter { pipeline: self, request, text, stir, schedule, job };
        let device = self.model.compute().device();
        let pixels = refining::refine(&painter, picture, &windows, (device, &tally))?;
        Ok((pixels, notices))
    }

    /// Returns the pixels of a latent cell's side.
    fn cell_px(&self) -> usize {
        let reach = 1024;
        reach / self.model.latent_shape(reach, reach)[2].max(1)
    }

    /// Returns how chance moved the things of a picture; `None` where only a part of it was painted, or
    /// not from noise of its own.
    fn stir(&self, painted: &PictureRequest) -> Result<Option<Stir>, EngineError> {
        let is_whole = |source: &Source| source.mask.is_none();
        let is_own = painted.noise == NoiseSource::Seed
            && painted.extras.source.as_ref().is_none_or(is_whole);
        if !is_own || validate(painted).is_err() {
            return Ok(None);
        }
        let Size { width_px, height_px } = painted.size;
        let shape = self.model.latent_shape(height_px as usize, width_px as usize);
        let noise = rng::normal(painted.seed, &shape[1..]);
        let device = self.model.compute().device();
        Stir::of(&Tensor::from_vec(noise, &shape[..], device)?).map(Some)
    }
}

/// Paints windows of a picture.
struct Painter<'a> {
    pipeline: &'a PicturePipeline,
    request: &'a PictureRequest,
    text: Vec<TextStates>,
    stir: Option<Stir>,
    schedule: Schedule,
    job: &'a JobContext,
}

impl Painter<'_> {
    fn conditioning(&self, windows: &Windows, at: [usize; 2]) -> Result<Conditioning, EngineError> {
        let view = View { whole: windows.whole, at };
        let things = self.stir.map_or(Things::Unknown, |stir| Things::Seen(stir, view));
        let transformer = self.pipeline.model.transformer();
        transformer.condition(&self.text, things, windows.window[0], windows.window[1])
    }
}

impl Refines for Painter<'_> {
    fn encode(&self, window: &Tensor) -> Result<Tensor, EngineError> {
        self.pipeline.model.encode(window)
    }

    fn sample(
        &self,
        latents: &Tensor,
        windows: &Windows,
        tally: &Tally<'_>,
    ) -> Result<Tensor, EngineError> {
        let noise = rng::normal(self.request.seed, &latents.dims()[1..]);
        let noise = Tensor::from_vec(noise, latents.shape(), latents.device())?;
        let scale = self.schedule.noise_scale();
        let start = ((latents * (1.0 - scale))? + (noise * scale)?)?;
        let mut denoise = |x: &Tensor, sigma: f64| {
            windows.gather(x.device(), |_, at| {
                self.job.check()?;
                let conditioning = self.conditioning(windows, at)?;
                let guided = (&conditioning, self.request.sampling.guidance);
                let x0 = self.pipeline.estimate(&windows.of(x, at)?, sigma, guided)?;
                tally.count()?;
                Ok(x0)
            })
        };
        let mut previews = Previews::new(self.request.preview);
        let mut on_step = |step: sampling::Step<'_>| {
            tally.show(previews.draw(|| {
                let picture = self.pipeline.model.thumbnail(step.x0)?.squeeze(0)?;
                to_pixels(&picture, "preview")
            })?)
        };
        let sampler = self.request.sampling.sampler;
        sampling::sample(sampler, &self.schedule, start, &mut denoise, &mut on_step)
    }

    fn decode(&self, latents: &Tensor) -> Result<Tensor, EngineError> {
        self.pipeline.model.decode(latents, &|| self.job.check())
    }

    fn loses_detail(&self) -> bool {
        true
    }

    fn share(&self) -> f64 {
        if self.stir.is_some() { SHARE } else { SHARE_UNKNOWN }
    }
}
