//! The library room: boards at the left, what was found in the middle, what is known of the chosen
//! results at the right.

use egui::{
    Align, Frame, Id, Key, Layout, Margin, Modifiers, Panel, ProgressBar, Rect, RichText, Ui,
};

use super::library_boards::boards_ui;
use super::library_details::details_ui;
use super::library_filters::filters_ui;
use super::library_grid::{LIBRARY_GRID, drag_ui, grid_ui};
use crate::action::{Action, LibraryAction, PickAction, Step, WorkAction};
use crate::i18n::{Text, grouped};
use crate::services::Textures;
use crate::state::AppState;
use crate::state::library::SIDES;
use crate::state::library_work::{WorkKind, WorkProgress};
use crate::theme::{icons, palette, size};
use crate::widgets::{Button, details, search_field, slider};

/// Names the field in which is written what is looked for.
pub const LIBRARY_FIELD: &str = "library-search";

/// Draws the library room; returns what was done there and where messages may lie.
pub fn library_room_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
) -> (Vec<Action>, Rect) {
    let mut actions = Vec::new();
    let colours = palette(ui);
    let panel = |margin: Margin| Frame::new().fill(colours.panel).inner_margin(margin);
    let canvas = |margin: Margin| Frame::new().fill(colours.canvas).inner_margin(margin);
    Panel::left("library-shelves")
        .resizable(false)
        .exact_size(size::SHELF_PANEL)
        .frame(panel(Margin::same(size::MARGIN)))
        .show(ui, |ui| boards_ui(ui, state, &mut actions));
    Panel::right("library-details")
        .resizable(false)
        .exact_size(size::DETAIL_PANEL)
        .frame(panel(Margin { right: 4, ..Margin::same(size::MARGIN) }))
        .show(ui, |ui| details_ui(ui, state, textures, &mut actions));
    Panel::top("library-search")
        .resizable(false)
        .frame(panel(Margin::symmetric(size::MARGIN, 10)))
        .show(ui, |ui| head_ui(ui, state, &mut actions));
    if let Some(running) = &state.shell.library.work.running {
        Panel::bottom("library-work")
            .resizable(false)
            .exact_size(44.0)
            .frame(panel(Margin::symmetric(size::MARGIN, 6)))
            .show(ui, |ui| work_ui(ui, state, running, &mut actions));
    }
    let field = egui::CentralPanel::default()
        .frame(canvas(Margin::symmetric(size::MARGIN, 0)))
        .show(ui, |ui| {
            grid_ui(ui, state, textures, &mut actions);
            ui.max_rect()
        })
        .inner;
    drag_ui(ui);
    (actions, field)
}

fn head_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    ui.spacing_mut().item_spacing.y = size::GAP;
    search_ui(ui, state, actions);
    filters_ui(ui, state, actions);
    line_ui(ui, state, actions);
}

fn search_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let search = &state.shell.library.search;
    let mut text = search.text.clone();
    let names = [language.get(Text::FindInLibrary), language.get(Text::FindHint)];
    let id = Id::unique(LIBRARY_FIELD);
    // The key is taken before the field sees it.
    let writes = ui.memory(|memory| memory.has_focus(id));
    let goes_on = writes
        && ui.input_mut(|input| {
            input.consume_key(Modifiers::NONE, Key::ArrowDown)
                || input.consume_key(Modifiers::NONE, Key::Enter)
        });
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = size::GAP_SMALL;
        let clear = if text.is_empty() { 0.0 } else { size::CONTROL + size::GAP_SMALL };
        let width = ui.available_width() - clear;
        if search_field(ui, id, names, &mut text, width).changed() {
            actions.push(Action::Library(LibraryAction::SetText(text.clone())));
        }
        if !search.text.is_empty()
            && ui.add(Button::icon(icons::X, language.get(Text::ClearSearch))).clicked()
        {
            actions.push(Action::Library(LibraryAction::SetText(String::new())));
        }
    });
    if goes_on {
        ui.memory_mut(|memory| memory.request_focus(Id::unique(LIBRARY_GRID)));
        let first = PickAction::Step(Step::First, false);
        actions.push(Action::Library(LibraryAction::Pick(first)));
    }
}

/// Says how much was found and what was not understood; at the right thumbnails become larger.
fn line_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let library = &state.shell.library;
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let mut side = f64::from(library.grid.side);
            let range = (SIDES.map(f64::from), 4.0);
            if slider(ui, language.get(Text::ThumbnailSize), range, &mut side, 110.0) {
                actions.push(Action::Library(LibraryAction::SetSide(side as f32)));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let count = library.found.ids.len();
                let text = match (library.found.is_loaded, library.pick.ids.len()) {
                    (false, _) => language.get(Text::Loading).to_owned(),
                    (true, 0 | 1) => language.results(count),
                    (true, picked) => {
                        language.fill(Text::PickedOf, &[&grouped(picked), &grouped(count)])
                    }
                };
                ui.add(egui::Label::new(RichText::new(text).color(palette(ui).text)));
                if !library.search.notices.is_empty() {
                    let notices = &library.search.notices;
                    let said: Vec<String> =
                        notices.iter().map(|notice| language.query_notice(notice)).collect();
                    let said = format!("{}  {}", icons::WARNING, said.join("  ·  "));
                    let said = RichText::new(said).size(size::TEXT_SMALL);
                    let said = said.color(palette(ui).warning);
                    ui.add(egui::Label::new(said).truncate());
                }
            });
        });
    });
}

fn work_ui(ui: &mut Ui, state: &AppState, running: &WorkProgress, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let stop = Button::text(language.get(Text::StopWork)).with_icon(icons::STOP);
        if ui.add_enabled(!running.is_stopping, stop).clicked() {
            actions.push(Action::Library(LibraryAction::Work(WorkAction::Stop)));
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let kind = match (running.is_stopping, running.kind) {
                (true, _) => Text::Stopping,
                (false, WorkKind::Import) => Text::Importing,
                (false, WorkKind::Export) => Text::Exporting,
                (false, WorkKind::Check) => Text::Checking,
            };
            ui.label(RichText::new(language.get(kind)).color(palette(ui).text_strong));
            let share = running.done as f32 / running.total.max(1) as f32;
            let name = language.get(Text::Progress);
            let bar = ProgressBar::new(share).desired_width(180.0).desired_height(6.0);
            ui.add(bar.fill(palette(ui).accent_fill)).accessible_name(name);
            if running.total > 0 {
                details(ui, format!("{} / {}", grouped(running.done), grouped(running.total)));
            }
            details(ui, running.file.clone());
        });
    });
}
