//! Attention that never holds all scores, on an NVIDIA card.

use candle_core::{DType, Device, Result, Tensor};

use super::attention::Heads;

/// The widest heads of candle-flash-attn's kernels.
const MOST_WIDTH: usize = 256;

/// Tells whether there is a kernel for such heads.
pub(super) fn takes(device: &Device, products: DType, head_width: usize) -> bool {
    let is_kind = matches!(products, DType::BF16 | DType::F16);
    device.is_cuda() && is_kind && head_width <= MOST_WIDTH && head_width.is_multiple_of(8)
}

/// Computes attention from the rows of queries, keys and values, each with the part of its rows' width
/// where they stand: `[batch · queries, heads · head_width]` of the numbers named.
///
/// # Errors
/// Passes on errors of the tensor library.
pub(super) fn attention(
    heads: &Heads,
    products: DType,
    rows: [(&Tensor, usize); 3],
) -> Result<Tensor> {
    let width = heads.heads * heads.head_width;
    // The kernels read numbers that stand apart, so that nothing is copied.
    let part = |(x, part): (&Tensor, usize)| {
        let length = x.dim(0)? / heads.batch.max(1);
        x.to_dtype(products)?
            .reshape((heads.batch, length, (), heads.heads, heads.head_width))?
            .narrow(2, part, 1)?
            .squeeze(2)
    };
    let [q, k, v] = [part(rows[0])?, part(rows[1])?, part(rows[2])?];
    let scale = 1.0 / (heads.head_width as f32).sqrt();
    // With fewer queries than keys the last of both see each other, as everywhere here.
    let y = candle_flash_attn::flash_attn(&q, &k, &v, scale, heads.is_causal)?;
    y.reshape(((), width))
}
