//! One layer of a decoder.

use candle_core::quantized::QMatMul;
use candle_core::{D, DType, Module, Tensor};
use candle_nn::ops::{rms_norm, silu, softmax_last_dim};

use super::super::config::{Activation, Config};
use super::cache::LayerCache;
use super::network::Loader;
use super::turn::Turn;
use crate::error::EngineError;

/// Is a matrix, with or without something added.
#[derive(Debug)]
pub(super) struct Matrix {
    weight: QMatMul,
    bias: Option<Tensor>,
}

impl Matrix {
    /// Loads the matrix `[rows, columns]` of this name, and its bias where the file has one.
    pub(super) fn load(
        loader: &mut Loader<'_>,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Self, EngineError> {
        let weight = loader.tensor(&format!("{name}.weight"), &[rows, columns])?;
        let bias_name = format!("{name}.bias");
        let bias = if loader.source.has(&bias_name) {
            Some(loader.vector(&bias_name, rows)?)
        } else {
            None
        };
        let weight = if loader.widens {
            QMatMul::Tensor(weight.dequantize(loader.device)?)
        } else {
            QMatMul::from_qtensor(weight)?
        };
        Ok(Self { weight, bias })
    }

    /// Shares a matrix that is there already.
    pub(super) fn shared(weight: QMatMul) -> Self {
        Self { weight, bias: None }
    }

    /// Multiplies `[n, columns]` into `[n, rows]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, EngineError> {
        let y = self.weight.forward(x)?;
        Ok(match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        })
    }
}

/// Says where tokens stand and what they see.
pub(super) struct Place<'a> {
    /// The angles of all positions.
    pub(super) turn: &'a Turn,
    /// `[n, length + n]`, added to the scores; none for a single token that sees all.
    pub(super) mask: Option<&'a Tensor>,
    /// How many tokens stand before.
    pub(super) length: usize,
}

/// Holds the weights of one layer.
#[derive(Debug)]
pub(super) struct Layer {
    attention_norm: Tensor,
    /// Queries, keys and values: apart, or one matrix with all their rows.
    qkv: Vec<Matrix>,
    head_norms: Option<(Tensor, Tensor)>,
    output: Matrix,
    attention_result_norm: Option<Tensor>,
    feed_norm: Tensor,
    /// Gate and value: apart, or one matrix with all their rows.
    up: Vec<Matrix>,
    down: Matrix,
    feed_result_norm: Option<Tensor>,
    has_window: bool,
    turns: bool,
}

