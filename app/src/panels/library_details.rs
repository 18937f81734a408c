//! What is known of the chosen results, at the right of the library room: how one was made, what
//! several have in common; stars, tags and boards.

use atelier_engine::store::boards::BoardId;
use egui::{Id, Key, Popup, Rect, RichText, ScrollArea, Sense, Ui, vec2};

use super::film_strip::notes_ui;
use super::library_grid::{boards_menu_ui, paint_whole};
use crate::action::{Action, BoardAction, LibraryAction, PickedAction, WorkAction};
use crate::i18n::{Text, grouped, size_of};
use crate::services::Textures;
use crate::state::jobs::short_name;
use crate::state::library::Card;
use crate::state::{AppState, Recipe, Thumbnail};
use crate::theme::{Weight, icons, palette, size};
use crate::update::SUMMARISED;
use crate::widgets::{Button, details, elide, field_label, menu_item, text_field};

/// How high the picture is at most, in points.
const PICTURE: f32 = 190.0;

/// How many known tags are offered at once.
const OFFERED: usize = 6;

/// Draws what is known of the chosen results.
pub(super) fn details_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let library = &state.shell.library;
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let width = size::DETAIL_PANEL - f32::from(size::MARGIN) * 2.0 - 2.0;
        ui.set_max_width(width);
        ui.spacing_mut().item_spacing.y = size::GAP;
        match library.pick.ids.len() {
            0 => {
                let text = RichText::new(language.get(Text::PickHint));
                ui.add(egui::Label::new(text.color(palette(ui).text_weak)).wrap());
            }
            1 => {
                if let Some(card) = library.only_card() {
                    one_ui(ui, state, card, textures, actions);
                }
            }
            count => many_ui(ui, state, count, actions),
        }
    });
}

fn push(actions: &mut Vec<Action>, action: PickedAction) {
    actions.push(Action::Library(LibraryAction::Picked(action)));
}

fn one_ui(
    ui: &mut Ui,
    state: &AppState,
    card: &Card,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let recipe = &card.entry.recipe;
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), PICTURE), Sense::hover());
    match &card.entry.thumbnail {
        Thumbnail::Ready(small) => {
            // The whole picture, where it is at hand.
            let pixels = state.canvas.picture(card.entry.id).unwrap_or(small);
            paint_whole(ui, rect, pixels, textures);
        }
        Thumbnail::Notes(sketch) => {
            let notes = Rect::from_center_size(rect.center(), vec2(rect.width(), PICTURE * 0.6));
            notes_ui(ui, notes, sketch);
        }
        Thumbnail::Unknown | Thumbnail::Awaited => {}
    }
    let (rating, is_favourite) = (Some(card.marks.rating), card.marks.is_favourite);
    marks_ui(ui, state, rating, is_favourite, actions);
    buttons_ui(ui, state, Some(card), actions);
    let words = recipe.words();
    let words = words.trim();
    text_ui(
        ui,
        language.get(Text::FactPrompt),
        if words.is_empty() { language.get(Text::NoWordsKnown) } else { words },
    );
    if let Recipe::Picture(request) = recipe
        && !request.prompt.negative.trim().is_empty()
    {
        text_ui(ui, language.get(Text::FactNegative), request.prompt.negative.trim());
    }
    tags_ui(
        ui,
        state,
        &card.marks.tags.iter().map(|tag| (tag.clone(), 0)).collect::<Vec<_>>(),
        actions,
    );
    let boards: Vec<BoardId> =
        card.marks.boards.keys().map(|board| BoardId(board.clone())).collect();
    boards_ui(ui, state, &boards, actions);
    facts_ui(ui, state, card);
}

