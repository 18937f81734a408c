//! Prompts as people of Stable Diffusion write them: weights, words that change while sampling, words
//! that are chosen by the seed, LoRAs, chunks.
//!
//! A prompt goes through these steps: choices (`{a|b}`, `__list__`) are made by the seed; tags of extra
//! networks (`<lora:…>`) are taken out; prompt editing (`[a:b:0.5]`, `[a|b]`) makes a text for each
//! stretch of steps; brackets make weights; CLIP's vocabulary makes ids; 75 of them make a chunk. Each
//! token keeps its place in the prompt as it was written.

mod attention;
mod chunks;
mod clip;
mod editing;
mod emphasis;
mod networks;
#[cfg(test)]
mod tests;
mod traced;
mod wildcards;

use std::collections::HashMap;
use std::ops::Range;

use crate::error::EngineError;

use chunks::Chunker;
pub use chunks::{CHUNK_TOKENS, CONTEXT_TOKENS, Chunk, EmbeddingName, Piece, Reserved};
pub use clip::{ClipToken, ClipTokenizer, END_ID, START_ID};
use editing::Edited;
pub use emphasis::{EmphasisRule, apply_emphasis};
pub use networks::LoraTag;
use traced::Traced;
pub use wildcards::Wildcards;

/// How much of the text of a stretch is read, in bytes: more than [`DEFAULT_CHUNKS`] can hold of words.
const MAX_TEXT_BYTES: usize = 40_000;
/// The chunks that are read unless the caller says otherwise.
const DEFAULT_CHUNKS: usize = 32;
/// The most steps of a run.
const MAX_STEPS: usize = 1000;

/// Says what fills a chunk up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// The mark of the end: the text encoder of Stable Diffusion 1, and the first one of XL.
    #[default]
    End,
    /// Id 0: the text encoder of Stable Diffusion 2, and the second one of XL.
    Zero,
}

/// Holds what a prompt is read with.
#[derive(Clone, Copy)]
pub struct PromptSettings<'a> {
    /// The steps of the run, 1 to 1,000.
    pub steps: usize,
    /// Chooses words.
    pub seed: u64,
    /// What fills a chunk up.
    pub padding: Padding,
    /// The most chunks that are read; at least one is.
    pub max_chunks: usize,
    /// Lists of words for `__name__`.
    pub wildcards: &'a Wildcards,
    /// The textual inversions that there are.
    pub embeddings: &'a [EmbeddingName],
    /// Whether there is a LoRA of this name.
    pub knows_lora: &'a dyn Fn(&str) -> bool,
}

impl<'a> PromptSettings<'a> {
    /// Makes the settings of a run without textual inversions, where any LoRA is taken to be there.
    pub fn new(steps: usize, seed: u64, wildcards: &'a Wildcards) -> Self {
        Self {
            steps,
            seed,
            padding: Padding::End,
            max_chunks: DEFAULT_CHUNKS,
            wildcards,
            embeddings: &[],
            knows_lora: &|_| true,
        }
    }
}

/// Says something about a prompt that its writer should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptNotice {
    /// What.
    pub kind: NoticeKind,
    /// About which stretch of the prompt, in bytes.
    pub source: Range<usize>,
}

/// Says what there is to know about a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoticeKind {
    /// `AND` is read as a word; prompts are not composed.
    UnsupportedAnd,
    /// `{2$$a|b}` is read as `{a|b}`; one is chosen.
    UnsupportedChoice,
    /// An extra network of this kind, or a LoRA's tag that cannot be read, has no effect.
    UnsupportedNetwork(String),
    /// There is no LoRA of this name.
    UnknownLora(String),
    /// There is no list of this name; the words stand as they were written.
    UnknownWildcard(String),
    /// What begins here is not read: the prompt is longer than so many chunks.
    Clipped {
        /// How many chunks are read.
        chunks: usize,
    },
    /// Brackets or choices are too deep within each other to count, or choices too many.
    TooDeep,
}

/// Holds what a prompt means from one step to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// The last step that it is for, counted from 1.
    pub last_step: usize,
    /// What the text encoder reads, at least one chunk.
    pub chunks: Vec<Chunk>,
    /// The tokens, in order.
    pub pieces: Vec<Piece>,
}

