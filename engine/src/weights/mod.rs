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
mod safe_header;
mod safetensors;
pub mod sd_config;
pub mod source;
pub mod torch;
pub mod widen;

pub use self::safetensors::{Weights, read_tensor};
