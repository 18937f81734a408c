//! The words room: conversations with a language model, and the help that it gives beside the
//! picture prompt.

use std::sync::Arc;

use atelier_engine::library::LanguageNeed;
use atelier_engine::protocol::{Pixels, WordsStats};
use atelier_engine::store::conversations::{
    Conversation, ConversationEntry, MessageId, WordsSettings,
};
use serde::{Deserialize, Serialize};

/// The name of the model that this project trained to write.
pub const HOUSE_WRITER: &str = "house-writer";

/// Holds what the window needs to know of a language model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanguageModel {
    /// The name or path by which a request asks for it.
    pub name: String,
    /// What it is called.
    pub title: String,
    /// How many tokens it can hold.
    pub context_tokens: u32,
    /// What it needs, where that is known.
    pub need: Option<LanguageNeed>,
}

/// Says what a job of this room is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Purpose {
    /// It writes a message.
    Reply {
        /// The message.
        place: Place,
        /// What stood there before, which the model goes on with.
        begun: String,
        /// When the conversation was last written down, on the window's clock.
        saved_secs: f64,
    },
    /// It writes the picture prompt.
    Prompt,
    /// It finds the words for a picture of a paragraph.
    Wording(Place, usize),
    /// It paints a picture of a paragraph.
    Picture(Place, usize),
}

/// Names a message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The conversation.
    pub conversation: String,
    /// The message.
    pub message: MessageId,
}

impl Purpose {
    /// Returns the message that the job is about.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Reply { place, .. } | Self::Wording(place, _) | Self::Picture(place, _) => {
                Some(place)
            }
            Self::Prompt => None,
        }
    }
}

/// Holds the list of conversations.
#[derive(Debug, Clone, Default)]
pub struct ConversationsState {
    /// The conversations, the latest changed first.
    pub entries: Vec<ConversationEntry>,
    /// Whether the library has answered.
    pub loaded: bool,
    /// What is searched.
    pub query: String,
    /// The one that was asked of the library and has not come.
    pub opening: Option<String>,
    /// The names of those found; `None` while nothing is searched.
    pub found: Option<Vec<String>>,
    /// Deleted ones with their places, the latest last.
    pub deleted: Vec<(usize, ConversationEntry)>,
    /// The one whose title is being written, with the title.
    pub renaming: Option<(String, String)>,
}

/// Holds the words room.
#[derive(Debug, Clone, Default)]
pub struct WordsState {
    /// The list of conversations.
    pub list: ConversationsState,
    /// The conversation that is shown.
    pub open: Option<Conversation>,
    /// Others that jobs are still writing into.
    pub held: Vec<Conversation>,
    /// What the person is writing.
    pub draft: String,
    /// The message that is being edited, with its text.
    pub editing: Option<(MessageId, String)>,
    /// What the jobs of this room are for, by ticket.
    pub jobs: Vec<(u64, Purpose)>,
    /// The language models that are here, the house writer first.
    pub models: Vec<LanguageModel>,
    /// How the model writes in the next conversation.
    pub settings: WordsSettings,
    /// Whether these settings are shown.
    pub settings_open: bool,
    /// The pictures of the conversation, `None` until they come.
    pub pictures: Vec<(i64, Option<Arc<Pixels>>)>,
    /// The picture prompt before the house writer changed it, and after.
    pub prompt_undo: Option<[String; 2]>,
}

impl WordsState {
    /// Returns how the model writes in the conversation that is shown, or in the next.
    pub fn settings(&self) -> &WordsSettings {
        self.open.as_ref().map_or(&self.settings, |open| &open.settings)
    }

    /// Returns the model that answers: the one that is chosen, or the first.
    pub fn model(&self) -> Option<&LanguageModel> {
        let chosen = &self.settings().model;
        self.models.iter().find(|model| model.name == *chosen).or_else(|| self.models.first())
    }

    /// Returns a conversation that is at hand.
    pub fn conversation(&mut self, id: &str) -> Option<&mut Conversation> {
        let open = self.open.as_mut().filter(|open| open.id == id);
        open.or_else(|| self.held.iter_mut().find(|held| held.id == id))
    }

    /// Returns what a job is for.
    pub fn purpose(&self, ticket: u64) -> Option<&Purpose> {
        self.jobs.iter().find(|(other, _)| *other == ticket).map(|(_, purpose)| purpose)
    }

    /// Returns the ticket of the job that writes an answer in a conversation.
    pub fn answering(&self, id: &str) -> Option<(u64, MessageId)> {
        self.jobs.iter().find_map(|(ticket, purpose)| match purpose {
            Purpose::Reply { place, .. } if place.conversation == id => {
                Some((*ticket, place.message))
            }
            _ => None,
        })
    }

    /// Returns the conversations that jobs are writing into.
    pub fn being_written(&self) -> impl Iterator<Item = &Conversation> {
        let all = self.open.iter().chain(&self.held);
        all.filter(|one| self.answering(&one.id).is_some())
    }

    /// Tells whether the house writer is busy with the picture prompt.
    pub fn helps_prompt(&self) -> bool {
        self.jobs.iter().any(|(_, purpose)| *purpose == Purpose::Prompt)
    }

    /// Tells whether a picture of a paragraph is on its way.
    pub fn illustrates(&self, id: &str, message: MessageId, paragraph: usize) -> bool {
        self.jobs.iter().any(|(_, purpose)| match purpose {
            Purpose::Wording(place, which) | Purpose::Picture(place, which) => {
                place.conversation == id && place.message == message && *which == paragraph
            }
            _ => false,
        })
    }

    /// Returns the most memory that the next answer takes, in bytes.
    pub fn needed_memory_bytes(&self) -> Option<u64> {
        let need = self.model()?.need?;
        let read = self.stats().map_or(0, |stats| stats.prompt_tokens + stats.written_tokens);
        // A token is some four letters of English, and at most a letter elsewhere.
        let said = self.draft.chars().count().div_ceil(2) as u32;
        Some(
            need.memory_bytes(read.saturating_add(said).saturating_add(self.settings().max_tokens)),
        )
    }

    /// Returns what the latest answer of the branch that is shown took.
    pub fn stats(&self) -> Option<WordsStats> {
        self.open.as_ref()?.branch().iter().rev().find_map(|message| message.stats)
    }
}

/// Holds what is remembered of the words room from one run of the program to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedWords {
    /// What was being written.
    pub draft: String,
    /// The conversation that was open; empty for none.
    pub open: String,
    /// How the model writes in the next conversation.
    pub settings: WordsSettings,
}
