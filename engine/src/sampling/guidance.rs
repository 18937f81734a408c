//! Classifier-free guidance.

use candle_core::Tensor;

use super::combine::combine;
use crate::error::EngineError;

/// Returns `uncond + scale·(cond − uncond)`: what the model says with the prompt, pushed away from
/// what it says without (or with the negative prompt). A scale of 1 gives `cond`, 0 gives `uncond`.
///
/// It may be applied to a model's output or to x0, which gives the same, because each is an affine
/// function of the other.
///
/// # Errors
/// [`EngineError::Model`] when the shapes differ.
///
/// # Source
/// Ho, Salimans: Classifier-free diffusion guidance, equation 6, with `scale = 1 + w`.
pub fn guide(cond: &Tensor, uncond: &Tensor, scale: f64) -> Result<Tensor, EngineError> {
    combine([(scale, cond), (1.0 - scale, uncond)])
}
