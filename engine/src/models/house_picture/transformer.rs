//! The clean latent guessed from a noisy one, given a time and text states.

use candle_core::{DType, Tensor};

use super::config::{CELL, Config, HEAD_WIDTH, PATCH};
use super::layout::{Place, Things, add_tokens, cover, frequencies, lay};
use super::mend::Mend;
use super::mixer::Mixer;
use super::sketch;
use super::text_encoder::TextStates;
use crate::error::EngineError;
use crate::nn::{Compute, Gate, Linear, Load, Rotary, Spans, modulate};

/// Guesses clean latents: single-stream attention over text states and patches of the latent.
#[derive(Debug, Clone)]
pub struct FlowTransformer {
    config: Config,
    compute: Compute,
    channels: usize,
    width: usize,
    x_in: Linear,
    hint: Linear,
    owner: Linear,
    place: Linear,
    time1: Linear,
    time2: Linear,
    pool: Linear,
    ada: Linear,
    blocks: Vec<Block>,
    final_ada: Linear,
    last: Linear,
    /// How far the drawings' colours are taken.
    gate: Linear,
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
    /// Where a token is, and what the sketches have there: `[batch, tokens, width]`.
    place: Tensor,
    /// The colours of the drawings laid there, `[batch · tokens, channels · 4]`.
    drawings: Tensor,
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
            config: config.clone(),
            x_in: Linear::new(patch, width, &load.pp("x_in"))?,
            hint: Linear::without_bias(patch / 3 * sketch::CHANNELS, width, &load.pp("hint"))?,
            owner: Linear::without_bias(width, width, &load.pp("owner"))?,
            place: Linear::without_bias(4 * config.pos_freqs, width, &load.pp("place"))?,
            time1: Linear::new(2 * config.time_freqs, width, &load.pp("time1"))?,
            time2: Linear::new(width, width, &load.pp("time2"))?,
            pool: Linear::new(width, width, &load.pp("pool"))?,
            ada: Linear::new(width, 6 * width, &load.pp("ada"))?,
            blocks: blocks.collect::<Result<_, EngineError>>()?,
            final_ada: Linear::new(width, 2 * width, &load.pp("final_ada"))?,
            last: Linear::new(width, patch, &load.pp("final"))?,
            gate: Linear::new(width, patch, &load.pp("gate"))?,
            mend: Mend::new(config, &load.pp("mend"))?,
        })
    }

    /// Prepares a batch: one entry of text states per latent, where their things stand, and the latents'
    /// height and width in cells (even numbers).
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn condition(
        &self,
        text: &[TextStates],
        things: Things,
        height: usize,
        width: usize,
    ) -> Result<Conditioning, EngineError> {
        let grid = [height / PATCH, width / PATCH];
        let tokens = grid[0] * grid[1];
        let device = self.compute.device();
        let means: Vec<&Tensor> = text.iter().map(|text| &text.mean).collect();
        let pooled = self.pool.forward(&Tensor::cat(&means, 0)?)?;
        let freqs = self.config.pos_freqs;
        let tokens_at = Tensor::from_vec(place_features(grid, freqs), (tokens, 4 * freqs), device)?;
        let tokens_at = self.place.forward(&tokens_at)?.reshape((1, tokens, self.width))?;
        let [drawings, owners] = self.lay(text, things, [height, width])?;
        let seen = (self.hint.forward(&drawings)? + self.owner.forward(&owners)?)?;
        let place = seen.reshape((text.len(), tokens, self.width))?.broadcast_add(&tokens_at)?;
        let drawings = drawings.narrow(1, 0, self.channels * PATCH * PATCH)?.contiguous()?;
        let lengths = text.iter().map(|text| Ok(text.states.dim(0)? + tokens));
        let spans = Spans::of_lengths(&lengths.collect::<Result<Vec<_>, EngineError>>()?);
        let angles = rope_angles(grid, self.config.rope_base);
        let mut all = Vec::with_capacity(spans.rows() * HEAD_WIDTH / 2);
        for text in text {
            // Text does not turn.
            all.resize(all.len() + text.states.dim(0)? * HEAD_WIDTH / 2, 0.0);
            all.extend_from_slice(&angles);
        }
        Ok(Conditioning {
            pooled,
            place,
            drawings,
            latent_spans: Spans::of_lengths(&vec![tokens; text.len()]),
            text: text.iter().map(|text| text.states.clone()).collect(),
            rotary: self.rotary(&all)?,
            spans,
            grid,
        })
    }

    /// What the prompts' sketches give the tokens of a latent of this size in cells: their drawings
    /// laid there, `[batch · tokens, 4 · 64]`, and the states of the things that cover a token,
    /// `[batch · tokens, width]`.
    fn lay(
        &self,
        text: &[TextStates],
        things: Things,
        latent: [usize; 2],
    ) -> Result<[Tensor; 2], EngineError> {
        let tokens = latent[0] / PATCH * (latent[1] / PATCH);
        let numbers = sketch::CHANNELS * (CELL * PATCH) * (CELL * PATCH);
        let mut drawings = vec![0.0; text.len() * tokens * numbers];
        let mut owners = vec![0.0; text.len() * tokens * self.width];
        let parts = drawings
            .chunks_exact_mut(tokens * numbers)
            .zip(owners.chunks_exact_mut(tokens * self.width));
        for ((drawings, owners), text) in parts.zip(text) {
            let drawn = &text.sketches.0;
            let nominal: Vec<Place> = drawn.iter().map(|drawn| drawn.place).collect();
            let Some(places) = things.places(&nominal, latent, &self.config) else { continue };
            for (drawn, place) in drawn.iter().zip(&places) {
                let picture = lay(&drawn.pixels, place, self.config.sketch_pixels, latent);
                add_tokens(drawings, &picture, latent);
                let last = picture.len() / sketch::CHANNELS * (sketch::CHANNELS - 1);
                let covers = cover(&picture[last..], latent);
                for (owners, cover) in owners.chunks_exact_mut(self.width).zip(covers) {
                    owners.iter_mut().zip(&drawn.own).for_each(|(out, own)| *out += cover * own);
                }
            }
        }
        let (rows, device) = (text.len() * tokens, self.compute.device());
        Ok([
            Tensor::from_vec(drawings, (rows, numbers), device)?,
            Tensor::from_vec(owners, (rows, self.width), device)?,
        ])
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
        let Conditioning { text, pooled, place, drawings, spans, latent_spans, rotary, grid } =
            conditioning;
        let batch = text.len();
        let tokens = grid[0] * grid[1];
        let freqs = self.config.time_freqs;
        let features = (time_features(s, freqs), (1, 2 * freqs));
        let features = Tensor::from_vec(features.0, features.1, self.compute.device())?;
        let time = self.time2.forward(&self.time1.forward_silu(&features)?)?; // [1, width]
        let c = pooled.broadcast_add(&time)?.silu()?; // [batch, width]
        let shared = self.ada.forward(&c)?; // [batch, 6 · width]

        let patches = self.x_in.forward(&self.patchify(latents, *grid)?)?;
        let patches = patches.reshape((batch, tokens, self.width))?.add(place)?;
        let mut parts = Vec::with_capacity(2 * batch);
        for (index, states) in text.iter().enumerate() {
            parts.push(states.clone());
            parts.push(patches.get(index)?);
        }
        let mut x = Tensor::cat(&parts, 0)?; // [rows, width]

        for block in &self.blocks {
            let modulation = &shared.broadcast_add(&block.table)?; // [batch, 6 · width]
            let gate = |part| Some(Gate { modulation, part, spans });
            let normed = modulate(&self.compute, &x, modulation, (0, 1), spans)?;
            x = block.mixer.attend(&x, &normed, spans, Some(rotary), gate(2))?;
            let normed = modulate(&self.compute, &x, modulation, (3, 4), spans)?;
            x = block.mixer.mlp(&x, &normed, gate(5))?;
        }

        let ends = spans.ranges().iter().map(|range| x.narrow(0, range.end - tokens, tokens));
        let x = Tensor::cat(&ends.collect::<Result<Vec<_>, _>>()?, 0)?; // [batch · tokens, width]
        let modulation = self.final_ada.forward(&c)?; // [batch, 2 · width]
        let x = modulate(&self.compute, &x, &modulation, (0, 1), latent_spans)?;
        let guess = (self.last.forward(&x)? + (self.gate.forward(&x)? * drawings)?)?;
        let guess = self.unpatchify(&guess, batch, *grid)?;
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
