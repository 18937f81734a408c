//! Rotary positions: tables of angles, and turning by them.

use candle_core::{Device, Tensor};
use candle_nn::rotary_emb::{rope, rope_i};

use super::config::{Pairs, Rope};
use crate::error::EngineError;

/// Holds cosines and sines for all positions: `[context, turned / 2]` each.
#[derive(Debug, Clone)]
pub(super) struct Angles {
    cosines: Tensor,
    sines: Tensor,
    pairs: Pairs,
    turned: usize,
}

impl Angles {
    /// Makes the tables; `factors` divide the frequencies one by one (`turned / 2`, or none), and
    /// `strength` scales what is turned.
    pub(super) fn new(
        config: &Rope,
        base: f64,
        scale: f64,
        factors: Option<&[f32]>,
        strength: f64,
        context: usize,
        device: &Device,
    ) -> Result<Self, EngineError> {
        let half = config.turned / 2;
        let frequency = |i: usize| {
            let plain = base.powf(-((2 * i) as f64) / config.turned as f64);
            plain / f64::from(factors.map_or(1.0, |factors| factors[i])) / scale
        };
        let frequencies: Vec<f64> = (0..half).map(frequency).collect();
        let mut cosines = Vec::with_capacity(context * half);
        let mut sines = Vec::with_capacity(context * half);
        for position in 0..context {
            for frequency in &frequencies {
                let angle = position as f64 * frequency;
                cosines.push((angle.cos() * strength) as f32);
                sines.push((angle.sin() * strength) as f32);
            }
        }
        Ok(Self {
            cosines: Tensor::from_vec(cosines, (context, half), device)?,
            sines: Tensor::from_vec(sines, (context, half), device)?,
            pairs: config.pairs,
            turned: config.turned,
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
