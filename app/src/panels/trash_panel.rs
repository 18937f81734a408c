//! The trash: what was deleted, the latest first; it comes back from here or goes for good.

use std::sync::Arc;

use atelier_engine::protocol::Pixels;
use egui::{
    Align, Align2, Color32, CornerRadius, Id, Layout, Modal, Rect, RichText, ScrollArea, Sense, Ui,
    pos2, vec2,
};

use crate::action::{Action, TrashAction};
use crate::i18n::{Language, Text, size_of};
use crate::services::Textures;
use crate::state::{AppState, Thumbnail, TrashId, TrashItem, TrashQuestion};
use crate::theme::{Weight, icons, palette, size};
use crate::widgets::{Button, details, elide};

/// Height of a row, in points.
const ROW: f32 = 52.0;
/// Side of a small picture, in points.
const SIDE: f32 = 44.0;
/// Width of the whole, in points, where the window has room for it.
const WIDTH: f32 = 560.0;

/// Draws the trash while it is open.
pub fn trash_ui(ui: &mut Ui, state: &AppState, textures: &mut Textures) -> Vec<Action> {
    let mut actions = Vec::new();
    let trash = &state.shell.trash;
    if !trash.open {
        return actions;
    }
    let room = ui.ctx().content_rect().size() - vec2(48.0, 48.0);
    let modal =
        Modal::new(Id::unique("trash")).backdrop_color(palette(ui).veil).show(ui.ctx(), |ui| {
            ui.set_width(WIDTH.min(room.x));
            ui.spacing_mut().item_spacing.y = size::GAP;
            head_ui(ui, state, &mut actions);
            if let Some(question) = &trash.question {
                question_ui(ui, state, question, &mut actions);
            }
            list_ui(ui, state, textures, (room.y - 150.0).clamp(ROW, 420.0), &mut actions);
        });
    if modal.should_close() {
        // Escape first takes back the question.
        let close = match trash.question {
            Some(_) => TrashAction::Ask(None),
            None => TrashAction::Show(false),
        };
        actions.push(Action::Trash(close));
    }
    actions
}

fn head_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let trash = &state.shell.trash;
    let (count, _) = trash.total();
    ui.horizontal(|ui| {
        let title = RichText::new(language.get(Text::Trash));
        let font = Weight::SemiBold.font(size::TEXT_PROMPT);
        ui.label(title.font(font).color(palette(ui).text_strong));
        if count > 0 {
            details(ui, total(state));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.add(Button::icon(icons::X, language.get(Text::Close))).clicked() {
                actions.push(Action::Trash(TrashAction::Show(false)));
            }
            let empty = Button::text(language.get(Text::EmptyTrash)).with_icon(icons::TRASH);
            if ui.add_enabled(count > 0, empty).clicked() {
                let ask = TrashAction::Ask(Some(TrashQuestion::Empty));
                actions.push(Action::Trash(ask));
            }
        });
    });
}

/// Returns how much is in the trash, in words.
fn total(state: &AppState) -> String {
    let language = state.settings.language;
    match state.shell.trash.total() {
        (1, bytes) => language.fill(Text::TrashOne, &[&size_of(bytes)]),
        (count, bytes) => language.fill(Text::TrashMany, &[&count, &size_of(bytes)]),
    }
}

fn question_ui(ui: &mut Ui, state: &AppState, question: &TrashQuestion, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let text = match question {
        TrashQuestion::Empty => language.fill(Text::AskEmpty, &[&total(state)]),
        TrashQuestion::Delete(id) => {
            let Some(item) = state.shell.trash.item(id) else { return };
            let title = elide(&title_of(item, language), 60);
            language.fill(Text::AskDelete, &[&title, &size_of(item.bytes)])
        }
    };
    let colours = palette(ui);
    egui::Frame::new()
        .fill(colours.field)
        .corner_radius(CornerRadius::same(size::RADIUS))
        .inner_margin(egui::Margin::symmetric(12, 10))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.add(egui::Label::new(RichText::new(text).color(colours.text_strong)).wrap());
            ui.horizontal(|ui| {
                let delete =
                    Button::text(language.get(Text::DeleteForGood)).with_icon(icons::TRASH);
                if ui.add(delete).clicked() {
                    actions.push(Action::Trash(TrashAction::Confirm));
                }
                // What loses nothing is the one thing to do.
                if ui.add(Button::text(language.get(Text::KeepIt)).primary()).clicked() {
                    actions.push(Action::Trash(TrashAction::Ask(None)));
                }
            });
        });
}

