//! What follows from reshaping a layer by its box, and from what takes so long that the desk does it.

use atelier_engine::EngineError;
use atelier_engine::canvas::{Gradient, GradientShape, Reshape};
use atelier_engine::protocol::Size;

use super::editor::{cancel_gesture, paint_layer};
use super::editor_object;
use super::project_effect::{Change, ProjectTask};
use super::{Effect, say_error};
use crate::action::ReshapeAction;
use crate::state::AppState;
use crate::state::editor::Tool;
use crate::state::reshaping::Reshaping;

/// Takes a tool. What is being reshaped is applied first; the box comes with its tool.
pub(super) fn take_tool(state: &mut AppState, tool: Tool) -> Vec<Effect> {
    if !editor_object::may_take(state, tool) {
        return Vec::new();
    }
    let effects = apply_shape(state);
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return effects };
    cancel_gesture(editor);
    editor_object::forget(editor);
    editor.tools.tool = tool;
    if tool == Tool::Transform && effects.is_empty() {
        begin_shape(state);
    }
    effects
}

/// Lays a box around the active layer.
pub(super) fn begin_shape(state: &mut AppState) {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return };
    if editor.is_changing || !editor.staging.candidates.is_empty() {
        return;
    }
    let Some(reshaping) = Reshaping::begin(&editor.document) else {
        let reason = "is empty or hidden: choose one with something on it";
        say_error(state, &EngineError::invalid("layer", reason));
        return;
    };
    if let Some(layer) = editor.document.layer_mut(reshaping.layer) {
        layer.is_visible = false;
    }
    editor.reshaping = Some(reshaping);
}

pub(super) fn update_shape(state: &mut AppState, action: ReshapeAction) -> Vec<Effect> {
    if action == ReshapeAction::Apply {
        return apply_shape(state);
    }
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    if editor.is_changing {
        return Vec::new();
    }
    if action == ReshapeAction::Cancel {
        cancel_gesture(editor);
        begin_shape(state);
        return Vec::new();
    }
    if editor.reshaping.is_none() {
        begin_shape(state);
    }
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    let Some(reshaping) = &mut editor.reshaping else { return Vec::new() };
    let shape = reshaping.shape;
    match action {
        ReshapeAction::Hold(grip, at) => reshaping.hold = Some((grip, at, shape)),
        ReshapeAction::DrawTo { at, plain } => {
            if let Some((grip, from, start)) = reshaping.hold {
                reshaping.shape = start.drawn(grip, from, at, plain);
            }
        }
        ReshapeAction::LetGo => reshaping.hold = None,
        ReshapeAction::Scale(scale) => reshaping.shape = Reshape { scale, ..shape }.in_range(),
        ReshapeAction::Turn(degrees) => reshaping.shape = Reshape { degrees, ..shape }.in_range(),
        ReshapeAction::Apply | ReshapeAction::Cancel => {}
    }
    Vec::new()
}

/// Has the desk make what the box says; nothing where it stands still.
fn apply_shape(state: &mut AppState) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    if editor.is_changing {
        return Vec::new();
    }
    let Some(reshaping) = editor.reshaping.as_ref() else { return Vec::new() };
    if reshaping.shape.is_still() {
        cancel_gesture(editor);
        return Vec::new();
    }
    let change = Change::Reshape(reshaping.layer, reshaping.shape);
    let before = reshaping.before.clone();
    ask_change(state, before, change)
}

/// Has the desk scale the whole document.
pub(super) fn resize(state: &mut AppState, size: Size) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    cancel_gesture(editor);
    if editor.document.size == size || editor.is_changing {
        return Vec::new();
    }
    let document = editor.document.clone();
    ask_change(state, document, Change::Resize(size))
}

/// Has the desk lay a gradient from the brush's colour to nothing on the layer.
pub(super) fn draw_gradient(state: &mut AppState, from: [f32; 2], to: [f32; 2]) -> Vec<Effect> {
    let Some(layer) = paint_layer(state) else { return Vec::new() };
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    let brush = editor.tools.brush;
    let [r, g, b, _] = brush.colour;
    let gradient = Gradient {
        shape: GradientShape::Linear,
        from,
        to,
        colours: [[r, g, b, 255], [r, g, b, 0]],
        opacity: brush.opacity,
    };
    let document = editor.document.clone();
    ask_change(state, document, Change::Gradient(layer, gradient))
}

pub(super) fn ask_change(
    state: &mut AppState,
    document: atelier_engine::canvas::Document,
    change: Change,
) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    editor.is_changing = true;
    let from = editor.trail.head();
    let document = Box::new(document);
    vec![Effect::Project(ProjectTask::Change { from, document, change })]
}
