//! MobileSAM's image encoder: TinyViT.

use candle_core::Tensor;

use super::{Check, Perceptron};
use crate::error::EngineError;
use crate::kernels::{Activation, ConvPlan};
use crate::nn::{
    Adding, Compute, Conv, Depthwise, Heads, LayerNorm, Leading, Linear, Load, PlaceBias, Windows,
    activate, place_attention,
};
use crate::weights::segment_anything::{TinyVitConfig, TinyVitStage};

/// Added to variances by the norms of the blocks.
///
/// # Source
/// `torch.nn.LayerNorm`.
const NORM_EPS: f64 = 1e-5;

/// Turns a picture into an embedding of 1/16 of its size.
#[derive(Debug, Clone)]
pub(super) struct TinyVit {
    begin: [Conv; 2],
    convolved: Vec<Inverted>,
    /// What leads to each stage behind the first, and its blocks.
    stages: Vec<(Merge, Vec<Block>)>,
}

impl TinyVit {
    /// Loads the encoder.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub(super) fn new(config: &TinyVitConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let Some((first, rest)) = config.stages.split_first() else {
            return Err(EngineError::Model { reason: "an encoder has no stages".to_owned() });
        };
        let half = |inputs, outputs, at: usize| {
            let plan = ConvPlan { stride: [2; 2], ..ConvPlan::same(3) };
            Conv::new(inputs, outputs, plan, &load.pp("patch_embed").pp("seq").pp(at))
        };
        let begin = [
            half(3, first.width / 2, 0)?.followed_by(Activation::Gelu),
            half(first.width / 2, first.width, 2)?,
        ];
        let layers = load.pp("layers");
        let blocks = layers.pp(0).pp("blocks");
        let convolved = (0..first.depth)
            .map(|at| Inverted::new([first.width, config.expanded], &blocks.pp(at)))
            .collect::<Result<_, _>>()?;
        let mut stages = Vec::new();
        let mut inputs = first.width;
        for (at, stage) in rest.iter().enumerate() {
            // The last stage keeps the size.
            let stride = if at + 1 < rest.len() { 2 } else { 1 };
            let merge = Merge::new([inputs, stage.width], stride, &layers.pp(at).pp("downsample"))?;
            let blocks = layers.pp(at + 1).pp("blocks");
            let blocks = (0..stage.depth)
                .map(|at| Block::new(stage, &blocks.pp(at)))
                .collect::<Result<_, _>>()?;
            stages.push((merge, blocks));
            inputs = stage.width;
        }
        Ok(Self { begin, convolved, stages })
    }

    /// Encodes laid-out pictures.
    ///
    /// # Errors
    /// That of `check`; errors of the tensor library.
    pub(super) fn forward(
        &self,
        compute: &Compute,
        x: &Tensor,
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let mut x = x.clone();
        for conv in &self.begin {
            check()?;
            x = conv.forward(&x, Leading::default(), Adding::default())?;
        }
        for block in &self.convolved {
            check()?;
            x = block.forward(compute, &x)?;
        }
        for (merge, blocks) in &self.stages {
            check()?;
            x = merge.forward(compute, &x)?;
            for block in blocks {
                check()?;
                x = block.forward(compute, &x)?;
            }
        }
        Ok(x)
    }
}

/// Widens every place, lets neighbours of each channel mix, and narrows it again (MBConv).
#[derive(Debug, Clone)]
struct Inverted {
    widen: Linear,
    mix: Depthwise,
    narrow: Linear,
}

impl Inverted {
    fn new([width, expanded]: [usize; 2], load: &Load<'_>) -> Result<Self, EngineError> {
        Ok(Self {
            widen: Linear::pointwise(width, expanded, false, &load.pp("conv1"))?,
            mix: Depthwise::new(expanded, [3, 1], &load.pp("conv2"))?,
            narrow: Linear::pointwise(expanded, width, false, &load.pp("conv3"))?,
        })
    }

    fn forward(&self, compute: &Compute, x: &Tensor) -> candle_core::Result<Tensor> {
        let [batch, height, width, _] = compute.sizes(x)?;
        let rows = compute.rows(x)?;
        let wide = self.widen.forward_activated(&rows, Activation::Gelu)?;
        let wide = compute.pictures(&wide, [batch, height, width])?;
        let wide = self.mix.forward(&wide, Activation::Gelu)?;
        let sum = self.narrow.forward_residual(&compute.rows(&wide)?, &rows, None)?;
        compute.pictures(&activate(compute, &sum, Activation::Gelu)?, [batch, height, width])
    }
}

