//! The library room: what follows from what is done there, and from what its desk says.

use atelier_engine::store::search::LibraryQuery;

use super::library_effect::{BoardChange, MarkChange, ShelfNews, ShelfTask, Work};
use super::library_filter::{filter, show};
use super::{Effect, LibraryTask, say_error};
use crate::action::{BoardAction, LibraryAction, WorkAction};
use crate::state::library::{BoardEdit, Shelf, Stale};
use crate::state::library_work::{WorkKind, WorkProgress, WorkReport};
use crate::state::{AppState, ResultId, Room};

/// How long the query waits for another key, in seconds.
const TYPING_SECS: f64 = 0.15;

/// Changes the state as a person asked in the library room.
pub(super) fn update_library(state: &mut AppState, action: LibraryAction) -> Vec<Effect> {
    let library = &mut state.shell.library;
    match action {
        LibraryAction::SetText(text) => {
            (library.search.query, library.search.notices) = LibraryQuery::parse_begun(&text);
            library.search.text = text;
            library.search.due_secs = Some(state.jobs.clock_secs + TYPING_SECS);
        }
        LibraryAction::Filter(action) => change_query(state, |query| filter(query, action)),
        LibraryAction::Show(shelf) => change_query(state, |query| show(query, shelf)),
        LibraryAction::Focus => return vec![Effect::FocusPrompt],
        LibraryAction::See([first, last, columns, rows]) => {
            let grid = &mut library.grid;
            (grid.sight, grid.columns, grid.rows) = (first..last, columns.max(1), rows.max(1));
            return read_cards(state);
        }
        LibraryAction::SetSide(side) => super::library_picked::set_side(state, side),
        LibraryAction::ScaleSide(factor) => {
            let side = library.grid.side * factor;
            super::library_picked::set_side(state, side);
        }
        LibraryAction::Pick(action) => return super::library_picked::pick(state, action),
        LibraryAction::Picked(action) => return super::library_picked::picked(state, action),
        LibraryAction::Board(action) => return update_boards(state, action),
        LibraryAction::Work(action) => return update_work(state, action),
        LibraryAction::UndoDelete => return super::library_picked::undo_delete(state),
    }
    Vec::new()
}

/// Changes the query and writes it into the search field.
fn change_query(state: &mut AppState, change: impl FnOnce(&mut LibraryQuery)) {
    let search = &mut state.shell.library.search;
    change(&mut search.query);
    search.text = search.query.to_string();
    search.notices.clear();
    search.due_secs = None;
    state.shell.library.outdate(Stale::Found);
}

/// Asks the library for what is not up to date any more, while the room is open.
pub(super) fn tend(state: &mut AppState) -> Vec<Effect> {
    let now = state.jobs.clock_secs;
    let library = &mut state.shell.library;
    if library.search.due_secs.is_some_and(|due| now >= due) {
        library.search.due_secs = None;
        library.outdate(Stale::Found);
    }
    if state.shell.room != Room::Library || state.settings.data_folder.is_none() {
        return Vec::new();
    }
    let stale = std::mem::take(&mut library.stale);
    let mut effects = Vec::new();
    if stale > Stale::Nothing {
        library.search.asked += 1;
        let (number, query) = (library.search.asked, Box::new(library.search.query.clone()));
        effects.push(Effect::Shelf(ShelfTask::Find { number, query }));
    }
    if stale == Stale::Everything {
        effects.push(Effect::Shelf(ShelfTask::ReadShelves));
    }
    effects
}

/// Asks for what is in sight and not at hand, and for what is about to come into sight.
pub(super) fn read_cards(state: &mut AppState) -> Vec<Effect> {
    let library = &mut state.shell.library;
    let count = library.found.ids.len();
    let sight = library.grid.sight.start.min(count)..library.grid.sight.end.min(count);
    let ids = &library.found.ids;
    library.found.cards.see(&ids[sight.clone()]);
    let half = sight.len() / 2;
    let below = sight.end..(sight.end + half).min(count);
    let above = sight.start.saturating_sub(half)..sight.start;
    let wanted = ids[sight].iter().chain(&ids[below]).chain(&ids[above]);
    let cards = &library.found.cards;
    let mut missing: Vec<ResultId> = wanted.copied().filter(|id| cards.lacks(*id)).collect();
    // What the side panel shows may be out of sight.
    let focus = library.pick.focus.filter(|id| cards.lacks(*id));
    missing.extend(focus.filter(|id| !missing.contains(id)));
    if missing.is_empty() {
        return Vec::new();
    }
    vec![Effect::Shelf(ShelfTask::ReadCards(missing))]
}

