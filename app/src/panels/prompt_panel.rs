//! The left panel: the request that is being written.

use atelier_engine::library::{Estimate, estimate};
use atelier_engine::protocol::{MemoryUse, SamplerKind};
use egui::{Id, RichText, ScrollArea, Ui, vec2};

use super::editor_room::joining_ui;
use super::extras_panel::{extras_ui, precision_ui, reading_ui, sampling_ui};
use super::keys_of;
use super::model_kind::model_kind_ui;
use super::model_menu::model_menu_ui;
use super::top_bar::{device_label, device_menu};
use crate::action::{Action, HelpAction, JobAction, PromptAction};
use crate::i18n::{Language, Text, size_of};
use crate::state::prompt::COUNT_MAX;
use crate::state::words::HOUSE_WRITER;
use crate::state::{AppState, SIZE_PRESETS};
use crate::theme::{icons, palette, size};
use crate::update::{fitted, model_ref};
use crate::widgets::{
    Button, NumberField, details, field_label, segmented, shape_button, slider_row, stepper,
    text_area, text_field,
};

/// The name of the prompt's field, for putting the cursor there.
pub const PROMPT_FIELD: &str = "prompt-field";

/// Draws the left panel and returns what was done there.
pub fn prompt_panel_ui(ui: &mut Ui, state: &AppState) -> Vec<Action> {
    let mut actions = Vec::new();
    let language = state.settings.language;
    let footer = egui::Panel::bottom("prompt-footer")
        .resizable(false)
        .show_separator_line(false)
        .frame(egui::Frame::new().inner_margin(egui::Margin { top: 10, ..Default::default() }));
    let width = size::LEFT_PANEL - 2.0 * f32::from(size::MARGIN);
    footer.show(ui, |ui| generate_ui(ui, state, width, &mut actions));
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        ui.set_max_width(width);
        ui.spacing_mut().item_spacing.y = size::GAP;
        model_menu_ui(ui, state, &mut actions);
        model_kind_ui(ui, state, &mut actions);
        words_ui(ui, state, &mut actions);
        extras_ui(ui, state, &mut actions);
        ui.add_space(size::GAP_SMALL);
        match state.canvas.editor.as_deref() {
            Some(editor) => joining_ui(ui, editor, language, &mut actions),
            None => size_ui(ui, state, language, &mut actions),
        }
        ui.add_space(size::GAP_SMALL);
        count_and_seed_ui(ui, state, language, &mut actions);
        ui.add_space(size::GAP_SMALL);
        advanced_ui(ui, state, language, &mut actions);
        ui.add_space(size::GAP);
    });
    actions
}

fn words_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let prompt = &state.prompt;

    field_label(ui, language.get(Text::Prompt), "");
    let mut text = prompt.text.clone();
    let id = Id::unique(PROMPT_FIELD);
    let hint = language.get(Text::PromptHint);
    if text_area(ui, id, language.get(Text::Prompt), hint, &mut text, 5).changed() {
        actions.push(Action::Prompt(PromptAction::SetText(text)));
    }
    help_ui(ui, state, actions);
    reading_ui(ui, state);
    if !prompt.unknown.is_empty() {
        let words = crate::widgets::elide(&prompt.unknown.join(", "), 120);
        let line = language.fill(Text::UnknownWords, &[&words]);
        let colours = palette(ui);
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            ui.label(RichText::new(icons::INFO).size(14.0).color(colours.warning));
            let line = RichText::new(line).size(size::TEXT_SMALL).color(colours.warning);
            ui.add(egui::Label::new(line).wrap());
        });
    }

    field_label(ui, language.get(Text::Negative), "");
    let mut negative = prompt.negative.clone();
    let hint = language.get(Text::NegativeHint);
    let name = language.get(Text::Negative);
    if text_area(ui, Id::unique("negative-field"), name, hint, &mut negative, 2).changed() {
        actions.push(Action::Prompt(PromptAction::SetNegative(negative)));
    }

    let styles = state.models.ready().map(|info| info.styles.as_slice()).unwrap_or_default();
    if !styles.is_empty() && state.models.pictures.chosen().is_none() {
        field_label(ui, language.get(Text::Style), "");
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
            for style in styles {
                let selected = prompt.styles.contains(style);
                if ui.add(Button::text(language.style_name(style)).selected(selected)).clicked() {
                    actions.push(Action::Prompt(PromptAction::ToggleStyle(style.clone())));
                }
            }
        });
    }
}

