//! The blocks that denoiser and autoencoder are built from.

use candle_core::Tensor;

use super::bands::Rows;
use super::tiles::Norms;
use crate::error::EngineError;
use crate::kernels::{Activation, ConvMode, ConvPlan};
use crate::nn::{
    Adding, Compute, Conv, Gated, GroupNorm, Heads, LayerNorm, Leading, Linear, Load,
    cross_attention, self_attention,
};

/// Asked between layers whether to go on; its error ends the pass.
pub type Check<'a> = dyn Fn() -> Result<(), EngineError> + 'a;

/// Groups of every group norm of the family.
const GROUPS: usize = 32;

/// Loads a group norm over the groups of this family; a net narrower than they are many has one
/// group per channel.
pub(super) fn group_norm(
    channels: usize,
    eps: f64,
    load: &Load<'_>,
) -> Result<GroupNorm, EngineError> {
    GroupNorm::new(GROUPS.min(channels), channels, eps, load)
}

/// Two convolutions around what the time says, beside a short cut.
#[derive(Debug, Clone)]
pub(super) struct Resnet {
    compute: Compute,
    norm1: GroupNorm,
    conv1: Conv,
    time: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv,
    shortcut: Option<Linear>,
}

impl Resnet {
    /// Loads a block; `time` is the width of the time's embedding, none in an autoencoder.
    pub(super) fn new(
        [inputs, outputs]: [usize; 2],
        time: Option<usize>,
        (eps, is_large): (f64, bool),
        load: &Load<'_>,
    ) -> Result<Self, EngineError> {
        let time = match time {
            Some(width) => Some(Linear::new(width, outputs, &load.pp("time_emb_proj"))?),
            None => None,
        };
        let shortcut = if inputs == outputs {
            None
        } else {
            Some(Linear::pointwise(inputs, outputs, false, &load.pp("conv_shortcut"))?)
        };
        let conv = |inputs: usize, name: &str| {
            let load = load.pp(name);
            if is_large {
                Conv::same_large(inputs, outputs, &load)
            } else {
                Conv::same(inputs, outputs, &load)
            }
        };
        Ok(Self {
            compute: load.compute().clone(),
            norm1: group_norm(inputs, eps, &load.pp("norm1"))?,
            conv1: conv(inputs, "conv1")?,
            time,
            norm2: group_norm(outputs, eps, &load.pp("norm2"))?,
            conv2: conv(outputs, "conv2")?,
            shortcut,
        })
    }

    /// Computes the block for laid-out pictures; `time` is the SiLU of the embedding, `[batch,
    /// width]`.
    ///
    /// # Errors
    /// That of `check`, which is asked within large convolutions too, and errors of the tensor library.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        time: Option<&Tensor>,
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let stop = || check().is_err();
        let before = |norm| Leading { norm: Some(norm), stop: Some(&stop), ..Leading::SILU };
        let time = match (&self.time, time) {
            (Some(linear), Some(time)) => Some(linear.forward(time)?),
            _ => None,
        };
        let adding = Adding { per_image: time.as_ref(), residual: None };
        let h = self.conv1.forward(x, before(&self.norm1), adding)?;
        check()?;
        let residual = self.short(x)?;
        check()?;
        let x = self.conv2.forward(&h, before(&self.norm2), Adding::residual(&residual))?;
        check()?;
        Ok(x)
    }

    /// Computes the block of an autoencoder, whose pictures are large: what is read is let go of as
    /// soon as may be, and norms go by what `norms` says.
    ///
    /// # Errors
    /// As [`Resnet::forward`].
    pub(super) fn forward_large(
        &self,
        x: Tensor,
        norms: &Norms<'_>,
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let stop = || check().is_err();
        let (norm, stop) = (Some(&self.norm1), Some(&stop as &dyn Fn() -> _));
        let scales = norms.scales(&self.norm1, &x)?;
        let leading = Leading { norm, scales: scales.as_ref(), stop, ..Leading::SILU };
        let h = self.conv1.forward_for_products(&x, leading)?;
        check()?;
        let residual = self.short(&x)?;
        drop(x);
        check()?;
        let (norm, scales) = (Some(&self.norm2), norms.scales(&self.norm2, &h)?);
        let leading = Leading { norm, scales: scales.as_ref(), ..leading };
        let x = self.conv2.forward(&h, leading, Adding::residual(&residual))?;
        check()?;
        Ok(x)
    }

    /// Computes the same some rows at a time, of one picture that may be doubled first: what is read is
    /// never there doubled, and the result takes the place of what stands beside the convolutions.
    ///
    /// # Errors
    /// As [`Resnet::forward`].
    pub(super) fn forward_lean(
        &self,
        x: Tensor,
        doubling: Option<&Conv>,
        norms: &Norms<'_>,
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let rows = Rows { compute: &self.compute, picture: &x, doubling, check };
        let sums = |part| rows.sums(&self.norm1, part);
        let scales = norms.scales_by(&self.norm1, rows.size()?, sums)?;
        let (h, short) = rows.first(&self.conv1, &scales, self.shortcut.as_ref())?;
        let residual = match (short, doubling) {
            (Some(short), _) => {
                drop(x);
                short
            }
            (None, None) => x,
            (None, Some(doubling)) => plain(doubling, &x)?,
        };
        let rows = Rows { compute: &self.compute, picture: &h, doubling: None, check };
        let sums = |part| rows.sums(&self.norm2, part);
        let scales = norms.scales_by(&self.norm2, rows.size()?, sums)?;
        rows.second(&self.conv2, &scales, residual)
    }

    /// Returns what stands beside the convolutions.
    fn short(&self, x: &Tensor) -> Result<Tensor, EngineError> {
        let Some(shortcut) = &self.shortcut else { return Ok(x.clone()) };
        let [batch, height, width, _] = self.compute.sizes(x)?;
        let rows = shortcut.forward(&self.compute.rows(x)?)?;
        Ok(self.compute.pictures(&rows, [batch, height, width])?)
    }
}

