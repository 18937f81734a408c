//! What follows from what is done with the picture that is being edited: tools, layers, selection,
//! and the way through the tree of edits.

use std::path::Path;
use std::sync::Arc;

use atelier_engine::EngineError;
use atelier_engine::canvas::{Brush, Document, LayerId, LayerKind, outline};
use atelier_engine::protocol::PictureRequest;
use atelier_engine::store::projects::archive::ARCHIVE_EXTENSION;
use atelier_engine::store::projects::{EditKind, NodeId, PROJECT_EXTENSION};

use super::editor_layers::{update_document, update_layer, update_selection};
use super::editor_object;
use super::editor_pen::update_pen;
use super::editor_shape::{take_tool, update_shape};
use super::editor_stage;
use super::project_effect::ProjectTask;
use super::{Effect, say_error};
use crate::action::{EditorAction, ToolAction};
use crate::i18n::Text;
use crate::state::editor::{Comparing, Editor};
use crate::state::{AppState, Thumbnail};

/// Changes the state as a person asked of the picture that is being edited.
pub(super) fn update_editor(state: &mut AppState, action: EditorAction) -> Vec<Effect> {
    match action {
        EditorAction::EditShown => return begin_with_shown(state),
        EditorAction::New => return begin_empty(state),
        EditorAction::BeginWith(name, document) => return begin(state, &name, *document),
        EditorAction::PickFile => return vec![Effect::PickPicture],
        EditorAction::OpenFile(path) => {
            return vec![Effect::Project(match ending(&path).as_str() {
                ARCHIVE_EXTENSION => ProjectTask::Import(path),
                PROJECT_EXTENSION => ProjectTask::Open(path),
                _ => ProjectTask::ReadFile(path),
            })];
        }
        EditorAction::Open(path) => {
            return vec![Effect::Project(ProjectTask::Open(path))];
        }
        EditorAction::OpenLatest => return vec![Effect::Project(ProjectTask::OpenLatest)],
        EditorAction::Close => {
            state.canvas.editor = None;
            state.canvas.reopen = None;
            return vec![Effect::Project(ProjectTask::Close), Effect::SaveSettings];
        }
        EditorAction::Staging(action) => return editor_stage::update_staging(state, action),
        EditorAction::RunAgain(id) => return editor_stage::run_again(state, id),
        EditorAction::Document(action) => return update_document(state, action),
        EditorAction::Reshape(action) => return update_shape(state, action),
        EditorAction::Tool(ToolAction::Take(tool)) => return take_tool(state, tool),
        _ => {}
    }
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    match action {
        EditorAction::Undo => {
            // Undo while the pen is down takes back what the pen did.
            if editor.gesture.is_some() || editor.reshaping.is_some() {
                cancel_gesture(editor);
                return Vec::new();
            }
            let to = editor.trail.undo();
            return to.map(|to| go_to(state, to)).unwrap_or_default();
        }
        EditorAction::Redo => {
            let to = editor.trail.redo();
            return to.map(|to| go_to(state, to)).unwrap_or_default();
        }
        EditorAction::GoTo(id) => return go_to(state, id),
        EditorAction::CompareWith(id) => return compare_with(editor, id),
        EditorAction::EndComparing => end_comparing(editor),
        EditorAction::TakeSettings(id) => {
            // Whatever was written: the person asks for it.
            let by_hand = true;
            return vec![Effect::Project(ProjectTask::ReadSetting { node: id, by_hand })];
        }
        EditorAction::WantThumbnail(id) if editor.thumbnail(id).is_none() => {
            editor.set_thumbnail(id, Thumbnail::Awaited);
            return vec![Effect::Project(ProjectTask::ReadThumbnail(id))];
        }
        EditorAction::ShowTab(tab) => editor.tab = tab,
        EditorAction::SetView(view) => editor.view = view,
        EditorAction::Tool(action) => set_tool(editor, action),
        EditorAction::Object(action) => return editor_object::update_object(state, action),
        EditorAction::Pen(pen) => return update_pen(state, pen),
        EditorAction::Layer(action) => return update_layer(state, action),
        EditorAction::Select(action) => return update_selection(state, action),
        _ => {}
    }
    Vec::new()
}

