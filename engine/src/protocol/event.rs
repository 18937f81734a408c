//! What the engine tells a front end.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    CutOutOutput, EnlargeOutput, Enlarged, JobId, Latents, PictureRequest, Pixels, Sound,
    SoundOutput, WordsOutput,
};
use crate::error::EngineError;

/// Tells what became of a job.
///
/// Per job: [`Event::Started`], any number of [`Event::Text`] or [`Event::Partial`], then exactly
/// one of [`Event::Finished`] or [`Event::Failed`]. A job cancelled while it waits has no `Started`.
#[expect(clippy::large_enum_variant, reason = "each job has one large event, its last")]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The engine took the job up.
    Started(JobId),
    /// More text of a job that writes.
    Text(JobId, String),
    /// A part of the output that is complete and saved.
    Partial(JobId, Partial),
    /// The job is done and everything it made is saved.
    Finished(JobId, Output),
    /// The job ended without its output.
    Failed(JobId, EngineError),
}

impl Event {
    /// Returns the job that the event is about.
    pub fn job(&self) -> JobId {
        match self {
            Self::Started(id)
            | Self::Text(id, _)
            | Self::Partial(id, _)
            | Self::Finished(id, _)
            | Self::Failed(id, _) => *id,
        }
    }

    /// Tells whether this is the job's last event.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Finished(..) | Self::Failed(..))
    }
}

/// Holds a complete part of an output.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Partial {
    /// One picture of a batch, saved.
    Picture(Box<Picture>),
    /// A piece of music, saved.
    Sound(Box<Sound>),
    /// An enlarged picture, saved.
    Enlarged(Box<Enlarged>),
}

/// Holds everything that a job made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Output {
    /// The pictures of a [`super::PictureRequest`].
    Picture(PictureOutput),
    /// The text of a [`super::WordsRequest`].
    Words(WordsOutput),
    /// The piece of a [`super::SoundRequest`].
    Sound(Box<SoundOutput>),
    /// The picture of a [`super::EnlargeRequest`].
    Enlarged(Box<EnlargeOutput>),
    /// The picture of a [`super::CutOutRequest`], which is kept nowhere.
    CutOut(Box<CutOutOutput>),
}

/// Holds the pictures of one job and what is to be said about them.
#[derive(Debug, Clone)]
pub struct PictureOutput {
    /// One picture per seed, in order.
    pub pictures: Vec<Picture>,
    /// What the user should know about the result.
    pub notices: Vec<Notice>,
    /// The latents before decoding, when the request asked for them.
    pub latents: Option<Latents>,
}

/// Holds one picture with the recipe that makes it again.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The picture.
    pub pixels: Arc<Pixels>,
    /// The request that makes exactly this picture: count 1, its own seed, the model's hash.
    pub recipe: PictureRequest,
    /// Where it is saved, when the engine has a library.
    pub file: Option<PathBuf>,
    /// Its number in the library, when the engine has one.
    pub result_id: Option<i64>,
}

/// Says something about a result that the user should know and could not otherwise see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// Words that the model never saw; they had no influence.
    UnknownWords {
        /// The words as they were written.
        words: Vec<String>,
    },
    /// The prompt is longer than the model reads.
    PromptClipped {
        /// How many tokens were read.
        kept: usize,
        /// How many were not.
        dropped: usize,
    },
    /// Models that were in memory had to go, so that the one that was asked for fits.
    MadeRoom {
        /// Their names.
        names: Vec<String>,
    },
    /// Something in the prompt has no effect, or another than its writer may think.
    Prompt {
        /// What.
        issue: PromptIssue,
        /// The words that it is about, shortened.
        text: String,
    },
    /// Parts of a LoRA fit nothing in the model; the rest has its effect.
    LoraUnmatched {
        /// The file's name.
        name: String,
        /// How many parts.
        count: usize,
        /// The first of them, as the file calls them, with the reason.
        examples: Vec<String>,
    },
    /// The model was made for other settings than those that were asked for.
    Unusual {
        /// A sentence that says so.
        sentence: String,
    },
    /// Memory was short, so the parts of the model were in memory one after the other.
    SavedMemory {
        /// What the model takes where memory is not saved.
        needed_bytes: u64,
        /// What was free.
        free_bytes: u64,
    },
    /// The picture was decoded in tiles, because it would not fit into memory at once or because that
    /// failed.
    DecodedInTiles {
        /// Why decoding at once failed, where it was tried.
        reason: Option<String>,
    },
    /// The recipe names a model with another hash.
    ModelDiffers {
        /// The hash in the request.
        expected: String,
        /// The hash of the model that painted.
        found: String,
    },
}

/// Says what there is to know about a stretch of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PromptIssue {
    /// `AND` is read as a word; prompts are not composed.
    And,
    /// One of several choices was to be taken more than once, and one is taken.
    SeveralChoices,
    /// An extra network of another kind than LoRA, or a tag that cannot be read.
    Network,
    /// There is no LoRA of this name.
    UnknownLora,
    /// There is no list of words of this name.
    UnknownWildcard,
    /// What begins here is not read: the prompt is too long.
    Clipped,
    /// Brackets or choices lie too deep within each other.
    TooDeep,
}
