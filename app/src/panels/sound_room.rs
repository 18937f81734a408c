//! The sound room: what a piece is to be like, and its notes.

use egui::{Frame, Id, Margin, Panel, RichText, Ui};

use super::keys_of;
use crate::action::{Action, SoundAction};
use crate::i18n::Text;
use crate::state::{AppState, TimeSpan};
use crate::theme::{Weight, icons, palette, size};
use crate::widgets::{Button, field_label, paint_notes, text_area};

/// Draws the sound room; returns what was done there and where messages may lie.
pub fn sound_room_ui(ui: &mut Ui, state: &AppState) -> (Vec<Action>, egui::Rect) {
    let mut actions = Vec::new();
    let colours = palette(ui);
    Panel::left("sound-prompt")
        .resizable(false)
        .exact_size(size::LEFT_PANEL)
        .frame(Frame::new().fill(colours.panel).inner_margin(Margin::same(size::MARGIN)))
        .show(ui, |ui| prompt_ui(ui, state, &mut actions));
    let field = egui::CentralPanel::default()
        .frame(Frame::new().fill(colours.canvas))
        .show(ui, |ui| {
            piece_ui(ui, state);
            ui.max_rect()
        })
        .inner;
    (actions, field)
}

fn prompt_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    field_label(ui, language.get(Text::Prompt), "");
    let mut text = state.sound.text.clone();
    let name = language.get(Text::SoundPrompt);
    let hint = language.get(Text::SoundHint);
    if text_area(ui, Id::unique("sound-field"), name, hint, &mut text, 5).changed() {
        actions.push(Action::Sound(SoundAction::SetText(text)));
    }
    ui.add_space(size::GAP);
    let button = Button::text(language.get(Text::Compose))
        .with_icon(icons::MUSIC)
        .side(keys_of(ui.ctx(), Text::Compose))
        .primary()
        .min_width(ui.available_width())
        .height(size::CONTROL_LARGE);
    if ui.add(button).clicked() {
        actions.push(Action::Sound(SoundAction::Compose));
    }
}

fn piece_ui(ui: &mut Ui, state: &AppState) {
    let language = state.settings.language;
    let colours = palette(ui);
    let rect = ui.max_rect().shrink(f32::from(size::MARGIN));
    let running = state.jobs.running().and_then(|job| job.live.score.clone());
    let score = running.or_else(|| state.sound.piece.as_ref().map(|piece| piece.score.clone()));
    match score {
        Some(score) => {
            let span = TimeSpan::whole(score.secs(score.end_ticks()));
            paint_notes(ui.painter(), rect, span, &score, colours);
        }
        None => {
            ui.centered_and_justified(|ui| {
                let title = RichText::new(language.get(Text::SoundTitle));
                ui.label(title.font(Weight::SemiBold.font(26.0)).color(colours.text_strong));
            });
        }
    }
}
