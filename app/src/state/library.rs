//! The library room: what is looked for, what was found, what is chosen of it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use atelier_engine::store::Marks;
use atelier_engine::store::boards::{Board, BoardId};
use atelier_engine::store::search::{Day, LibraryQuery, QueryNotice};

use super::library_work::WorkState;
use super::{Entry, ResultId, Thumbnail};

/// The least and the greatest side of a thumbnail in the grid, in points.
pub const SIDES: [f32; 2] = [96.0, 240.0];

/// How many results are kept at hand at least, in sight or not.
const CARDS_LEAST: usize = 256;

/// Holds what the grid and the side panel show of a result.
#[derive(Debug, Clone)]
pub struct Card {
    /// The result with its recipe and its thumbnail.
    pub entry: Entry,
    /// The day on which it was saved.
    pub day: Option<Day>,
    /// Width and height of a picture in pixels, where they are known.
    pub size_px: Option<[u32; 2]>,
    /// The size of its file.
    pub file_bytes: Option<u64>,
    /// What was said about it.
    pub marks: Marks,
    /// Whether it is in the trash.
    pub is_trashed: bool,
}

/// Keeps the results that were in sight last, so many that memory stays bounded.
#[derive(Debug, Clone, Default)]
pub struct Cards {
    kept: HashMap<ResultId, (Card, u64)>,
    /// What is at hand, but has changed since it was read.
    outdated: HashSet<ResultId>,
    clock: u64,
    limit: usize,
}

impl Cards {
    /// Returns what is at hand of a result.
    pub fn get(&self, id: ResultId) -> Option<&Card> {
        self.kept.get(&id).map(|(card, _)| card)
    }

    /// Returns what is at hand of a result, to be changed.
    pub fn get_mut(&mut self, id: ResultId) -> Option<&mut Card> {
        self.kept.get_mut(&id).map(|(card, _)| card)
    }

    /// Returns how many are at hand.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Tells whether none is at hand.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Notes what is in sight now; those go that were out of sight longest, when there are many.
    pub fn see(&mut self, ids: &[ResultId]) {
        self.clock += 1;
        for id in ids {
            if let Some((_, seen)) = self.kept.get_mut(id) {
                *seen = self.clock;
            }
        }
        self.limit = CARDS_LEAST.max(ids.len() * 2 + 64);
        self.drop_oldest();
    }

    /// Tells whether a result is to be read.
    pub fn lacks(&self, id: ResultId) -> bool {
        !self.kept.contains_key(&id) || self.outdated.contains(&id)
    }

    /// Takes a result in. A picture never changes, so a thumbnail that is here stays.
    pub fn put(&mut self, mut card: Card) {
        let id = card.entry.id;
        self.outdated.remove(&id);
        if let Some((known, _)) = self.kept.get(&id)
            && !matches!(known.entry.thumbnail, Thumbnail::Unknown)
        {
            card.entry.thumbnail = known.entry.thumbnail.clone();
        }
        self.kept.insert(id, (card, self.clock));
        // Some more than the limit, so that not every one that comes sorts all of them.
        if self.kept.len() > self.limit.max(CARDS_LEAST) * 5 / 4 {
            self.drop_oldest();
        }
    }

    /// Notes that a result has changed, so that it is read again; until then it is shown as it was.
    pub fn outdate(&mut self, id: ResultId) {
        if self.kept.contains_key(&id) {
            self.outdated.insert(id);
        }
    }

    /// Notes that everything may have changed.
    pub fn outdate_all(&mut self) {
        self.outdated.extend(self.kept.keys());
    }

    fn drop_oldest(&mut self) {
        let limit = self.limit.max(CARDS_LEAST);
        if self.kept.len() <= limit {
            return;
        }
        let mut by_age: Vec<(u64, ResultId)> =
            self.kept.iter().map(|(id, (_, seen))| (*seen, *id)).collect();
        by_age.sort_unstable();
        for (_, id) in &by_age[..by_age.len() - limit] {
            self.kept.remove(id);
            self.outdated.remove(id);
        }
    }
}

