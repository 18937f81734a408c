//! The list of boards at the left of the library room.

use atelier_engine::store::boards::{Board, BoardId};
use egui::{Align, Id, Key, Layout, Response, RichText, ScrollArea, Ui};

use super::library_grid::Dragged;
use crate::action::{Action, BoardAction, LibraryAction, TrashAction, WorkAction};
use crate::i18n::{Text, grouped};
use crate::state::AppState;
use crate::state::library::{BoardEdit, Shelf};
use crate::theme::{icons, palette, size};
use crate::update::shelf_of;
use crate::widgets::{Button, details, elide, text_field};

/// The room that the buttons below the list take, in points.
const BELOW: f32 = 3.0 * (size::CONTROL + 2.0) + size::GAP;

/// How many letters of a board's name are shown where nothing stands beside it.
const LETTERS: usize = 20;

/// Draws the list of boards.
pub(super) fn boards_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let library = &state.shell.library;
    let shown = shelf_of(&library.search.query);
    let width = ui.available_width();
    ui.spacing_mut().item_spacing.y = 2.0;
    for (icon, name, shelf, count) in [
        (icons::LIBRARY, Text::ShelfAll, Shelf::All, library.shelves.all),
        (icons::HEART, Text::ShelfFavourites, Shelf::Favourites, library.shelves.favourites),
        (icons::IMAGE, Text::ShelfUnboarded, Shelf::Unboarded, library.shelves.unboarded),
    ] {
        let chosen = shown.as_ref() == Some(&shelf);
        if row_ui(ui, state, (icon, language.get(name)), count, chosen, width).clicked() {
            actions.push(Action::Library(LibraryAction::Show(shelf)));
        }
    }
    ui.add_space(size::GAP);
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.add(Button::icon(icons::PLUS, language.get(Text::NewBoard))).clicked() {
                edit(actions, Some(BoardEdit::New(String::new(), Vec::new())));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                details(ui, language.get(Text::Boards));
            });
        });
    });
    let height = (ui.available_height() - BELOW).max(size::CONTROL);
    ScrollArea::vertical().auto_shrink([false, false]).max_height(height).show(ui, |ui| {
        ui.set_max_width(width);
        if let Some(BoardEdit::New(name, ids)) = &library.board_edit {
            name_ui(ui, state, name, width, actions, |name| BoardEdit::New(name, ids.clone()));
        } else if library.shelves.boards.is_empty() {
            let hint = RichText::new(language.get(Text::NoBoards)).size(size::TEXT_SMALL);
            ui.add(egui::Label::new(hint.color(palette(ui).text_weak)).wrap());
        }
        for board in &library.shelves.boards {
            board_ui(ui, state, board, shown.as_ref(), width, actions);
        }
    });
    ui.with_layout(Layout::bottom_up(Align::Min), |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        let check = Action::Library(LibraryAction::Work(WorkAction::Check(false)));
        let import = Action::Library(LibraryAction::Work(WorkAction::PickImport));
        for (icon, name, action) in [
            (icons::TRASH, Text::Trash, Action::Trash(TrashAction::Show(true))),
            (icons::CHECK_CIRCLE, Text::CheckLibrary, check),
            (icons::IMPORT, Text::ImportFolder, import),
        ] {
            let button = Button::text(language.get(name)).with_icon(icon).quiet().side("");
            if ui.add(button.min_width(width)).clicked() {
                actions.push(action);
            }
        }
    });
}

fn edit(actions: &mut Vec<Action>, edit: Option<BoardEdit>) {
    actions.push(Action::Library(LibraryAction::Board(BoardAction::Edit(edit))));
}

/// Draws a part of the library with its number.
fn row_ui(
    ui: &mut Ui,
    state: &AppState,
    (icon, title): (&str, &str),
    count: usize,
    chosen: bool,
    width: f32,
) -> Response {
    let language = state.settings.language;
    let name = language.fill(Text::ShelfNamed, &[&title, &language.results(count)]);
    let wide = title.chars().filter(|letter| !letter.is_ascii()).count();
    // A Chinese letter is twice as wide.
    let letters = (LETTERS as f32 * (width - 84.0) / 96.0) as usize;
    let shown = elide(title, letters.saturating_sub(wide / 2).max(4));
    let button = Button::text(&shown)
        .with_icon(icon)
        .named(&name)
        .quiet()
        .side(grouped(count))
        .selected(chosen)
        .min_width(width);
    let response = ui.add(button);
    match shown == title {
        true => response,
        false => response.on_hover_text(title),
    }
}

