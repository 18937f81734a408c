//! Checkpoints of llama2.c: seven numbers, then floats without names.
//!
//! # Source
//! llama2.c, `run.c`, `memory_map_weights`, and `export.py`, `legacy_export`.

use super::element::{Element, TensorInfo};
use super::source::ByteSource;

/// The bytes of the header.
const HEADER_BYTES: u64 = 28;
/// The largest of the seven numbers that is believed.
const NUMBER_MAX: i32 = 1 << 24;

/// Holds the tensors of a file in order, with the first byte of each, and its sizes by name.
pub(super) struct Llama2c {
    pub(super) tensors: Vec<(String, (TensorInfo, u64))>,
    pub(super) sizes: Vec<(String, String)>,
}

/// Reads the header; `None` unless the file is exactly as long as its seven numbers say.
pub(super) fn read(source: &ByteSource) -> Option<Llama2c> {
    let header = source.take(0, HEADER_BYTES).ok()?;
    let numbers: Vec<i32> =
        header.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect();
    let numbers: [i32; 7] = numbers.try_into().ok()?;
    // A negative size of the vocabulary says that the last layer has weights of its own.
    let is_believed = |n: &i32| (1..=NUMBER_MAX).contains(&n.abs());
    (numbers.iter().all(is_believed) && numbers[..5].iter().all(|n| *n > 0)).then_some(())?;
    let [width, hidden, layers, heads, key_heads, words, context] =
        numbers.map(|n| n.unsigned_abs() as usize);
    let head = width.checked_div(heads)?;
    let (keys, tables) = (key_heads * head, head / 2);
    let mut shapes: Vec<(&str, Vec<usize>)> = vec![
        ("token_embd.weight", vec![words, width]),
        ("attn_norm.weight", vec![layers, width]),
        ("attn_q.weight", vec![layers, width, width]),
        ("attn_k.weight", vec![layers, keys, width]),
        ("attn_v.weight", vec![layers, keys, width]),
        ("attn_output.weight", vec![layers, width, width]),
        ("ffn_norm.weight", vec![layers, width]),
        ("ffn_gate.weight", vec![layers, hidden, width]),
        ("ffn_down.weight", vec![layers, width, hidden]),
        ("ffn_up.weight", vec![layers, hidden, width]),
        ("output_norm.weight", vec![width]),
        ("rope_cos", vec![context, tables]),
        ("rope_sin", vec![context, tables]),
    ];
    if numbers[5] < 0 {
        shapes.push(("output.weight", vec![words, width]));
    }
    let mut at = HEADER_BYTES;
    let mut tensors = Vec::new();
    for (name, shape) in shapes {
        let info = TensorInfo { shape, element: Element::F32 };
        let start = at;
        at = at.checked_add(info.bytes())?;
        tensors.push((name.to_owned(), (info, start)));
    }
    let told = [
        ("general.architecture", "llama2.c".to_owned()),
        ("llama2.c.block_count", layers.to_string()),
        ("llama2.c.embedding_length", width.to_string()),
        ("llama2.c.context_length", context.to_string()),
    ];
    let sizes = told.map(|(key, value)| (key.to_owned(), value)).to_vec();
    (at == source.length()).then_some(Llama2c { tensors, sizes })
}
