//! The sizes and habits of a language model, as its file describes them.

use candle_core::Device;

use crate::error::EngineError;
use crate::kernels::{Level, Precision};
use crate::nn::Compute;
use crate::weights::gguf::Gguf;

/// The most tokens of context that are used where a file allows more: the cache grows with it.
const CONTEXT_MAX: usize = 32_768;

/// Says how the rotary positions pair the numbers of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// 0 with 1, 2 with 3, …
    Neighbours,
    /// Each of the first half with its like in the second half.
    Halves,
}

/// Names the function between the two matrices of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x · sigmoid(x).
    Silu,
    /// The tanh approximation of GELU.
    GeluTanh,
}

/// Holds the sizes of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizes {
    /// Numbers of a token's state.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values; divides `heads`.
    pub kv_heads: usize,
    /// Numbers of a head; even.
    pub head: usize,
    /// Numbers between the feed-forward matrices.
    pub inner: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// The most tokens that are held.
    pub context: usize,
}

/// Holds how positions are turned into angles.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// How numbers are paired.
    pub pairs: Pairs,
    /// How many numbers of a head turn.
    pub turned: usize,
    /// Base of the angles' frequencies.
    pub base: f64,
    /// Base in layers with a window.
    pub base_in_window: f64,
    /// Positions are divided by this, in layers without a window.
    pub scale: f64,
    /// Every n-th layer does not turn at all; 0 for none.
    pub skipped_every: usize,
    /// Context of the training that a long-context model was stretched from, in tokens.
    pub original_context: usize,
}

/// Describes a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Its family, as the file names it.
    pub family: String,
    /// Its sizes.
    pub sizes: Sizes,
    /// Its positions.
    pub rope: Rope,
    /// Added to the variance in normalisation.
    pub epsilon: f64,
    /// The function of the feed-forward part.
    pub activation: Activation,
    /// Token states are multiplied by this at the beginning.
    pub embedding_scale: f64,
    /// How far back a layer with a window looks, in tokens; 0 for no windows.
    pub window: usize,
    /// Every n-th layer has no window although others have; 0 where all have one.
    pub unwindowed_every: usize,
    /// Whether keys and queries are normalised per head.
    pub normalises_heads: bool,
    /// Whether a part's result is normalised before it is added.
    pub normalises_results: bool,
    /// Queries are multiplied by this before they meet the keys.
    pub query_scale: f64,
    /// Scores of the attention and logits are kept softly below these; 0 for no limit.
    pub soft_limits: [f64; 2],
}

impl Config {
    /// Reads the configuration of a file.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when the family is not known, or a size is missing or impossible.
    ///
    /// # Source
    /// Keys and habits per family: GGUF's description and llama.cpp's list of architectures.
    pub fn read(gguf: &Gguf) -> Result<Self, EngineError> {
        let family = gguf
            .text("general.architecture")
            .ok_or_else(|| gguf.damaged("does not say which family of models it holds"))?
            .to_owned();
        let pairs = match family.as_str() {
            "llama" | "mistral" | "smollm3" => Pairs::Neighbours,
            "qwen2" | "qwen3" | "gemma3" | "phi3" => Pairs::Halves,
            other => {
                let reason = format!("holds a model of the family “{other}”, which is not known");
                return Err(gguf.damaged(reason));
            }
        };
        let sizes = read_sizes(gguf, &family)?;
        let key = |name: &str| format!("{family}.{name}");
        let is_gemma = family == "gemma3";
        let base = gguf.number(&key("rope.freq_base")).unwrap_or(10_000.0);
        let linear = gguf.text(&key("rope.scaling.type")) == Some("linear");
        let factor = gguf.number(&key("rope.scaling.factor")).unwrap_or(1.0);
        let rope = Rope {
            pairs,
            turned: gguf.whole(&key("rope.dimension_count")).unwrap_or(sizes.head),
            base,
            base_in_window: if is_gemma { 10_000.0 } else { base },
            scale: if linear && factor > 0.0 { factor } else { 1.0 },
            skipped_every: if family == "smollm3" { 4 } else { 0 },
            original_context: gguf
                .whole(&key("rope.scaling.original_context_length"))
                .unwrap_or(usize::MAX),
        };
        if rope.turned == 0 || rope.turned > sizes.head || rope.turned % 2 == 1 {
            return Err(gguf.damaged("has an impossible number of rotary dimensions"));
        }
        Ok(Self {
            epsilon: gguf.number(&key("attention.layer_norm_rms_epsilon")).unwrap_or(1e-5),
            activation: if is_gemma { Activation::GeluTanh } else { Activation::Silu },
            // gemma rounds the factor to 16 bits in training; f32 agrees within its tolerance.
            embedding_scale: if is_gemma { (sizes.width as f64).sqrt() } else { 1.0 },
            window: gguf.whole(&key("attention.sliding_window")).unwrap_or(0),
            unwindowed_every: if is_gemma { 6 } else { 0 },
            normalises_heads: gguf.has("blk.0.attn_q_norm.weight"),
            normalises_results: gguf.has("blk.0.post_attention_norm.weight"),
            query_scale: query_scale(&family, &sizes),
            soft_limits: ["attn_logit_softcapping", "final_logit_softcapping"]
                .map(|name| gguf.number(&key(name)).unwrap_or(0.0)),
            family,
            sizes,
            rope,
        })
    }