/// Holds all that a prompt says.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadPrompt {
    /// What it means, step by step; the last ends with the run.
    pub stretches: Vec<Stretch>,
    /// The LoRAs that it names, unknown ones too, in order.
    pub loras: Vec<LoraTag>,
    /// What its writer should know, by place.
    pub notices: Vec<PromptNotice>,
}

impl ReadPrompt {
    /// Returns what the prompt means at a step, counted from 0.
    pub fn at_step(&self, step: usize) -> Option<&Stretch> {
        let index = self.stretches.partition_point(|stretch| stretch.last_step <= step);
        self.stretches.get(index).or(self.stretches.last())
    }
}

/// Reads a prompt. Whatever the text, something comes out; what has no effect is told.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when the steps or a textual inversion are out of range;
/// [`EngineError::Model`] when the tokenizer fails.
///
/// # Source
/// AUTOMATIC1111's wiki, “Features”; the extension “Dynamic prompts” for choices.
pub fn read_prompt(
    prompt: &str,
    tokenizer: &ClipTokenizer,
    settings: &PromptSettings<'_>,
) -> Result<ReadPrompt, EngineError> {
    let steps = settings.steps;
    if !(1..=MAX_STEPS).contains(&steps) {
        let reason = format!("must be 1 to {MAX_STEPS}, not {steps}");
        return Err(EngineError::invalid("number of steps", reason));
    }
    let mut notices = Vec::new();
    let chosen = wildcards::choose(prompt, settings.seed, settings.wildcards, &mut notices);
    let (text, loras) = networks::take(&chosen, &mut notices);
    for lora in &loras {
        if !(settings.knows_lora)(&lora.name) {
            let kind = NoticeKind::UnknownLora(lora.name.clone());
            notices.push(PromptNotice { kind, source: lora.source.clone() });
        }
    }
    if let Some(at) = find_and(text.text()) {
        let source = text.source(at..at + 3);
        notices.push(PromptNotice { kind: NoticeKind::UnsupportedAnd, source });
    }

    let edited = Edited::read(text.text(), steps);
    let chunker = Chunker::new(tokenizer, settings)?;
    let mut known: HashMap<Traced, (Vec<Chunk>, Vec<Piece>)> = HashMap::new();
    let mut stretches = Vec::new();
    for last_step in edited.ends(steps) {
        let text = shorten(edited.at(last_step, &text, MAX_TEXT_BYTES), settings, &mut notices);
        let (chunks, pieces) = match known.get(&text) {
            Some(known) => known.clone(),
            None => {
                let attention = attention::read(&text);
                if let Some(at) = attention.too_deep {
                    let source = text.source(at..at + 1);
                    notices.push(PromptNotice { kind: NoticeKind::TooDeep, source });
                }
                let read = chunker.cut(&attention.pieces, &mut notices)?;
                known.insert(text, read.clone());
                read
            }
        };
        stretches.push(Stretch { last_step, chunks, pieces });
    }
    notices.sort_by_key(|notice| (notice.source.start, notice.source.end));
    notices.dedup();
    Ok(ReadPrompt { stretches, loras, notices })
}

/// Returns the LoRAs that a prompt names for a seed, without reading the rest.
pub fn lora_tags(prompt: &str, seed: u64, wildcards: &Wildcards) -> Vec<LoraTag> {
    let mut notices = Vec::new();
    let chosen = wildcards::choose(prompt, seed, wildcards, &mut notices);
    networks::take(&chosen, &mut notices).1
}

/// Cuts a text to the length that is read.
fn shorten(text: Traced, settings: &PromptSettings<'_>, notices: &mut Vec<PromptNotice>) -> Traced {
    let length = text.text().len();
    if length <= MAX_TEXT_BYTES {
        return text;
    }
    let end = text.text().floor_char_boundary(MAX_TEXT_BYTES);
    let kind = NoticeKind::Clipped { chunks: settings.max_chunks };
    notices.push(PromptNotice { kind, source: text.source(end..length) });
    let mut short = Traced::default();
    short.push_slice(&text, 0..end);
    short
}

/// Finds the word `AND`.
fn find_and(text: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let stands_alone =
        |at: usize| !text[..at].ends_with(is_word) && !text[at + 3..].starts_with(is_word);
    text.match_indices("AND").map(|(at, _)| at).find(|at| stands_alone(*at))
}
