//! The mask decoder: tokens and embedding look at each other, and each mask token becomes a mask.

use candle_core::Tensor;

use super::prompts::Prompts;
use super::{Check, PICTURE_NORM_EPS};
use crate::error::EngineError;
use crate::kernels::{Activation, ConvMode, ConvPlan};
use crate::nn::{
    Adding, Compute, Conv, Heads, LayerNorm, Leading, Linear, Load, activate, apart_attention,
};
use crate::weights::segment_anything::{DECODER_HEADS, SamConfig, SamDecoder};

/// Added to variances by the norms of the layers.
///
/// # Source
/// `torch.nn.LayerNorm`.
const NORM_EPS: f64 = 1e-5;
/// Layers of what makes a mask's weights of its token.
///
/// # Source
/// `modeling/mask_decoder.py`.
const MASK_LAYERS: usize = 3;

/// Holds what was found: the first mask is for prompts that leave no doubt, the others go from part to
/// whole.
#[derive(Debug, Clone)]
pub struct Masks {
    /// Logits `[masks, side, side]` at a quarter of the square's side: above 0 is what is meant.
    pub logits: Vec<Vec<f32>>,
    /// The side of the masks.
    pub side: usize,
    /// How well each mask is foretold to agree with what is meant (intersection over union), about 0
    /// to 1.
    pub qualities: Vec<f32>,
}

#[derive(Debug, Clone)]
pub(super) struct MaskDecoder {
    compute: Compute,
    grid: usize,
    width: usize,
    /// The token of quality, then those of masks: `[1 + masks, width]`.
    tokens: Tensor,
    layers: Vec<Layer>,
    last: Attention,
    last_norm: LayerNorm,
    enlarge: [Conv; 2],
    enlarge_norm: LayerNorm,
    masks: Vec<Mlp>,
    quality: Mlp,
}

impl MaskDecoder {
    /// Loads the decoder.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub(super) fn new(config: &SamConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let (width, sizes) = (config.width, config.decoder);
        let SamDecoder { inner, masks, enlarged: [middle, end], quality, .. } = sizes;
        let first = load.pp("iou_token").tensor("weight", &[1, width])?;
        let rest = load.pp("mask_tokens").tensor("weight", &[masks, width])?;
        let transformer = load.pp("transformer");
        let layer = |at: usize| {
            Layer::new([width, inner, sizes.hidden], at == 0, &transformer.pp("layers").pp(at))
        };
        let up = load.pp("output_upscaling");
        let double = |inputs: usize, outputs: usize, at: usize| {
            let plan = ConvPlan { mode: ConvMode::Shuffled, ..ConvPlan::same(1) };
            Conv::new(inputs, 4 * outputs, plan, &up.pp(at))
        };
        let mask = |at: usize| {
            let load = load.pp("output_hypernetworks_mlps").pp(at);
            Mlp::new([width, width, end], MASK_LAYERS, &load)
        };
        Ok(Self {
            compute: load.compute().clone(),
            grid: config.grid(),
            width,
            tokens: Tensor::cat(&[first, rest], 0)?,
            layers: (0..sizes.depth).map(layer).collect::<Result<_, _>>()?,
            last: Attention::new([width, inner], &transformer.pp("final_attn_token_to_image"))?,
            last_norm: LayerNorm::new(width, NORM_EPS, &transformer.pp("norm_final_attn"))?,
            enlarge: [
                double(width, middle, 0)?,
                double(middle, end, 3)?.followed_by(Activation::Gelu),
            ],
            enlarge_norm: LayerNorm::new(middle, PICTURE_NORM_EPS, &up.pp(1))?,
            masks: (0..masks).map(mask).collect::<Result<_, _>>()?,
            quality: Mlp::new(
                [width, quality[1], masks],
                quality[0],
                &load.pp("iou_prediction_head"),
            )?,
        })
    }

    /// Makes masks of an embedding `[grid · grid, width]` and the tokens of a prompt `[tokens, width]`.
    ///
    /// # Errors
    /// That of `check`; errors of the tensor library.
    pub(super) fn forward(
        &self,
        embedding: &Tensor,
        prompt: &Tensor,
        prompts: &Prompts,
        check: &Check<'_>,
    ) -> Result<Masks, EngineError> {
        let compute = &self.compute;
        let tokens = Tensor::cat(&[&self.tokens, prompt], 0)?;
        let mut queries = tokens.clone();
        let mut picture = embedding.broadcast_add(&prompts.no_mask)?;
        for layer in &self.layers {
            check()?;
            (queries, picture) =
                layer.forward(compute, [&queries, &tokens], [&picture, &prompts.places])?;
        }
        check()?;
        let placed = (&picture + &prompts.places)?;
        let seen = self.last.forward(compute, [&(&queries + &tokens)?, &placed, &picture])?;
        let queries = self.last_norm.forward_wide(&(queries + seen)?)?;
        let count = self.masks.len();
        let quality = self.quality.forward(&queries.narrow(0, 0, 1)?.contiguous()?)?;
        let mut weights = Vec::with_capacity(count);
        for (at, mlp) in self.masks.iter().enumerate() {
            weights.push(mlp.forward(&queries.narrow(0, 1 + at, 1)?.contiguous()?)?);
        }
        let weights = Tensor::cat(&weights, 0)?; // [masks, end]
        check()?;
        let rows = self.enlarged(&picture)?; // [side · side, end]
        let logits = weights.matmul(&rows.t()?)?; // [masks, side · side]
        Ok(Masks {
            logits: logits.to_vec2()?,
            side: 4 * self.grid,
            qualities: quality.flatten_all()?.to_vec1()?,
        })
    }

    /// Enlarges an embedding to four times its side: rows `[side · side, end]`.
    fn enlarged(&self, picture: &Tensor) -> candle_core::Result<Tensor> {
        let (compute, grid) = (&self.compute, self.grid);
        let [first, second] = &self.enlarge;
        let x = picture.reshape((grid * grid, self.width))?;
        let x = compute.pictures(&x, [1, grid, grid])?;
        let x = compute.rows(&first.forward(&x, Leading::default(), Adding::default())?)?;
        let x = activate(compute, &self.enlarge_norm.forward_wide(&x)?, Activation::Gelu)?;
        let x = compute.pictures(&x, [1, 2 * grid, 2 * grid])?;
        compute.rows(&second.forward(&x, Leading::default(), Adding::default())?)
    }
}

