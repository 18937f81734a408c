//! Samplers that step to below the next level and add new noise up to it.

use candle_core::Tensor;

use super::combine::combine;
use super::single_step::{by_middle, euler};
use super::{AddedNoise, Advanced, Denoise, Draw, Sampler};
use crate::error::EngineError;
use crate::math::schedule::Schedule;

/// Returns the level to step down to and the deviation of the noise that leads back up to `to`.
/// `eta` of 1 forgets as much as the training's own noise does in the other direction; 0 nothing.
///
/// # Source
/// Song, Meng, Ermon: Denoising diffusion implicit models, equation 16, in terms of σ; k-diffusion
/// `get_ancestral_step`.
pub(super) fn ancestral_step([from, to]: [f64; 2], eta: f64) -> [f64; 2] {
    let up = (eta * to * (1.0 - (to / from).powi(2)).max(0.0).sqrt()).min(to);
    [(to * to - up * up).max(0.0).sqrt(), up]
}

fn add(
    advanced: Advanced,
    deviation: f64,
    step: usize,
    noise: &mut AddedNoise<'_>,
) -> Result<Advanced, EngineError> {
    if deviation == 0.0 {
        return Ok(advanced);
    }
    let noise = noise(Draw { step, part: 0 })?;
    Ok(Advanced { x: combine([(1.0, &advanced.x), (deviation, &noise)])?, ..advanced })
}

/// Steps along the tangent, ancestrally; first order. With `eta` 1 this is also DDPM, and with any
/// `eta` DDIM: their formulas are these, multiplied by `√(σ² + 1)` at each level.
///
/// # Source
/// k-diffusion `sample_euler_ancestral`; diffusers `EulerAncestralDiscreteScheduler`,
/// `DDIMScheduler`, and `DDPMScheduler` with `fixed_small`. Ho, Jain, Abbeel: Denoising diffusion
/// probabilistic models, equations 6 and 7.
pub(super) struct EulerA {
    pub eta: f64,
    pub s_noise: f64,
}

impl Sampler for EulerA {
    fn advance(
        &mut self,
        schedule: &Schedule,
        index: usize,
        x: &Tensor,
        denoise: &mut Denoise<'_>,
        noise: &mut AddedNoise<'_>,
    ) -> Result<Advanced, EngineError> {
        let [from, to] = [schedule.sigmas()[index], schedule.sigmas()[index + 1]];
        let [down, up] = ancestral_step([from, to], self.eta);
        let x0 = denoise(x, from)?;
        let advanced = Advanced { x: euler([from, down], x, &x0)?, x0 };
        add(advanced, self.s_noise * up, index, noise)
    }
}

/// Steps like DPM2, ancestrally; two model calls, but only one for a step to 0.
///
/// # Source
/// k-diffusion `sample_dpm_2_ancestral`.
pub(super) struct Dpm2A {
    pub eta: f64,
    pub s_noise: f64,
}

impl Sampler for Dpm2A {
    fn advance(
        &mut self,
        schedule: &Schedule,
        index: usize,
        x: &Tensor,
        denoise: &mut Denoise<'_>,
        noise: &mut AddedNoise<'_>,
    ) -> Result<Advanced, EngineError> {
        let [from, to] = [schedule.sigmas()[index], schedule.sigmas()[index + 1]];
        let [down, up] = ancestral_step([from, to], self.eta);
        add(by_middle([from, down], x, denoise)?, self.s_noise * up, index, noise)
    }
}
