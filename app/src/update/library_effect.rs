//! What the library room asks of its desk, and what the desk answers.

use std::path::PathBuf;

use atelier_engine::EngineError;
use atelier_engine::store::boards::BoardId;
use atelier_engine::store::search::LibraryQuery;

use crate::state::library::{Card, Shelves, Summary};
use crate::state::library_work::{WorkProgress, WorkReport};
use crate::state::{Entry, ResultId};

/// Asks the desk of the library room, which works on threads of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum ShelfTask {
    /// Finds results. Of several that wait only the last is carried out.
    Find {
        /// Its number.
        number: u64,
        /// What is looked for.
        query: Box<LibraryQuery>,
    },
    /// Reads boards, tags, models and counts.
    ReadShelves,
    /// Reads results and their thumbnails, in this order, in the place of all that were asked for
    /// before.
    ReadCards(Vec<ResultId>),
    /// Says what results have in common.
    Summarise {
        /// The number of the choice.
        version: u64,
        /// The results.
        ids: Vec<ResultId>,
    },
    /// Changes what is said about results.
    Mark(Vec<ResultId>, MarkChange),
    /// Changes the boards.
    Board(BoardChange),
    /// Moves results to the trash.
    Trash(Vec<ResultId>),
    /// Brings results back from the trash.
    Restore(Vec<ResultId>),
    /// Begins what takes its time.
    Begin(Work),
    /// Breaks that off.
    Stop,
}

/// Changes what is said about results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkChange {
    /// Makes favourites of them, or none any more.
    Favourite(bool),
    /// Gives stars.
    Rating(u8),
    /// Gives a tag.
    AddTag(String),
    /// Takes a tag away.
    RemoveTag(String),
}

/// Changes the boards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoardChange {
    /// Makes a board and puts results on it.
    New(String, Vec<ResultId>),
    /// Gives a board another name.
    Rename(BoardId, String),
    /// Removes a board; what is on it stays.
    Remove(BoardId),
    /// Puts results on a board.
    Add(BoardId, Vec<ResultId>),
    /// Takes results off a board.
    TakeOff(BoardId, Vec<ResultId>),
}

/// Is what takes its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Takes in folders and pictures.
    Import(Vec<PathBuf>),
    /// Copies results into a folder.
    Export(Vec<ResultId>, PathBuf),
    /// Compares every file; `true` also puts things in order.
    Check(bool),
}

/// Is what the desk answers.
#[derive(Debug, Clone)]
pub enum ShelfNews {
    /// What a search found.
    Found {
        /// Its number.
        number: u64,
        /// The results.
        ids: Vec<ResultId>,
    },
    /// Boards, tags, models and counts.
    Shelves(Box<Shelves>),
    /// Results that were asked for.
    Cards(Vec<Card>),
    /// What results have in common.
    Summary(Box<Summary>),
    /// What was said about results has changed, or could not be.
    Marked(Vec<ResultId>),
    /// The boards have changed, or could not be.
    BoardsChanged,
    /// Results are in the trash now.
    Trashed(Vec<ResultId>),
    /// Results came back from the trash.
    Restored(Vec<Entry>),
    /// How far the work is.
    Progress(WorkProgress),
    /// The work has ended.
    Ended(Box<WorkReport>),
    /// Something went wrong.
    Failed(EngineError),
}
