//! What is done to a picture that is edited beside painting, driven by accessible names: pasting,
//! transforming, gradients, another size, projects in one file, and the way through prompts.

use std::sync::Arc;

use atelier::action::{Action, PromptAction};
use atelier_tests::editing::{FAST, draw, edit_one, edits, picture};
use atelier_tests::window::{
    Window, act, answer_dialogs, drop_file, open_painting, settle, state, wait_until,
};
use egui::{Color32, ColorImage, Event, Key, Modifiers, Role};
use egui_kittest::kittest::Queryable as _;

fn editor(window: &Window) -> &atelier::state::editor::Editor {
    state(window).canvas.editor.as_deref().expect("a picture is edited")
}

fn wait_for_edits(window: &mut Window, count: usize) {
    wait_until(window, "the edit", |state| {
        state.canvas.editor.as_deref().is_some_and(|one| one.trail.len() == count)
    });
    settle(window);
}

fn number<'a>(window: &'a Window, name: &'a str) -> egui_kittest::Node<'a> {
    window.get_by_role_and_label(Role::SpinButton, name)
}

fn paste(window: &mut Window, side: usize) {
    let image = ColorImage::filled([side, side], Color32::from_rgb(200, 10, 30));
    window.input_mut().events.push(Event::PasteImage(Arc::new(image)));
    window.step();
}

#[test]
fn a_pasted_picture_becomes_a_layer_in_the_middle_or_a_project_of_its_own() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    paste(&mut window, 64);
    wait_for_edits(&mut window, 2);
    assert!(window.query_by_label("Layer Pasted picture").is_some());
    let seen = picture(&window);
    let at = |x: usize, y: usize| seen[(y * 256 + x) * 4..][..3].to_vec();
    assert_eq!(at(128, 128), [200, 10, 30]);
    assert_eq!(at(97, 97), [200, 10, 30]);
    assert_ne!(at(94, 128), [200, 10, 30]);
    window.get_by_label("Close the project").click();
    settle(&mut window);
    paste(&mut window, 50);
    wait_until(&mut window, "the project", |state| state.canvas.editor.is_some());
    assert_eq!(editor(&window).document.size.width_px, 50);
    Ok(())
}

#[test]
fn what_is_selected_is_copied_as_it_is_seen() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    window.get_by_label("Select a rectangle").click();
    settle(&mut window);
    draw(&mut window, &[[0.25, 0.25], [0.5, 0.75]], Modifiers::NONE);
    window.key_press_modifiers(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::C);
    wait_until(&mut window, "the copy", |state| {
        state.messages.toasts.iter().any(|toast| toast.text == "Picture copied")
    });
    Ok(())
}

#[test]
fn a_layer_is_scaled_by_a_corner_and_is_as_before_after_undo_or_escape() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    paste(&mut window, 64);
    wait_for_edits(&mut window, 2);
    let before = picture(&window);
    window.key_press_modifiers(Modifiers::COMMAND, Key::T);
    settle(&mut window);
    // The lower right corner, from 160 to 200 of 256 pixels.
    draw(&mut window, &[[0.625, 0.625], [0.70, 0.70], [0.78125, 0.78125]], Modifiers::NONE);
    window.key_press(Key::Escape);
    settle(&mut window);
    assert!(editor(&window).reshaping.as_ref().is_some_and(|one| one.shape.is_still()));
    draw(&mut window, &[[0.625, 0.625], [0.70, 0.70], [0.78125, 0.78125]], Modifiers::NONE);
    window.key_press(Key::Enter);
    wait_for_edits(&mut window, 3);
    let layer = editor(&window).document.active_layer().expect("the layer");
    let bounds = layer.pixels.bounds().expect("pixels");
    assert_eq!((bounds.x, bounds.y), (96, 96), "the corner across stays");
    assert!((100..=108).contains(&bounds.width_px), "{bounds:?}");
    assert_eq!(bounds.width_px, bounds.height_px, "the shape is kept");
    assert!(picture(&window) != before);
    window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    settle(&mut window);
    assert!(picture(&window) == before);
    // Another tool while the box stands still leaves no edit.
    window.get_by_label("Transform").click();
    settle(&mut window);
    window.get_by_label("Brush").click();
    settle(&mut window);
    assert!(picture(&window) == before && edits(&window) == 3);
    Ok(())
}

