//! What is pointed at in a picture, told from what surrounds it by a net of the Segment Anything family.
//!
//! The expensive half of the net sees a picture once; what it made is kept for the last pictures, so that
//! every further point takes the small half only.

mod frame;
mod mask;

use std::sync::Arc;

use crate::error::EngineError;
use crate::models::segment_anything::{Embedding, SegmentAnything};
use crate::nn::Compute;
use crate::pipelines::open_device;
use crate::protocol::{DeviceChoice, JobContext, Live, ObjectPrompt, Pixels, Precision, Stage};
use crate::weights::inspect;
use crate::weights::open::Checkpoint;
use crate::weights::segment_anything::{SamConfig, SamEncoder, SamWeights};

pub use self::frame::Frame;
pub use self::mask::FullMask;

/// The licence of a file that does not name one.
const UNKNOWN_LICENCE: &str = "unknown";
/// How many pictures are kept with what the encoder made of them.
const KEPT_MAX: usize = 4;
/// How many bytes of pictures are kept, beside the last one.
const KEPT_BYTES: usize = 256 << 20;
/// The most points of a prompt.
const POINTS_MAX: usize = 256;

/// Holds a net that finds what is pointed at, and the pictures that it saw last.
#[derive(Debug)]
pub struct ObjectPipeline {
    model: SegmentAnything,
    licence: String,
    /// The one used last stands last.
    kept: Vec<Kept>,
}

/// Is a picture with what the encoder made of it.
#[derive(Debug)]
struct Kept {
    key: String,
    pixels: Arc<Pixels>,
    frame: Frame,
    embedding: Embedding,
    /// The brightness of the picture as the net saw it, see [`mask::Guide`].
    guide: mask::Guide,
}

/// Holds what was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The picture: colours as they were, and the mask, times what alpha there was, as its alpha.
    pub pixels: Pixels,
    /// How far each pixel belongs to what is meant, a byte a pixel.
    pub mask: Vec<u8>,
    /// The mean of the mask, 0 to 1.
    pub share: f32,
    /// How well each of the masks to choose from is foretold to fit.
    pub qualities: Vec<f32>,
    /// Which of them was chosen; `None` for the one for prompts that leave no doubt.
    pub chosen: Option<u8>,
}

/// Checks what can be checked before anything is opened.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when nothing is pointed at, a box is empty, there are too many points,
/// or no such mask.
pub fn validate(prompt: &ObjectPrompt) -> Result<(), EngineError> {
    let numbers = prompt.points.iter().flat_map(|point| [point.x, point.y]);
    let sides = prompt.around.iter().flat_map(|area| [area.x, area.y, area.width, area.height]);
    if !numbers.chain(sides).all(f32::is_finite) {
        return Err(EngineError::invalid("prompt", "has places that are no numbers"));
    }
    if prompt.points.len() > POINTS_MAX {
        let reason = format!("has {} points; {POINTS_MAX} are the most", prompt.points.len());
        return Err(EngineError::invalid("prompt", reason));
    }
    if let Some(area) = prompt.around
        && (area.width <= 0.0 || area.height <= 0.0)
    {
        return Err(EngineError::invalid("box", "is empty: give it a width and a height"));
    }
    if prompt.is_empty() {
        let reason = "points at nothing: it needs a point inside the object, or a box around it";
        return Err(EngineError::invalid("prompt", reason));
    }
    if prompt.mask.is_some_and(|mask| mask >= ObjectPrompt::MASKS) {
        let reason = format!("must be one of {}", ObjectPrompt::MASKS);
        return Err(EngineError::invalid("mask", reason));
    }
    Ok(())
}

/// Returns what the weights take in memory once they are packed, about.
pub fn weight_bytes(file: &Checkpoint) -> u64 {
    let numbers = file.tensors().values().map(|info| info.count());
    numbers.fold(0u64, u64::saturating_add).saturating_mul(size_of::<f32>() as u64)
}

/// Returns what finding something takes in memory beside the weights and the picture, about.
pub fn memory_bytes(config: &SamConfig) -> u64 {
    let (side, grid) = (config.side as u64, config.grid() as u64);
    let numbers = match &config.encoder {
        // The first stage, at a quarter of the side, with its channels widened.
        SamEncoder::TinyVit(sizes) => (side / 4) * (side / 4) * 4 * sizes.expanded as u64,
        // Queries, keys, values and what places add to scores; the perceptron.
        SamEncoder::Vit(sizes) => {
            let heads = (sizes.width / sizes.head_width.max(1)) as u64;
            let rows = 8 * sizes.width as u64 + 2 * sizes.hidden as u64 + 8 * heads * grid;
            grid * grid * rows
        }
    };
    let masks = side * side * 4 + grid * grid * 16 * 4 * config.decoder.enlarged[1] as u64;
    (numbers + masks).saturating_mul(size_of::<f32>() as u64)
}

