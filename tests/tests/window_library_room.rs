//! The library room, driven by accessible names: searching and filters, boards, stars and tags, many
//! chosen at once, importing, deleting, and the keyboard alone.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use atelier::i18n::Language;
use atelier::state::library_work::WorkReport;
use atelier::state::{AppState, LibraryState, Room};
use atelier_engine::protocol::{DeviceChoice, ModelRef, Pixels, Size};
use atelier_engine::store::search::LibraryQuery;
use atelier_engine::store::{Store, png};
use atelier_tests::window::{Window, answer_dialogs, drop_file, open, settle, state, wait_until};
use egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT as _, Queryable as _};

const FAST: Duration = Duration::from_millis(1);

/// The words of the pictures, the newest last.
const WORDS: [&str; 5] =
    ["a red fox", "a red fox in the snow", "an owl", "a blue boat", "a green cactus"];

fn library(state: &AppState) -> &LibraryState {
    &state.shell.library
}

/// Saves one picture for each of the words, with seeds from 1.
fn fill(home: &Path, words: &[&str]) -> anyhow::Result<()> {
    let store = Store::open(home.join("library"))?;
    for (seed, words) in (1..).zip(words) {
        let mut request = atelier::state::PromptState::default()
            .request(ModelRef::named("house-picture"), DeviceChoice::Auto);
        request.prompt.text = (*words).to_owned();
        request.seed = seed;
        request.size = Size { width_px: 96, height_px: 64 };
        let rgba = [[220, 30, 30, 255], [30, 60, 200, 255]][seed as usize % 2].repeat(96 * 64);
        let pixels = Pixels::new(96, 64, rgba).context("it fits")?;
        store.save_picture(&pixels, &request, "CC0-1.0")?;
    }
    Ok(())
}

/// Opens a window and goes into the library room.
fn enter(home: &Path, language: Language) -> anyhow::Result<Window> {
    let mut window = open(home, FAST, language)?;
    settle(&mut window);
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num4);
    wait_until(&mut window, "the library", |state| {
        state.shell.room == Room::Library && library(state).found.is_loaded
    });
    wait_until(&mut window, "what is in sight", |state| {
        library(state).found.ids.iter().all(|id| library(state).found.cards.get(*id).is_some())
    });
    window.run_steps(3);
    Ok(window)
}

fn filled(words: &[&str]) -> anyhow::Result<(tempfile::TempDir, Window)> {
    let home = tempfile::tempdir()?;
    fill(home.path(), words)?;
    let window = enter(home.path(), Language::English)?;
    Ok((home, window))
}

fn count(state: &AppState) -> usize {
    library(state).found.ids.len()
}

fn wait_for_count(window: &mut Window, wanted: usize) {
    wait_until(window, "the results", |state| {
        count(state) == wanted && library(state).found.text == library(state).search.text
    });
    window.run_steps(3);
}

/// Waits until everything that was asked of the library is answered and shown.
fn wait_for_cards(window: &mut Window, what: &str, holds: impl Fn(&LibraryState) -> bool) {
    wait_until(window, what, |state| holds(library(state)));
    window.run_steps(3);
}

fn type_search(window: &mut Window, text: &str) {
    window.get_by_label("Search the library").focus();
    window.run_steps(2);
    window.get_by_label("Search the library").type_text(text);
    window.run_steps(2);
}

/// Returns the names of the cells that are drawn, in their order.
fn names(window: &Window) -> Vec<String> {
    let cells = window.query_all_by_label_contains(", seed ");
    cells.filter_map(|cell| cell.accesskit_node().label()).collect()
}

#[test]
fn words_narrow_the_grid_and_what_is_not_understood_is_said() -> anyhow::Result<()> {
    let (_home, mut window) = filled(&WORDS)?;
    assert_eq!(names(&window).first().map(String::as_str), Some("a green cactus, seed 5"));
    assert!(window.query_by_label("5 results").is_some());
    type_search(&mut window, "fox");
    wait_for_count(&mut window, 2);
    assert_eq!(names(&window), ["a red fox in the snow, seed 2", "a red fox, seed 1"]);
    assert!(window.query_by_label("2 results").is_some());
    type_search(&mut window, " wibble:1 rating:9");
    wait_until(&mut window, "the notice", |state| library(state).search.notices.len() == 2);
    window.run_steps(3);
    assert!(window.query_by_label_contains("There is no field “wibble”").is_some());
    assert!(window.query_by_label_contains("“rating” cannot be “9”").is_some());
    window.get_by_label("Clear the search").click();
    wait_for_count(&mut window, 5);
    Ok(())
}

