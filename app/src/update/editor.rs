//! What follows from what is done with the picture that is being edited: tools, layers, selection,
//! and the way through the tree of edits.

use std::sync::Arc;

use atelier_engine::EngineError;
use atelier_engine::canvas::{
    Area, Brush, Bucket, ColourMatch, Combine, Document, Flip, LayerId, LayerKind, QuarterTurn,
    Shape, ShapeStyle, Stroke, Tiles, combine, feather, flip, grow, invert, outline, paint_shape,
    pour, select_colour, shrink, turn,
};
use atelier_engine::protocol::{PictureRequest, Size};
use atelier_engine::store::projects::{EditKind, NodeId};

use super::editor_stage;
use super::project_effect::ProjectTask;
use super::{Effect, say_error};
use crate::action::{
    DocumentAction, EditorAction, LayerAction, Pen, SelectAction, Side, ToolAction,
};
use crate::i18n::Text;
use crate::state::editor::{Editor, Gesture, Tool};
use crate::state::{AppState, Thumbnail, View};

/// Selections of fewer pixels have their edge shown while they are painted.
const OUTLINE_PX: u64 = 2_000_000;

/// Changes the state as a person asked of the picture that is being edited.
pub(super) fn update_editor(state: &mut AppState, action: EditorAction) -> Vec<Effect> {
    match action {
        EditorAction::EditShown => return begin_with_shown(state),
        EditorAction::New => return begin_empty(state),
        EditorAction::BeginWith(name, document) => return begin(state, &name, *document),
        EditorAction::PickFile => return vec![Effect::PickPicture],
        EditorAction::OpenFile(path) => {
            return vec![Effect::Project(ProjectTask::ReadFile(path))];
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
        _ => {}
    }
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    match action {
        EditorAction::Undo => {
            // Undo while the pen is down takes back what the pen did.
            if editor.gesture.is_some() {
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
        EditorAction::WantThumbnail(id) => {
            if editor.thumbnail(id).is_none() {
                editor.set_thumbnail(id, Thumbnail::Awaited);
                return vec![Effect::Project(ProjectTask::ReadThumbnail(id))];
            }
        }
        EditorAction::ShowTab(tab) => editor.tab = tab,
        EditorAction::SetView(view) => editor.view = view,
        EditorAction::Tool(action) => set_tool(editor, action),
        EditorAction::Pen(pen) => return update_pen(state, pen),
        EditorAction::Layer(action) => return update_layer(state, action),
        EditorAction::Select(action) => return update_selection(state, action),
        _ => {}
    }
    Vec::new()
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

fn now_ms() -> i64 {
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
    let Some(document) = editor.at_hand(id).cloned() else {
        editor.awaited = Some(id);
        return vec![Effect::Project(ProjectTask::ReadDocument(id))];
    };
    arrive(editor, id, document);
    vec![Effect::Project(ProjectTask::GoTo(id))]
}

/// Shows the document of an edit that the person goes to.
pub(super) fn arrive(editor: &mut Editor, id: NodeId, document: Document) {
    editor.trail.go_to(id);
    editor.keep(id, document.clone());
    editor.document = document;
    editor.awaited = None;
    // Candidates were made for another document.
    editor.staging.candidates.clear();
    outline_again(editor);
}

fn set_tool(editor: &mut Editor, action: ToolAction) {
    let tools = &mut editor.tools;
    let brush = tools.brush;
    match action {
        ToolAction::Take(tool) => {
            tools.tool = tool;
            cancel_gesture(editor);
        }
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
        ToolAction::Cursor(at) => tools.cursor = at,
    }
}

/// Takes back what the pen did since it was put down.
fn cancel_gesture(editor: &mut Editor) {
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
fn paint_layer(state: &mut AppState) -> Option<LayerId> {
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

fn update_pen(state: &mut AppState, pen: Pen) -> Vec<Effect> {
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
                        before.and_then(|before| before.layer(id).map(|one| one.pixels.moved(by)))
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
    if !editor.staging.candidates.is_empty() {
        // First the candidates want an answer.
        return Vec::new();
    }
    let area = editor.document.area();
    let pixel = at.map(|side| side.floor() as i32);
    let tools = editor.tools.clone();
    let how = held.unwrap_or(tools.combine);
    // With Alt, what paints takes a colour instead.
    if tools.tool.paints() && held == Some(Combine::Subtract) {
        take_colour(editor, pixel);
        return Vec::new();
    }
    match tools.tool {
        Tool::Hand => {}
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
        Tool::Line | Tool::Rectangle | Tool::Ellipse => {
            editor.gesture = Some(Gesture::Shape { from: at, to: at, combine: how });
        }
        Tool::SelectRectangle | Tool::SelectEllipse => {
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
fn alpha_of(pixels: &Tiles<4>, within: Area) -> Tiles<1> {
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

fn update_selection(state: &mut AppState, action: SelectAction) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    cancel_gesture(editor);
    let area = editor.document.area();
    let old = editor.document.selection.take();
    let was = old.is_some();
    let new = match (action, old) {
        (SelectAction::All, _) => {
            let mut all = Tiles::default();
            all.fill(area, [255]);
            Some(all)
        }
        (SelectAction::Nothing, _) => None,
        (SelectAction::Invert, old) => Some(invert(&old.unwrap_or_default(), area)),
        (SelectAction::Grow(by), Some(old)) if by < 0 => {
            Some(shrink(&old, by.unsigned_abs() as f32, area))
        }
        (SelectAction::Grow(by), Some(old)) => Some(grow(&old, by as f32, area)),
        (SelectAction::Feather(by), Some(old)) => Some(feather(&old, by as f32, area)),
        (SelectAction::Layer, old) => {
            let layer = editor.document.active_layer();
            layer.map(|layer| alpha_of(&layer.pixels, area)).or(old)
        }
        (_, None) => None,
    };
    editor.document.selection = new.filter(|new| !new.is_empty());
    outline_again(editor);
    if !was && editor.document.selection.is_none() {
        return Vec::new();
    }
    commit(state, EditKind::Selected, "", None)
}

fn update_layer(state: &mut AppState, action: LayerAction) -> Vec<Effect> {
    let language = state.settings.language;
    if let LayerAction::Place(id) = action {
        return place_result(state, id);
    }
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    cancel_gesture(editor);
    let document = &mut editor.document;
    let active = document.active;
    let name = active.and_then(|id| document.layer(id)).map(|one| one.name.clone());
    let name = name.unwrap_or_default();
    let done = match (action, active) {
        (LayerAction::Add(kind), _) => {
            let name = match kind {
                LayerKind::Raster => Text::LayerPaint,
                LayerKind::Mask => Text::LayerMask,
                LayerKind::Control => Text::LayerControl,
                LayerKind::Reference => Text::LayerReference,
            };
            let number = document.layers.len() + 1;
            let name = format!("{} {number}", language.get(name));
            match document.add_layer(name.clone(), kind) {
                Ok(_) => Some((EditKind::LayerAdded, name)),
                Err(error) => {
                    say_error(state, &error);
                    return Vec::new();
                }
            }
        }
        // Which layer is worked on is no edit of its own.
        (LayerAction::Activate(id), _) => {
            document.active = Some(id);
            None
        }
        (LayerAction::Remove, Some(id)) => {
            document.remove_layer(id).then_some((EditKind::LayerRemoved, name))
        }
        (LayerAction::Duplicate, Some(id)) => {
            let copy = language.fill(Text::CopyOf, &[&name]);
            match document.duplicate_layer(id, copy.clone()) {
                Ok(_) => Some((EditKind::LayerAdded, copy)),
                Err(error) => {
                    say_error(state, &error);
                    return Vec::new();
                }
            }
        }
        (LayerAction::Shift(by), Some(id)) => document.position(id).and_then(|place| {
            let to = place.saturating_add_signed(by as isize).min(document.layers.len() - 1);
            document.move_layer(id, to);
            (to != place).then_some((EditKind::LayerChanged, name))
        }),
        (LayerAction::MergeDown, Some(id)) => {
            document.merge_down(id).then_some((EditKind::Merged, name))
        }
        (LayerAction::Show(id, shows), _) => document.layer_mut(id).map(|layer| {
            layer.is_visible = shows;
            (EditKind::LayerChanged, layer.name.clone())
        }),
        (LayerAction::Opacity(opacity, is_final), Some(id)) => {
            if let Some(layer) = document.layer_mut(id) {
                layer.opacity = opacity;
            }
            is_final.then_some((EditKind::LayerChanged, name))
        }
        (LayerAction::Blend(blend), Some(id)) => document.layer_mut(id).map(|layer| {
            layer.blend = blend;
            (EditKind::LayerChanged, layer.name.clone())
        }),
        (LayerAction::Rename(id, name), _) => document.layer_mut(id).map(|layer| {
            layer.name.clone_from(&name);
            (EditKind::LayerChanged, name)
        }),
        (LayerAction::Clear, Some(id)) => {
            let area = document.area();
            let selection = document.selection.clone();
            document.layer_mut(id).map(|layer| {
                clear(&mut layer.pixels, selection.as_ref(), area);
                (EditKind::Erased, name)
            })
        }
        _ => None,
    };
    match done {
        Some((kind, detail)) => commit(state, kind, &detail, None),
        None => Vec::new(),
    }
}

/// Makes what is selected transparent.
fn clear(pixels: &mut Tiles<4>, selection: Option<&Tiles<1>>, area: Area) {
    let Some(selection) = selection else {
        pixels.fill(area, [0; 4]);
        return;
    };
    let Some(bounds) = selection.bounds() else { return };
    let width = bounds.width_px as usize;
    let values = selection.read(bounds);
    pixels.change(bounds, |[x, y], row| {
        let start = (y - bounds.y) as usize * width + (x - bounds.x) as usize;
        let values = values.get(start..).unwrap_or_default();
        for (pixel, value) in row.chunks_exact_mut(4).zip(values) {
            let left = (u32::from(pixel[3]) * (255 - u32::from(*value)) + 127) / 255;
            pixel[3] = left as u8;
            if left == 0 {
                pixel.fill(0);
            }
        }
    });
}

fn place_result(state: &mut AppState, id: crate::state::ResultId) -> Vec<Effect> {
    let Some(pixels) = state.canvas.picture(id).cloned() else {
        state.canvas.place_when_here = Some(id);
        return super::want_picture(state, id);
    };
    let words = state.history.get(id).map(|entry| entry.recipe.words()).unwrap_or_default();
    let name = crate::widgets::elide(&words, 40);
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    let Size { width_px, height_px } = editor.document.size;
    let middle = |all: u32, one: u32| (i64::from(all) - i64::from(one)) as i32 / 2;
    let at = [middle(width_px, pixels.width_px), middle(height_px, pixels.height_px)];
    if let Err(error) = editor.document.place(&pixels, at, name.clone()) {
        say_error(state, &error);
        return Vec::new();
    }
    commit(state, EditKind::Placed, &name, None)
}

fn update_document(state: &mut AppState, action: DocumentAction) -> Vec<Effect> {
    match action {
        DocumentAction::Enlarge(times) => return editor_stage::enlarge(state, times),
        DocumentAction::Export => return editor_stage::export(state),
        _ => {}
    }
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    cancel_gesture(editor);
    let document = &mut editor.document;
    let whole = document.area();
    let done = match action {
        DocumentAction::Extend(side) => {
            let (area, new) = extended(whole, side);
            document.set_area(area).map(|()| {
                let mut selection = Tiles::default();
                selection.fill(new, [255]);
                document.selection = Some(selection);
                EditKind::Cropped
            })
        }
        DocumentAction::Crop => {
            let bounds = document.selection.as_ref().and_then(Tiles::bounds);
            let Some(bounds) = bounds.map(|one| one.intersect(whole)).filter(|one| *one != whole)
            else {
                let error =
                    EngineError::invalid("selection", "is empty: select what is to be kept first");
                say_error(state, &error);
                return Vec::new();
            };
            document.selection = None;
            document.set_area(bounds).map(|()| EditKind::Cropped)
        }
        DocumentAction::Flip { upright } => {
            let way = if upright { Flip::Vertical } else { Flip::Horizontal };
            for layer in &mut document.layers {
                layer.pixels = flip(&layer.pixels, whole, way);
            }
            let selection = document.selection.take();
            document.selection = selection.map(|one| flip(&one, whole, way));
            Ok(EditKind::Transformed)
        }
        DocumentAction::Turn => {
            for layer in &mut document.layers {
                layer.pixels = turn(&layer.pixels, whole, QuarterTurn::Right);
            }
            let selection = document.selection.take();
            document.selection = selection.map(|one| turn(&one, whole, QuarterTurn::Right));
            let Size { width_px, height_px } = document.size;
            document.size = Size { width_px: height_px, height_px: width_px };
            Ok(EditKind::Transformed)
        }
        _ => return Vec::new(),
    };
    match done {
        Ok(kind) => {
            if document.size != (Size { width_px: whole.width_px, height_px: whole.height_px }) {
                editor.view = View::Fit;
            }
            outline_again(editor);
            commit(state, kind, "", None)
        }
        Err(error) => {
            say_error(state, &error);
            Vec::new()
        }
    }
}

/// Returns the document's area with a quarter more on a side, and what is new in its own pixels.
fn extended(whole: Area, side: Side) -> (Area, Area) {
    let Area { width_px, height_px, .. } = whole;
    // Multiples of 32 keep the sizes that models like.
    let more = |side: u32| (side / 4).div_ceil(32).max(1) * 32;
    let (across, down) = (more(width_px), more(height_px));
    match side {
        Side::Left => (
            Area::new(-(across as i32), 0, width_px + across, height_px),
            Area::new(0, 0, across, height_px),
        ),
        Side::Right => (
            Area::new(0, 0, width_px + across, height_px),
            Area::new(width_px as i32, 0, across, height_px),
        ),
        Side::Top => (
            Area::new(0, -(down as i32), width_px, height_px + down),
            Area::new(0, 0, width_px, down),
        ),
        Side::Bottom => (
            Area::new(0, 0, width_px, height_px + down),
            Area::new(0, height_px as i32, width_px, down),
        ),
    }
}