/// Attention of one sequence to itself or to the text.
#[derive(Debug, Clone)]
struct Attention {
    first: Linear,
    /// Keys and values, where they come from the text.
    text: Option<Linear>,
    out: Linear,
}

impl Attention {
    fn new(width: usize, context: Option<usize>, load: &Load<'_>) -> Result<Self, EngineError> {
        let parts = |names: &[&str]| names.iter().map(|name| load.pp(name)).collect::<Vec<_>>();
        let (first, text) = match context {
            None => (Linear::joined(width, width, &parts(&["to_q", "to_k", "to_v"]), false)?, None),
            Some(context) => (
                Linear::without_bias(width, width, &load.pp("to_q"))?,
                Some(Linear::joined(context, width, &parts(&["to_k", "to_v"]), false)?),
            ),
        };
        Ok(Self { first, text, out: Linear::new(width, width, &load.pp("to_out").pp(0))? })
    }

    /// Computes `x + attention(normed)`.
    fn forward(
        &self,
        compute: &Compute,
        x: &Tensor,
        normed: &Tensor,
        (context, heads): (&Tensor, Heads),
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let stop = || check().is_err();
        let first = self.first.forward_narrow(normed, Activation::None)?;
        let mixed = match &self.text {
            None => self_attention(compute, &first, heads, Some(&stop))?,
            Some(text) => {
                let text = text.forward_narrow(context, Activation::None)?;
                cross_attention(compute, &first, &text, heads)?
            }
        };
        check()?;
        Ok(self.out.forward_residual(&mixed, x, None)?)
    }
}

/// A transformer block over the pixels, which read the text.
#[derive(Debug, Clone)]
struct TransformerBlock {
    norms: [LayerNorm; 3],
    own: Attention,
    cross: Attention,
    gated: Gated,
    out: Linear,
}

/// Transformer blocks between a norm and two projections, beside a short cut.
#[derive(Debug, Clone)]
pub(super) struct Transformer {
    compute: Compute,
    norm: GroupNorm,
    first: Linear,
    blocks: Vec<TransformerBlock>,
    last: Linear,
    heads: usize,
    head_width: usize,
}

/// Holds the sizes of a [`Transformer`].
#[derive(Debug, Clone, Copy)]
pub(super) struct TransformerSizes {
    pub(super) width: usize,
    pub(super) heads: usize,
    pub(super) depth: usize,
    pub(super) context: usize,
    pub(super) is_linear: bool,
}

