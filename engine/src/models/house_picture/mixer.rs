//! What every transformer block has: joint attention and a gated MLP, without biases.

use candle_core::Tensor;

use super::config::{Config, HEAD_WIDTH};
use crate::error::EngineError;
use crate::kernels::AttentionShape;
use crate::nn::{
    Compute, Gate, HeadScales, Linear, Load, Memory, Rotary, Scale, Spans, SwiGlu, attention,
};

/// Holds a block's matrices.
#[derive(Debug, Clone)]
pub(super) struct Mixer {
    compute: Compute,
    shape: AttentionShape,
    /// Rows: all of q, all of k, all of v.
    qkv: Linear,
    scales: HeadScales,
    out: Linear,
    w12: SwiGlu,
    w3: Linear,
}

/// Says how rows read each other, and what besides.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reads<'a> {
    /// The angles of the rows' places.
    pub(super) rotary: Option<&'a Rotary>,
    /// What all read besides, made by [`Mixer::remember`].
    pub(super) memory: Option<&'a Memory>,
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
            w12: SwiGlu::new(width, mlp, &load.pp("w12"))?,
            w3: Linear::without_bias(mlp, width, &load.pp("w3"))?,
        })
    }

    /// Computes `x + gate · attention(normed)` for rows `[rows, width]`.
    pub(super) fn attend(
        &self,
        x: &Tensor,
        normed: &Tensor,
        spans: &Spans,
        reads: Reads<'_>,
        gate: Option<Gate<'_>>,
    ) -> Result<Tensor, EngineError> {
        let Reads { rotary, memory } = reads;
        let qkv = self.qkv.forward(normed)?; // [rows, 3 · width]
        let (shape, scales) = (self.shape, &self.scales);
        let mixed = attention(&self.compute, &qkv, shape, spans, scales, rotary, memory)?;
        Ok(self.out.forward_residual(&mixed, x, gate)?)
    }

    /// Makes the keys and values of rows `[rows, width]` that are read and ask nothing, for
    /// [`Reads::memory`]; `spans` says which of them each sequence reads.
    pub(super) fn remember(
        &self,
        rows: &Tensor,
        spans: &Spans,
        rotary: &Rotary,
    ) -> Result<Memory, EngineError> {
        let qkv = self.qkv.forward(rows)?; // [rows, 3 · width]
        Ok(Memory::new(&self.compute, &qkv, self.shape, spans, &self.scales, rotary)?)
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
