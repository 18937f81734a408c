//! The left panel of the sound room: what the next piece is to be like.

use atelier_engine::library::estimate_music;
use atelier_engine::protocol::{Density, GivenUse, Key, Metre, Mode, MusicPlan};
use egui::{Id, Popup, PopupCloseBehavior, RichText, ScrollArea, Ui, vec2};

use super::keys_of;
use super::prompt_panel::cost_ui;
use super::tune_card::origin_ui;
use crate::action::{Action, MusicAction, SoundAction};
use crate::i18n::{Language, Text};
use crate::services::textures::Textures;
use crate::state::AppState;
use crate::state::music_prompt::{INSTRUMENTS, VOICES_MAX};
use crate::theme::{icons, palette, size};
use crate::widgets::{
    Button, NumberField, elide, field_label, menu_frame, segmented, slider_row, text_area,
    text_field,
};

/// The name of the field of the words, for putting the cursor there.
pub const SOUND_FIELD: &str = "sound-field";

/// The height of a line that says what a piece will take, with its gap, in points.
const COST_LINE: f32 = 24.0;

/// The lengths that are offered, in seconds.
const LENGTHS_SECS: [u32; 4] = [15, 30, 60, 120];

/// The metres that are offered.
const METRES: [[u8; 2]; 4] = [[2, 4], [3, 4], [4, 4], [6, 8]];

/// The tempo that stands in the field when it is first settled.
const TEMPO_USUAL: f32 = 96.0;

/// Draws the left panel and returns what was done there.
pub fn sound_prompt_ui(ui: &mut Ui, state: &AppState, textures: &mut Textures) -> Vec<Action> {
    let mut done = Vec::new();
    let mut actions = Vec::new();
    let width = size::LEFT_PANEL - 2.0 * f32::from(size::MARGIN);
    let length = state.sound.prompt.length_secs();
    let cost = estimate_music(length);
    // A piece that does not fit says so in up to three lines.
    let lines = if state.models.has_room(cost.memory_bytes) { 1.0 } else { 3.0 };
    let footer = egui::Panel::bottom("sound-footer")
        .resizable(false)
        .show_separator_line(false)
        // Known beforehand, or the first frame would cut the button off.
        .exact_size(size::CONTROL_LARGE + 10.0 + lines * COST_LINE)
        .frame(egui::Frame::new().inner_margin(egui::Margin { top: 10, ..Default::default() }));
    footer.show(ui, |ui| {
        cost_ui(ui, state, cost, state.jobs.pace.music_estimate_secs(length));
        compose_ui(ui, state, width, &mut actions);
    });
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        ui.set_max_width(width);
        ui.spacing_mut().item_spacing.y = size::GAP;
        if let Some(origin) = &state.sound.origin {
            origin_ui(ui, state, origin, textures, &mut actions);
        }
        words_ui(ui, state, &mut done);
        ui.add_space(size::GAP_SMALL);
        plan_ui(ui, state, &mut done);
        ui.add_space(size::GAP_SMALL);
        seed_ui(ui, state, &mut done);
        ui.add_space(size::GAP);
    });
    actions.extend(done.into_iter().map(|action| Action::Sound(SoundAction::Prompt(action))));
    actions
}

fn words_ui(ui: &mut Ui, state: &AppState, done: &mut Vec<MusicAction>) {
    let language = state.settings.language;
    let prompt = &state.sound.prompt;
    let colours = palette(ui);
    let name = language.get(Text::SoundPrompt);
    field_label(ui, name, "");
    let mut text = prompt.text.clone();
    let hint = language.get(Text::SoundHint);
    if text_area(ui, Id::unique(SOUND_FIELD), name, hint, &mut text, 4).changed() {
        done.push(MusicAction::SetText(text));
    }
    if !prompt.unknown.is_empty() {
        let words = elide(&prompt.unknown.join(", "), 120);
        let line = language.fill(Text::UnknownWords, &[&words]);
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            ui.label(RichText::new(icons::INFO).size(14.0).color(colours.warning));
            let line = RichText::new(line).size(size::TEXT_SMALL).color(colours.warning);
            ui.add(egui::Label::new(line).wrap());
        });
    }
    if let Some(given) = &prompt.given {
        let text = match given.usage {
            GivenUse::Continue => Text::GivenContinue,
            GivenUse::Vary => Text::GivenVary,
        };
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            ui.label(RichText::new(icons::MUSIC).size(14.0).color(colours.accent));
            let width = ui.available_width() - size::CONTROL - 6.0;
            let text = RichText::new(language.get(text)).size(size::TEXT_SMALL);
            ui.add_sized(vec2(width, size::CONTROL), egui::Label::new(text).truncate());
            if ui.add(Button::icon(icons::X, language.get(Text::DropGiven))).clicked() {
                done.push(MusicAction::DropGiven);
            }
        });
    }
}

