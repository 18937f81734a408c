//! The command palette: every command by its name.

use egui::{Id, Key, Modal, Modifiers, RichText, ScrollArea, Ui};

use crate::action::{Action, PaletteAction, find_commands};
use crate::i18n::Text;
use crate::state::AppState;
use crate::theme::{palette, size};
use crate::widgets::{Button, text_field};

/// Draws the command palette while it is open.
pub fn palette_ui(ui: &mut Ui, state: &AppState) -> Vec<Action> {
    let mut actions = Vec::new();
    if !state.shell.palette.open {
        return actions;
    }
    // The keys are taken before the text field sees them.
    let (down, up, enter) = ui.input_mut(|input| {
        (
            input.consume_key(Modifiers::NONE, Key::ArrowDown),
            input.consume_key(Modifiers::NONE, Key::ArrowUp),
            input.consume_key(Modifiers::NONE, Key::Enter),
        )
    });
    if down || up {
        actions.push(Action::Palette(PaletteAction::Step(if down { 1 } else { -1 })));
    }
    if enter {
        actions.push(Action::Palette(PaletteAction::Run(state.shell.palette.index)));
    }
    let modal = Modal::new(Id::unique("palette"))
        .backdrop_color(palette(ui).veil)
        .show(ui.ctx(), |ui| content_ui(ui, state, down || up, &mut actions));
    if modal.should_close() {
        actions.push(Action::Palette(PaletteAction::Show(false)));
    }
    actions
}

fn content_ui(ui: &mut Ui, state: &AppState, moved: bool, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    ui.set_width(420.0);
    let id = Id::unique("palette-field");
    let mut query = state.shell.palette.query.clone();
    let name = language.get(Text::PaletteHint);
    let response = text_field(ui, id, name, &mut query, ui.available_width());
    if query.is_empty() {
        let place = response.rect.left_center() + egui::vec2(10.0, 0.0);
        let font = crate::theme::Weight::Regular.font(size::TEXT);
        let weak = palette(ui).text_weak;
        ui.painter().text(place, egui::Align2::LEFT_CENTER, name, font, weak);
    }
    if response.changed() {
        actions.push(Action::Palette(PaletteAction::SetQuery(query)));
    }
    response.request_focus();
    let found = find_commands(&state.shell.palette.query, language, state.place());
    if found.is_empty() {
        let text = RichText::new(language.get(Text::PaletteNothing)).color(palette(ui).text_weak);
        ui.label(text);
    }
    ScrollArea::vertical().max_height(360.0).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        for (index, command) in found.iter().enumerate() {
            let keys = command.keys.first().map(|keys| ui.ctx().format_shortcut(keys));
            let chosen = index == state.shell.palette.index;
            let button = Button::text(language.get(command.name))
                .quiet()
                .side(keys.unwrap_or_default())
                .selected(chosen)
                .min_width(ui.available_width());
            let response = ui.add(button);
            if chosen && moved {
                response.scroll_to_me(None);
            }
            if response.clicked() {
                actions.push(Action::Palette(PaletteAction::Run(index)));
            }
        }
    });
}
