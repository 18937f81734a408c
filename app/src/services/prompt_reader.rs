//! How models of the Stable Diffusion family read a prompt, for the line below it.

use atelier_engine::EngineError;
use atelier_engine::library::ShelfEntry;
use atelier_engine::models::stable_diffusion::prompt::{
    ClipTokenizer, PromptSettings, Wildcards, read_prompt,
};
use atelier_engine::pipelines::diffusion::issue_of;

use crate::state::PromptReading;

/// How much of the words of an issue is shown, in characters.
const QUOTED_CHARS: usize = 60;

/// Reads prompts; the vocabulary is read when it is first needed.
#[derive(Default)]
pub(super) struct PromptReader {
    tokenizer: Option<ClipTokenizer>,
}

impl PromptReader {
    /// Reads a prompt of a run of so many steps; `loras` are those that it may name.
    pub(super) fn read(
        &mut self,
        text: String,
        steps: u32,
        loras: &[ShelfEntry],
    ) -> Result<PromptReading, EngineError> {
        let tokenizer = match self.tokenizer.take() {
            Some(tokenizer) => tokenizer,
            None => ClipTokenizer::new()?,
        };
        let tokenizer = self.tokenizer.insert(tokenizer);
        let wildcards = Wildcards::default();
        let knows_lora =
            |name: &str| loras.iter().any(|entry| entry.name.eq_ignore_ascii_case(name));
        let settings = PromptSettings {
            knows_lora: &knows_lora,
            ..PromptSettings::new(steps.max(1) as usize, 0, &wildcards)
        };
        let read = read_prompt(&text, tokenizer, &settings)?;
        let mut reading = PromptReading::default();
        if let Some(stretch) = read.stretches.last() {
            reading.tokens = stretch.pieces.len();
            reading.chunks = stretch.chunks.len();
            for piece in stretch.pieces.iter().filter(|piece| piece.weight != 1.0) {
                match reading.weighted.last_mut() {
                    Some((words, weight)) if *weight == piece.weight => {
                        words.push(' ');
                        words.push_str(piece.text.trim());
                    }
                    _ => reading.weighted.push((piece.text.trim().to_owned(), piece.weight)),
                }
            }
        }
        for notice in &read.notices {
            let words = text.get(notice.source.clone()).unwrap_or_default();
            let words: String = words.chars().take(QUOTED_CHARS).collect();
            reading.issues.push((issue_of(&notice.kind), words));
        }
        reading.text = text;
        Ok(reading)
    }
}
