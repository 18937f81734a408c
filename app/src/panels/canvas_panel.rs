//! The middle: the picture, how it is looked at, and what can be done with it.

use std::sync::Arc;

use atelier_engine::protocol::{PictureRequest, Pixels};
use egui::{
    Align, Align2, Color32, CornerRadius, CursorIcon, Frame, Id, Key, Layout, Margin, Rect,
    RichText, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};

use super::command_button;
use crate::action::{Action, CanvasAction, HistoryAction, PromptAction, SoundAction};
use crate::i18n::{EXAMPLES, Text};
use crate::services::textures::Textures;
use crate::state::{AppState, Job, Shown, View};
use crate::theme::{Weight, icons, on_picture, palette, size};
use crate::widgets::{Button, details, elide};

/// From this scale on, pixels are shown as squares.
const CRISP_SCALE: f32 = 6.0;

/// The room between picture and edge of the canvas at the view that fits.
const FIT_MARGIN: f32 = 28.0;

/// The name under which the canvas's size is kept from one frame to the next.
const ROOM: &str = "canvas-room";

/// Below this width the footer leaves out what the wheel does as well.
const NARROW: f32 = 560.0;

/// Below this width the recipe is left out: it would be nothing but dots.
const DETAILS_LEAST: f32 = 90.0;

/// The zoom buttons with their factors, from the right.
const ZOOMS: [(&str, Text, f32); 2] =
    [(icons::ZOOM_IN, Text::ZoomIn, 1.25), (icons::ZOOM_OUT, Text::ZoomOut, 0.8)];

/// Draws the canvas; returns what was done there and where the picture's field lies.
pub fn canvas_panel_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
) -> (Vec<Action>, Rect) {
    let mut actions = Vec::new();
    let recipe = shown_recipe(state);
    if let Some(recipe) = &recipe {
        let colours = palette(ui);
        egui::Panel::bottom("canvas-footer")
            .resizable(false)
            .show_separator_line(false)
            .exact_size(52.0)
            .frame(
                Frame::new().fill(colours.canvas).inner_margin(Margin::symmetric(size::MARGIN, 6)),
            )
            .show(ui, |ui| footer_ui(ui, state, recipe, &mut actions));
    }
    let field = ui.available_rect_before_wrap();
    if recipe.is_some() {
        picture_ui(ui, state, textures, field, &mut actions);
    } else {
        empty_ui(ui, state, field, &mut actions);
    }
    (actions, field)
}

fn shown_recipe(state: &AppState) -> Option<Arc<PictureRequest>> {
    match state.canvas.shown {
        Shown::Nothing => None,
        Shown::Live => state.jobs.first_picture().and_then(Job::picture).cloned().map(Arc::new),
        Shown::Result(id) => {
            state.history.get(id).and_then(|entry| entry.recipe.picture()).cloned()
        }
    }
}

/// Returns the picture that is shown and the one that it is compared with.
fn shown_pictures(state: &AppState) -> (Option<Arc<Pixels>>, Option<Arc<Pixels>>) {
    match state.canvas.shown {
        Shown::Nothing => (None, None),
        Shown::Live => (state.jobs.running().and_then(|job| job.live.preview.clone()), None),
        Shown::Result(id) => {
            let before = state.canvas.before.filter(|_| state.canvas.compare.is_some());
            let before = before.and_then(|id| state.canvas.picture(id).cloned());
            (state.canvas.picture(id).cloned(), before)
        }
    }
}

