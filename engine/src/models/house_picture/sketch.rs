//! What things look like, cell by cell: learnt codes that a concept's token brings with it.

use candle_core::Tensor;

use super::config::Config;
use super::layout::{Place, concepts, layout};
use crate::error::EngineError;
use crate::nn::{Linear, Load, Scale};

/// Holds the codes of all concepts, and what makes states of them.
#[derive(Debug, Clone)]
pub(super) struct Sketch {
    config: Config,
    cells: usize,
    /// `[concepts, styles, cells, code width]`; one style where sketches stand among the tokens.
    code: Vec<f32>,
    inp: Linear,
    pos: Tensor, // [cells, width]
    /// Norms the states of sketches that have a place; `None` where they stand among the tokens.
    norm: Option<Scale>,
}

/// Holds the sketches that have a place in the picture (version 3 of the format).
#[derive(Debug, Clone, Default)]
pub struct Sketches {
    /// The states of all their cells, `[sketches · cells, width]`; `None` without a sketch.
    pub cells: Option<Tensor>,
    /// Each one's codes, `[cells, code width]`, and where it stands.
    pub(super) placed: Vec<(Vec<f32>, Place)>,
}

impl Sketch {
    /// Loads the sketches; `None` in a model without any.
    pub(super) fn new(config: &Config, load: &Load<'_>) -> Result<Option<Self>, EngineError> {
        if config.sketch_max == 0 {
            return Ok(None);
        }
        let cells = config.sketch_side * config.sketch_side;
        let (concepts, width) = (config.vocab - config.sketch_first, config.sketch_width);
        let code = match config.places_sketches() {
            true => load.values("code", &[concepts, config.style_ids.len(), cells, width])?,
            false => load.values("code", &[concepts, cells, width])?,
        };
        let norm = match config.places_sketches() {
            true => Some(Scale::ones(config.width, load.compute())?),
            false => None,
        };
        Ok(Some(Self {
            cells,
            code,
            inp: Linear::without_bias(width, config.width, &load.pp("inp"))?,
            pos: load.tensor("pos", &[cells, config.width])?,
            norm,
            config: config.clone(),
        }))
    }

    /// Completes the states `[ids, width]` of a prompt's tokens: returns all states that are read as
    /// tokens, and the sketches that have a place.
    ///
    /// A cell's state is its code, widened, with the cell's embedding and the state of its concept's
    /// token, so that the colour goes with it. Where sketches have a place it is normed.
    pub(super) fn forward(
        &self,
        ids: &[u32],
        states: Tensor,
    ) -> Result<(Tensor, Sketches), EngineError> {
        let mut sketches = Sketches::default();
        let mut parts = Vec::new();
        match &self.norm {
            None => {
                parts.push(states.clone());
                for at in concepts(ids, &self.config) {
                    parts.push(self.cells(self.code(ids[at], 0), &states.narrow(0, at, 1)?)?);
                }
                Ok((Tensor::cat(&parts, 0)?, sketches))
            }
            Some(norm) => {
                let style_of =
                    |id: &u32| self.config.style_ids.iter().position(|style| style == id);
                let style = ids.iter().find_map(style_of).unwrap_or(0);
                for (at, place) in layout(ids, &self.config) {
                    let code = self.code(ids[at], style);
                    parts.push(self.cells(code, &states.narrow(0, at, 1)?)?);
                    sketches.placed.push((code.to_vec(), place));
                }
                if !parts.is_empty() {
                    sketches.cells = Some(norm.forward(&Tensor::cat(&parts, 0)?)?);
                }
                Ok((states, sketches))
            }
        }
    }

    /// The codes of a concept in a style, `[cells, code width]`.
    fn code(&self, id: u32, style: usize) -> &[f32] {
        let size = self.cells * self.config.sketch_width;
        let styles = if self.norm.is_some() { self.config.style_ids.len() } else { 1 };
        let start = ((id as usize - self.config.sketch_first) * styles + style) * size;
        self.code.get(start..start + size).unwrap_or_default()
    }

    /// The states `[cells, width]` of codes of a concept whose token's state is `own` `[1, width]`.
    fn cells(&self, code: &[f32], own: &Tensor) -> Result<Tensor, EngineError> {
        let shape = (self.cells, self.config.sketch_width);
        let code = Tensor::from_slice(code, shape, own.device())?;
        Ok(self.inp.forward(&code)?.add(&self.pos)?.broadcast_add(own)?)
    }
}
