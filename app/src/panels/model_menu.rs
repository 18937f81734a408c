//! The chooser of the model that paints.

use atelier_engine::library::{HOUSE_PICTURE, PictureEntry};
use atelier_engine::protocol::VariantChoice;
use egui::{Popup, RichText, ScrollArea, Ui};

use crate::action::{Action, ModelsAction};
use crate::i18n::{Language, Text, size_of};
use crate::state::AppState;
use crate::theme::{icons, palette, size};
use crate::widgets::{Button, details, elide, field_label};

/// The width of the list in points.
const WIDTH: f32 = 360.0;
/// How many letters of a name are shown.
const NAME_CHARS: usize = 36;

/// Draws the button that shows which model paints, with the list behind it.
pub(super) fn model_menu_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    field_label(ui, language.get(Text::Model), "");
    let pictures = &state.models.pictures;
    let label = match (pictures.chosen(), &pictures.chosen) {
        (Some(model), _) => elide(&model.name, NAME_CHARS),
        (None, Some(_)) if pictures.searching => language.get(Text::Loading).to_owned(),
        _ => language.get(Text::HouseModel).to_owned(),
    };
    let button = Button::text(&label)
        .with_icon(icons::IMAGE)
        .named(language.get(Text::Model))
        .side(icons::CARET_DOWN)
        .min_width(ui.available_width());
    let response = ui.add(button);
    Popup::menu(&response).accessible_name(language.get(Text::Model)).show(|ui| {
        ui.set_width(WIDTH);
        ui.spacing_mut().item_spacing.y = 2.0;
        ScrollArea::vertical().max_height(420.0).show(ui, |ui| list_ui(ui, state, actions));
        ui.separator();
        folders_ui(ui, state, actions);
    });
}

fn list_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let pictures = &state.models.pictures;
    let mut choose = |ui: &mut Ui, name: &str, is_chosen: bool, path| {
        let mark = if is_chosen { icons::CHECK } else { "" };
        let button = Button::text(name).quiet().side(mark).min_width(ui.available_width());
        if ui.add(button).clicked() {
            actions.push(Action::Models(ModelsAction::Choose(path)));
            ui.close();
        }
    };
    let is_house = pictures.chosen().is_none();
    choose(ui, language.get(Text::HouseModel), is_house, None);
    let about = state.models.ready().map(|info| info.licence.clone()).unwrap_or_default();
    about_ui(ui, &[HOUSE_PICTURE.to_owned(), about], None);
    for model in &pictures.found.models {
        let name = elide(&model.name, NAME_CHARS);
        let is_chosen = pictures.chosen.as_ref() == Some(&model.path);
        choose(ui, &name, is_chosen, Some(model.path.clone()));
        let (precision, size) = (state.prompt.precision, pictures.defaults_of(model).size);
        let ample = model.need.memory_bytes(precision, size);
        let need = match state.models.has_room(ample) {
            true => ample,
            false => model.need.lean_memory_bytes(precision, size),
        };
        let fits = state.models.has_room(need);
        let variant = model.kind.variant_under(pictures.choice_of(&model.path));
        about_ui(ui, &describe(model, variant, language), Some((need, fits, language)));
    }
}

/// Lists what is known of a model in a few words.
fn describe(model: &PictureEntry, variant: VariantChoice, language: Language) -> Vec<String> {
    let mut words = vec![language.family_name(&model.kind)];
    if variant != VariantChoice::Standard {
        words.push(language.variant_name(variant).to_owned());
    }
    words.push(size_of(model.bytes));
    words.push(match &model.licence {
        Some(licence) => elide(licence, 24),
        None => language.get(Text::LicenceUnknown).to_owned(),
    });
    words
}

fn about_ui(ui: &mut Ui, words: &[String], need: Option<(u64, bool, Language)>) {
    let words: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    ui.horizontal(|ui| {
        ui.add_space(10.0);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            details(ui, words.join(" · "));
            if let Some((need, fits, language)) = need {
                let (text, colour) = match fits {
                    true => (Text::ModelFits, palette(ui).text_weak),
                    false => (Text::ModelTooLarge, palette(ui).warning),
                };
                let line = language.fill(text, &[&size_of(need)]);
                ui.label(RichText::new(line).size(size::TEXT_SMALL).color(colour));
            }
        });
    });
}

/// Draws the folders that are looked through, and the button that adds one.
fn folders_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let pictures = &state.models.pictures;
    if pictures.folders.is_empty() {
        let hint = RichText::new(language.get(Text::FoldersHint)).size(size::TEXT_SMALL);
        ui.add(egui::Label::new(hint.color(palette(ui).text_weak)).wrap());
    }
    for folder in &pictures.folders {
        ui.horizontal(|ui| {
            let shown = folder.display().to_string();
            let name = language.fill(Text::RemoveFolder, &[&shown]);
            if ui.add(Button::icon(icons::X, &name)).clicked() {
                actions.push(Action::Models(ModelsAction::RemoveFolder(folder.clone())));
            }
            details(ui, shown.clone()).on_hover_text(shown);
        });
    }
    let add = Button::text(language.get(Text::AddFolder)).with_icon(icons::FOLDER);
    if ui.add(add.min_width(ui.available_width())).clicked() {
        actions.push(Action::Models(ModelsAction::PickFolder));
        ui.close();
    }
    if pictures.searching {
        details(ui, language.get(Text::SearchingModels));
    }
}