fn update_boards(state: &mut AppState, action: BoardAction) -> Vec<Effect> {
    let library = &mut state.shell.library;
    let change = match action {
        BoardAction::Edit(edit) => {
            library.board_edit = edit;
            return Vec::new();
        }
        BoardAction::NewForPicked => {
            library.board_edit = Some(BoardEdit::New(String::new(), library.picked()));
            return Vec::new();
        }
        BoardAction::Confirm => match library.board_edit.take() {
            Some(BoardEdit::New(name, ids)) if !name.trim().is_empty() => {
                BoardChange::New(name, ids)
            }
            Some(BoardEdit::Rename(id, name)) if !name.trim().is_empty() => {
                let old = library.board(&id).map(|board| board.name.clone());
                if old.as_ref() == Some(&name) {
                    return Vec::new();
                }
                // A query that names the board goes on naming it.
                if super::shelf_of(&library.search.query) == old.map(Shelf::Board) {
                    let new = Shelf::Board(name.clone());
                    change_query(state, |query| show(query, new));
                }
                BoardChange::Rename(id, name)
            }
            Some(BoardEdit::Delete(id)) => {
                let name = library.board(&id).map(|board| Shelf::Board(board.name.clone()));
                if super::shelf_of(&library.search.query) == name {
                    change_query(state, |query| show(query, Shelf::All));
                }
                BoardChange::Remove(id)
            }
            _ => return Vec::new(),
        },
        BoardAction::Add(board, ids) => {
            let ids = if ids.is_empty() { library.picked() } else { ids };
            BoardChange::Add(board, ids)
        }
        BoardAction::Remove(board) => BoardChange::TakeOff(board, library.picked()),
    };
    vec![Effect::Shelf(ShelfTask::Board(change))]
}

fn update_work(state: &mut AppState, action: WorkAction) -> Vec<Effect> {
    let library = &mut state.shell.library;
    let work = match action {
        WorkAction::PickImport => return vec![Effect::PickImportFolder],
        WorkAction::PickExport => {
            let ids = library.picked();
            let has_some = !ids.is_empty();
            return has_some.then_some(Effect::PickExportFolder(ids)).into_iter().collect();
        }
        WorkAction::Stop => {
            if let Some(running) = &mut library.work.running {
                running.is_stopping = true;
            }
            return vec![Effect::Shelf(ShelfTask::Stop)];
        }
        WorkAction::CloseReport => {
            library.work.report = None;
            return Vec::new();
        }
        WorkAction::Import(paths) => Work::Import(paths),
        WorkAction::Export(ids, folder) => Work::Export(ids, folder),
        WorkAction::Check(is_repair) => Work::Check(is_repair),
    };
    library.work.report = None;
    if library.work.running.is_none() {
        // The first sign that it was taken; further work waits for its turn.
        let kind = match &work {
            Work::Import(_) => WorkKind::Import,
            Work::Export(..) => WorkKind::Export,
            Work::Check(_) => WorkKind::Check,
        };
        let (file, is_stopping) = (String::new(), false);
        library.work.running = Some(WorkProgress { kind, done: 0, total: 0, file, is_stopping });
    }
    vec![Effect::Shelf(ShelfTask::Begin(work))]
}

