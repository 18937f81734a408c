//! All layers, from tokens to logits.

use super::super::config::Config;
use super::super::load::Source;
use super::super::means::Means;
use super::super::rope::AllAngles;
use super::layer::Layer;
use super::matrix::Packer;
use crate::error::EngineError;
use crate::kernels::quantized::{Activations, Finish, Part, Shelf, Weights, multiply};
use crate::kernels::{KeyValues, Level, Precision, Team, look_up, soften};

/// Holds what a chunk of tokens is worked on in; used again for every chunk.
#[derive(Debug)]
pub(super) struct Work {
    /// `[n, width]`.
    pub(super) states: Vec<f32>,
    /// Normed states.
    pub(super) hidden: Activations,
    /// Results of the attention.
    pub(super) attended: Activations,
    /// Gated values.
    pub(super) inner: Activations,
    /// Queries, keys and values.
    pub(super) qkv: Vec<f32>,
    /// What is normed before it is added.
    pub(super) added: Vec<f32>,
}

impl Work {
    fn new(level: Level, precision: Precision) -> Self {
        let none = || Activations::new(level, precision);
        Self {
            states: Vec::new(),
            hidden: none(),
            attended: none(),
            inner: none(),
            qkv: Vec::new(),
            added: Vec::new(),
        }
    }
}

/// Is a decoder on slices.
#[derive(Debug)]
pub(in super::super) struct Network {
    embedding: Weights,
    layers: Vec<Layer>,
    caches: Vec<KeyValues>,
    norm: Vec<f32>,
    /// Where it is not the table of tokens.
    output: Option<Weights>,
    angles: AllAngles,
    work: Work,
    level: Level,
    threads: usize,
}

impl Network {
    /// Loads all layers.
    pub(in super::super) fn load(
        config: &Config,
        source: &mut dyn Source,
        angles: AllAngles,
        (level, precision): (Level, Precision),
        means: &Means,
    ) -> Result<Self, EngineError> {
        let s = &config.sizes;
        let mut packer = Packer { source, shelf: Shelf::new(), widens: means.widens };
        let embedding = packer.matrix("token_embd", s.vocabulary, s.width)?;
        let norm = packer.source.vector("output_norm.weight", s.width)?;
        let has_output = packer.source.has("output.weight");
        let output =
            has_output.then(|| packer.matrix("output", s.vocabulary, s.width)).transpose()?;
        let layers: Result<Vec<_>, _> =
            (0..s.layers).map(|index| Layer::load(&mut packer, config, index)).collect();
        Ok(Self {
            embedding,
            layers: layers?,
            caches: (0..s.layers).map(|_| KeyValues::new(s.kv_heads, s.head)).collect(),
            norm,
            output,
            angles,
            work: Work::new(level, precision),
            level,
            threads: means.threads.unwrap_or(usize::MAX),
        })
    }

    /// Takes a chunk of tokens behind the first `length` through all layers and returns, where they
    /// are wanted, the logits of the token that follows.
    pub(in super::super) fn read(
        &mut self,
        config: &Config,
        tokens: &[u32],
        length: usize,
        wants_logits: bool,
        check: &mut dyn FnMut() -> Result<(), EngineError>,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let width = config.sizes.width;
        let mut team = Team::gather(self.threads);
        let work = &mut self.work;
        work.states.resize(tokens.len() * width, 0.0);
        let factor = config.embedding_scale as f32;
        let table = &self.embedding.matrix;
        look_up(&mut team, self.level, table, tokens, factor, &mut work.states);
        for (layer, cache) in self.layers.iter().zip(&mut self.caches) {
            check()?;
            layer.forward(&mut team, config, &self.angles, cache, length, work);
        }
        if !wants_logits {
            return Ok(None);
        }
        let last = &work.states[(tokens.len() - 1) * width..];
        work.hidden.reshape(1, width);
        work.hidden.set_norm(&mut team, last, &self.norm, config.epsilon as f32);
        let weights = self.output.as_ref().unwrap_or(&self.embedding);
        let vocabulary = config.sizes.vocabulary;
        let mut logits = vec![0.0; vocabulary];
        let part = [Part { weights, column: 0 }];
        multiply(&mut team, &work.hidden, &part, Finish::Set, &mut logits, vocabulary);
        if config.soft_limits[1] > 0.0 {
            soften(&mut logits, config.soft_limits[1] as f32);
        }
        Ok(Some(logits))
    }
}
