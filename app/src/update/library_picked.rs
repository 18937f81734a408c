//! What is done with the chosen results of the library room.

use super::library::{mark, read_cards};
use super::library_effect::{MarkChange, ShelfTask};
use super::{Effect, leave, update_history};
use crate::action::{
    Action, EditorAction, HistoryAction, PickAction, PickMode, PickedAction, Step,
};
use crate::i18n::Text;
use crate::state::library::{SIDES, Stale};
use crate::state::{AppState, MessageKind, Remedy, ResultId};

/// Of more chosen results than this, only the first are looked at for what they have in common.
pub const SUMMARISED: usize = 1000;

/// Chooses how large thumbnails are; what was in front stays in sight.
pub(super) fn set_side(state: &mut AppState, side: f32) {
    let grid = &mut state.shell.library.grid;
    let side = side.clamp(SIDES[0], SIDES[1]);
    if side.is_finite() && side != grid.side {
        grid.side = side;
        let place = grid.sight.start;
        grid.reveal(place, true);
    }
}

/// Chooses results.
pub(super) fn pick(state: &mut AppState, action: PickAction) -> Vec<Effect> {
    let library = &mut state.shell.library;
    match action {
        PickAction::One(id, mode) => choose(state, id, mode),
        PickAction::Step(step, extends) => {
            let Some(last) = library.found.ids.len().checked_sub(1) else { return Vec::new() };
            let at = library.pick.focus.and_then(|id| library.place_of(id));
            let (columns, page) =
                (library.grid.columns, library.grid.columns * library.grid.rows.max(1));
            let to = match (at, step) {
                (_, Step::First) => 0,
                (_, Step::Last) => last,
                // The first key only shows where the keyboard is.
                (None, _) => library.grid.sight.start.min(last),
                (Some(at), Step::Left) => at.saturating_sub(1),
                (Some(at), Step::Right) => (at + 1).min(last),
                (Some(at), Step::Up) if at >= columns => at - columns,
                (Some(at), Step::Up) => at,
                (Some(at), Step::Down) if at + columns <= last => at + columns,
                // Below the end of the last row there is nothing, but the last row itself.
                (Some(at), Step::Down) if at / columns < last / columns => last,
                (Some(at), Step::Down) => at,
                (Some(at), Step::PageUp) if at >= page => at - page,
                (Some(at), Step::PageUp) => at % columns,
                (Some(at), Step::PageDown) => (at + page).min(last),
            };
            let id = library.found.ids[to];
            library.grid.reveal(to, false);
            choose(state, id, if extends { PickMode::Stretch } else { PickMode::Only });
        }
        PickAction::All => {
            library.pick.ids = library.found.ids.iter().copied().collect();
            if library.pick.focus.is_none() {
                library.pick.focus = library.found.ids.first().copied();
            }
            changed(state);
        }
        PickAction::Nothing => {
            library.pick.ids.clear();
            library.pick.anchor = None;
            changed(state);
        }
    }
    let mut effects = picked_anew(state);
    effects.extend(read_cards(state));
    effects
}

fn changed(state: &mut AppState) {
    let pick = &mut state.shell.library.pick;
    pick.version += 1;
    pick.summary = None;
    pick.tag_draft.clear();
}

fn choose(state: &mut AppState, id: ResultId, mode: PickMode) {
    let library = &mut state.shell.library;
    match mode {
        PickMode::Only => {
            library.pick.ids.clear();
            library.pick.ids.insert(id);
            library.pick.anchor = Some(id);
        }
        PickMode::Toggle => {
            if !library.pick.ids.remove(&id) {
                library.pick.ids.insert(id);
            }
            library.pick.anchor = Some(id);
        }
        PickMode::Stretch => {
            let to = library.place_of(id);
            let anchor = library.pick.anchor.or(library.pick.focus).unwrap_or(id);
            let from = library.place_of(anchor);
            if let (Some(from), Some(to)) = (from, to) {
                let stretch = &library.found.ids[from.min(to)..=from.max(to)];
                library.pick.ids = stretch.iter().copied().collect();
                library.pick.anchor = Some(anchor);
            }
        }
    }
    library.pick.focus = Some(id);
    changed(state);
}

/// Asks what several chosen results have in common.
pub(super) fn picked_anew(state: &AppState) -> Vec<Effect> {
    let library = &state.shell.library;
    if library.pick.ids.len() < 2 {
        return Vec::new();
    }
    let mut ids = library.picked();
    ids.truncate(SUMMARISED);
    vec![Effect::Shelf(ShelfTask::Summarise { version: library.pick.version, ids })]
}

