//! The grid of the library room: only what is in sight is drawn, however much was found.

use std::sync::Arc;

use atelier_engine::protocol::Pixels;
use egui::scroll_area::ScrollBarVisibility;
use egui::style::ScrollAnimation;
use egui::{
    Align, Align2, Color32, CornerRadius, DragAndDrop, EventFilter, Id, Key, LayerId, Modifiers,
    Order, Popup, Rect, Response, RichText, Role, ScrollArea, Sense, Stroke, StrokeKind, Ui,
    WidgetInfo, pos2, vec2,
};

use super::film_strip::notes_ui;
use crate::action::{
    Action, BoardAction, FilterAction, LibraryAction, PickAction, PickMode, PickedAction, Step,
    WorkAction,
};
use crate::i18n::{Language, Text};
use crate::services::Textures;
use crate::state::library::{Card, Shelf};
use crate::state::{AppState, Recipe, ResultId, Thumbnail};
use crate::theme::{Weight, icons, on_picture, palette, size};
use crate::update::shelf_of;
use crate::widgets::{Button, details, elide, menu_item};

/// Names the grid, which the keyboard walks in.
pub const LIBRARY_GRID: &str = "library-grid";

/// Between two thumbnails, in points.
const GAP: f32 = 8.0;

/// Is what is dragged out of the grid.
#[derive(Debug, Clone)]
pub(super) struct Dragged(pub Vec<ResultId>);

/// Says how the grid lies.
#[derive(Debug, Clone, Copy)]
struct Plan {
    columns: usize,
    /// Side of a cell, in points.
    side: f32,
}

impl Plan {
    fn of(width: f32, wanted: f32) -> Self {
        let columns = (((width + GAP) / (wanted + GAP)).floor() as usize).max(1);
        let side = (width - GAP * (columns - 1) as f32) / columns as f32;
        Self { columns, side }
    }

    fn row_height(self) -> f64 {
        f64::from(self.side + GAP)
    }

    /// Returns where a place lies when the top of the rows is at `top`. Rows of a hundred thousand
    /// pictures lie too far down for the digits of single numbers.
    fn rect(self, place: usize, left: f32, top: f64) -> Rect {
        let (row, column) = (place / self.columns, place % self.columns);
        let x = left + column as f32 * (self.side + GAP);
        let y = top + row as f64 * self.row_height();
        Rect::from_min_size(pos2(x, y as f32), vec2(self.side, self.side))
    }
}

/// Draws the grid.
pub(super) fn grid_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let library = &state.shell.library;
    let count = library.found.ids.len();
    if count == 0 {
        nothing_ui(ui, state, actions);
        return;
    }
    let id = Id::unique(LIBRARY_GRID);
    keys_ui(ui, id, actions);
    let revealed_id = id.with("revealed");
    let revealed = ui.data(|data| data.get_temp::<u64>(revealed_id)).unwrap_or_default();
    let area = ScrollArea::vertical()
        .id_salt(LIBRARY_GRID)
        .auto_shrink([false, false])
        .scroll_bar_visibility(ScrollBarVisibility::VisibleWhenNeeded);
    area.show_viewport(ui, |ui, viewport| {
        // The scroll bar has its place at the right.
        let plan = Plan::of(ui.available_width() - GAP, library.grid.side);
        let rows = count.div_ceil(plan.columns);
        let height = rows as f64 * plan.row_height() + f64::from(GAP);
        let (content, _) =
            ui.allocate_exact_size(vec2(ui.available_width(), height as f32), Sense::hover());
        let seen = ui.clip_rect();
        let top = f64::from(seen.top()) - f64::from(viewport.top()) + f64::from(GAP);
        let grid = ui.interact(seen, id, Sense::click());
        let name = state.settings.language.get(Text::LibraryGrid);
        grid.widget_info(|| WidgetInfo::labeled(Role::Grid, true, name));
        let arrows = EventFilter {
            horizontal_arrows: true,
            vertical_arrows: true,
            ..EventFilter::default()
        };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(id, arrows));
        if grid.clicked() {
            push(actions, LibraryAction::Pick(PickAction::Nothing));
        }

        let first_row = (f64::from(viewport.top()) / plan.row_height()).floor().max(0.0) as usize;
        let rows_seen = (f64::from(viewport.height()) / plan.row_height()).ceil() as usize;
        let first = (first_row * plan.columns).min(count);
        let last = ((first_row + rows_seen + 1) * plan.columns).min(count);
        let shown = &library.grid;
        let full_rows = (f64::from(viewport.height()) / plan.row_height()).floor() as usize;
        if shown.sight != (first..last)
            || shown.columns != plan.columns
            || shown.rows != full_rows.max(1)
        {
            push(actions, LibraryAction::See([first, last, plan.columns, full_rows]));
        }
        for place in first..last {
            let rect = plan.rect(place, content.left(), top);
            if seen.intersects(rect) {
                cell_ui(ui, state, textures, library.found.ids[place], rect, actions);
            }
        }
        if shown.reveals != revealed
            && let Some((place, is_top)) = shown.reveal
        {
            let rect = plan.rect(place.min(count - 1), content.left(), top);
            let (rect, align) = match is_top {
                true => (rect.expand2(vec2(0.0, GAP)), Some(Align::TOP)),
                false => (rect.expand2(vec2(0.0, GAP)), None),
            };
            ui.scroll_to_rect_animation(rect, align, ScrollAnimation::none());
            ui.data_mut(|data| data.insert_temp(revealed_id, shown.reveals));
        }
    });
}

