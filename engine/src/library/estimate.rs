//! What a run will cost, before it runs.

use crate::protocol::{PictureRequest, SamplerKind};

/// Guesses what a job will take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The most memory that the job holds at once, in bytes, the model included.
    pub memory_bytes: u64,
    /// How long it takes on two processor cores, in seconds, once the model is loaded.
    pub duration_secs: f64,
}

/// Memory of the loaded house model and of the program around it, in bytes.
const RESIDENT_BYTES: u64 = 160 << 20;
/// Memory for each pixel of the one picture that is sampled or decoded at a time, in bytes.
const PER_PIXEL_BYTES: u64 = 1500;
/// Seconds for each pixel and call of the house model.
const CALL_SECS_PER_PIXEL: f64 = 25e-3 / 65_536.0;
/// Seconds for each pixel to decode.
const DECODE_SECS_PER_PIXEL: f64 = 150e-3 / 65_536.0;

/// Estimates the memory and time of a job for the house model, from its size, steps and count.
pub fn estimate(request: &PictureRequest) -> Estimate {
    let pixels = u64::from(request.size.width_px) * u64::from(request.size.height_px);
    let calls_per_step = if request.sampling.sampler == SamplerKind::Heun { 2.0 } else { 1.0 };
    let with_guidance = if request.sampling.guidance == 1.0 { 1.0 } else { 2.0 };
    let calls = f64::from(request.sampling.steps) * calls_per_step * with_guidance;
    let secs_per_pixel = calls * CALL_SECS_PER_PIXEL + DECODE_SECS_PER_PIXEL;
    Estimate {
        memory_bytes: RESIDENT_BYTES.saturating_add(pixels.saturating_mul(PER_PIXEL_BYTES)),
        duration_secs: f64::from(request.count) * pixels as f64 * secs_per_pixel,
    }
}