fn board_ui(
    ui: &mut Ui,
    state: &AppState,
    board: &Board,
    shown: Option<&Shelf>,
    width: f32,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let chosen = matches!(shown, Some(Shelf::Board(name))
        if name.to_lowercase() == board.name.to_lowercase());
    match &state.shell.library.board_edit {
        Some(BoardEdit::Rename(id, name)) if *id == board.id => {
            let id = id.clone();
            name_ui(ui, state, name, width, actions, |name| BoardEdit::Rename(id, name));
            return;
        }
        Some(BoardEdit::Delete(id)) if *id == board.id => {
            question_ui(ui, state, board, actions);
            return;
        }
        _ => {}
    }
    ui.horizontal(|ui| {
        ui.set_width(width);
        ui.spacing_mut().item_spacing.x = 0.0;
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if chosen {
                let name = language.fill(Text::DeleteBoard, &[&board.name]);
                if ui.add(Button::icon(icons::TRASH, &name)).clicked() {
                    edit(actions, Some(BoardEdit::Delete(board.id.clone())));
                }
                let name = language.fill(Text::RenameBoard, &[&board.name]);
                if ui.add(Button::icon(icons::EDIT, &name)).clicked() {
                    let rename = BoardEdit::Rename(board.id.clone(), board.name.clone());
                    edit(actions, Some(rename));
                }
            }
            let room = ui.available_width();
            let row = (icons::BOARD, board.name.as_str());
            let response = row_ui(ui, state, row, board.count, chosen, room);
            drop_ui(ui, &response, &board.id, actions);
            if response.clicked() {
                let show = LibraryAction::Show(Shelf::Board(board.name.clone()));
                actions.push(Action::Library(show));
            }
        });
    });
}

/// Takes what is dragged onto a board.
fn drop_ui(ui: &Ui, response: &Response, board: &BoardId, actions: &mut Vec<Action>) {
    if response.dnd_hover_payload::<Dragged>().is_some() {
        let stroke = egui::Stroke::new(size::RING, palette(ui).accent);
        let corner = egui::CornerRadius::same(size::RADIUS);
        ui.painter().rect_stroke(response.rect, corner, stroke, egui::StrokeKind::Inside);
    }
    if let Some(dragged) = response.dnd_release_payload::<Dragged>() {
        let add = BoardAction::Add(board.clone(), dragged.0.clone());
        actions.push(Action::Library(LibraryAction::Board(add)));
    }
}

fn question_ui(ui: &mut Ui, state: &AppState, board: &Board, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let text = language.fill(Text::AskDeleteBoard, &[&board.name]);
    let text = RichText::new(text).color(palette(ui).text_strong);
    ui.add(egui::Label::new(text).wrap());
    ui.horizontal(|ui| {
        if ui.add(Button::text(language.get(Text::DeleteIt)).with_icon(icons::TRASH)).clicked() {
            actions.push(Action::Library(LibraryAction::Board(BoardAction::Confirm)));
        }
        if ui.add(Button::text(language.get(Text::KeepIt)).primary()).clicked() {
            edit(actions, None);
        }
    });
}

fn name_ui(
    ui: &mut Ui,
    state: &AppState,
    name: &str,
    width: f32,
    actions: &mut Vec<Action>,
    made: impl FnOnce(String) -> BoardEdit,
) {
    let mut text = name.to_owned();
    let field = Id::unique("board-name");
    let label = state.settings.language.get(Text::BoardName);
    let response = text_field(ui, field, label, &mut text, width);
    if response.changed() {
        edit(actions, Some(made(text)));
    }
    if response.lost_focus() {
        match ui.input(|input| input.key_pressed(Key::Escape)) {
            true => edit(actions, None),
            false => {
                actions.push(Action::Library(LibraryAction::Board(BoardAction::Confirm)));
            }
        }
    } else if !response.has_focus() {
        response.request_focus();
    }
}
