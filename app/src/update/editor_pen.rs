//! What follows from what the pen does on the picture that is being edited.

use atelier_engine::canvas::{
    Area, Brush, Bucket, ColourMatch, Combine, Document, Shape, ShapeStyle, Stroke, Tiles, combine,
    paint_shape, pour, select_colour, shift,
};
use atelier_engine::store::projects::EditKind;

use super::Effect;
use super::editor::{cancel_gesture, commit, outline_again, paint_layer};
use super::editor_layers::update_selection;
use super::editor_object;
use super::editor_shape::draw_gradient;
use crate::action::{Pen, SelectAction};
use crate::state::AppState;
use crate::state::editor::{Editor, Gesture, Tool};

/// Selections of fewer pixels have their edge shown while they are painted.
const OUTLINE_PX: u64 = 2_000_000;

pub(super) fn update_pen(state: &mut AppState, pen: Pen) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    let area = editor.document.area();
    match pen {
        Pen::Down { at, pressure, combine: how } => return pen_down(state, at, pressure, how),
        Pen::To { at, pressure } => match &mut editor.gesture {
            Some(Gesture::Stroke { layer, stroke, combine: how }) => {
                stroke.add(at, pressure);
                match layer {
                    Some(id) => {
                        let result = stroke.result().clone();
                        if let Some(layer) = editor.document.layer_mut(*id) {
                            layer.pixels = result;
                        }
                    }
                    None => {
                        let how = *how;
                        let painted = alpha_of(stroke.result(), area);
                        take_selection(editor, &painted, how);
                        let bounds = editor.document.selection.as_ref().and_then(Tiles::bounds);
                        // The edge of a large selection is found when the pen is lifted.
                        if bounds.is_none_or(|bounds| bounds.pixels() < OUTLINE_PX) {
                            outline_again(editor);
                        }
                    }
                }
            }
            Some(Gesture::Shape { to, .. }) => *to = at,
            Some(Gesture::Lasso { points, .. }) => points.push(at),
            Some(Gesture::Move { from, by }) => {
                *by = [at[0] - from[0], at[1] - from[1]].map(|side| side.round() as i32);
                let (by, head) = (*by, editor.trail.head());
                let before = head.and_then(|head| editor.at_hand(head)).cloned();
                if let Some(id) = editor.document.active
                    && let Some(pixels) =
                        before.and_then(|before| before.layer(id).map(|one| shift(&one.pixels, by)))
                    && let Some(layer) = editor.document.layer_mut(id)
                {
                    layer.pixels = pixels;
                }
            }
            None => {}
        },
        Pen::Cancel => cancel_gesture(editor),
        Pen::Up => return pen_up(state),
    }
    Vec::new()
}

fn pen_down(
    state: &mut AppState,
    at: [f32; 2],
    pressure: f32,
    held: Option<Combine>,
) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    cancel_gesture(editor);
    if !editor.staging.candidates.is_empty() || editor.is_changing {
        // First the candidates want an answer, or the desk is at it.
        return Vec::new();
    }
    let area = editor.document.area();
    let pixel = at.map(|side| side.floor() as i32);
    let tools = editor.tools.clone();
    let how = match tools.tool {
        Tool::SelectObject => held.unwrap_or_default(),
        _ => held.unwrap_or(tools.combine),
    };
    // With Alt, what paints takes a colour instead.
    if tools.tool.paints() && held == Some(Combine::Subtract) {
        take_colour(editor, pixel);
        return Vec::new();
    }
    match tools.tool {
        Tool::Hand | Tool::Transform => {}
        Tool::Move => {
            if editor.document.active.is_some() {
                editor.gesture = Some(Gesture::Move { from: at, by: [0, 0] });
            }
        }
        Tool::Brush | Tool::Eraser => {
            let Some(id) = paint_layer(state) else { return Vec::new() };
            let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
            let brush = Brush { erases: tools.tool == Tool::Eraser, ..tools.brush };
            let base = editor.document.layer(id).map(|one| one.pixels.clone()).unwrap_or_default();
            let selection = editor.document.selection.clone();
            let stroke = Box::new(Stroke::new(brush, base, selection, area));
            editor.gesture = Some(Gesture::Stroke { layer: Some(id), stroke, combine: how });
            return update_pen(state, Pen::To { at, pressure });
        }
        Tool::SelectBrush => {
            let brush = Brush { erases: false, opacity: 1.0, ..tools.brush };
            let stroke = Box::new(Stroke::new(brush, Tiles::default(), None, area));
            // Painting a selection adds to it, as one paints on.
            let how = if how == Combine::Replace { Combine::Add } else { how };
            editor.gesture = Some(Gesture::Stroke { layer: None, stroke, combine: how });
            return update_pen(state, Pen::To { at, pressure });
        }
        Tool::Line | Tool::Rectangle | Tool::Ellipse | Tool::Gradient => {
            editor.gesture = Some(Gesture::Shape { from: at, to: at, combine: how });
        }
        Tool::SelectRectangle | Tool::SelectEllipse | Tool::SelectObject => {
            editor.gesture = Some(Gesture::Shape { from: at, to: at, combine: how });
        }
        Tool::Lasso => {
            editor.gesture = Some(Gesture::Lasso { points: vec![at], combine: how });
        }
        Tool::Fill => {
            let Some(id) = paint_layer(state) else { return Vec::new() };
            let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
            let matching = ColourMatch { tolerance: tools.tolerance, ..ColourMatch::default() };
            let selection = editor.document.selection.clone();
            let (colour, opacity) = (tools.brush.colour, tools.brush.opacity);
            let bucket = Bucket { colour, opacity, matching };
            let seen = seen(&editor.document);
            if let Some(layer) = editor.document.layer_mut(id) {
                pour(&mut layer.pixels, &seen, pixel, bucket, selection.as_ref(), area);
            }
            return commit(state, EditKind::Filled, "", None);
        }
        Tool::SelectColour => {
            let seen = seen(&editor.document);
            let matching = ColourMatch { tolerance: tools.tolerance, ..ColourMatch::default() };
            let selected = select_colour(&seen, pixel, matching, area);
            take_selection(editor, &selected, how);
            outline_again(editor);
            return commit(state, EditKind::Selected, "", None);
        }
        Tool::Eyedropper => take_colour(editor, pixel),
    }
    Vec::new()
}

