//! The text encoder: CLIP's text tower.

use candle_core::Tensor;

use super::blocks::Check;
use crate::error::EngineError;
use crate::kernels::Activation;
use crate::nn::{Compute, Heads, LayerNorm, Linear, Load, self_attention};
use crate::weights::sd_config::{Activation as TextActivation, TextConfig};

/// Added to variances by CLIP's norms.
const EPS: f64 = 1e-5;

/// One layer.
#[derive(Debug, Clone)]
struct Layer {
    norms: [LayerNorm; 2],
    qkv: Linear,
    out: Linear,
    mlp: [Linear; 2],
}

/// Turns tokens into what the denoiser reads.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    config: TextConfig,
    compute: Compute,
    /// `[vocabulary, width]`.
    tokens: Tensor,
    /// `[length, width]`.
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    projection: Option<Linear>,
}

/// Holds an encoded text.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// The states behind the layer that was asked for, `[batch, tokens, width]`.
    pub states: Tensor,
    /// The state of each text's end, normed and projected where the encoder does so: `[batch,
    /// projection]`.
    pub pooled: Tensor,
}

impl TextEncoder {
    /// Loads an encoder by the names of transformers.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(config: &TextConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let model = load.pp("text_model");
        let (width, inner) = (config.width, config.inner);
        let layer = |index: usize| -> Result<Layer, EngineError> {
            let load = model.pp("encoder").pp("layers").pp(index);
            let attention = load.pp("self_attn");
            let parts = ["q_proj", "k_proj", "v_proj"].map(|name| attention.pp(name));
            Ok(Layer {
                norms: [
                    LayerNorm::new(width, EPS, &load.pp("layer_norm1"))?,
                    LayerNorm::new(width, EPS, &load.pp("layer_norm2"))?,
                ],
                qkv: Linear::joined(width, width, &parts, true)?,
                out: Linear::new(width, width, &attention.pp("out_proj"))?,
                mlp: [
                    Linear::new(width, inner, &load.pp("mlp").pp("fc1"))?,
                    Linear::new(inner, width, &load.pp("mlp").pp("fc2"))?,
                ],
            })
        };
        let embeddings = model.pp("embeddings");
        let table = |name: &str, rows: usize| embeddings.pp(name).tensor("weight", &[rows, width]);
        // Encoders that need no pooled words may name a projection in their settings all the same.
        let project = load.pp("text_projection");
        let projection = match config.projection.filter(|_| project.has("weight")) {
            None => None,
            Some(outputs) => Some(Linear::without_bias(width, outputs, &project)?),
        };
        Ok(Self {
            config: config.clone(),
            compute: load.compute().clone(),
            tokens: table("token_embedding", config.vocabulary)?,
            positions: table("position_embedding", config.positions)?,
            layers: (0..config.layers).map(layer).collect::<Result<_, _>>()?,
            norm: LayerNorm::new(width, EPS, &model.pp("final_layer_norm"))?,
            projection,
        })
    }

    /// Returns the sizes.
    pub fn config(&self) -> &TextConfig {
        &self.config
    }

    /// Returns the embeddings `[tokens, width]` of tokens before positions are added.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] for a token that the vocabulary has not.
    pub fn embeddings(&self, tokens: &[u32]) -> Result<Tensor, EngineError> {
        if tokens.iter().any(|token| *token as usize >= self.config.vocabulary) {
            return Err(EngineError::invalid(
                "prompt",
                "holds tokens that the model does not have",
            ));
        }
        let ids = Tensor::from_slice(tokens, tokens.len(), self.compute.device())?;
        Ok(self.tokens.index_select(&ids, 0)?)
    }

    /// Encodes texts of embeddings `[batch, tokens, width]`, whose ends stand at `ends`, up to
    /// `skipped` layers before the last, with the final norm behind them where `has_norm`.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the texts are longer than the encoder reads or more layers
    /// are to be skipped than there are; that of `check`; errors of the tensor library.
    pub fn forward(
        &self,
        embeddings: &Tensor,
        ends: &[usize],
        skipped: usize,
        has_norm: bool,
        check: &Check<'_>,
    ) -> Result<Encoded, EngineError> {
        let (batch, length, width) = embeddings.dims3()?;
        if length > self.config.positions || ends.len() != batch {
            let reason = format!("is longer than {} tokens", self.config.positions);
            return Err(EngineError::invalid("prompt", reason));
        }
        if skipped >= self.config.layers {
            let reason = format!("must be below the encoder's {} layers", self.config.layers);
            return Err(EngineError::invalid("clip skip", reason));
        }
        let positions = self.positions.narrow(0, 0, length)?;
        let mut x = embeddings.broadcast_add(&positions)?.reshape((batch * length, width))?;
        let heads = Heads {
            batch,
            heads: self.config.heads,
            head_width: width / self.config.heads.max(1),
            is_causal: true,
        };
        let activation = match self.config.activation {
            TextActivation::QuickGelu => Activation::QuickGelu,
            TextActivation::Gelu => Activation::Gelu,
        };
        let mut states = None;
        for (index, layer) in self.layers.iter().enumerate() {
            check()?;
            if index == self.layers.len() - skipped {
                states = Some(x.clone());
            }
            let [norm1, norm2] = &layer.norms;
            let qkv = layer.qkv.forward_narrow(&norm1.forward(&x)?, Activation::None)?;
            let mixed = self_attention(&self.compute, &qkv, heads, None)?;
            x = layer.out.forward_residual(&mixed, &x, None)?;
            let [first, second] = &layer.mlp;
            let inner = first.forward_narrow(&norm2.forward(&x)?, activation)?;
            x = second.forward_residual(&inner, &x, None)?;
        }
        let last = self.norm.forward_wide(&x)?;
        let rows: Vec<u32> = ends
            .iter()
            .enumerate()
            .map(|(text, end)| (text * length + (*end).min(length.saturating_sub(1))) as u32)
            .collect();
        let rows = Tensor::from_slice(&rows, batch, self.compute.device())?;
        let pooled = last.index_select(&rows, 0)?;
        let pooled = match &self.projection {
            Some(projection) => projection.forward(&pooled)?,
            None => pooled,
        };
        let states = match (states, has_norm) {
            (Some(states), true) => self.norm.forward_wide(&states)?,
            (Some(states), false) => states,
            (None, true) => last,
            (None, false) => x,
        };
        Ok(Encoded { states: states.reshape((batch, length, width))?, pooled })
    }
}
