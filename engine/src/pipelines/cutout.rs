//! The subject of a picture, told from its background by a net: the mask follows the picture's edges and
//! becomes its alpha; colours stay as they are.

use std::path::Path;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::EngineError;
use crate::math::guided::GuidedMask;
use crate::math::lanczos::LanczosRows;
use crate::models::segmenter::Segmenter;
use crate::nn::Compute;
use crate::pipelines::open_device;
use crate::protocol::{DeviceChoice, JobContext, Live, Pixels, Precision, Stage};
use crate::weights::open::Checkpoint;
use crate::weights::segmenter::{SegmenterConfig, SegmenterWeights};

/// Over how much of the picture's side the mask is fitted to its edges, each way of a pixel.
const RADIUS_SHARE: f32 = 1.0 / 85.0;
/// The variance of brightness, of 1, below which nothing is taken for an edge.
const EDGE_VARIANCE: f32 = 1e-3;
/// What of the mask is none and all: the filter leaves a haze where there is nothing to follow.
const ENDS: [f32; 2] = [0.06, 0.94];
/// How many rows are taken between two looks at whether the job was cancelled.
const BAND_ROWS: usize = 128;
/// How many numbers the net holds at once for each pixel that it sees, about.
const NUMBERS_PER_PIXEL: u64 = 160;

/// Holds a net that tells subjects from backgrounds.
#[derive(Debug, Clone)]
pub struct CutOutPipeline {
    model: Segmenter,
}

/// Holds a picture without its background.
#[derive(Debug, Clone)]
pub struct CutOut {
    /// The picture: colours as they were, and the mask, times what alpha there was, as its alpha.
    pub pixels: Pixels,
    /// The mean of the mask, 0 to 1.
    pub subject_share: f32,
}

/// Returns what cutting a picture out takes in memory beside the weights and the picture, about.
pub fn memory_bytes(config: &SegmenterConfig) -> u64 {
    (config.side * config.side) as u64 * NUMBERS_PER_PIXEL * size_of::<f32>() as u64
}

impl CutOutPipeline {
    /// Loads the net from a file of weights and its `config.json`.
    ///
    /// # Errors
    /// [`EngineError::Damaged`]; [`EngineError::Device`]; [`EngineError::Cancelled`].
    pub fn load(
        file: &Checkpoint,
        config_json: &str,
        (device, precision): (DeviceChoice, Precision),
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        Self::with_compute(file, config_json, &Compute::with(&open_device(device)?, precision), job)
    }

    /// Loads the net for a way of computing.
    ///
    /// # Errors
    /// As [`CutOutPipeline::load`].
    pub fn with_compute(
        file: &Checkpoint,
        config_json: &str,
        compute: &Compute,
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let config = config(file.path(), config_json)?;
        let model = Segmenter::new(config, &SegmenterWeights::of(file, job), compute)?;
        Ok(Self { model })
    }

    /// Returns the net.
    pub fn model(&self) -> &Segmenter {
        &self.model
    }

    /// Cuts the subject out of a picture. What was transparent stays so, and is seen as paper.
    ///
    /// # Errors
    /// [`EngineError::NotANumber`]; [`EngineError::Cancelled`]; errors of the tensor library.
    pub fn cut_out(&self, mut pixels: Pixels, job: &JobContext) -> Result<CutOut, EngineError> {
        report(job, 0)?;
        let side = self.model.config().side;
        let small = shrunk(&pixels, side, job)?;
        let mask = self.mask(&small, job)?;
        report(job, 1)?;
        let guide: Vec<f32> =
            small.as_chunks::<3>().0.iter().map(|[r, g, b]| brightness([*r, *g, *b])).collect();
        let radius = (side as f32 * RADIUS_SHARE).round().max(1.0) as usize;
        let mask = GuidedMask::new(&mask, &guide, [side; 2], radius, EDGE_VARIANCE);
        let subject_share = set_alpha(&mut pixels, &mask, job)?;
        report(job, 2)?;
        Ok(CutOut { pixels, subject_share })
    }

    /// Returns how far each pixel of a square belongs to the subject, in 0..=1. `rgb` are three bytes a
    /// pixel, the square's side being [`SegmenterConfig::side`].
    ///
    /// # Errors
    /// [`EngineError::NotANumber`]; [`EngineError::Cancelled`]; errors of the tensor library.
    pub fn mask(&self, rgb: &[u8], job: &JobContext) -> Result<Vec<f32>, EngineError> {
        let side = self.model.config().side;
        let device = self.model.compute().device();
        let values: Vec<f32> = rgb.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        let x = Tensor::from_vec(values, (1, side, side, 3), device)?;
        let x = x.permute((0, 3, 1, 2))?; // [1, 3, side, side]
        let logits = self.model.forward(&x, &|| job.check())?;
        let logits: Vec<f32> = logits.flatten_all()?.to_vec1()?;
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(EngineError::NotANumber { stage: "segmenter".to_owned() });
        }
        Ok(logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect())
    }
}