/// Does something with the chosen results.
pub(super) fn picked(state: &mut AppState, action: PickedAction) -> Vec<Effect> {
    let library = &mut state.shell.library;
    let ids = library.picked();
    let change = match action {
        PickedAction::Open => return with_one(state, HistoryAction::Show),
        PickedAction::Copy => return with_one(state, HistoryAction::Copy),
        PickedAction::OpenFolder => return with_one(state, HistoryAction::OpenFolder),
        PickedAction::Reuse => {
            let mut effects = with_one(state, HistoryAction::Reuse);
            if !effects.is_empty() && state.shell.room == crate::state::Room::Library {
                effects.extend(super::enter(state, crate::state::Room::Pictures));
            }
            return effects;
        }
        PickedAction::Edit => {
            let picture = latest(state).filter(|(_, is_picture)| *is_picture);
            if picture.is_none() {
                return Vec::new();
            }
            let mut effects = with_one(state, HistoryAction::Show);
            effects.extend(super::update(state, Action::Editor(EditorAction::EditShown)));
            return effects;
        }
        PickedAction::SetTagDraft(text) => {
            library.pick.tag_draft = text;
            return Vec::new();
        }
        PickedAction::Delete => return delete(state, ids),
        PickedAction::Restore => {
            return match ids.is_empty() {
                true => Vec::new(),
                false => vec![Effect::Shelf(ShelfTask::Restore(ids))],
            };
        }
        PickedAction::ToggleFavourite => {
            // All become what the one at the keyboard is not.
            let focus = library.pick.focus.filter(|id| library.pick.ids.contains(id));
            let focus = focus.or_else(|| ids.first().copied());
            let card = focus.and_then(|id| library.found.cards.get(id));
            MarkChange::Favourite(!card.is_some_and(|card| card.marks.is_favourite))
        }
        PickedAction::Rate(stars) => MarkChange::Rating(stars.min(5)),
        PickedAction::AddTag(tag) => {
            library.pick.tag_draft.clear();
            if tag.trim().is_empty() {
                return Vec::new();
            }
            MarkChange::AddTag(tag)
        }
        PickedAction::RemoveTag(tag) => MarkChange::RemoveTag(tag),
    };
    mark(state, ids, change)
}

/// Returns the latest chosen result, and whether it is a picture.
fn latest(state: &AppState) -> Option<(ResultId, bool)> {
    let library = &state.shell.library;
    let focus = library.pick.focus.filter(|id| library.pick.ids.contains(id));
    let id = focus.or_else(|| library.picked().first().copied())?;
    let card = library.found.cards.get(id)?;
    Some((id, card.entry.recipe.is_picture()))
}

/// Does with the latest chosen result what is done with results elsewhere.
fn with_one(state: &mut AppState, action: fn(ResultId) -> HistoryAction) -> Vec<Effect> {
    let Some((id, _)) = latest(state) else { return Vec::new() };
    if let Some(card) = state.shell.library.found.cards.get(id) {
        // What lies in the trash can be read, but is in no film strip.
        if card.is_trashed {
            super::say(state, MessageKind::Note, Text::RestoreFirst);
            return Vec::new();
        }
        let entry = card.entry.clone();
        state.history.merge([entry]);
    }
    update_history(state, action(id))
}

/// Moves results to the trash.
fn delete(state: &mut AppState, ids: Vec<ResultId>) -> Vec<Effect> {
    let library = &mut state.shell.library;
    let is_kept = |id: &ResultId| !library.found.cards.get(*id).is_some_and(|one| one.is_trashed);
    let ids: Vec<ResultId> = ids.into_iter().filter(is_kept).collect();
    if ids.is_empty() {
        return Vec::new();
    }
    // The keyboard goes to the one after them.
    let gone: std::collections::HashSet<ResultId> = ids.iter().copied().collect();
    let place = library.found.ids.iter().position(|id| gone.contains(id)).unwrap_or(0);
    library.found.ids.retain(|id| !gone.contains(id));
    let next = place.min(library.found.ids.len().saturating_sub(1));
    let next = library.found.ids.get(next).copied();
    library.pick.ids = next.into_iter().collect();
    (library.pick.focus, library.pick.anchor) = (next, next);
    library.deleted.push(ids.clone());
    changed(state);
    let mut effects = vec![Effect::Shelf(ShelfTask::Trash(ids.clone()))];
    for id in &ids {
        effects.extend(leave(state, *id).1);
    }
    let language = state.settings.language;
    let text = match ids.len() {
        1 => language.get(Text::DeletedResult).to_owned(),
        count => language.fill(Text::DeletedResults, &[&count]),
    };
    let (now, remedy) = (state.jobs.clock_secs, Some(Remedy::UndoLibraryDelete));
    state.messages.show(now, MessageKind::Note, text, String::new(), remedy);
    effects.extend(read_cards(state));
    effects
}

/// Brings back what was deleted last in the library room.
pub(super) fn undo_delete(state: &mut AppState) -> Vec<Effect> {
    let Some(ids) = state.shell.library.deleted.pop() else { return Vec::new() };
    let toasts = &mut state.messages.toasts;
    toasts.retain(|toast| toast.remedy != Some(Remedy::UndoLibraryDelete));
    state.shell.library.outdate(Stale::Everything);
    vec![Effect::Shelf(ShelfTask::Restore(ids))]
}
