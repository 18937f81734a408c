//! Golden files of the house models that write token by token.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use atelier_engine::models::language::Decoder;
use atelier_engine::protocol::JobContext;
use atelier_engine::weights::read_tensor;
use serde_json::Value;

/// Holds the weights of a house model and what its recipe's `golden.py` computed from them.
pub struct Golden {
    /// Where the weights are.
    pub path: PathBuf,
    /// The file of the weights.
    pub weights: Vec<u8>,
    /// What was computed, case by case.
    pub cases: Vec<Value>,
    tensors: PathBuf,
    logits: Vec<u8>,
}

impl Golden {
    /// Opens the files of a house model; `None`, with a printed line, where the weights are absent.
    ///
    /// # Errors
    /// When the golden files cannot be read, or hold fewer than two cases.
    pub fn open(name: &str) -> Result<Option<Self>> {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = top.join("../assets/models").join(name).join("model.gguf");
        let golden = top.join("golden").join(name);
        if !path.is_file() || !golden.is_dir() {
            println!("skipped: no weights at {}", path.display());
            return Ok(None);
        }
        let note: Value =
            serde_json::from_str(&std::fs::read_to_string(golden.join("golden.json"))?)?;
        let cases = note["cases"].as_array().context("no cases")?.clone();
        ensure!(cases.len() >= 2, "too few cases");
        let tensors = golden.join("logits.safetensors");
        let (weights, logits) = (std::fs::read(&path)?, std::fs::read(&tensors)?);
        Ok(Some(Self { path, weights, cases, tensors, logits }))
    }

    /// Returns the shape and the numbers of a case's logits.
    ///
    /// # Errors
    /// When the file has none.
    pub fn logits(&self, case: usize) -> Result<(Vec<usize>, Vec<f32>)> {
        Ok(read_tensor(&self.logits, &case.to_string(), &self.tensors)?)
    }
}

/// Reads a list of token ids.
///
/// # Errors
/// When it is none.
pub fn ids(value: &Value) -> Result<Vec<u32>> {
    Ok(serde_json::from_value(value.clone())?)
}

/// Fails when logits differ by more than the tolerance; prints by how much they do.
///
/// # Errors
/// When they do.
pub fn agree(what: &str, got: &[f32], wanted: &[f32], tolerance: f32) -> Result<()> {
    ensure!(got.len() == wanted.len(), "{what}: {} logits", got.len());
    let worst = got.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{what}: logits differ by {worst} at most");
    ensure!(worst < tolerance, "{what}: logits differ by {worst}");
    Ok(())
}

/// Follows the greedy tokens of a case from the logits of its prompt: each must be the likeliest, or
/// within the tolerance of it.
///
/// # Errors
/// When one is not.
pub fn follow(
    what: &str,
    decoder: &mut Decoder,
    mut logits: Vec<f32>,
    greedy: &[u32],
    tolerance: f32,
) -> Result<()> {
    for (step, token) in greedy.iter().enumerate() {
        let best = logits.iter().copied().fold(f32::MIN, f32::max);
        let gap = best - logits[*token as usize];
        ensure!(gap < tolerance, "{what}: token {step} is {gap} below the likeliest");
        logits = decoder.forward(&[*token], &JobContext::detached())?;
    }
    Ok(())
}
