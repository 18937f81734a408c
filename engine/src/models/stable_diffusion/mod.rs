//! The Stable Diffusion family: prompts, text encoder, denoiser (U-Net) and autoencoder, with the names
//! of diffusers' checkpoints.

mod blocks;
mod config;
pub mod prompt;
mod text_encoder;
mod unet;
mod vae;

pub use blocks::Check;
pub use config::{TextConfig, UnetConfig, VaeConfig};
pub use text_encoder::{Encoded, TextEncoder};
pub use unet::{Added, Unet};
pub use vae::Vae;
