//! What stands beside a model of the Stable Diffusion family: LoRAs, a ControlNet, how the prompt is
//! read, and the settings that only these models have.

use std::path::{Path, PathBuf};

use atelier_engine::library::ShelfEntry;
use atelier_engine::protocol::{ControlUse, HintKind, Precision, SamplerKind, ScheduleKind};
use egui::{Label, Popup, RichText, ScrollArea, Ui};

use crate::action::{Action, ModelsAction, PromptAction};
use crate::i18n::{Language, Text};
use crate::state::AppState;
use crate::theme::{icons, palette, size};
use crate::update::{CONTROL_RANGE, LORA_RANGE};
use crate::widgets::{Button, NumberField, details, elide, field_label, segmented, slider_row};

/// How many letters of a name are shown.
const NAME_CHARS: usize = 28;
/// The most layers of the text encoder that can be skipped in the window.
const SKIPS: [Option<u32>; 4] = [None, Some(1), Some(2), Some(3)];

/// Draws how the chosen model reads the prompt: its length, its weights, what has no effect.
pub(super) fn reading_ui(ui: &mut Ui, state: &AppState) {
    let language = state.settings.language;
    let reading = &state.models.pictures.reading;
    let is_read = reading.text == state.prompt.text && !reading.text.is_empty();
    if state.models.pictures.chosen().is_none() || !is_read {
        return;
    }
    let room = 75 * reading.chunks.max(1);
    let mut line = language.fill(Text::TokensOf, &[&reading.tokens, &room]);
    for (words, weight) in reading.weighted.iter().take(6) {
        line.push_str(&format!("   {} {weight:.2}", elide(words, 18)));
    }
    details(ui, line);
    let colours = palette(ui);
    for (issue, words) in reading.issues.iter().take(4) {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            ui.label(RichText::new(icons::INFO).size(14.0).color(colours.warning));
            let line = language.issue(issue, words);
            let line = RichText::new(line).size(size::TEXT_SMALL).color(colours.warning);
            ui.add(Label::new(line).wrap());
        });
    }
}

/// Draws the LoRAs and the ControlNet.
pub(super) fn extras_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    if state.models.pictures.chosen().is_none() {
        return;
    }
    loras_ui(ui, state, actions);
    control_ui(ui, state, actions);
}

pub(super) fn file_name(path: &str) -> String {
    let name = Path::new(path).file_stem().unwrap_or_default().to_string_lossy();
    elide(&name, NAME_CHARS)
}

fn loras_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let found = &state.models.pictures.found.loras;
    let loras = &state.prompt.extras.loras;
    if found.is_empty() && loras.is_empty() {
        return;
    }
    field_label(ui, language.get(Text::Loras), "");
    for (index, lora) in loras.iter().enumerate() {
        let name = file_name(&lora.model.name);
        ui.horizontal(|ui| {
            let width = ui.available_width() - size::CONTROL - 8.0;
            ui.vertical(|ui| {
                ui.set_width(width);
                let mut strength = f64::from(lora.unet);
                let field_name = language.fill(Text::AsNumber, &[&name]);
                let field = NumberField {
                    name: &name,
                    field_name: &field_name,
                    range: LORA_RANGE.map(f64::from),
                    step: 0.05,
                };
                if slider_row(ui, field, &mut strength) {
                    let action = ModelsAction::SetLora(index, strength as f32);
                    actions.push(Action::Models(action));
                }
            });
            let remove = language.fill(Text::RemoveLora, &[&name]);
            if ui.add(Button::icon(icons::X, &remove)).clicked() {
                actions.push(Action::Models(ModelsAction::RemoveLora(index)));
            }
        });
    }
    let names = [language.get(Text::AddLora), language.get(Text::AddLora)];
    shelf_menu(ui, names, icons::PLUS, found, None, &mut |path| {
        if let Some(path) = path {
            actions.push(Action::Models(ModelsAction::AddLora(path)));
        }
    });
}

/// Draws a button with a list of files behind it; `none` is what the first row is called, which
/// stands for no file.
pub(super) fn shelf_menu(
    ui: &mut Ui,
    [label, name]: [&str; 2],
    icon: &str,
    entries: &[ShelfEntry],
    none: Option<&str>,
    choose: &mut dyn FnMut(Option<PathBuf>),
) {
    let button = Button::text(label).with_icon(icon).named(name).side(icons::CARET_DOWN);
    let response = ui.add(button.min_width(ui.available_width()));
    Popup::menu(&response).accessible_name(name).show(|ui| {
        ui.set_width(300.0);
        ui.spacing_mut().item_spacing.y = 2.0;
        ScrollArea::vertical().max_height(320.0).show(ui, |ui| {
            let rows = none.map(|none| (none.to_owned(), None));
            let files = entries
                .iter()
                .map(|entry| (elide(&entry.name, NAME_CHARS), Some(entry.path.clone())));
            for (label, path) in rows.into_iter().chain(files) {
                let row = Button::text(&label).quiet().min_width(ui.available_width());
                if ui.add(row).clicked() {
                    choose(path);
                    ui.close();
                }
            }
        });
    });
}

