//! Prompts → what the net reads.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use candle_core::Tensor;

use super::files::Description;
use super::load::{Networks, Texts};
use crate::error::EngineError;
use crate::models::stable_diffusion::TextEncoder;
use crate::models::stable_diffusion::prompt::{
    CONTEXT_TOKENS, Chunk, ClipTokenizer, END_ID, EmbeddingName, EmphasisRule, NoticeKind, Padding,
    PromptSettings, ReadPrompt, Wildcards, apply_emphasis, read_prompt,
};
use crate::protocol::{JobContext, Notice, Prompt, PromptIssue};
use crate::weights::embedding::Embedding;

/// The longest quotation of a prompt in a notice.
const QUOTED_CHARS: usize = 60;

/// Holds what the net reads of one text.
#[derive(Debug, Clone)]
pub(super) struct Context {
    /// `[1, tokens, width]`.
    pub text: Tensor,
    /// `[1, width]`, in models of the shape of SDXL.
    pub pooled: Option<Tensor>,
}

/// Holds a prompt's contexts by step.
#[derive(Debug, Clone)]
pub(super) struct Prompted {
    /// The last step of each, counted from 1, rising.
    stretches: Vec<(usize, Context)>,
}

impl Prompted {
    /// Returns what is read at a step, counted from 0.
    pub(super) fn at_step(&self, step: usize) -> &Context {
        let index = self.stretches.partition_point(|(last, _)| *last <= step);
        &self.stretches[index.min(self.stretches.len() - 1)].1
    }
}

/// Holds a prompt and its negative as they were read, for each way of filling up.
pub(super) struct ReadBoth {
    /// The prompt and its negative, for the first encoder.
    first: [ReadPrompt; 2],
    /// The same for the second encoder, if there is one.
    second: Option<[ReadPrompt; 2]>,
    is_negative_empty: bool,
}

impl ReadBoth {
    /// Reads a prompt and its negative for a seed.
    ///
    /// # Errors
    /// As [`read_prompt`].
    pub(super) fn read(
        about: &Description,
        prompt: &Prompt,
        words: &Words<'_>,
        (steps, seed): (usize, u64),
    ) -> Result<Self, EngineError> {
        let texts = [prompt.with_styles(), prompt.negative.clone()];
        let names: Vec<EmbeddingName> = words
            .embeddings
            .iter()
            .map(|embedding| EmbeddingName {
                name: embedding.word.clone(),
                vectors: embedding.vectors.first().map_or(1, |vectors| vectors.count()),
            })
            .collect();
        let read = |padding: Padding| -> Result<[ReadPrompt; 2], EngineError> {
            let settings = PromptSettings {
                padding,
                embeddings: &names,
                knows_lora: words.knows_lora,
                ..PromptSettings::new(steps, seed, words.wildcards)
            };
            let [text, negative] = &texts;
            Ok([
                read_prompt(text, words.tokenizer, &settings)?,
                read_prompt(negative, words.tokenizer, &settings)?,
            ])
        };
        Ok(Self {
            first: read(about.padding)?,
            second: about.second.is_some().then(|| read(Padding::Zero)).transpose()?,
            is_negative_empty: texts[1].trim().is_empty(),
        })
    }

    /// Says what has no effect.
    pub(super) fn notices(&self, prompt: &Prompt) -> Vec<Notice> {
        let texts = [prompt.with_styles(), prompt.negative.clone()];
        let mut notices = Vec::new();
        for (read, text) in self.first.iter().zip(&texts) {
            for notice in &read.notices {
                let words = text.get(notice.source.clone()).unwrap_or_default();
                let text = shortened(words);
                notices.push(Notice::Prompt { issue: issue_of(&notice.kind), text });
            }
        }
        notices.dedup();
        notices
    }

    /// Encodes the prompt and, if it is `guided`, its negative.
    ///
    /// # Errors
    /// That of the job's check, those of reading the text encoders, and errors of the tensor library.
    pub(super) fn encode(
        &self,
        encoder: &Encoder<'_>,
        is_guided: bool,
    ) -> Result<Vec<Prompted>, EngineError> {
        let mut out = Vec::new();
        for side in 0..if is_guided { 2 } else { 1 } {
            let second = self.second.as_ref().map(|second| &second[side]);
            let mut prompted = encoder.prompt(&self.first[side], second)?;
            let has_empty = encoder.networks.about.has_empty_negative;
            if side == 1 && self.is_negative_empty && has_empty {
                for (_, context) in &mut prompted.stretches {
                    context.text = context.text.zeros_like()?;
                    context.pooled = context.pooled.as_ref().map(Tensor::zeros_like).transpose()?;
                }
            }
            out.push(prompted);
        }
        Ok(out)
    }
}