#[test]
fn a_word_that_is_still_being_typed_finds_what_begins_with_it() -> anyhow::Result<()> {
    let (_home, mut window) = filled(&WORDS)?;
    type_search(&mut window, "cac");
    wait_for_count(&mut window, 1);
    // A filter keeps it open.
    window.get_by_label("Colour").click();
    window.run_steps(3);
    window.get_by_label("blue").click();
    wait_for_count(&mut window, 1);
    assert_eq!(library(state(&window)).search.text, "cac* colour:blue");
    Ok(())
}

#[test]
fn filters_write_the_query_and_take_it_away_again() -> anyhow::Result<()> {
    let (_home, mut window) = filled(&WORDS)?;
    window.get_by_label("an owl, seed 3").click();
    window.run_steps(3);
    window.key_press(Key::Num4);
    wait_for_cards(&mut window, "the stars", |library| {
        library.only_card().is_some_and(|card| card.marks.rating == 4)
    });
    for (menu, item, text, found) in [
        ("Stars", "4 ★ and more", "rating:>=4", 1),
        ("Stars", "Any", "", 5),
        ("Kind", "Sounds", "kind:sound", 0),
        ("Kind", "Pictures", "kind:picture", 5),
        ("Size", "Landscape", "kind:picture shape:landscape", 5),
        ("Size", "512 px and more", "kind:picture width:>=512 height:>=512 shape:landscape", 0),
    ] {
        window.get_by_label(menu).click();
        window.run_steps(3);
        window.get_all_by_label(item).last().context("the menu has it")?.click();
        window.run_steps(3);
        wait_for_count(&mut window, found);
        assert_eq!(library(state(&window)).search.text, text, "{item}");
        if item.starts_with("512") || item == "Landscape" {
            window.key_press(Key::Escape);
            window.run_steps(3);
        }
    }
    window.get_by_label("Clear filters").click();
    wait_for_count(&mut window, 5);
    assert_eq!(library(state(&window)).search.text, "");
    Ok(())
}

#[test]
fn stars_favourites_and_tags_outlive_the_window() -> anyhow::Result<()> {
    let (home, mut window) = filled(&WORDS)?;
    window.get_by_label("an owl, seed 3").click();
    window.run_steps(3);
    window.key_press(Key::Num3);
    window.key_press(Key::F);
    window.run_steps(3);
    assert!(window.query_by_label("an owl, seed 3, 3 ★, Favourite").is_some());
    window.get_by_label("Add a tag").focus();
    window.run_steps(2);
    window.get_by_label("Add a tag").type_text("night birds");
    window.run_steps(2);
    window.key_press(Key::Enter);
    wait_for_cards(&mut window, "the tag", |library| {
        library.only_card().is_some_and(|card| card.marks.tags == ["night birds"])
    });
    drop(window);

    let mut window = enter(home.path(), Language::English)?;
    assert!(window.query_by_label("an owl, seed 3, 3 ★, Favourite").is_some());
    wait_for_cards(&mut window, "the tags", |library| !library.shelves.tags.is_empty());
    // A tag that is known is offered by its beginning.
    window.get_by_label("a blue boat, seed 4").click();
    window.run_steps(3);
    window.get_by_label("Add a tag").focus();
    window.run_steps(2);
    window.get_by_label("Add a tag").type_text("nig");
    window.run_steps(3);
    window.get_by_label("night birds").click();
    wait_for_cards(&mut window, "the tag", |library| {
        library.only_card().is_some_and(|card| card.marks.tags == ["night birds"])
    });
    window.get_by_label("Remove the tag night birds").click();
    wait_for_cards(&mut window, "no tag", |library| {
        library.only_card().is_some_and(|card| card.marks.tags.is_empty())
    });
    Ok(())
}

