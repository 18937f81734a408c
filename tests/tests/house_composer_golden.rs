//! The house composer against PyTorch: golden files made by its recipe (`golden.py`) from the same
//! weights. Skipped, with a printed line, where the weights are absent.

use anyhow::{Result, ensure};
use atelier_engine::pipelines::sound::SoundPipeline;
use atelier_engine::protocol::{DeviceChoice, JobContext};
use atelier_tests::golden::{Golden, agree, follow, ids};

/// Both sides compute with the weights of the file, widened to f32.
const TOLERANCE: f32 = 1e-3;

#[test]
fn logits_and_greedy_choices_are_those_of_the_recipe() -> Result<()> {
    let Some(golden) = Golden::open("house-composer")? else { return Ok(()) };
    let job = JobContext::detached();
    let mut composer = SoundPipeline::load(&golden.weights, &golden.path, DeviceChoice::Cpu, &job)?;
    for (number, case) in golden.cases.iter().enumerate() {
        let tokens = ids(&case["ids"])?;
        let positions = ids(&case["positions"])?;
        let (shape, wanted) = golden.logits(number)?;
        ensure!(shape[0] == positions.len(), "{shape:?}");
        let mut logits = Vec::new();
        for (position, wanted) in positions.iter().zip(wanted.chunks_exact(shape[1])) {
            composer.decoder().truncate(0);
            logits = composer.decoder().forward(&tokens[..=*position as usize], &job)?;
            agree(&format!("case {number}, token {position}"), &logits, wanted, TOLERANCE)?;
        }
        let greedy = ids(&case["greedy"])?;
        follow(&format!("case {number}"), composer.decoder(), logits, &greedy, TOLERANCE)?;
    }
    Ok(())
}
