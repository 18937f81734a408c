//! The picture that is being edited, driven by accessible names and the pen: painting, layers,
//! undoing, branching, candidates, and finding everything again.

use std::time::Duration;

use atelier::state::editor::Tool;
use atelier_tests::editing::{FAST, button, draw, edit_one, edits, picture, place};
use atelier_tests::window::{open_painting, settle, state, wait_until};
use egui::{Event, Key, Modifiers};
use egui_kittest::kittest::Queryable as _;

#[test]
fn a_stroke_of_the_brush_is_one_edit_and_undo_gives_the_bits_before_it() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    let before = picture(&window);
    window.get_by_label("Brush").click();
    settle(&mut window);
    draw(&mut window, &[[0.2, 0.2], [0.5, 0.5], [0.8, 0.3]], Modifiers::NONE);
    assert_eq!(edits(&window), 2);
    let painted = picture(&window);
    assert!(painted != before);
    window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    settle(&mut window);
    assert!(picture(&window) == before);
    window.key_press_modifiers(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
    settle(&mut window);
    assert!(picture(&window) == painted);
    Ok(())
}

#[test]
fn what_is_painted_after_an_undo_is_a_branch_and_both_are_found_after_a_restart()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    draw(&mut window, &[[0.2, 0.2], [0.4, 0.2]], Modifiers::NONE);
    let first = picture(&window);
    window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    settle(&mut window);
    draw(&mut window, &[[0.6, 0.7], [0.8, 0.7]], Modifiers::NONE);
    let second = picture(&window);
    assert_eq!(edits(&window), 3);
    window.key_press_modifiers(Modifiers::COMMAND, Key::W);
    settle(&mut window);
    assert!(state(&window).canvas.editor.is_none());
    drop(window);

    let mut window = open_painting(home.path(), FAST)?;
    wait_until(&mut window, "the projects", |state| !state.canvas.projects.is_empty());
    window.key_press_modifiers(Modifiers::COMMAND, Key::O);
    wait_until(&mut window, "the project", |state| state.canvas.editor.is_some());
    assert_eq!(edits(&window), 3);
    assert!(picture(&window) == second);
    window.get_by_label("Edits").click();
    settle(&mut window);
    let other = window.get_all_by_label("Go to: Painted").last().map(|node| node.rect().center());
    let other = other.expect("two strokes are in the tree");
    window.input_mut().events.push(Event::PointerMoved(other));
    window.step();
    button(&mut window, other, true, Modifiers::NONE);
    button(&mut window, other, false, Modifiers::NONE);
    wait_until(&mut window, "the other branch", |state| {
        state.canvas.editor.as_deref().is_some_and(|editor| editor.awaited.is_none())
    });
    settle(&mut window);
    assert!(picture(&window) == first);
    Ok(())
}

#[test]
fn what_was_edited_when_the_window_went_is_there_again_at_the_next_start() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    draw(&mut window, &[[0.2, 0.2], [0.4, 0.2]], Modifiers::NONE);
    let painted = picture(&window);
    // The settings are written a moment after the project was made; then the window goes.
    let settings = home.path().join("settings.json");
    let is_noted = || std::fs::read_to_string(&settings).is_ok_and(|text| text.contains("red-fox"));
    let begin = std::time::Instant::now();
    while !is_noted() {
        anyhow::ensure!(begin.elapsed() < Duration::from_secs(10), "the project is not noted");
        window.step();
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(window);
    let mut window = open_painting(home.path(), FAST)?;
    wait_until(&mut window, "the project", |state| state.canvas.editor.is_some());
    assert!(picture(&window) == painted);
    Ok(())
}

#[test]
fn alt_takes_a_colour_and_escape_takes_a_stroke_back() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    let before = picture(&window);
    let at = place(&window, [0.5, 0.5]);
    window.input_mut().events.push(Event::PointerMoved(at));
    window.step();
    button(&mut window, at, true, Modifiers::ALT);
    button(&mut window, at, false, Modifiers::ALT);
    let editor = state(&window).canvas.editor.as_deref().expect("edited");
    let middle = (128 * 256 + 128) * 4;
    assert_eq!(editor.tools.brush.colour[..3], before[middle..middle + 3]);
    assert!(picture(&window) == before && edits(&window) == 1);
    button(&mut window, at, true, Modifiers::NONE);
    window.input_mut().events.push(Event::PointerMoved(at + egui::vec2(50.0, 50.0)));
    window.step();
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(picture(&window) == before && edits(&window) == 1);
    Ok(())
}

#[test]
fn a_selection_bounds_the_brush_and_is_joined_by_shift() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    let before = picture(&window);
    window.get_by_label("Select a rectangle").click();
    settle(&mut window);
    draw(&mut window, &[[0.1, 0.1], [0.4, 0.4]], Modifiers::NONE);
    draw(&mut window, &[[0.6, 0.6], [0.9, 0.9]], Modifiers::SHIFT);
    let selection = state(&window).canvas.editor.as_deref().expect("edited").document.clone();
    let selection = selection.selection.expect("something is selected");
    assert_eq!([selection.get([60, 60]), selection.get([200, 200])], [[255], [255]]);
    assert_eq!(selection.get([128, 128]), [0]);
    window.get_by_label("Brush").click();
    settle(&mut window);
    draw(&mut window, &[[0.05, 0.05], [0.95, 0.95]], Modifiers::NONE);
    let after = picture(&window);
    assert!(before != after);
    let width = 256;
    for (at, (old, new)) in before.chunks_exact(4).zip(after.chunks_exact(4)).enumerate() {
        let inside = selection.get([at as i32 % width, at as i32 / width])[0] > 0;
        assert!(inside || old == new, "pixel {at} was not selected");
    }
    Ok(())
}

