//! The decoder: tokens in, logits of the next token out.

use std::sync::Arc;

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{DType, Device, Tensor};
use candle_nn::ops::rms_norm;

use super::cache::LayerCache;
use super::config::Config;
use super::layer::{Layer, Matrix, Place, mask, soften};
use super::load::{FromGguf, Source};
use super::rope::Angles;
use crate::error::EngineError;
use crate::protocol::JobContext;
use crate::weights::gguf::Gguf;

/// The largest file whose matrices are kept as f32 on the processor, in bytes. The products of small
/// quantized matrices are shared out to threads that wait for each other by spinning: on two busy
/// cores that made a token of the house composer fifteen times slower than on one thread.
pub const WIDENED_BYTES: u64 = 32 << 20;

/// Is a language model with the tokens that it has read.
#[derive(Debug)]
pub struct Decoder {
    config: Config,
    embedding: Arc<QTensor>,
    layers: Vec<Layer>,
    caches: Vec<LayerCache>,
    norm: Tensor,
    output: Matrix,
    angles: Angles,
    angles_in_window: Angles,
    device: Device,
    /// The tokens whose keys and values are held.
    read: Vec<u32>,
}

impl Decoder {
    /// Loads the model of a GGUF file.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when the file does not hold such a model,
    /// [`EngineError::Cancelled`] when the job was cancelled.
    pub fn load(
        gguf: &Gguf,
        bytes: &[u8],
        device: &Device,
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let widens = device.is_cpu() && gguf.all_bytes() <= WIDENED_BYTES;
        Self::load_as(gguf, bytes, device, widens, job)
    }

    /// Loads a model as [`Decoder::load`] does, and says whether its matrices are kept as f32.
    ///
    /// # Errors
    /// As [`Decoder::load`].
    pub fn load_as(
        gguf: &Gguf,
        bytes: &[u8],
        device: &Device,
        widens: bool,
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let config = Config::read(gguf)?;
        let mut source = FromGguf { gguf, bytes, device, job, widens, read: 0 };
        let half = config.rope.turned / 2;
        // A model stretched to a long context has two sets of factors; which one applies depends
        // on how long a context is used, and a context is short until it is not.
        let is_long = config.sizes.context > config.rope.original_context;
        let stretch =
            if is_long { "rope_factors_long.weight" } else { "rope_factors_short.weight" };
        let mut factors = None;
        for name in ["rope_freqs.weight", stretch] {
            if source.has(name) {
                factors = Some(source.vector(name, half)?.to_vec1::<f32>()?);
            }
        }
        let strength = gguf.number(&format!("{}.rope.scaling.attn_factor", config.family));
        Self::from_source(config, &mut source, factors.as_deref(), strength.unwrap_or(1.0))
    }

    pub(super) fn from_source(
        config: Config,
        source: &mut dyn Source,
        factors: Option<&[f32]>,
        strength: f64,
    ) -> Result<Self, EngineError> {
        let device = source.device().clone();
        let s = config.sizes.clone();
        let embedding = Arc::new(source.tensor("token_embd.weight", &[s.vocabulary, s.width])?);
        let norm = source.vector("output_norm.weight", s.width)?;
        let output = if source.has("output.weight") {
            Matrix::load(source, "output", s.vocabulary, s.width)?
        } else if source.widens() {
            Matrix::shared(QMatMul::Tensor(embedding.dequantize(&device)?))
        } else {
            Matrix::shared(QMatMul::from_arc(embedding.clone())?)
        };
        let mut layers = Vec::new();
        let mut caches = Vec::new();
        for index in 0..s.layers {
            layers.push(Layer::load(source, &config, index)?);
            caches.push(LayerCache::new(s.kv_heads, s.head, &device)?);
        }
        let rope = &config.rope;
        let angles = |base, scale, factors, strength| {
            Angles::new(rope, base, scale, factors, strength, s.context, &device)
        };
        let all = angles(rope.base, rope.scale, factors, strength)?;
        // Only where windows have angles of their own does the second table differ.
        let in_window = if rope.base_in_window == rope.base {
            all.clone()
        } else {
            angles(rope.base_in_window, 1.0, None, 1.0)?
        };
        Ok(Self {
            angles: all,
            angles_in_window: in_window,
            config,
            embedding,
            layers,
            caches,
            norm,
            output,
            device,
            read: Vec::new(),
        })
    }

