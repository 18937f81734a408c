//! Samplers that remember nothing: Euler, Heun and DPM2.
//!
//! They follow `dx/dσ = (x − x0)/σ`, which is the same equation for a flow (where it is
//! `noise − x0`) and for variance-exploding latents (where it is the noise).

use candle_core::Tensor;

use super::combine::combine;
use super::{AddedNoise, Advanced, Denoise, Draw, Sampler, SamplerSettings};
use crate::error::EngineError;
use crate::math::schedule::Schedule;

/// Steps along the tangent; first order.
///
/// # Source
/// Karras, Aittala, Aila, Laine: Elucidating the design space of diffusion-based generative models,
/// algorithm 2 without its lines 9 to 11; k-diffusion `sample_euler`; without churn also diffusers
/// `EulerDiscreteScheduler`, `FlowMatchEulerDiscreteScheduler`.
pub(super) struct Euler {
    pub settings: SamplerSettings,
}

impl Sampler for Euler {
    fn advance(
        &mut self,
        schedule: &Schedule,
        index: usize,
        x: &Tensor,
        denoise: &mut Denoise<'_>,
        noise: &mut AddedNoise<'_>,
    ) -> Result<Advanced, EngineError> {
        let (from, x) = churn(&self.settings, schedule, index, x, noise)?;
        let to = schedule.sigmas()[index + 1];
        let x0 = denoise(&x, from)?;
        Ok(Advanced { x: euler([from, to], &x, &x0)?, x0 })
    }
}

/// `x + (σ′ − σ)·(x − x0)/σ`, gathered by `x` and `x0`.
pub(super) fn euler([from, to]: [f64; 2], x: &Tensor, x0: &Tensor) -> Result<Tensor, EngineError> {
    let kept = to / from;
    combine([(kept, x), (1.0 - kept, x0)])
}

/// Returns the level and the latents from which a step starts: those of the schedule, or, with churn,
/// some way back up with new noise.
fn churn(
    settings: &SamplerSettings,
    schedule: &Schedule,
    index: usize,
    x: &Tensor,
    noise: &mut AddedNoise<'_>,
) -> Result<(f64, Tensor), EngineError> {
    let sigma = schedule.sigmas()[index];
    let [low, high] = settings.churn_between;
    let share = settings.s_churn / schedule.steps() as f64;
    if share <= 0.0 || !(low..=high).contains(&sigma) {
        return Ok((sigma, x.clone()));
    }
    let above = sigma * (1.0 + share.min(std::f64::consts::SQRT_2 - 1.0));
    let scale = settings.s_noise * (above * above - sigma * sigma).sqrt();
    let noise = noise(Draw { step: index, part: 0 })?;
    Ok((above, combine([(1.0, x), (scale, &noise)])?))
}

/// Steps along the mean of the tangents at both ends; second order, two model calls, but only one for
/// a step to 0, where the second tangent does not exist.
///
/// # Source
/// Karras, Aittala, Aila, Laine: Elucidating the design space of diffusion-based generative models,
/// algorithm 2; k-diffusion `sample_heun`; without churn also diffusers `HeunDiscreteScheduler`,
/// `FlowMatchHeunDiscreteScheduler`.
pub(super) struct Heun {
    pub settings: SamplerSettings,
}

impl Sampler for Heun {
    fn advance(
        &mut self,
        schedule: &Schedule,
        index: usize,
        x: &Tensor,
        denoise: &mut Denoise<'_>,
        noise: &mut AddedNoise<'_>,
    ) -> Result<Advanced, EngineError> {
        let (from, x) = churn(&self.settings, schedule, index, x, noise)?;
        let to = schedule.sigmas()[index + 1];
        let x0 = denoise(&x, from)?;
        let ahead = euler([from, to], &x, &x0)?;
        if to == 0.0 {
            return Ok(Advanced { x: ahead, x0 });
        }
        let x0_ahead = denoise(&ahead, to)?;
        let (here, there) = ((to - from) / (2.0 * from), (to - from) / (2.0 * to));
        let x = combine([(1.0 + here, &x), (-here, &x0), (there, &ahead), (-there, &x0_ahead)])?;
        Ok(Advanced { x, x0: x0_ahead })
    }
}

/// Steps along the tangent at the middle of the step, which lies at the mean of the logarithms; second
/// order, two model calls, but only one for a step to 0.
///
/// # Source
/// Lu, Zhou, Bao, Chen, Li, Zhu: DPM-Solver, algorithm 1; k-diffusion `sample_dpm_2`.
pub(super) struct Dpm2 {
    pub settings: SamplerSettings,
}

impl Sampler for Dpm2 {
    fn advance(
        &mut self,
        schedule: &Schedule,
        index: usize,
        x: &Tensor,
        denoise: &mut Denoise<'_>,
        noise: &mut AddedNoise<'_>,
    ) -> Result<Advanced, EngineError> {
        let (from, x) = churn(&self.settings, schedule, index, x, noise)?;
        by_middle([from, schedule.sigmas()[index + 1]], &x, denoise)
    }
}

/// Takes a step of DPM2; to 0, one of Euler.
pub(super) fn by_middle(
    [from, to]: [f64; 2],
    x: &Tensor,
    denoise: &mut Denoise<'_>,
) -> Result<Advanced, EngineError> {
    let x0 = denoise(x, from)?;
    if to == 0.0 {
        return Ok(Advanced { x: euler([from, to], x, &x0)?, x0 });
    }
    let middle = (from * to).sqrt();
    let halfway = euler([from, middle], x, &x0)?;
    let x0_middle = denoise(&halfway, middle)?;
    let slope = (to - from) / middle;
    let x = combine([(1.0, x), (slope, &halfway), (-slope, &x0_middle)])?;
    Ok(Advanced { x, x0: x0_middle })
}
