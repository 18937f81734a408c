//! The player below the piece, and what is known of the piece with what can be done with it.

use atelier_engine::protocol::GivenUse;
use egui::{Align, Layout, Popup, RichText, Slider, Stroke, Ui, vec2};

use super::keys_of;
use crate::action::{Action, PlayAction, SoundAction};
use crate::i18n::Text;
use crate::state::{AppState, Piece, SoundFormat};
use crate::theme::{Weight, icons, palette, size};
use crate::widgets::{Button, clock, details, elide};

/// Below this width the footer's buttons show only their icons.
const NARROW: f32 = 560.0;

/// Below this width what is known of the piece is left out: it would be nothing but dots.
const DETAILS_LEAST: f32 = 90.0;

/// Below this width there is no room for the gain.
const GAIN_LEAST: f32 = 140.0;

/// Draws the player.
pub(super) fn transport_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let colours = palette(ui);
    let (sound, player) = (&state.sound, &state.sound.player);
    let play = |action| Action::Sound(SoundAction::Play(action));
    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = size::GAP_SMALL;
        let (icon, name) = match player.is_playing {
            true => (icons::PAUSE, Text::Pause),
            false => (icons::PLAY, Text::Play),
        };
        let button = Button::text("")
            .with_icon(icon)
            .named(language.get(name))
            .tooltip(language.get(name))
            .shortcut(&keys_of(ui.ctx(), Text::PlayPause))
            .primary()
            .min_width(48.0)
            .height(36.0);
        if ui.add(button).clicked() {
            actions.push(play(PlayAction::Toggle));
        }
        ui.add_space(size::GAP_SMALL);
        if ui.add(Button::icon(icons::TO_START, language.get(Text::StopPlaying))).clicked() {
            actions.push(play(PlayAction::Stop));
        }
        let keys = keys_of(ui.ctx(), Text::LoopPlaying);
        let repeat = Button::icon(icons::LOOP, language.get(Text::LoopPlaying))
            .selected(player.loops)
            .shortcut(&keys);
        if ui.add(repeat).clicked() {
            actions.push(play(PlayAction::ToggleLoop));
        }
        ui.add_space(size::GAP);
        let secs = sound.piece.as_ref().map_or(0.0, Piece::secs);
        let [head, whole] = [player.head_secs, secs].map(|secs| clock(secs, 0.1));
        let time = language.fill(Text::PlaceOf, &[&head, &whole]);
        let time = RichText::new(time).font(Weight::Medium.font(size::TEXT_PROMPT));
        ui.label(time.color(colours.text_strong));
        ui.add_space(size::GAP);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            if ui.available_width() < GAIN_LEAST {
                return;
            }
            if let Some(gain) = gain_ui(ui, language.get(Text::Gain), player.gain) {
                actions.push(play(PlayAction::SetGain(gain)));
            }
            let icon = if player.gain > 0.0 { icons::SPEAKER } else { icons::SPEAKER_OFF };
            ui.label(RichText::new(icon).size(size::ICON).color(colours.text_weak));
            ui.add_space(size::GAP);
            if let Some(silence) = player.silence.as_ref().filter(|_| ui.available_width() > 80.0) {
                let text = RichText::new(language.silence(silence)).size(size::TEXT_SMALL);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.label(RichText::new(icons::SPEAKER_OFF).size(14.0).color(colours.warning));
                    let whole = language.silence(silence);
                    let label = egui::Label::new(text.color(colours.warning)).truncate();
                    ui.add(label).on_hover_text(whole);
                });
            }
        });
    });
}

/// Draws the slider of the gain; returns the new gain when it was moved.
fn gain_ui(ui: &mut Ui, name: &str, gain: f32) -> Option<f32> {
    let colours = palette(ui);
    let mut percent = gain * 100.0;
    let slider = Slider::new(&mut percent, 0.0..=100.0).step_by(1.0).show_value(false);
    let response = ui
        .scope(|ui| {
            ui.spacing_mut().slider_width = 96.0;
            ui.spacing_mut().interact_size.y = 20.0;
            let visuals = ui.visuals_mut();
            visuals.selection.bg_fill = colours.accent_fill;
            let widgets = &mut visuals.widgets;
            for state in [&mut widgets.inactive, &mut widgets.hovered, &mut widgets.active] {
                state.fg_stroke = Stroke::new(size::RING, colours.accent_fill);
            }
            ui.add(slider)
        })
        .inner
        .accessible_name(name);
    let tooltip = format!("{name}  ·  {percent:.0} %");
    response.on_hover_text(tooltip).changed().then_some(percent / 100.0)
}

