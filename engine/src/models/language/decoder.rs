//! The decoder: tokens in, logits of the next token out.

use candle_core::Device;

use super::config::Config;
use super::load::{FromGguf, Source};
use super::means::Means;
use super::rope::AllAngles;
use super::{slices, tensors};
use crate::error::EngineError;
use crate::kernels::Precision;
use crate::nn::Compute;
use crate::protocol::JobContext;
use crate::weights::gguf::Gguf;

/// The largest file whose matrices are kept as f32 on the processor, in bytes: so small a model is
/// read from the cache anyway, and nothing in it is rounded again.
pub const WIDENED_BYTES: u64 = 32 << 20;

/// Is a language model with the tokens that it has read.
#[derive(Debug)]
pub struct Decoder {
    config: Config,
    network: Network,
    /// The tokens whose keys and values are held.
    read: Vec<u32>,
    /// How many tokens are read at once.
    chunk: usize,
}

#[derive(Debug)]
enum Network {
    Slices(Box<slices::Network>),
    Tensors(Box<tensors::Network>),
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
        let mut means = Means::on(device);
        means.widens = device.is_cpu() && gguf.all_bytes() <= WIDENED_BYTES;
        // Widened, a matrix of two or three bits would be many times as large; candle multiplies
        // with it as it is.
        let is_packed = |dtype| slices::form_of(dtype).is_some();
        if device.is_cpu() && !means.widens && !gguf.matrix_forms().all(is_packed) {
            means.compute = Compute::Candle(Device::Cpu, Precision::Exact);
        }
        Self::load_by(gguf, bytes, &means, job)
    }

    /// Loads a model as [`Decoder::load`] does, by means that the caller chooses.
    ///
    /// # Errors
    /// As [`Decoder::load`].
    pub fn load_by(
        gguf: &Gguf,
        bytes: &[u8],
        means: &Means,
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let config = Config::read(gguf)?;
        let mut source = FromGguf { gguf, bytes, job, read: 0 };
        let half = config.rope.turned / 2;
        // A model stretched to a long context has two sets of factors; which one applies depends
        // on how long a context is used, and a context is short until it is not.
        let is_long = config.sizes.context > config.rope.original_context;
        let stretch =
            if is_long { "rope_factors_long.weight" } else { "rope_factors_short.weight" };
        let mut factors = None;
        for name in ["rope_freqs.weight", stretch] {
            if source.has(name) {
                factors = Some(source.vector(name, half)?);
            }
        }
        let strength = gguf.number(&format!("{}.rope.scaling.attn_factor", config.family));
        let strength = strength.unwrap_or(1.0);
        Self::from_source(config, &mut source, means, factors.as_deref(), strength)
    }

    pub(super) fn from_source(
        config: Config,
        source: &mut dyn Source,
        means: &Means,
        factors: Option<&[f32]>,
        strength: f64,
    ) -> Result<Self, EngineError> {
        let angles = AllAngles::new(&config.rope, factors, strength, config.sizes.context);
        let network = match &means.compute {
            Compute::Kernels(level, precision) => {
                let way = (*level, *precision);
                let network = slices::Network::load(&config, source, angles, way, means)?;
                Network::Slices(Box::new(network))
            }
            Compute::Candle(device, _) => {
                let widens = means.widens;
                let network = tensors::Network::load(&config, source, &angles, device, widens)?;
                Network::Tensors(Box::new(network))
            }
        };
        let chunk = config.chunk(&means.compute);
        Ok(Self { config, network, read: Vec::new(), chunk })
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
        let (size, chunks) = (self.chunk, tokens.len().div_ceil(self.chunk));
        let mut logits = None;
        for (number, chunk) in tokens.chunks(size).enumerate() {
            let mut check = || check(number * size);
            let (config, length, is_last) = (&self.config, self.read.len(), number + 1 == chunks);
            logits = match &mut self.network {
                Network::Slices(network) => {
                    network.read(config, chunk, length, is_last, &mut check)?
                }
                Network::Tensors(network) => {
                    network.read(config, chunk, length, is_last, &mut check)?
                }
            };
            self.read.extend(chunk);
        }
        Ok(logits.unwrap_or_default())
    }
}
