//! Samplers that remember nothing: Euler and Heun.
//!
//! Both follow `dx/dσ = (x − x0)/σ`, which is the same equation for a flow (where it is
//! `noise − x0`) and for variance-exploding latents (where it is the noise).

use candle_core::Tensor;

use super::combine::combine;
use super::{Advanced, Denoise, Sampler};
use crate::error::EngineError;
use crate::math::schedule::Schedule;

/// Steps along the tangent; first order.
///
/// # Source
/// Karras, Aittala, Aila, Laine: Elucidating the design space of diffusion-based generative models,
/// algorithm 1 without its lines 6 to 8; diffusers `EulerDiscreteScheduler`,
/// `FlowMatchEulerDiscreteScheduler`.
pub(super) struct Euler;

impl Sampler for Euler {
    fn advance(
        &mut self,
        schedule: &Schedule,
        index: usize,
        x: &Tensor,
        denoise: &mut Denoise<'_>,
    ) -> Result<Advanced, EngineError> {
        let [from, to] = [schedule.sigmas()[index], schedule.sigmas()[index + 1]];
        let x0 = denoise(x, from)?;
        Ok(Advanced { x: euler([from, to], x, &x0)?, x0 })
    }
}

/// `x + (σ′ − σ)·(x − x0)/σ`, gathered by `x` and `x0`.
fn euler([from, to]: [f64; 2], x: &Tensor, x0: &Tensor) -> Result<Tensor, EngineError> {
    let kept = to / from;
    combine([(kept, x), (1.0 - kept, x0)])
}

/// Steps along the mean of the tangents at both ends; second order, two model calls, but only one for
/// a step to 0, where the second tangent does not exist.
///
/// # Source
/// Karras, Aittala, Aila, Laine: Elucidating the design space of diffusion-based generative models,
/// algorithm 1; diffusers `HeunDiscreteScheduler`, `FlowMatchHeunDiscreteScheduler`.
pub(super) struct Heun;

impl Sampler for Heun {
    fn advance(
        &mut self,
        schedule: &Schedule,
        index: usize,
        x: &Tensor,
        denoise: &mut Denoise<'_>,
    ) -> Result<Advanced, EngineError> {
        let [from, to] = [schedule.sigmas()[index], schedule.sigmas()[index + 1]];
        let x0 = denoise(x, from)?;
        let ahead = euler([from, to], x, &x0)?;
        if to == 0.0 {
            return Ok(Advanced { x: ahead, x0 });
        }
        let x0_ahead = denoise(&ahead, to)?;
        let (here, there) = ((to - from) / (2.0 * from), (to - from) / (2.0 * to));
        let x = combine([(1.0 + here, x), (-here, &x0), (there, &ahead), (-there, &x0_ahead)])?;
        Ok(Advanced { x, x0: x0_ahead })
    }
}
