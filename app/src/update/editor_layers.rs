//! What follows from what is done with layers, the selection and the whole of the picture that is being
//! edited.

use atelier_engine::EngineError;
use atelier_engine::canvas::{
    Area, Flip, Guiding, LayerKind, QuarterTurn, Tiles, feather, flip, grow, invert, shrink, turn,
};
use atelier_engine::protocol::Size;
use atelier_engine::store::projects::EditKind;

use super::editor::{cancel_gesture, commit, outline_again};
use super::editor_pen::alpha_of;
use super::project_effect::ProjectTask;
use super::{Effect, editor_shape, editor_stage, say_error};
use crate::action::{DocumentAction, LayerAction, SelectAction, Side};
use crate::i18n::Text;
use crate::state::{AppState, View};

/// The colour of a mask layer that is made of a selection.
const MASK_INK: [u8; 3] = [226, 72, 58];

pub(super) fn update_selection(state: &mut AppState, action: SelectAction) -> Vec<Effect> {
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

pub(super) fn update_layer(state: &mut AppState, action: LayerAction) -> Vec<Effect> {
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
                Ok(id) => {
                    // The only ControlNet there is, or the first, needs no choosing.
                    let first = state.models.pictures.found.controls.first();
                    let path = first.map(|entry| entry.path.to_string_lossy().into_owned());
                    let hint = path.as_deref().map(super::hint_of).unwrap_or_default();
                    if let Some(layer) = document.layer_mut(id).filter(|one| one.guiding.is_some())
                    {
                        layer.guiding = Some(Guiding { hint, model: path, ..Guiding::default() });
                    }
                    Some((EditKind::LayerAdded, name))
                }
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
        (LayerAction::Guide(guiding, is_final), Some(id)) => {
            if let Some(layer) = document.layer_mut(id) {
                layer.guiding = Some(guiding);
            }
            is_final.then_some((EditKind::LayerChanged, name))
        }
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
        (LayerAction::MaskOfSelection, _) => match document.selection.clone() {
            None => {
                say_error(state, &nothing_selected());
                return Vec::new();
            }
            Some(selection) => {
                let name = language.get(Text::LayerMask);
                let name = format!("{name} {}", document.layers.len() + 1);
                match document.add_layer(name.clone(), LayerKind::Mask) {
                    Ok(id) => document.layer_mut(id).map(|layer| {
                        layer.pixels = mask_of(&selection);
                        (EditKind::LayerAdded, name)
                    }),
                    Err(error) => {
                        say_error(state, &error);
                        return Vec::new();
                    }
                }
            }
        },
        _ => None,
    };
    match done {
        Some((kind, detail)) => commit(state, kind, &detail, None),
        None => Vec::new(),
    }
}

/// Says that something must be selected first.
pub(super) fn nothing_selected() -> EngineError {
    EngineError::invalid("selection", "is empty: select something first")
}

/// Returns the pixels of a mask layer that covers what is selected.
fn mask_of(selection: &Tiles<1>) -> Tiles<4> {
    let mut pixels = Tiles::default();
    for (at, tile) in selection.iter() {
        let rgba: Vec<u8> = tile
            .iter()
            .flat_map(|alpha| {
                MASK_INK.map(|ink| if *alpha > 0 { ink } else { 0 }).into_iter().chain([*alpha])
            })
            .collect();
        pixels.set_tile(at, rgba.into());
    }
    pixels
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

pub(super) fn update_document(state: &mut AppState, action: DocumentAction) -> Vec<Effect> {
    match action {
        DocumentAction::Enlarge(times) => return editor_stage::enlarge(state, times, None),
        DocumentAction::CutOut => return editor_stage::cut_out(state),
        DocumentAction::CutSelection => return editor_stage::cut_selection(state),
        DocumentAction::Export => return editor_stage::export(state),
        DocumentAction::Resize(size) => return editor_shape::resize(state, size),
        DocumentAction::Copy => {
            let Some(editor) = state.canvas.editor.as_deref() else { return Vec::new() };
            let document = Box::new(editor.document.clone());
            return vec![Effect::Project(ProjectTask::Copy(document))];
        }
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
