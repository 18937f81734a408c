//! The chooser of models, with LoRAs and the way in which a prompt is read, driven by accessible
//! names around the real engine with a tiny model.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use atelier_engine::library::HOUSE_PICTURE;
use atelier_engine::protocol::SamplerKind;
use atelier_tests::tiny_diffusion::{copy_folder, models, write_lora};
use atelier_tests::window::{Window, answer_dialogs, open_studio, settle, state, wait_until};
use egui_kittest::kittest::Queryable as _;

/// Makes what looks like an installation of another program, with one model and one LoRA.
fn installation(home: &std::path::Path) -> Result<PathBuf> {
    let web = home.join("web");
    copy_folder(&models()?.join("sd1"), &web.join("models/Stable-diffusion/tiny"))?;
    write_lora(&web.join("models/Lora/Fox.safetensors"))?;
    Ok(web)
}

fn choose(window: &mut Window, menu: &str, entry: &str) {
    window.get_by_label(menu).click();
    settle(window);
    window.get_by_label(entry).click();
    settle(window);
}

#[test]
fn a_model_of_another_program_is_found_in_place_chosen_and_painted_with() -> Result<()> {
    let home = tempfile::tempdir()?;
    let web = installation(home.path())?;
    let mut window = open_studio(home.path())?;
    settle(&mut window);
    answer_dialogs(&mut window, move |_| Some(web.clone()));
    choose(&mut window, "Model", "Add a folder of models…");
    wait_until(&mut window, "the models", |state| !state.models.pictures.found.models.is_empty());
    choose(&mut window, "Model", "tiny");
    let prompt = &state(&window).prompt;
    assert_eq!((prompt.size.width_px, prompt.sampling.sampler), (512, SamplerKind::DpmPp2m));
    assert!(window.query_by_label("3D").is_none(), "styles are the house model's");

    choose(&mut window, "Add a LoRA", "Fox");
    assert_eq!(state(&window).prompt.extras.loras.len(), 1);
    let field = window.get_by_label("Prompt");
    field.focus();
    field.type_text("a (red fox:1.3), AND snow");
    settle(&mut window);
    wait_until(&mut window, "the reading", |state| state.models.pictures.reading.tokens > 0);
    let reading = &state(&window).models.pictures.reading;
    assert_eq!(reading.weighted, [("red fox".to_owned(), 1.3)]);
    assert_eq!(reading.issues.len(), 1, "{:?}", reading.issues);
    assert!(window.query_by_label_contains("this is read as a word: AND").is_some());

    window.get_by_label("Generate").click();
    wait_until(&mut window, "the picture", |state| {
        !state.history.entries.is_empty() && state.jobs.jobs.is_empty()
    });
    let recipe = state(&window).history.entries[0].recipe.picture().context("a picture")?.clone();
    assert_eq!(recipe.extras.loras[0].unet, 1.0);
    assert_eq!(recipe.model.sha256.len(), 64);

    choose(&mut window, "Model", "House model");
    let prompt = &state(&window).prompt;
    assert!(prompt.extras.is_empty() && prompt.size.width_px == 256);
    // The recipe brings the model and the LoRA back, because both are in the person's own folders.
    window.get_by_label_contains("a (red fox:1.3), AND snow, seed").click();
    settle(&mut window);
    window.get_by_label("Use these settings").click();
    settle(&mut window);
    let pictures = &state(&window).models.pictures;
    assert!(pictures.chosen().is_some());
    assert_eq!(state(&window).prompt.extras.loras.len(), 1);
    Ok(())
}

#[test]
fn the_chosen_model_and_its_folder_are_there_after_a_restart_and_a_lost_one_is_not_fatal()
-> Result<()> {
    let home = tempfile::tempdir()?;
    let web = installation(home.path())?;
    let mut window = open_studio(home.path())?;
    settle(&mut window);
    let folder = web.clone();
    answer_dialogs(&mut window, move |_| Some(folder.clone()));
    choose(&mut window, "Model", "Add a folder of models…");
    wait_until(&mut window, "the models", |state| !state.models.pictures.found.models.is_empty());
    choose(&mut window, "Model", "tiny");
    // Settings are written a moment after the last change.
    std::thread::sleep(std::time::Duration::from_millis(900));
    settle(&mut window);
    drop(window);

    let mut window = open_studio(home.path())?;
    wait_until(&mut window, "the model", |state| state.models.pictures.chosen().is_some());
    drop(window);

    std::fs::remove_dir_all(&web)?;
    let mut window = open_studio(home.path())?;
    wait_until(&mut window, "the house model", |state| {
        !state.models.pictures.searching && state.models.pictures.chosen.is_none()
    });
    assert_eq!(
        state(&window).models.ready().map(|info| info.model.name.as_str()).unwrap_or(HOUSE_PICTURE),
        HOUSE_PICTURE
    );
    assert_eq!(state(&window).prompt.size.width_px, 256);
    Ok(())
}

#[test]
fn words_that_the_house_model_never_saw_are_told_only_while_it_paints() -> Result<()> {
    let home = tempfile::tempdir()?;
    let web = installation(home.path())?;
    let settings = serde_json::json!({
        "draft": "an ornithopter",
        "models": { "folders": [web], "chosen": web.join("models/Stable-diffusion/tiny") },
    });
    std::fs::write(home.path().join("settings.json"), serde_json::to_vec(&settings)?)?;
    let mut window = open_studio(home.path())?;
    wait_until(&mut window, "both models", |state| {
        state.models.ready().is_some() && state.models.pictures.reading.tokens > 0
    });
    settle(&mut window);
    assert!(window.query_by_label_contains("the model never saw").is_none());
    // The shapes are offered at the size of the model that paints.
    assert!(window.query_by_label("Size 1:1, 512 × 512 pixels").is_some());
    choose(&mut window, "Model", "House model");
    assert!(window.query_by_label_contains("the model never saw").is_some());
    Ok(())
}
