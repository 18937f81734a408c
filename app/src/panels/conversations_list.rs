//! The list of conversations, with search.

use atelier_engine::store::conversations::ConversationEntry;
use egui::{Align, Id, Key, Layout, ScrollArea, Ui};

use super::keys_of;
use crate::action::{Action, WordsAction};
use crate::i18n::{Language, Text};
use crate::state::AppState;
use crate::theme::{icons, size};
use crate::widgets::{Button, details, elide, search_field, text_field};

/// Draws the list of conversations.
pub(super) fn list_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let width = size::LIST_PANEL - 2.0 * f32::from(size::MARGIN);
    ui.spacing_mut().item_spacing.y = size::GAP;
    let new = Button::text(language.get(Text::NewConversation))
        .with_icon(icons::NEW_NOTE)
        .side(keys_of(ui.ctx(), Text::NewConversation))
        .min_width(width);
    if ui.add(new).clicked() {
        actions.push(Action::Words(WordsAction::New));
    }
    search_ui(ui, state, width, actions);
    let list = &state.words.list;
    let is_found =
        |entry: &&ConversationEntry| list.found.as_ref().is_none_or(|ids| ids.contains(&entry.id));
    let entries: Vec<&ConversationEntry> = list.entries.iter().filter(is_found).collect();
    if entries.is_empty() {
        let text = match (list.loaded, list.found.is_some()) {
            (_, true) => Text::NothingFound,
            (true, _) => Text::NoConversations,
            (false, _) => Text::Loading,
        };
        details(ui, language.get(text));
        return;
    }
    let height = size::CONTROL;
    ui.spacing_mut().item_spacing.y = 2.0;
    ScrollArea::vertical().auto_shrink([false, false]).show_rows(
        ui,
        height,
        entries.len(),
        |ui, rows| {
            ui.set_max_width(width);
            for entry in entries.get(rows).unwrap_or_default() {
                entry_ui(ui, state, entry, language, width, actions);
            }
        },
    );
}

fn search_ui(ui: &mut Ui, state: &AppState, width: f32, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let name = language.get(Text::SearchConversations);
    let mut query = state.words.list.query.clone();
    let field = Id::unique("conversation-search");
    let response = search_field(ui, field, [name, name], &mut query, width);
    if response.changed() {
        actions.push(Action::Words(WordsAction::SetQuery(query)));
    }
}

fn entry_ui(
    ui: &mut Ui,
    state: &AppState,
    entry: &ConversationEntry,
    language: Language,
    width: f32,
    actions: &mut Vec<Action>,
) {
    if let Some((id, title)) = &state.words.list.renaming
        && *id == entry.id
    {
        title_ui(ui, language, id, title, width, actions);
        return;
    }
    let chosen = state.words.open.as_ref().is_some_and(|open| open.id == entry.id);
    let title = match entry.title.is_empty() {
        true => language.get(Text::Untitled).to_owned(),
        false => entry.title.clone(),
    };
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        ui.set_width(width);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if chosen {
                let name = language.fill(Text::DeleteConversation, &[&title]);
                if ui.add(Button::icon(icons::TRASH, &name)).clicked() {
                    actions.push(Action::Words(WordsAction::Delete(entry.id.clone())));
                }
                let name = language.fill(Text::RenameConversation, &[&title]);
                if ui.add(Button::icon(icons::EDIT, &name)).clicked() {
                    let renaming = Some((entry.id.clone(), entry.title.clone()));
                    actions.push(Action::Words(WordsAction::SetTitle(renaming)));
                }
            }
            let room = ui.available_width();
            // What fits is measured by the average letter; a Chinese one is twice as wide.
            let letters = title.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>();
            let ratio = title.chars().count() as f32 / letters.max(1) as f32;
            let shown = elide(&title, ((room - 24.0) / 6.6 * ratio) as usize);
            let button = Button::text(&shown)
                .named(&title)
                .quiet()
                .side("")
                .selected(chosen)
                .min_width(room);
            if ui.add(button).clicked() {
                actions.push(Action::Words(WordsAction::Open(entry.id.clone())));
            }
        });
    });
}

fn title_ui(
    ui: &mut Ui,
    language: Language,
    id: &str,
    title: &str,
    width: f32,
    actions: &mut Vec<Action>,
) {
    let mut text = title.to_owned();
    let name = language.get(Text::ConversationTitle);
    let field = Id::unique("conversation-title");
    let response = text_field(ui, field, name, &mut text, width);
    if response.changed() {
        let renaming = Some((id.to_owned(), text));
        actions.push(Action::Words(WordsAction::SetTitle(renaming)));
    }
    if response.lost_focus() {
        let escaped = ui.input(|input| input.key_pressed(Key::Escape));
        let done = if escaped { WordsAction::SetTitle(None) } else { WordsAction::TakeTitle };
        actions.push(Action::Words(done));
    } else if !response.has_focus() {
        response.request_focus();
    }
}
