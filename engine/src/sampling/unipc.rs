//! UniPC.

use candle_core::Tensor;

use super::combine::combine;
use super::dpm::{Leg, predict};
use super::{AddedNoise, Advanced, Denoise, Sampler};
use crate::error::EngineError;
use crate::math::schedule::Schedule;

/// Predicts like DPM++ 2M, and corrects each prediction by the model's answer at its end, which the
/// next step needs anyway: second order with one call per step.
///
/// The first and the last step are of first order. The latents that a step yields are the prediction; the
/// correction happens at the start of the next step, and there is none at the end.
///
/// # Source
/// Zhao, Bai, Rao, Zhou, Lu: UniPC, algorithms 1 and 2, for `B₂(h) = e^h − 1` and data prediction;
/// diffusers `UniPCMultistepScheduler` with `solver_order` 2 and `bh2`.
#[derive(Default)]
pub(super) struct UniPc {
    last: Option<Last>,
}

/// What the corrector needs to know of the step before.
struct Last {
    leg: Leg,
    /// Ratio of that step to the one before it; 0 after none and after one from pure noise.
    slope: f64,
    /// The corrected latents at its start.
    x: Tensor,
    /// The estimate at its start.
    x0: Tensor,
    /// The estimate one step earlier.
    x0_before: Option<Tensor>,
}

impl Last {
    /// Takes the step again, now knowing the estimate at its end.
    fn correct(&self, x0_end: &Tensor) -> Result<Tensor, EngineError> {
        let Self { leg, slope, x, x0, x0_before } = self;
        let gain = leg.gain;
        let Some(before) = x0_before else {
            return combine([(leg.keep, x), (0.5 * gain, x0), (0.5 * gain, x0_end)]);
        };
        // The weights of the parabola through three estimates: with r the place of the earliest one
        // (−1/slope, this step's end being 1), ρ₁ + ρ₂ = b₁ and r·ρ₁ + ρ₂ = b₂. After a step from
        // pure noise, r is −∞ and the earliest weighs nothing.
        let (phi_1, place) = ((-leg.h).exp_m1(), -1.0 / slope);
        let phi_2 = phi_1 / -leg.h - 1.0;
        let b1 = phi_2 / phi_1;
        let b2 = (phi_2 / -leg.h - 0.5) * 2.0 / phi_1;
        let early = (b1 - b2) / (1.0 - place);
        let (early, end) = (gain * early / place, gain * (b1 - early));
        combine([(leg.keep, x), (gain - early - end, x0), (early, before), (end, x0_end)])
    }
}

impl Sampler for UniPc {
    fn advance(
        &mut self,
        schedule: &Schedule,
        index: usize,
        x: &Tensor,
        denoise: &mut Denoise<'_>,
        _noise: &mut AddedNoise<'_>,
    ) -> Result<Advanced, EngineError> {
        let x0 = denoise(x, schedule.sigmas()[index])?;
        let leg = Leg::new(schedule, index, index + 1);
        let is_last = index + 1 == schedule.steps();
        let (corrected, slope, x0_before) = match self.last.take() {
            Some(last) => {
                let slope = if is_last { 0.0 } else { leg.h / last.leg.h };
                (last.correct(&x0)?, slope, Some(last.x0))
            }
            None => (x.clone(), 0.0, None),
        };
        let x = predict(leg, slope, &corrected, &x0, x0_before.as_ref())?;
        self.last = Some(Last { leg, slope, x: corrected, x0: x0.clone(), x0_before });
        Ok(Advanced { x, x0 })
    }
}
