//! How the active layer guides what is painted, or why it does not.

use atelier_engine::canvas::{Guiding, Layer, LayerKind};
use atelier_engine::protocol::HintKind;
use egui::{DragValue, Id, Label, Popup, RichText, Ui, vec2};

use super::extras_panel::{file_name, shelf_menu};
use crate::action::{Action, EditorAction, LayerAction};
use crate::i18n::{Language, Text};
use crate::state::AppState;
use crate::theme::{icons, palette, size};
use crate::update::{hint_of, without_effect};
use crate::widgets::{Button, NumberField, menu_frame, slider_row};

/// Draws the settings of a control layer, and of every layer that has no effect the reason.
pub(super) fn guiding_ui(ui: &mut Ui, state: &AppState, layer: &Layer, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let colours = palette(ui);
    let mut line = |text: Text, colour| {
        let text = RichText::new(language.get(text)).size(size::TEXT_SMALL).color(colour);
        ui.add(Label::new(text).wrap());
    };
    if let Some(reason) = without_effect(state, layer) {
        line(reason, colours.warning);
    } else if layer.kind == LayerKind::Control && layer.pixels.is_empty() {
        line(Text::ControlIsEmpty, colours.text_weak);
    }
    let found = &state.models.pictures.found.controls;
    let (LayerKind::Control, Some(guiding)) = (layer.kind, &layer.guiding) else { return };
    if state.models.pictures.chosen().is_none() || found.is_empty() {
        return;
    }
    let mut say = |guiding: Guiding, is_final| {
        let action = LayerAction::Guide(guiding, is_final);
        actions.push(Action::Editor(EditorAction::Layer(action)));
    };
    let name = language.get(Text::ControlNet);
    let label = guiding
        .model
        .as_deref()
        .map_or_else(|| language.get(Text::ChooseControl).to_owned(), file_name);
    shelf_menu(ui, [&label, name], icons::SLIDERS, found, None, &mut |path| {
        if let Some(path) = path {
            let path = path.to_string_lossy().into_owned();
            let hint = hint_of(&path);
            say(Guiding { model: Some(path), hint, ..guiding.clone() }, true);
        }
    });
    hint_menu(ui, guiding, language, &mut say);
    let name = language.get(Text::ControlStrength);
    let field_name = language.fill(Text::AsNumber, &[&name]);
    let mut percent = f64::from(guiding.percent);
    let field = NumberField { name, field_name: &field_name, range: [0.0, 200.0], step: 5.0 };
    let changed = slider_row(ui, field, &mut percent);
    // A drag is one edit: when the button is let go.
    let (dragged, is_down) =
        (Id::unique("guiding-dragged"), ui.input(|input| input.pointer.primary_down()));
    let was_dragged = ui.data(|data| data.get_temp(dragged)).unwrap_or(false);
    let ends = was_dragged && !is_down;
    if changed || ends {
        ui.data_mut(|data| data.insert_temp(dragged, is_down));
        say(Guiding { percent: percent as u8, ..guiding.clone() }, !is_down);
    }
    between_ui(ui, guiding, language, &mut say);
}

/// Draws what is drawn from the layer before the net reads it.
fn hint_menu(
    ui: &mut Ui,
    guiding: &Guiding,
    language: Language,
    say: &mut dyn FnMut(Guiding, bool),
) {
    let width = ui.available_width();
    let button = Button::text(language.hint_name(guiding.hint))
        .named(language.get(Text::ControlHint))
        .side(icons::CARET_DOWN)
        .min_width(width);
    let response = ui.add(button);
    Popup::menu(&response).frame(menu_frame(ui)).show(|ui| {
        for kind in HintKind::ALL {
            let row = Button::text(language.hint_name(kind)).selected(kind == guiding.hint);
            if ui.add(row.quiet().min_width(160.0)).clicked() {
                say(Guiding { hint: kind, ..guiding.clone() }, true);
            }
        }
    });
}

/// Draws the share of the steps at which the net begins and ends.
fn between_ui(
    ui: &mut Ui,
    guiding: &Guiding,
    language: Language,
    say: &mut dyn FnMut(Guiding, bool),
) {
    let [mut from, mut to] = guiding.between_percent;
    let mut ended = false;
    let changed = ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        ui.spacing_mut().interact_size = vec2(54.0, size::CONTROL);
        let text = RichText::new(language.get(Text::ControlSteps)).size(size::TEXT_SMALL);
        ui.label(text.color(palette(ui).text_weak));
        let mut number = |ui: &mut Ui, value: &mut u8, range, name| {
            let drag = DragValue::new(value).range(range).suffix(" %").speed(0.5);
            let response = ui.add(drag).accessible_name(language.get(name));
            ended |= response.drag_stopped() || (response.changed() && !response.dragged());
            response.changed()
        };
        let begins = number(ui, &mut from, 0..=to, Text::ControlFrom);
        number(ui, &mut to, from..=100, Text::ControlTo) || begins
    });
    if changed.inner || ended {
        say(Guiding { between_percent: [from, to], ..guiding.clone() }, ended);
    }
}
