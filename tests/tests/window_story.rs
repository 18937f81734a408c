//! A person's way from a blank window to a finished picture and back, with the house model: generate,
//! repaint by brush, extend, cut out, enlarge, step back, branch, compare, close, reopen, find it all.

use std::path::Path;
use std::time::{Duration, Instant};

use atelier::state::AppState;
use atelier::state::editor::Editor;
use atelier_tests::window::{Window, open_studio, settle, state};
use egui::{Event, Key, Modifiers, PointerButton, Pos2};
use egui_kittest::kittest::Queryable as _;

/// How long a step may take: models run here, on whatever machine tests run on.
const PATIENCE: Duration = Duration::from_secs(180);

fn wait(window: &mut Window, what: &str, reached: impl Fn(&AppState) -> bool) {
    let begin = Instant::now();
    while !reached(state(window)) {
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        window.step();
        std::thread::sleep(Duration::from_millis(10));
    }
    window.run_steps(3);
}

fn editor(window: &Window) -> &Editor {
    state(window).canvas.editor.as_deref().expect("a picture is edited")
}

fn press(window: &mut Window, label: &str) {
    window.get_by_label(label).click();
    window.run_steps(4);
}

fn write_prompt(window: &mut Window, text: &str) {
    window.get_by_label("Prompt").focus();
    window.run_steps(2);
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    window.run_steps(2);
    window.get_by_label("Prompt").type_text(text);
    window.run_steps(2);
    assert_eq!(state(window).prompt.text, text);
}

/// Paints over part of the picture with the tool at hand.
fn paint(window: &mut Window, way: &[[f32; 2]]) {
    let canvas = window.get_by_label_contains("Canvas: ").rect();
    let size = editor(window).size_px();
    let room = [canvas.width() - 48.0, canvas.height() - 48.0];
    let (scale, _) = editor(window).view.place(size, room);
    let at = |[x, y]: [f32; 2]| {
        canvas.center() + egui::vec2((x - 0.5) * size[0] * scale, (y - 0.5) * size[1] * scale)
    };
    let way: Vec<Pos2> = way.iter().map(|place| at(*place)).collect();
    let button = |pos, pressed| Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    window.input_mut().events.push(Event::PointerMoved(way[0]));
    window.step();
    window.input_mut().events.push(button(way[0], true));
    window.step();
    for place in &way {
        window.input_mut().events.push(Event::PointerMoved(*place));
        window.step();
    }
    window.input_mut().events.push(button(way[way.len() - 1], false));
    window.run_steps(4);
}

fn is_staged(state: &AppState) -> bool {
    state.canvas.editor.as_deref().is_some_and(|editor| editor.candidate().is_some())
}

fn is_saved(state: &AppState) -> bool {
    state.canvas.editor.as_deref().is_some_and(|editor| editor.project.unsaved == 0)
}

fn opened(home: &Path) -> anyhow::Result<Window> {
    let mut window = open_studio(home)?;
    settle(&mut window);
    Ok(window)
}

#[test]
fn a_scene_is_repainted_extended_enlarged_branched_and_found_again() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = opened(home.path())?;

    // A scene.
    write_prompt(&mut window, "a red apple on a meadow");
    press(&mut window, "Generate");
    wait(&mut window, "the scene", |state| {
        state.history.entries.len() == 1 && state.jobs.jobs.is_empty()
    });
    press(&mut window, "Edit this picture");
    wait(&mut window, "the project", is_saved);
    let scene = editor(&window).document.picture();

    // One object, repainted where the brush selected it.
    press(&mut window, "Select by brush");
    for _ in 0..8 {
        window.key_press(Key::CloseBracket);
        window.run_steps(1);
    }
    paint(&mut window, &[[0.4, 0.4], [0.6, 0.5], [0.5, 0.65], [0.4, 0.5]]);
    let selection = editor(&window).document.selection.clone().expect("painted");
    write_prompt(&mut window, "a yellow lemon");
    press(&mut window, "Generate");
    wait(&mut window, "the lemon", is_staged);
    press(&mut window, "Accept");
    let repainted = editor(&window).document.picture();
    let width = scene.width_px as i32;
    let mut changed = 0;
    for (at, (old, new)) in
        scene.rgba.chunks_exact(4).zip(repainted.rgba.chunks_exact(4)).enumerate()
    {
        let inside = selection.get([at as i32 % width, at as i32 / width])[0] > 0;
        changed += usize::from(old != new);
        assert!(inside || old == new, "pixel {at} was not selected");
    }
    assert!(changed > 500, "{changed} pixels changed");

    // The sky, extended upwards.
    press(&mut window, "Extend upwards");
    write_prompt(&mut window, "sky");
    press(&mut window, "Generate");
    wait(&mut window, "the sky", is_staged);
    press(&mut window, "Accept");
    let extended = editor(&window).document.picture();
    assert!(extended.height_px > scene.height_px);
    let below = extended.rgba.len() - repainted.rgba.len();
    assert!(extended.rgba[below..] == repainted.rgba[..], "what was there moved or changed");

    // The subject, cut out into a layer of its own; and back again.
    press(&mut window, "Cut the subject out");
    wait(&mut window, "the subject", |state| {
        let editor = state.canvas.editor.as_deref();
        editor.is_some_and(|one| one.document.layers.iter().any(|layer| layer.name == "Cut out"))
    });
    let cut = editor(&window).document.picture();
    let clear = cut.rgba.chunks_exact(4).filter(|pixel| pixel[3] < 32).count();
    assert!((1_000..cut.rgba.len() / 4 - 1_000).contains(&clear), "{clear} pixels are clear");
    window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    window.run_steps(4);
    assert!(editor(&window).document.picture() == extended, "undo gives the picture back");

    // Enlarged four times.
    press(&mut window, "Enlarge ×4");
    wait(&mut window, "the large picture", |state| {
        let editor = state.canvas.editor.as_deref();
        editor.is_some_and(|one| one.document.size.width_px == 4 * scene.width_px)
    });

    // Three edits back, and on in another direction.
    let main_head = editor(&window).trail.head();
    for _ in 0..3 {
        window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
        wait(&mut window, "the document", |state| {
            state.canvas.editor.as_deref().is_some_and(|editor| editor.awaited.is_none())
        });
    }
    press(&mut window, "Brush");
    paint(&mut window, &[[0.1, 0.9], [0.3, 0.9]]);
    wait(&mut window, "the branch on the disk", is_saved);
    let branch = editor(&window).document.picture();
    let edits = editor(&window).trail.len();
    assert_ne!(editor(&window).trail.head(), main_head);
    press(&mut window, "Close the project");

    // Closed, reopened: everything is there.
    drop(window);
    let mut window = opened(home.path())?;
    wait(&mut window, "the projects", |state| !state.canvas.projects.is_empty());
    window.key_press_modifiers(Modifiers::COMMAND, Key::O);
    wait(&mut window, "the project", |state| state.canvas.editor.is_some());
    assert_eq!(editor(&window).trail.len(), edits);
    assert!(editor(&window).document.picture() == branch, "the branch is not what it was");
    press(&mut window, "Edits");
    let begin = Instant::now();
    while window.query_by_label("Go to: Enlarged").is_none() {
        assert!(begin.elapsed() < PATIENCE, "the other branch is not in the tree");
        window.step();
    }
    press(&mut window, "Go to: Enlarged");
    wait(&mut window, "the other branch", |state| {
        let editor = state.canvas.editor.as_deref();
        editor.is_some_and(|one| one.document.size.width_px == 4 * scene.width_px)
    });
    assert!(state(&window).history.entries.len() >= 3, "what was generated is in the library");
    Ok(())
}
