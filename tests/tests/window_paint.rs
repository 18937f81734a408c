//! The window, driven by accessible names: writing, generating, cancelling, deleting, undoing.

use std::time::Duration;

use atelier::state::{JobPhase, Shown};
use atelier_tests::window::{open_painting, settle, state, wait_until};
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;

const FAST: Duration = Duration::from_millis(1);
const SLOW: Duration = Duration::from_millis(40);

#[test]
fn a_prompt_that_is_typed_becomes_a_picture_on_the_canvas() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    window.get_by_label("Prompt").focus();
    settle(&mut window);
    window.get_by_label("Prompt").type_text("a red fox in the snow");
    settle(&mut window);
    assert_eq!(state(&window).prompt.text, "a red fox in the snow");
    window.get_by_label("Generate").click();
    wait_until(&mut window, "the picture", |state| state.history.entries.len() == 1);
    settle(&mut window);
    assert!(matches!(state(&window).canvas.shown, Shown::Result(_)));
    assert!(window.query_by_label("Picture: a red fox in the snow").is_some());
    assert!(window.query_by_label("Ready").is_some());
    Ok(())
}

#[test]
fn ctrl_enter_in_the_prompt_generates_and_writes_no_line() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    window.get_by_label("Prompt").focus();
    settle(&mut window);
    window.get_by_label("Prompt").type_text("a cat");
    settle(&mut window);
    window.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    wait_until(&mut window, "the picture", |state| state.history.entries.len() == 1);
    assert_eq!(state(&window).prompt.text, "a cat");
    Ok(())
}

#[test]
fn an_example_paints_at_once() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    window.get_by_label("a green cactus in the desert").click();
    wait_until(&mut window, "the picture", |state| state.history.entries.len() == 1);
    assert_eq!(state(&window).prompt.text, "a green cactus in the desert");
    Ok(())
}

#[test]
fn an_empty_prompt_gets_a_sentence_and_a_hint() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    window.get_by_label("Generate").click();
    settle(&mut window);
    assert!(window.query_by_label("The prompt is empty").is_some());
    assert!(state(&window).jobs.jobs.is_empty());
    Ok(())
}

#[test]
fn escape_cancels_the_running_job_without_an_error() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), SLOW)?;
    settle(&mut window);
    window.get_by_label("a red fox in the snow").click();
    wait_until(&mut window, "the preview", |state| {
        state.jobs.running().is_some_and(|job| job.live.preview.is_some())
    });
    assert!(window.query_by_label("Live preview").is_some());
    assert!(window.query_by_label("Progress").is_some());
    window.key_press(Key::Escape);
    window.step();
    assert_eq!(state(&window).jobs.running().map(|job| job.phase), Some(JobPhase::Cancelling));
    wait_until(&mut window, "the end", |state| state.jobs.jobs.is_empty());
    assert!(state(&window).history.entries.is_empty());
    assert!(state(&window).messages.toasts.iter().all(|toast| toast.hint.is_empty()));
    assert_eq!(state(&window).canvas.shown, Shown::Nothing);
    Ok(())
}

#[test]
fn a_deleted_picture_comes_back_to_its_place() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    for (index, example) in
        ["a red fox in the snow", "a green cactus in the desert"].into_iter().enumerate()
    {
        window.get_by_label("Prompt").focus();
        settle(&mut window);
        window.key_press_modifiers(Modifiers::COMMAND, Key::A);
        window.step();
        window.get_by_label("Prompt").type_text(example);
        settle(&mut window);
        window.get_by_label("Generate").click();
        wait_until(&mut window, "a picture", |state| {
            state.history.entries.len() == index + 1 && state.jobs.jobs.is_empty()
        });
    }
    let ids = |window: &_| -> Vec<i64> {
        state(window).history.entries.iter().map(|entry| entry.id).collect()
    };
    let before = ids(&window);
    window.get_by_label("Delete").click();
    settle(&mut window);
    assert_eq!(state(&window).history.entries.len(), 1);
    assert!(window.query_by_label("Picture moved to the trash").is_some());
    window.get_by_label("Undo").click();
    settle(&mut window);
    assert_eq!(ids(&window), before);
    assert_eq!(state(&window).canvas.result(), Some(before[0]));
    Ok(())
}

#[test]
fn the_arrows_walk_along_the_film_strip() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    window.get_by_label("More pictures").click();
    settle(&mut window);
    window.get_by_label("More pictures").click();
    settle(&mut window);
    window.get_by_label("a red fox in the snow").click();
    wait_until(&mut window, "three pictures", |state| {
        state.history.entries.len() == 3 && state.jobs.jobs.is_empty()
    });
    let newest = state(&window).history.entries[0].id;
    window.get_by_label_contains("Picture: ").click();
    settle(&mut window);
    window.ctx.memory_mut(|memory| memory.stop_text_input());
    window.key_press(Key::ArrowLeft);
    window.key_press(Key::ArrowLeft);
    settle(&mut window);
    assert_eq!(state(&window).canvas.result(), Some(newest));
    window.key_press(Key::ArrowRight);
    settle(&mut window);
    let second = state(&window).history.entries[1].id;
    assert_eq!(state(&window).canvas.result(), Some(second));
    Ok(())
}
