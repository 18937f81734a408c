//! What outlives the window: results, the trash, requests that were not finished, recipes in
//! pictures.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use atelier::state::Shown;
use atelier_engine::protocol::{DeviceChoice, ModelRef, NoiseSource, PictureRequest, Pixels};
use atelier_engine::store::png;
use atelier_tests::window::{Window, drop_file, open_painting, settle, state, wait_until};
use egui_kittest::kittest::Queryable as _;

const FAST: Duration = Duration::from_millis(1);

fn paint(window: &mut Window, example: &str) {
    window.get_by_label(example).click();
    wait_until(window, "the picture", |state| {
        !state.history.entries.is_empty() && state.jobs.jobs.is_empty()
    });
}

#[test]
fn the_film_strip_survives_a_restart() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    paint(&mut window, "a red fox in the snow");
    let seed = state(&window).history.entries[0].recipe.seed();
    drop(window);

    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    wait_until(&mut window, "the picture", |state| {
        state.canvas.result().is_some_and(|id| state.canvas.picture(id).is_some())
    });
    let entry = &state(&window).history.entries[0];
    assert_eq!((entry.recipe.seed(), state(&window).history.entries.len()), (seed, 1));
    let name = format!("a red fox in the snow, seed {seed}");
    assert!(window.query_by_label(&name).is_some());
    assert!(state(&window).messages.offers.unfinished.is_empty());
    Ok(())
}

#[test]
fn closing_asks_nothing_and_what_was_unfinished_is_offered_again() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), Duration::from_millis(50))?;
    settle(&mut window);
    window.get_by_label("a red fox in the snow").click();
    wait_until(&mut window, "the start", |state| state.jobs.running().is_some());
    window.get_by_label("Generate").click();
    settle(&mut window);
    assert_eq!(state(&window).jobs.jobs.len(), 2);
    let seeds: Vec<u64> =
        state(&window).jobs.jobs.iter().filter_map(|job| Some(job.picture()?.seed)).collect();
    drop(window);

    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    assert!(window.query_by_label("2 requests from last time are unfinished").is_some());
    window.get_by_label("Continue").click();
    wait_until(&mut window, "both pictures", |state| {
        state.history.entries.len() == 2 && state.jobs.jobs.is_empty()
    });
    let mut made: Vec<u64> =
        state(&window).history.entries.iter().map(|entry| entry.recipe.seed()).collect();
    made.reverse();
    assert_eq!(made, seeds);
    drop(window);

    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    assert!(state(&window).messages.offers.unfinished.is_empty());
    Ok(())
}

#[test]
fn deleting_moves_the_file_to_the_trash_and_undo_brings_it_back() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    paint(&mut window, "a red fox in the snow");
    let file = state(&window).history.entries[0].file.clone().context("it is saved")?;
    assert!(file.is_file());
    window.get_by_label("Delete").click();
    settle(&mut window);
    wait_for_file(&mut window, &file, false);
    window.get_by_label("Undo").click();
    settle(&mut window);
    wait_for_file(&mut window, &file, true);
    assert!(matches!(state(&window).canvas.shown, Shown::Result(_)));
    Ok(())
}

fn wait_for_file(window: &mut Window, file: &Path, is_there: bool) {
    for _ in 0..1_000 {
        if file.is_file() == is_there {
            return;
        }
        window.step();
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited in vain for {}", file.display());
}

#[test]
fn a_dropped_picture_offers_its_recipe() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    let mut recipe = state(&window).prompt.request(ModelRef::named("x"), DeviceChoice::Auto);
    recipe.prompt.text = "a green cactus".to_owned();
    recipe.seed = 99;
    recipe.sampling.steps = 33;
    let pixels = Pixels::new(256, 256, vec![200; 256 * 256 * 4]).context("it fits")?;
    let file = home.path().join("dropped.png");
    std::fs::write(&file, png::encode(&pixels, &recipe, "CC0-1.0")?)?;

    drop_file(&mut window, file);
    wait_until(&mut window, "the offer", |state| state.messages.offers.recipe.is_some());
    settle(&mut window);
    assert!(window.query_by_label("Recipe found in dropped.png").is_some());
    window.get_by_label("Use recipe").click();
    settle(&mut window);
    let prompt = &state(&window).prompt;
    assert_eq!((prompt.text.as_str(), prompt.seed.value), ("a green cactus", 99));
    assert_eq!(prompt.sampling.steps, 33);
    assert!(prompt.seed.locked);
    Ok(())
}

#[test]
fn a_dropped_file_that_is_no_picture_gets_a_sentence() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    let file = home.path().join("notes.png");
    std::fs::write(&file, "no picture at all")?;
    drop_file(&mut window, file);
    wait_until(&mut window, "the message", |state| !state.messages.toasts.is_empty());
    assert!(!state(&window).messages.toasts[0].hint.is_empty());
    assert!(state(&window).messages.offers.recipe.is_none());
    Ok(())
}

