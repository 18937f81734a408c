//! Weights that are made from their names, as `golden/pipelines/make.py` makes them: models without
//! files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use half::f16;
use serde_json::{Value, json};

/// A tensor's name, shape and numbers.
pub type Named = (String, Vec<usize>, Vec<f16>);

/// Returns the numbers of a weight: FNV-1a of its name starts a SplitMix64 that counts places.
pub fn seeded(name: &str, shape: &[usize]) -> Vec<f16> {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let count: usize = shape.iter().product();
    let fan_in: usize = shape.iter().skip(1).product();
    (1..=count as u64)
        .map(|place| {
            let mut z = seed.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            let even = (z >> 40) as f64 / f64::from(1 << 23) - 1.0;
            let is_around_one = name.ends_with("weight") || name.ends_with("running_var");
            let value = match (shape.len(), is_around_one) {
                (1, true) => even * 0.2 + 1.0,
                (1, false) => even * 0.2,
                _ => even * (3.0 / fan_in as f64).sqrt(),
            };
            // By way of f32: some processors round f64 to f16 that way, others at once.
            f16::from_f32(value as f32)
        })
        .collect()
}

/// Returns the tensors of a part with the numbers that follow from their names.
pub fn tensors(part: &str, list: Vec<(String, Vec<usize>)>) -> Vec<Named> {
    let filled = |(name, shape): (String, Vec<usize>)| {
        let values = seeded(&format!("{part}/{name}"), &shape);
        (name, shape, values)
    };
    list.into_iter().map(filled).collect()
}

/// Writes tensors as a safetensors file.
///
/// # Errors
/// When it cannot be written.
pub fn write_safetensors(path: &Path, tensors: &[Named]) -> Result<()> {
    let mut header = BTreeMap::new();
    let mut data: Vec<u8> = Vec::new();
    for (name, shape, values) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let about = json!({ "dtype": "F16", "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name.clone(), about);
    }
    let header = serde_json::to_vec(&header)?;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(data);
    fs::create_dir_all(path.parent().context("no folder")?)?;
    fs::write(path, bytes)?;
    Ok(())
}

/// Writes a file of settings.
///
/// # Errors
/// When it cannot be written.
pub fn write_json(path: &Path, value: &Value) -> Result<()> {
    fs::create_dir_all(path.parent().context("no folder")?)?;
    fs::write(path, serde_json::to_vec(value)?)?;
    Ok(())
}
