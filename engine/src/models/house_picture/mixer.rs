//! What every transformer block has: joint attention and a gated MLP, without biases.

use candle_core::Tensor;

use super::config::{Config, HEAD_WIDTH};
use crate::error::EngineError;
use crate::kernels::AttentionShape;
use crate::nn::{Compute, Gate, Gated, HeadScales, Linear, Load, Rotary, Scale, Spans, attention};

/// Holds a block's matrices.
#[derive(Debug, Clone)]
pub(super) struct Mixer {
    compute: Compute,
    shape: AttentionShape,
    /// Rows: all of q, all of k, all of v.
    qkv: Linear,
    scales: HeadScales,
    out: Linear,
    w12: Gated,
    w3: Linear,
}

impl Mixer {
    pub(super) fn new(config: &Config, load: &Load<'_>) -> Result<Self, EngineError> {
        let (width, mlp) = (config.width, config.mlp);
        Ok(Self {
            compute: load.compute().clone(),
            shape: AttentionShape { heads: config.heads, head_width: HEAD_WIDTH },
            qkv: Linear::without_bias(width, 3 * width, &load.pp("qkv"))?,
            scales: HeadScales {
                query: Scale::new("q_norm", HEAD_WIDTH, load)?,
                key: Scale::new("k_norm", HEAD_WIDTH, load)?,
            },
            out: Linear::without_bias(width, width, &load.pp("out"))?,
            w12: Gated::swiglu(width, mlp, &load.pp("w12"))?,
            w3: Linear::without_bias(mlp, width, &load.pp("w3"))?,
        })
    }

    /// Computes `x + gate · attention(normed)` for rows `[rows, width]`, turned by
    /// the angles of their places.
    pub(super) fn attend(
        &self,
        x: &Tensor,
        normed: &Tensor,
        spans: &Spans,
        rotary: Option<&Rotary>,
        gate: Option<Gate<'_>>,
    ) -> Result<Tensor, EngineError> {
        let qkv = self.qkv.forward(normed)?; // [rows, 3 · width]
        let mixed = attention(&self.compute, &qkv, self.shape, spans, &self.scales, rotary)?;
        Ok(self.out.forward_residual(&mixed, x, gate)?)
    }

    /// Computes `x + gate · mlp(normed)` for rows `[rows, width]`.
    pub(super) fn mlp(
        &self,
        x: &Tensor,
        normed: &Tensor,
        gate: Option<Gate<'_>>,
    ) -> Result<Tensor, EngineError> {
        Ok(self.w3.forward_residual(&self.w12.forward(normed)?, x, gate)?)
    }
}