/// A layer in which tokens see each other, then the picture, and the picture sees them.
#[derive(Debug, Clone)]
struct Layer {
    /// Whether the tokens see each other without their first selves added, in whose place they come.
    is_first: bool,
    among: Attention,
    to_picture: Attention,
    to_tokens: Attention,
    perceptron: [Linear; 2],
    norms: [LayerNorm; 4],
}

impl Layer {
    fn new(
        [width, inner, hidden]: [usize; 3],
        is_first: bool,
        load: &Load<'_>,
    ) -> Result<Self, EngineError> {
        let norm = |name: &str| LayerNorm::new(width, NORM_EPS, &load.pp(name));
        let mlp = load.pp("mlp");
        Ok(Self {
            is_first,
            among: Attention::new([width, width], &load.pp("self_attn"))?,
            to_picture: Attention::new([width, inner], &load.pp("cross_attn_token_to_image"))?,
            to_tokens: Attention::new([width, inner], &load.pp("cross_attn_image_to_token"))?,
            perceptron: [
                Linear::new(width, hidden, &mlp.pp("lin1"))?,
                Linear::new(hidden, width, &mlp.pp("lin2"))?,
            ],
            norms: [norm("norm1")?, norm("norm2")?, norm("norm3")?, norm("norm4")?],
        })
    }

    /// Returns tokens and picture; each comes with what is added to it where it is looked for.
    fn forward(
        &self,
        compute: &Compute,
        [queries, tokens]: [&Tensor; 2],
        [picture, places]: [&Tensor; 2],
    ) -> candle_core::Result<(Tensor, Tensor)> {
        let [norm1, norm2, norm3, norm4] = &self.norms;
        let queries = if self.is_first {
            self.among.forward(compute, [queries, queries, queries])?
        } else {
            let placed = (queries + tokens)?;
            (queries + self.among.forward(compute, [&placed, &placed, queries])?)?
        };
        let queries = norm1.forward_wide(&queries)?;
        let placed = (picture + places)?;
        let seen = self.to_picture.forward(compute, [&(&queries + tokens)?, &placed, picture])?;
        let queries = norm2.forward_wide(&(queries + seen)?)?;
        let [first, second] = &self.perceptron;
        let hidden = first.forward_activated(&queries, Activation::Relu)?;
        let queries = norm3.forward_wide(&second.forward_residual(&hidden, &queries, None)?)?;
        let seen = self.to_tokens.forward(compute, [&placed, &(&queries + tokens)?, &queries])?;
        let picture = norm4.forward_wide(&(picture + seen)?)?;
        Ok((queries, picture))
    }
}

/// Attention whose queries, keys and values come from different rows.
#[derive(Debug, Clone)]
struct Attention {
    heads: Heads,
    queries: Linear,
    keys: Linear,
    values: Linear,
    out: Linear,
}

impl Attention {
    fn new([width, inner]: [usize; 2], load: &Load<'_>) -> Result<Self, EngineError> {
        let part = |name: &str| Linear::new(width, inner, &load.pp(name));
        Ok(Self {
            heads: Heads {
                batch: 1,
                heads: DECODER_HEADS,
                head_width: inner / DECODER_HEADS,
                is_causal: false,
            },
            queries: part("q_proj")?,
            keys: part("k_proj")?,
            values: part("v_proj")?,
            out: Linear::new(inner, width, &load.pp("out_proj"))?,
        })
    }

    fn forward(&self, compute: &Compute, [q, k, v]: [&Tensor; 3]) -> candle_core::Result<Tensor> {
        let (q, k, v) = (self.queries.forward(q)?, self.keys.forward(k)?, self.values.forward(v)?);
        self.out.forward(&apart_attention(compute, [&q, &k, &v], self.heads)?)
    }
}

/// Layers with ReLU between.
#[derive(Debug, Clone)]
struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn new(
        [inputs, hidden, outputs]: [usize; 3],
        depth: usize,
        load: &Load<'_>,
    ) -> Result<Self, EngineError> {
        let layer = |at: usize| {
            let from = if at == 0 { inputs } else { hidden };
            let to = if at + 1 == depth { outputs } else { hidden };
            Linear::new(from, to, &load.pp("layers").pp(at))
        };
        Ok(Self { layers: (0..depth).map(layer).collect::<Result<_, _>>()? })
    }

    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = x.clone();
        for (at, layer) in self.layers.iter().enumerate() {
            let is_last = at + 1 == self.layers.len();
            let activation = if is_last { Activation::None } else { Activation::Relu };
            x = layer.forward_activated(&x, activation)?;
        }
        Ok(x)
    }
}
