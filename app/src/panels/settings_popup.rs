//! The settings: colours, language, scale, the place of the data.

use egui::{RichText, Ui};

use super::keys_of;
use crate::action::{Action, PaletteAction, SettingsAction, TrashAction};
use crate::i18n::{Language, Text};
use crate::state::settings::SCALES_PERCENT;
use crate::state::{AppState, ThemeChoice};
use crate::theme::{icons, palette, size};
use crate::widgets::{Button, field_label, segmented};

/// Draws the settings.
pub(super) fn settings_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let settings = &state.settings;
    let language = settings.language;
    ui.set_width(320.0);

    field_label(ui, language.get(Text::Theme), "");
    let themes = [
        (ThemeChoice::Light, Text::ThemeLight),
        (ThemeChoice::Dark, Text::ThemeDark),
        (ThemeChoice::System, Text::ThemeSystem),
    ];
    let names = themes.map(|(_, name)| language.get(name));
    let chosen = themes.iter().position(|(theme, _)| *theme == settings.theme);
    if let Some(index) = segmented(ui, &names, chosen) {
        actions.push(Action::Settings(SettingsAction::SetTheme(themes[index].0)));
    }

    field_label(ui, language.get(Text::LanguageName), "");
    let names = Language::ALL.map(Language::own_name);
    let chosen = Language::ALL.iter().position(|other| *other == language);
    if let Some(index) = segmented(ui, &names, chosen) {
        actions.push(Action::Settings(SettingsAction::SetLanguage(Language::ALL[index])));
    }

    field_label(ui, language.get(Text::Scale), "");
    let names = SCALES_PERCENT.map(|percent| format!("{percent} %"));
    let names = names.each_ref().map(String::as_str);
    let chosen = SCALES_PERCENT.iter().position(|percent| *percent == settings.scale_percent);
    if let Some(index) = segmented(ui, &names, chosen) {
        actions.push(Action::Settings(SettingsAction::SetScale(SCALES_PERCENT[index])));
    }

    field_label(ui, language.get(Text::DataFolder), "");
    let folder = match &settings.data_folder {
        Some(folder) => folder.display().to_string(),
        None => language.get(Text::Loading).to_owned(),
    };
    let text = RichText::new(folder).size(size::TEXT_SMALL).color(palette(ui).text);
    ui.add(egui::Label::new(text).wrap()).on_hover_text(language.get(Text::DataFolderText));
    ui.horizontal(|ui| {
        let open = Button::text(language.get(Text::OpenFolder)).with_icon(icons::FOLDER);
        if ui.add(open).clicked() {
            actions.push(Action::Settings(SettingsAction::OpenDataFolder));
        }
        let idle = state.jobs.jobs.is_empty();
        let move_it = Button::text(language.get(Text::MoveFolder)).with_icon(icons::DRIVE);
        let response = ui.add_enabled(idle, move_it);
        if response.on_disabled_hover_text(language.get(Text::BusyMove)).clicked() {
            actions.push(Action::Settings(SettingsAction::PickDataFolder));
        }
        if ui.add(Button::text(language.get(Text::Trash)).with_icon(icons::TRASH)).clicked() {
            actions.push(Action::Settings(SettingsAction::Show(false)));
            actions.push(Action::Trash(TrashAction::Show(true)));
        }
    });

    if let Some(info) = state.models.ready() {
        field_label(ui, language.get(Text::Model), "");
        let line =
            format!("{}  ·  {} {}", info.model.name, language.get(Text::Licence), info.licence);
        let text = RichText::new(line).size(size::TEXT_SMALL).color(palette(ui).text);
        ui.add(egui::Label::new(text).wrap());
    }

    ui.separator();
    let commands = Button::text(language.get(Text::Shortcuts))
        .with_icon(icons::COMMAND)
        .quiet()
        .side(keys_of(ui.ctx(), Text::Shortcuts))
        .min_width(ui.available_width());
    if ui.add(commands).clicked() {
        actions.push(Action::Settings(SettingsAction::Show(false)));
        actions.push(Action::Palette(PaletteAction::Show(true)));
    }
}
