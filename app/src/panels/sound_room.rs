//! The sound room: what a piece is to be like, the piece at hand, the player, the film strip.

use egui::{Frame, Margin, Panel, Rect, RichText, Ui, vec2};

use super::film_strip::film_strip_ui;
use super::piece_panel::piece_ui;
use super::sound_prompt::sound_prompt_ui;
use super::transport::{piece_footer_ui, transport_ui};
use crate::action::{Action, MusicAction, SoundAction};
use crate::i18n::{TUNES, Text};
use crate::services::textures::Textures;
use crate::state::AppState;
use crate::theme::{Weight, palette, size};
use crate::widgets::Button;

/// Below this height there is no film strip below a piece.
const LOW: f32 = 420.0;

/// Draws the sound room; returns what was done there and where messages may lie.
pub fn sound_room_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
) -> (Vec<Action>, Rect) {
    let mut actions = Vec::new();
    let colours = palette(ui);
    let panel = |margin: Margin| Frame::new().fill(colours.panel).inner_margin(margin);
    let canvas = |margin: Margin| Frame::new().fill(colours.canvas).inner_margin(margin);
    Panel::left("sound-prompt")
        .resizable(false)
        .exact_size(size::LEFT_PANEL)
        // At the right the scroll bar has its place between the fields and the edge.
        .frame(panel(Margin { right: 2, ..Margin::same(size::MARGIN) }))
        .show(ui, |ui| actions.extend(sound_prompt_ui(ui, state, textures)));
    let shows_piece = state.sound.piece.is_some();
    // In a very low window the piece has the room; the strip is beside the pictures as well.
    if !shows_piece || ui.max_rect().height() > LOW {
        Panel::bottom("sound-strip")
            .resizable(false)
            .exact_size(size::THUMBNAIL + 24.0)
            .frame(panel(Margin::symmetric(size::MARGIN, 12)))
            .show(ui, |ui| actions.extend(film_strip_ui(ui, state, textures)));
    }
    if shows_piece {
        Panel::bottom("piece-footer")
            .resizable(false)
            .show_separator_line(false)
            .exact_size(52.0)
            .frame(canvas(Margin::symmetric(size::MARGIN, 6)))
            .show(ui, |ui| piece_footer_ui(ui, state, &mut actions));
        Panel::bottom("transport")
            .resizable(false)
            .show_separator_line(false)
            .exact_size(48.0)
            .frame(canvas(Margin::symmetric(size::MARGIN, 4)))
            .show(ui, |ui| transport_ui(ui, state, &mut actions));
    }
    let field = egui::CentralPanel::default()
        .frame(canvas(Margin::same(size::MARGIN)))
        .show(ui, |ui| {
            let field = ui.max_rect();
            if shows_piece || state.sound.watches_live || state.sound.opening.is_some() {
                piece_ui(ui, state, textures, &mut actions);
            } else {
                empty_ui(ui, state, field, &mut actions);
            }
            field
        })
        .inner;
    (actions, field)
}

/// Draws the invitation: a question and descriptions to begin with.
fn empty_ui(ui: &mut Ui, state: &AppState, field: Rect, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let colours = palette(ui);
    let width = field.width().min(680.0) - 32.0;
    let height = field.height().min(290.0);
    let rect = Rect::from_center_size(field.center(), vec2(width, height));
    ui.scope_builder(egui::UiBuilder::new().max_rect(rect), |ui| {
        ui.vertical_centered(|ui| {
            ui.spacing_mut().item_spacing.y = size::GAP;
            let title = RichText::new(language.get(Text::SoundTitle));
            ui.label(title.font(Weight::SemiBold.font(26.0)).color(colours.text_strong));
            let text = RichText::new(language.get(Text::SoundText)).color(colours.text_weak);
            ui.label(text.size(size::TEXT_PROMPT));
            ui.add_space(size::GAP_LARGE);
        });
        let column = (width - size::GAP) / 2.0;
        for pair in TUNES.chunks(2) {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = size::GAP;
                for example in pair {
                    let text = language.example(*example);
                    if ui.add(Button::text(text).min_width(column).height(40.0)).clicked() {
                        let action = MusicAction::TakeExample(text.to_owned());
                        actions.push(Action::Sound(SoundAction::Prompt(action)));
                    }
                }
            });
        }
        ui.vertical_centered(|ui| {
            ui.add_space(size::GAP);
            let text = RichText::new(language.get(Text::SoundDrop)).size(size::TEXT_SMALL + 0.5);
            ui.label(text.color(colours.text_weak));
        });
    });
}
