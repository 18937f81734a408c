//! Compares CLIP's ids with transformers, and the reading of prompts with the rules of AUTOMATIC1111's
//! web UI, written anew in `golden/prompts/make.py`.

use anyhow::{Context, ensure};
use atelier_engine::models::stable_diffusion::prompt::{
    ClipTokenizer, PromptSettings, ReadPrompt, Wildcards, read_prompt,
};
use serde_json::Value;

/// The web UI multiplies weights in f64; here they end as f32.
const WEIGHT_TOLERANCE: f64 = 1e-6;

fn golden() -> anyhow::Result<Value> {
    Ok(serde_json::from_str(include_str!("../golden/prompts/golden.json"))?)
}

fn rows<'a>(golden: &'a Value, name: &str) -> anyhow::Result<&'a Vec<Value>> {
    golden[name].as_array().with_context(|| format!("no golden rows {name}"))
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value.as_str().context("no text")
}

fn ids(value: &Value) -> anyhow::Result<Vec<u32>> {
    let ids = value.as_array().context("no ids")?.iter();
    ids.map(|id| Ok(u32::try_from(id.as_u64().context("no id")?)?)).collect()
}

fn read(prompt: &str, steps: usize, clip: &ClipTokenizer) -> anyhow::Result<ReadPrompt> {
    let wildcards = Wildcards::default();
    Ok(read_prompt(prompt, clip, &PromptSettings::new(steps, 1, &wildcards))?)
}

#[test]
fn every_id_is_that_of_transformers() -> anyhow::Result<()> {
    let (golden, clip) = (golden()?, ClipTokenizer::new()?);
    let rows = rows(&golden, "tokens")?;
    ensure!(rows.len() >= 200, "{} texts", rows.len());
    for row in rows {
        let tokens = clip.encode(text(&row[0])?)?;
        let found: Vec<u32> = tokens.iter().map(|token| token.id).collect();
        ensure!(found == ids(&row[1])?, "{}: {found:?}, not {}", row[0], row[1]);
    }
    Ok(())
}

#[test]
fn weights_are_those_of_the_web_ui() -> anyhow::Result<()> {
    let (golden, clip) = (golden()?, ClipTokenizer::new()?);
    for row in rows(&golden, "attention")? {
        let prompt = text(&row[0])?;
        let read = read(prompt, 20, &clip)?;
        // Tokens with their weights on both sides; where words are cut does not matter.
        let mut wanted = Vec::new();
        for piece in row[1].as_array().context("no pieces")? {
            if let Some(weight) = piece[1].as_f64() {
                let tokens = clip.encode(text(&piece[0])?)?;
                wanted.extend(tokens.into_iter().map(|token| (token.id, weight)));
            }
        }
        let chunks = &read.stretches[0].chunks;
        let mut found = Vec::new();
        for chunk in chunks {
            let own =
                chunk.ids.iter().zip(&chunk.weights).skip(1).take_while(|(id, _)| **id < 49406);
            found.extend(own.map(|(id, weight)| (*id, f64::from(*weight))));
        }
        ensure!(found.len() == wanted.len(), "{prompt}: {found:?}, not {wanted:?}");
        for (found, wanted) in found.iter().zip(&wanted) {
            let is_near = found.0 == wanted.0 && (found.1 - wanted.1).abs() < WEIGHT_TOLERANCE;
            ensure!(is_near, "{prompt}: {found:?}, not {wanted:?}");
        }
    }
    Ok(())
}

#[test]
fn prompts_change_at_the_steps_of_the_web_ui() -> anyhow::Result<()> {
    let (golden, clip) = (golden()?, ClipTokenizer::new()?);
    for row in rows(&golden, "editing")? {
        let (prompt, steps) = (text(&row[0])?, row[1].as_u64().context("no steps")? as usize);
        let found = read(prompt, steps, &clip)?.stretches;
        let wanted = row[2].as_array().context("no texts")?;
        ensure!(found.len() == wanted.len(), "{prompt}: {} stretches", found.len());
        for (found, wanted) in found.iter().zip(wanted) {
            ensure!(wanted[0] == found.last_step, "{prompt}: ends at {}", found.last_step);
            // The text of that stretch alone must read the same; what is left in it is no editing.
            let alone = read(text(&wanted[1])?, steps, &clip)?;
            ensure!(alone.stretches.len() == 1, "{prompt}: {} still changes", wanted[1]);
            ensure!(alone.stretches[0].chunks == found.chunks, "{prompt} is not {}", wanted[1]);
        }
    }
    Ok(())
}

#[test]
fn chunks_are_those_of_the_web_ui() -> anyhow::Result<()> {
    let (golden, clip) = (golden()?, ClipTokenizer::new()?);
    for row in rows(&golden, "chunks")? {
        let prompt = text(&row[0])?;
        let read = read(prompt, 20, &clip)?;
        let wanted = row[1].as_array().context("no chunks")?;
        let found = &read.stretches[0].chunks;
        ensure!(found.len() == wanted.len(), "{prompt}: {} chunks", found.len());
        for (number, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            ensure!(found.ids == ids(&wanted[0])?, "{prompt}: ids of chunk {number}");
            let weights = wanted[1].as_array().context("no weights")?;
            ensure!(found.weights.len() == weights.len(), "{prompt}: weights of chunk {number}");
            for (found, wanted) in found.weights.iter().zip(weights) {
                let wanted = wanted.as_f64().context("no weight")?;
                ensure!((f64::from(*found) - wanted).abs() < WEIGHT_TOLERANCE, "{prompt}: {found}");
            }
        }
    }
    Ok(())
}
