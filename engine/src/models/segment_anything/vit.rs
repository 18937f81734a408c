//! SAM's own image encoder: a vision transformer whose blocks see windows, a few of them everything, with
//! relative positions.

use candle_core::Tensor;

use super::{Check, Perceptron};
use crate::error::EngineError;
use crate::kernels::{Activation, ConvPlan};
use crate::nn::{
    Adding, Compute, Conv, Heads, LayerNorm, Leading, Linear, Load, PlaceBias, Windows,
    place_attention,
};
use crate::weights::segment_anything::{PATCH, VitConfig};

/// Added to variances by the norms of the blocks.
///
/// # Source
/// `build_sam.py`.
const NORM_EPS: f64 = 1e-6;

/// Turns a picture into an embedding of 1/16 of its size.
#[derive(Debug, Clone)]
pub(super) struct Vit {
    patches: Conv,
    /// Added to the places, `[grid · grid, width]`.
    positions: Tensor,
    blocks: Vec<Block>,
}

impl Vit {
    /// Loads the encoder.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub(super) fn new(
        config: &VitConfig,
        grid: usize,
        load: &Load<'_>,
    ) -> Result<Self, EngineError> {
        let width = config.width;
        let plan = ConvPlan {
            kernel: [PATCH; 2],
            stride: [PATCH; 2],
            padding: [0; 4],
            ..ConvPlan::same(1)
        };
        let blocks = load.pp("blocks");
        Ok(Self {
            patches: Conv::new(3, width, plan, &load.pp("patch_embed").pp("proj"))?,
            positions: load
                .tensor("pos_embed", &[1, grid, grid, width])?
                .reshape((grid * grid, width))?,
            blocks: (0..config.windows.len())
                .map(|at| Block::new(config, [at, grid], &blocks.pp(at)))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Encodes a laid-out picture.
    ///
    /// # Errors
    /// That of `check`; errors of the tensor library.
    pub(super) fn forward(
        &self,
        compute: &Compute,
        x: &Tensor,
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let x = self.patches.forward(x, Leading::default(), Adding::default())?;
        let [batch, height, width, _] = compute.sizes(&x)?;
        let mut rows = (compute.rows(&x)? + &self.positions)?;
        for block in &self.blocks {
            check()?;
            rows = block.forward(compute, &rows, [height, width], check)?;
        }
        check()?;
        Ok(compute.pictures(&rows, [batch, height, width])?)
    }
}

#[derive(Debug, Clone)]
struct Block {
    window: usize,
    head_width: usize,
    norm: LayerNorm,
    qkv: Linear,
    /// What distances down and across make of a query, without bias.
    distances: [Linear; 2],
    out: Linear,
    perceptron_norm: LayerNorm,
    perceptron: Perceptron,
}

impl Block {
    fn new(config: &VitConfig, [at, _]: [usize; 2], load: &Load<'_>) -> Result<Self, EngineError> {
        let VitConfig { width, head_width, hidden, .. } = *config;
        let window = config.windows[at];
        let (attn, mlp) = (load.pp("attn"), load.pp("mlp"));
        let reach = 2 * window - 1;
        let distances = |name: &str| Linear::of_matrix([head_width, reach], name, &attn);
        Ok(Self {
            window,
            head_width,
            norm: LayerNorm::new(width, NORM_EPS, &load.pp("norm1"))?,
            qkv: Linear::new(width, 3 * width, &attn.pp("qkv"))?,
            distances: [distances("rel_pos_h")?, distances("rel_pos_w")?],
            out: Linear::new(width, width, &attn.pp("proj"))?,
            perceptron_norm: LayerNorm::new(width, NORM_EPS, &load.pp("norm2"))?,
            perceptron: Perceptron::new([width, hidden], [&mlp.pp("lin1"), &mlp.pp("lin2")])?,
        })
    }

    fn forward(
        &self,
        compute: &Compute,
        rows: &Tensor,
        size: [usize; 2],
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let windows = Windows { size, side: self.window };
        // The norm stands before the cutting, so that what is beyond the edge is 0.
        let cut = windows.cut(&self.norm.forward_wide(rows)?)?;
        let qkv = self.qkv.forward_narrow(&cut, Activation::None)?;
        let width = qkv.dim(1)? / 3;
        let count = width / self.head_width;
        let terms = self.terms(&qkv, [width, count])?;
        check()?;
        let heads = Heads {
            batch: windows.count(),
            heads: count,
            head_width: self.head_width,
            is_causal: false,
        };
        let bias = PlaceBias::Grid { columns: self.window, terms: &terms };
        let stop = || check().is_err();
        let seen = place_attention(compute, &qkv, heads, bias, Some(&stop))?;
        check()?;
        let seen = windows.join(&self.out.forward(&seen)?)?;
        let rows = (rows + seen)?;
        let normed = self.perceptron_norm.forward(&rows)?;
        Ok(self.perceptron.forward(&normed, &rows, Activation::Gelu)?)
    }

    /// Returns what each query adds to rows and columns of keys, `[places, heads · 2 · window]`.
    fn terms(&self, qkv: &Tensor, [width, heads]: [usize; 2]) -> candle_core::Result<Tensor> {
        let (places, side) = (qkv.dim(0)?, self.window);
        let queries =
            qkv.narrow(1, 0, width)?.contiguous()?.reshape((places * heads, self.head_width))?;
        let mut both = Vec::with_capacity(2);
        for (axis, distances) in self.distances.iter().enumerate() {
            let all = distances.forward(&queries)?; // [places · heads, 2 · side - 1]
            // A query at `at` is `at + side - 1 - key` from a key, counted from the farthest.
            let wanted: Vec<u32> = (0..places * heads)
                .flat_map(|row| {
                    let place = row / heads % (side * side);
                    let at = if axis == 0 { place / side } else { place % side };
                    (0..side).map(move |key| (at + side - 1 - key) as u32)
                })
                .collect();
            let wanted = Tensor::from_vec(wanted, (places * heads, side), all.device())?;
            both.push(all.gather(&wanted, 1)?);
        }
        Tensor::cat(&both, 1)?.reshape((places, heads * 2 * side))
    }
}