/// Changes the state as the desk of the library says.
pub(super) fn apply_shelf(state: &mut AppState, news: ShelfNews) -> Vec<Effect> {
    let library = &mut state.shell.library;
    match news {
        ShelfNews::Found { number, ids } => {
            // An answer to what is no longer asked is passed over.
            if number == library.search.asked {
                take_found(state, ids);
                return read_cards(state);
            }
        }
        ShelfNews::Shelves(shelves) => library.shelves = *shelves,
        ShelfNews::Cards(cards) => {
            for card in cards {
                library.found.cards.put(card);
            }
        }
        ShelfNews::Summary(summary) => {
            if summary.version == library.pick.version {
                library.pick.summary = Some(*summary);
            }
        }
        ShelfNews::Marked(ids) => {
            for id in ids {
                library.found.cards.outdate(id);
            }
            library.outdate(Stale::Everything);
            let mut effects = read_cards(state);
            effects.extend(super::library_picked::picked_anew(state));
            return effects;
        }
        ShelfNews::BoardsChanged => {
            library.found.cards.outdate_all();
            library.outdate(Stale::Everything);
            let mut effects = read_cards(state);
            effects.extend(super::library_picked::picked_anew(state));
            return effects;
        }
        ShelfNews::Trashed(ids) => {
            for id in ids {
                library.found.cards.outdate(id);
            }
            library.outdate(Stale::Everything);
        }
        ShelfNews::Restored(entries) => {
            for entry in &entries {
                library.found.cards.outdate(entry.id);
            }
            library.outdate(Stale::Everything);
            state.history.deleted.retain(|(_, old)| !entries.iter().any(|new| new.id == old.id));
            state.history.merge(entries);
        }
        ShelfNews::Progress(progress) => {
            let is_stopping =
                library.work.running.as_ref().is_some_and(|running| running.is_stopping);
            library.work.running = Some(WorkProgress { is_stopping, ..progress });
        }
        ShelfNews::Ended(report) => {
            library.work.running = None;
            let is_import = matches!(*report, WorkReport::Import(_));
            library.work.report = Some(*report);
            library.found.cards.outdate_all();
            library.outdate(Stale::Everything);
            let mut effects = read_cards(state);
            if is_import {
                // The film strip shows what came, too.
                effects.push(Effect::Library(LibraryTask::ReadResults { before: None }));
            }
            return effects;
        }
        ShelfNews::Failed(error) => say_error(state, &error),
    }
    Vec::new()
}

/// Takes in what was found, and keeps the place in the grid where the query is the same.
fn take_found(state: &mut AppState, ids: Vec<ResultId>) {
    let library = &mut state.shell.library;
    let is_same = library.found.is_loaded && library.found.text == library.search.text;
    let first = library.grid.sight.start;
    let in_front = library.found.ids.get(first).copied();
    library.found.ids = ids;
    library.found.is_loaded = true;
    library.found.text = library.search.text.clone();
    if !is_same {
        library.grid.reveal(0, true);
        library.grid.sight = 0..library.grid.sight.len().max(library.grid.columns);
    } else if let Some(place) = in_front.and_then(|id| library.place_of(id))
        && first > 0
        && place != first
    {
        // What came or went above does not move what is looked at.
        library.grid.reveal(place, true);
        library.grid.sight = place..place + library.grid.sight.len();
    }
    // What is no longer listed is no longer chosen: nothing unseen is changed.
    let pick = &mut library.pick;
    if !pick.ids.is_empty() {
        let picked = &pick.ids;
        let left: std::collections::HashSet<ResultId> =
            library.found.ids.iter().copied().filter(|id| picked.contains(id)).collect();
        if left.len() != pick.ids.len() {
            pick.ids = left;
            pick.version += 1;
            pick.summary = None;
        }
    }
    let is_there = |id: &ResultId| library.found.ids.contains(id);
    pick.focus = pick.focus.filter(is_there);
    pick.anchor = pick.anchor.filter(is_there);
}

/// Changes what is at hand as it will be, and has the library change it.
pub(super) fn mark(state: &mut AppState, ids: Vec<ResultId>, change: MarkChange) -> Vec<Effect> {
    if ids.is_empty() {
        return Vec::new();
    }
    for id in &ids {
        let Some(card) = state.shell.library.found.cards.get_mut(*id) else { continue };
        match &change {
            MarkChange::Favourite(is_favourite) => card.marks.is_favourite = *is_favourite,
            MarkChange::Rating(stars) => card.marks.rating = *stars,
            // Tags are put in order by the library, which answers at once.
            MarkChange::AddTag(_) | MarkChange::RemoveTag(_) => {}
        }
    }
    vec![Effect::Shelf(ShelfTask::Mark(ids, change))]
}
