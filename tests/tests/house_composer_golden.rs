//! The house composer against PyTorch: golden files made by its recipe (`golden.py`) from the same
//! weights. Skipped, with a printed line, where the weights are absent.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use atelier_engine::pipelines::sound::SoundPipeline;
use atelier_engine::protocol::{DeviceChoice, JobContext};
use atelier_engine::weights::read_tensor;
use serde_json::Value;

/// Both sides compute with the weights of the file, widened to f32.
const TOLERANCE: f32 = 1e-3;

fn numbers(value: &Value) -> Result<Vec<u32>> {
    Ok(serde_json::from_value(value.clone())?)
}

#[test]
fn logits_and_greedy_choices_are_those_of_the_recipe() -> Result<()> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = top.join("../assets/models/house-composer/model.gguf");
    let golden = top.join("golden/house-composer");
    if !path.is_file() || !golden.is_dir() {
        println!("skipped: no weights at {}", path.display());
        return Ok(());
    }
    let note: Value = serde_json::from_str(&std::fs::read_to_string(golden.join("golden.json"))?)?;
    let tensors = golden.join("logits.safetensors");
    let bytes = std::fs::read(&tensors)?;
    let job = JobContext::detached();
    let weights = std::fs::read(&path)?;
    let mut composer = SoundPipeline::load(&weights, &path, DeviceChoice::Cpu, &job)?;
    let cases = note["cases"].as_array().context("no cases")?;
    ensure!(cases.len() >= 2, "too few cases");
    for (number, case) in cases.iter().enumerate() {
        let ids = numbers(&case["ids"])?;
        let positions = numbers(&case["positions"])?;
        let (shape, wanted) = read_tensor(&bytes, &number.to_string(), &tensors)?;
        ensure!(shape[0] == positions.len(), "{shape:?}");
        let mut logits = Vec::new();
        for (row, position) in positions.iter().enumerate() {
            composer.decoder().truncate(0);
            logits = composer.decoder().forward(&ids[..=*position as usize], &job)?;
            let wanted = &wanted[row * shape[1]..][..shape[1]];
            ensure!(logits.len() == wanted.len(), "{} logits", logits.len());
            let worst = logits.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!("case {number}, token {position}: logits differ by {worst} at most");
            ensure!(worst < TOLERANCE, "case {number}, token {position}: {worst}");
        }
        for (step, token) in numbers(&case["greedy"])?.into_iter().enumerate() {
            let best = logits.iter().copied().fold(f32::MIN, f32::max);
            let gap = best - logits[token as usize];
            ensure!(gap < TOLERANCE, "case {number}: token {step} is {gap} below the likeliest");
            logits = composer.decoder().forward(&[token], &job)?;
        }
    }
    Ok(())
}