/// Says what is to be asked of the library again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stale {
    /// Nothing.
    #[default]
    Nothing,
    /// What the query finds.
    Found,
    /// That, and boards, tags and models.
    Everything,
}

/// Holds what is looked for.
#[derive(Debug, Clone, Default)]
pub struct SearchState {
    /// What stands in the search field; the one place that says what is looked for.
    pub text: String,
    /// How it is read.
    pub query: LibraryQuery,
    /// What of it was not understood.
    pub notices: Vec<QueryNotice>,
    /// When it is asked of the library, on the window's clock: a moment after the last key.
    pub due_secs: Option<f64>,
    /// The number of the latest search that was asked for.
    pub asked: u64,
}

/// Holds what was found.
#[derive(Debug, Clone, Default)]
pub struct FoundState {
    /// The results, in the order of the query.
    pub ids: Vec<ResultId>,
    /// Whether the library has answered at all.
    pub is_loaded: bool,
    /// What was found belongs to this text.
    pub text: String,
    /// What is at hand of the results.
    pub cards: Cards,
}

/// Holds how the grid lies in its window.
#[derive(Debug, Clone, PartialEq)]
pub struct GridState {
    /// The wanted side of a thumbnail, in points.
    pub side: f32,
    /// Which results are in sight, by their places.
    pub sight: Range<usize>,
    /// How many stand side by side.
    pub columns: usize,
    /// How many rows are in sight.
    pub rows: usize,
    /// The place that is to be scrolled into sight, and whether to the very top.
    pub reveal: Option<(usize, bool)>,
    /// Counts what is to be scrolled into sight.
    pub reveals: u64,
}

impl Default for GridState {
    fn default() -> Self {
        Self { side: 148.0, sight: 0..0, columns: 1, rows: 1, reveal: None, reveals: 0 }
    }
}

impl GridState {
    /// Asks for a place to be scrolled into sight; `is_top` puts it first.
    pub fn reveal(&mut self, place: usize, is_top: bool) {
        self.reveal = Some((place, is_top));
        self.reveals += 1;
    }
}

/// Holds what is chosen.
#[derive(Debug, Clone, Default)]
pub struct PickState {
    /// The result that the keyboard is at.
    pub focus: Option<ResultId>,
    /// The result from which a stretch is chosen.
    pub anchor: Option<ResultId>,
    /// The chosen results.
    pub ids: HashSet<ResultId>,
    /// Counts changes of the choice; a summary has the number of its own.
    pub version: u64,
    /// What several chosen results have in common, once the library has said it.
    pub summary: Option<Summary>,
    /// The tag that is being written.
    pub tag_draft: String,
}

/// Says what several results have in common.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// The choice that it belongs to.
    pub version: u64,
    /// How many results were looked at; of very many, only the first.
    pub looked_at: usize,
    /// The size of their files together.
    pub bytes: u64,
    /// How many are favourites.
    pub favourites: usize,
    /// Their stars, where all have the same.
    pub rating: Option<u8>,
    /// Their tags, each with how many have it.
    pub tags: Vec<(String, usize)>,
    /// Their boards, each with how many are on it.
    pub boards: Vec<(BoardId, usize)>,
}

/// Holds what the library has, for the list at the left and the menus.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shelves {
    /// How many results there are.
    pub all: usize,
    /// How many are favourites.
    pub favourites: usize,
    /// How many are on no board.
    pub unboarded: usize,
    /// The boards.
    pub boards: Vec<Board>,
    /// The tags, each with how many results have it.
    pub tags: Vec<(String, usize)>,
    /// The models, each with how many results it made.
    pub models: Vec<(String, usize)>,
    /// Which day it is.
    pub today: Option<Day>,
}

/// Says what is being done with a board in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoardEdit {
    /// A new one gets this name; results that it is for go onto it.
    New(String, Vec<ResultId>),
    /// One gets another name.
    Rename(BoardId, String),
    /// The person is asked whether it is to go.
    Delete(BoardId),
}

