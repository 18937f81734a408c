//! The other container of the llama family: checkpoints of llama2.c, version 0, and their
//! vocabularies.
//!
//! # Source
//! The layout of `run.c` and `tokenizer.py` in karpathy/llama2.c.

use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::GgmlDType;

use super::config::{Activation, Config, Pairs, Rope, Sizes};
use super::decoder::Decoder;
use super::load::Source;
use super::means::Means;
use super::spm::Spm;
use super::tokenizer::{Kind, Piece, Tokenizer};
use crate::error::EngineError;
use crate::protocol::{JobContext, Live, Stage};
use crate::weights::gguf::Raw;

/// Seven numbers of four bytes.
const HEADER: usize = 28;
/// The tokens that begin and end a text.
const BEGINNING: u32 = 1;
const END: u32 = 2;

/// Is a checkpoint of llama2.c.
#[derive(Debug)]
pub struct Llama2c<'a> {
    bytes: &'a [u8],
    path: PathBuf,
    config: Config,
    has_output: bool,
}

impl<'a> Llama2c<'a> {
    /// Reads the header and checks that the file is as long as it says; `path` only names the file
    /// in errors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is not.
    pub fn read(bytes: &'a [u8], path: &Path) -> Result<Self, EngineError> {
        let damaged = |reason: &str| EngineError::damaged(path, reason);
        let header = bytes.get(..HEADER).ok_or_else(|| damaged("is too short for a model"))?;
        let numbers: Vec<i64> = header
            .chunks_exact(4)
            .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]).into())
            .collect();
        let size = |index: usize| usize::try_from(numbers[index].abs()).unwrap_or(usize::MAX);
        // A negative size of the vocabulary says that the last matrix is not the first one again.
        let has_output = numbers[5] < 0;
        let most = [1 << 16, 1 << 18, 1 << 10, 1 << 10, 1 << 10, 1 << 22, 1 << 20];
        let is_possible = (0..7)
            .all(|i| size(i) > 0 && size(i) <= most[i] && (i == 5 || numbers[i] > 0))
            && size(0).is_multiple_of(2 * size(3))
            && size(3).is_multiple_of(size(4));
        if !is_possible {
            return Err(damaged("does not begin as a llama2.c checkpoint does"));
        }
        let head = size(0) / size(3);
        let config = Config {
            family: "llama".to_owned(),
            sizes: Sizes {
                width: size(0),
                inner: size(1),
                layers: size(2),
                heads: size(3),
                kv_heads: size(4),
                head,
                vocabulary: size(5),
                context: size(6),
            },
            rope: Rope {
                pairs: Pairs::Neighbours,
                turned: head,
                base: 10_000.0,
                base_in_window: 10_000.0,
                scale: 1.0,
                skipped_every: 0,
                original_context: usize::MAX,
            },
            epsilon: 1e-5,
            activation: Activation::Silu,
            embedding_scale: 1.0,
            window: 0,
            unwindowed_every: 0,
            normalises_heads: false,
            normalises_results: false,
            query_scale: (head as f64).sqrt().recip(),
            soft_limits: [0.0; 2],
        };
        let this = Self { bytes, path: path.to_owned(), config, has_output };
        let [.., (_, start, count)] = this.parts();
        // 4 bytes of each number; no overflow for the sizes let through above.
        if (start + count) as u64 * 4 + HEADER as u64 != bytes.len() as u64 {
            return Err(damaged("is not as long as its header says"));
        }
        Ok(this)
    }

    /// Returns the sizes and habits of the model.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Loads the model.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`] when the job was cancelled; [`EngineError::Model`] when the device
    /// refuses it.
    pub fn load(&self, device: &Device, job: &JobContext) -> Result<Decoder, EngineError> {
        let mut source = FromLlama2c { file: self, job, read: 0 };
        Decoder::from_source(self.config.clone(), &mut source, &Means::on(device), None, 1.0)
    }

    /// Lists what the file holds in its order: name, first number, and numbers of all layers.
    fn parts(&self) -> [(&'static str, usize, usize); 13] {
        let s = &self.config.sizes;
        let (queries, keys) = (s.heads * s.head, s.kv_heads * s.head);
        let sizes = [
            ("token_embd", s.vocabulary * s.width),
            ("attn_norm", s.layers * s.width),
            ("attn_q", s.layers * queries * s.width),
            ("attn_k", s.layers * keys * s.width),
            ("attn_v", s.layers * keys * s.width),
            ("attn_output", s.layers * s.width * queries),
            ("ffn_norm", s.layers * s.width),
            ("ffn_gate", s.layers * s.inner * s.width),
            ("ffn_down", s.layers * s.width * s.inner),
            ("ffn_up", s.layers * s.inner * s.width),
            ("output_norm", s.width),
            // Cosines and sines of the positions, which nobody needs.
            ("angles", s.context * s.head),
            ("output", if self.has_output { s.vocabulary * s.width } else { 0 }),
        ];
        let mut start = 0;
        sizes.map(|(name, count)| {
            let begin = start;
            start += count;
            (name, begin, count)
        })
    }
}