fn push(actions: &mut Vec<Action>, action: LibraryAction) {
    actions.push(Action::Library(action));
}

/// Takes the keys that walk in the grid, unless something else has the keyboard.
fn keys_ui(ui: &Ui, grid: Id, actions: &mut Vec<Action>) {
    let elsewhere = ui.memory(|memory| memory.focused().is_some_and(|focused| focused != grid));
    if elsewhere
        || Popup::is_any_open(ui.ctx())
        || ui.memory(|memory| memory.top_modal_layer().is_some())
    {
        return;
    }
    let steps = [
        (Key::ArrowLeft, Step::Left),
        (Key::ArrowRight, Step::Right),
        (Key::ArrowUp, Step::Up),
        (Key::ArrowDown, Step::Down),
        (Key::PageUp, Step::PageUp),
        (Key::PageDown, Step::PageDown),
        (Key::Home, Step::First),
        (Key::End, Step::Last),
    ];
    for (key, step) in steps {
        // The plain key would be found in the one with shift.
        for (modifiers, extends) in [(Modifiers::SHIFT, true), (Modifiers::NONE, false)] {
            if ui.input_mut(|input| input.consume_key(modifiers, key)) {
                push(actions, LibraryAction::Pick(PickAction::Step(step, extends)));
            }
        }
    }
}

/// Returns what a result is called: its words and its seed, its stars, whether it is a favourite.
fn name_of(language: Language, card: &Card) -> String {
    let text = match card.entry.recipe {
        Recipe::Picture(_) | Recipe::Enlarged(..) => Text::PictureNamed,
        Recipe::Sound(_) => Text::PieceNamed,
    };
    let recipe = &card.entry.recipe;
    let mut name = language.fill(text, &[&elide(&recipe.words(), 90), &recipe.seed()]);
    if card.marks.rating > 0 {
        name = format!("{name}, {} ★", card.marks.rating);
    }
    if card.marks.is_favourite {
        name = format!("{name}, {}", language.get(Text::ToggleFavourite));
    }
    name
}

fn cell_ui(
    ui: &Ui,
    state: &AppState,
    textures: &mut Textures,
    id: ResultId,
    rect: Rect,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let library = &state.shell.library;
    let colours = palette(ui);
    let is_picked = library.pick.ids.contains(&id);
    let is_focus = library.pick.focus == Some(id);
    let corner = CornerRadius::same(size::RADIUS);
    let painter = ui.painter();
    let ground = if is_picked { colours.accent_soft } else { colours.panel };
    painter.rect_filled(rect, corner, ground);
    // The keyboard walks by the grid, not from one to the next by the tabulator.
    let sense = Sense::CLICK | Sense::DRAG;
    let response = ui.interact(rect, Id::unique("library-cell").with(id), sense);
    let card = library.found.cards.get(id);
    response.widget_info(|| {
        let name = card.map(|card| name_of(language, card));
        let name = name.unwrap_or_else(|| language.get(Text::Loading).to_owned());
        WidgetInfo::selected(Role::Button, true, is_picked, name)
    });
    if let Some(card) = card {
        picture_ui(ui, card, textures, rect.shrink(4.0));
        marks_ui(ui, card, rect.shrink(4.0));
    }
    if is_picked || is_focus {
        let width = if is_picked { size::RING } else { 1.0 };
        let colour = if is_focus { colours.accent } else { colours.accent_fill };
        painter.rect_stroke(rect, corner, Stroke::new(width, colour), StrokeKind::Inside);
    } else if response.hovered() {
        let stroke = Stroke::new(1.0, colours.text_weak);
        painter.rect_stroke(rect, corner, stroke, StrokeKind::Inside);
    }
    pointer_ui(ui, state, id, is_picked, &response, actions);
    response.context_menu(|ui| menu_ui(ui, state, id, actions));
}