#[test]
fn layers_are_added_hidden_and_merged_by_their_names() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    window.get_by_label("Add a layer").click();
    settle(&mut window);
    assert!(window.query_by_label("Layer Paint 2").is_some());
    draw(&mut window, &[[0.3, 0.3], [0.7, 0.7]], Modifiers::NONE);
    let painted = picture(&window);
    window.get_by_label("Hide the layer Paint 2").click();
    settle(&mut window);
    assert!(picture(&window) != painted);
    window.get_by_label("Show the layer Paint 2").click();
    settle(&mut window);
    window.get_by_label("Merge into the one below").click();
    settle(&mut window);
    assert!(picture(&window) == painted);
    assert!(window.query_by_label("Layer Paint 2").is_none());
    Ok(())
}

#[test]
fn a_layer_gets_another_name_when_its_field_is_left() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    window.get_by_label("Name of the layer").focus();
    settle(&mut window);
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    settle(&mut window);
    window.get_by_label("Name of the layer").type_text("Fox");
    settle(&mut window);
    assert_eq!(edits(&window), 1);
    window.key_press(Key::Tab);
    settle(&mut window);
    assert_eq!(edits(&window), 2);
    assert!(window.query_by_label("Layer Fox").is_some());
    Ok(())
}

#[test]
fn where_nothing_is_selected_a_mask_layer_says_what_is_generated() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    let before = picture(&window);
    window.get_by_label("Mask, control, reference").click();
    settle(&mut window);
    window.get_by_label("Add a mask").click();
    settle(&mut window);
    draw(&mut window, &[[0.3, 0.3], [0.6, 0.4]], Modifiers::NONE);
    assert!(picture(&window) == before, "a mask is no part of the picture");
    window.get_by_label("Generate").click();
    wait_until(&mut window, "a candidate", |state| {
        state.canvas.editor.as_deref().is_some_and(|editor| editor.candidate().is_some())
    });
    settle(&mut window);
    window.get_by_label("Accept").click();
    settle(&mut window);
    let editor = state(&window).canvas.editor.as_deref().expect("edited");
    let mask = editor.document.layers.iter().find(|layer| layer.name.starts_with("Mask"));
    let mask = mask.expect("the mask").pixels.clone();
    let after = picture(&window);
    let mut changed = 0;
    for (at, (old, new)) in before.chunks_exact(4).zip(after.chunks_exact(4)).enumerate() {
        let inside = mask.get([at as i32 % 256, at as i32 / 256])[3] > 0;
        changed += usize::from(old != new);
        assert!(inside || old == new, "pixel {at} was not masked");
    }
    assert!(changed > 500, "{changed} pixels changed");
    Ok(())
}

#[test]
fn the_keyboard_paints_without_a_pointer() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    let before = picture(&window);
    window.get_by_label_contains("Canvas: ").focus();
    settle(&mut window);
    window.key_press(Key::B);
    settle(&mut window);
    assert_eq!(state(&window).canvas.editor.as_deref().map(|e| e.tools.tool), Some(Tool::Brush));
    for _ in 0..3 {
        window.key_press_modifiers(Modifiers::SHIFT, Key::ArrowRight);
        window.key_press_modifiers(Modifiers::SHIFT, Key::ArrowDown);
        settle(&mut window);
    }
    window.key_press(Key::Space);
    settle(&mut window);
    window.key_press_modifiers(Modifiers::SHIFT, Key::ArrowRight);
    settle(&mut window);
    window.key_press(Key::Space);
    settle(&mut window);
    assert_eq!(edits(&window), 2);
    assert!(picture(&window) != before);
    Ok(())
}

#[test]
fn what_is_generated_waits_over_the_picture_until_it_is_taken_or_thrown_away() -> anyhow::Result<()>
{
    let home = tempfile::tempdir()?;
    let mut window = edit_one(home.path())?;
    let before = picture(&window);
    window.get_by_label("Generate").click();
    wait_until(&mut window, "a candidate", |state| {
        state.canvas.editor.as_deref().is_some_and(|editor| editor.candidate().is_some())
    });
    settle(&mut window);
    assert!(picture(&window) == before);
    window.key_press(Key::Escape);
    settle(&mut window);
    // The prompt and the candidate are edits; neither changed the picture.
    assert!(edits(&window) == 3 && picture(&window) == before);
    window.get_by_label("Generate").click();
    wait_until(&mut window, "a candidate", |state| {
        state.canvas.editor.as_deref().is_some_and(|editor| editor.candidate().is_some())
    });
    settle(&mut window);
    window.get_by_label("Accept").click();
    settle(&mut window);
    assert_eq!(edits(&window), 5);
    assert!(picture(&window) != before);
    assert!(window.query_by_label("Layer a red fox in the snow").is_some());
    Ok(())
}
