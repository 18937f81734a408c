//! Pictures from prompts.

mod frame;
mod prompts;
mod refine;
mod validate;

use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;

pub use refine::refined_factor;
pub use validate::{MAX_COUNT, MAX_PROMPT_CHARS, MAX_STEPS, SIZE_RULES, nearest_size, validate};

use crate::error::EngineError;
use crate::math::schedule::Schedule;
use crate::models::house_picture::{
    Conditioning, Config, Frame, HousePicture, Lexicon, Stir, TextStates, Things, Tokens,
};
use crate::nn::Compute;
use crate::pipelines::device;
use crate::pipelines::noise::Noise;
use crate::pipelines::previews::Previews;
use crate::pipelines::source::{Changed, mix};
use crate::preview::{from_pixels, to_pixels};
use crate::protocol::{
    DeviceChoice, JobContext, Latents, Live, Picture, PictureOutput, PictureRequest, Pixels,
    Precision, Stage,
};
use crate::sampling;
use crate::weights::Weights;

/// Holds the picture that is to be changed, encoded.
struct Given {
    changed: Changed,
    /// Normalised, `[1, channels, h, w]`.
    latents: Tensor,
    /// How far each number of the latents may change, 0 to 1, in their shape; `None` where all may.
    mask: Option<Tensor>,
    /// Where the prompt's things stand; `None` for anywhere.
    frame: Option<Frame>,
}

/// A model in memory that paints pictures.
#[derive(Debug)]
pub struct PicturePipeline {
    lexicon: Lexicon,
    model: HousePicture,
}

impl PicturePipeline {
    /// Loads a model from the bytes of its weights file and the texts of its configuration and
    /// lexicon.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when a file is not what it should be or they do not fit together,
    /// [`EngineError::Device`] when the device cannot be used, [`EngineError::Cancelled`] when the
    /// job was cancelled.
    pub fn load(
        weights: &[u8],
        config_json: &str,
        lexicon_json: &str,
        (device, precision): (DeviceChoice, Precision),
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let compute = Compute::with(&device::open(device)?, precision);
        Self::load_for(weights, config_json, lexicon_json, compute, job)
    }

    /// Loads a model for a given way of computing; for tests and benchmarks.
    ///
    /// # Errors
    /// As [`PicturePipeline::load`].
    pub fn load_for(
        weights: &[u8],
        config_json: &str,
        lexicon_json: &str,
        compute: Compute,
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let config = Config::from_json(config_json, Path::new("config.json"))?;
        let lexicon_path = Path::new("lexicon.json");
        let lexicon = Lexicon::from_json(lexicon_json, lexicon_path)?;
        if lexicon.largest_id() as usize >= config.vocab {
            let reason = "names meanings that the model does not have";
            return Err(EngineError::damaged(lexicon_path, reason));
        }
        if lexicon.max_tokens() > config.max_tokens {
            let reason = "allows more tokens than the model reads";
            return Err(EngineError::damaged(lexicon_path, reason));
        }
        let weights = Weights::open(weights, Path::new("model.safetensors"), job)?;
        let model = HousePicture::new(config, &weights, compute)?;
        Ok(Self { lexicon, model })
    }

    /// Returns the networks.
    pub fn model(&self) -> &HousePicture {
        &self.model
    }

