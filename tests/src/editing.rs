//! A window in which a picture is edited, and what a person's hand does there.

use std::time::Duration;

use egui::{Event, Modifiers, PointerButton, Pos2};
use egui_kittest::kittest::Queryable as _;

use crate::window::{Window, open_painting, settle, state, wait_until};

/// How long a step of the model takes that paints in tests.
pub const FAST: Duration = Duration::from_millis(1);

/// Opens a window with one picture in it and begins to edit it.
pub fn edit_one(home: &std::path::Path) -> anyhow::Result<Window> {
    edit_one_painted(home, FAST)
}

/// Does what [`edit_one`] does with a model whose steps take `step`.
pub fn edit_one_painted(home: &std::path::Path, step: Duration) -> anyhow::Result<Window> {
    let mut window = open_painting(home, step)?;
    settle(&mut window);
    window.get_by_label("a red fox in the snow").click();
    wait_until(&mut window, "the picture", |state| {
        state.history.entries.len() == 1 && state.jobs.jobs.is_empty()
    });
    settle(&mut window);
    window.get_by_label("Edit this picture").click();
    wait_until(&mut window, "the project", |state| {
        let editor = state.canvas.editor.as_deref();
        editor.is_some_and(|editor| editor.project.path.is_some() && editor.project.unsaved == 0)
    });
    Ok(window)
}

/// Returns where on the screen a place of the document is, given as shares of its sides.
pub fn place(window: &Window, [x, y]: [f32; 2]) -> Pos2 {
    let canvas = window.get_by_label_contains("Canvas: ").rect();
    let editor = state(window).canvas.editor.as_deref().expect("a picture is edited");
    let size = editor.size_px();
    let room = [canvas.width() - 48.0, canvas.height() - 48.0];
    let (scale, _) = editor.view.place(size, room);
    let at = |share: f32, side: f32| (share - 0.5) * side * scale;
    canvas.center() + egui::vec2(at(x, size[0]), at(y, size[1]))
}

/// Presses or lets go the first button of the pointer.
pub fn button(window: &mut Window, pos: Pos2, pressed: bool, modifiers: Modifiers) {
    let event = Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers };
    window.input_mut().events.push(event);
    window.step();
}

/// Draws with the pen from place to place.
pub fn draw(window: &mut Window, way: &[[f32; 2]], modifiers: Modifiers) {
    let way: Vec<Pos2> = way.iter().map(|at| place(window, *at)).collect();
    window.input_mut().events.push(Event::PointerMoved(way[0]));
    window.step();
    button(window, way[0], true, modifiers);
    for at in &way[1..] {
        window.input_mut().events.push(Event::PointerMoved(*at));
        window.step();
    }
    button(window, way[way.len() - 1], false, modifiers);
    settle(window);
}

/// Returns how many edits there are.
pub fn edits(window: &Window) -> usize {
    state(window).canvas.editor.as_deref().map_or(0, |editor| editor.trail.len())
}

/// Returns the bytes of the edited picture as it is seen.
pub fn picture(window: &Window) -> Vec<u8> {
    let editor = state(window).canvas.editor.as_deref().expect("a picture is edited");
    editor.document.picture().rgba
}
