//! The field below a conversation: what is said next, and what the model has room for.

use egui::{Align, CornerRadius, Id, Key, Layout, Modifiers, RichText, Sense, Ui, vec2};

use super::words_room::READING_WIDTH;
use crate::action::{Action, WordsAction};
use crate::i18n::{Text, size_of};
use crate::state::AppState;
use crate::theme::{icons, palette, size};
use crate::widgets::{Button, text_area};

/// The name of the message's field, for putting the cursor there.
pub const MESSAGE_FIELD: &str = "message-field";

/// Draws the field and what stands below it.
pub(super) fn message_field_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let words = &state.words;
    let width = ui.available_width().min(READING_WIDTH);
    let margin = (ui.available_width() - width) / 2.0;
    let writes = words.open.as_ref().is_some_and(|open| words.answering(&open.id).is_some());
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        ui.add_space(margin);
        ui.vertical(|ui| {
            ui.set_width(width);
            ui.spacing_mut().item_spacing.y = 6.0;
            let id = Id::unique(MESSAGE_FIELD);
            // The key is taken before the field would begin a line with it.
            let sends = ui.memory(|memory| memory.has_focus(id))
                && ui.input_mut(|input| {
                    input.modifiers.is_none() && input.consume_key(Modifiers::NONE, Key::Enter)
                });
            let mut draft = words.draft.clone();
            let rows = draft.lines().count().clamp(2, 8);
            let hint = language.get(Text::MessageHint);
            if text_area(ui, id, language.get(Text::Message), hint, &mut draft, rows).changed() {
                actions.push(Action::Words(WordsAction::SetDraft(draft)));
            }
            if sends {
                actions.push(Action::Words(WordsAction::Send));
            }
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = size::GAP;
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let (icon, name, action) = match writes {
                        true => (icons::STOP, Text::StopWriting, WordsAction::Stop),
                        false => (icons::SEND, Text::Send, WordsAction::Send),
                    };
                    let button = Button::text(language.get(name)).with_icon(icon);
                    let button = if writes { button } else { button.primary() };
                    let possible = writes || !words.draft.trim().is_empty();
                    if ui.add_enabled(possible, button).clicked() {
                        actions.push(Action::Words(action));
                    }
                    let open = words.settings_open;
                    let name = language.get(Text::WritingSettings);
                    if ui.add(Button::icon(icons::SLIDERS, name).selected(open)).clicked() {
                        actions.push(Action::Words(WordsAction::ShowSettings(!open)));
                    }
                    let has_text =
                        words.open.as_ref().is_some_and(|open| !open.messages.is_empty());
                    let save = Button::icon(icons::SAVE, language.get(Text::SaveConversation));
                    if ui.add_enabled(has_text, save).clicked() {
                        actions.push(Action::Words(WordsAction::SaveAs));
                    }
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                        context_ui(ui, state)
                    });
                });
            });
        });
    });
}

/// Draws which model answers, how much of its memory is used, and how fast it writes.
fn context_ui(ui: &mut Ui, state: &AppState) {
    let language = state.settings.language;
    let colours = palette(ui);
    let words = &state.words;
    let small = |text: String| RichText::new(text).size(size::TEXT_SMALL);
    let Some(model) = words.model() else {
        let text = language.get(Text::WriterMissing).to_owned();
        ui.label(small(text).color(colours.warning));
        return;
    };
    ui.label(small(crate::widgets::elide(&model.title, 32)).color(colours.text_weak));
    if let Some(needed) = words.needed_memory_bytes() {
        if !state.models.has_room(needed) {
            super::prompt_panel::no_room_ui(ui, state, needed);
            return;
        }
        let line = language.fill(Text::NeedsMemory, &[&size_of(needed)]);
        ui.label(small(line).color(colours.text_weak));
    }
    let live = state.jobs.running().filter(|job| words.purpose(job.ticket).is_some());
    let stats = live.and_then(|job| job.live.words).or_else(|| words.stats());
    let Some(stats) = stats else { return };
    let total = stats.context_tokens.max(1);
    let used = (stats.prompt_tokens + stats.written_tokens).min(total);
    let share = used as f32 / total as f32;
    let (bar, _) = ui.allocate_exact_size(vec2(72.0, 4.0), Sense::hover());
    let radius = CornerRadius::same(2);
    ui.painter().rect_filled(bar, radius, colours.control);
    let full = egui::Rect::from_min_size(bar.min, vec2(bar.width() * share, bar.height()));
    let ink = if share > 0.9 { colours.warning } else { colours.accent };
    ui.painter().rect_filled(full, radius, ink);
    let line = language.fill(Text::ContextUse, &[&thousands(used), &thousands(total)]);
    ui.label(small(line).color(colours.text_weak));
    if let Some(pace) = stats.tokens_per_second() {
        let pace = if pace < 10.0 { format!("{pace:.1}") } else { format!("{pace:.0}") };
        let line = language.fill(Text::TokensPerSecond, &[&pace]);
        ui.label(small(line).color(colours.text_weak));
    }
}

/// Writes a number with a comma before each group of three digits.
fn thousands(number: u32) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn digits_come_in_groups_of_three() {
        assert_eq!([312, 2_048, 131_072].map(thousands), ["312", "2,048", "131,072"]);
    }
}
