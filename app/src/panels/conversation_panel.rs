//! The conversation: what was said, what can be done with it, and the invitation while there is
//! nothing.

use std::collections::HashMap;

use atelier_engine::protocol::Role;
use atelier_engine::store::conversations::{Conversation, Message, MessageId};
use egui::{
    Align, Color32, CornerRadius, Frame, Id, Layout, Margin, Rect, RichText, ScrollArea, TextStyle,
    Ui, UiBuilder, WidgetInfo, pos2, vec2,
};
use egui_commonmark::{CommonMarkCache, CommonMarkViewer};

use super::words_room::READING_WIDTH;
use crate::action::{Action, HistoryAction, MessageAction, WordsAction};
use crate::i18n::{STARTS, Text};
use crate::services::Textures;
use crate::state::blocks::{Block, blocks};
use crate::state::{AppState, Room};
use crate::theme::{Weight, icons, palette, size};
use crate::widgets::{Button, elide, ring, text_area};

/// How wide a picture beside a paragraph is at most.
const PICTURE: f32 = 240.0;

/// Keeps what drawing a conversation needs from one frame to the next.
#[derive(Default)]
pub struct WordsView {
    markdown: CommonMarkCache,
    /// How high the messages of the conversation were when they were last drawn, with what they
    /// were drawn from.
    heights: HashMap<MessageId, (u64, f32)>,
    conversation: String,
}

/// Draws the conversation.
pub(super) fn conversation_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    view: &mut WordsView,
    actions: &mut Vec<Action>,
) {
    let open = state.words.open.as_ref().filter(|open| open.leaf.is_some());
    let Some(open) = open else {
        if state.words.list.opening.is_none() {
            empty_ui(ui, state, actions);
        }
        return;
    };
    if view.conversation != open.id {
        view.conversation.clone_from(&open.id);
        view.heights.clear();
    }
    let branch = open.branch();
    ScrollArea::vertical()
        .id_salt(&open.id)
        .auto_shrink([false, false])
        .stick_to_bottom(true)
        .show_viewport(ui, |ui, viewport| {
            let width = (ui.available_width() - 32.0).min(READING_WIDTH);
            let left = ui.max_rect().left() + (ui.available_width() - width) / 2.0;
            let top = ui.max_rect().top();
            let mut y = 12.0;
            let last = branch.last().map(|message| message.id);
            for message in &branch {
                let stamp = stamp(state, message, width);
                let known = view.heights.get(&message.id).filter(|(of, _)| *of == stamp);
                let height = known.map_or_else(|| guess_height(message, width), |(_, h)| *h);
                // What is out of sight costs nothing; the height it had keeps its place.
                let near = y + height > viewport.top() - 200.0 && y < viewport.bottom() + 200.0;
                if near {
                    let rect = Rect::from_min_size(pos2(left, top + y), vec2(width, height));
                    let builder = UiBuilder::new()
                        .id_salt((&open.id, message.id))
                        .max_rect(rect)
                        .layout(Layout::top_down(Align::Min));
                    let drawn = ui.scope_builder(builder, |ui| {
                        ui.set_width(width);
                        let is_last = last == Some(message.id);
                        message_ui(ui, state, textures, view, open, message, is_last, actions);
                        ui.min_rect().height()
                    });
                    let drawn = drawn.inner;
                    if (drawn - height).abs() > 0.5 {
                        ui.ctx().request_repaint();
                    }
                    view.heights.insert(message.id, (stamp, drawn));
                    y += drawn + 14.0;
                } else {
                    y += height + 14.0;
                }
            }
            let whole = Rect::from_min_size(ui.max_rect().min, vec2(1.0, y + 8.0));
            ui.advance_cursor_after_rect(whole);
        });
}

/// Returns a number that differs when a message would be drawn with another height.
fn stamp(state: &AppState, message: &Message, width: f32) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};

    let mut hasher = DefaultHasher::new();
    (message.text.len(), width.to_bits(), message.illustrations.len()).hash(&mut hasher);
    // The line below a picture comes with the library.
    state.history.loaded.hash(&mut hasher);
    let edited = state.words.editing.as_ref().filter(|(id, _)| *id == message.id);
    edited.map(|(_, text)| text.lines().count()).hash(&mut hasher);
    hasher.finish()
}