/// Paints a picture as large as fits, or the notes of a piece.
fn picture_ui(ui: &Ui, card: &Card, textures: &mut Textures, rect: Rect) {
    match &card.entry.thumbnail {
        Thumbnail::Ready(pixels) => paint_whole(ui, rect, pixels, textures),
        Thumbnail::Notes(sketch) => notes_ui(ui, rect, sketch),
        Thumbnail::Unknown | Thumbnail::Awaited => {
            let font = Weight::Regular.font(size::ICON);
            let weak = palette(ui).text_weak;
            ui.painter().text(rect.center(), Align2::CENTER_CENTER, icons::WARNING, font, weak);
        }
    }
}

/// Paints the whole of a picture into the middle of a rectangle.
pub(super) fn paint_whole(ui: &Ui, rect: Rect, pixels: &Arc<Pixels>, textures: &mut Textures) {
    let Some(texture) = textures.get(ui.ctx(), pixels, false) else { return };
    let picture = vec2(pixels.width_px as f32, pixels.height_px as f32);
    let scale = (rect.width() / picture.x).min(rect.height() / picture.y);
    let place = Rect::from_center_size(rect.center(), picture * scale);
    let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    let shape = egui::epaint::RectShape::filled(place, CornerRadius::same(3), Color32::WHITE);
    ui.painter().add(shape.with_texture(texture, uv));
}

/// Paints stars and the heart onto a picture.
fn marks_ui(ui: &Ui, card: &Card, rect: Rect) {
    let painter = ui.painter();
    let label = |place, align: Align2, text: String, points: f32| {
        let font = Weight::Regular.font(points);
        let galley = painter.layout_no_wrap(text, font, on_picture::INK);
        let inner = align.anchor_size(place, galley.size());
        let corner = CornerRadius::same(size::RADIUS - 2);
        painter.rect_filled(inner.expand2(vec2(4.0, 1.0)), corner, on_picture::GROUND);
        painter.galley(inner.min, galley, on_picture::INK);
    };
    if card.marks.rating > 0 {
        let stars = "★".repeat(usize::from(card.marks.rating.min(5)));
        let place = rect.left_bottom() + vec2(8.0, -6.0);
        label(place, Align2::LEFT_BOTTOM, stars, size::TEXT_SMALL);
    }
    if card.marks.is_favourite {
        let place = rect.right_top() + vec2(-8.0, 6.0);
        label(place, Align2::RIGHT_TOP, icons::HEART.to_owned(), size::TEXT_PROMPT);
    }
}

/// Answers what the pointer does with a cell.
fn pointer_ui(
    ui: &Ui,
    state: &AppState,
    id: ResultId,
    is_picked: bool,
    response: &Response,
    actions: &mut Vec<Action>,
) {
    let pick = |mode| LibraryAction::Pick(PickAction::One(id, mode));
    if response.drag_started() {
        if !is_picked {
            push(actions, pick(PickMode::Only));
        }
        let dragged = if is_picked { state.shell.library.picked() } else { vec![id] };
        response.dnd_set_drag_payload(Dragged(dragged));
    }
    if response.secondary_clicked() && !is_picked {
        push(actions, pick(PickMode::Only));
    }
    if response.double_clicked() {
        push(actions, pick(PickMode::Only));
        push(actions, LibraryAction::Picked(PickedAction::Open));
    } else if response.clicked() {
        let modifiers = ui.input(|input| input.modifiers);
        let mode = match (modifiers.command, modifiers.shift) {
            (_, true) => PickMode::Stretch,
            (true, false) => PickMode::Toggle,
            (false, false) => PickMode::Only,
        };
        push(actions, pick(mode));
        ui.memory_mut(|memory| memory.request_focus(Id::unique(LIBRARY_GRID)));
    }
}

