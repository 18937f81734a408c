//! What a model of the Stable Diffusion family takes in memory.

use crate::protocol::{Precision, Size};
use crate::weights::open::Checkpoint;

/// Names of what a model's file may hold beside what painting needs: copies for further training.
const UNNEEDED: [&str; 3] = ["model_ema.", "optimizer", "safety_checker"];

/// Memory of the program beside weights and pictures, in bytes, with blocks that wait to be used again.
const PROGRAM_BYTES: u64 = 380_000_000;
/// What the largest moment, that of decoding, takes for each pixel, in bytes. With it the estimate is
/// 3.9 GB for Stable Diffusion 1.5 at 512×512, where 3.93 were measured, and 12.5 for XL at 1024×1024,
/// where 11.9 were.
const DECODE_BYTES_PER_PIXEL: u64 = 3600;

/// Says what a model of the family needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffusionNeed {
    /// How many numbers its networks have.
    pub parameters: u64,
}

impl DiffusionNeed {
    /// Counts what painting needs of a file.
    pub fn of(file: &Checkpoint) -> Self {
        let needed = file
            .tensors()
            .iter()
            .filter(|(name, _)| !UNNEEDED.iter().any(|unneeded| name.contains(unneeded)));
        let parameters = needed.fold(0u64, |sum, (_, info)| sum.saturating_add(info.count()));
        Self { parameters }
    }

    /// Returns the size of the networks once they are loaded, in bytes.
    pub fn held_bytes(&self, precision: Precision) -> u64 {
        let bytes = match precision {
            Precision::Exact => 4,
            Precision::Fast => 2,
        };
        // Winograd's forms of the finest levels, norms and tables of words are larger.
        self.parameters.saturating_mul(bytes).saturating_mul(12) / 10
    }

    /// Returns the most memory that the program takes for a picture of a size, in bytes.
    pub fn memory_bytes(&self, precision: Precision, size: Size) -> u64 {
        let pixels = u64::from(size.width_px) * u64::from(size.height_px);
        let work = pixels.saturating_mul(DECODE_BYTES_PER_PIXEL);
        self.held_bytes(precision).saturating_add(work).saturating_add(PROGRAM_BYTES)
    }
}
