//! The filters of the library room: menus that write into the search field.

use atelier_engine::store::search::{Day, LibraryQuery, Named, SearchOrder, Shape, Span};
use atelier_engine::store::{Colour, ResultKind};
use egui::{Id, Popup, PopupCloseBehavior, ScrollArea, Ui};

use crate::action::{Action, FilterAction, LibraryAction};
use crate::i18n::{Language, Text};
use crate::state::AppState;
use crate::state::jobs::short_name;
use crate::state::library::Shelf;
use crate::theme::{icons, pixel_colour, size};
use crate::update::shelf_of;
use crate::widgets::{Button, details, elide, field_label, menu_item, swatch, text_field};

/// Sides that are offered, in pixels.
const SIDES_PX: [u32; 4] = [256, 512, 1024, 2048];

/// How high a menu is at most, in points.
const MENU_HEIGHT: f32 = 320.0;

/// Draws the filters.
pub(super) fn filters_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let query = &state.shell.library.search.query;
    let mut asked = Vec::new();
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(size::GAP_SMALL, size::GAP_SMALL);
        rating_ui(ui, language, query, &mut asked);
        let is_on = query.is_favourite == Some(true);
        let heart = Button::icon(icons::HEART, language.get(Text::ShelfFavourites)).selected(is_on);
        if ui.add(heart).clicked() {
            asked.push(FilterAction::Favourites(!is_on));
        }
        kind_ui(ui, language, query, &mut asked);
        model_ui(ui, state, &mut asked);
        tag_ui(ui, state, &mut asked);
        colour_ui(ui, language, query, &mut asked);
        size_ui(ui, language, query, &mut asked);
        date_ui(ui, state, &mut asked);
        order_ui(ui, language, query, &mut asked);
        let mut cleared = query.clone();
        crate::update::filter(&mut cleared, FilterAction::Clear);
        if cleared != *query {
            let clear = Button::text(language.get(Text::ClearFilters)).with_icon(icons::X).quiet();
            if ui.add(clear).clicked() {
                asked.push(FilterAction::Clear);
            }
        }
    });
    actions.extend(asked.into_iter().map(|one| Action::Library(LibraryAction::Filter(one))));
}

/// Draws a button that opens a menu; `value` is what it is set to.
fn chip_ui(
    ui: &mut Ui,
    name: &str,
    value: Option<String>,
    close: PopupCloseBehavior,
    content: impl FnOnce(&mut Ui),
) {
    let shown = value.clone().unwrap_or_else(|| name.to_owned());
    let button = Button::text(&shown).named(name).side(icons::CARET_DOWN);
    let response = ui.add(button.selected(value.is_some()));
    Popup::menu(&response).close_behavior(close).accessible_name(name).show(|ui| {
        ui.set_min_width(170.0);
        ui.spacing_mut().item_spacing.y = 2.0;
        ScrollArea::vertical().max_height(MENU_HEIGHT).show(ui, content);
    });
}

const ON_CLICK: PopupCloseBehavior = PopupCloseBehavior::CloseOnClick;
const ELSEWHERE: PopupCloseBehavior = PopupCloseBehavior::CloseOnClickOutside;

fn rating_ui(ui: &mut Ui, language: Language, query: &LibraryQuery, asked: &mut Vec<FilterAction>) {
    let least = query.rating.from.filter(|stars| *stars > 0);
    let value = match (least, query.rating.to) {
        (Some(stars), None) => Some(format!("≥ {stars} ★")),
        (None, None) => None,
        (from, to) => Some(format!("{}–{} ★", from.unwrap_or(0), to.unwrap_or(5))),
    };
    chip_ui(ui, language.get(Text::FilterRating), value, ON_CLICK, |ui| {
        for stars in (1..=5).rev() {
            let name = language.fill(Text::AtLeastStars, &[&stars]);
            if menu_item(ui, None, &name, least == Some(stars)) {
                asked.push(FilterAction::Rating(stars));
            }
        }
        if menu_item(ui, None, language.get(Text::AnyRating), query.rating.is_open()) {
            asked.push(FilterAction::Rating(0));
        }
    });
}

