//! The picture that is being edited: how it is drawn, and what pen and keys do on it.

use std::time::Duration;

use atelier_engine::canvas::{Area, Combine, Document, Shape};
use egui::{
    Color32, CornerRadius, CursorIcon, Event, Key, Modifiers, PointerButton, Rect, Role, Sense,
    Stroke, StrokeKind, Ui, Vec2, WidgetInfo, pos2, vec2,
};

use super::editor_object::object_marks_ui;
use super::editor_shape::{shape_pointer, shape_ui};
use crate::action::{Action, EditorAction, Pen, ToolAction};
use crate::i18n::Text;
use crate::services::textures::Textures;
use crate::services::{CanvasPreview, CanvasTextures};
use crate::state::editor::{Comparing, Editor, Gesture, Tool};
use crate::state::{AppState, View};
use crate::theme::{on_picture, palette};
use crate::widgets::{elide, ring};

/// The room between picture and edge of the canvas at the view that fits.
const FIT_MARGIN: f32 = 24.0;

/// The most lines of a selection's edge that are drawn; of more, every n-th.
const LINES_MAX: usize = 6_000;

/// How long each of two pictures is shown that are compared by turns.
const BLINK_SECS: f64 = 0.6;

/// The side of a square of the pattern behind what is transparent, in points.
const CHECKER: f32 = 10.0;

/// Holds what the canvas needs from frame to frame: the textures of the document and of the one it
/// is compared with.
#[derive(Default)]
pub struct EditorView {
    shown: CanvasTextures,
    before: CanvasTextures,
    preview: CanvasPreview,
}

/// Places a document on the screen.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    rect: Rect,
    scale: f32,
}

impl Placed {
    fn new(view: View, size_px: [f32; 2], field: Rect) -> Self {
        let (scale, offset) = view.place(size_px, room(field));
        let centre = field.center() + vec2(offset[0], offset[1]);
        Self { rect: Rect::from_center_size(centre, vec2(size_px[0], size_px[1]) * scale), scale }
    }

    /// Returns where a document of another size lies in the same place.
    fn of_size(self, [width, height]: [f32; 2]) -> Self {
        let scale = (self.rect.width() / width).min(self.rect.height() / height);
        let size = vec2(width, height) * scale;
        Self { rect: Rect::from_center_size(self.rect.center(), size), scale }
    }

    pub(super) fn to_document(self, at: egui::Pos2) -> [f32; 2] {
        [(at.x - self.rect.left()) / self.scale, (at.y - self.rect.top()) / self.scale]
    }

    pub(super) fn to_screen(self, [x, y]: [f32; 2]) -> egui::Pos2 {
        pos2(self.rect.left() + x * self.scale, self.rect.top() + y * self.scale)
    }

    /// Returns what of the document lies within a part of the screen.
    fn seen(self, field: Rect) -> Area {
        let [least, most] = [field.min, field.max].map(|corner| self.to_document(corner));
        Area::around(least, most)
    }
}

fn size_of(document: &Document) -> [f32; 2] {
    [document.size.width_px as f32, document.size.height_px as f32]
}

fn room(field: Rect) -> [f32; 2] {
    [field.width() - 2.0 * FIT_MARGIN, field.height() - 2.0 * FIT_MARGIN]
}