fn plan_ui(ui: &mut Ui, state: &AppState, done: &mut Vec<MusicAction>) {
    let language = state.settings.language;
    let plan = &state.sound.prompt.plan;
    let mut set = |plan: MusicPlan| done.push(MusicAction::SetPlan(plan));

    field_label(ui, language.get(Text::Length), "");
    let lengths = LENGTHS_SECS.map(|secs| language.fill(Text::Seconds, &[&secs]));
    let chosen = plan.duration_secs.map(|secs| {
        let is_near = |length: &u32| (f64::from(*length) - f64::from(secs)).abs() < 0.5;
        LENGTHS_SECS.iter().position(is_near)
    });
    if let Some(index) = auto_row(ui, language, Text::Length, &lengths, chosen) {
        let duration_secs = index.map(|index| LENGTHS_SECS[index] as f32);
        set(MusicPlan { duration_secs, ..plan.clone() });
    }

    field_label(ui, language.get(Text::MusicKey), "");
    if let Some(key) = key_ui(ui, language, plan.key) {
        set(MusicPlan { key, ..plan.clone() });
    }

    field_label(ui, language.get(Text::MusicMetre), "");
    let metres = METRES.map(|[beats, unit]| format!("{beats}/{unit}"));
    let chosen = plan.metre.map(|metre| {
        METRES.iter().position(|[beats, unit]| (*beats, *unit) == (metre.beats, metre.unit))
    });
    if let Some(index) = auto_row(ui, language, Text::MusicMetre, &metres, chosen) {
        let metre = index.map(|index| Metre { beats: METRES[index][0], unit: METRES[index][1] });
        set(MusicPlan { metre, ..plan.clone() });
    }

    if let Some(tempo_bpm) = tempo_ui(ui, language, plan.tempo_bpm) {
        set(MusicPlan { tempo_bpm, ..plan.clone() });
    }

    field_label(ui, language.get(Text::Density), "");
    let densities = [Density::Sparse, Density::Medium, Density::Dense];
    let names = densities.map(|density| language.density_name(density).to_owned());
    let chosen = plan.density.map(|density| densities.iter().position(|one| *one == density));
    if let Some(index) = auto_row(ui, language, Text::Density, &names, chosen) {
        set(MusicPlan { density: index.map(|index| densities[index]), ..plan.clone() });
    }

    let count = plan.instruments.len();
    let right = match count {
        0 => language.get(Text::Auto).to_owned(),
        _ => language.fill(Text::InstrumentsChosen, &[&count, &VOICES_MAX]),
    };
    field_label(ui, language.get(Text::Instruments), &right);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
        for instrument in INSTRUMENTS {
            let selected = plan.instruments.contains(&instrument);
            let button = Button::text(language.instrument_name(instrument)).selected(selected);
            if ui.add_enabled(selected || count < VOICES_MAX, button).clicked() {
                done.push(MusicAction::ToggleInstrument(instrument));
            }
        }
    });
}

/// Draws a row of choices, the first of which leaves it open; returns what was chosen. `chosen` is
/// `None` while it is open, and `Some(None)` when it is settled as none of the choices.
#[expect(
    clippy::option_option,
    reason = "not chosen anew, left open, and settled are three things"
)]
fn auto_row(
    ui: &mut Ui,
    language: Language,
    field: Text,
    names: &[String],
    chosen: Option<Option<usize>>,
) -> Option<Option<usize>> {
    let auto = language.get(Text::Auto);
    let names: Vec<&str> = std::iter::once(auto).chain(names.iter().map(String::as_str)).collect();
    let chosen = match chosen {
        None => Some(0),
        Some(index) => index.map(|index| index + 1),
    };
    let field = language.get(field);
    ui.push_id(field, |ui| segmented(ui, &names, chosen)).inner.map(|index| index.checked_sub(1))
}

