//! The trash, driven by accessible names: what was deleted is listed, comes back, or goes for good.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use atelier::i18n::Language;
use atelier::state::AppState;
use atelier_tests::window::{Window, open, settle, state, wait_until};
use egui_kittest::kittest::Queryable as _;

const FAST: Duration = Duration::from_millis(1);
const START: &str = "Tell a story about a goat who wanted to fly";

fn idle(state: &AppState) -> bool {
    state.jobs.jobs.is_empty()
}

/// Paints a picture and writes a conversation, and deletes both, the conversation last.
fn fill_trash(home: &Path) -> anyhow::Result<Window> {
    let mut window = open(home, FAST, Language::English)?;
    settle(&mut window);
    window.get_by_label("a red fox in the snow").click();
    wait_until(&mut window, "the picture", |state| {
        !state.history.entries.is_empty() && idle(state)
    });
    window.get_by_label("Delete").click();
    settle(&mut window);
    window.get_by_label("Words").click();
    settle(&mut window);
    window.get_by_label(START).click();
    window.step();
    wait_until(&mut window, "the answer", idle);
    settle(&mut window);
    window.get_by_label(&format!("Delete: {START}")).click();
    settle(&mut window);
    Ok(window)
}

fn show_trash(window: &mut Window, [settings, trash]: [&str; 2]) {
    window.get_by_label(settings).click();
    settle(window);
    window.get_by_label(trash).click();
    wait_until(window, "the trash", |state| state.shell.trash.items.is_some());
    settle(window);
}

fn count(state: &AppState) -> usize {
    state.shell.trash.total().0
}

#[test]
fn what_was_deleted_is_listed_and_comes_back() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = fill_trash(home.path())?;
    show_trash(&mut window, ["Settings", "Trash"]);
    assert_eq!(count(state(&window)), 2);
    assert!(window.query_by_label_contains("2 things, ").is_some());
    assert!(window.query_by_label_contains("Conversation  ·  ").is_some());
    wait_until(&mut window, "the thumbnail", |state| {
        let mut items = state.shell.trash.items.iter().flatten();
        items.any(|item| matches!(item.thumbnail, atelier::state::Thumbnail::Ready(_)))
    });

    window.get_by_label("Restore: a red fox in the snow").click();
    window.step();
    wait_until(&mut window, "the picture", |state| state.history.entries.len() == 1);
    let file = state(&window).history.entries[0].file.clone().context("it has a file")?;
    assert!(file.is_file());
    window.get_by_label(&format!("Restore: {START}")).click();
    window.step();
    wait_until(&mut window, "the conversation", |state| state.words.list.entries.len() == 1);
    wait_until(&mut window, "the empty trash", |state| count(state) == 0);
    settle(&mut window);
    assert!(window.query_by_label("The trash is empty").is_some());
    // What came back cannot be brought back once more.
    assert!(window.query_by_label("Undo").is_none());
    window.get_by_label("Close").click();
    settle(&mut window);
    assert!(!state(&window).shell.trash.open);
    // It stands in the list once more, before the ways to begin.
    window.get_all_by_label(START).next().context("it is listed")?.click();
    wait_until(&mut window, "the text", |state| state.words.open.is_some());
    Ok(())
}

#[test]
fn nothing_goes_for_good_before_its_size_was_said_and_the_person_agreed() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = fill_trash(home.path())?;
    show_trash(&mut window, ["Settings", "Trash"]);
    window.get_by_label("Delete for good: a red fox in the snow").click();
    settle(&mut window);
    let asks = "Delete “a red fox in the snow” for good (";
    assert!(window.query_by_label_contains(asks).is_some());
    window.get_by_label("Keep").click();
    settle(&mut window);
    assert!(window.query_by_label_contains(asks).is_none());
    assert_eq!(count(state(&window)), 2);

    window.get_by_label("Delete for good: a red fox in the snow").click();
    settle(&mut window);
    window.get_by_label("Delete for good").click();
    window.step();
    wait_until(&mut window, "the deletion", |state| count(state) == 1);
    settle(&mut window);

    window.get_by_label("Empty trash…").click();
    settle(&mut window);
    assert!(window.query_by_label_contains("for good (1 thing, ").is_some());
    // Escape takes back the question, not the trash.
    window.key_press(egui::Key::Escape);
    settle(&mut window);
    assert!(state(&window).shell.trash.open && count(state(&window)) == 1);
    window.get_by_label("Empty trash…").click();
    settle(&mut window);
    window.get_by_label("Delete for good").click();
    window.step();
    wait_until(&mut window, "the deletion", |state| count(state) == 0);
    let shelf = home.path().join("library/conversations/trash");
    assert_eq!(std::fs::read_dir(shelf)?.count(), 0);
    Ok(())
}

#[test]
fn the_trash_speaks_chinese() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    drop(fill_trash(home.path())?);
    let mut window = open(home.path(), FAST, Language::Chinese)?;
    settle(&mut window);
    show_trash(&mut window, ["设置", "回收站"]);
    assert!(window.query_by_label_contains("2 项，").is_some());
    window.get_by_label("清空回收站…").click();
    settle(&mut window);
    assert!(window.query_by_label_contains("彻底删除回收站里的所有内容（2 项，").is_some());
    assert!(window.query_by_label("保留").is_some());
    Ok(())
}
