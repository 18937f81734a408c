//! DPM-Solver++ for the equation with noise: 2M SDE, SDE and 3M SDE.
//!
//! In terms of `λ = −ln σ`, a step of length `h` keeps `e^{−(1 + η)h}` of `x`, and the noise that comes
//! anew has the deviation `σ′·√(1 − e^{−2ηh})`. A step to level 0 ends on x0.

use candle_core::Tensor;

use super::ancestral::ancestral_step;
use super::combine::combine_all;
use super::single_step::euler;
use super::{AddedNoise, Advanced, Denoise, Draw, Sampler};
use crate::error::EngineError;
use crate::math::schedule::Schedule;

/// An estimate with the length of the step that it began.
type Past = (Tensor, f64);

/// Returns the deviation of the noise that a step of length `h` to `sigma` adds.
fn deviation(sigma: f64, h: f64, eta: f64) -> f64 {
    sigma * (-(-2.0 * eta * h).exp_m1()).sqrt()
}

/// Returns `Σ weight·tensor`, plus noise of a deviation.
fn with_noise(
    terms: &mut Vec<(f64, &Tensor)>,
    deviation: f64,
    draw: Draw,
    noise: &mut AddedNoise<'_>,
) -> Result<Tensor, EngineError> {
    if deviation == 0.0 {
        return combine_all(terms);
    }
    let noise = noise(draw)?;
    let all: Vec<_> = terms.iter().copied().chain([(deviation, &noise)]).collect();
    combine_all(&all)
}

/// Extrapolates x0 from the last two model calls, with new noise in each step; one call per step.
///
/// # Source
/// Lu, Zhou, Bao, Chen, Li, Zhu: DPM-Solver++, section 5 (SDE-DPM-Solver++(2M), midpoint form);
/// k-diffusion `sample_dpmpp_2m_sde`.
pub(super) struct DpmPp2mSde {
    eta: f64,
    s_noise: f64,
    before: Option<Past>,
}

impl DpmPp2mSde {
    pub fn new(eta: f64, s_noise: f64) -> Self {
        Self { eta, s_noise, before: None }
    }
}

impl Sampler for DpmPp2mSde {
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
        if to == 0.0 {
            return Ok(Advanced { x: x0.clone(), x0 });
        }
        let h = (from / to).ln();
        let kept = (-(1.0 + self.eta) * h).exp();
        let gain = 1.0 - kept;
        let before = self.before.replace((x0.clone(), h));
        let mut terms = vec![(kept, x), (gain, &x0)];
        if let Some((x0_before, h_before)) = &before {
            let half = 0.5 * gain * h / h_before;
            terms.extend([(half, &x0), (-half, x0_before)]);
        }
        let deviation = self.s_noise * deviation(to, h, self.eta);
        let x = with_noise(&mut terms, deviation, Draw { step: index, part: 0 }, noise)?;
        Ok(Advanced { x, x0 })
    }
}

/// Extrapolates x0 from the last three model calls, with new noise in each step; one call per step.
///
/// # Source
/// k-diffusion `sample_dpmpp_3m_sde`.
pub(super) struct DpmPp3mSde {
    eta: f64,
    s_noise: f64,
    /// The latest first.
    before: [Option<Past>; 2],
}

impl DpmPp3mSde {
    pub fn new(eta: f64, s_noise: f64) -> Self {
        Self { eta, s_noise, before: [None, None] }
    }
}

impl Sampler for DpmPp3mSde {
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
        if to == 0.0 {
            return Ok(Advanced { x: x0.clone(), x0 });
        }
        let h = (from / to).ln();
        let length = (1.0 + self.eta) * h;
        let phi_1 = (-length).exp_m1();
        let phi_2 = phi_1 / length + 1.0;
        let phi_3 = phi_2 / length - 0.5;
        let mut terms = vec![(phi_1 + 1.0, x), (-phi_1, &x0)];
        match &self.before {
            // d₁ and d₂, the first and second divided differences of x0, gathered by the estimates.
            [Some((x0_1, h_1)), Some((x0_2, h_2))] => {
                let (r0, r1) = (h_1 / h, h_2 / h);
                let near = phi_2 * (1.0 + r0 / (r0 + r1)) - phi_3 / (r0 + r1);
                let far = phi_3 / (r0 + r1) - phi_2 * r0 / (r0 + r1);
                let (near, far) = (near / r0, far / r1);
                terms.extend([(near, &x0), (far - near, x0_1), (-far, x0_2)]);
            }
            [Some((x0_1, h_1)), None] => {
                let near = phi_2 * h / h_1;
                terms.extend([(near, &x0), (-near, x0_1)]);
            }
            _ => (),
        }
        let deviation = self.s_noise * deviation(to, h, self.eta);
        let x = with_noise(&mut terms, deviation, Draw { step: index, part: 0 }, noise)?;
        drop(terms);
        self.before[1] = self.before[0].replace((x0.clone(), h));
        Ok(Advanced { x, x0 })
    }
}

/// Steps by x0 at the middle of the step, with new noise up to there and to the end; two model calls,
/// but only one for a step to 0.
///
/// Both noises are stretches of one Brownian motion in σ: the noise of the whole step is that of its
/// first half and an independent one, weighted by the roots of their lengths.
///
/// # Source
/// Lu, Zhou, Bao, Chen, Li, Zhu: DPM-Solver++, algorithm 1 for its equation with noise; k-diffusion
/// `sample_dpmpp_sde` with `BrownianTreeNoiseSampler`, r = ½.
pub(super) struct DpmPpSde {
    pub eta: f64,
    pub s_noise: f64,
}

impl Sampler for DpmPpSde {
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
        if to == 0.0 {
            return Ok(Advanced { x: x0.clone(), x0 });
        }
        let middle = (from * to).sqrt();
        let [down, up] = ancestral_step([from, middle], self.eta);
        let [down_end, up_end] = ancestral_step([from, to], self.eta);
        if self.eta == 0.0 {
            let x0_middle = denoise(&euler([from, down], x, &x0)?, middle)?;
            return Ok(Advanced { x: euler([from, down_end], x, &x0_middle)?, x0: x0_middle });
        }
        let first = noise(Draw { step: index, part: 0 })?;
        let second = noise(Draw { step: index, part: 1 })?;
        let kept = down / from;
        let up = self.s_noise * up;
        let halfway = combine_all(&[(kept, x), (1.0 - kept, &x0), (up, &first)])?;
        let x0_middle = denoise(&halfway, middle)?;
        let kept = down_end / from;
        let scale = self.s_noise * up_end / (from - to).sqrt();
        let x = combine_all(&[
            (kept, x),
            (1.0 - kept, &x0_middle),
            (scale * (from - middle).sqrt(), &first),
            (scale * (middle - to).sqrt(), &second),
        ])?;
        Ok(Advanced { x, x0: x0_middle })
    }
}
