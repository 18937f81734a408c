//! The text encoders.

use std::path::Path;

use serde_json::Value;

use super::list::List;
use super::{DEPTH_MAX, Said, Shapes, WIDTH_MAX, count, json, side};
use crate::error::EngineError;

/// The width of a head in every text encoder of CLIP.
const HEAD_WIDTH: usize = 64;
/// The width of the one encoder that was trained by OpenAI.
const WIDTH_OF_OPENAI: usize = 768;
/// The most words of a vocabulary.
const WORDS_MAX: usize = 1 << 20;

/// Names what stands between the two matrices of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(1.702 x)`: OpenAI's encoder.
    QuickGelu,
    /// The exact one: the OpenCLIP encoders.
    Gelu,
}

/// Describes a text encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextConfig {
    /// The width of the words.
    pub width: usize,
    /// The layers.
    pub layers: usize,
    /// The heads of the attentions.
    pub heads: usize,
    /// The width between the two matrices of a layer.
    pub inner: usize,
    /// How many words there are.
    pub vocabulary: usize,
    /// How many words a prompt has, 77.
    pub positions: usize,
    /// What stands between the two matrices of a layer.
    pub activation: Activation,
    /// The width of the pooled words after their projection, where there is one.
    pub projection: Option<usize>,
}

impl TextConfig {
    /// Describes an encoder by the shapes of its tensors, and by its `config.json` where there is
    /// one: shapes tell neither the number of heads nor the activation.
    ///
    /// Without settings, heads have 64 features, and encoders of width 768 are OpenAI's.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is no such encoder, or the two disagree.
    pub fn of(shapes: &Shapes, settings: Option<&Value>, path: &Path) -> Result<Self, EngineError> {
        let damaged = |reason: String| EngineError::damaged(path, reason);
        let mut found = Self::from_shapes(shapes).map_err(damaged)?;
        let Some(settings) = settings else { return Ok(found) };
        let said = Self::from_settings(settings).map_err(damaged)?;
        (found.heads, found.activation) = (said.heads, said.activation);
        // The settings say how wide a projection would be, also where there is none.
        let said = Self { projection: found.projection.and(said.projection), ..said };
        if found != said {
            return Err(damaged("has other tensors than its config.json describes".to_owned()));
        }
        Ok(found)
    }

    /// Reads a description from a `config.json`; `path` only names it in errors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] with what is wrong.
    pub fn from_json(settings: &Value, path: &Path) -> Result<Self, EngineError> {
        Self::from_settings(settings).map_err(|reason| EngineError::damaged(path, reason))
    }

    /// Returns all tensors with their shapes, in PyTorch's order.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = List::default();
        let embeddings = "text_model.embeddings";
        let width = self.width;
        list.plain(&format!("{embeddings}.token_embedding"), &[self.vocabulary, width]);
        list.plain(&format!("{embeddings}.position_embedding"), &[self.positions, width]);
        for layer in 0..self.layers {
            let name = format!("text_model.encoder.layers.{layer}");
            for end in ["k_proj", "v_proj", "q_proj", "out_proj"] {
                list.linear(&format!("{name}.self_attn.{end}"), width, width);
            }
            list.norm(&format!("{name}.layer_norm1"), width);
            list.linear(&format!("{name}.mlp.fc1"), self.inner, width);
            list.linear(&format!("{name}.mlp.fc2"), width, self.inner);
            list.norm(&format!("{name}.layer_norm2"), width);
        }
        list.norm("text_model.final_layer_norm", width);
        if let Some(projection) = self.projection {
            list.plain("text_projection", &[projection, width]);
        }
        list.tensors
    }

    fn from_shapes(shapes: &Shapes) -> Said<Self> {
        let tokens = "text_model.embeddings.token_embedding.weight";
        let width = side(shapes, tokens, 1)?;
        let projection = "text_projection.weight";
        let words = shapes.get(tokens).and_then(|shape| shape.first()).copied();
        let found = Self {
            width,
            layers: count(shapes, "text_model.encoder.layers.", ".", DEPTH_MAX)?,
            heads: match width.is_multiple_of(HEAD_WIDTH) {
                true => width / HEAD_WIDTH,
                false => 1,
            },
            inner: side(shapes, "text_model.encoder.layers.0.mlp.fc1.weight", 0)?,
            vocabulary: words.unwrap_or(0),
            positions: side(shapes, "text_model.embeddings.position_embedding.weight", 0)?,
            activation: match width {
                WIDTH_OF_OPENAI => Activation::QuickGelu,
                _ => Activation::Gelu,
            },
            projection: match shapes.contains_key(projection) {
                true => Some(side(shapes, projection, 0)?),
                false => None,
            },
        };
        found.check()?;
        Ok(found)
    }

    fn from_settings(settings: &Value) -> Said<Self> {
        // Configurations of the whole of CLIP hold the encoder's apart.
        let settings = match settings["text_config"].is_object() {
            true => &settings["text_config"],
            false => settings,
        };
        let found = Self {
            width: json::needed(settings, "hidden_size", WIDTH_MAX)?,
            layers: json::needed(settings, "num_hidden_layers", DEPTH_MAX)?,
            heads: json::needed(settings, "num_attention_heads", WIDTH_MAX)?,
            inner: json::needed(settings, "intermediate_size", WIDTH_MAX)?,
            vocabulary: json::whole(settings, "vocab_size", WORDS_MAX)?.unwrap_or(49408),
            positions: json::whole(settings, "max_position_embeddings", WIDTH_MAX)?.unwrap_or(77),
            activation: match settings["hidden_act"].as_str() {
                None | Some("quick_gelu") => Activation::QuickGelu,
                Some("gelu") => Activation::Gelu,
                Some(other) => return Err(format!("has the activation “{other}”: not known")),
            },
            projection: json::whole(settings, "projection_dim", WIDTH_MAX)?,
        };
        found.check()?;
        Ok(found)
    }

    fn check(&self) -> Said<()> {
        let Self { width, heads, .. } = self;
        if !width.is_multiple_of(*heads) {
            return Err(format!("divides {width} features among {heads} heads"));
        }
        if self.layers == 0 || !(1..=WORDS_MAX).contains(&self.vocabulary) {
            return Err("has no layers or no words, as a text encoder does".to_owned());
        }
        Ok(())
    }
}
