//! What a model's output means.

use candle_core::Tensor;

use super::combine::combine;
use crate::error::EngineError;
use crate::math::schedule::Form;

/// Says what a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prediction {
    /// The velocity of a flow, `noise − x0`.
    Flow,
    /// The noise.
    Epsilon,
    /// The velocity of the variance-preserving form, `(noise − σ·x0) / √(σ² + 1)`.
    ///
    /// # Source
    /// Salimans, Ho: Progressive distillation for fast sampling of diffusion models, appendix D.
    V,
    /// The clean latents themselves.
    X0,
}

impl Prediction {
    /// Returns the form of the latents that the model was trained on, which its schedule must have.
    pub fn form(self) -> Form {
        match self {
            Self::Flow => Form::Flow,
            Self::Epsilon | Self::V | Self::X0 => Form::VarianceExploding,
        }
    }

    /// Returns what the model is given for the sampler's latents `x` at `sigma`: for epsilon, v and
    /// x0 models the variance-preserving form, `x / √(σ² + 1)`.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the tensor operation fails.
    pub fn model_input(self, x: &Tensor, sigma: f64) -> Result<Tensor, EngineError> {
        match self {
            Self::Flow => Ok(x.clone()),
            Self::Epsilon | Self::V | Self::X0 => combine([(1.0 / sigma.hypot(1.0), x)]),
        }
    }

    /// Returns the estimate of the clean latents from the model's `output` for the sampler's latents
    /// `x` at `sigma`.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the shapes differ.
    pub fn x0(self, output: &Tensor, x: &Tensor, sigma: f64) -> Result<Tensor, EngineError> {
        match self {
            Self::Flow | Self::Epsilon => combine([(1.0, x), (-sigma, output)]),
            Self::V => {
                let scale = sigma.hypot(1.0);
                combine([(1.0 / (scale * scale), x), (-sigma / scale, output)])
            }
            Self::X0 => combine([(1.0, output)]),
        }
    }
}
