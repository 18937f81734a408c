//! What follows from pointing at something in the picture that is being edited: it is looked for, and what
//! is found becomes the selection.

use atelier_engine::protocol::{CutOutRequest, FoundObject, Request};
use atelier_engine::store::projects::EditKind;

use super::editor::{commit, outline_again};
use super::editor_stage::read_whole;
use super::project_effect::{FoundMask, JobPurpose, ProjectTask, Selected};
use super::{Effect, say};
use crate::action::ObjectAction;
use crate::i18n::Text;
use crate::state::editor::{Editor, Tool};
use crate::state::{AppState, MessageKind, ObjectState};

/// Tells whether the tool can be taken, and says what is missing where it cannot.
pub(super) fn may_take(state: &mut AppState, tool: Tool) -> bool {
    let may = tool != Tool::SelectObject || !state.models.pictures.found.segmenters.is_empty();
    if !may {
        say(state, MessageKind::Note, Text::ObjectNeedsModel);
    }
    may
}

/// Forgets what was pointed at.
pub(super) fn forget(editor: &mut Editor) {
    editor.tools.object = ObjectState::default();
}

/// Takes a place or a box that the pen said, and has what is meant looked for.
pub(super) fn point(
    state: &mut AppState,
    [from, to]: [[f32; 2]; 2],
    is_inside: bool,
) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    let size_px = editor.size_px();
    editor.tools.object.point(from, to, is_inside, size_px);
    look(state)
}

pub(super) fn update_object(state: &mut AppState, action: ObjectAction) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    match action {
        ObjectAction::Mask(mask) => {
            editor.tools.object.prompt.mask = mask;
            look(state)
        }
        ObjectAction::StartOver => {
            forget(editor);
            if editor.document.selection.take().is_none() {
                return Vec::new();
            }
            outline_again(editor);
            commit(state, EditKind::Selected, "", None)
        }
    }
}

/// Has the picture as it is shown to the engine, with all that was pointed at.
fn look(state: &mut AppState) -> Vec<Effect> {
    let (device, precision) = (state.settings.device, state.prompt.precision);
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    let object = &mut editor.tools.object;
    // What an older job finds is for fewer places.
    object.ticket = None;
    object.is_looking = !object.prompt.is_empty();
    if !object.is_looking {
        return Vec::new();
    }
    let mut request = CutOutRequest::of_object("", object.prompt.clone());
    (request.device, request.precision) = (device, precision);
    let document = editor.document.clone();
    read_whole(state, JobPurpose::FindObject, document, Request::CutOut(Box::new(request)))
}

/// Notes which job looks for what is pointed at.
pub(super) fn note_job(editor: &mut Editor, ticket: u64) {
    if editor.tools.object.is_looking {
        editor.tools.object.ticket = Some(ticket);
    }
}

/// Has what a job found made into a selection, unless more was pointed at meanwhile.
pub(super) fn take_found(
    state: &mut AppState,
    ticket: u64,
    found: &FoundObject,
    effects: &mut Vec<Effect>,
) {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return };
    if editor.tools.object.ticket != Some(ticket) {
        return;
    }
    editor.tools.object.found = found.chosen;
    let area = editor.document.area();
    let found = FoundMask { ticket, area, mask: found.mask.clone() };
    effects.push(Effect::Project(ProjectTask::TakeMask(found)));
}

/// Selects what was found.
pub(super) fn select(state: &mut AppState, selected: Selected) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    let object = &mut editor.tools.object;
    // Another size means another picture: it was cropped or turned meanwhile.
    if object.ticket != Some(selected.ticket) || editor.document.area() != selected.area {
        return Vec::new();
    }
    object.is_looking = false;
    let selection = (!selected.selection.is_empty()).then_some(selected.selection);
    if editor.document.selection == selection {
        return Vec::new();
    }
    editor.document.selection = selection;
    editor.outline = selected.outline;
    commit(state, EditKind::Selected, "", None)
}

/// Notes that a job ended, or that the picture never came to it.
pub(super) fn end(editor: &mut Editor, ticket: Option<u64>) {
    if editor.tools.object.ticket == ticket {
        editor.tools.object.is_looking = false;
    }
}
