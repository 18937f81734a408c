//! Keys and values of the tokens that were read, so that none is read twice.

use candle_core::{DType, Device, Tensor};

use crate::error::EngineError;

/// The fewest tokens that room is made for.
const LEAST: usize = 256;

/// Holds one layer's keys and values: `[1, kv_heads, capacity, head]` each.
#[derive(Debug)]
pub(super) struct LayerCache {
    keys: Tensor,
    values: Tensor,
}

impl LayerCache {
    /// Makes an empty cache without room.
    pub(super) fn new(kv_heads: usize, head: usize, device: &Device) -> Result<Self, EngineError> {
        let empty = Tensor::zeros((1, kv_heads, 0, head), DType::F32, device)?;
        Ok(Self { keys: empty.clone(), values: empty })
    }

    /// Writes keys and values `[1, kv_heads, n, head]` behind the first `length` tokens and returns
    /// those of all tokens so far. Room grows by doubling, up to `most` tokens.
    pub(super) fn append(
        &mut self,
        keys: &Tensor,
        values: &Tensor,
        length: usize,
        most: usize,
    ) -> Result<(Tensor, Tensor), EngineError> {
        let (_, heads, count, head) = keys.dims4()?;
        let (end, capacity) = (length + count, self.keys.dim(2)?);
        if end > capacity {
            let room = end.max(capacity * 2).max(LEAST).min(most.max(end));
            let shape = (1, heads, room, head);
            for tensor in [&mut self.keys, &mut self.values] {
                let larger = Tensor::zeros(shape, DType::F32, tensor.device())?;
                if length > 0 {
                    larger.slice_set(&tensor.narrow(2, 0, length)?.contiguous()?, 2, 0)?;
                }
                *tensor = larger;
            }
        }
        self.keys.slice_set(&keys.contiguous()?, 2, length)?;
        self.values.slice_set(&values.contiguous()?, 2, length)?;
        Ok((self.keys.narrow(2, 0, end)?, self.values.narrow(2, 0, end)?))
    }
}