/// Draws stars and the heart.
fn marks_ui(
    ui: &mut Ui,
    state: &AppState,
    rating: Option<u8>,
    is_favourite: bool,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        let names = [Text::RateOne, Text::RateTwo, Text::RateThree, Text::RateFour, Text::RateFive];
        for (stars, name) in (1_u8..).zip(names) {
            let is_lit = rating.is_some_and(|rating| stars <= rating);
            let star = if is_lit { "★" } else { "☆" };
            let name = language.get(name);
            let button = Button::text(star).named(name).tooltip(name).shortcut(&stars.to_string());
            let is_now = rating == Some(stars);
            if ui.add(button.quiet().selected(is_now)).clicked() {
                // The same star once more takes all away.
                push(actions, PickedAction::Rate(if is_now { 0 } else { stars }));
            }
        }
        ui.add_space(size::GAP_SMALL);
        let name = language.get(Text::ToggleFavourite);
        let heart = Button::icon(icons::HEART, name).shortcut("F").selected(is_favourite);
        if ui.add(heart).clicked() {
            push(actions, PickedAction::ToggleFavourite);
        }
    });
}

fn buttons_ui(ui: &mut Ui, state: &AppState, card: Option<&Card>, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let is_one = card.is_some();
    let is_picture = card.is_some_and(|card| card.entry.recipe.is_picture());
    let is_trashed = card.is_some_and(|card| card.is_trashed);
    if is_trashed {
        let name = language.get(Text::RestorePicked);
        if ui.add(Button::text(name).with_icon(icons::UNDO).primary()).clicked() {
            push(actions, PickedAction::Restore);
        }
        return;
    }
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for (icon, name, action, shows) in [
            (icons::FIT, Text::OpenInStudio, PickedAction::Open, is_one),
            (icons::BRUSH, Text::EditPicture, PickedAction::Edit, is_picture),
            (icons::REUSE, Text::Reuse, PickedAction::Reuse, is_one),
            (icons::FOLDER, Text::OpenFolder, PickedAction::OpenFolder, is_one),
        ] {
            if shows && ui.add(Button::icon(icon, language.get(name))).clicked() {
                push(actions, action);
            }
        }
        if ui.add(Button::icon(icons::EXPORT, language.get(Text::ExportCopies))).clicked() {
            actions.push(Action::Library(LibraryAction::Work(WorkAction::PickExport)));
        }
        if ui.add(Button::icon(icons::TRASH, language.get(Text::Delete))).clicked() {
            push(actions, PickedAction::Delete);
        }
    });
}

/// Draws a text below its label, as long as it is; of a very long one, the beginning.
fn text_ui(ui: &mut Ui, label: &str, text: &str) {
    field_label(ui, label, "");
    let text = RichText::new(elide(text, 1200)).color(palette(ui).text);
    ui.add(egui::Label::new(text).wrap().selectable(true));
}

/// Draws tags that can be taken away, and a field for one more with those that are known.
fn tags_ui(ui: &mut Ui, state: &AppState, tags: &[(String, usize)], actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let library = &state.shell.library;
    field_label(ui, language.get(Text::FilterTag), "");
    if !tags.is_empty() {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(size::GAP_SMALL, size::GAP_SMALL);
            for (tag, count) in tags {
                let name = language.fill(Text::RemoveTag, &[tag]);
                let count = if *count > 0 { format!(" {count}") } else { String::new() };
                let text = format!("{}{count}", elide(tag, 24));
                let button = Button::text(&text).named(&name).side(icons::X).tooltip(&name);
                if ui.add(button).clicked() {
                    push(actions, PickedAction::RemoveTag(tag.clone()));
                }
            }
        });
    }
    let mut draft = library.pick.tag_draft.clone();
    let id = Id::unique("library-tag");
    let response =
        text_field(ui, id, language.get(Text::AddTag), &mut draft, ui.available_width() - 16.0);
    if response.changed() {
        push(actions, PickedAction::SetTagDraft(draft.clone()));
    }
    if response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
        push(actions, PickedAction::AddTag(draft.clone()));
        response.request_focus();
    }
    if draft.trim().is_empty() {
        return;
    }
    let begun = draft.trim().to_lowercase();
    let has = |tag: &str| tags.iter().any(|(own, _)| own.to_lowercase() == tag.to_lowercase());
    let known = library.shelves.tags.iter().map(|(tag, _)| tag);
    let offered = known.filter(|tag| tag.to_lowercase().contains(&begun) && !has(tag));
    for tag in offered.take(OFFERED) {
        if menu_item(ui, Some(icons::TAG), &elide(tag, 30), false) {
            push(actions, PickedAction::AddTag(tag.clone()));
        }
    }
}