/// Draws what the house writer does for the prompt.
fn help_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let is_here = state.words.models.iter().any(|model| model.name == HOUSE_WRITER);
    let busy = state.words.helps_prompt();
    let why_not = if busy { Text::WriterBusy } else { Text::WriterMissing };
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        for (icon, name, action) in [
            (icons::EXPAND, Text::ExpandPrompt, HelpAction::Expand),
            (icons::SHUFFLE, Text::SurpriseMe, HelpAction::Surprise),
        ] {
            let has_words = action != HelpAction::Expand || !state.prompt.text.trim().is_empty();
            let button = Button::text(language.get(name)).with_icon(icon);
            let response = ui.add_enabled(is_here && !busy && has_words, button);
            let response = match is_here && !busy {
                true => response,
                false => response.on_disabled_hover_text(language.get(why_not)),
            };
            if response.clicked() {
                actions.push(Action::Help(action));
            }
        }
        let undo = state.words.prompt_undo.as_ref();
        if undo.is_some_and(|[_, after]| *after == state.prompt.text) {
            let button = Button::icon(icons::UNDO, language.get(Text::UndoHelp));
            if ui.add(button).clicked() {
                actions.push(Action::Help(HelpAction::Undo));
            }
        }
    });
}

fn size_ui(ui: &mut Ui, state: &AppState, language: Language, actions: &mut Vec<Action>) {
    let chosen = state.prompt.size;
    let right = format!("{} × {}", chosen.width_px, chosen.height_px);
    field_label(ui, language.get(Text::Size), &right);
    let width = ui.available_width() / SIZE_PRESETS.len() as f32;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        for preset in SIZE_PRESETS {
            let own = [preset.size.width_px, preset.size.height_px];
            // Each model has these shapes at the size that it was trained at.
            let size = match state.models.pictures.chosen() {
                Some(_) => fitted(state.model_defaults(), own),
                None => preset.size,
            };
            let [w, h] = [size.width_px, size.height_px];
            let name = language.fill(Text::SizeName, &[&preset.name, &w, &h]);
            let labels = [preset.name, &name];
            if shape_button(ui, width, labels, [w, h], size == chosen).clicked() {
                actions.push(Action::Prompt(PromptAction::SetSize(size)));
            }
        }
    });
}

fn count_and_seed_ui(ui: &mut Ui, state: &AppState, language: Language, actions: &mut Vec<Action>) {
    let prompt = &state.prompt;
    let gap = 12.0;
    let left = 92.0;
    let right = ui.available_width() - left - gap;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        ui.vertical(|ui| {
            ui.set_width(left);
            ui.spacing_mut().item_spacing.x = size::GAP;
            field_label(ui, language.get(Text::Count), "");
            let names = [language.get(Text::FewerPictures), language.get(Text::MorePictures)];
            let range = [1, COUNT_MAX];
            let name = language.get(Text::Count);
            if let Some(count) = stepper(ui, name, names, prompt.count, range, left) {
                actions.push(Action::Prompt(PromptAction::SetCount(count)));
            }
        });
        ui.vertical(|ui| {
            ui.set_width(right);
            field_label(ui, language.get(Text::Seed), "");
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 2.0;
                let width = right - 2.0 * (size::CONTROL + 2.0);
                let mut text = prompt.seed.text.clone();
                let name = language.get(Text::Seed);
                if text_field(ui, Id::unique("seed-field"), name, &mut text, width).changed() {
                    actions.push(Action::Prompt(PromptAction::SetSeed(text)));
                }
                let locked = prompt.seed.locked;
                let (icon, name) = if locked {
                    (icons::LOCK, Text::UnlockSeed)
                } else {
                    (icons::LOCK_OPEN, Text::LockSeed)
                };
                let lock = Button::icon(icon, language.get(name)).selected(locked);
                if ui.add(lock).clicked() {
                    actions.push(Action::Prompt(PromptAction::SetSeedLocked(!locked)));
                }
                super::command_button(
                    ui,
                    icons::DICE,
                    Text::RollSeed,
                    language,
                    Action::Prompt(PromptAction::RollSeed),
                    actions,
                );
            });
        });
    });
}

