//! A checkpoint for tests of the command line, with the tensors alone by which it is recognised.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use serde_json::json;

/// Writes a net that reads this many channels and contexts of this width into a folder.
pub fn write(folder: &Path, name: &str, channels: usize, context: usize) -> PathBuf {
    let net = "model.diffusion_model.input_blocks";
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (tensor, shape) in [
        ("0.0.weight", vec![1, channels, 1, 1]),
        ("1.0.in_layers.0.weight", vec![1]),
        ("1.1.transformer_blocks.0.attn2.to_k.weight", vec![1, context]),
    ] {
        let begin = end;
        end += 2 * shape.iter().product::<usize>();
        let about = json!({ "dtype": "F16", "shape": shape, "data_offsets": [begin, end] });
        header.insert(format!("{net}.{tensor}"), about);
    }
    let header = serde_json::Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    let path = folder.join(name);
    std::fs::write(&path, [&length, header.as_bytes(), &vec![0; end]].concat()).unwrap();
    path
}
