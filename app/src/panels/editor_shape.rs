//! The box around a layer that is being reshaped: how it is drawn, and what the pointer does to it.

use atelier_engine::canvas::Grip;
use egui::{
    Color32, CursorIcon, DragValue, Mesh, PointerButton, Pos2, Rect, Shape, Stroke, Ui, pos2, vec2,
};

use super::editor_canvas::Placed;
use crate::action::{Action, EditorAction, ReshapeAction};
use crate::i18n::{Language, Text};
use crate::services::textures::Textures;
use crate::state::editor::Editor;
use crate::state::reshaping::Reshaping;
use crate::theme::{on_picture, palette, size};
use crate::widgets::Button;

/// How near to a grip the pointer must be, in points.
const REACH: f32 = 12.0;
/// The side of the square that shows a grip, in points.
const SQUARE: f32 = 8.0;

/// Lists the grips on the box: first the corners, which lie over the sides.
const GRIPS: [Grip; 8] = [
    Grip::Corner([-1, -1]),
    Grip::Corner([1, -1]),
    Grip::Corner([1, 1]),
    Grip::Corner([-1, 1]),
    Grip::Side([0, -1]),
    Grip::Side([1, 0]),
    Grip::Side([0, 1]),
    Grip::Side([-1, 0]),
];

/// Draws the layer where it is to go, with its box.
pub(super) fn shape_ui(
    ui: &Ui,
    reshaping: &Reshaping,
    placed: Placed,
    field: Rect,
    textures: &mut Textures,
) {
    let painter = ui.painter().with_clip_rect(field);
    let corners = reshaping.shape.corners().map(|at| placed.to_screen(at));
    if let Some(texture) = textures.get(ui.ctx(), &reshaping.sight, false) {
        let mut mesh = Mesh::with_texture(texture);
        let uvs = [pos2(0.0, 0.0), pos2(1.0, 0.0), pos2(1.0, 1.0), pos2(0.0, 1.0)];
        for (pos, uv) in corners.into_iter().zip(uvs) {
            mesh.vertices.push(egui::epaint::Vertex { pos, uv, color: Color32::WHITE });
        }
        mesh.indices.extend([0, 1, 2, 0, 2, 3]);
        painter.add(mesh);
    }
    let mut around = corners.to_vec();
    around.push(corners[0]);
    for stroke in [Stroke::new(3.0, on_picture::EDGE), Stroke::new(1.0, on_picture::INK)] {
        painter.add(Shape::line(around.clone(), stroke));
    }
    for grip in GRIPS {
        let square =
            Rect::from_center_size(place_of(reshaping, placed, grip), vec2(SQUARE, SQUARE));
        painter.rect_filled(square.expand(1.0), 1.0, on_picture::EDGE);
        painter.rect_filled(square, 1.0, on_picture::INK);
    }
}

fn place_of(reshaping: &Reshaping, placed: Placed, grip: Grip) -> Pos2 {
    let share = match grip {
        Grip::Corner(way) | Grip::Side(way) => way.map(f32::from),
        Grip::Inside | Grip::Around => [0.0; 2],
    };
    placed.to_screen(reshaping.shape.place(share))
}

/// Returns what of the box lies under a place of the screen.
fn grip_at(reshaping: &Reshaping, placed: Placed, at: Pos2) -> Grip {
    let near = |grip: &Grip| place_of(reshaping, placed, *grip).distance(at) <= REACH;
    if let Some(grip) = GRIPS.into_iter().find(near) {
        return grip;
    }
    let share = reshaping.shape.share_of(placed.to_document(at));
    let is_inside = share.iter().all(|one| one.abs() <= 1.0);
    if is_inside { Grip::Inside } else { Grip::Around }
}