/// Draws what is known of the piece, and what can be done with it.
pub(super) fn piece_footer_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let Some(piece) = &state.sound.piece else { return };
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let (icon, name) = match piece.result {
            Some(_) => (icons::TRASH, Text::Delete),
            None => (icons::X, Text::ClosePiece),
        };
        for (icon, name, action, possible) in [
            (icon, name, SoundAction::Delete, true),
            (icons::FOLDER, Text::OpenFolder, SoundAction::OpenFolder, piece.file.is_some()),
        ] {
            let button = Button::icon(icon, language.get(name)).shortcut(&keys_of(ui.ctx(), name));
            if ui.add_enabled(possible, button).clicked() {
                actions.push(Action::Sound(action));
            }
        }
        export_ui(ui, state, piece, actions);
        let reuse = Button::icon(icons::REUSE, language.get(Text::Reuse))
            .shortcut(&keys_of(ui.ctx(), Text::Reuse));
        if ui.add_enabled(piece.recipe.is_some(), reuse).clicked() {
            actions.push(Action::Sound(SoundAction::Reuse));
        }
        ui.add_space(size::GAP);
        ui.spacing_mut().item_spacing.x = 6.0;
        for (icon, name, usage) in [
            (icons::SHUFFLE, Text::VaryThis, GivenUse::Vary),
            (icons::GO_ON, Text::ContinueThis, GivenUse::Continue),
        ] {
            let name = language.get(name);
            let button = match ui.max_rect().width() < NARROW {
                true => Button::icon(icon, name),
                false => Button::text(name).with_icon(icon),
            };
            let response = ui.add_enabled(piece.score.is_some(), button);
            if response.clicked() {
                actions.push(Action::Sound(SoundAction::ComposeFrom(usage)));
            }
            response.on_disabled_hover_text(language.get(Text::NoNotes));
        }
        ui.add_space(size::GAP_LARGE);
        if ui.available_width() < DETAILS_LEAST {
            return;
        }
        ui.with_layout(Layout::top_down(Align::Min), |ui| {
            ui.spacing_mut().item_spacing.y = 3.0;
            ui.add_space(3.0);
            let title = match piece.title.trim() {
                "" => language.get(Text::PieceUntitled).to_owned(),
                title => elide(title, 200),
            };
            let title = RichText::new(title).color(palette(ui).text);
            ui.add(egui::Label::new(title).truncate());
            details(ui, facts(state, piece).join("  ·  "));
        });
    });
}

fn export_ui(ui: &mut Ui, state: &AppState, piece: &Piece, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let response = ui.add(Button::icon(icons::EXPORT, language.get(Text::ExportAs)));
    Popup::menu(&response).accessible_name(language.get(Text::ExportAs)).show(|ui| {
        ui.set_min_width(190.0);
        ui.spacing_mut().item_spacing.y = 2.0;
        for format in SoundFormat::ALL {
            let name = match format {
                SoundFormat::Wav => Text::ExportWav,
                SoundFormat::Flac => Text::ExportFlac,
                SoundFormat::Midi => Text::ExportMidi,
            };
            let button = Button::text(language.get(name))
                .quiet()
                .side(keys_of(ui.ctx(), name))
                .min_width(ui.available_width());
            let possible = format != SoundFormat::Midi || piece.score.is_some();
            if ui.add_enabled(possible, button).clicked() {
                actions.push(Action::Sound(SoundAction::Export(format)));
                ui.close();
            }
        }
    });
}

/// Returns what is known of a piece, in a few words each.
fn facts(state: &AppState, piece: &Piece) -> Vec<String> {
    let language = state.settings.language;
    let mut facts = Vec::new();
    if let Some(loudness) = &piece.look.loudness {
        if let Some(lufs) = loudness.integrated_lufs {
            facts.push(language.fill(Text::LufsValue, &[&number(lufs)]));
        }
        if let Some(peak) = loudness.true_peak_db {
            facts.push(language.fill(Text::TruePeakValue, &[&number(peak)]));
        }
    }
    if let Some(score) = &piece.score {
        facts.extend(score.key.map(|key| language.key_name(key)));
        facts.push(format!("{}/{}", score.metre.beats, score.metre.unit));
        facts.push(language.fill(Text::TempoValue, &[&score.tempo_bpm.round()]));
        let mut names: Vec<&str> = Vec::new();
        for track in &score.tracks {
            let name = language.instrument_name(track.instrument);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        facts.push(names.join(", "));
    } else {
        facts.push(format!("{} Hz", piece.pcm.sample_rate_hz));
    }
    if let Some(recipe) = &piece.recipe {
        facts.push(language.fill(Text::SeedValue, &[&recipe.seed]));
    }
    facts
}

/// Writes a level with one decimal and a true minus sign.
fn number(value: f64) -> String {
    format!("{value:.1}").replace('-', "\u{2212}")
}

/// Draws the button that plays or halts the music from another room, while there is some.
pub(super) fn small_player_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let player = &state.sound.player;
    let is_begun = player.is_playing || player.head_secs > 0.0;
    if state.sound.piece.is_none() || !is_begun {
        return;
    }
    let (icon, name) = match player.is_playing {
        true => (icons::PAUSE, Text::Pause),
        false => (icons::PLAY, Text::Play),
    };
    let title = state.sound.piece.as_ref().map(|piece| elide(&piece.title, 40));
    let tooltip = format!("{}  ·  {}", language.get(name), title.unwrap_or_default());
    let button = Button::icon(icon, language.get(name)).tooltip(tooltip);
    if ui.add_sized(vec2(size::CONTROL, size::CONTROL), button).clicked() {
        actions.push(Action::Sound(SoundAction::Play(PlayAction::Toggle)));
    }
}
