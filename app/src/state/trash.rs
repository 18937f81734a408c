//! The trash: what was deleted and can come back.

use super::{ResultId, Thumbnail};

/// Names something in the trash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TrashId {
    /// A picture, by its number.
    Picture(ResultId),
    /// A sound, by its number.
    Sound(ResultId),
    /// A conversation, by its name.
    Conversation(String),
}

/// Holds something in the trash.
#[derive(Debug, Clone)]
pub struct TrashItem {
    /// Its name.
    pub id: TrashId,
    /// The words that it was made from, or its title; may be empty.
    pub title: String,
    /// How much room it takes.
    pub bytes: u64,
    /// How long ago it was deleted, in seconds, when the trash was read.
    pub age_secs: u64,
    /// A small picture of a picture.
    pub thumbnail: Thumbnail,
}

/// Is what the person is asked before something goes for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrashQuestion {
    /// Whether one thing is to go.
    Delete(TrashId),
    /// Whether everything is to go.
    Empty,
}

/// Holds the view of the trash.
#[derive(Debug, Clone, Default)]
pub struct TrashState {
    /// Whether it is shown.
    pub open: bool,
    /// What is in it, the latest deleted first; `None` until the library has answered.
    pub items: Option<Vec<TrashItem>>,
    /// What the person is asked.
    pub question: Option<TrashQuestion>,
}

impl TrashState {
    /// Returns something in the trash.
    pub fn item(&self, id: &TrashId) -> Option<&TrashItem> {
        self.items.iter().flatten().find(|item| item.id == *id)
    }

    /// Returns how many things there are and how much room they take together, in bytes.
    pub fn total(&self) -> (usize, u64) {
        let items = self.items.as_deref().unwrap_or_default();
        (items.len(), items.iter().fold(0, |sum, item| sum.saturating_add(item.bytes)))
    }
}
