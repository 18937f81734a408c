//! The noise that samplers add on their way.

use candle_core::{Device, Tensor};

use crate::error::EngineError;
use crate::math::rng::normal_stream;

/// Names one piece of the noise of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Draw {
    /// Which step of the schedule, counted from 0.
    pub step: usize,
    /// Which piece within the step: 0 or 1.
    pub part: usize,
}

impl Draw {
    /// Returns the stream of a seed that the piece comes from; stream 0 is the starting noise.
    fn stream(self) -> u32 {
        u32::try_from(1 + 2 * self.step + self.part).unwrap_or(u32::MAX)
    }
}

/// Gives standard normal noise in the shape of the latents; the same for the same [`Draw`].
pub type AddedNoise<'a> = dyn FnMut(Draw) -> Result<Tensor, EngineError> + 'a;

/// Gives none: for runs of samplers that add no noise.
///
/// # Errors
/// [`EngineError::InvalidSetting`] always.
pub fn no_noise(_: Draw) -> Result<Tensor, EngineError> {
    Err(EngineError::invalid("sampler", "adds noise, and this run has none to give"))
}

/// Makes the noise of a batch `[seeds, shape…]` on a device: each picture has that of its own seed, so
/// it comes out as if it were alone. It depends on the seed, the step and the place, and on nothing
/// else.
pub fn seeded_noise(
    seeds: &[u64],
    shape: &[usize],
    device: &Device,
) -> impl FnMut(Draw) -> Result<Tensor, EngineError> {
    let (seeds, device) = (seeds.to_vec(), device.clone());
    let batch: Vec<usize> = std::iter::once(seeds.len()).chain(shape.iter().copied()).collect();
    move |draw| {
        let values = seeds.iter().flat_map(|seed| normal_stream(*seed, draw.stream(), &batch[1..]));
        Ok(Tensor::from_vec(values.collect(), batch.as_slice(), &device)?)
    }
}
