//! Boards: named collections in an order of their own. A result may be on any number of them, and
//! one that is deleted is on none any more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::error::EngineError;

use super::index::{BoardRow, Index};
use super::marks::checked_name;
use super::recovery::now_ms;
use super::words::folded;
use super::{Store, unknown};

/// Positions that lie closer than this are given anew.
const LEAST_GAP: f64 = 1e-6;

/// Names a board; it stays the same when the board is renamed or the index is made again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BoardId(pub String);

/// Describes a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// Its id.
    pub id: BoardId,
    /// Its name, which no other board has in any case.
    pub name: String,
    /// How many results are on it, without trashed ones.
    pub count: usize,
}

impl Store {
    /// Lists the boards in the user's order.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn boards(&self) -> Result<Vec<Board>, EngineError> {
        let rows = self.home().index().boards()?;
        let board = |BoardRow { id, name, count, .. }| Board { id: BoardId(id), name, count };
        Ok(rows.into_iter().map(board).collect())
    }

    /// Makes an empty board, the last in the order.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the name is empty, longer than 100 characters, has
    /// control characters or is taken, else as [`Store::set_favourite`].
    pub fn add_board(&self, name: &str) -> Result<BoardId, EngineError> {
        let name = checked_name("board", name)?;
        self.home().index().together(|index| {
            index.catch_up_with_journal()?;
            let boards = index.boards()?;
            check_free(&boards, &name, None)?;
            let position = boards.last().map_or(0.0, |last| last.position) + 1.0;
            let id = new_id();
            index.set_boards(&[BoardRow { id: id.clone(), name, position, count: 0 }])?;
            Ok(BoardId(id))
        })
    }

    /// Gives a board another name.
    ///
    /// # Errors
    /// As [`Store::add_board`]; [`EngineError::InvalidSetting`] when there is no such board.
    pub fn rename_board(&self, board: &BoardId, name: &str) -> Result<(), EngineError> {
        let name = checked_name("board", name)?;
        self.home().index().together(|index| {
            let (boards, at) = find(index, board)?;
            check_free(&boards, &name, Some(&board.0))?;
            index.set_boards(&[BoardRow { name, ..boards[at].clone() }])
        })
    }

    /// Removes a board. What was on it stays in the library.
    ///
    /// # Errors
    /// As [`Store::set_favourite`]; [`EngineError::InvalidSetting`] when there is no such board.
    pub fn remove_board(&self, board: &BoardId) -> Result<(), EngineError> {
        self.home().index().together(|index| {
            find(index, board)?;
            index.remove_board(&board.0)
        })
    }

    /// Puts a board before another one in the order, or at the end.
    ///
    /// # Errors
    /// As [`Store::remove_board`].
    pub fn move_board(&self, board: &BoardId, before: Option<&BoardId>) -> Result<(), EngineError> {
        self.home().index().together(|index| {
            let (mut boards, at) = find(index, board)?;
            let moved = boards.remove(at);
            let at = match before.filter(|before| *before != board) {
                Some(before) => boards
                    .iter()
                    .position(|other| other.id == before.0)
                    .ok_or_else(|| no_board(before))?,
                None if before.is_some() => return Ok(()),
                None => boards.len(),
            };
            boards.insert(at, moved);
            // Boards are few: all of them get a position.
            for (number, board) in boards.iter_mut().enumerate() {
                board.position = (number + 1) as f64;
            }
            index.set_boards(&boards)
        })
    }

    /// Puts results on a board, after what is there, in this order; those that are on it stay where
    /// they are.
    ///
    /// # Errors
    /// As [`Store::remove_board`]; [`EngineError::InvalidSetting`] when there is no such result.
    pub fn add_to_board(&self, board: &BoardId, ids: &[i64]) -> Result<(), EngineError> {
        self.home().index().together(|index| {
            find(index, board)?;
            let on_board = index.on_board(&board.0)?;
            let mut last = on_board.last().map_or(0.0, |(_, position)| *position);
            let known: HashMap<i64, f64> = on_board.into_iter().collect();
            let mut positions = HashMap::new();
            for id in ids.iter().filter(|id| !known.contains_key(id)) {
                index.file_of(*id)?.ok_or_else(|| unknown(*id))?;
                last += 1.0;
                positions.entry(*id).or_insert(last);
            }
            place(index, board, ids, &positions)
        })
    }

    /// Takes results off a board; they stay in the library.
    ///
    /// # Errors
    /// As [`Store::remove_board`].
    pub fn remove_from_board(&self, board: &BoardId, ids: &[i64]) -> Result<(), EngineError> {
        self.home().index().together(|index| {
            find(index, board)?;
            index
                .change_marks(ids, |_, marks| marks.boards.retain(|on, _| *on != board.0))
                .map(drop)
        })
    }

    /// Puts results that are on a board before another one of it, or at the end, in this order.
    ///
    /// # Errors
    /// As [`Store::remove_board`]; [`EngineError::InvalidSetting`] when a result is not on it.
    pub fn move_on_board(
        &self,
        board: &BoardId,
        ids: &[i64],
        before: Option<i64>,
    ) -> Result<(), EngineError> {
        self.home().index().together(|index| {
            find(index, board)?;
            let on_board = index.on_board(&board.0)?;
            let is_on = |id: &i64| on_board.iter().any(|(other, _)| other == id);
            if let Some(stranger) = ids.iter().chain(before.as_ref()).find(|id| !is_on(id)) {
                let reason = "is not on this board";
                return Err(EngineError::invalid(format!("result {stranger}"), reason));
            }
            let mut stay = on_board.clone();
            stay.retain(|(id, _)| !ids.contains(id));
            // Before one that moves itself means before what follows it.
            let at = match before {
                None => stay.len(),
                Some(before) => {
                    let old = on_board.iter().position(|(id, _)| *id == before).unwrap_or(0);
                    let next = on_board[old..].iter().find(|(id, _)| !ids.contains(id));
                    next.and_then(|(next, _)| stay.iter().position(|(id, _)| id == next))
                        .unwrap_or(stay.len())
                }
            };
            let lower = at.checked_sub(1).map(|at| stay[at].1);
            let upper = stay.get(at).map(|(_, position)| *position);
            let count = ids.len() as f64 + 1.0;
            let (from, gap) = match (lower, upper) {
                (Some(lower), Some(upper)) => (lower, (upper - lower) / count),
                (None, Some(upper)) => (upper - count, 1.0),
                (lower, None) => (lower.unwrap_or(0.0), 1.0),
            };
            let mut order: Vec<i64> = stay.iter().map(|(id, _)| *id).collect();
            order.splice(at..at, ids.iter().copied());
            let (from, gap, moved) = match gap < LEAST_GAP {
                true => (0.0, 1.0, order.as_slice()),
                false => (from, gap, ids),
            };
            let numbers = moved.iter().zip(1..).map(|(id, n)| (*id, from + gap * f64::from(n)));
            place(index, board, moved, &numbers.collect())
        })
    }
}

fn place(
    index: &Index,
    board: &BoardId,
    ids: &[i64],
    positions: &HashMap<i64, f64>,
) -> Result<(), EngineError> {
    let put = |id: i64, marks: &mut super::Marks| {
        if let Some(position) = positions.get(&id) {
            marks.boards.insert(board.0.clone(), *position);
        }
    };
    index.change_marks(ids, put).map(drop)
}

fn find(index: &Index, board: &BoardId) -> Result<(Vec<BoardRow>, usize), EngineError> {
    index.catch_up_with_journal()?;
    let boards = index.boards()?;
    let at = boards.iter().position(|row| row.id == board.0).ok_or_else(|| no_board(board))?;
    Ok((boards, at))
}

fn no_board(board: &BoardId) -> EngineError {
    EngineError::invalid(format!("board {}", board.0), "is not in the library")
}

fn check_free(boards: &[BoardRow], name: &str, own: Option<&str>) -> Result<(), EngineError> {
    let name = folded(name);
    match boards.iter().any(|row| folded(&row.name) == name && Some(row.id.as_str()) != own) {
        true => Err(EngineError::invalid("board", "must have a name that no other board has")),
        false => Ok(()),
    }
}

fn new_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{:x}-{count:x}", now_ms(), std::process::id())
}