impl ObjectPipeline {
    /// Loads a net from a file of weights.
    ///
    /// # Errors
    /// As [`SamConfig::of`]; [`EngineError::Damaged`]; [`EngineError::Device`];
    /// [`EngineError::Cancelled`].
    pub fn load(
        file: &Checkpoint,
        (device, precision): (DeviceChoice, Precision),
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        Self::with_compute(file, &Compute::with(&open_device(device)?, precision), job)
    }

    /// Loads a net for a way of computing.
    ///
    /// # Errors
    /// As [`ObjectPipeline::load`].
    pub fn with_compute(
        file: &Checkpoint,
        compute: &Compute,
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let model =
            SegmentAnything::new(SamConfig::of(file)?, &SamWeights::of(file, job), compute)?;
        let licence = inspect::licence(file).unwrap_or_else(|| UNKNOWN_LICENCE.to_owned());
        Ok(Self { model, licence, kept: Vec::new() })
    }

    /// Returns the net.
    pub fn model(&self) -> &SegmentAnything {
        &self.model
    }

    /// Returns the licence that the file names, or `unknown`.
    pub fn licence(&self) -> &str {
        &self.licence
    }

    /// Tells whether a picture was seen and is still kept.
    pub fn knows(&self, key: &str) -> bool {
        self.kept.iter().any(|kept| kept.key == key)
    }

    /// Finds what is pointed at in the picture that `key` names; `open` gives its pixels where they are
    /// not kept.
    ///
    /// # Errors
    /// As [`validate`]; [`EngineError::InvalidSetting`] when a place lies outside the picture; that of
    /// `open`; [`EngineError::NotANumber`]; [`EngineError::Cancelled`]; errors of the tensor library.
    pub fn find(
        &mut self,
        key: &str,
        open: impl FnOnce() -> Result<Pixels, EngineError>,
        prompt: &ObjectPrompt,
        job: &JobContext,
    ) -> Result<Found, EngineError> {
        validate(prompt)?;
        match self.kept.iter().position(|kept| kept.key == key) {
            Some(index) => {
                let kept = self.kept.remove(index);
                kept.frame.prompt(prompt)?;
                self.kept.push(kept);
            }
            None => {
                let pixels = Arc::new(open()?);
                let frame = Frame::of(&pixels, self.model.config().side);
                // Before the long part: what is pointed at may lie outside.
                frame.prompt(prompt)?;
                report(job, 0)?;
                let kept = self.seen(key, pixels, frame, job)?;
                self.kept.push(kept);
                self.forget();
            }
        }
        let Some(kept) = self.kept.last() else {
            return Err(EngineError::Model { reason: "no picture was kept".to_owned() });
        };
        report(job, 1)?;
        let asked = kept.frame.prompt(prompt)?;
        let masks = self.model.find(&kept.embedding, &asked, &|| job.check())?;
        let chosen = mask::choose(&masks.qualities, prompt)?;
        let logits = masks.logits.get(chosen).map(Vec::as_slice).unwrap_or_default();
        if logits.iter().chain(&masks.qualities).any(|value| !value.is_finite()) {
            return Err(EngineError::NotANumber { stage: "segmenter".to_owned() });
        }
        let full = FullMask::new(logits, masks.side, kept.frame);
        let made = mask::drawn(&full, &kept.guide, &kept.pixels, job)?;
        report(job, 2)?;
        let mut pixels = Pixels::clone(&kept.pixels);
        for (pixel, share) in pixels.rgba.chunks_exact_mut(4).zip(&made) {
            pixel[3] = ((u32::from(pixel[3]) * u32::from(*share) + 127) / 255) as u8;
        }
        let sum: u64 = made.iter().map(|share| u64::from(*share)).sum();
        Ok(Found {
            pixels,
            share: (sum as f64 / (255.0 * made.len().max(1) as f64)) as f32,
            mask: made,
            qualities: mask::offered(&masks.qualities).to_vec(),
            chosen: chosen.checked_sub(1).and_then(|chosen| u8::try_from(chosen).ok()),
        })
    }

    /// Has the encoder see a picture.
    fn seen(
        &self,
        key: &str,
        pixels: Arc<Pixels>,
        frame: Frame,
        job: &JobContext,
    ) -> Result<Kept, EngineError> {
        let small = frame.shrunk(&pixels, job)?;
        let picture = frame.normed(&small, self.model.compute().device())?;
        let embedding = self.model.encode(&picture, &|| job.check())?;
        let guide = mask::Guide::of(&small, frame);
        Ok(Kept { key: key.to_owned(), pixels, frame, embedding, guide })
    }

    /// Lets go of the pictures that were used longest ago.
    fn forget(&mut self) {
        let mut bytes = 0usize;
        let newest = self.kept.iter().rev();
        let fits = newest.take(KEPT_MAX).take_while(|kept| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(kept.pixels.rgba.len());
            is_first || bytes <= KEPT_BYTES
        });
        let gone = self.kept.len() - fits.count();
        self.kept.drain(..gone);
    }
}

fn report(job: &JobContext, done: u32) -> Result<(), EngineError> {
    job.report(Live { stage: Stage::CuttingOut, steps: Some([done, 2]), ..Live::default() })
}
