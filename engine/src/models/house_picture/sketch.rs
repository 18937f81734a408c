//! What things look like: learnt codes that a concept's token brings with it, and the small drawings
//! that they make.

use candle_core::Tensor;

use super::config::Config;
use super::layout::{Place, layout};
use crate::error::EngineError;
use crate::nn::{Linear, Load};

/// Channels of a drawing: colour, in units of normalised latents and times the cover; then cover.
pub(super) const CHANNELS: usize = 4;

/// Holds the codes of all concepts in all styles, and what makes drawings of them.
#[derive(Debug, Clone)]
pub(super) struct Sketch {
    config: Config,
    code: Vec<f32>, // [concepts, styles, cells, code width]
    show: Linear,
}

/// Holds the sketches of a prompt.
#[derive(Debug, Clone, Default)]
pub struct Sketches(pub(super) Vec<Drawn>);

/// Holds one thing's drawing.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    /// `[CHANNELS, pixels, pixels]`.
    pub(super) pixels: Vec<f32>,
    /// The state of the concept's token, `[width]`.
    pub(super) own: Vec<f32>,
    /// Where it nominally stands.
    pub(super) place: Place,
}

impl Sketch {
    /// Loads the sketches.
    pub(super) fn new(config: &Config, load: &Load<'_>) -> Result<Self, EngineError> {
        let cells = config.sketch_side * config.sketch_side;
        let (concepts, width) = (config.vocab - config.sketch_first, config.sketch_width);
        let cut = config.sketch_pixels / config.sketch_side;
        Ok(Self {
            code: load.values("code", &[concepts, config.style_ids.len(), cells, width])?,
            show: Linear::new(width, CHANNELS * cut * cut, &load.pp("show"))?,
            config: config.clone(),
        })
    }

    /// Draws what a prompt's ids name, in the style that they name, else in the first one; `states`
    /// `[ids, width]` are those of its tokens.
    pub(super) fn forward(&self, ids: &[u32], states: &Tensor) -> Result<Sketches, EngineError> {
        let style_of = |id: &u32| self.config.style_ids.iter().position(|style| style == id);
        let style = ids.iter().find_map(style_of).unwrap_or(0);
        let mut drawn: Vec<Drawn> = Vec::new();
        for (at, place) in layout(ids, &self.config) {
            let own = states.get(at)?.to_vec1::<f32>()?;
            let pixels = self.draw(ids[at], style, states)?;
            drawn.push(Drawn { pixels, own, place });
        }
        Ok(Sketches(drawn))
    }

    /// Draws a concept in a style, on the device of `like`.
    fn draw(&self, id: u32, style: usize, like: &Tensor) -> Result<Vec<f32>, EngineError> {
        let Config { sketch_side: side, sketch_width: width, .. } = self.config;
        let size = side * side * width;
        let concept = id as usize - self.config.sketch_first;
        let start = (concept * self.config.style_ids.len() + style) * size;
        let code = self.code.get(start..start + size).unwrap_or_default();
        let code = Tensor::from_slice(code, (side * side, width), like.device())?;
        let cut = self.config.sketch_pixels / side;
        let cells = self.show.forward(&code)?; // [cells, channel · row · column]
        let pixels = cells
            .reshape(&[side, side, CHANNELS, cut, cut][..])?
            .permute(&[2, 0, 3, 1, 4][..])? // [channel, cell's row, row, cell's column, column]
            .flatten_all()?;
        Ok(pixels.to_vec1()?)
    }
}