#[test]
fn a_layer_is_turned_by_its_number_without_a_pointer() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    paste(&mut window, 64);
    wait_for_edits(&mut window, 2);
    window.key_press_modifiers(Modifiers::COMMAND, Key::T);
    settle(&mut window);
    number(&window, "Angle").click();
    settle(&mut window);
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    number(&window, "Angle").type_text("45");
    settle(&mut window);
    window.key_press(Key::Tab);
    settle(&mut window);
    window.get_by_label("Apply the transform").click();
    wait_for_edits(&mut window, 3);
    let layer = editor(&window).document.active_layer().expect("the layer");
    let bounds = layer.pixels.bounds().expect("pixels");
    assert!((90..=94).contains(&bounds.width_px), "{bounds:?}");
    Ok(())
}

#[test]
fn a_gradient_runs_from_the_colour_to_nothing_within_the_selection() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    let before = picture(&window);
    window.get_by_label("Select a rectangle").click();
    settle(&mut window);
    draw(&mut window, &[[0.0, 0.0], [1.0, 0.5]], Modifiers::NONE);
    window.get_by_label("Gradient").click();
    settle(&mut window);
    draw(&mut window, &[[0.25, 0.25], [0.75, 0.25]], Modifiers::NONE);
    wait_for_edits(&mut window, 3);
    let after = picture(&window);
    let at = |x: usize, y: usize| (y * 256 + x) * 4;
    let colour = editor(&window).tools.brush.colour;
    assert_eq!(after[at(10, 60)..][..3], colour[..3]);
    assert_eq!(after[at(250, 60)..][..4], before[at(250, 60)..][..4]);
    assert_ne!(after[at(128, 60)..][..4], before[at(128, 60)..][..4]);
    assert!(after[at(0, 140)..] == before[at(0, 140)..], "what was not selected changed");
    Ok(())
}

#[test]
fn the_picture_is_scaled_to_another_size_with_its_shape() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    let before = picture(&window);
    window.get_by_label("Image size…").click();
    settle(&mut window);
    number(&window, "Width").click();
    settle(&mut window);
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    number(&window, "Width").type_text("512");
    settle(&mut window);
    window.key_press(Key::Tab);
    settle(&mut window);
    window.get_by_label("Scale to 512 × 512").click();
    wait_for_edits(&mut window, 2);
    assert_eq!(editor(&window).document.size.height_px, 512);
    window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    settle(&mut window);
    assert!(picture(&window) == before);
    Ok(())
}

#[test]
fn a_project_goes_into_one_file_and_comes_back_with_all_its_edits() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("elsewhere.atelier");
    let mut window = edit_one(home.path())?;
    draw(&mut window, &[[0.2, 0.2], [0.6, 0.6]], Modifiers::NONE);
    let painted = picture(&window);
    let to = file.clone();
    answer_dialogs(&mut window, move |_| Some(to.clone()));
    window.get_by_label("Export the picture…").click();
    wait_until(&mut window, "the file", |_| file.exists());
    drop(window);

    let other = tempfile::tempdir()?;
    let mut window = open_painting(other.path(), FAST)?;
    settle(&mut window);
    drop_file(&mut window, file);
    wait_until(&mut window, "the project", |state| state.canvas.editor.is_some());
    assert!(picture(&window) == painted && edits(&window) == 2);
    let path = editor(&window).project.path.clone().expect("its file");
    assert!(path.starts_with(other.path()), "{}", path.display());
    draw(&mut window, &[[0.3, 0.8], [0.6, 0.8]], Modifiers::NONE);
    assert_eq!(edits(&window), 3);
    Ok(())
}

fn generate(window: &mut Window, prompt: &str) {
    act(window, Action::Prompt(PromptAction::SetText(prompt.to_owned())));
    settle(window);
    window.get_by_label("Generate").click();
    wait_until(window, "a candidate", |state| {
        state.canvas.editor.as_deref().is_some_and(|editor| editor.candidate().is_some())
    });
    settle(window);
}