fn list_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    height: f32,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let items = match state.shell.trash.items.as_deref() {
        None => return drop(details(ui, language.get(Text::Loading))),
        Some([]) => return drop(details(ui, language.get(Text::TrashNothing))),
        Some(items) => items,
    };
    ui.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical().max_height(height).auto_shrink([false, true]).show_rows(
        ui,
        ROW,
        items.len(),
        |ui, rows| {
            for item in items.get(rows).unwrap_or_default() {
                item_ui(ui, language, item, textures, actions);
            }
        },
    );
}

/// Returns what something is called: its words, or its kind where there are none.
fn title_of(item: &TrashItem, language: Language) -> String {
    match item.title.trim() {
        "" => language.get(kind_of(&item.id)).to_owned(),
        title => title.to_owned(),
    }
}

fn kind_of(id: &TrashId) -> Text {
    match id {
        TrashId::Picture(_) => Text::KindPicture,
        TrashId::Sound(_) => Text::KindSound,
        TrashId::Conversation(_) => Text::KindConversation,
    }
}

fn item_ui(
    ui: &mut Ui,
    language: Language,
    item: &TrashItem,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let colours = palette(ui);
    let title = title_of(item, language);
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), ROW),
        Layout::right_to_left(Align::Center),
        |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            let name = language.fill(Text::DeleteItem, &[&elide(&title, 60)]);
            if ui.add(Button::icon(icons::TRASH, &name)).clicked() {
                let ask = TrashAction::Ask(Some(TrashQuestion::Delete(item.id.clone())));
                actions.push(Action::Trash(ask));
            }
            let name = language.fill(Text::RestoreItem, &[&elide(&title, 60)]);
            if ui.add(Button::icon(icons::UNDO, &name)).clicked() {
                actions.push(Action::Trash(TrashAction::Restore(item.id.clone())));
            }
            ui.add_space(size::GAP);
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = size::GAP;
                small_picture_ui(ui, item, textures, actions);
                ui.vertical(|ui| {
                    ui.spacing_mut().item_spacing.y = 2.0;
                    ui.add_space((ROW - 36.0) / 2.0);
                    let line = RichText::new(elide(&title, 200)).color(colours.text_strong);
                    ui.add(egui::Label::new(line).truncate());
                    let kind = language.get(kind_of(&item.id));
                    let age = language.age(item.age_secs);
                    details(ui, format!("{kind}  ·  {}  ·  {age}", size_of(item.bytes)));
                });
            });
        },
    );
}

fn small_picture_ui(
    ui: &mut Ui,
    item: &TrashItem,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let colours = palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(SIDE, SIDE), Sense::hover());
    let corner = CornerRadius::same(size::RADIUS);
    ui.painter().rect_filled(rect, corner, colours.control);
    match (&item.id, &item.thumbnail) {
        (TrashId::Picture(id), Thumbnail::Unknown) => {
            actions.push(Action::Trash(TrashAction::WantThumbnail(*id)));
        }
        (_, Thumbnail::Ready(pixels)) => paint_square(ui, rect, pixels, textures),
        (TrashId::Picture(_), Thumbnail::Awaited) => {}
        (id, _) => {
            let icon = if matches!(id, TrashId::Sound(_)) { icons::MUSIC } else { icons::WORDS };
            let font = Weight::Regular.font(size::ICON);
            let centre = rect.center();
            ui.painter().text(centre, Align2::CENTER_CENTER, icon, font, colours.text_weak);
        }
    }
}

/// Paints the middle of a picture into a square.
fn paint_square(ui: &Ui, rect: Rect, pixels: &Arc<Pixels>, textures: &mut Textures) {
    let Some(texture) = textures.get(ui.ctx(), pixels, false) else { return };
    let [w, h] = [pixels.width_px as f32, pixels.height_px as f32];
    let side = w.min(h);
    let uv = Rect::from_center_size(pos2(0.5, 0.5), vec2(side / w, side / h));
    let corner = CornerRadius::same(size::RADIUS);
    let shape = egui::epaint::RectShape::filled(rect, corner, Color32::WHITE);
    ui.painter().add(shape.with_texture(texture, uv));
}