/// Names what the list at the left offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shelf {
    /// Everything.
    All,
    /// Favourites.
    Favourites,
    /// What is on no board.
    Unboarded,
    /// A board, by its name.
    Board(String),
}

/// Holds the library room.
#[derive(Debug, Clone, Default)]
pub struct LibraryState {
    /// What is looked for.
    pub search: SearchState,
    /// What was found.
    pub found: FoundState,
    /// How the grid lies.
    pub grid: GridState,
    /// What is chosen.
    pub pick: PickState,
    /// What the library has.
    pub shelves: Shelves,
    /// What is being done with a board.
    pub board_edit: Option<BoardEdit>,
    /// What takes its time, and what came of it.
    pub work: WorkState,
    /// What was deleted here, the latest last.
    pub deleted: Vec<Vec<ResultId>>,
    /// What is to be asked again.
    pub stale: Stale,
}

impl LibraryState {
    /// Notes that something is to be asked again.
    pub fn outdate(&mut self, what: Stale) {
        self.stale = self.stale.max(what);
    }

    /// Returns the place of a result in what was found.
    pub fn place_of(&self, id: ResultId) -> Option<usize> {
        self.found.ids.iter().position(|other| *other == id)
    }

    /// Returns the chosen results in the order of the grid.
    pub fn picked(&self) -> Vec<ResultId> {
        let picked = &self.pick.ids;
        match picked.len() {
            0 | 1 => picked.iter().copied().collect(),
            _ => self.found.ids.iter().copied().filter(|id| picked.contains(id)).collect(),
        }
    }

    /// Returns the one result that is chosen, with what is at hand of it.
    pub fn only_card(&self) -> Option<&Card> {
        match self.pick.ids.len() {
            1 => self.pick.ids.iter().next().and_then(|id| self.found.cards.get(*id)),
            _ => None,
        }
    }

    /// Returns the name of a board.
    pub fn board(&self, id: &BoardId) -> Option<&Board> {
        self.shelves.boards.iter().find(|board| board.id == *id)
    }

    /// Tells whether anything narrows what is listed.
    pub fn is_narrowed(&self) -> bool {
        let everything = LibraryQuery { order: self.search.query.order, ..LibraryQuery::default() };
        self.search.query != everything
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use atelier_engine::protocol::{DeviceChoice, ModelRef};
    use std::sync::Arc;

    use super::*;
    use crate::state::{PromptState, Recipe};

    fn card(id: ResultId) -> Card {
        let request = PromptState::default().request(ModelRef::named("m"), DeviceChoice::Auto);
        let recipe = Recipe::Picture(Arc::new(request));
        Card {
            entry: Entry { id, recipe, file: None, thumbnail: Thumbnail::Unknown },
            day: None,
            size_px: None,
            file_bytes: None,
            marks: Marks::default(),
            is_trashed: false,
        }
    }

    #[test]
    fn cards_stay_few_and_those_in_sight_stay() {
        let mut cards = Cards::default();
        for first in (0..100_000).step_by(500) {
            let sight: Vec<ResultId> = (first..first + 40).collect();
            cards.see(&sight);
            for id in &sight {
                cards.put(card(*id));
            }
            assert!(sight.iter().all(|id| cards.get(*id).is_some()), "{first}");
            assert!(cards.len() <= CARDS_LEAST * 5 / 4, "{}", cards.len());
        }
        cards.see(&[99_500]);
        assert!(cards.len() <= CARDS_LEAST && cards.get(99_500).is_some());
        assert!(cards.get(0).is_none());
        cards.outdate(99_500);
        assert!(cards.get(99_500).is_some() && cards.lacks(99_500));
        cards.put(card(99_500));
        assert!(!cards.lacks(99_500));
    }

    #[test]
    fn chosen_results_keep_the_order_of_the_grid() {
        let mut library = LibraryState::default();
        library.found.ids = vec![9, 4, 7, 1];
        library.pick.ids = [1, 9, 7].into_iter().collect();
        assert_eq!(library.picked(), [9, 7, 1]);
        assert_eq!(library.place_of(7).unwrap(), 2);
    }
}