#[test]
fn undo_takes_the_prompt_back_too_unless_something_new_was_written() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    for prompt in ["a green frog", "a blue bird"] {
        generate(&mut window, prompt);
        window.get_by_label("Accept").click();
        settle(&mut window);
    }
    // The prompt, the candidate and the accepted picture, twice.
    assert_eq!(edits(&window), 7);
    let back = |window: &mut Window| {
        window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
        settle(window);
        // The desk reads what was written.
        std::thread::sleep(FAST * 50);
        settle(window);
    };
    back(&mut window);
    assert_eq!(state(&window).prompt.text, "a blue bird");
    back(&mut window);
    assert_eq!(state(&window).prompt.text, "a green frog");
    act(&mut window, Action::Prompt(PromptAction::SetText("a fish".to_owned())));
    window.key_press_modifiers(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
    settle(&mut window);
    std::thread::sleep(FAST * 50);
    settle(&mut window);
    assert_eq!(state(&window).prompt.text, "a fish", "what was written is not lost");
    Ok(())
}

#[test]
fn a_candidate_that_was_thrown_away_is_still_in_the_tree() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    let before = picture(&window);
    generate(&mut window, "a green frog");
    window.key_press(Key::Escape);
    settle(&mut window);
    assert!(picture(&window) == before && editor(&window).candidate().is_none());
    window.get_by_label("Edits").click();
    settle(&mut window);
    window.get_by_label("Go to: Candidate: a green frog").click();
    settle(&mut window);
    wait_until(&mut window, "the candidate", |state| {
        state.canvas.editor.as_deref().is_some_and(|editor| editor.awaited.is_none())
    });
    settle(&mut window);
    assert!(picture(&window) != before);
    window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    settle(&mut window);
    assert!(picture(&window) == before);
    Ok(())
}

#[test]
fn any_edit_is_compared_with_the_picture_in_three_ways() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    draw(&mut window, &[[0.2, 0.2], [0.6, 0.6]], Modifiers::NONE);
    draw(&mut window, &[[0.2, 0.8], [0.6, 0.8]], Modifiers::NONE);
    window.get_by_label("Edits").click();
    settle(&mut window);
    window.get_by_label_contains("Compare with: Begun").click();
    settle(&mut window);
    let compared = editor(&window).compared.as_ref().expect("an edit").0;
    assert_eq!(compared.0, 1);
    for way in ["Blink", "Side by side", "Slider"] {
        window.get_by_label(way).click();
        settle(&mut window);
    }
    window.key_press(Key::Escape);
    settle(&mut window);
    assert!(editor(&window).compared.is_none());
    // By the keyboard: with the edit before, and back.
    window.get_by_label_contains("Canvas: ").focus();
    settle(&mut window);
    window.key_press(Key::C);
    settle(&mut window);
    assert_eq!(editor(&window).compared.as_ref().map(|(id, _)| id.0), Some(2));
    window.key_press(Key::C);
    settle(&mut window);
    assert!(editor(&window).compared.is_none() && edits(&window) == 3);
    Ok(())
}

#[test]
fn the_settings_of_an_edit_are_used_again_when_asked_for() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    generate(&mut window, "a green frog");
    window.get_by_label("Accept").click();
    settle(&mut window);
    act(&mut window, Action::Prompt(PromptAction::SetText("a fish".to_owned())));
    window.get_by_label("Edits").click();
    settle(&mut window);
    window.get_by_label("Use these settings").click();
    wait_until(&mut window, "the settings", |state| state.prompt.text == "a green frog");
    Ok(())
}

#[test]
fn opening_the_project_that_is_open_changes_nothing_and_it_can_still_be_painted()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    window.get_by_label("Edits").click();
    settle(&mut window);
    window.key_press_modifiers(Modifiers::COMMAND, Key::O);
    for _ in 0..40 {
        window.step();
        std::thread::sleep(FAST * 10);
    }
    assert!(!editor(&window).project.is_read_only);
    assert_eq!(editor(&window).tab, atelier::state::editor::EditorTab::Edits);
    draw(&mut window, &[[0.2, 0.2], [0.6, 0.6]], Modifiers::NONE);
    wait_until(&mut window, "the edit on the disk", |state| {
        state.canvas.editor.as_deref().is_some_and(|one| one.project.unsaved == 0)
    });
    assert_eq!(edits(&window), 2);
    Ok(())
}