struct FromLlama2c<'a> {
    file: &'a Llama2c<'a>,
    job: &'a JobContext,
    read: u64,
}

impl Source for FromLlama2c<'_> {
    fn has(&self, name: &str) -> bool {
        // Asked for what may be absent only: biases, norms per head, one matrix for several.
        name == "output.weight" && self.file.has_output || name.ends_with(".ffn_gate.weight")
    }

    fn raw(&mut self, name: &str, shape: &[usize]) -> Result<Raw<'_>, EngineError> {
        let file = self.file;
        let bytes = Some([self.read, file.bytes.len() as u64]);
        self.job.report(Live { stage: Stage::Loading, bytes, ..Live::default() })?;
        let lacks = || EngineError::damaged(&file.path, format!("lacks the tensor “{name}”"));
        let plain = name.strip_suffix(".weight").ok_or_else(lacks)?;
        let (layer, part) = match plain.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
            Some((layer, part)) => (layer.parse::<usize>().map_err(|_| lacks())?, part),
            None => (0, plain),
        };
        let parts = file.parts();
        let (_, start, _) = parts.iter().find(|(name, ..)| *name == part).ok_or_else(lacks)?;
        let count: usize = shape.iter().product();
        let start = HEADER + 4 * (start + layer * count);
        let data = file.bytes.get(start..start + 4 * count).ok_or_else(lacks)?;
        self.read += data.len() as u64;
        Ok(Raw { dtype: GgmlDType::F32, bytes: data })
    }
}

/// Reads the vocabulary that stands beside a checkpoint: `size` tokens.
///
/// # Errors
/// [`EngineError::Damaged`] when it is not one, or of another size.
pub(super) fn read_tokenizer(
    bytes: &[u8],
    size: usize,
    path: &Path,
) -> Result<Tokenizer, EngineError> {
    let short = || EngineError::damaged(path, "is not the vocabulary of this model");
    let mut pieces = Vec::new();
    let mut scores = Vec::new();
    let mut at = 4;
    for id in 0..size {
        let head = bytes.get(at..at + 8).ok_or_else(short)?;
        let score = f32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let end = (at + 8).checked_add(length).ok_or_else(short)?;
        let text = bytes.get(at + 8..end).ok_or_else(short)?;
        at = end;
        // Three tokens that are no text come first, then one for each byte.
        let piece = match (id, u8::try_from(id.wrapping_sub(3))) {
            (0..=2, _) => Piece { bytes: text.into(), kind: Kind::Control },
            (3.., Ok(byte)) if text.starts_with(b"<0x") => {
                Piece { bytes: [byte].into(), kind: Kind::Byte }
            }
            _ => Piece { bytes: text.into(), kind: Kind::Normal },
        };
        pieces.push(piece);
        scores.push(score);
    }
    if at != bytes.len() {
        return Err(short());
    }
    let spm = Spm::new(&pieces, scores, Some(0));
    Ok(Tokenizer::llama2c(pieces, spm, BEGINNING, vec![BEGINNING, END]))
}
