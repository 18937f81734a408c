//! What a model of the Stable Diffusion family takes in memory.

use crate::protocol::{Precision, Size};
use crate::weights::open::Checkpoint;

/// Names of what a model's file may hold beside what painting needs: copies for further training.
const UNNEEDED: [&str; 3] = ["model_ema.", "optimizer", "safety_checker"];
/// Parts of the names of what text encoders are made of.
const TEXT: [&str; 4] = ["text_encoder", "cond_stage_model.", "conditioner.", "text_model."];
/// Parts of the names of what autoencoders are made of.
const VAE: [&str; 2] = ["vae/", "first_stage_model."];

/// Memory of the program beside weights and pictures, in bytes, with blocks that wait to be used again.
const PROGRAM_BYTES: u64 = 380_000_000;
/// What the largest moment, that of decoding, takes for each pixel, in bytes, with blocks that wait.
/// With it the estimate is 3.9 GB for Stable Diffusion 1.5 at 512×512, where 3.93 were measured, and
/// 12.5 for XL at 1024×1024, where 11.9 were.
const DECODE_BYTES_PER_PIXEL: u64 = 3600;
/// The same without what waits: a picture of twice the finest level's channels, beside two of its own.
const PLAIN_DECODE_BYTES_PER_PIXEL: u64 = 2300;
/// The same where rows are computed one after the other: two pictures of the finest level's channels,
/// beside a quarter of the size with twice as many.
const LEAN_DECODE_BYTES_PER_PIXEL: u64 = 1600;
/// The most pixels that are decoded at once where more do not fit: those of a tile.
const TILE_PIXELS: u64 = 512 * 512;
/// Memory of the program beside weights and pictures where memory is saved, in bytes.
const LEAN_PROGRAM_BYTES: u64 = 120_000_000;
/// What a lean net takes for each pixel while it paints with guidance, in bytes.
const LEAN_PAINT_BYTES_PER_PIXEL: u64 = 1100;

/// Says what a model of the family needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffusionNeed {
    /// How many numbers its net has.
    pub net: u64,
    /// How many its text encoders have.
    pub texts: u64,
    /// How many its autoencoder has.
    pub vae: u64,
}

impl DiffusionNeed {
    /// Counts what painting needs of a file.
    pub fn of(file: &Checkpoint) -> Self {
        let mut need = Self { net: 0, texts: 0, vae: 0 };
        for (name, info) in file.tensors() {
            let is_of = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
            if is_of(&UNNEEDED) {
                continue;
            }
            let part = match (is_of(&TEXT), is_of(&VAE)) {
                (true, _) => &mut need.texts,
                (_, true) => &mut need.vae,
                _ => &mut need.net,
            };
            *part = part.saturating_add(info.count());
        }
        need
    }

    /// Returns how many numbers all networks have.
    pub fn parameters(&self) -> u64 {
        self.net.saturating_add(self.texts).saturating_add(self.vae)
    }

    /// Returns the size of the networks once they are loaded, in bytes.
    pub fn held_bytes(&self, precision: Precision) -> u64 {
        // Winograd's forms of the finest levels, norms and tables of words are larger.
        in_tenths(self.parameters().saturating_mul(bytes_of(precision)), 12)
    }

    /// Returns the most memory that the program takes for a picture of a size, in bytes.
    pub fn memory_bytes(&self, precision: Precision, size: Size) -> u64 {
        let work = pixels(size).saturating_mul(DECODE_BYTES_PER_PIXEL);
        self.held_bytes(precision).saturating_add(work).saturating_add(PROGRAM_BYTES)
    }

    /// Returns the size of what stays of the model where memory is saved: its net, in bytes.
    pub fn lean_held_bytes(&self, precision: Precision) -> u64 {
        self.net.saturating_mul(bytes_of(precision)).saturating_mul(104) / 100
    }

    /// Returns the most memory that the program takes for a picture of a size where memory is saved, in
    /// bytes: beside the net there are the text encoders, what it paints in, or the autoencoder.
    pub fn lean_memory_bytes(&self, precision: Precision, size: Size) -> u64 {
        let bytes = bytes_of(precision);
        // The table of words stays f32.
        let reading = in_tenths(self.texts.saturating_mul(bytes), 15);
        let painting = pixels(size).saturating_mul(LEAN_PAINT_BYTES_PER_PIXEL);
        let decoded = pixels(size).min(TILE_PIXELS).saturating_mul(LEAN_DECODE_BYTES_PER_PIXEL);
        let decoding = in_tenths(self.vae.saturating_mul(bytes), 12).saturating_add(decoded);
        let most = reading.max(painting).max(decoding);
        self.lean_held_bytes(precision).saturating_add(most).saturating_add(LEAN_PROGRAM_BYTES)
    }
}

/// Returns what decoding a picture at once takes, in bytes, without the networks.
pub fn decode_bytes(size: Size) -> u64 {
    pixels(size).saturating_mul(PLAIN_DECODE_BYTES_PER_PIXEL)
}

/// Returns the same for rows one after the other.
pub fn lean_decode_bytes(size: Size) -> u64 {
    pixels(size).saturating_mul(LEAN_DECODE_BYTES_PER_PIXEL)
}

fn pixels(size: Size) -> u64 {
    u64::from(size.width_px) * u64::from(size.height_px)
}

fn bytes_of(precision: Precision) -> u64 {
    match precision {
        Precision::Exact => 4,
        Precision::Fast => 2,
    }
}

fn in_tenths(bytes: u64, tenths: u64) -> u64 {
    bytes.saturating_mul(tenths) / 10
}