    /// Returns the words that the model knows.
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// Paints the pictures of a request one after the other, hands each to `save` as it completes,
    /// and returns what `save` made of them.
    ///
    /// The n-th picture has the same bits as the picture of `seed + n` alone. A recipe whose noise
    /// comes from a file makes the file's first picture again, whichever of a batch it was.
    ///
    /// # Errors
    /// Those of [`validate`]; [`EngineError::Damaged`] or [`EngineError::InvalidSetting`] when the
    /// noise file does not fit; [`EngineError::NotANumber`] when a result is not finite;
    /// [`EngineError::Cancelled`] within a network layer's time of a cancel; those of `save`.
    pub fn run(
        &mut self,
        request: &PictureRequest,
        job: &JobContext,
        save: &mut dyn FnMut(Picture) -> Result<Picture, EngineError>,
    ) -> Result<PictureOutput, EngineError> {
        validate(request)?;
        job.report(Live { stage: Stage::Encoding, ..Live::default() })?;
        let (tokens, mut notices) = prompts::read(&self.lexicon, &request.prompt);
        let given = self.given(request)?;
        notices.extend(given.iter().flat_map(|given| given.changed.notices.clone()));
        let size = request.size;
        let shape = self.model.latent_shape(size.height_px as usize, size.width_px as usize);
        let noise = Noise::open(&request.noise, request.count, shape)?;
        let text = self.read(&tokens, request.sampling.guidance)?;

        let mut pictures = Vec::with_capacity(request.count as usize);
        let mut kept = Vec::new();
        for index in 0..request.count {
            let mut recipe = request.clone();
            recipe.seed = request.seed.wrapping_add(u64::from(index));
            recipe.count = 1;
            let start = noise.picture(index, recipe.seed, self.model.compute())?;
            let stir = Stir::of(&start)?;
            let frame = given.as_ref().and_then(|given| given.frame);
            let things = frame.map_or(Things::Free(stir), |frame| Things::Framed(stir, frame));
            let transformer = self.model.transformer();
            let conditioning = transformer.condition(&text, things, shape[2], shape[3])?;
            let guided = (&conditioning, given.as_ref());
            let latents = self.sample(request, index, start, guided, job)?;
            if request.keep_latents {
                kept.extend(latents.flatten_all()?.to_vec1::<f32>()?);
            }
            job.report(Live { stage: Stage::Decoding, ..Live::default() })?;
            let mut pixels = self.decode(&latents, job)?;
            if let Some(given) = &given {
                pixels = given.changed.finish(pixels)?;
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

    /// Reads a prompt and, where guidance needs it, its negative.
    fn read(&self, tokens: &[Tokens; 2], guidance: f32) -> Result<Vec<TextStates>, EngineError> {
        let sides = if guidance == 1.0 { &tokens[..1] } else { &tokens[..] };
        sides.iter().map(|tokens| self.model.text().forward(&tokens.ids)).collect()
    }

    /// Opens and encodes the picture that is to be changed, if there is one.
    fn given(&self, request: &PictureRequest) -> Result<Option<Given>, EngineError> {
        let Some(source) = &request.extras.source else { return Ok(None) };
        let size = request.size;
        let changed = Changed::open(source, size)?;
        let latents = self.model.encode(&from_pixels(&changed.pixels)?)?;
        let (height, width) = (size.height_px as usize, size.width_px as usize);
        let mask = changed.mask.as_ref();
        let frame = mask.and_then(|mask| frame::of(mask, width));
        let mask = mask.map(|mask| self.model.latent_mask(mask, [height, width])).transpose()?;
        Ok(Some(Given { changed, latents, mask, frame }))
    }

    /// Turns noise into normalised latents `[1, channels, h, w]`.
    fn sample(
        &self,
        request: &PictureRequest,
        index: u32,
        noise: Tensor,
        (conditioning, given): (&Conditioning, Option<&Given>),
        job: &JobContext,
    ) -> Result<Tensor, EngineError> {
        let settings = request.sampling;
        let whole = Schedule::flow(settings.steps as usize, self.model.config().shift)?;
        let strength = request.extras.source.as_ref().map_or(1.0, |source| source.strength);
        let schedule = whole.with_strength(f64::from(strength))?;
        let scale = schedule.noise_scale();
        let start = match given {
            // At the first level of all nothing is left of the picture.
            Some(given) if scale < 1.0 => ((&given.latents * (1.0 - scale))? + (noise * scale)?)?,
            _ => (noise * scale)?,
        };
        let mut denoise = |x: &Tensor, sigma: f64| {
            job.check()?;
            let x0 = self.estimate(x, sigma, (conditioning, settings.guidance))?;
            // What may not change is known: no step is led by what the net makes of it.
            match given {
                Some(Given { latents, mask: Some(mask), .. }) => mix(&x0, latents, mask),
                _ => Ok(x0),
            }
        };

        let steps = u32::try_from(schedule.steps()).unwrap_or(u32::MAX);
        let (first, total) = (index * steps, request.count * steps);
        job.report(Live {
            stage: Stage::Sampling,
            steps: Some([first, total]),
            ..Live::default()
        })?;
        let mut previews = Previews::new(request.preview);
        let mut on_step = |step: sampling::Step<'_>| {
            let done = first + u32::try_from(step.index + 1).unwrap_or(u32::MAX);
            let preview = previews.draw(|| {
                let picture = self.model.thumbnail(step.x0)?.squeeze(0)?;
                to_pixels(&picture, "preview")
            })?;
            job.report(Live {
                stage: Stage::Sampling,
                steps: Some([done, total]),
                preview: preview.map(Arc::new),
                ..Live::default()
            })
        };
        sampling::sample(settings.sampler, &schedule, start, &mut denoise, &mut on_step)
    }

    /// Estimates clean latents; with a guidance of 1 only the prompt's own prediction counts.
    fn estimate(
        &self,
        x: &Tensor,
        sigma: f64,
        (conditioning, guidance): (&Conditioning, f32),
    ) -> Result<Tensor, EngineError> {
        let transformer = self.model.transformer();
        if guidance == 1.0 {
            return transformer.forward(x, sigma, conditioning);
        }
        let both = Tensor::cat(&[x, x], 0)?; // [2, channels, h, w]
        let both = transformer.forward(&both, sigma, conditioning)?;
        sampling::guide(&both.narrow(0, 0, 1)?, &both.narrow(0, 1, 1)?, f64::from(guidance))
    }

    fn decode(&self, latents: &Tensor, job: &JobContext) -> Result<Pixels, EngineError> {
        let picture = self.model.decode(latents, &|| job.check())?;
        to_pixels(&picture.squeeze(0)?, "decoder")
    }
}
