//! What is pointed at → tokens that the mask decoder reads.

use candle_core::Tensor;

use crate::error::EngineError;
use crate::nn::{Compute, Load};
use crate::weights::segment_anything::SamConfig;

/// Is a place that was pointed at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PromptPoint {
    /// Where, in pixels of the square, from its left and upper edge.
    pub at: [f32; 2],
    /// Whether it belongs to what is meant, rather than to what surrounds it.
    pub is_inside: bool,
}

/// Holds what is pointed at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prompt {
    /// Places.
    pub points: Vec<PromptPoint>,
    /// Left, upper, right and lower edge of a box around it, in pixels of the square.
    pub around: Option<[f32; 4]>,
}

/// Turns places into waves of chance frequencies, and prompts into tokens.
#[derive(Debug, Clone)]
pub(super) struct Prompts {
    compute: Compute,
    side: f32,
    /// `[2, width / 2]`.
    frequencies: Vec<f32>,
    width: usize,
    /// Points outside and inside, upper left and lower right corners.
    kinds: [Vec<f32>; 4],
    not_a_point: Vec<f32>,
    /// Added to every place of an embedding where no mask is given, `[1, width]`.
    pub(super) no_mask: Tensor,
    /// The waves of the places of an embedding, `[grid · grid, width]`.
    pub(super) places: Tensor,
}

impl Prompts {
    /// Loads the encoder.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub(super) fn new(config: &SamConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let (width, grid) = (config.width, config.grid());
        let kinds = load.pp("point_embeddings");
        let kind = |at: usize| kinds.pp(at).values("weight", &[1, width]);
        let name = "positional_encoding_gaussian_matrix";
        let frequencies = load.pp("pe_layer").values(name, &[2, width / 2])?;
        let compute = load.compute().clone();
        let mut places = Vec::with_capacity(grid * grid * width);
        for place in 0..grid * grid {
            let at = [place % grid, place / grid].map(|at| (at as f32 + 0.5) / grid as f32);
            places.extend(waves(at, &frequencies));
        }
        let places = Tensor::from_vec(places, (grid * grid, width), compute.device())?;
        Ok(Self {
            side: config.side as f32,
            width,
            kinds: [kind(0)?, kind(1)?, kind(2)?, kind(3)?],
            not_a_point: load.pp("not_a_point_embed").values("weight", &[1, width])?,
            no_mask: load.pp("no_mask_embed").tensor("weight", &[1, width])?,
            frequencies,
            places,
            compute,
        })
    }

    /// Returns the tokens of a prompt, `[tokens, width]`: its points, then the corners of its box or,
    /// where it has none, a token that says so.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub(super) fn tokens(&self, prompt: &Prompt) -> candle_core::Result<Tensor> {
        let mut values = Vec::new();
        let mut push = |at: [f32; 2], kind: usize| {
            // The middle of the pixel.
            let at = at.map(|along| (along + 0.5) / self.side);
            let token = waves(at, &self.frequencies).zip(&self.kinds[kind]);
            values.extend(token.map(|(wave, kind)| wave + kind));
        };
        for point in &prompt.points {
            push(point.at, usize::from(point.is_inside));
        }
        match prompt.around {
            Some([left, top, right, bottom]) => {
                push([left, top], 2);
                push([right, bottom], 3);
            }
            None => values.extend(&self.not_a_point),
        }
        let count = values.len() / self.width;
        Tensor::from_vec(values, (count, self.width), self.compute.device())
    }
}

/// Returns sines, then cosines, of a place whose coordinates are within 0..=1.
fn waves([x, y]: [f32; 2], frequencies: &[f32]) -> impl Iterator<Item = f32> {
    let half = frequencies.len() / 2;
    let [x, y] = [2.0 * x - 1.0, 2.0 * y - 1.0];
    let angle =
        move |at: usize| std::f32::consts::TAU * (x * frequencies[at] + y * frequencies[half + at]);
    (0..half).map(move |at| angle(at).sin()).chain((0..half).map(move |at| angle(at).cos()))
}