#[test]
fn boards_are_made_filled_renamed_and_deleted_and_what_was_on_them_stays() -> anyhow::Result<()> {
    let (home, mut window) = filled(&WORDS)?;
    window.get_by_label("New board").click();
    window.run_steps(3);
    window.get_by_label("Name of the board").type_text("Foxes");
    window.run_steps(2);
    window.key_press(Key::Enter);
    wait_for_cards(&mut window, "the board", |library| library.shelves.boards.len() == 1);
    window.get_by_label("a red fox, seed 1").click();
    window.run_steps(3);
    window.key_press_modifiers(Modifiers::SHIFT, Key::ArrowLeft);
    wait_for_cards(&mut window, "two", |library| library.pick.ids.len() == 2);
    wait_for_cards(&mut window, "the summary", |library| library.pick.summary.is_some());
    window.get_by_label("Add to a board").click();
    window.run_steps(3);
    window.get_by_label("Foxes").click();
    wait_for_cards(&mut window, "both", |library| library.shelves.boards[0].count == 2);
    window.get_by_label("Foxes, 2 results").click();
    wait_for_count(&mut window, 2);
    assert_eq!(library(state(&window)).search.text, "board:Foxes");

    window.get_by_label("Rename the board Foxes").click();
    window.run_steps(3);
    window.get_by_label("Name of the board").type_text(" and owls");
    window.run_steps(2);
    window.key_press(Key::Enter);
    wait_for_cards(&mut window, "the name", |library| {
        library.shelves.boards[0].name == "Foxes and owls"
    });
    wait_for_count(&mut window, 2);
    window.get_by_label("On no board, 3 results").click();
    wait_for_count(&mut window, 3);
    window.get_by_label("Foxes and owls, 2 results").click();
    wait_for_count(&mut window, 2);

    window.get_by_label("a red fox, seed 1").click();
    window.run_steps(3);
    window.get_by_label("Take off the board Foxes and owls").click();
    wait_for_count(&mut window, 1);
    window.get_by_label("Delete the board Foxes and owls").click();
    window.run_steps(3);
    assert!(window.query_by_label_contains("What is on it stays in the library").is_some());
    // Both questions and the side panel have such a button.
    window.get_all_by_label("Delete").next().context("it asks")?.click();
    wait_for_count(&mut window, 5);
    wait_for_cards(&mut window, "no board", |library| library.shelves.boards.is_empty());
    drop(window);
    let store = Store::open(home.path().join("library"))?;
    assert_eq!(store.search_ids(&LibraryQuery::default())?.len(), 5);
    Ok(())
}

#[test]
fn many_are_chosen_by_control_shift_and_all_and_marked_at_once() -> anyhow::Result<()> {
    let (_home, mut window) = filled(&WORDS)?;
    window.get_by_label("a green cactus, seed 5").click();
    window.run_steps(3);
    window.get_by_label("an owl, seed 3").click_modifiers(Modifiers::COMMAND);
    window.run_steps(3);
    assert_eq!(library(state(&window)).picked(), [5, 3]);
    window.get_by_label("a red fox, seed 1").click_modifiers(Modifiers::SHIFT);
    window.run_steps(3);
    assert_eq!(library(state(&window)).picked(), [3, 2, 1]);
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    window.run_steps(3);
    assert!(window.query_by_label("5 of 5 chosen").is_some());
    window.key_press(Key::Num2);
    wait_for_cards(&mut window, "all stars", |library| {
        library.pick.summary.as_ref().is_some_and(|summary| summary.rating == Some(2))
    });
    let cards = &library(state(&window)).found.cards;
    assert!((1..=5).all(|id| cards.get(id).is_some_and(|card| card.marks.rating == 2)));
    Ok(())
}

#[test]
fn deleting_goes_to_the_trash_and_undo_brings_it_back() -> anyhow::Result<()> {
    let (home, mut window) = filled(&WORDS)?;
    window.get_by_label("an owl, seed 3").click();
    window.run_steps(3);
    window.key_press_modifiers(Modifiers::SHIFT, Key::ArrowRight);
    window.run_steps(2);
    window.key_press(Key::Delete);
    wait_for_count(&mut window, 3);
    assert!(window.query_by_label("2 results moved to the trash").is_some());
    // The film strip lets them go, too.
    assert_eq!(state(&window).history.entries.len(), 3);
    let in_trash = || -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(home.path().join("library/trash"))?
            .flatten()
            .map(|month| std::fs::read_dir(month.path()).map_or(0, Iterator::count))
            .sum())
    };
    wait_for_cards(&mut window, "the number", |library| library.shelves.all == 3);
    assert_eq!(in_trash()?, 2);
    window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    wait_for_count(&mut window, 5);
    wait_until(&mut window, "the strip", |state| state.history.entries.len() == 5);
    assert_eq!(in_trash()?, 0);
    Ok(())
}