impl Transformer {
    pub(super) fn new(sizes: TransformerSizes, load: &Load<'_>) -> Result<Self, EngineError> {
        let TransformerSizes { width, heads, depth, context, is_linear } = sizes;
        let block = |index: usize| -> Result<TransformerBlock, EngineError> {
            let load = load.pp("transformer_blocks").pp(index);
            let norm = |name: &str| LayerNorm::new(width, 1e-5, &load.pp(name));
            let net = load.pp("ff").pp("net");
            Ok(TransformerBlock {
                norms: [norm("norm1")?, norm("norm2")?, norm("norm3")?],
                own: Attention::new(width, None, &load.pp("attn1"))?,
                cross: Attention::new(width, Some(context), &load.pp("attn2"))?,
                gated: Gated::geglu(width, 4 * width, &net.pp(0).pp("proj"))?,
                out: Linear::new(4 * width, width, &net.pp(2))?,
            })
        };
        Ok(Self {
            compute: load.compute().clone(),
            norm: group_norm(width, 1e-6, &load.pp("norm"))?,
            first: Linear::pointwise(width, width, is_linear, &load.pp("proj_in"))?,
            blocks: (0..depth).map(block).collect::<Result<_, _>>()?,
            last: Linear::pointwise(width, width, is_linear, &load.pp("proj_out"))?,
            heads,
            head_width: width / heads.max(1),
        })
    }

    /// Computes the blocks for laid-out pictures and the text `[batch · tokens, context]`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        context: &Tensor,
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let [batch, height, width, _] = self.compute.sizes(x)?;
        let heads =
            Heads { batch, heads: self.heads, head_width: self.head_width, is_causal: false };
        let normed = self.norm.forward_rows(x, Activation::None)?;
        let mut rows = self.first.forward(&normed)?; // [batch · height · width, channels]
        for block in &self.blocks {
            let compute = &self.compute;
            check()?;
            let [norm1, norm2, norm3] = &block.norms;
            let beside = (context, heads);
            rows = block.own.forward(compute, &rows, &norm1.forward(&rows)?, beside, check)?;
            check()?;
            rows = block.cross.forward(compute, &rows, &norm2.forward(&rows)?, beside, check)?;
            let inner = block.gated.forward(&norm3.forward(&rows)?)?;
            rows = block.out.forward_residual(&inner, &rows, None)?;
        }
        let x = self.compute.rows(x)?;
        let rows = self.last.forward_residual(&rows, &x, None)?;
        Ok(self.compute.pictures(&rows, [batch, height, width])?)
    }
}

/// Loads the convolution that halves the size; `padding` is above, below, left, right.
pub(super) fn halving(
    channels: usize,
    padding: [usize; 4],
    load: &Load<'_>,
) -> Result<Conv, EngineError> {
    let plan = ConvPlan { stride: [2; 2], padding, ..ConvPlan::same(3) };
    Conv::new(channels, channels, plan, &load.pp("downsamplers").pp(0).pp("conv"))
}

/// Loads the convolution behind a doubling of the size.
pub(super) fn doubling(channels: usize, load: &Load<'_>) -> Result<Conv, EngineError> {
    let plan = ConvPlan { mode: ConvMode::Doubled, ..ConvPlan::same(3) };
    Conv::new(channels, channels, plan, &load.pp("upsamplers").pp(0).pp("conv"))
}

/// Computes a convolution with nothing around it.
pub(super) fn plain(conv: &Conv, x: &Tensor) -> Result<Tensor, EngineError> {
    Ok(conv.forward(x, Leading::default(), Adding::default())?)
}

/// The autoencoder's attention: one head over all pixels.
#[derive(Debug, Clone)]
pub(super) struct PixelAttention {
    compute: Compute,
    norm: GroupNorm,
    qkv: Linear,
    out: Linear,
}

impl PixelAttention {
    pub(super) fn new(width: usize, load: &Load<'_>) -> Result<Self, EngineError> {
        let parts = ["to_q", "to_k", "to_v"].map(|name| load.pp(name));
        Ok(Self {
            compute: load.compute().clone(),
            norm: group_norm(width, 1e-6, &load.pp("group_norm"))?,
            qkv: Linear::joined(width, width, &parts, true)?,
            out: Linear::new(width, width, &load.pp("to_out").pp(0))?,
        })
    }

    /// Computes `x + attention(norm(x))` for laid-out pictures.
    pub(super) fn forward(&self, x: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let stop = || check().is_err();
        let [batch, height, width, channels] = self.compute.sizes(x)?;
        let heads = Heads { batch, heads: 1, head_width: channels, is_causal: false };
        let normed = self.norm.forward_rows(x, Activation::None)?;
        let qkv = self.qkv.forward_narrow(&normed, Activation::None)?;
        let mixed = self_attention(&self.compute, &qkv, heads, Some(&stop))?;
        check()?;
        let rows = self.out.forward_residual(&mixed, &self.compute.rows(x)?, None)?;
        Ok(self.compute.pictures(&rows, [batch, height, width])?)
    }
}
