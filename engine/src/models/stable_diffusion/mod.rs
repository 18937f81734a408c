//! The Stable Diffusion family: prompts, text encoder, denoiser (U-Net) and autoencoder, with the names
//! of diffusers' checkpoints.

mod bands;
mod blocks;
mod control_net;
pub mod prompt;
mod text_encoder;
mod tiles;
mod tiny_autoencoder;
mod trunk;
mod unet;
mod vae;

pub use blocks::Check;
pub use control_net::{ControlNet, Residuals};
pub use text_encoder::{Encoded, TextEncoder};
pub use tiny_autoencoder::TinyAutoencoder;
pub use trunk::{Added, Conditions};
pub use unet::Unet;
pub use vae::{Halves, Vae};
