//! The networks, one folder per family: sizes, loading, and a forward pass each; no loops over steps.

pub mod house_picture;
pub mod language;
pub mod segment_anything;
pub mod segmenter;
pub mod stable_diffusion;
pub mod upscaler;
