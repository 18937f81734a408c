//! The words room: the list of conversations, the conversation, the field below it.

use egui::{CentralPanel, Frame, Margin, Panel, Rect, Ui};

use super::conversation_panel::{WordsView, conversation_ui};
use super::conversations_list::list_ui;
use super::message_field::message_field_ui;
use super::words_settings::words_settings_ui;
use crate::action::Action;
use crate::services::Textures;
use crate::state::AppState;
use crate::theme::{palette, size};

/// How wide lines may become, so that the eye finds the next one.
pub(super) const READING_WIDTH: f32 = 720.0;

/// Draws the words room; returns what was done there and where messages may lie.
pub fn words_room_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    view: &mut WordsView,
) -> (Vec<Action>, Rect) {
    let mut actions = Vec::new();
    let colours = palette(ui);
    Panel::left("conversations")
        .resizable(false)
        .exact_size(size::LIST_PANEL)
        .frame(
            Frame::new()
                .fill(colours.panel)
                .inner_margin(Margin { right: 2, ..Margin::same(size::MARGIN) }),
        )
        .show(ui, |ui| list_ui(ui, state, &mut actions));
    if state.words.settings_open {
        Panel::right("words-settings")
            .resizable(false)
            .exact_size(size::LIST_PANEL)
            .frame(
                Frame::new()
                    .fill(colours.panel)
                    .inner_margin(Margin { right: 2, ..Margin::same(size::MARGIN) }),
            )
            .show(ui, |ui| words_settings_ui(ui, state, &mut actions));
    }
    let field = CentralPanel::default()
        .frame(Frame::new().fill(colours.canvas))
        .show(ui, |ui| {
            Panel::bottom("message")
                .resizable(false)
                .show_separator_line(false)
                .frame(Frame::new().fill(colours.canvas).inner_margin(Margin::symmetric(16, 10)))
                .show(ui, |ui| message_field_ui(ui, state, &mut actions));
            let field = ui.available_rect_before_wrap();
            conversation_ui(ui, state, textures, view, &mut actions);
            field
        })
        .inner;
    (actions, field)
}