impl Layer {
    /// Loads layer `index`.
    pub(super) fn load(
        loader: &mut Loader<'_>,
        config: &Config,
        index: usize,
    ) -> Result<Self, EngineError> {
        let s = &config.sizes;
        let (queries, keys) = (s.heads * s.head, s.kv_heads * s.head);
        let name = |part: &str| format!("blk.{index}.{part}");
        let qkv = if loader.source.has(&name("attn_qkv.weight")) {
            vec![Matrix::load(loader, &name("attn_qkv"), queries + 2 * keys, s.width)?]
        } else {
            vec![
                Matrix::load(loader, &name("attn_q"), queries, s.width)?,
                Matrix::load(loader, &name("attn_k"), keys, s.width)?,
                Matrix::load(loader, &name("attn_v"), keys, s.width)?,
            ]
        };
        let up = if loader.source.has(&name("ffn_gate.weight")) {
            vec![
                Matrix::load(loader, &name("ffn_gate"), s.inner, s.width)?,
                Matrix::load(loader, &name("ffn_up"), s.inner, s.width)?,
            ]
        } else {
            vec![Matrix::load(loader, &name("ffn_up"), 2 * s.inner, s.width)?]
        };
        let head_norms = if config.normalises_heads {
            let of = |loader: &mut Loader<'_>, part| loader.vector(&name(part), s.head);
            Some((of(loader, "attn_q_norm.weight")?, of(loader, "attn_k_norm.weight")?))
        } else {
            None
        };
        let result_norm = |loader: &mut Loader<'_>, part: &str| {
            config.normalises_results.then(|| loader.vector(&name(part), s.width)).transpose()
        };
        Ok(Self {
            attention_norm: loader.vector(&name("attn_norm.weight"), s.width)?,
            qkv,
            head_norms,
            output: Matrix::load(loader, &name("attn_output"), s.width, queries)?,
            attention_result_norm: result_norm(loader, "post_attention_norm.weight")?,
            feed_norm: loader.vector(&name("ffn_norm.weight"), s.width)?,
            up,
            down: Matrix::load(loader, &name("ffn_down"), s.width, s.inner)?,
            feed_result_norm: result_norm(loader, "post_ffw_norm.weight")?,
            has_window: config.has_window(index),
            turns: config.turns(index),
        })
    }

    /// Tells whether this layer looks back through a window only.
    pub(super) fn has_window(&self) -> bool {
        self.has_window
    }

    /// Takes the states `[n, width]` of tokens through the layer.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        config: &Config,
        cache: &mut LayerCache,
        place: &Place<'_>,
    ) -> Result<Tensor, EngineError> {
        let normal = |x: &Tensor, weight: &Tensor| rms_norm(x, weight, config.epsilon as f32);
        let h = normal(x, &self.attention_norm)?;
        let mut h = self.attention(&h, config, cache, place)?;
        if let Some(weight) = &self.attention_result_norm {
            h = normal(&h, weight)?;
        }
        let x = (x + h)?;
        let h = normal(&x, &self.feed_norm)?;
        let (gate, value) = match self.up.as_slice() {
            [gate, value] => (gate.forward(&h)?, value.forward(&h)?),
            both => {
                let both = both[0].forward(&h)?;
                let inner = config.sizes.inner;
                (
                    both.narrow(1, 0, inner)?.contiguous()?,
                    both.narrow(1, inner, inner)?.contiguous()?,
                )
            }
        };
        let gate = match config.activation {
            Activation::Silu => silu(&gate)?,
            Activation::GeluTanh => gate.gelu()?,
        };
        let mut h = self.down.forward(&(gate * value)?)?;
        if let Some(weight) = &self.feed_result_norm {
            h = normal(&h, weight)?;
        }
        Ok((x + h)?)
    }

    fn attention(
        &self,
        x: &Tensor,
        config: &Config,
        cache: &mut LayerCache,
        place: &Place<'_>,
    ) -> Result<Tensor, EngineError> {
        let &Place { turn, mask, length } = place;
        let s = &config.sizes;
        let count = x.dim(0)?;
        let (queries, keys) = (s.heads * s.head, s.kv_heads * s.head);
        let (q, k, v) = match self.qkv.as_slice() {
            [q, k, v] => (q.forward(x)?, k.forward(x)?, v.forward(x)?),
            all => {
                let all = all[0].forward(x)?;
                let part = |start, len| all.narrow(1, start, len)?.contiguous();
                (part(0, queries)?, part(queries, keys)?, part(queries + keys, keys)?)
            }
        };
        // [n, heads · head] → [1, heads, n, head]
        let by_head = |x: Tensor, heads: usize| -> candle_core::Result<Tensor> {
            x.reshape((1, count, heads, s.head))?.transpose(1, 2)?.contiguous()
        };
        let (mut q, mut k, v) =
            (by_head(q, s.heads)?, by_head(k, s.kv_heads)?, by_head(v, s.kv_heads)?);
        if let Some((q_weight, k_weight)) = &self.head_norms {
            q = rms_norm(&q, q_weight, config.epsilon as f32)?;
            k = rms_norm(&k, k_weight, config.epsilon as f32)?;
        }
        if self.turns {
            (q, k) = (turn.turn(&q, length)?, turn.turn(&k, length)?);
        }
        let (k, v) = cache.append(&k, &v, length, s.context)?;
        // Queries that share keys stand together: [kv_heads, shared · n, head].
        let shared = s.heads / s.kv_heads;
        let q = (q.reshape((s.kv_heads, shared * count, s.head))? * config.query_scale)?;
        let (k, v) = (k.squeeze(0)?, v.squeeze(0)?);
        let mut scores = q.matmul(&k.transpose(1, 2)?)?; // [kv_heads, shared · n, length + n]
        if config.soft_limits[0] > 0.0 {
            scores = soften(&scores, config.soft_limits[0])?;
        }
        if let Some(mask) = mask {
            let seen = scores.dim(D::Minus1)?;
            let apart = scores.reshape((s.kv_heads, shared, count, seen))?;
            scores = apart.broadcast_add(mask)?.reshape((s.kv_heads, shared * count, seen))?;
        }
        let y = softmax_last_dim(&scores)?.matmul(&v)?;
        // [kv_heads · shared, n, head] → [n, heads · head]
        let y = y.reshape((s.heads, count, s.head))?.transpose(0, 1)?.contiguous()?;
        self.output.forward(&y.reshape((count, queries))?)
    }
}

/// Bends numbers so that none goes beyond `limit`.
pub(super) fn soften(x: &Tensor, limit: f64) -> candle_core::Result<Tensor> {
    (x / limit)?.tanh()? * limit
}

/// Makes the mask `[n, length + n]` of tokens behind the first `length`: 0 where a token sees
/// another, −∞ where that one comes later or, with a window, stands too far back.
pub(super) fn mask(
    count: usize,
    length: usize,
    window: usize,
    device: &candle_core::Device,
) -> Result<Tensor, EngineError> {
    let seen = length + count;
    let sees = |row: usize, column: usize| {
        let position = length + row;
        column <= position && (window == 0 || position - column < window)
    };
    let values: Vec<f32> = (0..count * seen)
        .map(|i| if sees(i / seen, i % seen) { 0.0 } else { f32::NEG_INFINITY })
        .collect();
    Ok(Tensor::from_vec(values, (count, seen), device)?.to_dtype(DType::F32)?)
}