/// Keeps what was encoded, so that a prompt that comes again needs no encoder.
#[derive(Default)]
pub(super) struct KnownContexts {
    /// The one used last stands last.
    entries: Vec<(Vec<u8>, Context)>,
}

/// How many texts are kept: of 77 tokens each takes 236 kB, or 630 kB for the shape of SDXL.
const KEPT_TEXTS: usize = 32;

impl KnownContexts {
    fn get(&mut self, key: &[u8]) -> Option<Context> {
        let at = self.entries.iter().position(|(known, _)| known == key)?;
        let entry = self.entries.remove(at);
        Some(self.entries.push_mut(entry).1.clone())
    }

    fn put(&mut self, key: Vec<u8>, context: Context) {
        if self.entries.len() == KEPT_TEXTS {
            self.entries.remove(0);
        }
        self.entries.push((key, context));
    }
}

/// Holds what prompts are read with.
pub(super) struct Words<'a> {
    pub tokenizer: &'a ClipTokenizer,
    pub wildcards: &'a Wildcards,
    pub embeddings: &'a [Embedding],
    pub knows_lora: &'a dyn Fn(&str) -> bool,
}

/// Encodes prompts with a model's text encoders, which are read when a text comes that is not known.
pub(super) struct Encoder<'a> {
    networks: &'a Networks,
    embeddings: &'a [Embedding],
    clip_skip: Option<u32>,
    job: &'a JobContext,
    texts: OnceCell<Arc<Texts>>,
}

impl<'a> Encoder<'a> {
    /// Makes one that reads nothing yet.
    pub(super) fn new(
        networks: &'a Networks,
        embeddings: &'a [Embedding],
        clip_skip: Option<u32>,
        job: &'a JobContext,
    ) -> Self {
        Self { networks, embeddings, clip_skip, job, texts: OnceCell::new() }
    }

    fn texts(&self) -> Result<&Texts, EngineError> {
        if let Some(texts) = self.texts.get() {
            return Ok(texts);
        }
        let texts = self.networks.texts(self.job)?;
        Ok(self.texts.get_or_init(|| texts))
    }

    fn prompt(
        &self,
        first: &ReadPrompt,
        second: Option<&ReadPrompt>,
    ) -> Result<Prompted, EngineError> {
        let mut stretches = Vec::new();
        // Alternation comes back to the same texts again and again, more of them than are kept.
        let mut here: HashMap<Vec<u8>, Context> = HashMap::new();
        for (index, stretch) in first.stretches.iter().enumerate() {
            let other = second.and_then(|second| second.stretches.get(index));
            let other = other.map(|stretch| stretch.chunks.as_slice());
            let key = self.key(&stretch.chunks, other);
            // Never a lock over an encoder's run: a panic there must not leave it poisoned.
            let contexts = || self.networks.contexts.lock().unwrap_or_else(PoisonError::into_inner);
            let known = here.get(&key).cloned();
            let known = known.or_else(|| contexts().get(&key));
            let context = match known {
                Some(context) => context,
                None => {
                    let context = self.context(&stretch.chunks, other)?;
                    contexts().put(key.clone(), context.clone());
                    context
                }
            };
            here.insert(key, context.clone());
            stretches.push((stretch.last_step, context));
        }
        Ok(Prompted { stretches })
    }

    /// Returns bytes that are the same only for the same texts, read in the same way.
    fn key(&self, chunks: &[Chunk], other: Option<&[Chunk]>) -> Vec<u8> {
        let mut key = self.clip_skip.unwrap_or(0).to_le_bytes().to_vec();
        key.extend(chunks.len().to_le_bytes());
        for chunk in chunks.iter().chain(other.unwrap_or_default()) {
            for (id, weight) in chunk.ids.iter().zip(&chunk.weights) {
                key.extend(id.to_le_bytes());
                key.extend(weight.to_le_bytes());
            }
            for reserved in &chunk.reserved {
                key.extend(reserved.at.to_le_bytes());
                key.extend(reserved.vectors.to_le_bytes());
                // The file of a word may have changed, so its numbers tell which it is.
                let vectors = self.embeddings.get(reserved.embedding).map(|word| &word.vectors);
                for value in vectors.into_iter().flatten().flat_map(|vectors| &vectors.values) {
                    key.extend(value.to_le_bytes());
                }
            }
        }
        key
    }

