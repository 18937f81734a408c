//! Samplers that extrapolate the noise from several steps: LMS and PNDM.

use std::collections::VecDeque;

use candle_core::Tensor;

use super::combine::{combine, combine_all};
use super::single_step::euler;
use super::{AddedNoise, Advanced, Denoise, Sampler};
use crate::error::EngineError;
use crate::math::schedule::Schedule;

/// The most steps that are looked back on, the present one included.
const MOST: usize = 4;

/// Returns `(x − x0)/σ`: the noise that the model sees.
fn slope(x: &Tensor, x0: &Tensor, sigma: f64) -> Result<Tensor, EngineError> {
    combine([(1.0 / sigma, x), (-1.0 / sigma, x0)])
}

/// Returns `x + Σ weight·slope`.
fn along(x: &Tensor, weights: &[f64], slopes: &VecDeque<Tensor>) -> Result<Tensor, EngineError> {
    let terms: Vec<_> =
        std::iter::once((1.0, x)).chain(weights.iter().copied().zip(slopes)).collect();
    combine_all(&terms)
}

/// Integrates the polynomial through the slopes of up to four steps; fourth order.
///
/// # Source
/// Katherine Crowson's k-diffusion, `sample_lms` (Adams–Bashforth with uneven steps).
#[derive(Default)]
pub(super) struct Lms {
    /// The latest first.
    slopes: VecDeque<Tensor>,
}

impl Sampler for Lms {
    fn advance(
        &mut self,
        schedule: &Schedule,
        index: usize,
        x: &Tensor,
        denoise: &mut Denoise<'_>,
        _noise: &mut AddedNoise<'_>,
    ) -> Result<Advanced, EngineError> {
        let x0 = denoise(x, schedule.sigmas()[index])?;
        self.slopes.push_front(slope(x, &x0, schedule.sigmas()[index])?);
        self.slopes.truncate(MOST);
        let order = self.slopes.len();
        let known: Vec<f64> = (0..order).map(|back| schedule.sigmas()[index - back]).collect();
        let weights = integrals(&known, schedule.sigmas()[index + 1]);
        Ok(Advanced { x: along(x, &weights, &self.slopes)?, x0 })
    }
}

/// Integrates each Lagrange polynomial of up to four places from the first place to `to`.
fn integrals(places: &[f64], to: f64) -> Vec<f64> {
    let polynomial = |j: usize, at: f64| -> f64 {
        let others = places.iter().enumerate().filter(|(k, _)| *k != j);
        others.map(|(_, place)| (at - place) / (places[j] - place)).product()
    };
    let (middle, half) = (0.5 * (places[0] + to), 0.5 * (to - places[0]));
    // Gauss's rule with two points is exact up to the third degree.
    let off = half / 3.0_f64.sqrt();
    (0..places.len())
        .map(|j| half * (polynomial(j, middle - off) + polynomial(j, middle + off)))
        .collect()
}

/// Extrapolates the noise by the weights of even steps, whatever the steps are. The first step is taken
/// twice, the second time with the mean of the noise at both its ends, which costs a model call.
///
/// # Source
/// Liu, Ren, Lin, Zhao: Pseudo numerical methods for diffusion models on manifolds, equations 9 and
/// 12; diffusers `PNDMScheduler` with `skip_prk_steps` for epsilon models (for v models it extrapolates
/// v, which a sampler here does not see).
#[derive(Default)]
pub(super) struct Pndm {
    /// The latest first.
    slopes: VecDeque<Tensor>,
}

impl Sampler for Pndm {
    fn advance(
        &mut self,
        schedule: &Schedule,
        index: usize,
        x: &Tensor,
        denoise: &mut Denoise<'_>,
        _noise: &mut AddedNoise<'_>,
    ) -> Result<Advanced, EngineError> {
        let [from, to] = [schedule.sigmas()[index], schedule.sigmas()[index + 1]];
        let x0 = denoise(x, from)?;
        self.slopes.push_front(slope(x, &x0, from)?);
        self.slopes.truncate(MOST);
        let step = to - from;
        let weights = match self.slopes.len() {
            1 if schedule.steps() == 1 => {
                return Ok(Advanced { x: euler([from, to], x, &x0)?, x0 });
            }
            1 => {
                let ahead = euler([from, to], x, &x0)?;
                let x0_ahead = denoise(&ahead, to)?;
                let there = slope(&ahead, &x0_ahead, to)?;
                let half = 0.5 * step;
                let x = combine([(1.0, x), (half, &self.slopes[0]), (half, &there)])?;
                return Ok(Advanced { x, x0: x0_ahead });
            }
            2 => vec![1.5, -0.5],
            3 => [23.0, -16.0, 5.0].map(|weight| weight / 12.0).to_vec(),
            _ => [55.0, -59.0, 37.0, -9.0].map(|weight| weight / 24.0).to_vec(),
        };
        let weights: Vec<f64> = weights.into_iter().map(|weight| weight * step).collect();
        Ok(Advanced { x: along(x, &weights, &self.slopes)?, x0 })
    }
}
