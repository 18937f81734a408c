//! Samplers: how noise becomes latents, one level after the other.
//!
//! A sampler knows no model. It sees a function from noisy latents `x` and a level σ to the model's
//! estimate of the clean latents, `x0`; [`Prediction`] makes that estimate from what a model says.
//! Flow and diffusion models differ only in how much of the picture remains at a level
//! ([`Form::alpha`]), so each sampler is written once for both.

mod ancestral;
mod combine;
mod consistency;
mod dpm;
mod guidance;
mod multistep;
mod noise;
mod prediction;
mod sde;
mod settings;
mod single_step;
mod tokens;
mod unipc;

use candle_core::{DType, Tensor};

use crate::error::EngineError;
pub use crate::math::schedule::{Form, Schedule};
use crate::protocol::SamplerKind;

use combine::is_finite;
pub use guidance::{guide, rescale_guidance};
pub use noise::{AddedNoise, Draw, no_noise, seeded_noise};
pub use prediction::Prediction;
pub use settings::SamplerSettings;
pub use tokens::TokenSampler;

/// Estimates the clean latents from noisy ones at a level: `(x, σ) → x0`, all of one shape.
///
/// A sampler of flows asks only about levels of its schedule, never about the last if that is 0; the
/// others may ask about levels above 0 between them. So [`Schedule::timestep`] always has an answer.
pub type Denoise<'a> = dyn FnMut(&Tensor, f64) -> Result<Tensor, EngineError> + 'a;

/// Hears of each step that is done; its error ends the sampling and is passed on.
pub type OnStep<'a> = dyn FnMut(Step<'_>) -> Result<(), EngineError> + 'a;

/// Shows a step that is done.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Which step, counted from 0.
    pub index: usize,
    /// How many steps there are.
    pub total: usize,
    /// The model's last estimate of the clean latents: what a preview shows.
    pub x0: &'a Tensor,
    /// The latents after the step.
    pub x: &'a Tensor,
}

/// Holds what one step of a sampler yields.
#[derive(Debug, Clone)]
pub struct Advanced {
    /// The latents at the next level.
    pub x: Tensor,
    /// The model's last estimate of the clean latents.
    pub x0: Tensor,
}

/// Leads latents from each level of a schedule to the next. It may remember earlier steps, so each run
/// needs a sampler of its own, and steps come in order.
pub trait Sampler {
    /// Takes step `index` of the schedule: `x` at level `index` becomes `x` at level `index + 1`.
    /// What noise it adds comes from `noise`.
    ///
    /// # Errors
    /// Passes on the error of `denoise`, of `noise` or of a tensor operation.
    fn advance(
        &mut self,
        schedule: &Schedule,
        index: usize,
        x: &Tensor,
        denoise: &mut Denoise<'_>,
        noise: &mut AddedNoise<'_>,
    ) -> Result<Advanced, EngineError>;
}

/// Makes a sampler at the start of a run.
pub fn sampler(settings: SamplerSettings) -> Box<dyn Sampler> {
    let SamplerSettings { kind, eta, s_noise, .. } = settings;
    match kind {
        SamplerKind::Euler => Box::new(single_step::Euler { settings }),
        SamplerKind::Heun => Box::new(single_step::Heun { settings }),
        SamplerKind::Dpm2 => Box::new(single_step::Dpm2 { settings }),
        SamplerKind::EulerA | SamplerKind::Ddim => Box::new(ancestral::EulerA { eta, s_noise }),
        // Its rule is that of Euler a, which has another name for the same step.
        SamplerKind::Ddpm => Box::new(ancestral::EulerA { eta: 1.0, s_noise }),
        SamplerKind::Dpm2A => Box::new(ancestral::Dpm2A { eta, s_noise }),
        SamplerKind::Lms => Box::new(multistep::Lms::default()),
        SamplerKind::Pndm => Box::new(multistep::Pndm::default()),
        SamplerKind::DpmPp2m => Box::new(dpm::DpmPp2m::default()),
        SamplerKind::DpmPp2mSde => Box::new(sde::DpmPp2mSde::new(eta, s_noise)),
        SamplerKind::DpmPpSde => Box::new(sde::DpmPpSde { eta, s_noise }),
        SamplerKind::DpmPp3mSde => Box::new(sde::DpmPp3mSde::new(eta, s_noise)),
        SamplerKind::UniPc => Box::new(unipc::UniPc::default()),
        SamplerKind::Lcm => Box::new(consistency::Lcm { s_noise }),
        SamplerKind::Tcd => Box::new(consistency::Tcd { eta, s_noise }),
    }
}

/// Returns how often a sampler calls the model in a schedule that ends at 0.
pub fn model_calls(kind: SamplerKind, steps: usize) -> usize {
    match kind {
        // The step to 0 needs one call.
        _ if kind.info().calls_per_step == 2 => (2 * steps).saturating_sub(1),
        // The first of several steps needs two.
        SamplerKind::Pndm if steps > 1 => steps + 1,
        _ => steps,
    }
}

/// Samples latents of any shape, from `start` (noise times [`Schedule::noise_scale`]) to the last
/// level, by a sampler that adds no noise. The result is f32 on the device of `start`.
///
/// `on_step` is called after each step: it shows previews, and cancels by its error.
///
/// # Errors
/// Those of [`sample_with_noise`]; [`EngineError::InvalidSetting`] for a sampler that adds noise.
pub fn sample(
    settings: impl Into<SamplerSettings>,
    schedule: &Schedule,
    start: Tensor,
    denoise: &mut Denoise<'_>,
    on_step: &mut OnStep<'_>,
) -> Result<Tensor, EngineError> {
    sample_with_noise(settings, schedule, start, &mut no_noise, denoise, on_step)
}

/// Samples latents of any shape, from `start` (noise times [`Schedule::noise_scale`]) to the last
/// level. The result is f32 on the device of `start`.
///
/// `noise` gives what a sampler adds on its way, in the shape of `start` ([`seeded_noise`]).
/// `on_step` is called after each step: it shows previews, and cancels by its error.
///
/// # Errors
/// Passes on errors of `denoise`, `noise`, `on_step` and tensor operations; gives
/// [`EngineError::InvalidSetting`] for settings that are out of range or that a flow's sampler does
/// not have, and [`EngineError::NotANumber`], naming the step (counted from 1), when an estimate or a
/// step's result is not finite.
pub fn sample_with_noise(
    settings: impl Into<SamplerSettings>,
    schedule: &Schedule,
    start: Tensor,
    noise: &mut AddedNoise<'_>,
    denoise: &mut Denoise<'_>,
    on_step: &mut OnStep<'_>,
) -> Result<Tensor, EngineError> {
    let settings = settings.into();
    settings.check(schedule.form())?;
    let mut sampler = sampler(settings);
    let total = schedule.steps();
    let mut x = start.to_dtype(DType::F32)?;
    for index in 0..total {
        let not_a_number =
            || EngineError::NotANumber { stage: format!("sampler at step {}", index + 1) };
        let mut checked = |x: &Tensor, sigma: f64| {
            let x0 = denoise(x, sigma)?;
            if is_finite(&x0)? { Ok(x0) } else { Err(not_a_number()) }
        };
        let advanced = sampler.advance(schedule, index, &x, &mut checked, noise)?;
        x = advanced.x;
        if !is_finite(&x)? {
            return Err(not_a_number());
        }
        on_step(Step { index, total, x0: &advanced.x0, x: &x })?;
    }
    Ok(x)
}

#[cfg(test)]
mod diffusion_tests;
#[cfg(test)]
mod tests;