#[test]
fn what_lies_in_the_trash_is_found_there_and_put_back() -> anyhow::Result<()> {
    let (_home, mut window) = filled(&WORDS)?;
    window.get_by_label("an owl, seed 3").click();
    window.run_steps(3);
    window.key_press(Key::Delete);
    wait_for_count(&mut window, 4);
    type_search(&mut window, "is:trash");
    wait_for_count(&mut window, 1);
    wait_for_cards(&mut window, "the card", |library| {
        library.found.cards.get(3).is_some_and(|card| card.is_trashed)
    });
    window.get_by_label("an owl, seed 3").click();
    window.run_steps(3);
    window.get_by_label("Restore from the trash").click();
    wait_for_count(&mut window, 0);
    window.get_by_label("Show everything").click();
    wait_for_count(&mut window, 5);
    Ok(())
}

#[test]
fn the_keyboard_alone_searches_walks_rates_and_opens() -> anyhow::Result<()> {
    let (_home, mut window) = filled(&WORDS)?;
    window.key_press_modifiers(Modifiers::COMMAND, Key::F);
    window.run_steps(3);
    window.get_by_label("Search the library").type_text("a");
    wait_for_count(&mut window, 5);
    window.key_press(Key::ArrowDown);
    window.run_steps(3);
    assert_eq!(library(state(&window)).picked(), [5]);
    for (key, expected) in
        [(Key::ArrowRight, 4), (Key::ArrowRight, 3), (Key::ArrowLeft, 4), (Key::End, 1)]
    {
        window.key_press(key);
        window.run_steps(2);
        assert_eq!(library(state(&window)).picked(), [expected], "{key:?}");
    }
    window.key_press(Key::Num5);
    window.key_press(Key::Space);
    wait_for_cards(&mut window, "the marks", |library| {
        library.only_card().is_some_and(|card| card.marks.rating == 5 && card.marks.is_favourite)
    });
    window.key_press(Key::Enter);
    wait_until(&mut window, "the studio", |state| {
        state.shell.room == Room::Pictures && state.canvas.result() == Some(1)
    });
    Ok(())
}

/// Clicks twice within one frame: the harness lets a quarter of a second pass between two events.
fn double_click(window: &mut Window, label: &str) {
    let pos = window.get_by_label(label).rect().center();
    let button = |pressed| egui::Event::PointerButton {
        pos,
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    let clicks = [true, false, true, false].map(button);
    window.input_mut().events.push(egui::Event::PointerMoved(pos));
    window.step();
    window.input_mut().events.extend(clicks);
    window.step();
}

#[test]
fn a_double_click_opens_a_result_that_the_film_strip_has_not_read() -> anyhow::Result<()> {
    let words = vec!["a red fox"; 70];
    let home = tempfile::tempdir()?;
    fill(home.path(), &words)?;
    let mut window = open(home.path(), FAST, Language::English)?;
    settle(&mut window);
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num4);
    wait_for_count(&mut window, 70);
    window.key_press(Key::End);
    window.key_press(Key::End);
    wait_for_cards(&mut window, "the oldest", |library| library.found.cards.get(1).is_some());
    double_click(&mut window, "a red fox, seed 1");
    wait_until(&mut window, "the studio", |state| state.canvas.result() == Some(1));
    assert_eq!(state(&window).shell.room, Room::Pictures);
    // The strip goes on where it was, and misses none in between.
    wait_until(&mut window, "the rest", |state| {
        state.history.entries.len() == 61 || state.history.entries.len() == 70
    });
    assert!(state(&window).history.read_to.is_some_and(|read_to| read_to <= 11));
    Ok(())
}

#[test]
fn a_folder_is_imported_with_a_report_and_nothing_comes_twice() -> anyhow::Result<()> {
    let (home, mut window) = filled(&WORDS[..2])?;
    let old = home.path().join("old");
    std::fs::create_dir_all(&old)?;
    let pixels = Pixels::new(8, 8, [10, 200, 30, 255].repeat(64)).context("it fits")?;
    let mut request = atelier::state::PromptState::default()
        .request(ModelRef::named("house-picture"), DeviceChoice::Auto);
    request.prompt.text = "an old lighthouse".to_owned();
    std::fs::write(old.join("own.png"), png::encode(&pixels, &request, "CC0-1.0")?)?;
    std::fs::write(old.join("plain.png"), png::encode_plain(&pixels)?)?;
    std::fs::write(old.join("broken.png"), "nothing")?;
    std::fs::write(old.join("notes.txt"), "nothing")?;
    let chosen = old.clone();
    answer_dialogs(&mut window, move |_| Some(chosen.clone()));
    window.get_by_label("Import a folder…").click();
    wait_for_cards(&mut window, "the report", |library| library.work.report.is_some());
    for said in [
        "Imported: 2",
        "1 from Atelier",
        "Without a recipe, because they do not say how they were made: 1",
        "Other files, passed over: 1",
        "Could not be taken: 1",
    ] {
        assert!(window.query_by_label(said).is_some(), "{said} is not said");
    }
    window.get_by_label("Close").click();
    wait_for_count(&mut window, 4);
    wait_until(&mut window, "the film strip", |state| state.history.entries.len() == 4);

    // The folder falls onto the window: everything is there already.
    drop_file(&mut window, old);
    wait_for_cards(&mut window, "the report", |library| library.work.report.is_some());
    assert!(window.query_by_label("Imported: 0").is_some());
    assert!(window.query_by_label("There already: 2").is_some());
    window.key_press(Key::Escape);
    wait_for_cards(&mut window, "the end", |library| library.work.report.is_none());
    assert_eq!(count(state(&window)), 4);
    Ok(())
}

