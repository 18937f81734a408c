//! What a front end asks of a language model, and what it gets.

use serde::{Deserialize, Serialize};

use super::{DeviceChoice, ModelRef, Notice};

/// Asks a language model for text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WordsRequest {
    /// Which model writes.
    pub model: ModelRef,
    /// What it is to write.
    pub task: WordsTask,
    /// How tokens are chosen.
    #[serde(default)]
    pub sampling: TokenSampling,
    /// The most tokens that are written, at least 1.
    pub max_tokens: u32,
    /// The seed of the choice; the same seed gives the same text.
    pub seed: u64,
    /// Which device computes.
    #[serde(default)]
    pub device: DeviceChoice,
    /// Whether the output carries the logits of every token that was written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_logits: bool,
}

/// Says what a language model is to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WordsTask {
    /// Goes on with a text as it stands.
    Continue {
        /// The text so far.
        text: String,
    },
    /// Answers the last turn of a conversation, or goes on with it where it is the assistant's.
    Chat {
        /// What the model is told about its part; empty for nothing.
        #[serde(default)]
        system: String,
        /// The conversation from its first turn.
        turns: Vec<Turn>,
    },
    /// Widens a short prompt into one that the picture model can draw, in words that it knows.
    Expand {
        /// The short prompt.
        prompt: String,
    },
    /// Thinks up a prompt that the picture model can draw.
    Surprise,
}

/// Holds one turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub text: String,
}

/// Says who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// Holds the settings that choose the next token.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TokenSampling {
    /// 0 always takes the likeliest token; 0 to 5 are accepted.
    pub temperature: f32,
    /// Only this many of the likeliest tokens; 0 is off.
    pub top_k: u32,
    /// Only the likeliest tokens that make up this share of the probability, 0 to 1; 1 is off.
    pub top_p: f32,
    /// Only tokens at least this share as likely as the likeliest, 0 to 1; 0 is off.
    pub min_p: f32,
    /// Divides the logits of tokens already written; 1 is off, 0.5 to 2 are accepted.
    pub repetition_penalty: f32,
}

impl TokenSampling {
    /// Returns what suits notes: they repeat by nature, so repetition is no fault.
    pub fn for_music() -> Self {
        Self { temperature: 0.95, top_k: 0, top_p: 0.97, min_p: 0.02, repetition_penalty: 1.0 }
    }
}

impl Default for TokenSampling {
    fn default() -> Self {
        Self { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, repetition_penalty: 1.1 }
    }
}

/// Holds what a language model wrote.
#[derive(Debug, Clone)]
pub struct WordsOutput {
    /// The whole text that was written, without what it was asked to go on with.
    pub text: String,
    /// The request that writes it again: with the model's hash.
    pub recipe: WordsRequest,
    /// What it took.
    pub stats: WordsStats,
    /// Why it ended.
    pub ended: WordsEnd,
    /// The logits, when the request asked for them.
    pub logits: Option<Logits>,
    /// What the user should know about the result.
    pub notices: Vec<Notice>,
}

/// Says what a text took, also while it is being written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct WordsStats {
    /// Tokens of the request, with its template.
    pub prompt_tokens: u32,
    /// How many of them were still in the cache from an earlier request.
    pub cached_tokens: u32,
    /// Tokens written.
    pub written_tokens: u32,
    /// How many tokens the model can hold, written ones included.
    pub context_tokens: u32,
    /// Seconds spent on reading the request.
    pub prefill_secs: f64,
    /// Seconds spent on writing.
    pub decode_secs: f64,
}

impl WordsStats {
    /// Returns how many tokens are written in a second, once there are some.
    pub fn tokens_per_second(&self) -> Option<f64> {
        (self.written_tokens > 0 && self.decode_secs > 0.0)
            .then(|| f64::from(self.written_tokens) / self.decode_secs)
    }
}

/// Says why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WordsEnd {
    /// The model said so.
    EndOfText,
    /// As many tokens as were asked for are written.
    MaxTokens,
    /// The model can hold no more.
    ContextFull,
}

/// Holds logits for comparison with other implementations.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    /// `[tokens, vocabulary]`.
    pub shape: [usize; 2],
    /// Row-major values; row 0 chose the first written token.
    pub values: Vec<f32>,
    /// The tokens that were chosen, one per row; the one that ended the text is the last.
    pub tokens: Vec<u32>,
}
