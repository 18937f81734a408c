//! The names and shapes of large real models, and files that have nothing else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use atelier_engine::weights::element::{Element, TensorInfo};
use serde_json::{Value, json};

use crate::source::fixture;

/// Reads a manifest of the fixtures; `None`, with a printed line, where it is absent.
///
/// # Errors
/// When it is no manifest.
pub fn manifest(name: &str) -> Result<Option<BTreeMap<String, TensorInfo>>> {
    let Some(path) = fixture(&format!("manifests/{name}.json")) else { return Ok(None) };
    let manifest: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let manifest = manifest.as_object().context("no manifest")?;
    // One of them is the whole content of a torch file, with the key that the weights stand under.
    let wrapped = manifest.get("params_ema").and_then(Value::as_object);
    let info = |about: &Value| -> Result<TensorInfo> {
        let dtype = about["dtype"].as_str().context("no dtype")?.trim_start_matches("torch.");
        let shape = serde_json::from_value(about["shape"].clone())?;
        Ok(TensorInfo { shape, element: Element::of_torch(dtype).context("unknown dtype")? })
    };
    let tensors = wrapped.unwrap_or(manifest).iter();
    tensors.map(|(name, about)| Ok((name.clone(), info(about)?))).collect::<Result<_>>().map(Some)
}

/// Writes a safetensors file of these tensors whose numbers take no room on the disk.
///
/// # Errors
/// When it cannot be written.
pub fn hollow(path: &Path, tensors: &BTreeMap<String, TensorInfo>, metadata: Value) -> Result<()> {
    let mut header = serde_json::Map::from_iter([("__metadata__".to_owned(), metadata)]);
    let mut at = 0;
    for (name, info) in tensors {
        let (shape, end) = (&info.shape, at + info.bytes());
        let about = json!({
            "dtype": info.element.to_string(), "shape": shape, "data_offsets": [at, end]
        });
        header.insert(name.clone(), about);
        at = end;
    }
    let header = Value::Object(header).to_string();
    let mut file = File::create(path)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    file.set_len(8 + header.len() as u64 + at)?;
    Ok(())
}
