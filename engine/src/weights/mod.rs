//! Files of weights: read without trusting them, widened to f32.

pub mod detect;
pub mod element;
pub mod embedding;
mod folder;
pub mod gguf;
pub mod inspect;
mod llama2c;
pub mod lora;
pub mod names;
pub mod open;
mod random;
mod safe_header;
mod safetensors;
pub mod sd_config;
pub mod segment_anything;
pub mod segmenter;
pub mod source;
pub mod torch;
pub mod upscaler;
pub mod widen;

pub use self::random::RandomTensors;
pub use self::safetensors::{Weights, read_tensor};

use crate::error::EngineError;

/// Gives tensors by name, widened to f32, one at a time.
pub trait Tensors {
    /// Tells whether there is a tensor of this name.
    fn has(&self, name: &str) -> bool;

    /// Reads a tensor of this shape.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is not there or has another shape,
    /// [`EngineError::Cancelled`] when the job was cancelled.
    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError>;
}

impl Tensors for names::Named<'_> {
    fn has(&self, name: &str) -> bool {
        Self::has(self, name)
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        Self::read(self, name, shape)
    }
}

impl Tensors for lora::Patched<'_> {
    fn has(&self, name: &str) -> bool {
        Self::has(self, name)
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        Self::read(self, name, shape)
    }
}
