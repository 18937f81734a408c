//! Files of weights: read without trusting them, widened to f32.

pub mod element;
pub mod gguf;
mod safetensors;
pub mod source;
pub mod torch;

pub use self::safetensors::{Weights, read_tensor};
