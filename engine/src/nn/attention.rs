//! Attention over several sequences of rows.

use candle_core::{D, Result, Tensor};

use super::compute::Compute;
use super::map::{map1, map3};
use super::norm::{RMS_EPS, Scale, Spans, rms};
use crate::kernels::{self, AttentionShape, HeadNorms, Rotation};

/// Holds the learnt scales of the norms of queries and keys.
#[derive(Debug, Clone)]
pub struct HeadScales {
    /// For queries, one number per number of a head.
    pub query: Scale,
    /// For keys.
    pub key: Scale,
}

/// Holds cosines and sines `[rows, head_width / 2]`; see [`Rotation`] for their order.
#[derive(Debug, Clone)]
pub struct Rotary {
    /// Cosines.
    pub cos: Tensor,
    /// Sines.
    pub sin: Tensor,
}

/// Computes attention within each sequence from rows `[rows, 3 · heads · head_width]` of queries,
/// keys and values: `[rows, heads · head_width]`.
///
/// # Errors
/// Passes on errors of the tensor library.
pub fn attention(
    compute: &Compute,
    qkv: &Tensor,
    shape: AttentionShape,
    spans: &Spans,
    scales: &HeadScales,
    rotary: Option<&Rotary>,
) -> Result<Tensor> {
    let width = shape.heads * shape.head_width;
    match compute {
        Compute::Kernels(level) => {
            let (level, out_shape) = (*level, (spans.rows(), width));
            let norms =
                HeadNorms { query: scales.query.values(), key: scales.key.values(), eps: RMS_EPS };
            let run = |qkv: &[f32], rotation: Option<Rotation<'_>>, out: &mut [f32]| {
                kernels::attention(level, qkv, shape, spans.ranges(), norms, rotation, out);
            };
            match rotary {
                None => map1("attention", qkv, out_shape, |qkv, out| run(qkv, None, out)),
                Some(Rotary { cos, sin }) => {
                    map3("attention", [qkv, cos, sin], out_shape, |[qkv, cos, sin], out| {
                        run(qkv, Some(Rotation { cos, sin }), out);
                    })
                }
            }
        }
        Compute::Candle(_) => {
            let mut sequences = Vec::with_capacity(spans.ranges().len());
            for range in spans.ranges() {
                let rows = range.len();
                let qkv = qkv.narrow(0, range.start, rows)?;
                let qkv = qkv.reshape((rows, 3, shape.heads, shape.head_width))?;
                let pick =
                    |which| qkv.narrow(1, which, 1)?.squeeze(1)?.transpose(0, 1)?.contiguous();
                let (q, k, v) = (pick(0)?, pick(1)?, pick(2)?); // [heads, rows, head_width]
                let mut q = rms(&q)?.broadcast_mul(scales.query.weight())?;
                let mut k = rms(&k)?.broadcast_mul(scales.key.weight())?;
                if let Some(rotary) = rotary {
                    let cos = rotary.cos.narrow(0, range.start, rows)?;
                    let sin = rotary.sin.narrow(0, range.start, rows)?;
                    (q, k) = (turn(&q, &cos, &sin)?, turn(&k, &cos, &sin)?);
                }
                let scale = 1.0 / (shape.head_width as f64).sqrt();
                let scores = (q.matmul(&k.t()?.contiguous()?)? * scale)?;
                let weights = candle_nn::ops::softmax(&scores, D::Minus1)?;
                let out = weights.matmul(&v)?; // [heads, rows, head_width]
                sequences.push(out.transpose(0, 1)?.reshape((rows, width))?);
            }
            Tensor::cat(&sequences, 0)
        }
    }
}

/// Turns `[heads, rows, head_width]` by tables `[rows, head_width / 2]`.
fn turn(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (heads, rows, width) = x.dims3()?;
    let halves = x.reshape((heads, rows, 2, 2, width / 4))?; // half, first or second, pair
    let u = halves.narrow(3, 0, 1)?;
    let v = halves.narrow(3, 1, 1)?;
    let cos = cos.reshape((1, rows, 2, 1, width / 4))?;
    let sin = sin.reshape((1, rows, 2, 1, width / 4))?;
    let first = (u.broadcast_mul(&cos)? - v.broadcast_mul(&sin)?)?;
    let second = (u.broadcast_mul(&sin)? + v.broadcast_mul(&cos)?)?;
    Tensor::cat(&[first, second], 3)?.reshape((heads, rows, width))
}
