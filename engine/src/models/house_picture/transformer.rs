//! The clean latent guessed from a noisy one, given a time and text states.

use candle_core::{DType, Tensor};

use super::config::{Config, HEAD_WIDTH, PATCH};
use super::layout::{add_hint, cell_angles, frequencies};
use super::mend::Mend;
use super::mixer::{Mixer, Reads};
use super::text_encoder::TextStates;
use crate::error::EngineError;
use crate::nn::{Compute, Gate, Linear, Load, Memory, Rotary, Spans, modulate};

/// Guesses clean latents: single-stream attention over text states and patches of the latent.
#[derive(Debug, Clone)]
pub struct FlowTransformer {
    compute: Compute,
    channels: usize,
    width: usize,
    time_freqs: usize,
    pos_freqs: usize,
    rope_base: f32,
    sketch_side: usize,
    sketch_width: usize,
    x_in: Linear,
    hint: Option<Linear>,
    place: Linear,
    time1: Linear,
    time2: Linear,
    pool: Linear,
    ada: Linear,
    blocks: Vec<Block>,
    final_ada: Linear,
    last: Linear,
    mend: Option<Mend>,
}

#[derive(Debug, Clone)]
struct Block {
    /// Added to the shared modulation: shift, scale, gate for attention, then for the MLP.
    table: Tensor, // [1, 6 · width]
    mixer: Mixer,
}

/// Holds what stays the same over all steps: text states, what the things look like, places and
/// angles of a latent's size.
#[derive(Debug, Clone)]
pub struct Conditioning {
    text: Vec<Tensor>,
    pooled: Tensor, // [batch, width]
    /// Where a token is, and what the sketches have there: `[batch or 1, tokens, width]`.
    place: Tensor,
    /// What each block reads of the sketches; empty when no prompt has one.
    memories: Vec<Memory>,
    spans: Spans,
    latent_spans: Spans,
    rotary: Rotary,
    grid: [usize; 2],
}