#[test]
fn the_chosen_are_copied_to_a_folder_and_the_library_is_checked() -> anyhow::Result<()> {
    let (home, mut window) = filled(&WORDS)?;
    let copies = home.path().join("copies");
    let chosen = copies.clone();
    answer_dialogs(&mut window, move |_| Some(chosen.clone()));
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    window.run_steps(3);
    window.key_press_modifiers(Modifiers::COMMAND, Key::S);
    wait_for_cards(&mut window, "the copies", |library| library.work.report.is_some());
    assert!(window.query_by_label_contains("Copied: 5, ").is_some());
    assert_eq!(std::fs::read_dir(&copies)?.count(), 5);
    window.get_by_label("Close").click();
    window.run_steps(3);
    window.get_by_label("Check the library").click();
    wait_for_cards(
        &mut window,
        "the check",
        |library| matches!(&library.work.report, Some(WorkReport::Check(report, false)) if report.is_whole()),
    );
    assert!(window.query_by_label("All is well").is_some());
    window.get_by_label("Close").click();
    window.run_steps(3);

    // A file that is gone is told, and put in order when it is asked for.
    let row = Store::open(home.path().join("library"))?.result(2)?.context("it is there")?;
    std::fs::remove_file(row.file)?;
    window.get_by_label("Check the library").click();
    wait_for_cards(&mut window, "the check", |library| library.work.report.is_some());
    assert!(window.query_by_label("Files that are gone: 1").is_some());
    window.get_by_label("Put in order").click();
    wait_for_cards(&mut window, "the repair", |library| {
        matches!(&library.work.report, Some(WorkReport::Check(_, true)))
    });
    assert!(window.query_by_label("Put in order: 1").is_some());
    window.get_by_label("Close").click();
    wait_for_count(&mut window, 4);
    Ok(())
}

#[test]
fn an_empty_library_and_a_search_without_hits_say_what_to_do() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let window = enter(home.path(), Language::English)?;
    assert!(window.query_by_label("Nothing is in the library yet").is_some());
    assert_eq!(window.get_all_by_label("Import a folder…").count(), 2);
    drop(window);
    fill(home.path(), &WORDS)?;
    let mut window = enter(home.path(), Language::English)?;
    type_search(&mut window, "unicorn");
    wait_for_count(&mut window, 0);
    assert!(window.query_by_label("Nothing was found").is_some());
    window.get_by_label("Show everything").click();
    wait_for_count(&mut window, 5);
    Ok(())
}

#[test]
fn settings_of_a_result_are_used_again_and_a_picture_is_edited() -> anyhow::Result<()> {
    let (_home, mut window) = filled(&WORDS)?;
    window.get_by_label("an owl, seed 3").click();
    window.run_steps(3);
    window.key_press(Key::R);
    wait_until(&mut window, "the prompt", |state| state.prompt.text == "an owl");
    assert_eq!((state(&window).shell.room, state(&window).prompt.seed.value), (Room::Pictures, 3));
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num4);
    window.run_steps(3);
    window.key_press(Key::E);
    wait_until(&mut window, "the editor", |state| {
        state.shell.room == Room::Pictures && state.canvas.editor.is_some()
    });
    Ok(())
}

#[test]
fn the_library_speaks_chinese() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    fill(home.path(), &WORDS)?;
    // The harness panics when a glyph is in none of the bundled fonts.
    let mut window = enter(home.path(), Language::Chinese)?;
    assert!(window.query_by_label("5 个结果").is_some());
    window.get_by_label("颜色").click();
    window.run_steps(3);
    window.get_by_label("红色").click();
    wait_for_count(&mut window, 2);
    assert!(window.query_by_label("清除筛选").is_some());
    Ok(())
}
