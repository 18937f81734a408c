//! Segment Anything nets of chance weights, as `golden/sam/make.py` makes them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::seeded::{tensors, write_safetensors};
use crate::source::root;

/// Returns what `make.py` noted.
///
/// # Errors
/// When it cannot be read.
pub fn note() -> Result<Value> {
    let path = root().join("tests/golden/sam/golden.json");
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

/// Writes the net of a case of `make.py`: `tiny` and `mobile` as MobileSAM, `plain` as SAM itself.
///
/// # Errors
/// When there is no such case, or the file cannot be written.
pub fn write(folder: &Path, case: &str) -> Result<PathBuf> {
    let path = folder.join(format!("{case}.safetensors"));
    write_as(&path, case)?;
    Ok(path)
}

/// Writes the net of a case under another name.
///
/// # Errors
/// As [`write()`].
pub fn write_as(path: &Path, case: &str) -> Result<()> {
    let note = note()?;
    let shapes = note["cases"][case]["tensors"].as_object().context("no such case")?;
    let list = shapes
        .iter()
        .map(|(name, shape)| Ok((name.clone(), serde_json::from_value(shape.clone())?)))
        .collect::<Result<_>>()?;
    write_safetensors(path, &tensors(case, list))
}