fn advanced_ui(ui: &mut Ui, state: &AppState, language: Language, actions: &mut Vec<Action>) {
    let prompt = &state.prompt;
    let icon = if prompt.advanced { icons::CARET_DOWN } else { icons::CARET_RIGHT };
    let summary = format!(
        "{} · {} · {:.1}",
        prompt.sampling.sampler.label(),
        prompt.sampling.steps,
        prompt.sampling.guidance
    );
    let header = Button::text(language.get(Text::Advanced))
        .with_icon(icon)
        .quiet()
        .side(if prompt.advanced { String::new() } else { summary })
        .min_width(ui.available_width());
    if ui.add(header).clicked() {
        actions.push(Action::Prompt(PromptAction::ToggleAdvanced));
    }
    if !prompt.advanced {
        return;
    }

    let is_house = state.models.pictures.chosen().is_none();
    let number = |name: Text| language.fill(Text::AsNumber, &[&language.get(name)]);
    let mut steps = f64::from(prompt.sampling.steps);
    let field_name = number(Text::Steps);
    let field = NumberField {
        name: language.get(Text::Steps),
        field_name: &field_name,
        range: [1.0, 60.0],
        step: 1.0,
    };
    if slider_row(ui, field, &mut steps) {
        actions.push(Action::Prompt(PromptAction::SetSteps(steps.round() as u32)));
    }
    let mut guidance = f64::from(prompt.sampling.guidance);
    let field_name = number(Text::Guidance);
    let field = NumberField {
        name: language.get(Text::Guidance),
        field_name: &field_name,
        range: [1.0, if is_house { 12.0 } else { 20.0 }],
        step: 0.1,
    };
    if slider_row(ui, field, &mut guidance) {
        actions.push(Action::Prompt(PromptAction::SetGuidance(guidance as f32)));
    }

    if is_house {
        field_label(ui, language.get(Text::Sampler), "");
        let names = SamplerKind::FLOW.map(SamplerKind::label);
        let chosen = SamplerKind::FLOW.iter().position(|kind| *kind == prompt.sampling.sampler);
        if let Some(index) = segmented(ui, &names, chosen) {
            actions.push(Action::Prompt(PromptAction::SetSampler(SamplerKind::FLOW[index])));
        }
    } else {
        sampling_ui(ui, state, actions);
    }
    precision_ui(ui, state, actions);

    field_label(ui, language.get(Text::Device), "");
    let label = device_label(state);
    let name = language.get(Text::Device);
    let button = Button::text(&label)
        .with_icon(icons::CPU)
        .named(name)
        .side(icons::CARET_DOWN)
        .min_width(ui.available_width());
    device_menu(ui, state, button, actions);
}

fn generate_ui(ui: &mut Ui, state: &AppState, width: f32, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let busy = state.jobs.running().is_some();
    let editor = state.canvas.editor.as_deref();
    let name = match editor {
        Some(editor) if editor.document.selection.is_some() => Text::GenerateSelection,
        Some(editor) if editor.document.layers.iter().any(|one| !one.pixels.is_empty()) => {
            Text::GenerateVariation
        }
        _ if busy => Text::GenerateMore,
        _ => Text::Generate,
    };
    let icon = if busy { icons::PLUS } else { icons::SPARKLE };
    estimate_ui(ui, state);
    let button = Button::text(language.get(name))
        .with_icon(icon)
        .named(language.get(Text::Generate))
        .side(keys_of(ui.ctx(), Text::Generate))
        .primary()
        .min_width(width)
        .height(size::CONTROL_LARGE);
    if ui.add(button).clicked() {
        actions.push(Action::Job(JobAction::Generate));
    }
}

fn estimate_ui(ui: &mut Ui, state: &AppState) {
    if let Some(model) = state.models.pictures.chosen() {
        let request = state.prompt.request(model_ref(state), state.settings.device);
        let lean_bytes = model.need.lean_memory_bytes(request.precision, request.size);
        let memory_bytes = match request.extras.memory {
            MemoryUse::Low => lean_bytes,
            MemoryUse::High => model.need.memory_bytes(request.precision, request.size),
            MemoryUse::Automatic => {
                let ample_bytes = model.need.memory_bytes(request.precision, request.size);
                if state.models.has_room(ample_bytes) { ample_bytes } else { lean_bytes }
            }
        };
        let guess = Estimate { memory_bytes, duration_secs: 0.0 };
        return cost_ui(ui, state, guess, state.jobs.pace.estimate_secs(&request));
    }
    let Some(info) = state.models.ready() else { return };
    let request = state.prompt.request(info.model.clone(), state.settings.device);
    cost_ui(ui, state, estimate(&request), state.jobs.pace.estimate_secs(&request));
}

/// Says quietly what a job will take, and plainly when it does not fit; `learned_secs` is what this
/// machine has shown, which is better than what another was measured to do.
pub(super) fn cost_ui(ui: &mut Ui, state: &AppState, guess: Estimate, learned_secs: Option<f64>) {
    if !state.models.has_room(guess.memory_bytes) {
        return no_room_ui(ui, state, guess.memory_bytes);
    }
    let language = state.settings.language;
    let secs = learned_secs.unwrap_or(guess.duration_secs);
    if secs <= 0.0 {
        let line = language.fill(Text::EstimateMemory, &[&size_of(guess.memory_bytes)]);
        details(ui, line);
        return;
    }
    let values: [&dyn std::fmt::Display; 2] =
        [&language.duration(secs), &size_of(guess.memory_bytes)];
    details(ui, language.fill(Text::Estimate, &values));
}

/// Says that so much memory is not free.
pub(super) fn no_room_ui(ui: &mut Ui, state: &AppState, needed_bytes: u64) {
    let free = size_of(state.models.free_memory_bytes.unwrap_or(0));
    let line = state.settings.language.fill(Text::NoRoom, &[&size_of(needed_bytes), &free]);
    let line = RichText::new(line).size(size::TEXT_SMALL).color(palette(ui).warning);
    ui.add(egui::Label::new(line).wrap());
}