impl FlowTransformer {
    /// Loads the transformer.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(config: &Config, load: &Load<'_>) -> Result<Self, EngineError> {
        let width = config.width;
        let patch = config.latent_channels * PATCH * PATCH;
        let blocks = (0..config.blocks).map(|index| {
            let load = load.pp("blocks").pp(index);
            let table = load.tensor("table", &[6, width])?.reshape((1, 6 * width))?;
            Ok(Block { table, mixer: Mixer::new(config, &load)? })
        });
        Ok(Self {
            compute: load.compute().clone(),
            channels: config.latent_channels,
            width,
            time_freqs: config.time_freqs,
            pos_freqs: config.pos_freqs,
            rope_base: config.rope_base,
            sketch_side: config.sketch_side,
            sketch_width: config.sketch_width,
            x_in: Linear::new(patch, width, &load.pp("x_in"))?,
            hint: match config.places_sketches() {
                true => {
                    let inputs = config.sketch_width * PATCH * PATCH;
                    Some(Linear::without_bias(inputs, width, &load.pp("hint"))?)
                }
                false => None,
            },
            place: Linear::without_bias(4 * config.pos_freqs, width, &load.pp("place"))?,
            time1: Linear::new(2 * config.time_freqs, width, &load.pp("time1"))?,
            time2: Linear::new(width, width, &load.pp("time2"))?,
            pool: Linear::new(width, width, &load.pp("pool"))?,
            ada: Linear::new(width, 6 * width, &load.pp("ada"))?,
            blocks: blocks.collect::<Result<_, EngineError>>()?,
            final_ada: Linear::new(width, 2 * width, &load.pp("final_ada"))?,
            last: Linear::new(width, patch, &load.pp("final"))?,
            mend: Mend::new(config, &load.pp("mend"))?,
        })
    }

    /// Prepares a batch: one entry of text states per latent, and the latents'
    /// height and width in cells (even numbers).
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn condition(
        &self,
        text: &[TextStates],
        height: usize,
        width: usize,
    ) -> Result<Conditioning, EngineError> {
        let grid = [height / PATCH, width / PATCH];
        let tokens = grid[0] * grid[1];
        let device = self.compute.device();
        let means: Vec<&Tensor> = text.iter().map(|text| &text.mean).collect();
        let pooled = self.pool.forward(&Tensor::cat(&means, 0)?)?;
        let places = place_features(grid, self.pos_freqs);
        let places = Tensor::from_vec(places, (tokens, 4 * self.pos_freqs), device)?;
        let places = self.place.forward(&places)?; // [tokens, width]
        let places = places.reshape((1, tokens, self.width))?;
        let place = match &self.hint {
            Some(hint) => self.hints(hint, text, [height, width])?.broadcast_add(&places)?,
            None => places,
        };
        let lengths = text.iter().map(|text| Ok(text.states.dim(0)? + tokens));
        let spans = Spans::of_lengths(&lengths.collect::<Result<Vec<_>, EngineError>>()?);
        let angles = rope_angles(grid, self.rope_base);
        let mut all = Vec::with_capacity(spans.rows() * HEAD_WIDTH / 2);
        for text in text {
            // Text does not turn.
            all.resize(all.len() + text.states.dim(0)? * HEAD_WIDTH / 2, 0.0);
            all.extend_from_slice(&angles);
        }
        Ok(Conditioning {
            pooled,
            place,
            memories: self.memories(text, [height, width])?,
            latent_spans: Spans::of_lengths(&vec![tokens; text.len()]),
            text: text.iter().map(|text| text.states.clone()).collect(),
            rotary: self.rotary(&all)?,
            spans,
            grid,
        })
    }

    /// What the prompts' sketches add to the tokens of a latent of this size in cells:
    /// `[batch, tokens, width]`.
    fn hints(
        &self,
        hint: &Linear,
        text: &[TextStates],
        latent: [usize; 2],
    ) -> Result<Tensor, EngineError> {
        let tokens = latent[0] / PATCH * (latent[1] / PATCH);
        let numbers = self.sketch_width * PATCH * PATCH;
        let mut hints = vec![0.0; text.len() * tokens * numbers];
        for (hints, text) in hints.chunks_exact_mut(tokens * numbers).zip(text) {
            for (code, place) in &text.sketches.placed {
                add_hint(hints, code, place, self.sketch_side, latent);
            }
        }
        let shape = (text.len() * tokens, numbers);
        let hints = Tensor::from_vec(hints, shape, self.compute.device())?;
        Ok(hint.forward(&hints)?.reshape((text.len(), tokens, self.width))?)
    }

    /// The keys and values of the prompts' sketches for every block, or nothing without a sketch.
    fn memories(
        &self,
        text: &[TextStates],
        latent: [usize; 2],
    ) -> Result<Vec<Memory>, EngineError> {
        let cells: Vec<&Tensor> =
            text.iter().filter_map(|text| text.sketches.cells.as_ref()).collect();
        if cells.is_empty() {
            return Ok(Vec::new());
        }
        let cells = Tensor::cat(&cells, 0)?; // [sketches · cells, width]
        let per_sketch = self.sketch_side * self.sketch_side;
        let lengths: Vec<usize> =
            text.iter().map(|text| text.sketches.placed.len() * per_sketch).collect();
        let placed = text.iter().flat_map(|text| &text.sketches.placed);
        let angles: Vec<f32> = placed
            .flat_map(|(_, place)| cell_angles(place, self.sketch_side, latent, self.rope_base))
            .collect();
        let (spans, rotary) = (Spans::of_lengths(&lengths), self.rotary(&angles)?);
        self.blocks.iter().map(|block| block.mixer.remember(&cells, &spans, &rotary)).collect()
    }

    /// Tables of these angles, half a head's width of them for each row.
    fn rotary(&self, angles: &[f32]) -> Result<Rotary, EngineError> {
        let table = |f: fn(f32) -> f32| {
            let values: Vec<f32> = angles.iter().map(|angle| f(*angle)).collect();
            let shape = (angles.len() / (HEAD_WIDTH / 2), HEAD_WIDTH / 2);
            Tensor::from_vec(values, shape, self.compute.device())
        };
        Ok(Rotary { cos: table(f32::cos)?, sin: table(f32::sin)? })
    }

    /// Guesses x0 of latents `(1 - s)·x0 + s·noise`, `[batch, channels, height, width]`, at time `s`
    /// in 0..=1.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward(
        &self,
        latents: &Tensor,
        s: f64,
        conditioning: &Conditioning,
    ) -> Result<Tensor, EngineError> {
        let Conditioning { text, pooled, place, spans, latent_spans, rotary, grid, .. } =
            conditioning;
        let batch = text.len();
        let tokens = grid[0] * grid[1];
        let features = time_features(s, self.time_freqs);
        let features = Tensor::from_vec(features, (1, 2 * self.time_freqs), self.compute.device())?;
        let time = self.time2.forward(&self.time1.forward_silu(&features)?)?; // [1, width]
        let c = pooled.broadcast_add(&time)?.silu()?; // [batch, width]
        let shared = self.ada.forward(&c)?; // [batch, 6 · width]

        let patches = self.x_in.forward(&self.patchify(latents, *grid)?)?;
        let patches = patches.reshape((batch, tokens, self.width))?.broadcast_add(place)?;
        let mut parts = Vec::with_capacity(2 * batch);
        for (index, states) in text.iter().enumerate() {
            parts.push(states.clone());
            parts.push(patches.get(index)?);
        }
        let mut x = Tensor::cat(&parts, 0)?; // [rows, width]

        for (index, block) in self.blocks.iter().enumerate() {
            let modulation = &shared.broadcast_add(&block.table)?; // [batch, 6 · width]
            let gate = |part| Some(Gate { modulation, part, spans });
            let normed = modulate(&self.compute, &x, modulation, (0, 1), spans)?;
            let reads = Reads { rotary: Some(rotary), memory: conditioning.memories.get(index) };
            x = block.mixer.attend(&x, &normed, spans, reads, gate(2))?;
            let normed = modulate(&self.compute, &x, modulation, (3, 4), spans)?;
            x = block.mixer.mlp(&x, &normed, gate(5))?;
        }

        let ends = spans.ranges().iter().map(|range| x.narrow(0, range.end - tokens, tokens));
        let x = Tensor::cat(&ends.collect::<Result<Vec<_>, _>>()?, 0)?; // [batch · tokens, width]
        let modulation = self.final_ada.forward(&c)?; // [batch, 2 · width]
        let x = modulate(&self.compute, &x, &modulation, (0, 1), latent_spans)?;
        let guess = self.unpatchify(&self.last.forward(&x)?, batch, *grid)?;
        match &self.mend {
            Some(mend) => mend.forward(&guess, latents, &c),
            None => Ok(guess),
        }
    }

    /// Cuts latents into tokens `[batch · tokens, channels · 4]`, ordered (channel, row, column).
    fn patchify(&self, latents: &Tensor, [h, w]: [usize; 2]) -> Result<Tensor, EngineError> {
        let batch = latents.dim(0)?;
        Ok(latents
            .to_dtype(DType::F32)?
            .reshape(&[batch, self.channels, h, PATCH, w, PATCH][..])?
            .permute(&[0, 2, 4, 1, 3, 5][..])? // [batch, h, w, channels, row, column]
            .reshape((batch * h * w, self.channels * PATCH * PATCH))?)
    }

    fn unpatchify(
        &self,
        tokens: &Tensor,
        batch: usize,
        [h, w]: [usize; 2],
    ) -> Result<Tensor, EngineError> {
        Ok(tokens
            .reshape(&[batch, h, w, self.channels, PATCH, PATCH][..])?
            .permute(&[0, 3, 1, 4, 2, 5][..])? // [batch, channels, h, row, w, column]
            .reshape((batch, self.channels, h * PATCH, w * PATCH))?)
    }
}