    /// Returns how many tokens are read at once: few enough that a layer takes some ten
    /// milliseconds and a cancel is noticed soon, many enough that matrices are worth their way
    /// through memory.
    pub(super) fn chunk(&self, compute: &Compute) -> usize {
        let (multiplications, most) = match compute {
            Compute::Kernels(level, _) if *level >= Level::Avx512Vnni => (1_usize << 33, 512),
            _ => (1 << 31, 128),
        };
        let s = &self.sizes;
        let of_heads = 2 * (s.heads + s.kv_heads) * s.head;
        let per_token = s.width.saturating_mul(of_heads.saturating_add(3 * s.inner)).max(1);
        // What was read before a cancel is kept by whole chunks.
        let most = most.min(s.context / 2).max(16);
        (multiplications / per_token).clamp(16, most)
    }

    /// Returns how many bytes keys and values take for a token.
    pub fn cache_bytes_per_token(&self) -> u64 {
        let s = &self.sizes;
        [s.layers, 2 * s.kv_heads, s.head, size_of::<f32>()].iter().map(|n| *n as u64).product()
    }

    /// Returns how many bytes attention works in at once for each token that it looks back on:
    /// scores, their mask added, and their shares.
    pub fn work_bytes_per_token(&self) -> u64 {
        let chunk = self.chunk(&Compute::Candle(Device::Cpu, Precision::Exact));
        [3, chunk, self.sizes.heads, size_of::<f32>()].iter().map(|n| *n as u64).product()
    }

    /// Tells whether a layer looks back through a window only.
    pub fn has_window(&self, layer: usize) -> bool {
        self.window > 0
            && (self.unwindowed_every == 0 || !(layer + 1).is_multiple_of(self.unwindowed_every))
    }

    /// Tells whether a layer turns its queries and keys.
    pub fn turns(&self, layer: usize) -> bool {
        self.rope.skipped_every == 0 || !(layer + 1).is_multiple_of(self.rope.skipped_every)
    }
}

/// Returns what queries are multiplied by.
///
/// # Source
/// llama.cpp, gemma3: the largest model, known by its 62 layers, divides by the share of its width
/// that a head has, all others by the size of the head.
fn query_scale(family: &str, sizes: &Sizes) -> f64 {
    let divisor = match (family, sizes.layers) {
        ("gemma3", 62) => sizes.width / sizes.heads,
        _ => sizes.head,
    };
    (divisor as f64).sqrt().recip()
}

fn read_sizes(gguf: &Gguf, family: &str) -> Result<Sizes, EngineError> {
    let needed = |name: &str| {
        let value = gguf.whole(&format!("{family}.{name}")).filter(|value| *value > 0);
        value.ok_or_else(|| gguf.damaged(format!("does not say its “{name}”")))
    };
    let width = needed("embedding_length")?;
    let heads = needed("attention.head_count")?;
    let kv_heads = gguf
        .whole(&format!("{family}.attention.head_count_kv"))
        .filter(|count| *count > 0)
        .unwrap_or(heads);
    let head = gguf.whole(&format!("{family}.attention.key_length")).unwrap_or(width / heads);
    let vocabulary = gguf.shape("token_embd.weight").and_then(|shape| shape.first()).copied();
    let sizes = Sizes {
        width,
        layers: needed("block_count")?,
        heads,
        kv_heads,
        head,
        inner: needed("feed_forward_length")?,
        vocabulary: vocabulary.ok_or_else(|| gguf.damaged("lacks the table of its tokens"))?,
        context: needed("context_length")?.min(CONTEXT_MAX),
    };
    const MOST: usize = 1 << 24;
    let each = [sizes.width, sizes.heads, sizes.head, sizes.inner, sizes.vocabulary];
    let is_possible = sizes.heads.is_multiple_of(sizes.kv_heads)
        && each.iter().all(|size| *size <= MOST)
        && sizes.head > 0
        && sizes.head.is_multiple_of(2)
        && sizes.layers <= 1024
        && sizes.vocabulary > 0;
    if is_possible { Ok(sizes) } else { Err(gguf.damaged("says impossible sizes of its model")) }
}