fn picture_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    field: Rect,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let colours = palette(ui);
    let response = ui.allocate_rect(field, Sense::click_and_drag());
    let Some(recipe) = shown_recipe(state) else { return };
    let name = match state.canvas.shown {
        Shown::Live => language.get(Text::LivePreview).to_owned(),
        _ => language.fill(Text::PictureOf, &[&recipe.prompt.with_styles()]),
    };
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));

    // The picture's size comes from its recipe, so that a preview of another size lies alike.
    let size_px = [recipe.size.width_px as f32, recipe.size.height_px as f32];
    let room = [field.width() - 2.0 * FIT_MARGIN, field.height() - 2.0 * FIT_MARGIN];
    ui.data_mut(|data| data.insert_temp(Id::unique(ROOM), room));
    let view = state.canvas.view;
    if let Some(view) = moved_view(ui, &response, view, size_px, room, field) {
        actions.push(Action::Canvas(CanvasAction::SetView(view)));
    }
    let (scale, offset) = view.place(size_px, room);
    let centre = field.center() + vec2(offset[0], offset[1]);
    let rect = Rect::from_center_size(centre, vec2(size_px[0], size_px[1]) * scale);

    let painter = ui.painter().with_clip_rect(field);
    painter.rect_filled(rect, CornerRadius::ZERO, colours.panel);
    let full = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    let (picture, before) = shown_pictures(state);
    let crisp =
        scale * ui.ctx().pixels_per_point() >= CRISP_SCALE && matches!(view, View::Free { .. });
    match picture.and_then(|pixels| textures.get(ui.ctx(), &pixels, crisp)) {
        Some(texture) => {
            painter.image(texture, rect, full, Color32::WHITE);
        }
        None => {
            let font = Weight::Regular.font(size::TEXT);
            let text = match state.canvas.shown {
                Shown::Live => Text::Starting,
                _ => Text::Loading,
            };
            let weak = colours.text_weak;
            painter.text(rect.center(), Align2::CENTER_CENTER, language.get(text), font, weak);
        }
    }
    if let (Some(split), Some(before)) = (state.canvas.compare, before) {
        if let Some(texture) = textures.get(ui.ctx(), &before, crisp) {
            let x = rect.left() + rect.width() * split;
            let left = Rect::from_min_max(field.min, pos2(x, field.bottom()));
            painter.with_clip_rect(left.intersect(field)).image(
                texture,
                rect,
                full,
                Color32::WHITE,
            );
        }
        compare_ui(ui, state, rect.intersect(field), rect, split, actions);
    }
    painter.rect_stroke(
        rect,
        CornerRadius::ZERO,
        Stroke::new(1.0, colours.line),
        StrokeKind::Outside,
    );
}

/// Returns the view after what pointer and wheel did.
fn moved_view(
    ui: &Ui,
    response: &egui::Response,
    view: View,
    size_px: [f32; 2],
    room: [f32; 2],
    field: Rect,
) -> Option<View> {
    if response.double_clicked() {
        let actual = View::Free { scale: 1.0, offset: [0.0, 0.0] };
        return Some(if view == View::Fit { actual } else { View::Fit });
    }
    if response.dragged() {
        ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
        let delta = response.drag_delta();
        return (delta != egui::Vec2::ZERO).then(|| view.panned(delta.into(), size_px, room));
    }
    let pointer = response.hover_pos()?;
    let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
    let factor = pinch * (scroll / 240.0).exp();
    if (factor - 1.0).abs() < 1e-4 {
        return None;
    }
    Some(view.zoomed(factor, (pointer - field.center()).into(), size_px, room))
}

