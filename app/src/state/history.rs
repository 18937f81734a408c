//! The results in the film strip, newest first.

use std::path::PathBuf;
use std::sync::Arc;

use atelier_engine::protocol::{PictureRequest, Pixels};

use super::ResultId;

/// How many results are asked of the library at once.
pub const PAGE: usize = 60;

/// Holds one result of the film strip.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number.
    pub id: ResultId,
    /// The recipe that makes it again.
    pub recipe: Arc<PictureRequest>,
    /// Where it is saved.
    pub file: Option<PathBuf>,
    /// A small picture of it.
    pub thumbnail: Thumbnail,
}

/// Says whether a small picture is at hand.
#[derive(Debug, Clone, Default)]
pub enum Thumbnail {
    /// Nobody has asked for it.
    #[default]
    Unknown,
    /// The library was asked.
    Awaited,
    /// It is here.
    Ready(Arc<Pixels>),
}

/// Holds the film strip.
#[derive(Debug, Clone, Default)]
pub struct HistoryState {
    /// The results, newest first.
    pub entries: Vec<Entry>,
    /// Whether the library has answered at all.
    pub loaded: bool,
    /// Whether the library has older results.
    pub has_older: bool,
    /// Whether older results were asked for and have not come.
    pub awaits_older: bool,
    /// Deleted results with their places, the latest last; what undo brings back.
    pub deleted: Vec<(usize, Entry)>,
    /// Counts the times when the shown result is to be scrolled into sight.
    pub reveal: u64,
}

impl HistoryState {
    /// Returns a result by its number.
    pub fn get(&self, id: ResultId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// Returns the place of a result, 0 for the newest.
    pub fn position(&self, id: ResultId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == id)
    }

    /// Adds results where their numbers put them; those that are there already stay.
    pub fn merge(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            if self.get(entry.id).is_none()
                && !self.deleted.iter().any(|(_, deleted)| deleted.id == entry.id)
            {
                self.entries.push(entry);
            }
        }
        self.entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    }

    /// Adds the newest result in front.
    pub fn push_newest(&mut self, entry: Entry) {
        self.entries.retain(|other| other.id != entry.id);
        self.entries.insert(0, entry);
    }
}