/// Reads the sizes of a net; `path` names its weights in errors.
///
/// # Errors
/// As [`SegmenterConfig::from_json`].
pub fn config(path: &Path, config_json: &str) -> Result<SegmenterConfig, EngineError> {
    SegmenterConfig::from_json(config_json, &path.with_file_name("config.json"))
}

/// Stretches or shrinks a picture to a square of three bytes a pixel.
fn shrunk(pixels: &Pixels, side: usize, job: &JobContext) -> Result<Vec<u8>, EngineError> {
    let [width, height] = [pixels.width_px, pixels.height_px].map(|side| side as usize);
    let mut rows = LanczosRows::new([width, height], [side; 2], 3);
    let mut out = Vec::with_capacity(3 * side * side);
    for band in pixels.rgba.chunks(BAND_ROWS * width * 4) {
        job.check()?;
        let rgb: Vec<u8> = band.as_chunks::<4>().0.iter().flat_map(over_white).collect();
        out.extend(rows.push(&rgb));
    }
    Ok(out)
}

/// Gives a picture the mask as its alpha; returns the mask's mean.
fn set_alpha(pixels: &mut Pixels, mask: &GuidedMask, job: &JobContext) -> Result<f32, EngineError> {
    let [width, height] = [pixels.width_px, pixels.height_px].map(|side| side as usize);
    let mut sum = 0f64;
    for (band, rgba) in pixels.rgba.chunks_mut(BAND_ROWS * width * 4).enumerate() {
        job.check()?;
        let row = |(row, rgba): (usize, &mut [u8])| -> f64 {
            let pixels = rgba.as_chunks_mut::<4>().0;
            let lights: Vec<f32> =
                pixels.iter().map(|pixel| brightness(over_white(pixel))).collect();
            let mut shares = vec![0f32; width];
            mask.row(band * BAND_ROWS + row, height, &lights, &mut shares);
            let mut sum = 0f64;
            for (pixel, share) in pixels.iter_mut().zip(shares) {
                let share = ((share - ENDS[0]) / (ENDS[1] - ENDS[0])).clamp(0.0, 1.0);
                pixel[3] = (f32::from(pixel[3]) * share).round() as u8;
                sum += f64::from(share);
            }
            sum
        };
        let sums: Vec<f64> = rgba.par_chunks_mut(width * 4).enumerate().map(row).collect();
        // Added in order, so that the same picture gives the same number.
        sum += sums.iter().sum::<f64>();
    }
    Ok((sum / (width * height) as f64) as f32)
}

/// Lays a pixel over white.
pub(super) fn over_white([r, g, b, alpha]: &[u8; 4]) -> [u8; 3] {
    let alpha = u32::from(*alpha);
    [r, g, b].map(|value| ((u32::from(*value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

/// Returns the brightness of a colour, 0 to 1, by the weights of Rec. 601.
pub(super) fn brightness([r, g, b]: [u8; 3]) -> f32 {
    (0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)) / 255.0
}

fn report(job: &JobContext, done: u32) -> Result<(), EngineError> {
    job.report(Live { stage: Stage::CuttingOut, steps: Some([done, 2]), ..Live::default() })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_mask_becomes_alpha_and_no_colour_changes() {
        let before: Vec<u8> = (0..300 * 3 * 4).map(|at| (at % 251) as u8 | 1).collect();
        let mut pixels = Pixels::new(3, 300, before.clone()).unwrap();
        pixels.rgba[3] = 0;
        let mask = GuidedMask::new(&[1.0; 16], &[0.5; 16], [4; 2], 1, 1e-3);
        let share = set_alpha(&mut pixels, &mask, &JobContext::detached()).unwrap();
        assert!((share - 1.0).abs() < 1e-6, "{share}");
        assert_eq!(pixels.rgba[3], 0);
        assert_eq!((&pixels.rgba[..3], &pixels.rgba[4..]), (&before[..3], &before[4..]));
        let mask = GuidedMask::new(&[0.03; 16], &[0.5; 16], [4; 2], 1, 1e-3);
        assert_eq!(set_alpha(&mut pixels, &mask, &JobContext::detached()).unwrap(), 0.0);
        assert!(pixels.rgba.chunks(4).all(|pixel| pixel[3] == 0));
    }

    #[test]
    fn what_is_transparent_is_seen_as_paper() {
        let pixels = Pixels::new(2, 1, vec![0, 0, 0, 0, 0, 0, 0, 255]).unwrap();
        let square = shrunk(&pixels, 2, &JobContext::detached()).unwrap();
        assert_eq!((&square[..3], square.len()), (&[255; 3][..], 12));
    }
}
