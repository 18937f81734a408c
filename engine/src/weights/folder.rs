//! Models of several files: an index with its parts, a folder as diffusers writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::open::{Checkpoint, Container};
use super::source::ByteSource;
use crate::error::EngineError;

/// The largest file of settings.
const JSON_MAX_BYTES: u64 = 16 << 20;
/// The most files of an index.
const SHARDS_MAX: usize = 1000;
/// The parts of a pipeline that hold no weights that are needed here.
const OPTIONAL: [&str; 5] =
    ["scheduler", "tokenizer", "tokenizer_2", "feature_extractor", "safety_checker"];

/// What the weights of a part are called, best first.
const WEIGHTS: [&str; 10] = [
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.fp16.safetensors",
    "model.fp16.safetensors",
    "diffusion_pytorch_model.bin",
    "pytorch_model.bin",
    "diffusion_pytorch_model.bin.index.json",
    "pytorch_model.bin.index.json",
];

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Opens all files that an index names.
pub(super) fn open_index(path: &Path) -> Result<Checkpoint, EngineError> {
    let Index { weight_map } = serde_json::from_slice(&read_small(path)?)
        .map_err(|_| EngineError::damaged(path, "is no index of weights"))?;
    let files: BTreeSet<&String> = weight_map.values().collect();
    if files.len() > SHARDS_MAX {
        return Err(EngineError::damaged(path, "names more files than any model has"));
    }
    let mut out = Checkpoint::empty(path, Container::Sharded);
    for file in files {
        // An index comes from somebody else: it names files beside it, and no others.
        let is_plain = !file.contains(['/', '\\', ':']) && !file.starts_with('.');
        if !is_plain {
            let reason = format!("names the file “{file}”, which is not beside it");
            return Err(EngineError::damaged(path, reason));
        }
        // Not `open`: an index that names an index would have no end.
        let file = path.with_file_name(file);
        out.join(Checkpoint::read(ByteSource::open(&file)?, &file)?, "")?;
    }
    if let Some(name) = weight_map.keys().find(|name| !out.tensors().contains_key(*name)) {
        let reason = format!("names the tensor “{name}”, which is in none of its files");
        return Err(EngineError::damaged(path, reason));
    }
    Ok(out)
}

/// Opens a folder: a whole pipeline, or one part of it.
pub(super) fn open_folder(path: &Path) -> Result<Checkpoint, EngineError> {
    let list = path.join("model_index.json");
    if !list.is_file() {
        let Some(weights) = weights_in(path) else {
            return Err(EngineError::damaged(path, "is a folder without weights"));
        };
        let mut out = Checkpoint::open(&weights)?;
        add_settings(&mut out, &path.join("config.json"), "config.")?;
        return Ok(out);
    }
    let mut out = Checkpoint::empty(path, Container::Diffusers);
    let parts: BTreeMap<String, Value> = serde_json::from_slice(&read_small(&list)?)
        .map_err(|_| EngineError::damaged(&list, "is no list of a model's parts"))?;
    for (part, about) in &parts {
        if part.contains(['/', '\\', ':', '.']) {
            return Err(EngineError::damaged(&list, "names a part that is not beside it"));
        }
        let is_there = about.get(0).is_some_and(Value::is_string);
        if let Value::String(text) = about {
            out.add_fact(part.clone(), text.clone());
        }
        if !is_there {
            continue;
        }
        let folder = path.join(part);
        for settings in ["config.json", "scheduler_config.json"] {
            let file = folder.join(settings);
            if file.is_file() {
                add_settings(&mut out, &file, &format!("{part}/"))?;
            }
        }
        match weights_in(&folder) {
            Some(weights) => out.join(Checkpoint::open(&weights)?, &format!("{part}/"))?,
            None if OPTIONAL.contains(&part.as_str()) => {}
            None => out.add_missing(format!("the part “{part}”, which the folder lists")),
        }
    }
    Ok(out)
}

fn weights_in(folder: &Path) -> Option<PathBuf> {
    WEIGHTS.iter().map(|name| folder.join(name)).find(|file| file.is_file())
}

/// Adds the plain settings of a file.
fn add_settings(out: &mut Checkpoint, path: &Path, prefix: &str) -> Result<(), EngineError> {
    if !path.is_file() {
        return Ok(());
    }
    let settings: BTreeMap<String, Value> = serde_json::from_slice(&read_small(path)?)
        .map_err(|_| EngineError::damaged(path, "holds no settings"))?;
    for (key, value) in settings {
        let value = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => continue,
        };
        out.add_fact(format!("{prefix}{key}"), value);
    }
    Ok(())
}

fn read_small(path: &Path) -> Result<Vec<u8>, EngineError> {
    let source = ByteSource::open(path)?;
    if source.length() > JSON_MAX_BYTES {
        return Err(EngineError::damaged(path, "is too long for a file of settings"));
    }
    let read = source.take(0, source.length());
    read.map_err(|error| EngineError::io("read the settings", path, &error))
}
