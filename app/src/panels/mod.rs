//! The parts of the window. Each shows the state and returns what the person did; none changes
//! anything itself.

mod canvas_panel;
mod conversation_panel;
mod conversations_list;
mod editor_canvas;
mod editor_guiding;
mod editor_lists;
mod editor_object;
mod editor_room;
mod editor_shape;
mod editor_tools;
mod extras_panel;
mod film_strip;
mod library_boards;
mod library_details;
mod library_filters;
mod library_grid;
mod library_report;
mod library_room;
mod message_field;
mod model_kind;
mod model_menu;
mod offers_panel;
mod palette_panel;
mod piece_panel;
mod prompt_panel;
mod queue_popup;
mod settings_popup;
mod sound_prompt;
mod sound_room;
mod top_bar;
mod transport;
mod trash_panel;
mod tune_card;
mod words_room;
mod words_settings;

pub use canvas_panel::canvas_panel_ui;
pub use conversation_panel::WordsView;
pub use editor_canvas::EditorView;
pub use editor_room::editor_ui;
pub use film_strip::film_strip_ui;
pub use library_grid::LIBRARY_GRID;
pub use library_report::library_report_ui;
pub use library_room::{LIBRARY_FIELD, library_room_ui};
pub use message_field::MESSAGE_FIELD;
pub use offers_panel::offers_ui;
pub use palette_panel::palette_ui;
pub use prompt_panel::{PROMPT_FIELD, prompt_panel_ui};
pub use sound_prompt::SOUND_FIELD;
pub use sound_room::sound_room_ui;
pub use top_bar::top_bar_ui;
pub use trash_panel::trash_ui;
pub use words_room::words_room_ui;

use crate::action::{Action, commands};
use crate::i18n::{Language, Text};

/// Returns the keys of a command as the system writes them, or nothing.
pub(crate) fn keys_of(ctx: &egui::Context, name: Text) -> String {
    commands()
        .into_iter()
        .find(|command| command.name == name)
        .and_then(|command| command.keys.first().copied())
        .map(|keys| ctx.format_shortcut(&keys))
        .unwrap_or_default()
}

/// Draws an icon button for a command of the table, with its keys in the tooltip.
pub(crate) fn command_button(
    ui: &mut egui::Ui,
    icon: &str,
    name: Text,
    language: Language,
    action: Action,
    actions: &mut Vec<Action>,
) {
    let keys = keys_of(ui.ctx(), name);
    let button = crate::widgets::Button::icon(icon, language.get(name)).shortcut(&keys);
    if ui.add(button).clicked() {
        actions.push(action);
    }
}
