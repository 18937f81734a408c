//! The house writer against PyTorch: golden files made by its recipe (`golden.py`) from the same
//! weights. Skipped, with a printed line, where the weights are absent.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use atelier_engine::pipelines::words::WordsPipeline;
use atelier_engine::protocol::{DeviceChoice, JobContext};
use atelier_engine::weights::read_tensor;
use serde_json::Value;

/// The program multiplies 8-bit weights by activations that it rounds to 8 bits too, where the
/// golden numbers come from 32-bit activations.
const TOLERANCE: f32 = 0.25;

fn ids(value: &Value) -> Result<Vec<u32>> {
    Ok(serde_json::from_value(value.clone())?)
}

#[test]
fn tokens_logits_and_greedy_choices_are_those_of_the_recipe() -> Result<()> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = top.join("../assets/models/house-writer/model.gguf");
    let golden = top.join("golden/house-writer");
    if !path.is_file() || !golden.is_dir() {
        println!("skipped: no weights at {}", path.display());
        return Ok(());
    }
    let note: Value = serde_json::from_str(&std::fs::read_to_string(golden.join("golden.json"))?)?;
    let tensors = golden.join("logits.safetensors");
    let bytes = std::fs::read(&tensors)?;
    let job = JobContext::detached();
    let weights = std::fs::read(&path)?;
    let mut writer = WordsPipeline::load(&weights, None, &path, DeviceChoice::Cpu, &job)?;
    let cases = note["cases"].as_array().context("no cases")?;
    ensure!(cases.len() >= 2, "too few cases");
    for (number, case) in cases.iter().enumerate() {
        let prompt = case["prompt"].as_str().context("no prompt")?;
        let expected = ids(&case["ids"])?;
        // The program begins every template with the token of a story; the recipe writes none.
        let tokens = writer.tokenizer().encode_template(prompt);
        assert!(tokens.ends_with(&expected), "{prompt}: {tokens:?}");
        let (_, wanted) = read_tensor(&bytes, &number.to_string(), &tensors)?;
        writer.decoder().truncate(0);
        let mut logits = writer.decoder().forward(&expected, &job)?;
        let worst = logits.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{prompt}: logits differ by {worst} at most");
        ensure!(worst < TOLERANCE, "{prompt}: logits differ by {worst}");
        for (step, token) in ids(&case["greedy"])?.into_iter().enumerate() {
            let best = logits.iter().copied().fold(f32::MIN, f32::max);
            let gap = best - logits[token as usize];
            ensure!(gap < TOLERANCE, "{prompt}: token {step} is {gap} below the likeliest");
            logits = writer.decoder().forward(&[token], &job)?;
        }
    }
    Ok(())
}
