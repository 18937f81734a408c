//! The noise that pictures start from.

use std::fs;
use std::path::Path;

use candle_core::Tensor;

use crate::error::EngineError;
use crate::math::rng;
use crate::nn::Compute;
use crate::protocol::NoiseSource;
use crate::weights::read_tensor;

/// Larger than any noise that a request can use: 64 pictures of the largest size.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Gives every picture its noise.
#[derive(Debug)]
pub(super) struct Noise {
    shape: [usize; 4],
    file: Option<Vec<f32>>,
}

impl Noise {
    /// Reads the file of a source, if it names one, and checks that it has noise for `count`
    /// pictures of `shape` `[1, c, h, w]`.
    pub(super) fn open(
        source: &NoiseSource,
        count: u32,
        shape: [usize; 4],
    ) -> Result<Self, EngineError> {
        let file = match source {
            NoiseSource::Seed => None,
            NoiseSource::File(path) => Some(read(path, count as usize, shape)?),
        };
        Ok(Self { shape, file })
    }

    /// Returns the noise `[1, c, h, w]` of the picture with this index and seed.
    pub(super) fn picture(
        &self,
        index: u32,
        seed: u64,
        compute: &Compute,
    ) -> Result<Tensor, EngineError> {
        let len: usize = self.shape.iter().product();
        let values = match &self.file {
            None => rng::normal(seed, &self.shape[1..]),
            Some(values) => values[index as usize * len..][..len].to_vec(),
        };
        Ok(Tensor::from_vec(values, &self.shape[..], compute.device())?)
    }
}

fn read(path: &Path, count: usize, shape: [usize; 4]) -> Result<Vec<f32>, EngineError> {
    let unreadable = |error: std::io::Error| EngineError::io("read the noise", path, &error);
    if fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE_BYTES {
        return Err(EngineError::damaged(path, "is too large to hold the noise of pictures"));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    let (found, mut values) = read_tensor(&bytes, "noise", path)?;
    if found.len() != 4 || found[1..] != shape[1..] || found[0] < count {
        let wanted = [count, shape[1], shape[2], shape[3]];
        let reason = format!("must have the shape {wanted:?} for this request, not {found:?}");
        return Err(EngineError::invalid("noise", reason));
    }
    if !values.iter().all(|value| value.is_finite()) {
        return Err(EngineError::invalid("noise", "holds values that are not numbers"));
    }
    values.truncate(count * shape.iter().product::<usize>());
    Ok(values)
}
