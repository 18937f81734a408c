//! Files of weights: read without trusting them, widened to f32.

pub mod gguf;
mod safetensors;

pub use self::safetensors::{Weights, read_tensor};