/// Guesses the height of a message that was not drawn yet.
fn guess_height(message: &Message, width: f32) -> f32 {
    let letters_per_line = (width / 7.5).max(10.0);
    let lines: f32 = message
        .text
        .lines()
        .map(|line| (line.chars().count() as f32 / letters_per_line).ceil().max(0.6))
        .sum();
    66.0 + lines * 20.0 + message.illustrations.len() as f32 * PICTURE
}

#[expect(clippy::too_many_arguments, reason = "what a message is drawn from and into")]
fn message_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    view: &mut WordsView,
    open: &Conversation,
    message: &Message,
    is_last: bool,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let colours = palette(ui);
    let is_user = message.role == Role::User;
    let fill = if is_user { colours.raised } else { Color32::TRANSPARENT };
    Frame::new()
        .fill(fill)
        .corner_radius(CornerRadius::same(size::RADIUS_LARGE))
        .inner_margin(Margin::symmetric(14, 10))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = size::GAP;
            let (icon, name, ink) = match is_user {
                true => ("", language.get(Text::You), colours.accent),
                false => (icons::WRITER, language.get(Text::Writer), colours.text_weak),
            };
            let head = format!("{icon} {name}");
            let font = Weight::SemiBold.font(size::TEXT_SMALL);
            ui.label(RichText::new(head.trim()).font(font).color(ink));
            if let Some((_, text)) =
                state.words.editing.as_ref().filter(|(id, _)| *id == message.id)
            {
                edit_ui(ui, state, message, text, actions);
                return;
            }
            body_ui(ui, state, textures, view, open, message, actions);
            let writing = state.words.answering(&open.id);
            if writing.is_some_and(|(_, id)| id == message.id) {
                if message.text.is_empty() {
                    let text = RichText::new("…").color(colours.text_weak);
                    ui.label(text.size(size::TEXT_PROMPT));
                }
            } else {
                buttons_ui(ui, state, open, message, is_last, actions);
            }
        });
}

fn edit_ui(
    ui: &mut Ui,
    state: &AppState,
    message: &Message,
    text: &str,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let act = |action| Action::Words(WordsAction::Message(message.id, action));
    let mut text = text.to_owned();
    let name = language.get(Text::EditedMessage);
    let rows = text.lines().count().clamp(2, 12);
    let field = Id::unique("edit-field");
    let response = text_area(ui, field, name, "", &mut text, rows);
    // Who begins to edit can write at once; who then leaves the field is not called back.
    let begun = Id::unique("edit-begun");
    let frame = ui.ctx().cumulative_frame_nr();
    let before = ui.data(|data| data.get_temp::<(MessageId, u64)>(begun));
    if before.is_none_or(|(id, last)| id != message.id || last + 1 < frame) {
        response.request_focus();
    }
    ui.data_mut(|data| data.insert_temp(begun, (message.id, frame)));
    if response.changed() {
        actions.push(act(MessageAction::SetEdit(text)));
    }
    ui.horizontal(|ui| {
        let save = match message.role {
            Role::User => Text::SendAsVersion,
            Role::Assistant => Text::SaveAsVersion,
        };
        if ui.add(Button::text(language.get(save)).primary()).clicked() {
            actions.push(act(MessageAction::TakeEdit));
        }
        if ui.add(Button::text(language.get(Text::LeaveEdit))).clicked() {
            actions.push(act(MessageAction::LeaveEdit));
        }
    });
}

