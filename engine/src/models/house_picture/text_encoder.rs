//! Tokens → text states.

use candle_core::Tensor;

use super::config::Config;
use super::mixer::Mixer;
use super::sketch::{Sketch, Sketches};
use crate::error::EngineError;
use crate::nn::{Compute, Load, Scale, Spans};

/// Turns the ids of a prompt into states that the transformer reads.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    compute: Compute,
    width: usize,
    tok: Vec<f32>,
    pos: Vec<f32>,
    null: Vec<f32>,
    blocks: Vec<TextBlock>,
    norm: Scale,
    sketch: Sketch,
}

/// Holds what the transformer reads of a prompt.
#[derive(Debug, Clone)]
pub struct TextStates {
    /// The states of the tokens, `[rows, width]`.
    pub states: Tensor,
    /// Their mean, `[1, width]`.
    pub mean: Tensor,
    /// What its things look like and where they stand.
    pub sketches: Sketches,
}

#[derive(Debug, Clone)]
struct TextBlock {
    norm1: Scale,
    norm2: Scale,
    mixer: Mixer,
}

impl TextEncoder {
    /// Loads the encoder.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(config: &Config, load: &Load<'_>) -> Result<Self, EngineError> {
        let width = config.width;
        let blocks = (0..config.text_blocks).map(|index| {
            let load = load.pp("blocks").pp(index);
            Ok(TextBlock {
                norm1: Scale::new("norm1", width, &load)?,
                norm2: Scale::new("norm2", width, &load)?,
                mixer: Mixer::new(config, &load)?,
            })
        });
        Ok(Self {
            compute: load.compute().clone(),
            width,
            tok: load.values("tok", &[config.vocab, width])?,
            pos: load.values("pos", &[config.max_tokens, width])?,
            null: load.values("null", &[width])?,
            blocks: blocks.collect::<Result<_, EngineError>>()?,
            norm: Scale::new("norm", width, load)?,
            sketch: Sketch::new(config, &load.pp("sketch"))?,
        })
    }

    /// Encodes a prompt's ids: one state per id, or one state alone for the empty prompt, and the
    /// sketches of its concepts.
    ///
    /// # Errors
    /// [`EngineError::Model`] when there are more ids than the model reads, or one that it has not.
    pub fn forward(&self, ids: &[u32]) -> Result<TextStates, EngineError> {
        let width = self.width;
        let rows = ids.len().max(1);
        let too_many =
            || EngineError::Model { reason: "the prompt's ids are not the model's".into() };
        let mut x = self.pos.get(..rows * width).ok_or_else(too_many)?.to_vec();
        for (row, x) in x.chunks_exact_mut(width).enumerate() {
            let token = match ids.get(row) {
                None => &self.null,
                Some(id) => {
                    let start = *id as usize * width;
                    self.tok.get(start..start + width).ok_or_else(too_many)?
                }
            };
            x.iter_mut().zip(token).for_each(|(x, token)| *x += token);
        }
        let mut x = Tensor::from_vec(x, (rows, width), self.compute.device())?;
        let spans = Spans::of_lengths(&[rows]);
        for block in &self.blocks {
            x = block.mixer.attend(&x, &block.norm1.forward(&x)?, &spans, None, None)?;
            x = block.mixer.mlp(&x, &block.norm2.forward(&x)?, None)?;
        }
        let states = self.norm.forward(&x)?;
        let mean = states.mean_keepdim(0)?;
        let sketches = self.sketch.forward(ids, &states)?;
        Ok(TextStates { states, mean, sketches })
    }
}
