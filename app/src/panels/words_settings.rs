//! How the model writes: which one, what it is told, how tokens are chosen.

use atelier_engine::store::conversations::WordsSettings;
use egui::{Id, Popup, RichText, ScrollArea, Ui};

use crate::action::{Action, WordsAction};
use crate::i18n::Text;
use crate::state::AppState;
use crate::theme::{icons, palette, size};
use crate::widgets::{Button, NumberField, field_label, slider_row, text_area, text_field};

/// A number of the settings: its name, its range, its step.
type Row = (Text, [f64; 2], f64);

const ROWS: [Row; 6] = [
    (Text::Temperature, [0.0, 2.0], 0.05),
    (Text::TopK, [0.0, 200.0], 1.0),
    (Text::TopP, [0.0, 1.0], 0.01),
    (Text::MinP, [0.0, 0.5], 0.01),
    (Text::RepetitionPenalty, [0.5, 2.0], 0.05),
    (Text::MaxTokens, [16.0, 4_096.0], 16.0),
];

/// Draws the settings of the conversation that is shown, or of the next.
pub(super) fn words_settings_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let width = size::LIST_PANEL - 2.0 * f32::from(size::MARGIN);
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        ui.set_max_width(width);
        ui.spacing_mut().item_spacing.y = size::GAP;
        model_ui(ui, state, actions);

        field_label(ui, language.get(Text::SystemPrompt), "");
        let open = state.words.open.as_ref();
        let mut system = open.map(|open| open.system.clone()).unwrap_or_default();
        let name = language.get(Text::SystemPrompt);
        let hint = language.get(Text::SystemHint);
        if text_area(ui, Id::unique("system-field"), name, hint, &mut system, 3).changed() {
            actions.push(Action::Words(WordsAction::SetSystem(system)));
        }

        let mut settings = state.words.settings().clone();
        for row in ROWS {
            if number_ui(ui, state, row, &mut settings) {
                actions.push(Action::Words(WordsAction::SetSettings(settings.clone())));
            }
        }

        field_label(ui, language.get(Text::Seed), "");
        let mut seed = settings.seed.map(|seed| seed.to_string()).unwrap_or_default();
        let name = language.get(Text::Seed);
        let field = text_field(ui, Id::unique("words-seed"), name, &mut seed, width);
        if seed.is_empty() {
            let place = field.rect.left_center() + egui::vec2(10.0, 0.0);
            let font = crate::theme::Weight::Regular.font(size::TEXT);
            let text = language.get(Text::SeedEachTime);
            let weak = palette(ui).text_weak;
            ui.painter().text(place, egui::Align2::LEFT_CENTER, text, font, weak);
        }
        if field.changed() && (seed.trim().is_empty() || seed.trim().parse::<u64>().is_ok()) {
            settings.seed = seed.trim().parse().ok();
            actions.push(Action::Words(WordsAction::SetSettings(settings)));
        }
        ui.add_space(size::GAP);
    });
}

fn number_ui(ui: &mut Ui, state: &AppState, row: Row, settings: &mut WordsSettings) -> bool {
    let language = state.settings.language;
    let (text, range, step) = row;
    let sampling = &mut settings.sampling;
    let mut value = match text {
        Text::Temperature => f64::from(sampling.temperature),
        Text::TopK => f64::from(sampling.top_k),
        Text::TopP => f64::from(sampling.top_p),
        Text::MinP => f64::from(sampling.min_p),
        Text::RepetitionPenalty => f64::from(sampling.repetition_penalty),
        _ => f64::from(settings.max_tokens),
    };
    let field_name = language.fill(Text::AsNumber, &[&language.get(text)]);
    let field = NumberField { name: language.get(text), field_name: &field_name, range, step };
    if !slider_row(ui, field, &mut value) || !value.is_finite() {
        return false;
    }
    let value = value.clamp(range[0], range[1]);
    match text {
        Text::Temperature => sampling.temperature = value as f32,
        Text::TopK => sampling.top_k = value.round() as u32,
        Text::TopP => sampling.top_p = value as f32,
        Text::MinP => sampling.min_p = value as f32,
        Text::RepetitionPenalty => sampling.repetition_penalty = value as f32,
        _ => settings.max_tokens = value.round() as u32,
    }
    true
}

fn model_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let words = &state.words;
    let model = words.model();
    field_label(ui, language.get(Text::Model), "");
    let label = model.map_or(language.get(Text::WriterMissing), |model| model.title.as_str());
    let label = crate::widgets::elide(label, 28);
    let button = Button::text(&label)
        .with_icon(icons::WRITER)
        .named(language.get(Text::Model))
        .side(icons::CARET_DOWN)
        .min_width(ui.available_width());
    let response = ui.add(button);
    Popup::menu(&response).accessible_name(language.get(Text::Model)).show(|ui| {
        ui.set_min_width(220.0);
        ui.spacing_mut().item_spacing.y = 2.0;
        for one in &words.models {
            let mark = if model == Some(one) { icons::CHECK } else { "" };
            let width = ui.available_width();
            let button = Button::text(&one.title).quiet().side(mark).min_width(width);
            if ui.add(button).clicked() {
                let settings = words.settings().clone();
                let settings = WordsSettings { model: one.name.clone(), ..settings };
                actions.push(Action::Words(WordsAction::SetSettings(settings)));
                ui.close();
            }
        }
    });
    if model.is_some_and(|model| model.name == crate::state::words::HOUSE_WRITER) {
        let note = RichText::new(language.get(Text::HouseWriterNote));
        let note = note.size(size::TEXT_SMALL).color(palette(ui).text_weak);
        ui.add(egui::Label::new(note).wrap());
    }
}
