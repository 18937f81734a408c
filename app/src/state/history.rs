//! The results in the film strip, pictures and pieces of music, newest first.

use std::path::PathBuf;
use std::sync::Arc;

use atelier_engine::protocol::{EnlargeRequest, PictureRequest, Pixels, SoundRequest};

use super::{NotesSketch, ResultId};

/// How many results are asked of the library at once.
pub const PAGE: usize = 60;

/// Holds one result of the film strip.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number.
    pub id: ResultId,
    /// The recipe that makes it again.
    pub recipe: Recipe,
    /// Where it is saved.
    pub file: Option<PathBuf>,
    /// A small picture of it.
    pub thumbnail: Thumbnail,
}

/// Holds the recipe of a result, which says what it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Recipe {
    /// Of a picture.
    Picture(Arc<PictureRequest>),
    /// Of a piece of music.
    Sound(Arc<SoundRequest>),
    /// Of an enlarged picture, with that of the picture it was made from where that has one.
    Enlarged(Arc<EnlargeRequest>, Option<Arc<PictureRequest>>),
}

impl Recipe {
    /// Makes the recipe of an enlarged picture.
    pub fn enlarged(request: EnlargeRequest) -> Self {
        let painted = request.painted().cloned().map(Arc::new);
        Self::Enlarged(Arc::new(request), painted)
    }

    /// Returns the words that the result was made of.
    pub fn words(&self) -> String {
        match self {
            Self::Picture(recipe) => recipe.prompt.with_styles(),
            Self::Sound(recipe) => recipe.prompt.trim().to_owned(),
            Self::Enlarged(recipe, _) => format!("{} ×{}", recipe.title(), recipe.factor),
        }
    }

    /// Returns the seed.
    pub fn seed(&self) -> u64 {
        match self {
            Self::Picture(recipe) => recipe.seed,
            Self::Sound(recipe) => recipe.seed,
            Self::Enlarged(recipe, _) => recipe.seed(),
        }
    }

    /// Tells whether the result is a picture, painted or enlarged.
    pub fn is_picture(&self) -> bool {
        !matches!(self, Self::Sound(_))
    }

    /// Returns the recipe that a picture was painted with, if it is one and has one.
    pub fn picture(&self) -> Option<&Arc<PictureRequest>> {
        match self {
            Self::Picture(recipe) => Some(recipe),
            Self::Enlarged(_, painted) => painted.as_ref(),
            Self::Sound(_) => None,
        }
    }

    /// Returns the recipe of a piece of music, if it is one.
    pub fn sound(&self) -> Option<&Arc<SoundRequest>> {
        match self {
            Self::Picture(_) | Self::Enlarged(..) => None,
            Self::Sound(recipe) => Some(recipe),
        }
    }
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
    /// It is a piece of music, whose notes are drawn.
    Notes(Arc<NotesSketch>),
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
    /// The oldest result of the pages that were read; older ones are here only because somebody
    /// opened them in the library room.
    pub read_to: Option<ResultId>,
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

    /// Returns the pictures, newest first.
    pub fn pictures(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.recipe.is_picture())
    }

    /// Returns the newest picture.
    pub fn newest_picture(&self) -> Option<ResultId> {
        self.pictures().next().map(|entry| entry.id)
    }

    /// Returns the place of a result, 0 for the newest.
    pub fn position(&self, id: ResultId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == id)
    }

    /// Takes in a page of results, the next older ones or the newest.
    pub fn take_page(&mut self, entries: Vec<Entry>, has_older: bool) {
        let oldest = entries.iter().map(|entry| entry.id).min();
        let is_next = match (oldest, self.read_to) {
            (Some(oldest), Some(read_to)) => oldest < read_to,
            // An empty page is the end.
            _ => true,
        };
        if is_next {
            self.has_older = has_older;
            self.read_to = oldest.or(self.read_to);
        }
        self.merge(entries);
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