/// Tells whether a file is a project, in one file or as it is kept here.
pub(super) fn is_project(path: &Path) -> bool {
    [ARCHIVE_EXTENSION, PROJECT_EXTENSION].contains(&ending(path).as_str())
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Writes the document as it is down as an edit.
pub(super) fn commit(
    state: &mut AppState,
    kind: EditKind,
    detail: &str,
    recipe: Option<PictureRequest>,
) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    let now_ms = now_ms();
    let node = editor.commit(kind, detail, recipe, now_ms);
    vec![Effect::Project(ProjectTask::Add(Box::new(node)))]
}

pub(super) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn begin_with_shown(state: &mut AppState) -> Vec<Effect> {
    let Some(id) = state.canvas.result() else { return Vec::new() };
    let Some(pixels) = state.canvas.picture(id).cloned() else {
        state.canvas.edit_when_here = Some(id);
        return super::want_picture(state, id);
    };
    let words = state.history.get(id).map(|entry| entry.recipe.words()).unwrap_or_default();
    let name = super::plain_name(&words, "picture");
    let layer = state.settings.language.get(Text::LayerPicture);
    match Document::of_picture(&pixels, layer) {
        Ok(document) => begin(state, &name, document),
        Err(error) => {
            say_error(state, &error);
            Vec::new()
        }
    }
}

fn begin_empty(state: &mut AppState) -> Vec<Effect> {
    let layer = state.settings.language.get(Text::LayerPaint);
    let made = Document::new(state.prompt.size).and_then(|mut document| {
        document.add_layer(layer, LayerKind::Raster)?;
        Ok(document)
    });
    match made {
        Ok(document) => begin(state, "canvas", document),
        Err(error) => {
            say_error(state, &error);
            Vec::new()
        }
    }
}

pub(super) fn begin(state: &mut AppState, name: &str, document: Document) -> Vec<Effect> {
    let (editor, node) = Editor::begin(name, document, now_ms());
    state.canvas.editor = Some(Box::new(editor));
    state.canvas.compare = None;
    vec![Effect::Project(ProjectTask::Create { name: name.to_owned(), first: Box::new(node) })]
}

/// Goes to an edit: at once where its document is at hand, else as soon as it is read.
pub(super) fn go_to(state: &mut AppState, id: NodeId) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    if editor.trail.get(id).is_none() {
        return Vec::new();
    }
    cancel_gesture(editor);
    // Prompt and settings go along where they were others there.
    let settings = |id| editor.trail.latest(EditKind::Setting, id);
    let here = editor.trail.head().and_then(settings);
    let there = settings(id).filter(|there| Some(*there) != here);
    let mut effects: Vec<Effect> = there.map(read_setting).into_iter().collect();
    effects.push(Effect::Project(match editor.at_hand(id).cloned() {
        Some(document) => {
            arrive(editor, id, document);
            ProjectTask::GoTo(id)
        }
        None => {
            editor.awaited = Some(id);
            ProjectTask::ReadDocument(id)
        }
    }));
    effects
}

fn read_setting(node: NodeId) -> Effect {
    Effect::Project(ProjectTask::ReadSetting { node, by_hand: false })
}

/// Compares the picture with an edit, or ends it where it is compared with that one.
fn compare_with(editor: &mut Editor, id: Option<NodeId>) -> Vec<Effect> {
    let is_compared = editor.compared.as_ref().map(|(known, _)| *known);
    let Some(id) = id.or_else(|| editor.trail.undo()).filter(|id| Some(*id) != is_compared) else {
        end_comparing(editor);
        return Vec::new();
    };
    cancel_gesture(editor);
    match editor.at_hand(id).cloned() {
        Some(document) => {
            begin_comparing(editor, id, document);
            Vec::new()
        }
        None => vec![Effect::Project(ProjectTask::ReadCompared(id))],
    }
}