    /// Returns what is known of the model.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the tokens that were read.
    pub fn tokens(&self) -> &[u32] {
        &self.read
    }

    /// Forgets all tokens behind the first `length`.
    pub fn truncate(&mut self, length: usize) {
        self.read.truncate(length);
    }

    /// Returns how many tokens are held.
    pub fn len(&self) -> usize {
        self.read.len()
    }

    /// Tells whether no token is held.
    pub fn is_empty(&self) -> bool {
        self.read.is_empty()
    }

    /// Returns how many tokens can be held.
    pub fn context_len(&self) -> usize {
        self.config.sizes.context
    }

    /// Reads more tokens and returns the logits `[vocabulary]` of the one that follows.
    ///
    /// # Errors
    /// As [`Decoder::forward_checking`]; [`EngineError::Cancelled`] within a layer's time of a cancel.
    pub fn forward(&mut self, tokens: &[u32], job: &JobContext) -> Result<Vec<f32>, EngineError> {
        self.forward_checking(tokens, &mut |_| job.check())
    }

    /// Reads more tokens and returns the logits `[vocabulary]` of the one that follows. `check` is
    /// called before every layer of every chunk with the number of tokens that are done; its error
    /// ends the reading, and the tokens of the chunks before it stay read.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when there is no token, one that the vocabulary has not, or
    /// more than the context holds; whatever `check` returns.
    pub fn forward_checking(
        &mut self,
        tokens: &[u32],
        check: &mut dyn FnMut(usize) -> Result<(), EngineError>,
    ) -> Result<Vec<f32>, EngineError> {
        let s = &self.config.sizes;
        if tokens.is_empty() || tokens.iter().any(|token| *token as usize >= s.vocabulary) {
            return Err(EngineError::invalid("text", "holds tokens that the model does not have"));
        }
        if self.read.len() + tokens.len() > s.context {
            let reason = format!("is longer than the {} tokens that the model holds", s.context);
            return Err(EngineError::invalid("text", reason));
        }
        let size = self.config.chunk();
        let mut last = None;
        for (number, chunk) in tokens.chunks(size).enumerate() {
            last = Some(self.states(chunk, &mut || check(number * size))?);
            self.read.extend(chunk);
        }
        let Some(x) = last else { return Ok(Vec::new()) };
        let x = x.narrow(0, x.dim(0)? - 1, 1)?.contiguous()?;
        let x = rms_norm(&x, &self.norm, self.config.epsilon as f32)?;
        let mut logits = self.output.forward(&x)?.flatten_all()?;
        if self.config.soft_limits[1] > 0.0 {
            logits = soften(&logits, self.config.soft_limits[1])?;
        }
        Ok(logits.to_vec1()?)
    }

    /// Takes a chunk of tokens through all layers: `[n, width]`.
    fn states(
        &mut self,
        tokens: &[u32],
        check: &mut dyn FnMut() -> Result<(), EngineError>,
    ) -> Result<Tensor, EngineError> {
        let (count, length) = (tokens.len(), self.read.len());
        let ids = Tensor::new(tokens, &self.device)?;
        let mut x = self.embedding.embedding(&ids)?.to_dtype(DType::F32)?;
        if self.config.embedding_scale != 1.0 {
            x = (x * self.config.embedding_scale)?;
        }
        let window = self.config.window;
        let needs = |reach: usize| count > 1 || (reach > 0 && length + count > reach);
        let whole = if needs(0) { Some(mask(count, length, 0, &self.device)?) } else { None };
        let windowed = if window > 0 && needs(window) {
            Some(mask(count, length, window, &self.device)?)
        } else {
            None
        };
        for (layer, cache) in self.layers.iter().zip(&mut self.caches) {
            check()?;
            let (angles, mask) = if layer.has_window() {
                (&self.angles_in_window, windowed.as_ref())
            } else {
                (&self.angles, whole.as_ref())
            };
            x = layer.forward(&x, &self.config, cache, &Place { angles, mask, length })?;
        }
        Ok(x)
    }
}