fn kind_ui(ui: &mut Ui, language: Language, query: &LibraryQuery, asked: &mut Vec<FilterAction>) {
    let kinds = [
        (Some(ResultKind::Picture), Text::OnlyPictures),
        (Some(ResultKind::Sound), Text::OnlySounds),
        (None, Text::AnyRating),
    ];
    let chosen = match query.kinds[..] {
        [kind] => Some(kind),
        _ => None,
    };
    let value = kinds.iter().find(|(kind, _)| chosen.is_some() && *kind == chosen);
    let value = value.map(|(_, name)| language.get(*name).to_owned());
    chip_ui(ui, language.get(Text::FilterKind), value, ON_CLICK, |ui| {
        for (kind, name) in kinds {
            if menu_item(ui, None, language.get(name), chosen == kind) {
                asked.push(FilterAction::Kind(kind));
            }
        }
    });
}

/// Returns the names of one kind that a query asks for.
fn names(query: &LibraryQuery, what: Named) -> Vec<&str> {
    let rules = query.names.iter().filter(|rule| rule.what == what && !rule.is_excluded);
    rules.map(|rule| rule.name.as_str()).collect()
}

fn model_ui(ui: &mut Ui, state: &AppState, asked: &mut Vec<FilterAction>) {
    let language = state.settings.language;
    let library = &state.shell.library;
    let chosen = names(&library.search.query, Named::Model);
    let value = chosen.first().map(|name| elide(short_name(name), 16));
    chip_ui(ui, language.get(Text::FilterModel), value, ON_CLICK, |ui| {
        if library.shelves.models.is_empty() {
            details(ui, language.get(Text::NoModels));
            return;
        }
        for (name, count) in &library.shelves.models {
            let is_chosen = chosen.contains(&name.as_str());
            let text = format!("{}  ·  {count}", elide(short_name(name), 40));
            if menu_item(ui, None, &text, is_chosen) {
                asked.push(FilterAction::Model((!is_chosen).then(|| name.clone())));
            }
        }
        if menu_item(ui, None, language.get(Text::AnyRating), chosen.is_empty()) {
            asked.push(FilterAction::Model(None));
        }
    });
}

fn tag_ui(ui: &mut Ui, state: &AppState, asked: &mut Vec<FilterAction>) {
    let language = state.settings.language;
    let library = &state.shell.library;
    let query = &library.search.query;
    let chosen = names(query, Named::Tag);
    let is_untagged = query
        .names
        .iter()
        .any(|rule| rule.what == Named::Tag && rule.is_excluded && rule.name == "*");
    let value = match (chosen.is_empty(), is_untagged) {
        (false, _) => Some(elide(&chosen.join(", "), 16)),
        (true, true) => Some(language.get(Text::Untagged).to_owned()),
        (true, false) => None,
    };
    chip_ui(ui, language.get(Text::FilterTag), value, ELSEWHERE, |ui| {
        if library.shelves.tags.is_empty() {
            details(ui, language.get(Text::NoTags));
            return;
        }
        for (name, count) in &library.shelves.tags {
            let is_chosen = chosen.iter().any(|tag| tag.to_lowercase() == name.to_lowercase());
            let text = format!("{}  ·  {count}", elide(name, 40));
            if menu_item(ui, None, &text, is_chosen) {
                asked.push(FilterAction::Tag(name.clone(), !is_chosen));
            }
        }
        if menu_item(ui, None, language.get(Text::Untagged), is_untagged) {
            asked.push(FilterAction::Untagged(!is_untagged));
        }
    });
}

fn colour_ui(ui: &mut Ui, language: Language, query: &LibraryQuery, asked: &mut Vec<FilterAction>) {
    let is_chosen =
        |colour| query.colours.iter().any(|rule| rule.colour == colour && !rule.is_excluded);
    let chosen: Vec<&str> =
        Colour::all().filter(|one| is_chosen(*one)).map(|one| language.colour_name(one)).collect();
    let value = (!chosen.is_empty()).then(|| elide(&chosen.join(", "), 16));
    chip_ui(ui, language.get(Text::FilterColour), value, ELSEWHERE, |ui| {
        ui.spacing_mut().item_spacing = egui::vec2(size::GAP_SMALL, size::GAP_SMALL);
        let all: Vec<Colour> = Colour::all().collect();
        for row in all.chunks(4) {
            ui.horizontal(|ui| {
                for colour in row {
                    let (name, is_on) = (language.colour_name(*colour), is_chosen(*colour));
                    if swatch(ui, pixel_colour(colour.rgb()), name, is_on).clicked() {
                        asked.push(FilterAction::Colour(*colour, !is_on));
                    }
                }
            });
        }
    });
}

