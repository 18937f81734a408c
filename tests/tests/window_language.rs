//! Both languages and both themes.

use std::time::Duration;

use atelier::i18n::Language;
use atelier_tests::window::{open, settle, state, wait_until};
use egui_kittest::kittest::Queryable as _;

#[test]
fn the_language_switches_at_once_and_every_glyph_shows() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    // The harness panics when a glyph is in none of the bundled fonts.
    let mut window = open(home.path(), Duration::ZERO, Language::English)?;
    settle(&mut window);
    window.get_by_label("切换到中文").click();
    settle(&mut window);
    assert_eq!(state(&window).settings.language, Language::Chinese);
    assert!(window.query_by_label("生成").is_some());
    assert!(window.query_by_label("Generate").is_none());
    window.get_by_label("雪地里的红狐狸").click();
    settle(&mut window);
    assert_eq!(state(&window).prompt.text, "雪地里的红狐狸");
    // The bar moves its buttons while a job runs: a click would miss them.
    wait_until(&mut window, "the picture", |state| {
        state.history.entries.len() == 1 && state.jobs.jobs.is_empty()
    });
    window.get_by_label("设置").click();
    settle(&mut window);
    window.get_by_label("English").click();
    settle(&mut window);
    assert!(window.query_by_label("Generate").is_some());
    Ok(())
}

#[test]
fn theme_and_scale_are_chosen_in_the_settings() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open(home.path(), Duration::ZERO, Language::English)?;
    settle(&mut window);
    window.get_by_label("Settings").click();
    settle(&mut window);
    window.get_by_label("Light").click();
    settle(&mut window);
    assert!(!window.ctx.global_style().visuals.dark_mode);
    window.get_by_label("200 %").click();
    settle(&mut window);
    assert_eq!(window.ctx.zoom_factor(), 2.0);
    Ok(())
}

#[test]
fn every_command_can_be_reached_from_the_palette() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open(home.path(), Duration::ZERO, Language::English)?;
    settle(&mut window);
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::K);
    settle(&mut window);
    window.get_by_label("Type a command…").type_text("light and dark");
    settle(&mut window);
    window.key_press(egui::Key::Enter);
    settle(&mut window);
    assert!(!state(&window).shell.palette.open);
    assert!(!window.ctx.global_style().visuals.dark_mode);
    Ok(())
}

#[test]
fn settings_that_cannot_be_read_are_told_and_kept() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let damaged = r#"{ "draft": "a fox in the snow", "models": { "folders": 7 } }"#;
    std::fs::write(home.path().join("settings.json"), damaged)?;
    let mut window = open(home.path(), Duration::ZERO, Language::English)?;
    wait_until(&mut window, "what is said of the settings", |state| {
        state.messages.toasts.iter().any(|toast| toast.text.contains("settings could not be read"))
    });
    // What could be read is there.
    assert_eq!(state(&window).prompt.text, "a fox in the snow");
    let kept = std::fs::read_to_string(home.path().join("settings.damaged.json"))?;
    assert_eq!(kept, damaged);
    Ok(())
}