fn control_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let found = &state.models.pictures.found.controls;
    let control = state.prompt.extras.controls.first();
    if found.is_empty() && control.is_none() {
        return;
    }
    let name = language.get(Text::ControlNet);
    field_label(ui, name, "");
    let label = control.map_or_else(
        || language.get(Text::NoControl).to_owned(),
        |control| file_name(&control.model.name),
    );
    let none = Some(language.get(Text::NoControl));
    shelf_menu(ui, [&label, name], icons::SLIDERS, found, none, &mut |path| {
        actions.push(Action::Models(ModelsAction::SetControl(path)));
    });
    if let Some(control) = control {
        hint_ui(ui, control, language, actions);
    }
}

fn hint_ui(ui: &mut Ui, control: &ControlUse, language: Language, actions: &mut Vec<Action>) {
    let path = control.picture.path.to_string_lossy();
    let label = match path.is_empty() {
        true => language.get(Text::ChoosePicture).to_owned(),
        false => file_name(&path),
    };
    let button = Button::text(&label)
        .with_icon(icons::IMAGE)
        .named(language.get(Text::ChoosePicture))
        .min_width(ui.available_width());
    if ui.add(button).clicked() {
        actions.push(Action::Models(ModelsAction::PickControlPicture));
    }
    if path.is_empty() {
        let line = RichText::new(language.get(Text::ControlNeedsPicture)).size(size::TEXT_SMALL);
        ui.add(Label::new(line.color(palette(ui).warning)).wrap());
    }
    let names = HintKind::ALL.map(|kind| language.hint_name(kind));
    let chosen = HintKind::ALL.iter().position(|kind| *kind == control.hint);
    if let Some(index) = segmented(ui, &names, chosen) {
        actions.push(Action::Models(ModelsAction::SetHint(HintKind::ALL[index])));
    }
    let mut strength = f64::from(control.strength);
    let field_name = language.fill(Text::AsNumber, &[&language.get(Text::ControlStrength)]);
    let field = NumberField {
        name: language.get(Text::ControlStrength),
        field_name: &field_name,
        range: CONTROL_RANGE.map(f64::from),
        step: 0.05,
    };
    if slider_row(ui, field, &mut strength) {
        actions.push(Action::Models(ModelsAction::SetControlStrength(strength as f32)));
    }
}

/// Draws the sampler, the noise levels and the layer of the text encoder: the advanced settings that
/// these models have.
pub(super) fn sampling_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let sampling = state.prompt.sampling;
    let samplers: Vec<_> = SamplerKind::ALL.iter().map(|kind| (kind.label(), *kind)).collect();
    let name = language.get(Text::Sampler);
    if let Some(sampler) = choice(ui, name, &samplers, sampling.sampler) {
        actions.push(Action::Prompt(PromptAction::SetSampler(sampler)));
    }
    let schedules: Vec<_> = ScheduleKind::ALL
        .iter()
        .map(|kind| match kind {
            ScheduleKind::Automatic => (language.get(Text::DeviceAuto), *kind),
            kind => (kind.label(), *kind),
        })
        .collect();
    let name = language.get(Text::Schedule);
    if let Some(schedule) = choice(ui, name, &schedules, sampling.schedule) {
        actions.push(Action::Models(ModelsAction::SetSchedule(schedule)));
    }
    let vaes = &state.models.pictures.found.vaes;
    if !vaes.is_empty() {
        field_label(ui, "VAE", "");
        let own = language.get(Text::OwnVae);
        let label = state.prompt.extras.vae.as_ref().map(|vae| file_name(&vae.name));
        let label = label.unwrap_or_else(|| own.to_owned());
        shelf_menu(ui, [&label, "VAE"], icons::IMAGE, vaes, Some(own), &mut |path| {
            actions.push(Action::Models(ModelsAction::SetVae(path)));
        });
    }
    field_label(ui, language.get(Text::ClipSkip), "");
    let names = [language.get(Text::OwnSkip), "1", "2", "3"];
    let chosen = SKIPS.iter().position(|skip| *skip == state.prompt.extras.clip_skip);
    if let Some(index) = segmented(ui, &names, chosen) {
        actions.push(Action::Models(ModelsAction::SetClipSkip(SKIPS[index])));
    }
}

/// Draws how exactly the processor computes.
pub(super) fn precision_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    field_label(ui, language.get(Text::PrecisionName), "");
    let kinds = [Precision::Fast, Precision::Exact];
    let names = [language.get(Text::PrecisionFast), language.get(Text::PrecisionExact)];
    let chosen = kinds.iter().position(|kind| *kind == state.prompt.precision);
    if let Some(index) = segmented(ui, &names, chosen) {
        actions.push(Action::Models(ModelsAction::SetPrecision(kinds[index])));
    }
}

/// Draws a labelled button with a list of names behind it; returns what was chosen.
fn choice<T: Copy + PartialEq>(
    ui: &mut Ui,
    name: &str,
    rows: &[(&'static str, T)],
    chosen: T,
) -> Option<T> {
    field_label(ui, name, "");
    let label = rows.iter().find(|(_, value)| *value == chosen).map_or("", |(label, _)| label);
    let button = Button::text(label).named(name).side(icons::CARET_DOWN);
    let response = ui.add(button.min_width(ui.available_width()));
    let mut picked = None;
    Popup::menu(&response).accessible_name(name).show(|ui| {
        ui.set_min_width(220.0);
        ui.spacing_mut().item_spacing.y = 2.0;
        for (label, value) in rows {
            let mark = if *value == chosen { icons::CHECK } else { "" };
            let row = Button::text(label).quiet().side(mark).min_width(ui.available_width());
            if ui.add(row).clicked() {
                picked = Some(*value);
                ui.close();
            }
        }
    });
    picked
}
