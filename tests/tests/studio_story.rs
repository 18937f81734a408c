//! One evening in the studio, with the house models: a story, a picture of it, a tune for the picture,
//! all of it kept.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use atelier::state::{AppState, Recipe};
use atelier_engine::audio::recipe::recipe_of;
use atelier_engine::library::{HOUSE_COMPOSER, HOUSE_PICTURE, HOUSE_WRITER, Models};
use atelier_engine::store::png;
use atelier_tests::window::{Window, answer_dialogs, open_studio, settle, state};
use egui_kittest::kittest::Queryable as _;

/// What the story begins with.
const START: &str = "Tell a story about a goat who wants to fly";

/// The real models take their time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn has_models() -> bool {
    let models = Models::standard();
    let are_there = models.locate(HOUSE_PICTURE).is_ok()
        && [HOUSE_WRITER, HOUSE_COMPOSER].iter().all(|name| models.locate_language(name).is_ok());
    if !are_there {
        println!("skipped: the house models are not here");
    }
    are_there
}

fn wait_for(window: &mut Window, what: &str, reached: impl Fn(&AppState) -> bool) -> Result<()> {
    let begin = Instant::now();
    while !reached(state(window)) {
        let said: Vec<String> =
            state(window).messages.toasts.iter().map(|toast| toast.text.clone()).collect();
        ensure!(begin.elapsed() < PATIENCE, "waited in vain for {what}; said: {said:?}");
        window.step();
        std::thread::sleep(Duration::from_millis(5));
    }
    settle(window);
    Ok(())
}

fn is_idle(state: &AppState) -> bool {
    state.jobs.jobs.is_empty()
}

fn counts(state: &AppState) -> (usize, usize) {
    let is_sound = |recipe: &Recipe| matches!(recipe, Recipe::Sound(_));
    let sounds = state.history.entries.iter().filter(|entry| is_sound(&entry.recipe)).count();
    (state.history.entries.len() - sounds, sounds)
}

/// Waits for a file that is being written.
fn wait_for_file(window: &mut Window, file: &Path) -> Result<()> {
    wait_for(window, &file.display().to_string(), |_| file.is_file())
}

#[test]
fn a_story_gets_its_picture_and_the_picture_its_tune_and_all_is_found_again() -> Result<()> {
    if !has_models() {
        return Ok(());
    }
    let home = tempfile::tempdir()?;
    let out: PathBuf = home.path().join("exported");
    std::fs::create_dir(&out)?;
    let mut window = open_studio(home.path())?;
    settle(&mut window);
    let to = out.clone();
    answer_dialogs(&mut window, move |name| Some(to.join(name)));

    // A story opening.
    window.get_by_label("Words").click();
    settle(&mut window);
    window.get_by_label("Message").focus();
    settle(&mut window);
    window.get_by_label("Message").type_text(START);
    settle(&mut window);
    window.get_by_label("Send").click();
    settle(&mut window);
    wait_for(&mut window, "the story", |state| is_idle(state) && state.words.open.is_some())?;
    let open = state(&window).words.open.as_ref().context("the conversation is open")?;
    let story = open.branch().last().map(|message| message.text.clone()).context("an answer")?;
    ensure!(story.split_whitespace().count() > 20, "a story is more than {story:?}");

    // One paragraph of it as a picture.
    let illustrate: Vec<_> = window.get_all_by_label_contains("Illustrate this: ").collect();
    illustrate.first().context("a paragraph can be illustrated")?.click_accesskit();
    drop(illustrate);
    settle(&mut window);
    wait_for(&mut window, "the picture", |state| is_idle(state) && counts(state) == (1, 0))?;
    ensure!(window.query_by_label_contains("Illustration: ").is_some(), "it stands in the story");
    window.get_by_label("Save conversation as…").click();
    settle(&mut window);
    let has_text = |file: &Path| file.extension().is_some_and(|ending| ending == "md");
    wait_for(&mut window, "the story's file", |_| find(&out, has_text).is_some())?;
    let saved = std::fs::read_to_string(find(&out, has_text).context("saved")?)?;
    ensure!(saved.contains(START) && saved.contains(story.trim_end()), "the story is in its file");

    // A tune for the picture.
    window.get_by_label("Pictures").click();
    settle(&mut window);
    window.get_by_label("Make a tune for this picture").click();
    settle(&mut window);
    window.get_by_label("Compose").click();
    settle(&mut window);
    wait_for(&mut window, "the tune", |state| {
        is_idle(state)
            && state.sound.piece.as_ref().is_some_and(|piece| piece.look.loudness.is_some())
    })?;

    // It plays while another picture is painted.
    window.get_by_label("Play").click();
    settle(&mut window);
    window.get_by_label("Pictures").click();
    settle(&mut window);
    let before = state(&window).sound.player.head_secs;
    window.get_by_label("Prompt").focus();
    settle(&mut window);
    window.get_by_label("Prompt").type_text("a red fox in the snow");
    settle(&mut window);
    window.get_by_label("Generate").click();
    settle(&mut window);
    wait_for(&mut window, "another picture", |state| is_idle(state) && counts(state) == (2, 1))?;
    let player = &state(&window).sound.player;
    ensure!(player.is_playing && player.head_secs > before, "the tune goes on: {player:?}");

    // Picture and tune are saved beside the story.
    window.get_by_label("Save as…").click();
    settle(&mut window);
    let is_picture = |file: &Path| file.extension().is_some_and(|ending| ending == "png");
    wait_for(&mut window, "the picture's file", |_| find(&out, is_picture).is_some())?;
    let recipe = png::read_recipe_file(&find(&out, is_picture).context("saved")?)?;
    ensure!(recipe.request.is_some(), "the picture carries its recipe");
    window.get_by_label("Sound").click();
    settle(&mut window);
    window.get_by_label("Export").click();
    settle(&mut window);
    window.get_by_label("Export as FLAC…").click();
    settle(&mut window);
    let is_tune = |file: &Path| file.extension().is_some_and(|ending| ending == "flac");
    wait_for(&mut window, "the tune's file", |_| find(&out, is_tune).is_some())?;
    let tune = find(&out, is_tune).context("saved")?;
    wait_for_file(&mut window, &tune)?;
    ensure!(recipe_of(&tune)?.request.is_some(), "the tune carries its recipe");

    // Closed and opened again, all of it is there.
    let pictures: Vec<String> =
        state(&window).history.entries.iter().map(|entry| entry.recipe.words()).collect();
    drop(window);
    let mut window = open_studio(home.path())?;
    settle(&mut window);
    wait_for(&mut window, "the library", |state| counts(state) == (2, 1))?;
    let found: Vec<String> =
        state(&window).history.entries.iter().map(|entry| entry.recipe.words()).collect();
    assert_eq!(found, pictures);
    window.get_by_label("Words").click();
    settle(&mut window);
    wait_for(&mut window, "the story", |state| {
        state
            .words
            .open
            .as_ref()
            .is_some_and(|open| open.branch().last().is_some_and(|message| message.text == story))
    })?;
    Ok(())
}

/// Finds a file in a folder.
fn find(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?;
    files.flatten().map(|entry| entry.path()).find(|path| wanted(path))
}