/// Draws the picture and returns what was done on it.
pub fn editor_canvas_ui(
    ui: &mut Ui,
    state: &AppState,
    editor: &Editor,
    (textures, view): (&mut Textures, &mut EditorView),
) -> Vec<Action> {
    let mut actions = Vec::new();
    let field = ui.available_rect_before_wrap();
    let response = ui.allocate_rect(field, Sense::click_and_drag());
    let name = state.settings.language.fill(Text::EditedPicture, &[&editor.project.name]);
    response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, &name));
    let placed = Placed::new(editor.view, editor.size_px(), field);
    let painter = ui.painter().with_clip_rect(field);
    let before = editor.compared_document();
    let compared = before.map_or(Comparing::Off, |_| editor.staging.comparing);
    let before = before.unwrap_or(&editor.document);

    match compared {
        Comparing::SideBySide => {
            let [left, right] = halves(field);
            for (document, half, textures) in [
                (before, left, &mut view.before),
                (editor.shown_document(), right, &mut view.shown),
            ] {
                let placed = Placed::new(View::Fit, size_of(document), half);
                draw(ui, document, textures, placed, half);
            }
        }
        Comparing::Slider(split) => {
            draw(ui, editor.shown_document(), &mut view.shown, placed, field);
            let x = placed.rect.left() + placed.rect.width() * split;
            let left = Rect::from_min_max(field.min, pos2(x, field.bottom()));
            let placed = placed.of_size(size_of(before));
            draw(ui, before, &mut view.before, placed, left.intersect(field));
            painter.vline(x, placed.rect.y_range(), Stroke::new(4.0, on_picture::EDGE));
            painter.vline(x, placed.rect.y_range(), Stroke::new(2.0, on_picture::INK));
        }
        Comparing::Blink => {
            let phase = ui.input(|input| (input.time / BLINK_SECS) as i64 % 2);
            if phase == 0 {
                draw(ui, editor.shown_document(), &mut view.shown, placed, field);
            } else {
                draw(ui, before, &mut view.before, placed.of_size(size_of(before)), field);
            }
            ui.ctx().request_repaint_after(Duration::from_secs_f64(BLINK_SECS / 4.0));
        }
        Comparing::Off => draw(ui, editor.shown_document(), &mut view.shown, placed, field),
    }
    if compared == Comparing::Off {
        preview_ui(ui, state, editor, &mut view.preview, (placed, field));
    }
    if compared != Comparing::SideBySide {
        selection_ui(ui, editor, placed, field);
        gesture_ui(ui, editor, placed, field);
        object_marks_ui(ui, editor, field, |at| placed.to_screen(at));
        if let Some(reshaping) = &editor.reshaping {
            shape_ui(ui, reshaping, placed, field, textures);
        }
        let line = Stroke::new(1.0, palette(ui).line);
        painter.rect_stroke(placed.rect, CornerRadius::ZERO, line, StrokeKind::Outside);
        pen_cursor_ui(ui, editor, placed, &response, field);
    }
    if !response.hovered() {
        ring(ui, field, &response);
    }
    let pen = |pen| Action::Editor(EditorAction::Pen(pen));
    if let Comparing::Slider(_) = compared {
        if let Some(at) = response.interact_pointer_pos() {
            let split = (at.x - placed.rect.left()) / placed.rect.width().max(1.0);
            let comparing = Comparing::Slider(split.clamp(0.0, 1.0));
            let action = crate::action::StagingAction::Compare(comparing);
            actions.push(Action::Editor(EditorAction::Staging(action)));
        }
        return actions;
    }
    if let Some(view) = moved_view(ui, editor, &response, field) {
        actions.push(Action::Editor(EditorAction::SetView(view)));
    }
    if editor.tools.tool == Tool::Transform {
        shape_pointer(ui, editor, &response, placed, &mut actions);
        return actions;
    }
    pointer_events(ui, editor, &response, placed, |one| actions.push(pen(one)));
    keyboard_pen(ui, editor, &response, &mut actions);
    actions
}

/// Draws the running preview where it will lie, faded by the mask of what changes; the document is not
/// touched.
fn preview_ui(
    ui: &Ui,
    state: &AppState,
    editor: &Editor,
    textures: &mut CanvasPreview,
    (placed, field): (Placed, Rect),
) {
    let running = state.jobs.running();
    let painting = running.and_then(|job| {
        let preview = job.live.preview.as_ref()?;
        Some((job, preview, editor.painting(job.ticket)?))
    });
    let Some((job, preview, place)) = painting else {
        textures.clear();
        return;
    };
    let Some(texture) = textures.show(ui.ctx(), preview, place) else { return };
    let area = place.area;
    let [least, most] =
        [[area.x as f32, area.y as f32], [area.right() as f32, area.bottom() as f32]];
    let rect = Rect::from_min_max(placed.to_screen(least), placed.to_screen(most));
    let painter = ui.painter().with_clip_rect(placed.rect.intersect(field));
    let full = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    painter.image(texture, rect, full, Color32::WHITE);
    let name = state.settings.language.fill(Text::PreviewOf, &[&elide(&job.words(), 60)]);
    let seen = rect.intersect(placed.rect);
    let response = ui.interact(seen, ui.scope_id().with("canvas-preview"), Sense::empty());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));
}

fn halves(field: Rect) -> [Rect; 2] {
    let middle = field.center().x;
    [
        Rect::from_min_max(field.min, pos2(middle, field.bottom())),
        Rect::from_min_max(pos2(middle, field.top()), field.max),
    ]
}

/// Draws a document over the pattern that shows what is transparent.
fn draw(ui: &Ui, document: &Document, textures: &mut CanvasTextures, placed: Placed, clip: Rect) {
    let painter = ui.painter().with_clip_rect(clip.intersect(ui.clip_rect()));
    // A little less, so that nothing of it shows beside the edge of an opaque picture.
    checker(ui, placed.rect.shrink(1.0).intersect(clip));
    let scale = placed.scale * ui.ctx().pixels_per_point();
    let shown = textures.show(ui.ctx(), document, placed.seen(clip), scale);
    for part in &shown.parts {
        let [least, most] = [
            [part.area.x as f32, part.area.y as f32],
            [part.area.right() as f32, part.area.bottom() as f32],
        ];
        let rect = Rect::from_min_max(placed.to_screen(least), placed.to_screen(most));
        painter.image(part.texture, rect, part.uv, Color32::WHITE);
    }
    if shown.is_late {
        ui.ctx().request_repaint();
    }
}