/// Draws the choice of a key: a button that opens majors on the left and minors on the right.
#[expect(
    clippy::option_option,
    reason = "not chosen anew, left open, and settled are three things"
)]
fn key_ui(ui: &mut Ui, language: Language, key: Option<Key>) -> Option<Option<Key>> {
    let mut picked = None;
    let auto = language.get(Text::Auto);
    let label = key.map_or_else(|| auto.to_owned(), |key| language.key_name(key));
    let name = language.get(Text::MusicKey);
    let button =
        Button::text(&label).named(name).side(icons::CARET_DOWN).min_width(ui.available_width());
    let response = ui.add(button);
    Popup::menu(&response)
        .accessible_name(name)
        .frame(menu_frame(ui))
        .close_behavior(PopupCloseBehavior::CloseOnClick)
        .show(|ui| {
            ui.spacing_mut().item_spacing = vec2(4.0, 2.0);
            let column = 116.0;
            let wide = Button::text(auto).quiet().selected(key.is_none());
            if ui.add(wide.min_width(2.0 * column + 4.0)).clicked() {
                picked = Some(None);
            }
            for tonic in 0..12 {
                ui.horizontal(|ui| {
                    for mode in [Mode::Major, Mode::Minor] {
                        let one = Key { tonic, mode };
                        let name = language.key_name(one);
                        let button = Button::text(&name).quiet().selected(key == Some(one));
                        if ui.add(button.min_width(column)).clicked() {
                            picked = Some(Some(one));
                        }
                    }
                });
            }
        });
    picked
}

/// Draws the tempo: open, or a slider.
#[expect(
    clippy::option_option,
    reason = "not chosen anew, left open, and settled are three things"
)]
fn tempo_ui(ui: &mut Ui, language: Language, tempo_bpm: Option<f32>) -> Option<Option<f32>> {
    let mut picked = None;
    let Some(tempo) = tempo_bpm else {
        field_label(ui, language.get(Text::Tempo), "");
        let button = Button::text(language.get(Text::Auto))
            .named(language.get(Text::TempoAuto))
            .side(icons::METRONOME)
            .min_width(ui.available_width());
        if ui.add(button).clicked() {
            picked = Some(Some(TEMPO_USUAL));
        }
        return picked;
    };
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = size::GAP;
        let auto = Button::text(language.get(Text::Auto)).named(language.get(Text::TempoAuto));
        let width = ui.available_width();
        ui.allocate_ui(vec2(width - 64.0, 48.0), |ui| {
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                let mut value = f64::from(tempo);
                let name = language.get(Text::Tempo);
                let field_name = language.fill(Text::AsNumber, &[&name]);
                let field =
                    NumberField { name, field_name: &field_name, range: [40.0, 200.0], step: 1.0 };
                if slider_row(ui, field, &mut value) {
                    picked = Some(Some(value.round() as f32));
                }
            });
        });
        if ui.add(auto.min_width(ui.available_width())).clicked() {
            picked = Some(None);
        }
    });
    picked
}

fn seed_ui(ui: &mut Ui, state: &AppState, done: &mut Vec<MusicAction>) {
    let language = state.settings.language;
    let seed = &state.sound.prompt.seed;
    field_label(ui, language.get(Text::Seed), "");
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let width = ui.available_width() - 2.0 * (size::CONTROL + 2.0);
        let mut text = seed.text.clone();
        let name = language.get(Text::Seed);
        if text_field(ui, Id::unique("sound-seed"), name, &mut text, width).changed() {
            done.push(MusicAction::SetSeed(text));
        }
        let (icon, name) = match seed.locked {
            true => (icons::LOCK, Text::UnlockSeed),
            false => (icons::LOCK_OPEN, Text::LockSeed),
        };
        let lock = Button::icon(icon, language.get(name)).selected(seed.locked);
        if ui.add(lock).clicked() {
            done.push(MusicAction::SetSeedLocked(!seed.locked));
        }
        let dice = Button::icon(icons::DICE, language.get(Text::RollSeed))
            .shortcut(&keys_of(ui.ctx(), Text::RollSeed));
        if ui.add(dice).clicked() {
            done.push(MusicAction::RollSeed);
        }
    });
}

fn compose_ui(ui: &mut Ui, state: &AppState, width: f32, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let busy = state.jobs.running().is_some();
    let (name, icon) = match busy {
        true => (Text::GenerateMore, icons::PLUS),
        false => (Text::Compose, icons::MUSIC),
    };
    let button = Button::text(language.get(name))
        .with_icon(icon)
        .named(language.get(Text::Compose))
        .side(keys_of(ui.ctx(), Text::Compose))
        .primary()
        .min_width(width)
        .height(size::CONTROL_LARGE);
    if ui.add(button).clicked() {
        actions.push(Action::Sound(SoundAction::Compose));
    }
}