    /// Encodes the chunks of a text one after the other in one context.
    fn context(&self, chunks: &[Chunk], other: Option<&[Chunk]>) -> Result<Context, EngineError> {
        let texts = self.texts()?;
        let (Some(second), Some(others)) = (&texts.second, other) else {
            // The encoder's last layer, or that before it for models trained so: their files leave
            // the last one out.
            let skipped = self.clip_skip.unwrap_or(1).saturating_sub(1);
            let (text, _) = self.encode(&texts.first, chunks, (skipped, true))?;
            return Ok(Context { text, pooled: None });
        };
        debug_assert!(self.networks.about.second.is_some(), "two encoders");
        // Both are read one layer before the last and without the last norm.
        let skipped = self.clip_skip.unwrap_or(2).max(2) - 1;
        let (first, _) = self.encode(&texts.first, chunks, (skipped, false))?;
        let (states, pooled) = self.encode(second, others, (skipped, false))?;
        let text = Tensor::cat(&[&first, &states], 2)?; // [1, tokens, both widths]
        Ok(Context { text, pooled: Some(pooled) })
    }

    /// Returns the states `[1, tokens, width]` of all chunks with their weights, and the pooled
    /// state `[1, width]` of the first.
    fn encode(
        &self,
        encoder: &TextEncoder,
        chunks: &[Chunk],
        (skipped, has_norm): (u32, bool),
    ) -> Result<(Tensor, Tensor), EngineError> {
        let (mut states, mut pooled) = (Vec::new(), None);
        for chunk in chunks {
            self.job.check()?;
            let embeddings = self.embedded(encoder, chunk)?.unsqueeze(0)?;
            let end = chunk.ids.iter().position(|id| *id == END_ID);
            let end = end.unwrap_or(CONTEXT_TOKENS - 1);
            let check = || self.job.check();
            let encoded =
                encoder.forward(&embeddings, &[end], skipped as usize, has_norm, &check)?;
            let rule = EmphasisRule::RestoreMean;
            let text = apply_emphasis(rule, &encoded.states.squeeze(0)?, &chunk.weights, None)?;
            states.push(text);
            pooled.get_or_insert(encoded.pooled);
        }
        let pooled = pooled
            .ok_or_else(|| EngineError::Model { reason: "a prompt has no chunk".to_owned() })?;
        Ok((Tensor::cat(&states, 0)?.unsqueeze(0)?, pooled))
    }

    /// Returns the embeddings `[tokens, width]` of a chunk, with those of new words in their places.
    fn embedded(&self, encoder: &TextEncoder, chunk: &Chunk) -> Result<Tensor, EngineError> {
        let plain = encoder.embeddings(&chunk.ids)?;
        if chunk.reserved.is_empty() {
            return Ok(plain);
        }
        let width = encoder.config().width;
        let mut values: Vec<f32> = plain.flatten_all()?.to_vec1()?;
        for reserved in &chunk.reserved {
            let Some(embedding) = self.embeddings.get(reserved.embedding) else { continue };
            let Some(vectors) = embedding.for_width(width) else { continue };
            let room = &mut values[reserved.at * width..];
            let count = vectors.values.len().min(reserved.vectors * width).min(room.len());
            room[..count].copy_from_slice(&vectors.values[..count]);
        }
        Ok(Tensor::from_vec(values, plain.shape(), plain.device())?)
    }
}

/// Says in the words of the border what a reader of prompts noticed.
pub fn issue_of(kind: &NoticeKind) -> PromptIssue {
    match kind {
        NoticeKind::UnsupportedAnd => PromptIssue::And,
        NoticeKind::UnsupportedChoice => PromptIssue::SeveralChoices,
        NoticeKind::UnsupportedNetwork(_) => PromptIssue::Network,
        NoticeKind::UnknownLora(_) => PromptIssue::UnknownLora,
        NoticeKind::UnknownWildcard(_) => PromptIssue::UnknownWildcard,
        NoticeKind::Clipped { .. } => PromptIssue::Clipped,
        NoticeKind::TooDeep => PromptIssue::TooDeep,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
