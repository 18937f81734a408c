//! Files of weights: read without trusting them, widened to f32.

mod safetensors;

pub use self::safetensors::{Weights, read_tensor};