/// Draws the boards that results are on, and a menu of others.
fn boards_ui(ui: &mut Ui, state: &AppState, on: &[BoardId], actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let library = &state.shell.library;
    field_label(ui, language.get(Text::Boards), "");
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(size::GAP_SMALL, size::GAP_SMALL);
        for board in on.iter().filter_map(|id| library.board(id)) {
            let name = language.fill(Text::TakeOffBoard, &[&board.name]);
            let text = elide(&board.name, 24);
            let button = Button::text(&text).named(&name).side(icons::X).tooltip(&name);
            if ui.add(button).clicked() {
                let remove = BoardAction::Remove(board.id.clone());
                actions.push(Action::Library(LibraryAction::Board(remove)));
            }
        }
        let name = language.get(Text::AddToBoard);
        let add = ui.add(Button::text("").with_icon(icons::PLUS).named(name).tooltip(name));
        Popup::menu(&add).accessible_name(name).show(|ui| {
            ui.set_min_width(180.0);
            ui.spacing_mut().item_spacing.y = 2.0;
            boards_menu_ui(ui, state, actions);
        });
    });
}

fn facts_ui(ui: &mut Ui, state: &AppState, card: &Card) {
    let language = state.settings.language;
    let recipe = &card.entry.recipe;
    let (model, steps) = match recipe {
        Recipe::Picture(request) => (&request.model.name, Some(request.sampling.steps)),
        Recipe::Enlarged(request, _) => (&request.model.name, None),
        Recipe::Sound(request) => (&request.model.name, None),
    };
    // An imported picture that says nothing has no seed either.
    let is_known = !(model.is_empty() && recipe.words().trim().is_empty());
    let seed = if is_known { recipe.seed().to_string() } else { String::new() };
    let steps = steps.filter(|_| is_known);
    let file = card.entry.file.as_deref().and_then(|file| file.file_name());
    let file = file.map(|name| name.to_string_lossy().into_owned());
    let bytes = card.file_bytes.map(size_of);
    let file = [file, bytes].into_iter().flatten().collect::<Vec<_>>().join("  ·  ");
    for (name, value) in [
        (Text::Model, short_name(model).to_owned()),
        (Text::Seed, seed),
        (Text::FactSteps, steps.map(|steps| steps.to_string()).unwrap_or_default()),
        (Text::FactPixels, card.size_px.map(|[w, h]| format!("{w} × {h}")).unwrap_or_default()),
        (Text::FactSaved, card.day.map(|day| day.to_string()).unwrap_or_default()),
        (Text::FactFile, file),
    ] {
        if !value.is_empty() {
            fact_ui(ui, language.get(name), &value);
        }
    }
}

fn fact_ui(ui: &mut Ui, name: &str, value: &str) {
    ui.horizontal_top(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(84.0, size::TEXT + 3.0), Sense::hover());
        let font = Weight::Regular.font(size::TEXT_SMALL);
        let weak = palette(ui).text_weak;
        ui.painter().text(rect.left_center(), egui::Align2::LEFT_CENTER, name, font, weak);
        let value = RichText::new(value).size(size::TEXT_SMALL + 0.5).color(palette(ui).text);
        ui.add(egui::Label::new(value).wrap().selectable(true));
    });
}

fn many_ui(ui: &mut Ui, state: &AppState, count: usize, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let library = &state.shell.library;
    let title =
        RichText::new(language.results(count)).font(Weight::SemiBold.font(size::TEXT_PROMPT));
    ui.label(title.color(palette(ui).text_strong));
    let Some(summary) = &library.pick.summary else {
        details(ui, language.get(Text::Loading));
        return;
    };
    if count > SUMMARISED {
        details(ui, language.fill(Text::CommonOf, &[&grouped(summary.looked_at)]));
    }
    details(ui, size_of(summary.bytes));
    marks_ui(ui, state, summary.rating, summary.favourites == summary.looked_at, actions);
    buttons_ui(ui, state, None, actions);
    tags_ui(ui, state, &summary.tags, actions);
    let boards: Vec<BoardId> = summary.boards.iter().map(|(board, _)| board.clone()).collect();
    boards_ui(ui, state, &boards, actions);
}