/// Draws the text of a message block by block, with the pictures of its paragraphs.
fn body_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    view: &mut WordsView,
    open: &Conversation,
    message: &Message,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    ui.style_mut().interaction.selectable_labels = true;
    let style = Weight::Regular.font(size::TEXT_READING);
    ui.style_mut().text_styles.insert(TextStyle::Body, style);
    for (index, block) in blocks(&message.text).into_iter().enumerate() {
        match block {
            Block::Code(code) => code_ui(ui, state, &code, actions),
            Block::Text(text) if message.role == Role::User => {
                // What the person wrote is shown as it was written.
                let text = RichText::new(text).size(size::TEXT_READING);
                ui.add(egui::Label::new(text.color(palette(ui).text_strong)).wrap());
            }
            Block::Text(text) => {
                let illustrates = state.words.illustrates(&open.id, message.id, index);
                ui.horizontal_top(|ui| {
                    ui.spacing_mut().item_spacing.x = 6.0;
                    let width = ui.available_width() - size::CONTROL - 6.0;
                    // The first line stands level with the button.
                    let line = ui.text_style_height(&egui::TextStyle::Body);
                    let drop = ((size::CONTROL - line) / 2.0).max(0.0);
                    ui.vertical(|ui| {
                        ui.set_width(width);
                        ui.add_space(drop);
                        ui.push_id(index, |ui| {
                            CommonMarkViewer::new().show(ui, &mut view.markdown, &text);
                        });
                    });
                    let name = language.fill(Text::Illustrate, &[&elide(&text, 40)]);
                    let button = Button::icon(icons::IMAGE, &name);
                    if ui.add_enabled(!illustrates, button).clicked() {
                        let action = MessageAction::Illustrate(index);
                        actions.push(Action::Words(WordsAction::Message(message.id, action)));
                    }
                });
                pictures_ui(ui, state, textures, message, index, &text, actions);
                if illustrates {
                    let line = RichText::new(language.get(Text::Illustrating));
                    ui.label(line.size(size::TEXT_SMALL).color(palette(ui).accent));
                }
            }
        }
    }
}

fn pictures_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    message: &Message,
    paragraph: usize,
    text: &str,
    actions: &mut Vec<Action>,
) {
    let of_this = message.illustrations.iter().filter(|one| one.paragraph == paragraph);
    let ids: Vec<i64> = of_this.map(|one| one.result_id).collect();
    if ids.is_empty() {
        return;
    }
    let language = state.settings.language;
    let name = language.fill(Text::IllustrationOf, &[&elide(text, 40)]);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(size::GAP, size::GAP);
        for id in ids {
            let known = state.words.pictures.iter().find(|(other, _)| *other == id);
            if known.is_none() {
                actions.push(Action::Words(WordsAction::WantPicture(id)));
            }
            let pixels = known.and_then(|(_, pixels)| pixels.as_ref());
            let shape = pixels.map_or(1.0, |p| p.height_px as f32 / p.width_px.max(1) as f32);
            let area = vec2(PICTURE / shape.max(1.0), PICTURE * shape.min(1.0));
            let painted = state.history.get(id).map(|entry| entry.recipe.words());
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = size::GAP_SMALL;
                ui.set_max_width(area.x.max(120.0));
                let (rect, response) = ui.allocate_exact_size(area, egui::Sense::click());
                response.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, &name));
                let full = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
                let radius = CornerRadius::same(size::RADIUS);
                ui.painter().rect_filled(rect, radius, palette(ui).control);
                let texture = pixels.and_then(|pixels| textures.get(ui.ctx(), pixels, false));
                if let Some(texture) = texture {
                    let shape = egui::epaint::RectShape::filled(rect, radius, Color32::WHITE);
                    ui.painter().add(shape.with_texture(texture, full));
                }
                ring(ui, rect, &response);
                let Some(painted) = painted else { return };
                let painted = elide(&painted, 60);
                let line = language.fill(Text::PaintedFrom, &[&painted]);
                let line = RichText::new(line).size(size::TEXT_SMALL);
                ui.add(egui::Label::new(line.color(palette(ui).text_weak)).wrap());
                if response.clicked() {
                    actions.push(Action::Enter(Room::Pictures));
                    actions.push(Action::History(HistoryAction::Show(id)));
                }
                let open = language.fill(Text::OpenInPictures, &[&painted]);
                response.on_hover_cursor(egui::CursorIcon::PointingHand).on_hover_text(open);
            });
        }
    });
}