/// Takes the colour of a pixel as it is seen.
fn take_colour(editor: &mut Editor, pixel: [i32; 2]) {
    let one = Area::new(pixel[0], pixel[1], 1, 1);
    if editor.document.area().contains(pixel)
        && let [r, g, b, alpha] = editor.document.composite(one)[..]
        && alpha > 0
    {
        editor.tools.brush.colour = [r, g, b, 255];
    }
}

fn pen_up(state: &mut AppState) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    let Some(gesture) = editor.gesture.take() else { return Vec::new() };
    let area = editor.document.area();
    let tool = editor.tools.tool;
    let shape = gesture.shape(tool);
    let kind = match gesture {
        Gesture::Stroke { layer: Some(_), .. } if tool == Tool::Eraser => EditKind::Erased,
        Gesture::Stroke { layer: Some(_), .. } => EditKind::Painted,
        Gesture::Stroke { layer: None, .. } => {
            outline_again(editor);
            EditKind::Selected
        }
        Gesture::Move { by: [0, 0], .. } => return Vec::new(),
        Gesture::Move { .. } => EditKind::Transformed,
        Gesture::Shape { combine: how, from, to } if tool == Tool::SelectObject => {
            // Whichever key is held: what is pointed at is not part of it.
            return editor_object::point(state, [from, to], how == Combine::Replace);
        }
        Gesture::Shape { combine: how, from, to } if tool.selects() => {
            if from == to {
                // A click beside a selection lets it go.
                return update_selection(state, SelectAction::Nothing);
            }
            let Some(shape) = shape else { return Vec::new() };
            select_shape(editor, &shape, how, area);
            EditKind::Selected
        }
        Gesture::Lasso { combine: how, points } => {
            let Some(shape) = shape.filter(|_| points.len() > 2) else { return Vec::new() };
            select_shape(editor, &shape, how, area);
            EditKind::Selected
        }
        Gesture::Shape { from, to, .. } if tool == Tool::Gradient => {
            return if from == to { Vec::new() } else { draw_gradient(state, from, to) };
        }
        Gesture::Shape { from, to, .. } => {
            let Some(shape) = shape.filter(|_| from != to) else { return Vec::new() };
            return draw_shape(state, &shape);
        }
    };
    commit(state, kind, "", None)
}

fn draw_shape(state: &mut AppState, shape: &Shape) -> Vec<Effect> {
    let Some(id) = paint_layer(state) else { return Vec::new() };
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    let tools = &editor.tools;
    let outlined = ShapeStyle::Outlined { width_px: tools.brush.size_px };
    let style = match tools.tool {
        Tool::Line => outlined,
        _ if tools.fills_shapes => ShapeStyle::Filled,
        _ => outlined,
    };
    let coverage = shape.coverage(style, editor.document.area());
    let selection = editor.document.selection.clone();
    let (colour, opacity) = (tools.brush.colour, tools.brush.opacity);
    if let Some(layer) = editor.document.layer_mut(id) {
        paint_shape(&mut layer.pixels, &coverage, colour, opacity, selection.as_ref());
    }
    commit(state, EditKind::Drawn, "", None)
}

/// Returns what is seen of a document, as one plane.
fn seen(document: &Document) -> Tiles<4> {
    let mut seen = Tiles::default();
    for place in Tiles::<4>::touched(document.area()) {
        if let Some(tile) = document.composite_tile(place) {
            seen.set_tile(place, tile);
        }
    }
    seen
}

/// Returns the alpha of a plane as a selection.
pub(super) fn alpha_of(pixels: &Tiles<4>, within: Area) -> Tiles<1> {
    let mut alpha = Tiles::default();
    for (at, tile) in pixels.iter() {
        let bytes: Vec<u8> = tile.chunks_exact(4).map(|pixel| pixel[3]).collect();
        alpha.set_tile(at, bytes.into());
    }
    alpha.keep_within(within);
    alpha
}

fn select_shape(editor: &mut Editor, shape: &Shape, how: Combine, area: Area) {
    let selected = shape.coverage(ShapeStyle::Filled, area);
    take_selection(editor, &selected, how);
    outline_again(editor);
}

/// Joins a selection to the one that was there before the gesture.
fn take_selection(editor: &mut Editor, selected: &Tiles<1>, how: Combine) {
    let head = editor.trail.head();
    let before = head.and_then(|head| editor.at_hand(head));
    let before = before.map_or(&editor.document, |before| before).selection.clone();
    let joined = combine(&before.unwrap_or_default(), selected, how);
    editor.document.selection = (!joined.is_empty()).then_some(joined);
}
