//! The picture that is to be changed, and what of it may change.

use candle_core::Tensor;

use super::autoencoder::Autoencoder;
use crate::error::EngineError;
use crate::nn::Compute;
use crate::pipelines::source::Changed;
use crate::preview::from_pixels;
use crate::protocol::{JobContext, Size, Source};

/// Holds a picture that is to be changed, encoded.
pub(super) struct Prepared {
    /// The picture, at the size of the one that is made.
    pub changed: Changed,
    /// `[1, channels, h, w]`, the means that the encoder gives, without the autoencoder's scaling.
    pub means: Tensor,
    /// The scaled latents.
    pub latents: Tensor,
    /// What nets for inpainting read: the mask `[1, 1, h, w]` and the latents of the picture without
    /// what is masked.
    pub masked: Option<[Tensor; 2]>,
}

impl Prepared {
    /// Opens, fits and encodes a picture. `is_masked` says that the net reads mask and picture.
    ///
    /// # Errors
    /// Those of opening pictures; [`EngineError::InvalidSetting`] when the autoencoder has no encoder;
    /// that of the job's check.
    pub(super) fn new(
        source: &Source,
        (size, scale): (Size, usize),
        vae: &Autoencoder,
        (compute, is_masked): (&Compute, bool),
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let changed = Changed::open(source, size)?;
        let check = || job.check();
        let encode = |picture: &Tensor| -> Result<Tensor, EngineError> {
            vae.encode(&picture.to_device(compute.device())?, &check)
        };
        let picture = from_pixels(&changed.pixels)?;
        let latents = encode(&picture)?;
        let means = (&latents / vae.scaling())?;
        let masked = match (is_masked, &changed.mask) {
            (false, _) => None,
            (true, mask) => {
                let all = vec![255; changed.pixels.rgba.len() / 4];
                let mask = mask.as_ref().unwrap_or(&all);
                let hidden = hide(&picture, mask)?;
                let small = shrink(mask, size, scale, compute)?;
                Some([small, encode(&hidden)?])
            }
        };
        Ok(Self { changed, means, latents, masked })
    }

    /// Returns how far each latent may change, `[1, 1, h, w]` of 0 to 1; `None` where all may.
    pub(super) fn latent_mask(
        &self,
        (size, scale): (Size, usize),
        compute: &Compute,
    ) -> Result<Option<Tensor>, EngineError> {
        self.changed.mask.as_ref().map(|mask| spread(mask, size, scale, compute)).transpose()
    }
}

/// Makes grey (0) of what is masked, as nets for inpainting were trained.
fn hide(picture: &Tensor, mask: &[u8]) -> Result<Tensor, EngineError> {
    let (_, _, height, width) = picture.dims4()?;
    let kept: Vec<f32> = mask.iter().map(|mask| if *mask < 128 { 1.0 } else { 0.0 }).collect();
    let kept = Tensor::from_vec(kept, (1, 1, height, width), picture.device())?;
    Ok(picture.broadcast_mul(&kept)?)
}

/// Returns a mask of 0 and 1 at the size of the latents: the first pixel of each speaks for all.
///
/// # Source
/// diffusers `StableDiffusionInpaintPipeline.prepare_mask_latents`, with its nearest neighbour.
fn shrink(mask: &[u8], size: Size, scale: usize, compute: &Compute) -> Result<Tensor, EngineError> {
    let width = size.width_px as usize;
    let rows = mask.chunks_exact(width).step_by(scale);
    let values: Vec<f32> = rows
        .flat_map(|row| row.iter().step_by(scale))
        .map(|mask| if *mask < 128 { 0.0 } else { 1.0 })
        .collect();
    let shape = (1, 1, size.height_px as usize / scale, width / scale);
    Ok(Tensor::from_vec(values, shape, compute.device())?)
}

/// Returns the strongest mask of each latent's pixels, 0 to 1: what changes in a pixel changes its
/// latent.
fn spread(mask: &[u8], size: Size, scale: usize, compute: &Compute) -> Result<Tensor, EngineError> {
    let (width, height) = (size.width_px as usize / scale, size.height_px as usize / scale);
    let mut values = vec![0u8; width * height];
    for (y, row) in mask.chunks_exact(size.width_px as usize).enumerate() {
        for (x, mask) in row.iter().enumerate() {
            if let Some(value) = values.get_mut(y / scale * width + x / scale) {
                *value = (*value).max(*mask);
            }
        }
    }
    let values: Vec<f32> = values.into_iter().map(|value| f32::from(value) / 255.0).collect();
    Ok(Tensor::from_vec(values, (1, 1, height, width), compute.device())?)
}
