//! All layers, from tokens to logits.

use std::sync::Arc;

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{DType, Device, Tensor};
use candle_nn::ops::rms_norm;

use super::super::config::Config;
use super::super::load::Source;
use super::super::rope::AllAngles;
use super::cache::LayerCache;
use super::layer::{Layer, Matrix, Place, mask, soften};
use super::turn::Turn;
use crate::error::EngineError;

/// Loads matrices onto a device.
pub(super) struct Loader<'a> {
    pub(super) source: &'a mut dyn Source,
    pub(super) device: &'a Device,
    /// Whether matrices are kept as f32, whatever form the file has them in.
    pub(super) widens: bool,
}

impl Loader<'_> {
    pub(super) fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<QTensor, EngineError> {
        self.source.raw(name, shape)?.tensor(shape, self.device)
    }

    pub(super) fn vector(&mut self, name: &str, length: usize) -> Result<Tensor, EngineError> {
        Ok(self.tensor(name, &[length])?.dequantize(self.device)?)
    }
}

/// Is a decoder on tensors.
#[derive(Debug)]
pub(in super::super) struct Network {
    embedding: Arc<QTensor>,
    layers: Vec<Layer>,
    caches: Vec<LayerCache>,
    norm: Tensor,
    output: Matrix,
    turns: [Turn; 2],
    device: Device,
}

impl Network {
    /// Loads all layers.
    pub(in super::super) fn load(
        config: &Config,
        source: &mut dyn Source,
        angles: &AllAngles,
        device: &Device,
        widens: bool,
    ) -> Result<Self, EngineError> {
        let s = &config.sizes;
        let mut loader = Loader { source, device, widens };
        let embedding = Arc::new(loader.tensor("token_embd.weight", &[s.vocabulary, s.width])?);
        let norm = loader.vector("output_norm.weight", s.width)?;
        let output = if loader.source.has("output.weight") {
            Matrix::load(&mut loader, "output", s.vocabulary, s.width)?
        } else if widens {
            Matrix::shared(QMatMul::Tensor(embedding.dequantize(device)?))
        } else {
            Matrix::shared(QMatMul::from_arc(embedding.clone())?)
        };
        let mut layers = Vec::new();
        let mut caches = Vec::new();
        for index in 0..s.layers {
            layers.push(Layer::load(&mut loader, config, index)?);
            caches.push(LayerCache::new(s.kv_heads, s.head, device)?);
        }
        let turns = Turn::all(angles, device)?;
        Ok(Self { embedding, layers, caches, norm, output, turns, device: device.clone() })
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
        let count = tokens.len();
        let ids = Tensor::new(tokens, &self.device)?;
        let mut x = self.embedding.embedding(&ids)?.to_dtype(DType::F32)?;
        if config.embedding_scale != 1.0 {
            x = (x * config.embedding_scale)?;
        }
        let window = config.window;
        let needs = |reach: usize| count > 1 || (reach > 0 && length + count > reach);
        let whole = if needs(0) { Some(mask(count, length, 0, &self.device)?) } else { None };
        let windowed = if window > 0 && needs(window) {
            Some(mask(count, length, window, &self.device)?)
        } else {
            None
        };
        for (layer, cache) in self.layers.iter().zip(&mut self.caches) {
            check()?;
            let (turn, mask) = if layer.has_window() {
                (&self.turns[1], windowed.as_ref())
            } else {
                (&self.turns[0], whole.as_ref())
            };
            x = layer.forward(&x, config, cache, &Place { turn, mask, length })?;
        }
        if !wants_logits {
            return Ok(None);
        }
        let x = x.narrow(0, count - 1, 1)?.contiguous()?;
        let x = rms_norm(&x, &self.norm, config.epsilon as f32)?;
        let mut logits = self.output.forward(&x)?.flatten_all()?;
        if config.soft_limits[1] > 0.0 {
            logits = soften(&logits, config.soft_limits[1])?;
        }
        Ok(Some(logits.to_vec1()?))
    }
}
