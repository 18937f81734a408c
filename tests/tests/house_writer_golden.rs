//! The house writer against PyTorch: golden files made by its recipe (`golden.py`) from the same
//! weights. Skipped, with a printed line, where the weights are absent.

use anyhow::{Context, Result};
use atelier_engine::pipelines::words::WordsPipeline;
use atelier_engine::protocol::{DeviceChoice, JobContext};
use atelier_tests::golden::{Golden, agree, follow, ids};

/// Both sides compute with the weights of the file, widened to f32.
const TOLERANCE: f32 = 1e-3;

#[test]
fn tokens_logits_and_greedy_choices_are_those_of_the_recipe() -> Result<()> {
    let Some(golden) = Golden::open("house-writer")? else { return Ok(()) };
    let (path, job) = (&golden.path, JobContext::detached());
    let mut writer = WordsPipeline::load(&golden.weights, None, path, DeviceChoice::Cpu, &job)?;
    for (number, case) in golden.cases.iter().enumerate() {
        let prompt = case["prompt"].as_str().context("no prompt")?;
        let expected = ids(&case["ids"])?;
        // The program begins every template with the token of a story; the recipe writes none.
        let tokens = writer.tokenizer().encode_template(prompt);
        assert!(tokens.ends_with(&expected), "{prompt}: {tokens:?}");
        writer.decoder().truncate(0);
        let logits = writer.decoder().forward(&expected, &job)?;
        agree(prompt, &logits, &golden.logits(number)?.1, TOLERANCE)?;
        follow(prompt, writer.decoder(), logits, &ids(&case["greedy"])?, TOLERANCE)?;
    }
    Ok(())
}
