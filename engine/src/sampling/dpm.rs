//! DPM-Solver++ (2M), and the step that it shares with UniPC.

use candle_core::Tensor;

use super::combine::combine;
use super::{AddedNoise, Advanced, Denoise, Sampler};
use crate::error::EngineError;
use crate::math::schedule::Schedule;

/// Runs shorter than this end with a first-order step even where the last level is not 0.
///
/// # Source
/// diffusers `DPMSolverMultistepScheduler`, `lower_order_final`.
const SHORT_RUN_STEPS: usize = 15;

/// Holds a step from one level to a lower one, in terms of `λ = ln(α/σ)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leg {
    /// Weight of `x`: `σ′/σ`.
    pub keep: f64,
    /// Weight of x0, were it constant: `α′·(1 − e^{−h})`.
    pub gain: f64,
    /// `λ′ − λ`; infinite to level 0, and from pure noise, where α is 0.
    pub h: f64,
}

impl Leg {
    pub fn new(schedule: &Schedule, from: usize, to: usize) -> Self {
        let [from, to] = [schedule.sigmas()[from], schedule.sigmas()[to]];
        let [alpha_from, alpha_to] = [from, to].map(|sigma| schedule.form().alpha(sigma));
        let keep = to / from;
        // Without logarithms, so that both ends may be infinite: e^{−h} = (σ′/α′)/(σ/α).
        let gain = alpha_to - alpha_from * keep;
        Self { keep, gain, h: (alpha_to / to).ln() - (alpha_from / from).ln() }
    }
}

/// Extends x0 over a step by the line through its last two estimates, `slope` being the ratio of
/// this step to the one between them; 0 takes x0 as constant (first order).
pub(super) fn predict(
    leg: Leg,
    slope: f64,
    x: &Tensor,
    x0: &Tensor,
    x0_before: Option<&Tensor>,
) -> Result<Tensor, EngineError> {
    match x0_before {
        Some(before) if slope != 0.0 => {
            let half = 0.5 * slope * leg.gain;
            combine([(leg.keep, x), (leg.gain + half, x0), (-half, before)])
        }
        _ => combine([(leg.keep, x), (leg.gain, x0)]),
    }
}

/// Extrapolates x0 from the last two model calls; second order, one call per step.
///
/// The first step is of first order, and so is the last one to level 0.
///
/// # Source
/// Lu, Zhou, Bao, Chen, Li, Zhu: DPM-Solver++, algorithm 2 (midpoint form); diffusers
/// `DPMSolverMultistepScheduler` with `dpmsolver++`.
#[derive(Default)]
pub(super) struct DpmPp2m {
    before: Option<(Tensor, Leg)>,
}

impl Sampler for DpmPp2m {
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
        let is_first_order =
            schedule.sigmas()[index + 1] == 0.0 || (is_last && schedule.steps() < SHORT_RUN_STEPS);
        let slope = match &self.before {
            Some((_, leg_before)) if !is_first_order => leg.h / leg_before.h,
            _ => 0.0,
        };
        let before = self.before.as_ref().map(|(x0, _)| x0);
        let x = predict(leg, slope, x, &x0, before)?;
        self.before = Some((x0.clone(), leg));
        Ok(Advanced { x, x0 })
    }
}