fn size_ui(ui: &mut Ui, language: Language, query: &LibraryQuery, asked: &mut Vec<FilterAction>) {
    let side = query.size.width_px.from.filter(|side| query.size.height_px.from == Some(*side));
    let parts: Vec<String> = [
        query.size.shape.map(|shape| language.shape_name(shape).to_owned()),
        side.map(|side| format!("≥ {side}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let value = (!parts.is_empty()).then(|| parts.join(", "));
    chip_ui(ui, language.get(Text::FilterSize), value, ELSEWHERE, |ui| {
        for shape in Shape::ALL {
            let is_chosen = query.size.shape == Some(shape);
            if menu_item(ui, None, language.shape_name(shape), is_chosen) {
                asked.push(FilterAction::Shape((!is_chosen).then_some(shape)));
            }
        }
        ui.separator();
        for px in SIDES_PX {
            let is_chosen = side == Some(px);
            if menu_item(ui, None, &language.fill(Text::SideAtLeast, &[&px]), is_chosen) {
                asked.push(FilterAction::Side((!is_chosen).then_some(px)));
            }
        }
    });
}

fn date_ui(ui: &mut Ui, state: &AppState, asked: &mut Vec<FilterAction>) {
    let language = state.settings.language;
    let library = &state.shell.library;
    let days = library.search.query.days;
    let said = |day: Option<Day>| day.map(|day| day.to_string()).unwrap_or_default();
    let value = match (days.from, days.to) {
        (None, None) => None,
        (from, to) if from == to => Some(said(from)),
        (from, to) => Some(format!("{}–{}", said(from), said(to))),
    };
    chip_ui(ui, language.get(Text::FilterDate), value, ELSEWHERE, |ui| {
        let today = said(library.shelves.today);
        for (name, begins) in [
            (Text::DateToday, today.as_str()),
            (Text::DateMonth, today.get(..7).unwrap_or_default()),
            (Text::DateYear, today.get(..4).unwrap_or_default()),
        ] {
            let Some((first, last)) = Day::span(begins) else { continue };
            let span = Span { from: Some(first), to: Some(last) };
            if menu_item(ui, None, language.get(name), days == span) {
                asked.push(FilterAction::Days(span));
            }
        }
        ui.add_space(size::GAP_SMALL);
        let from = day_ui(ui, language, Text::DateFrom, days.from, |(first, _)| first);
        let to = day_ui(ui, language, Text::DateTo, days.to, |(_, last)| last);
        if from.is_some() || to.is_some() {
            let span = Span { from: from.unwrap_or(days.from), to: to.unwrap_or(days.to) };
            asked.push(FilterAction::Days(span));
        }
        if menu_item(ui, None, language.get(Text::AnyRating), days.is_open()) {
            asked.push(FilterAction::Days(Span::default()));
        }
    });
}

/// Draws a field for a day, a month or a year; returns what it means now when it was changed.
fn day_ui(
    ui: &mut Ui,
    language: Language,
    name: Text,
    day: Option<Day>,
    end: fn((Day, Day)) -> Day,
) -> Option<Option<Day>> {
    let name = language.get(name);
    field_label(ui, name, language.get(Text::DateHint));
    let id = Id::unique("library-day").with(name);
    // What is half written means nothing yet and stands only in the field.
    let written = ui.data(|data| data.get_temp::<String>(id));
    let has_focus = ui.memory(|memory| memory.has_focus(id));
    let known = day.map(|day| day.to_string()).unwrap_or_default();
    let mut text = written.filter(|_| has_focus).unwrap_or(known);
    let response = text_field(ui, id, name, &mut text, 150.0);
    ui.data_mut(|data| data.insert_temp(id, text.clone()));
    if !response.changed() {
        return None;
    }
    match text.trim() {
        "" => Some(None),
        text => Day::span(text).map(|span| Some(end(span))),
    }
}

fn order_ui(ui: &mut Ui, language: Language, query: &LibraryQuery, asked: &mut Vec<FilterAction>) {
    let value = (query.order != SearchOrder::Newest).then(|| language.order_name(query.order));
    let value = value.map(str::to_owned);
    let has_board = matches!(shelf_of(query), Some(Shelf::Board(_)));
    let orders =
        [SearchOrder::Newest, SearchOrder::Oldest, SearchOrder::Rating, SearchOrder::Board];
    chip_ui(ui, language.get(Text::FilterOrder), value, ON_CLICK, |ui| {
        for order in orders.into_iter().filter(|one| *one != SearchOrder::Board || has_board) {
            if menu_item(ui, None, language.order_name(order), query.order == order) {
                asked.push(FilterAction::Order(order));
            }
        }
    });
}
