//! Tokens → text states.

use candle_core::Tensor;

use super::config::Config;
use super::mixer::Mixer;
use crate::error::EngineError;
use crate::nn::{Compute, Linear, Load, Scale, Spans};

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
    sketch: Option<Sketch>,
}

/// Holds what the transformer reads of a prompt.
#[derive(Debug, Clone)]
pub struct TextStates {
    /// The states of the tokens, then of the cells of the concepts' sketches: `[rows, width]`.
    pub states: Tensor,
    /// The mean of the tokens' states alone, `[1, width]`.
    pub mean: Tensor,
}

/// What things look like, cell by cell: learnt codes that a concept's token brings with it.
#[derive(Debug, Clone)]
struct Sketch {
    first: usize,
    most: usize,
    cells: usize,
    code_width: usize,
    code: Vec<f32>, // [concepts, cells, code width]
    inp: Linear,
    pos: Tensor, // [cells, width]
}

impl Sketch {
    fn new(config: &Config, load: &Load<'_>) -> Result<Self, EngineError> {
        let cells = config.sketch_side * config.sketch_side;
        let code_width = config.sketch_width;
        let concepts = config.vocab - config.sketch_first;
        Ok(Self {
            first: config.sketch_first,
            most: config.sketch_max,
            cells,
            code_width,
            code: load.values("code", &[concepts, cells, code_width])?,
            inp: Linear::without_bias(code_width, config.width, &load.pp("inp"))?,
            pos: load.tensor("pos", &[cells, config.width])?,
        })
    }

    /// The cells of the prompt's first concepts, `[concepts · cells, width]`, each with the state of
    /// its concept's token, so that colour and place go with it; `None` without a concept.
    fn forward(&self, ids: &[u32], states: &Tensor) -> Result<Option<Tensor>, EngineError> {
        let size = self.cells * self.code_width;
        let mut parts = Vec::new();
        let concepts = ids.iter().enumerate().filter(|(_, id)| **id as usize >= self.first);
        for (place, id) in concepts.take(self.most) {
            let start = (*id as usize - self.first) * size;
            let code = self.code.get(start..start + size).unwrap_or_default().to_vec();
            let code = Tensor::from_vec(code, (self.cells, self.code_width), states.device())?;
            let cells = self.inp.forward(&code)?.add(&self.pos)?;
            parts.push(cells.broadcast_add(&states.narrow(0, place, 1)?)?);
        }
        Ok(if parts.is_empty() { None } else { Some(Tensor::cat(&parts, 0)?) })
    }
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
            sketch: match config.sketch_max {
                0 => None,
                _ => Some(Sketch::new(config, &load.pp("sketch"))?),
            },
        })
    }

    /// Encodes a prompt's ids: one state per id and per cell of its concepts' sketches, or one
    /// state alone for the empty prompt.
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
        let tokens = self.norm.forward(&x)?;
        let cells = match &self.sketch {
            Some(sketch) => sketch.forward(ids, &tokens)?,
            None => None,
        };
        Ok(TextStates {
            mean: tokens.mean_keepdim(0)?,
            states: match cells {
                Some(cells) => Tensor::cat(&[tokens, cells], 0)?,
                None => tokens,
            },
        })
    }
}
