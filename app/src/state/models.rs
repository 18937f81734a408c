//! The model, the words it knows and the devices it can run on.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use atelier_engine::EngineError;
use atelier_engine::protocol::{DeviceChoice, ModelRef};

use super::PictureModels;

/// Finds the words of a text that a model never saw, as byte ranges.
pub type UnknownWords = Arc<dyn Fn(&str) -> Vec<Range<usize>> + Send + Sync>;

/// Holds what the window needs to know of a model.
#[derive(Clone)]
pub struct ModelInfo {
    /// The model with its hash.
    pub model: ModelRef,
    /// Its licence.
    pub licence: String,
    /// The styles that it knows, in its words.
    pub styles: Vec<String>,
    /// Finds the words that it does not know.
    pub unknown_words: UnknownWords,
}

impl fmt::Debug for ModelInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelInfo({})", self.model.name)
    }
}

/// Says whether there is a model.
#[derive(Debug, Clone, Default)]
pub enum ModelStatus {
    /// It is being looked for.
    #[default]
    Searching,
    /// It is here.
    Ready(ModelInfo),
    /// It is not.
    Missing(EngineError),
}

/// Holds a device that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEntry {
    /// What is written into a request.
    pub choice: DeviceChoice,
    /// What the device calls itself.
    pub label: String,
}

/// Holds the model and the devices.
#[derive(Debug, Clone, Default)]
pub struct ModelsState {
    /// The model.
    pub status: ModelStatus,
    /// The devices that are here, the fastest first.
    pub devices: Vec<DeviceEntry>,
    /// The models of the Stable Diffusion family.
    pub pictures: PictureModels,
    /// How much memory is free for models, in bytes: the most that was seen, because models in
    /// memory make room for others; `None` where the system does not say.
    pub free_memory_bytes: Option<u64>,
}

impl ModelsState {
    /// Tells whether so much memory can be had.
    pub fn has_room(&self, needed_bytes: u64) -> bool {
        self.free_memory_bytes.is_none_or(|free| needed_bytes <= free)
    }

    /// Returns the model when it is here.
    pub fn ready(&self) -> Option<&ModelInfo> {
        match &self.status {
            ModelStatus::Ready(info) => Some(info),
            ModelStatus::Searching | ModelStatus::Missing(_) => None,
        }
    }

    /// Returns the words of `text` that the house model never saw, each once, as they were written;
    /// none while another model paints.
    pub fn unknown_words(&self, text: &str) -> Vec<String> {
        let Some(info) = self.ready().filter(|_| self.pictures.chosen.is_none()) else {
            return Vec::new();
        };
        let mut joined: Vec<Range<usize>> = Vec::new();
        for range in (info.unknown_words)(text) {
            // Chinese characters come one by one; those that stand together are one word.
            match joined.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => joined.push(range),
            }
        }
        let mut words: Vec<String> = Vec::new();
        for range in joined {
            if let Some(word) = text.get(range)
                && !words.iter().any(|known| known == word)
            {
                words.push(word.to_owned());
            }
        }
        words
    }
}