/// Cosines, then sines, of `1000 · s · 10000^(-i / freqs)`.
fn time_features(s: f64, freqs: usize) -> Vec<f32> {
    let step = -(10_000f64.ln()) as f32 / freqs as f32;
    let angles = (0..freqs).map(|i| 1000.0 * s as f32 * (step * i as f32).exp());
    angles.clone().map(f32::cos).chain(angles.map(f32::sin)).collect()
}

/// The centres of a grid's tokens, rows first, in token units from the grid's centre: (y, x).
fn centred([h, w]: [usize; 2]) -> impl Iterator<Item = (f32, f32)> {
    let at = |index: usize, count: usize| index as f32 - (count as f32 - 1.0) / 2.0;
    (0..h * w).map(move |token| (at(token / w, h), at(token % w, w)))
}

/// For every token sin y, cos y, sin x, cos x of its place times `π/32 · 2^(k/2)`.
fn place_features(grid: [usize; 2], freqs: usize) -> Vec<f32> {
    let factors: Vec<f32> =
        (0..freqs).map(|k| std::f32::consts::PI / 32.0 * (k as f32 / 2.0).exp2()).collect();
    let mut out = Vec::with_capacity(grid[0] * grid[1] * 4 * freqs);
    for (y, x) in centred(grid) {
        for (coordinate, f) in
            [(y, f32::sin as fn(f32) -> f32), (y, f32::cos), (x, f32::sin), (x, f32::cos)]
        {
            out.extend(factors.iter().map(|factor| f(coordinate * factor)));
        }
    }
    out
}

/// For every token the angles of the 16 pairs that turn with y, then of those that turn with x.
fn rope_angles(grid: [usize; 2], base: f32) -> Vec<f32> {
    centred(grid)
        .flat_map(|(y, x)| [y, x])
        .flat_map(|coordinate| frequencies(base).map(move |factor| coordinate * factor))
        .collect()
}