/// Draws the slider that parts the picture from the previous one.
fn compare_ui(
    ui: &Ui,
    state: &AppState,
    visible: Rect,
    picture: Rect,
    split: f32,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let colours = palette(ui);
    let x = picture.left() + picture.width() * split;
    let grip = Rect::from_center_size(pos2(x, visible.center().y), vec2(24.0, visible.height()));
    let response = ui.interact(grip, Id::unique("compare-slider"), Sense::click_and_drag());
    let name = language.get(Text::CompareSlider);
    response.widget_info(|| WidgetInfo::slider(true, f64::from(split), name));
    let mut new = split;
    if let (true, Some(pointer)) = (response.dragged(), response.interact_pointer_pos()) {
        new = (pointer.x - picture.left()) / picture.width();
    }
    if response.has_focus() {
        let (left, right) =
            ui.input(|i| (i.key_pressed(Key::ArrowLeft), i.key_pressed(Key::ArrowRight)));
        new += 0.05 * (f32::from(u8::from(right)) - f32::from(u8::from(left)));
    }
    if (new - split).abs() > 1e-6 {
        actions.push(Action::Canvas(CanvasAction::SetCompare(new)));
    }
    let painter = ui.painter().with_clip_rect(visible.expand(14.0));
    painter.vline(x, visible.y_range(), Stroke::new(4.0, on_picture::EDGE));
    painter.vline(x, visible.y_range(), Stroke::new(2.0, on_picture::INK));
    let centre = pos2(x, visible.center().y);
    let knob = if response.hovered() || response.has_focus() {
        colours.accent_fill_hovered
    } else {
        colours.accent_fill
    };
    painter.circle(centre, 11.0, knob, Stroke::new(2.0, on_picture::INK));
    for (text, align, place) in [
        (Text::Before, Align2::LEFT_TOP, visible.left_top() + vec2(10.0, 10.0)),
        (Text::After, Align2::RIGHT_TOP, visible.right_top() + vec2(-10.0, 10.0)),
    ] {
        let font = Weight::Medium.font(size::TEXT_SMALL);
        let galley = painter.layout_no_wrap(language.get(text).to_owned(), font, on_picture::INK);
        let back = align.anchor_size(place, galley.size() + vec2(14.0, 6.0));
        painter.rect_filled(back, CornerRadius::same(size::RADIUS), on_picture::GROUND);
        painter.galley(back.min + vec2(7.0, 3.0), galley, on_picture::INK);
    }
    let _cursor = response.on_hover_and_drag_cursor(CursorIcon::ResizeHorizontal);
}

fn footer_ui(ui: &mut Ui, state: &AppState, recipe: &PictureRequest, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        if state.canvas.result().is_some() {
            for (icon, name, action) in [
                (icons::TRASH, Text::Delete, HistoryAction::DeleteShown),
                (icons::FOLDER, Text::OpenFolder, HistoryAction::OpenShownFolder),
                (icons::COPY, Text::CopyPicture, HistoryAction::CopyShown),
                (icons::SAVE, Text::SaveAs, HistoryAction::SaveShownAs),
                (icons::REUSE, Text::Reuse, HistoryAction::ReuseShown),
            ] {
                command_button(ui, icon, name, language, Action::History(action), actions);
            }
            let action = Action::Sound(SoundAction::MakeTune);
            command_button(ui, icons::MUSIC, Text::MakeTune, language, action, actions);
            divider(ui);
            let keys = super::keys_of(ui.ctx(), Text::Compare);
            let compare = Button::icon(icons::COMPARE, language.get(Text::Compare))
                .selected(state.canvas.compare.is_some())
                .shortcut(&keys);
            let possible = state.history.pictures().nth(1).is_some();
            if ui.add_enabled(possible, compare).clicked() {
                actions.push(Action::Canvas(CanvasAction::ToggleCompare));
            }
            super::editor_room::begin_ui(ui, state, actions);
            divider(ui);
        }
        zoom_ui(ui, state, recipe, actions);
        ui.add_space(size::GAP_LARGE);
        if ui.available_width() < DETAILS_LEAST {
            return;
        }
        ui.with_layout(Layout::top_down(Align::Min), |ui| {
            ui.spacing_mut().item_spacing.y = 3.0;
            ui.add_space(3.0);
            let prompt = elide(&recipe.prompt.with_styles(), 400);
            let text = RichText::new(prompt).color(palette(ui).text);
            ui.add(egui::Label::new(text).truncate());
            let sampling = recipe.sampling;
            let line = [
                format!("{} × {}", recipe.size.width_px, recipe.size.height_px),
                language.fill(Text::SeedValue, &[&recipe.seed]),
                language.fill(Text::StepsValue, &[&sampling.steps]),
                format!("{} {:.1}", language.get(Text::Guidance), sampling.guidance),
                sampling.sampler.label().to_owned(),
            ];
            details(ui, line.join("  ·  "));
        });
    });
}