fn checker(ui: &Ui, rect: Rect) {
    if rect.is_negative() {
        return;
    }
    let colours = palette(ui);
    let painter = ui.painter().with_clip_rect(rect);
    painter.rect_filled(rect, CornerRadius::ZERO, colours.field);
    let mut mesh = egui::Mesh::default();
    let columns = (rect.width() / CHECKER).ceil() as usize;
    let rows = (rect.height() / CHECKER).ceil() as usize;
    for row in 0..rows {
        for column in (row % 2..columns).step_by(2) {
            let corner = rect.min + vec2(column as f32, row as f32) * CHECKER;
            mesh.add_colored_rect(
                Rect::from_min_size(corner, Vec2::splat(CHECKER)),
                colours.control,
            );
        }
    }
    painter.add(mesh);
}

/// Draws the edge of the selection: light over dark, so that it shows on every picture.
fn selection_ui(ui: &Ui, editor: &Editor, placed: Placed, field: Rect) {
    let painter = ui.painter().with_clip_rect(field);
    let step = editor.outline.len().div_ceil(LINES_MAX).max(1);
    for [from, to] in editor.outline.iter().step_by(step) {
        let ends = [placed.to_screen(*from), placed.to_screen(*to)];
        if !field.expand(2.0).intersects(Rect::from_two_pos(ends[0], ends[1])) {
            continue;
        }
        painter.line_segment(ends, Stroke::new(2.5, on_picture::EDGE));
        painter.line_segment(ends, Stroke::new(1.0, on_picture::INK));
    }
}

/// Draws the shape that is being drawn.
fn gesture_ui(ui: &Ui, editor: &Editor, placed: Placed, field: Rect) {
    let tool = editor.tools.tool;
    let Some(shape) = editor.gesture.as_ref().and_then(|gesture| gesture.shape(tool)) else {
        return;
    };
    let painter = ui.painter().with_clip_rect(field);
    for stroke in [Stroke::new(3.0, on_picture::EDGE), Stroke::new(1.5, on_picture::INK)] {
        match &shape {
            Shape::Line { from, to } => {
                painter.line_segment([placed.to_screen(*from), placed.to_screen(*to)], stroke);
            }
            Shape::Rectangle { from, to } => {
                let rect = Rect::from_two_pos(placed.to_screen(*from), placed.to_screen(*to));
                painter.rect_stroke(rect, CornerRadius::ZERO, stroke, StrokeKind::Middle);
            }
            Shape::Ellipse { from, to } => {
                let rect = Rect::from_two_pos(placed.to_screen(*from), placed.to_screen(*to));
                let radius = rect.size() / 2.0;
                painter.add(egui::epaint::EllipseShape::stroke(rect.center(), radius, stroke));
            }
            Shape::Polygon(points) => {
                let points = points.iter().map(|at| placed.to_screen(*at)).collect();
                painter.add(egui::Shape::line(points, stroke));
            }
        }
    }
}

/// Draws the rim of the brush under the pointer, and the cross of the keyboard's pen.
fn pen_cursor_ui(ui: &Ui, editor: &Editor, placed: Placed, response: &egui::Response, field: Rect) {
    let painter = ui.painter().with_clip_rect(field);
    let brushes = matches!(editor.tools.tool, Tool::Brush | Tool::Eraser | Tool::SelectBrush);
    let radius = (editor.tools.brush.size_px / 2.0 * placed.scale).max(1.5);
    let rim = |at| {
        painter.circle_stroke(at, radius, Stroke::new(2.5, on_picture::EDGE));
        painter.circle_stroke(at, radius, Stroke::new(1.0, on_picture::INK));
    };
    if let Some(at) = response.hover_pos() {
        if brushes {
            rim(at);
        }
        ui.ctx().set_cursor_icon(match editor.tools.tool {
            Tool::Hand => CursorIcon::Grab,
            Tool::Move => CursorIcon::Move,
            // The grip under the pointer says.
            Tool::Transform => return,
            _ => CursorIcon::Crosshair,
        });
    }
    if response.has_focus() && !response.hovered() {
        let at = placed.to_screen(editor.tools.cursor);
        for stroke in [Stroke::new(3.0, on_picture::EDGE), Stroke::new(1.0, on_picture::INK)] {
            painter.line_segment([at - vec2(9.0, 0.0), at + vec2(9.0, 0.0)], stroke);
            painter.line_segment([at - vec2(0.0, 9.0), at + vec2(0.0, 9.0)], stroke);
        }
    }
}

