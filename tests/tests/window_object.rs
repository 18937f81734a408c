//! Selecting what is pointed at in the picture that is being edited, by accessible names, with a net of
//! chance weights.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use atelier::state::editor::{Editor, Tool};
use atelier_engine::canvas::{Document, LayerKind};
use atelier_engine::protocol::Pixels;
use atelier_engine::store::png;
use atelier_tests::tiny_sam;
use atelier_tests::window::{
    Window, answer_dialogs, open_painting, open_studio, settle, state, wait_until,
};
use egui::{Event, Key, Modifiers, PointerButton, Pos2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};

const SIDE: u32 = 128;

fn editor(window: &Window) -> &Editor {
    match state(window).canvas.editor.as_deref() {
        Some(editor) => editor,
        None => panic!("no picture is edited"),
    }
}

/// Opens a window with the net in a folder of models, and a picture that is being edited.
fn edit(home: &Path) -> Result<Window> {
    let models = home.join("comfy");
    tiny_sam::write_as(&models.join("models/sams/mobile_sam.safetensors"), "tiny")?;
    let settings = serde_json::json!({ "models": { "folders": [models], "chosen": null } });
    std::fs::write(home.join("settings.json"), settings.to_string())?;
    let colour = |at: u32| {
        let (x, y) = (at % SIDE, at / SIDE);
        if x.abs_diff(60) < 30 && y.abs_diff(70) < 25 {
            [200, 60, 50, 255]
        } else {
            [60, 90, (x + y) as u8, 255]
        }
    };
    let rgba = (0..SIDE * SIDE).flat_map(colour).collect();
    let picture = home.join("disc.png");
    let pixels = Pixels::new(SIDE, SIDE, rgba).context("a picture")?;
    std::fs::write(&picture, png::encode_plain(&pixels)?)?;
    let mut window = open_studio(home)?;
    settle(&mut window);
    wait_until(&mut window, "the net", |state| !state.models.pictures.found.segmenters.is_empty());
    answer_dialogs(&mut window, move |_| Some(picture.clone()));
    window.get_by_label("Projects").click();
    settle(&mut window);
    window.get_by_label("Open a picture…").click();
    wait_until(&mut window, "the project", |state| {
        let editor = state.canvas.editor.as_deref();
        editor.is_some_and(|editor| editor.project.path.is_some() && editor.project.unsaved == 0)
    });
    settle(&mut window);
    Ok(window)
}

/// Returns where on the screen a place of the document is.
fn place(window: &Window, at: [f32; 2]) -> Pos2 {
    let canvas = window.get_by_label_contains("Canvas: ").rect();
    let size = editor(window).size_px();
    let room = [canvas.width() - 48.0, canvas.height() - 48.0];
    let (scale, _) = editor(window).view.place(size, room);
    let along = |axis: usize| (at[axis] - size[axis] / 2.0) * scale;
    canvas.center() + egui::vec2(along(0), along(1))
}

fn press(window: &mut Window, pos: Pos2, pressed: bool, modifiers: Modifiers) {
    let event = Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers };
    window.input_mut().events.push(event);
    window.step();
}

/// Puts the pen down at one place and lifts it at another.
fn drag(window: &mut Window, [from, to]: [[f32; 2]; 2], modifiers: Modifiers) {
    let [from, to] = [from, to].map(|at| place(window, at));
    for (at, pressed) in [(from, true), (to, false)] {
        window.input_mut().events.push(Event::PointerMoved(at));
        window.step();
        press(window, at, pressed, modifiers);
    }
}

fn found(window: &mut Window) {
    wait_until(window, "what was pointed at", |state| {
        state.canvas.editor.as_deref().is_some_and(|editor| {
            let object = &editor.tools.object;
            object.ticket.is_some() && !object.is_looking
        })
    });
    wait_until(window, "the end of the job", |state| state.jobs.jobs.is_empty());
    settle(window);
}

