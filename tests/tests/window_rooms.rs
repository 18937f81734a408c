//! The rooms of the studio: their tabs, their shortcuts, and which one is open at the next start.

use std::time::Duration;

use atelier::state::Room;
use atelier_tests::window::{open_painting, settle, state, wait_until};
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;

#[test]
fn a_tab_and_its_shortcut_open_a_room() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), Duration::ZERO)?;
    settle(&mut window);
    assert_eq!(state(&window).shell.room, Room::Pictures);
    window.get_by_label("Sound").click();
    settle(&mut window);
    assert_eq!(state(&window).shell.room, Room::Sound);
    assert!(window.query_by_label("Generate").is_none());
    for (key, room) in
        [(Key::Num2, Room::Words), (Key::Num1, Room::Pictures), (Key::Num3, Room::Sound)]
    {
        window.key_press_modifiers(Modifiers::COMMAND, key);
        settle(&mut window);
        assert_eq!(state(&window).shell.room, room);
    }
    Ok(())
}

#[test]
fn keys_of_one_room_do_nothing_in_another() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), Duration::from_millis(1))?;
    settle(&mut window);
    window.get_by_label("a red fox in the snow").click();
    wait_until(&mut window, "the picture", |state| {
        state.history.entries.len() == 1 && state.jobs.jobs.is_empty()
    });
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num3);
    settle(&mut window);
    window.key_press(Key::Delete);
    settle(&mut window);
    assert_eq!(state(&window).history.entries.len(), 1);
    Ok(())
}
