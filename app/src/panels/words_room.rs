//! The words room: the list of conversations, the conversation, the field below it.

use egui::{CentralPanel, Frame, Id, Margin, Panel, Rect, Ui};

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

/// The least width of a conversation, in points.
const TEXT_LEAST: f32 = 320.0;

/// Draws the words room; returns what was done there and where messages may lie.
pub fn words_room_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    view: &mut WordsView,
) -> (Vec<Action>, Rect) {
    let mut actions = Vec::new();
    let colours = palette(ui);
    let side = |left: bool| {
        let panel =
            if left { Panel::left("conversations") } else { Panel::right("words-settings") };
        let margin = Margin { right: 2, ..Margin::same(size::MARGIN) };
        panel
            .resizable(false)
            .exact_size(size::LIST_PANEL)
            .frame(Frame::new().fill(colours.panel).inner_margin(margin))
    };
    // Where there is no room for three columns, the settings take the place of the list.
    let has_room = ui.available_width() >= 2.0 * size::LIST_PANEL + TEXT_LEAST;
    if has_room || !state.words.settings_open {
        side(true).show(ui, |ui| list_ui(ui, state, &mut actions));
    }
    if state.words.settings_open {
        side(false).show(ui, |ui| words_settings_ui(ui, state, &mut actions));
    }
    let field = CentralPanel::default()
        .frame(Frame::new().fill(colours.canvas))
        .show(ui, |ui| {
            let panel = Panel::bottom("message")
                .resizable(false)
                .show_separator_line(false)
                .frame(Frame::new().fill(colours.canvas).inner_margin(Margin::symmetric(16, 10)))
                .show(ui, |ui| message_field_ui(ui, state, &mut actions));
            draw_again_when_grown(ui, panel.response.rect.height());
            let field = ui.available_rect_before_wrap();
            conversation_ui(ui, state, textures, view, &mut actions);
            field
        })
        .inner;
    (actions, field)
}

/// Has the frame drawn once more when the field's panel grew or shrank in it: a panel has the
/// height of the last frame, and would stand cut off until something moves.
fn draw_again_when_grown(ui: &Ui, height: f32) {
    let id = Id::unique("message-panel-height");
    let before = ui.data(|data| data.get_temp::<f32>(id));
    if before != Some(height) {
        ui.data_mut(|data| data.insert_temp(id, height));
        ui.ctx().request_discard("the message field has another height");
        ui.ctx().request_repaint();
    }
}