/// Returns the view after what pointer and wheel did.
fn moved_view(ui: &Ui, editor: &Editor, response: &egui::Response, field: Rect) -> Option<View> {
    let (size_px, room) = (editor.size_px(), room(field));
    let holds_space = ui.input(|input| input.key_down(Key::Space)) && !response.has_focus();
    let pans = response.dragged_by(PointerButton::Middle)
        || (response.dragged_by(PointerButton::Primary)
            && (editor.tools.tool == Tool::Hand || holds_space));
    if pans {
        let delta = response.drag_delta();
        ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
        return (delta != Vec2::ZERO).then(|| editor.view.panned(delta.into(), size_px, room));
    }
    let pointer = response.hover_pos()?;
    let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
    let factor = pinch * (scroll / 240.0).exp();
    if (factor - 1.0).abs() < 1e-4 {
        return None;
    }
    Some(editor.view.zoomed(factor, (pointer - field.center()).into(), size_px, room))
}

/// Tells how a selection joins the one that is there, by the keys that are held.
fn combine_of(modifiers: Modifiers) -> Option<Combine> {
    match (modifiers.shift, modifiers.alt) {
        (true, true) => Some(Combine::Intersect),
        (true, false) => Some(Combine::Add),
        (false, true) => Some(Combine::Subtract),
        (false, false) => None,
    }
}

/// Makes of the pointer's events what the pen does: every place it passed, not only the last one of
/// a frame, so that fast strokes are round.
fn pointer_events(
    ui: &Ui,
    editor: &Editor,
    response: &egui::Response,
    placed: Placed,
    mut done: impl FnMut(Pen),
) {
    if editor.tools.tool == Tool::Hand || ui.input(|input| input.key_down(Key::Space)) {
        return;
    }
    let events = ui.input(|input| input.events.clone());
    let mut pressure = 1.0;
    let mut is_down = editor.gesture.is_some();
    let is_over = response.hovered() || response.is_pointer_button_down_on();
    for event in events {
        match event {
            Event::Touch { force: Some(force), .. } => pressure = force.clamp(0.0, 1.0),
            Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers } => {
                if pressed && is_over && response.rect.contains(pos) {
                    response.request_focus();
                    let combine = combine_of(modifiers);
                    done(Pen::Down { at: placed.to_document(pos), pressure, combine });
                    is_down = true;
                } else if !pressed && is_down {
                    done(Pen::Up);
                    is_down = false;
                }
            }
            Event::PointerMoved(pos) if is_down => {
                done(Pen::To { at: placed.to_document(pos), pressure });
            }
            _ => {}
        }
    }
}

/// Moves and presses the keyboard's pen: arrows by a pixel, with Shift by ten, and the space bar
/// puts it down and lifts it.
fn keyboard_pen(ui: &Ui, editor: &Editor, response: &egui::Response, actions: &mut Vec<Action>) {
    if !response.has_focus() {
        return;
    }
    // The arrows are the pen's, not the focus's.
    let filter = egui::EventFilter {
        horizontal_arrows: true,
        vertical_arrows: true,
        ..egui::EventFilter::default()
    };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
    let step = if ui.input(|input| input.modifiers.shift) { 10.0 } else { 1.0 };
    let mut by = [0.0, 0.0];
    ui.input(|input| {
        for (key, axis, way) in [
            (Key::ArrowLeft, 0, -1.0),
            (Key::ArrowRight, 0, 1.0),
            (Key::ArrowUp, 1, -1.0),
            (Key::ArrowDown, 1, 1.0),
        ] {
            by[axis] += way * step * input.num_presses(key) as f32;
        }
    });
    let mut at = editor.tools.cursor;
    if by != [0.0, 0.0] {
        let [width, height] = editor.size_px();
        at = [(at[0] + by[0]).clamp(0.0, width), (at[1] + by[1]).clamp(0.0, height)];
        actions.push(Action::Editor(EditorAction::Tool(ToolAction::Cursor(at))));
        if editor.gesture.is_some() {
            actions.push(Action::Editor(EditorAction::Pen(Pen::To { at, pressure: 1.0 })));
        }
    }
    if ui.input(|input| input.key_pressed(Key::Space)) {
        let pen = match &editor.gesture {
            Some(Gesture::Stroke { .. } | Gesture::Shape { .. } | Gesture::Lasso { .. })
            | Some(Gesture::Move { .. }) => Pen::Up,
            None => {
                let combine = combine_of(ui.input(|input| input.modifiers));
                Pen::Down { at, pressure: 1.0, combine }
            }
        };
        actions.push(Action::Editor(EditorAction::Pen(pen)));
    }
}
