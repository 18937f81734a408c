//! What the chosen checkpoint is: its family, and its variant and prediction, which a person may say
//! otherwise.

use atelier_engine::library::ModelKind;
use atelier_engine::protocol::{ModelChoice, PredictionChoice, VariantChoice};
use atelier_engine::weights::detect::Evidence;
use egui::{Popup, Ui};

use crate::action::{Action, ModelsAction};
use crate::i18n::{Language, Text};
use crate::state::AppState;
use crate::theme::{icons, size};
use crate::widgets::{Button, details, field_label, menu_item};

/// The room between the two menus in points.
const BETWEEN: f32 = 12.0;
/// The width of the menu of variants, whose names are shorter.
const VARIANT_WIDTH: f32 = 110.0;

/// Holds what a menu shows and offers.
struct Menu<T> {
    name: Text,
    /// What was found, and by what.
    found: (&'static str, Evidence),
    /// What the person says instead.
    chosen: Option<T>,
    rows: Vec<(&'static str, T)>,
}

/// Draws family, variant and prediction of the chosen checkpoint; nothing while the house model paints.
pub(super) fn model_kind_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let Some(model) = state.models.pictures.chosen() else { return };
    let language = state.settings.language;
    let (kind, choice) = (&model.kind, state.model_choice());
    details(ui, language.fill(Text::FamilyOf, &[&language.family_name(kind)]));
    let rest = ui.available_width() - VARIANT_WIDTH - BETWEEN;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = BETWEEN;
        let picked = menu_ui(ui, VARIANT_WIDTH, variants(kind, choice, language), language);
        actions.extend(picked.map(|variant| Action::Models(ModelsAction::SetVariant(variant))));
        let picked = menu_ui(ui, rest, predictions(kind, choice, language), language);
        let set = |prediction| Action::Models(ModelsAction::SetPrediction(prediction));
        actions.extend(picked.map(set));
    });
}

/// Offers the variants that the file's shapes leave open.
fn variants(kind: &ModelKind, choice: ModelChoice, language: Language) -> Menu<VariantChoice> {
    let is_open = |variant: &VariantChoice| {
        kind.check(ModelChoice { variant: Some(*variant), ..choice }).is_ok()
    };
    let open = VariantChoice::ALL.into_iter().filter(is_open);
    Menu {
        name: Text::ModelVariant,
        found: (language.variant_name(kind.variant), kind.variant_by),
        chosen: choice.variant.filter(is_open),
        rows: open.map(|variant| (language.variant_name(variant), variant)).collect(),
    }
}

fn predictions(
    kind: &ModelKind,
    choice: ModelChoice,
    language: Language,
) -> Menu<PredictionChoice> {
    let name = |prediction| (language.prediction_name(prediction), prediction);
    Menu {
        name: Text::ModelPrediction,
        found: (language.found_prediction(kind.prediction), kind.prediction_by),
        chosen: choice.prediction,
        rows: PredictionChoice::ALL.map(name).to_vec(),
    }
}

/// Draws a labelled button with what was found first behind it; returns what was picked, `None` within
/// for what was found.
fn menu_ui<T: Copy + PartialEq>(
    ui: &mut Ui,
    width: f32,
    menu: Menu<T>,
    language: Language,
) -> Option<Option<T>> {
    let mut picked = None;
    let name = language.get(menu.name);
    let (found, evidence) = menu.found;
    let said = menu.rows.iter().find(|(_, value)| Some(*value) == menu.chosen);
    let (label, right, told) = match said {
        Some((label, _)) => (*label, language.get(Text::ChosenByHand), ""),
        None => (found, "", language.evidence(evidence)),
    };
    ui.vertical(|ui| {
        ui.set_width(width);
        ui.spacing_mut().item_spacing.y = size::GAP;
        field_label(ui, name, right);
        let button = Button::text(label).named(name).side(icons::CARET_DOWN).min_width(width);
        let button = if told.is_empty() { button } else { button.tooltip(told) };
        let response = ui.add(button);
        Popup::menu(&response).accessible_name(name).show(|ui| {
            ui.set_width(280.0);
            ui.spacing_mut().item_spacing.y = 2.0;
            let automatic = language.fill(Text::AutomaticFound, &[&found]);
            if menu_item(ui, None, &automatic, menu.chosen.is_none()) {
                picked = Some(None);
                ui.close();
            }
            ui.horizontal(|ui| {
                ui.add_space(10.0);
                details(ui, language.evidence(evidence));
            });
            for (label, value) in &menu.rows {
                if menu_item(ui, None, label, menu.chosen == Some(*value)) {
                    picked = Some(Some(*value));
                    ui.close();
                }
            }
        });
    });
    picked
}