#[test]
fn the_previous_picture_is_compared_by_a_slider() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    window.get_by_label("More pictures").click();
    settle(&mut window);
    window.get_by_label("a red fox in the snow").click();
    wait_until(&mut window, "both pictures", |state| {
        state.history.entries.len() == 2 && state.jobs.jobs.is_empty()
    });
    settle(&mut window);
    window.get_by_label("Compare with the previous picture").click();
    settle(&mut window);
    assert_eq!(state(&window).canvas.compare, Some(0.5));
    assert!(window.query_by_label("Compare position").is_some());
    window.key_press(egui::Key::Escape);
    settle(&mut window);
    assert_eq!(state(&window).canvas.compare, None);
    Ok(())
}

/// Drops a picture with this recipe and waits for what the window says.
fn drop_recipe(window: &mut Window, home: &Path, recipe: &PictureRequest) -> anyhow::Result<()> {
    let pixels = Pixels::new(256, 256, vec![200; 256 * 256 * 4]).context("it fits")?;
    let file = home.join("dropped.png");
    std::fs::write(&file, png::encode(&pixels, recipe, "CC0-1.0")?)?;
    let before = state(window).messages.toasts.len();
    drop_file(window, file);
    wait_until(window, "an answer", |state| {
        state.messages.offers.recipe.is_some() || state.messages.toasts.len() > before
    });
    settle(window);
    Ok(())
}

#[test]
fn a_strangers_recipe_shows_the_places_that_it_names_and_none_is_opened() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    let own = state(&window).prompt.request(ModelRef::named("house-picture"), DeviceChoice::Auto);
    let noise = home.path().join("noise.safetensors");
    std::fs::write(&noise, "what would be read")?;
    for (model, shown) in [
        ("/somewhere/models/evil", "which is not opened: /somewhere/models/evil"),
        ("..\\..\\secret", "which is not opened: ..\\..\\secret"),
        ("\\\\server\\share\\model", "which is not opened: \\\\server\\share\\model"),
        ("~/.ssh", "which is not opened: ~/.ssh"),
        ("C:model", "which is not opened: C:model"),
        ("sdxl-turbo", "made with another model: sdxl-turbo"),
        // Signs that would write the name backwards or on another line.
        ("a\u{202e}gnp.x/\nb", "which is not opened: a?gnp.x/?b"),
    ] {
        let mut recipe = own.clone();
        recipe.prompt.text = "a red fox".to_owned();
        recipe.model = ModelRef::named(model);
        recipe.noise = NoiseSource::File(noise.clone());
        recipe.prompt.styles = vec!["flat style".to_owned(), "sly style".to_owned()];
        drop_recipe(&mut window, home.path(), &recipe)?;
        assert!(window.query_by_label_contains(shown).is_some(), "{model:?} is not shown");
        let line = format!("noise file on this computer, which is not opened: {}", noise.display());
        assert!(window.query_by_label_contains(&line).is_some());
        window.get_by_label("Use recipe").click();
        settle(&mut window);
        // What steers the picture is seen, and what is asked for next names no place.
        let prompt = &state(&window).prompt;
        assert!(prompt.text.contains("sly style"), "{}", prompt.text);
        window.get_by_label("Generate").click();
        window.step();
        let asked = state(&window).jobs.jobs.first().and_then(|job| job.picture().cloned());
        if let Some(asked) = asked {
            assert_eq!(
                (asked.model.name.as_str(), asked.noise),
                ("house-picture", NoiseSource::Seed)
            );
        }
        wait_until(&mut window, "the picture", |state| state.jobs.jobs.is_empty());
        settle(&mut window);
    }
    Ok(())
}

#[test]
fn a_recipe_of_absurd_numbers_is_answered_with_a_sentence() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    let own = state(&window).prompt.request(ModelRef::named("house-picture"), DeviceChoice::Auto);
    let mut recipe = own;
    recipe.prompt.text = "狐".repeat(20_000);
    recipe.model = ModelRef::named("x".repeat(5_000));
    recipe.count = 10_000;
    drop_recipe(&mut window, home.path(), &recipe)?;
    if state(&window).messages.offers.recipe.is_some() {
        let card = window.get_by_label_contains("made with another model").rect();
        assert!(card.height() < 400.0, "the card is {} high", card.height());
        window.get_by_label("Use recipe").click();
        settle(&mut window);
        assert!(state(&window).prompt.count <= 16);
    } else {
        assert!(!state(&window).messages.toasts[0].hint.is_empty());
    }
    Ok(())
}

#[test]
fn what_a_picture_will_take_is_said_before_it_is_asked_for() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), FAST)?;
    settle(&mut window);
    assert!(window.query_by_label_contains("82 MB of memory").is_some());
    Ok(())
}