fn divider(ui: &mut Ui) {
    let (rect, _) = ui.allocate_exact_size(vec2(13.0, 20.0), Sense::hover());
    let stroke = Stroke::new(1.0, palette(ui).control_hovered);
    ui.painter().vline(rect.center().x, rect.y_range(), stroke);
}

fn zoom_ui(ui: &mut Ui, state: &AppState, recipe: &PictureRequest, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let canvas = &state.canvas;
    let size_px = [recipe.size.width_px as f32, recipe.size.height_px as f32];
    // The field's size of this frame is not known yet; the scale of the last one is what is read.
    let id = Id::unique(ROOM);
    let screen = ui.ctx().content_rect();
    let room = ui.data(|data| data.get_temp::<[f32; 2]>(id)).unwrap_or([screen.width() / 2.0; 2]);
    let (scale, _) = canvas.view.place(size_px, room);
    let zooms = if ui.max_rect().width() < NARROW { &[][..] } else { &ZOOMS[..] };
    for (icon, name, view) in zooms.iter().copied() {
        if ui.add(Button::icon(icon, language.get(name))).clicked() {
            let view = canvas.view.zoomed(view, [0.0, 0.0], size_px, room);
            actions.push(Action::Canvas(CanvasAction::SetView(view)));
        }
        if name == Text::ZoomIn {
            let text = format!("{:.0} %", scale * 100.0);
            let text = RichText::new(text).size(size::TEXT_SMALL).color(palette(ui).text_weak);
            ui.add_sized(vec2(44.0, size::CONTROL), egui::Label::new(text));
        }
    }
    let name = language.get(Text::OneToOne);
    let keys = super::keys_of(ui.ctx(), Text::OneToOne);
    let actual = Button::text("1:1").named(name).tooltip(name).shortcut(&keys).quiet();
    if ui.add(actual).clicked() {
        actions.push(Action::Canvas(CanvasAction::ActualSize));
    }
    let action = Action::Canvas(CanvasAction::Fit);
    command_button(ui, icons::FIT, Text::Fit, language, action, actions);
}

/// Draws the invitation: a question and prompts to begin with.
fn empty_ui(ui: &mut Ui, state: &AppState, field: Rect, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let colours = palette(ui);
    let width = field.width().min(680.0) - 32.0;
    let height = 250.0;
    let rect = Rect::from_center_size(field.center(), vec2(width, height));
    ui.scope_builder(egui::UiBuilder::new().max_rect(rect), |ui| {
        ui.vertical_centered(|ui| {
            ui.spacing_mut().item_spacing.y = size::GAP;
            let title = RichText::new(language.get(Text::EmptyTitle));
            ui.label(title.font(Weight::SemiBold.font(26.0)).color(colours.text_strong));
            let text = RichText::new(language.get(Text::EmptyText)).color(colours.text_weak);
            ui.label(text.size(size::TEXT_PROMPT));
            ui.add_space(size::GAP_LARGE);
        });
        let column = (width - size::GAP) / 2.0;
        let beside = Rect::from_min_size(rect.left_bottom(), vec2(width, size::CONTROL));
        ui.scope_builder(egui::UiBuilder::new().max_rect(beside), |ui| {
            ui.horizontal(|ui| {
                super::editor_room::begin_ui(ui, state, actions);
            });
        });
        for pair in EXAMPLES.chunks(2) {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = size::GAP;
                for example in pair {
                    let text = language.example(*example);
                    let button = Button::text(text).min_width(column).height(40.0);
                    if ui.add(button).clicked() {
                        let action = PromptAction::TakeExample(text.to_owned());
                        actions.push(Action::Prompt(action));
                    }
                }
            });
        }
    });
}