fn menu_ui(ui: &mut Ui, state: &AppState, id: ResultId, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let library = &state.shell.library;
    ui.set_min_width(200.0);
    ui.spacing_mut().item_spacing.y = 2.0;
    let card = library.found.cards.get(id);
    let is_picture = card.is_some_and(|card| card.entry.recipe.is_picture());
    let is_trashed = card.is_some_and(|card| card.is_trashed);
    let picked = LibraryAction::Picked;
    for (icon, name, action, shows) in [
        (icons::FIT, Text::OpenInStudio, picked(PickedAction::Open), !is_trashed),
        (icons::BRUSH, Text::EditPicture, picked(PickedAction::Edit), is_picture && !is_trashed),
        (icons::REUSE, Text::Reuse, picked(PickedAction::Reuse), !is_trashed),
        (icons::COPY, Text::CopyPicture, picked(PickedAction::Copy), is_picture && !is_trashed),
        (icons::FOLDER, Text::OpenFolder, picked(PickedAction::OpenFolder), !is_trashed),
        (icons::HEART, Text::ToggleFavourite, picked(PickedAction::ToggleFavourite), true),
        (icons::EXPORT, Text::ExportCopies, LibraryAction::Work(WorkAction::PickExport), true),
        (icons::TRASH, Text::Delete, picked(PickedAction::Delete), !is_trashed),
        (icons::UNDO, Text::RestorePicked, picked(PickedAction::Restore), is_trashed),
    ] {
        if shows && menu_item(ui, Some(icon), language.get(name), false) {
            push(actions, action);
            ui.close();
        }
    }
    ui.separator();
    boards_menu_ui(ui, state, actions);
}

/// Draws the boards onto which the chosen results can go.
pub(super) fn boards_menu_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    details(ui, language.get(Text::AddToBoard));
    ScrollArea::vertical().max_height(180.0).show(ui, |ui| {
        for board in &state.shell.library.shelves.boards {
            if menu_item(ui, Some(icons::BOARD), &elide(&board.name, 30), false) {
                let add = BoardAction::Add(board.id.clone(), Vec::new());
                push(actions, LibraryAction::Board(add));
                ui.close();
            }
        }
    });
    if menu_item(ui, Some(icons::PLUS), language.get(Text::NewBoard), false) {
        push(actions, LibraryAction::Board(BoardAction::NewForPicked));
        ui.close();
    }
}

/// Says why there is nothing to see, and what can be done.
fn nothing_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let library = &state.shell.library;
    if !library.found.is_loaded {
        ui.centered_and_justified(|ui| {
            let text = RichText::new(language.get(Text::Loading));
            ui.label(text.color(palette(ui).text_weak));
        });
        return;
    }
    let is_board = matches!(shelf_of(&library.search.query), Some(Shelf::Board(_)));
    let is_only_board = is_board && library.search.query.terms.is_empty();
    let (title, hint) = match (library.is_narrowed(), is_only_board) {
        (false, _) => (Text::LibraryEmpty, Text::LibraryEmptyHint),
        (true, true) => (Text::BoardEmpty, Text::BoardEmptyHint),
        (true, false) => (Text::LibraryNoHits, Text::LibraryNoHitsHint),
    };
    ui.vertical_centered(|ui| {
        ui.add_space(ui.available_height() * 0.32);
        let font = Weight::SemiBold.font(size::TEXT_TITLE);
        let text = RichText::new(language.get(title)).font(font);
        ui.label(text.color(palette(ui).text_strong));
        let text = RichText::new(language.get(hint)).color(palette(ui).text_weak);
        ui.add(egui::Label::new(text).wrap());
        ui.add_space(size::GAP);
        if library.is_narrowed() {
            let button = Button::text(language.get(Text::ShowEverything)).with_icon(icons::X);
            if ui.add(button.primary()).clicked() {
                push(actions, LibraryAction::Filter(FilterAction::Clear));
                push(actions, LibraryAction::SetText(String::new()));
            }
        } else {
            let name = language.get(Text::ImportFolder);
            let button = Button::text(name).with_icon(icons::IMPORT).primary();
            if ui.add(button).clicked() {
                push(actions, LibraryAction::Work(WorkAction::PickImport));
            }
        }
    });
}

/// Shows beside the pointer how many results are dragged.
pub(super) fn drag_ui(ui: &Ui) {
    let Some(dragged) = DragAndDrop::payload::<Dragged>(ui.ctx()) else { return };
    let Some(at) = ui.input(|input| input.pointer.interact_pos()) else { return };
    let painter = ui.ctx().layer_painter(LayerId::new(Order::Tooltip, Id::unique("library-drag")));
    let colours = palette(ui);
    let text = format!("{}  {}", icons::IMAGE, dragged.0.len());
    let font = Weight::Medium.font(size::TEXT);
    let galley = painter.layout_no_wrap(text, font, colours.on_accent);
    let rect = Rect::from_min_size(at + vec2(14.0, 8.0), galley.size()).expand2(vec2(8.0, 5.0));
    painter.rect_filled(rect, CornerRadius::same(size::RADIUS), colours.accent_fill);
    painter.galley(rect.min + vec2(8.0, 5.0), galley, colours.on_accent);
}