/// Makes of what the pointer does what becomes of the box.
pub(super) fn shape_pointer(
    ui: &Ui,
    editor: &Editor,
    response: &egui::Response,
    placed: Placed,
    actions: &mut Vec<Action>,
) {
    let mut say = |action| actions.push(Action::Editor(EditorAction::Reshape(action)));
    let pointer = response.interact_pointer_pos().or(response.hover_pos());
    let Some(reshaping) = &editor.reshaping else {
        // A box that went with an edit comes again where the layer is.
        let presses =
            response.contains_pointer() && ui.input(|input| input.pointer.primary_pressed());
        if presses && let Some(at) = pointer {
            say(ReshapeAction::Hold(Grip::Inside, placed.to_document(at)));
            say(ReshapeAction::LetGo);
        }
        return;
    };
    let Some(at) = pointer else { return };
    let held = reshaping.hold.map(|(grip, ..)| grip);
    let under = held.unwrap_or_else(|| grip_at(reshaping, placed, at));
    if response.hovered() || held.is_some() {
        ui.ctx().set_cursor_icon(match under {
            Grip::Inside => CursorIcon::Move,
            Grip::Around => CursorIcon::Alias,
            Grip::Corner([x, y]) if x == y => CursorIcon::ResizeNwSe,
            Grip::Corner(_) => CursorIcon::ResizeNeSw,
            Grip::Side([0, _]) => CursorIcon::ResizeVertical,
            Grip::Side(_) => CursorIcon::ResizeHorizontal,
        });
    }
    let (pressed, released, shift) = ui.input(|input| {
        let pointer = &input.pointer;
        (pointer.primary_pressed(), pointer.primary_released(), input.modifiers.shift)
    });
    if pressed && response.contains_pointer() {
        response.request_focus();
        say(ReshapeAction::Hold(under, placed.to_document(at)));
    }
    if held.is_some() && response.dragged_by(PointerButton::Primary) {
        // Corners keep the shape unless Shift is held; turning goes by steps where it is.
        let plain = if under == Grip::Around { shift } else { !shift };
        say(ReshapeAction::DrawTo { at: placed.to_document(at), plain });
    }
    if released && held.is_some() {
        say(ReshapeAction::LetGo);
    }
}

/// Draws the numbers of the box, and what makes it so.
pub(super) fn shape_options_ui(
    ui: &mut Ui,
    editor: &Editor,
    language: Language,
    actions: &mut Vec<Action>,
) {
    let mut say = |action| actions.push(Action::Editor(EditorAction::Reshape(action)));
    let Some(reshaping) = &editor.reshaping else { return };
    let shape = reshaping.shape;
    ui.spacing_mut().interact_size = vec2(56.0, 24.0);
    let number = |ui: &mut Ui, name: Text, value: &mut f32, range: [f32; 2], unit: &str| {
        let text = language.get(name);
        ui.label(egui::RichText::new(text).size(size::TEXT_SMALL).color(palette(ui).text_weak));
        let [low, high] = range;
        let drag = DragValue::new(value).range(low..=high).speed(0.5).max_decimals(1).suffix(unit);
        ui.add_enabled(!editor.is_changing, drag).accessible_name(text).changed()
    };
    let mut percent = shape.scale.map(|factor| factor * 100.0);
    let range = [1.0, 6400.0];
    let changed = number(ui, Text::TransformWidth, &mut percent[0], range, " %")
        | number(ui, Text::TransformHeight, &mut percent[1], range, " %");
    if changed {
        say(ReshapeAction::Scale(percent.map(|value| value / 100.0)));
    }
    let mut degrees = shape.degrees;
    if number(ui, Text::TransformAngle, &mut degrees, [-180.0, 180.0], "°") {
        say(ReshapeAction::Turn(degrees));
    }
    let can = !editor.is_changing && !shape.is_still();
    let named = |short, name| Button::text(language.get(short)).named(language.get(name));
    let apply = named(Text::Apply, Text::ApplyTransform).primary().tooltip("Enter");
    if ui.add_enabled(can, apply).clicked() {
        say(ReshapeAction::Apply);
    }
    let cancel = named(Text::Reset, Text::CancelTransform).tooltip("Esc");
    if ui.add_enabled(can, cancel).clicked() {
        say(ReshapeAction::Cancel);
    }
}
