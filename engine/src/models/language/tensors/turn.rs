//! Turning tensors by their positions.

use candle_core::{Device, Tensor};
use candle_nn::rotary_emb::{rope, rope_i};

use super::super::config::Pairs;
use super::super::rope::{AllAngles, Angles};
use crate::error::EngineError;

/// Holds cosines and sines for all positions: `[context, turned / 2]` each.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    cosines: Tensor,
    sines: Tensor,
    pairs: Pairs,
    turned: usize,
}

impl Turn {
    /// Copies the tables of layers without and with a window to the device.
    pub(super) fn all(angles: &AllAngles, device: &Device) -> Result<[Self; 2], EngineError> {
        let whole = Self::new(&angles.whole, device)?;
        let in_window = match &angles.in_window {
            Some(angles) => Self::new(angles, device)?,
            None => whole.clone(),
        };
        Ok([whole, in_window])
    }

    fn new(angles: &Angles, device: &Device) -> Result<Self, EngineError> {
        let half = angles.turned / 2;
        let shape = (angles.cosines.len() / half, half);
        Ok(Self {
            cosines: Tensor::from_slice(&angles.cosines, shape, device)?,
            sines: Tensor::from_slice(&angles.sines, shape, device)?,
            pairs: angles.pairs,
            turned: angles.turned,
        })
    }

    /// Turns `x` `[1, heads, n, head]`, whose first token stands at `position`.
    pub(super) fn turn(&self, x: &Tensor, position: usize) -> Result<Tensor, EngineError> {
        let (_, _, count, head) = x.dims4()?;
        let cosines = self.cosines.narrow(0, position, count)?;
        let sines = self.sines.narrow(0, position, count)?;
        let turn = |x: &Tensor| match self.pairs {
            Pairs::Neighbours => rope_i(x, &cosines, &sines),
            Pairs::Halves => rope(x, &cosines, &sines),
        };
        if self.turned == head {
            return Ok(turn(&x.contiguous()?)?);
        }
        let turned = turn(&x.narrow(3, 0, self.turned)?.contiguous()?)?;
        let rest = x.narrow(3, self.turned, head - self.turned)?;
        Ok(Tensor::cat(&[&turned, &rest], 3)?)
    }
}