/// Lays the document of an edit beside the one in sight.
pub(super) fn begin_comparing(editor: &mut Editor, id: NodeId, document: Document) {
    editor.compared = Some((id, document));
    if editor.staging.comparing == Comparing::Off {
        editor.staging.comparing = Comparing::Slider(0.5);
    }
}

fn end_comparing(editor: &mut Editor) {
    editor.compared = None;
    editor.staging.comparing = Comparing::Off;
}

/// Shows the document of an edit that the person goes to.
pub(super) fn arrive(editor: &mut Editor, id: NodeId, document: Document) {
    editor.trail.go_to(id);
    editor.keep(id, document.clone());
    editor.document = document;
    editor.awaited = None;
    // Candidates were made for another document, and so was what is pointed at.
    editor.staging.candidates.clear();
    editor_object::forget(editor);
    editor.reshaping = None;
    if editor.compared.as_ref().is_some_and(|(other, _)| *other == id) {
        end_comparing(editor);
    }
    outline_again(editor);
}

fn set_tool(editor: &mut Editor, action: ToolAction) {
    let tools = &mut editor.tools;
    let brush = tools.brush;
    match action {
        // It may end a reshaping, see `take_tool`.
        ToolAction::Take(tool) => tools.tool = tool,
        ToolAction::Size(size_px) => tools.brush = Brush { size_px, ..brush }.in_range(),
        ToolAction::SizeBy(factor) => {
            tools.brush = Brush { size_px: brush.size_px * factor, ..brush }.in_range();
        }
        ToolAction::Hardness(hardness) => tools.brush = Brush { hardness, ..brush }.in_range(),
        ToolAction::Opacity(opacity) => tools.brush = Brush { opacity, ..brush }.in_range(),
        ToolAction::Colour([r, g, b]) => tools.brush.colour = [r, g, b, 255],
        ToolAction::Combine(how) => tools.combine = how,
        ToolAction::Tolerance(tolerance) => tools.tolerance = tolerance,
        ToolAction::FillShapes(fills) => tools.fills_shapes = fills,
        ToolAction::Mode(mode) => tools.region_mode = mode,
        ToolAction::Strength(strength) => tools.strength = strength.clamp(0.05, 1.0),
        ToolAction::Refines(is_on) => tools.refining.is_on = is_on,
        ToolAction::RefineStrength(strength) => {
            tools.refining.strength = strength.clamp(0.05, 1.0);
        }
        ToolAction::Cursor(at) => tools.cursor = at,
    }
}

/// Takes back what the pen did since it was put down.
pub(super) fn cancel_gesture(editor: &mut Editor) {
    if let Some(reshaping) = editor.reshaping.take() {
        editor.document = reshaping.before;
    }
    if editor.gesture.take().is_some()
        && let Some(head) = editor.trail.head()
        && let Some(document) = editor.at_hand(head).cloned()
    {
        editor.document = document;
        outline_again(editor);
    }
}

/// Finds the edge of the selection once more.
pub(super) fn outline_again(editor: &mut Editor) {
    let lines = editor.document.selection.as_ref().map(outline);
    editor.outline = Arc::new(lines.unwrap_or_default());
}

/// Returns the layer that may be painted on; a picture without one gets one.
pub(super) fn paint_layer(state: &mut AppState) -> Option<LayerId> {
    let name = state.settings.language.get(Text::LayerPaint);
    let editor = state.canvas.editor.as_deref_mut()?;
    if let Some(layer) = editor.document.active_layer() {
        if layer.is_visible {
            return Some(layer.id);
        }
        let error = EngineError::invalid("layer", "is hidden: show it, or choose another");
        say_error(state, &error);
        return None;
    }
    editor.document.add_layer(name, LayerKind::Raster).ok()
}
