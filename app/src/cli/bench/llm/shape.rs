//! Models of a known shape with random weights: as fast as the real ones, and nobody's property.

use std::fmt;

use clap::ValueEnum;

/// Names a shape of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Qwen2-0.5B: 24 layers, width 896, 494 million weights
    #[value(name = "qwen2-0.5b")]
    Qwen2Half,
    /// Small enough for a test: 2 layers, width 256
    #[value(name = "tiny")]
    Tiny,
}

/// Names what the weights are stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Quant {
    /// Eight bits
    #[value(name = "q8_0")]
    Q8,
    /// Four bits and more, mixed as llama.cpp mixes them for Q4_K_M
    #[value(name = "q4_k")]
    Q4,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Qwen2Half => "qwen2-0.5b",
            Self::Tiny => "tiny",
        })
    }
}

impl fmt::Display for Quant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Q8 => "q8_0",
            Self::Q4 => "q4_k",
        })
    }
}

/// Holds the sizes of a shape.
struct Sizes {
    layers: usize,
    width: usize,
    heads: usize,
    kv_heads: usize,
    inner: usize,
    vocabulary: usize,
}

impl Shape {
    /// # Source
    /// `config.json` of Qwen/Qwen2-0.5B.
    fn sizes(self) -> Sizes {
        match self {
            Self::Qwen2Half => Sizes {
                layers: 24,
                width: 896,
                heads: 14,
                kv_heads: 2,
                inner: 4864,
                vocabulary: 151_936,
            },
            Self::Tiny => {
                Sizes { layers: 2, width: 256, heads: 4, kv_heads: 2, inner: 512, vocabulary: 320 }
            }
        }
    }
}

/// Names a form of numbers in a GGUF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    F32,
    Q5_0,
    Q8_0,
    Q4K,
    Q6K,
}

impl Form {
    /// Returns its number in the format, the numbers of a block and its bytes.
    fn facts(self) -> (u32, usize, usize) {
        match self {
            Self::F32 => (0, 1, 4),
            Self::Q5_0 => (6, 32, 22),
            Self::Q8_0 => (8, 32, 34),
            Self::Q4K => (12, 256, 144),
            Self::Q6K => (14, 256, 210),
        }
    }

    /// Writes the scales of a random block, so that its weights spread by `spread`.
    fn scale(self, block: &mut [u8], spread: f32) {
        match self {
            Self::F32 => block.copy_from_slice(&spread.to_le_bytes()),
            // Evenly spread whole numbers of 8, 5, 4 and 6 bits spread by these around their mean.
            Self::Q8_0 => block[..2].copy_from_slice(&half(spread / 73.9)),
            Self::Q5_0 => block[..2].copy_from_slice(&half(spread / 9.23)),
            Self::Q4K => {
                const NARROW: u8 = 32;
                let scale = spread / 4.61 / f32::from(NARROW);
                block[..2].copy_from_slice(&half(scale));
                block[2..4].copy_from_slice(&half(7.5 * scale));
                // Eight scales and eight minima of 32: 6 bits each in twelve bytes.
                block[4..12].fill(NARROW | 0b1000_0000);
                block[12..16].fill(0);
            }
            Self::Q6K => {
                const NARROW: u8 = 64;
                block[192..208].fill(NARROW);
                block[208..210].copy_from_slice(&half(spread / 18.5 / f32::from(NARROW)));
            }
        }
    }
}

/// Returns the bits of a positive normal number in 16 bits.
fn half(value: f32) -> [u8; 2] {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) as i32 - 127 + 15).clamp(1, 30) as u16;
    (exponent << 10 | (bits >> 13 & 0x3ff) as u16).to_le_bytes()
}

struct Tensor {
    name: String,
    /// Innermost dimension first, as the file counts.
    shape: Vec<usize>,
    form: Form,
    /// Whether it is the weight of a norm, which is ones.
    is_norm: bool,
}

/// Lists the tensors.
///
/// # Source
/// Which form llama.cpp gives to which matrix for Q4_K_M: `llama-quant.cpp`. Rows that are no
/// multiple of 256 long cannot hold Q4_K and get Q5_0 instead, or Q8_0 instead of Q6_K.
fn tensors(shape: Shape, quant: Quant) -> Vec<Tensor> {
    let s = shape.sizes();
    let keys = s.width / s.heads * s.kv_heads;
    let pick = |columns: usize, is_finer: bool| match (quant, is_finer) {
        (Quant::Q8, _) => Form::Q8_0,
        (Quant::Q4, false) if columns.is_multiple_of(256) => Form::Q4K,
        (Quant::Q4, false) => Form::Q5_0,
        (Quant::Q4, true) if columns.is_multiple_of(256) => Form::Q6K,
        (Quant::Q4, true) => Form::Q8_0,
    };
    let mut all = Vec::new();
    let mut matrix = |name: String, rows: usize, columns: usize, is_finer: bool| {
        let form = pick(columns, is_finer);
        all.push(Tensor { name, shape: vec![columns, rows], form, is_norm: false });
    };
    matrix("token_embd.weight".to_owned(), s.vocabulary, s.width, true);
    for layer in 0..s.layers {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        // The first and last eighth of the layers and every third between them are finer.
        let eighth = s.layers / 8;
        let is_finer = layer < eighth || layer >= 7 * s.layers / 8 || (layer - eighth) % 3 == 2;
        matrix(name("attn_q"), s.width, s.width, false);
        matrix(name("attn_k"), keys, s.width, false);
        matrix(name("attn_v"), keys, s.width, is_finer);
        matrix(name("attn_output"), s.width, s.width, false);
        matrix(name("ffn_gate"), s.inner, s.width, false);
        matrix(name("ffn_up"), s.inner, s.width, false);
        matrix(name("ffn_down"), s.width, s.inner, is_finer);
    }
    let mut vector = |name: String, length: usize, is_norm: bool| {
        all.push(Tensor { name, shape: vec![length], form: Form::F32, is_norm });
    };
    vector("output_norm.weight".to_owned(), s.width, true);
    for layer in 0..s.layers {
        let name = |part: &str| format!("blk.{layer}.{part}");
        vector(name("attn_norm.weight"), s.width, true);
        vector(name("ffn_norm.weight"), s.width, true);
        vector(name("attn_q.bias"), s.width, false);
        vector(name("attn_k.bias"), keys, false);
        vector(name("attn_v.bias"), keys, false);
    }
    all
}

