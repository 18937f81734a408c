//! The queue: generating while a job runs, reordering, cancelling what waits.

use std::time::Duration;

use atelier_tests::window::{Window, open_painting, settle, state, wait_until};
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;

fn generate(window: &mut Window, prompt: &str) {
    window.get_by_label("Prompt").focus();
    window.step();
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    window.step();
    window.get_by_label("Prompt").type_text(prompt);
    window.step();
    window.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.step();
}

fn waiting(window: &Window) -> Vec<String> {
    state(window).jobs.waiting().map(|job| job.words()).collect()
}

#[test]
fn what_is_generated_while_a_job_runs_waits_and_can_be_reordered_and_cancelled()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), Duration::from_millis(60))?;
    settle(&mut window);
    generate(&mut window, "one");
    wait_until(&mut window, "the start", |state| state.jobs.running().is_some());
    generate(&mut window, "two");
    generate(&mut window, "three");
    generate(&mut window, "four");
    assert_eq!(waiting(&window), ["two", "three", "four"]);

    window.get_by_label("Queue").click();
    settle(&mut window);
    window.get_by_label("Move up: four").click();
    settle(&mut window);
    assert_eq!(waiting(&window), ["two", "four", "three"]);
    window.get_by_label("Move down: two").click();
    settle(&mut window);
    assert_eq!(waiting(&window), ["four", "two", "three"]);
    window.get_by_label("Cancel: two").click();
    wait_until(&mut window, "the cancelling", |state| state.jobs.waiting().count() == 2);
    assert_eq!(waiting(&window), ["four", "three"]);
    window.get_by_label("Cancel: one").click();
    wait_until(&mut window, "the next job", |state| {
        state.jobs.running().is_some_and(|job| job.words() == "four")
    });
    assert_eq!(waiting(&window), ["three"]);
    Ok(())
}