fn code_ui(ui: &mut Ui, state: &AppState, code: &str, actions: &mut Vec<Action>) {
    let colours = palette(ui);
    Frame::new()
        .fill(colours.field)
        .corner_radius(CornerRadius::same(size::RADIUS))
        .inner_margin(Margin::symmetric(12, 8))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
                let name = state.settings.language.get(Text::CopyCode);
                if ui.add(Button::icon(icons::COPY, name)).clicked() {
                    actions.push(Action::Words(WordsAction::Copy(code.to_owned())));
                }
                ui.with_layout(Layout::top_down(Align::Min), |ui| {
                    let text = RichText::new(code).monospace().size(size::TEXT_PROMPT);
                    ui.add(egui::Label::new(text.color(colours.text)).wrap());
                });
            });
        });
}

fn buttons_ui(
    ui: &mut Ui,
    state: &AppState,
    open: &Conversation,
    message: &Message,
    is_last: bool,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let idle = state.words.answering(&open.id).is_none();
    let act = |action| Action::Words(WordsAction::Message(message.id, action));
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let versions = open.versions(message.id);
        if let (true, Some(place)) =
            (versions.len() > 1, versions.iter().position(|id| *id == message.id))
        {
            let show = |id: MessageId| Action::Words(WordsAction::Message(id, MessageAction::Show));
            let earlier = place.checked_sub(1).map(|place| versions[place]);
            let later = versions.get(place + 1).copied();
            let button = Button::icon(icons::CARET_LEFT, language.get(Text::EarlierVersion));
            if ui.add_enabled(idle && earlier.is_some(), button).clicked() {
                actions.extend(earlier.map(show));
            }
            let text = language.fill(Text::VersionOf, &[&(place + 1), &versions.len()]);
            let text = RichText::new(text).size(size::TEXT_SMALL).color(palette(ui).text_weak);
            ui.label(text);
            let button = Button::icon(icons::CARET_RIGHT, language.get(Text::LaterVersion));
            if ui.add_enabled(idle && later.is_some(), button).clicked() {
                actions.extend(later.map(show));
            }
        }
        if ui.add(Button::icon(icons::COPY, language.get(Text::CopyMessage))).clicked() {
            actions.push(Action::Words(WordsAction::Copy(message.text.clone())));
        }
        let edit = Button::icon(icons::EDIT, language.get(Text::EditMessage));
        if ui.add_enabled(idle, edit).clicked() {
            actions.push(act(MessageAction::SetEdit(message.text.clone())));
        }
        if message.role == Role::Assistant {
            let again = Button::icon(icons::REDO, language.get(Text::Regenerate));
            if ui.add_enabled(idle, again).clicked() {
                actions.push(act(MessageAction::Regenerate));
            }
            let go_on = Button::icon(icons::GO_ON, language.get(Text::GoOnWriting));
            if is_last && ui.add_enabled(idle, go_on).clicked() {
                actions.push(act(MessageAction::GoOn));
            }
        }
    });
}

/// Draws the invitation: a question, what the house writer is, and ways to begin.
fn empty_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let colours = palette(ui);
    let field = ui.available_rect_before_wrap();
    let width = (field.width() - 32.0).min(560.0);
    let rect = Rect::from_center_size(field.center(), vec2(width, 320.0));
    ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| {
        ui.vertical_centered(|ui| {
            ui.spacing_mut().item_spacing.y = size::GAP;
            let title = RichText::new(language.get(Text::WordsTitle));
            ui.label(title.font(Weight::SemiBold.font(26.0)).color(colours.text_strong));
            let note = RichText::new(language.get(Text::HouseWriterNote));
            ui.add(egui::Label::new(note.color(colours.text_weak)).wrap());
            ui.add_space(size::GAP_LARGE);
            for (name, said) in STARTS {
                let name = language.example(name);
                let button = Button::text(name).min_width(width).height(40.0);
                let possible = state.words.model().is_some();
                if ui.add_enabled(possible, button).clicked() {
                    actions.push(Action::Words(WordsAction::TakeStart(said.to_owned())));
                }
            }
        });
    });
}