/// Makes a GGUF file with random weights and no vocabulary.
pub fn file(shape: Shape, quant: Quant) -> Vec<u8> {
    let s = shape.sizes();
    let tensors = tensors(shape, quant);
    let bytes_of = |tensor: &Tensor| {
        let (_, block, bytes) = tensor.form.facts();
        tensor.shape.iter().product::<usize>() / block * bytes
    };
    let mut out = Out(b"GGUF".to_vec());
    out.u32(3);
    out.u64(tensors.len());
    out.u64(13);
    out.entry_text("general.architecture", "qwen2");
    out.entry_text("general.name", &format!("random weights of the shape of {shape}"));
    out.entry_u32("qwen2.block_count", s.layers);
    out.entry_u32("qwen2.context_length", 4096);
    out.entry_u32("qwen2.embedding_length", s.width);
    out.entry_u32("qwen2.feed_forward_length", s.inner);
    out.entry_u32("qwen2.attention.head_count", s.heads);
    out.entry_u32("qwen2.attention.head_count_kv", s.kv_heads);
    out.entry_u32("qwen2.vocab_size", s.vocabulary);
    out.entry_f32("qwen2.rope.freq_base", 1_000_000.0);
    out.entry_f32("qwen2.attention.layer_norm_rms_epsilon", 1e-6);
    out.entry_text("tokenizer.ggml.model", "no_vocab");
    out.entry_u32("general.alignment", ALIGNMENT);
    let mut offset = 0;
    for tensor in &tensors {
        out.text(&tensor.name);
        out.u32(tensor.shape.len() as u32);
        tensor.shape.iter().for_each(|side| out.u64(*side));
        out.u32(tensor.form.facts().0);
        out.u64(offset);
        offset += bytes_of(tensor).next_multiple_of(ALIGNMENT);
    }
    let Out(mut out) = out;
    let start = out.len().next_multiple_of(ALIGNMENT);
    out.reserve_exact(start - out.len() + offset);
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    for tensor in &tensors {
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        let begin = out.len();
        out.resize(begin + bytes_of(tensor), 0);
        let spread = if tensor.is_norm { 1.0 } else { (tensor.shape[0] as f32).sqrt().recip() };
        for block in out[begin..].chunks_exact_mut(tensor.form.facts().2) {
            for word in block.chunks_mut(8) {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                word.copy_from_slice(&noise.to_le_bytes()[..word.len()]);
            }
            tensor.form.scale(block, spread);
        }
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    out
}

const ALIGNMENT: usize = 32;

struct Out(Vec<u8>);

impl Out {
    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: usize) {
        self.0.extend((value as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u64(text.len());
        self.0.extend(text.as_bytes());
    }

    fn entry_text(&mut self, key: &str, value: &str) {
        self.text(key);
        self.u32(8);
        self.text(value);
    }

    fn entry_u32(&mut self, key: &str, value: usize) {
        self.text(key);
        self.u32(4);
        self.u32(value as u32);
    }

    fn entry_f32(&mut self, key: &str, value: f32) {
        self.text(key);
        self.u32(6);
        self.0.extend(value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use atelier_engine::weights::gguf::Gguf;

    use super::*;

    #[test]
    fn a_random_file_is_read_as_what_it_says_it_is() -> Result<(), atelier_engine::EngineError> {
        for quant in [Quant::Q8, Quant::Q4] {
            let bytes = file(Shape::Tiny, quant);
            let gguf = Gguf::read(&bytes, Path::new("tiny"))?;
            assert_eq!(gguf.text("general.architecture"), Some("qwen2"));
            assert_eq!(gguf.shape("blk.1.ffn_down.weight"), Some([256, 512].as_slice()));
        }
        Ok(())
    }

    #[test]
    fn numbers_of_16_bits_are_what_they_should_be() {
        assert_eq!(u16::from_le_bytes(half(1.0)), 0x3c00);
        assert_eq!(u16::from_le_bytes(half(0.5)), 0x3800);
        assert_eq!(u16::from_le_bytes(half(1.5)), 0x3e00);
    }
}