/// Leads from one stage to the next, which has more channels (`PatchMerging`).
#[derive(Debug, Clone)]
struct Merge {
    widen: Linear,
    mix: Depthwise,
    out: Linear,
}

impl Merge {
    fn new(
        [inputs, outputs]: [usize; 2],
        stride: usize,
        load: &Load<'_>,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            widen: Linear::pointwise(inputs, outputs, false, &load.pp("conv1"))?,
            mix: Depthwise::new(outputs, [3, stride], &load.pp("conv2"))?,
            out: Linear::pointwise(outputs, outputs, false, &load.pp("conv3"))?,
        })
    }

    fn forward(&self, compute: &Compute, x: &Tensor) -> candle_core::Result<Tensor> {
        let [batch, height, width, _] = compute.sizes(x)?;
        let wide = self.widen.forward_activated(&compute.rows(x)?, Activation::Gelu)?;
        let wide = compute.pictures(&wide, [batch, height, width])?;
        let mixed = self.mix.forward(&wide, Activation::Gelu)?;
        let [batch, height, width, _] = compute.sizes(&mixed)?;
        let out = self.out.forward(&compute.rows(&mixed)?)?;
        compute.pictures(&out, [batch, height, width])
    }
}

/// Attention within windows, a convolution over each channel, a perceptron.
#[derive(Debug, Clone)]
struct Block {
    stage: TinyVitStage,
    norm: LayerNorm,
    qkv: Linear,
    /// What distances add to scores: `[heads, places, places]`.
    distances: Tensor,
    out: Linear,
    mix: Depthwise,
    perceptron_norm: LayerNorm,
    perceptron: Perceptron,
}

impl Block {
    fn new(stage: &TinyVitStage, load: &Load<'_>) -> Result<Self, EngineError> {
        let TinyVitStage { width, hidden, heads, window, .. } = *stage;
        let (attn, mlp) = (load.pp("attn"), load.pp("mlp"));
        let biases = attn.values("attention_biases", &[heads, window * window])?;
        let places = window * window;
        // As the reference counts distances, down before across, in the order in which they first come:
        // that of the places, since the first place comes first.
        let number = |head: usize, a: usize, b: usize| {
            let [down, across] =
                [(a / window).abs_diff(b / window), (a % window).abs_diff(b % window)];
            biases[head * places + down * window + across]
        };
        let values: Vec<f32> = (0..heads)
            .flat_map(|head| (0..places).flat_map(move |a| (0..places).map(move |b| [head, a, b])))
            .map(|[head, a, b]| number(head, a, b))
            .collect();
        let device = load.compute().device();
        let distances = Tensor::from_vec(values, (heads, places, places), device)?;
        let parts = ["q", "k", "v"].map(|part| attn.pp(part));
        Ok(Self {
            stage: *stage,
            norm: LayerNorm::new(width, NORM_EPS, &attn.pp("norm"))?,
            qkv: Linear::joined(width, width, &parts, true)?,
            distances,
            out: Linear::new(width, width, &attn.pp("proj"))?,
            mix: Depthwise::new(width, [3, 1], &load.pp("local_conv"))?,
            perceptron_norm: LayerNorm::new(width, NORM_EPS, &mlp.pp("norm"))?,
            perceptron: Perceptron::new([width, hidden], [&mlp.pp("fc1"), &mlp.pp("fc2")])?,
        })
    }

    fn forward(&self, compute: &Compute, x: &Tensor) -> candle_core::Result<Tensor> {
        let TinyVitStage { width: channels, heads, window, .. } = self.stage;
        let [batch, height, width, _] = compute.sizes(x)?;
        let rows = compute.rows(x)?;
        let windows = Windows { size: [height, width], side: window };
        let cut = windows.cut(&rows)?;
        let qkv = self.qkv.forward_narrow(&self.norm.forward(&cut)?, Activation::None)?;
        let heads =
            Heads { batch: windows.count(), heads, head_width: channels / heads, is_causal: false };
        let seen = place_attention(compute, &qkv, heads, PlaceBias::Table(&self.distances), None)?;
        let rows = windows.join(&self.out.forward_residual(&seen, &cut, None)?)?;
        let x = compute.pictures(&rows, [batch, height, width])?;
        let rows = compute.rows(&self.mix.forward(&x, Activation::None)?)?;
        let normed = self.perceptron_norm.forward(&rows)?;
        let rows = self.perceptron.forward(&normed, &rows, Activation::Gelu)?;
        compute.pictures(&rows, [batch, height, width])
    }
}
