//! Samplers of models that were distilled to few steps: LCM and TCD.

use candle_core::Tensor;

use super::combine::combine;
use super::{AddedNoise, Advanced, Denoise, Draw, Sampler};
use crate::error::EngineError;
use crate::math::schedule::Schedule;

/// What a timestep is multiplied with, and the deviation of data, in the boundary condition of latent
/// consistency models.
///
/// # Source
/// diffusers `LCMScheduler`, `timestep_scaling` and `sigma_data`.
const TIMESTEP_SCALING: f64 = 10.0;
const SIGMA_DATA: f64 = 0.5;

/// Goes to x0 and adds noise for the next level; none in the last step.
///
/// # Source
/// Luo, Tan, Huang, Li, Zhao: Latent consistency models, algorithm 3; diffusers `LCMScheduler`.
pub(super) struct Lcm {
    pub s_noise: f64,
}

impl Sampler for Lcm {
    fn advance(
        &mut self,
        schedule: &Schedule,
        index: usize,
        x: &Tensor,
        denoise: &mut Denoise<'_>,
        noise: &mut AddedNoise<'_>,
    ) -> Result<Advanced, EngineError> {
        let [from, to] = [schedule.sigmas()[index], schedule.sigmas()[index + 1]];
        let x0 = denoise(x, from)?;
        // At timestep 0 the model's answer must be its input; elsewhere this hardly matters.
        let time = TIMESTEP_SCALING * schedule.timesteps()[index];
        let skip = SIGMA_DATA.powi(2) / (time * time + SIGMA_DATA.powi(2));
        let gain = time / time.hypot(SIGMA_DATA);
        let x0 = combine([(gain, &x0), (skip / from.hypot(1.0), x)])?;
        if to == 0.0 || index + 1 == schedule.steps() {
            return Ok(Advanced { x: x0.clone(), x0 });
        }
        let noise = noise(Draw { step: index, part: 0 })?;
        Ok(Advanced { x: combine([(1.0, &x0), (self.s_noise * to, &noise)])?, x0 })
    }
}

/// Goes along the model's trajectory to below the next level and adds noise up to it; none in the last
/// step. `eta` is the paper's γ: at 1 the trajectory leads to timestep 0, at 0 no noise is added.
///
/// # Source
/// Zheng et al.: Trajectory consistency distillation, algorithm 4; diffusers `TCDScheduler`.
pub(super) struct Tcd {
    pub eta: f64,
    pub s_noise: f64,
}

impl Sampler for Tcd {
    fn advance(
        &mut self,
        schedule: &Schedule,
        index: usize,
        x: &Tensor,
        denoise: &mut Denoise<'_>,
        noise: &mut AddedNoise<'_>,
    ) -> Result<Advanced, EngineError> {
        let [from, to] = [schedule.sigmas()[index], schedule.sigmas()[index + 1]];
        let x0 = denoise(x, from)?;
        let down = match (schedule.table(), schedule.timesteps().get(index + 1)) {
            (Some(table), Some(next)) if self.eta > 0.0 => {
                table.sigma(((1.0 - self.eta) * next).floor()).min(to)
            }
            _ => to,
        };
        let kept = down / from;
        let terms = [(kept, x), (1.0 - kept, &x0)];
        let up = self.s_noise * (to * to - down * down).sqrt();
        if up == 0.0 {
            return Ok(Advanced { x: combine(terms)?, x0 });
        }
        let noise = noise(Draw { step: index, part: 0 })?;
        let [a, b] = terms;
        Ok(Advanced { x: combine([a, b, (up, &noise)])?, x0 })
    }
}