#[test]
fn a_click_selects_what_is_meant_and_becomes_a_mask_layer_or_a_transparent_picture() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit(home.path())?;
    let before = editor(&window).document.picture();
    window.get_by_label("Select an object").click();
    settle(&mut window);
    assert!(window.query_by_label_contains("Click what you mean").is_some());
    drag(&mut window, [[60.0, 70.0]; 2], Modifiers::NONE);
    found(&mut window);
    let selection = editor(&window).document.selection.clone().context("nothing is selected")?;
    ensure!(!editor(&window).outline.is_empty(), "the selection has no edge");
    let first = editor(&window).trail.len();
    // A place that does not belong to it, with Alt; the net says something else then.
    drag(&mut window, [[10.0, 10.0]; 2], Modifiers::ALT);
    found(&mut window);
    let prompt = &editor(&window).tools.object.prompt;
    let kinds: Vec<bool> = prompt.points.iter().map(|point| point.is_inside).collect();
    assert_eq!(kinds, [true, false]);
    ensure!(editor(&window).document.selection.as_ref() != Some(&selection), "nothing changed");
    assert_eq!(editor(&window).trail.len(), first + 1);
    // Another of the masks.
    window.get_by_label("Whole").click();
    found(&mut window);
    assert_eq!(editor(&window).tools.object.found, Some(2));
    let selection = editor(&window).document.selection.clone().context("nothing is selected")?;
    window.get_by_label("To a mask layer").click();
    settle(&mut window);
    let document: &Document = &editor(&window).document;
    let mask = document.layers.iter().find(|layer| layer.kind == LayerKind::Mask);
    let mask = mask.context("no mask layer")?.pixels.clone();
    for (x, y) in (0..SIDE as i32).flat_map(|y| (0..SIDE as i32).map(move |x| (x, y))) {
        assert_eq!(mask.get([x, y])[3], selection.get([x, y])[0]);
    }
    assert!(document.picture() == before, "a mask is no part of the picture");
    window.get_by_label("Cut out to a new layer").click();
    wait_until(&mut window, "the cut-out", |state| {
        let editor = state.canvas.editor.as_deref();
        editor.is_some_and(|editor| editor.document.layers.iter().any(|one| one.name == "Cut out"))
    });
    settle(&mut window);
    let after = editor(&window).document.picture();
    for (at, (old, new)) in before.rgba.chunks(4).zip(after.rgba.chunks(4)).enumerate() {
        let share = selection.get([at as i32 % SIDE as i32, at as i32 / SIDE as i32])[0];
        assert_eq!(new[3], share);
        assert!(share < 255 || old == new, "pixel {at}");
    }
    Ok(())
}

#[test]
fn a_drag_is_a_box_and_starting_over_lets_everything_go() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit(home.path())?;
    window.get_by_label("Select an object").click();
    settle(&mut window);
    drag(&mut window, [[90.0, 100.0], [28.0, 40.0]], Modifiers::NONE);
    found(&mut window);
    let around = editor(&window).tools.object.prompt.around.context("no box")?;
    ensure!((around.x - 28.0).abs() < 1.0 && (around.width - 62.0).abs() < 1.0, "{around:?}");
    window.get_by_label("Start over").click();
    settle(&mut window);
    assert!(editor(&window).tools.object.is_untouched());
    assert!(editor(&window).document.selection.is_none());
    Ok(())
}

#[test]
fn the_keyboard_points_without_a_pointer() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit(home.path())?;
    window.get_by_label_contains("Canvas: ").focus();
    settle(&mut window);
    window.key_press(Key::O);
    settle(&mut window);
    assert_eq!(editor(&window).tools.tool, Tool::SelectObject);
    for _ in 0..5 {
        window.key_press_modifiers(Modifiers::SHIFT, Key::ArrowRight);
        window.key_press_modifiers(Modifiers::SHIFT, Key::ArrowDown);
        settle(&mut window);
    }
    for _ in 0..2 {
        window.key_press(Key::Space);
        settle(&mut window);
    }
    found(&mut window);
    let prompt = &editor(&window).tools.object.prompt;
    let places: Vec<[f32; 2]> = prompt.points.iter().map(|point| [point.x, point.y]).collect();
    assert_eq!(places, [[50.0, 50.0]]);
    assert!(editor(&window).document.selection.is_some());
    Ok(())
}

#[test]
fn without_a_net_the_tool_is_off_and_says_where_to_put_one() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), Duration::from_millis(1))?;
    settle(&mut window);
    let rgba = vec![200u8; 64 * 64 * 4];
    let pixels = Pixels::new(64, 64, rgba).context("a picture")?;
    let path = home.path().join("plain.png");
    std::fs::write(&path, png::encode_plain(&pixels)?)?;
    answer_dialogs(&mut window, move |_| Some(path.clone()));
    window.get_by_label("Projects").click();
    settle(&mut window);
    window.get_by_label("Open a picture…").click();
    wait_until(&mut window, "the project", |state| state.canvas.editor.is_some());
    settle(&mut window);
    let tool = window.get_by_label("Select an object");
    assert!(tool.accesskit_node().is_disabled());
    // By its key it says what is missing.
    window.get_by_label_contains("Canvas: ").focus();
    settle(&mut window);
    window.key_press(Key::O);
    settle(&mut window);
    assert!(editor(&window).tools.tool != Tool::SelectObject);
    let said =
        state(&window).messages.toasts.iter().any(|toast| toast.text.contains("models/sams"));
    assert!(said, "{:?}", state(&window).messages);
    Ok(())
}
