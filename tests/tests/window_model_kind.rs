//! What a checkpoint is, shown and said otherwise in the window, driven by accessible names around
//! the real engine with tiny models.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use atelier::action::{Action, ModelsAction};
use atelier_engine::protocol::{PredictionChoice, SamplerKind, VariantChoice};
use atelier_tests::seeded::{Named, seeded, write_safetensors};
use atelier_tests::tiny_diffusion::{copy_folder, models};
use atelier_tests::window::{Window, act, open_studio, settle, state, wait_until};
use egui_kittest::kittest::Queryable as _;

/// Puts the models into what looks like an installation of another program, the first of them chosen.
fn install(home: &Path, names: &[(&str, &str)]) -> Result<PathBuf> {
    let folder = home.join("web/models/Stable-diffusion");
    std::fs::create_dir_all(&folder)?;
    for (model, name) in names {
        copy_folder(&models()?.join(model), &folder.join(name))?;
    }
    Ok(folder)
}

fn open(home: &Path, chosen: &Path) -> Result<Window> {
    let settings = home.join("settings.json");
    if !settings.exists() {
        let web = home.join("web");
        let text = serde_json::json!({
            "draft": "a red fox",
            "models": { "folders": [web], "chosen": chosen },
        });
        std::fs::write(settings, serde_json::to_vec(&text)?)?;
    }
    let mut window = open_studio(home)?;
    wait_until(&mut window, "the model", |state| state.models.pictures.chosen().is_some());
    settle(&mut window);
    Ok(window)
}

fn open_menu(window: &mut Window, menu: &str) {
    window.get_by_label(menu).click();
    settle(window);
}

fn choose(window: &mut Window, menu: &str, entry: &str) {
    open_menu(window, menu);
    window.get_by_label(entry).click();
    settle(window);
}

#[test]
fn what_a_checkpoint_is_can_be_said_otherwise_and_is_remembered_over_a_restart() -> Result<()> {
    let home = tempfile::tempdir()?;
    let folder = install(home.path(), &[("sd1", "my-turbo-mix")])?;
    let chosen = folder.join("my-turbo-mix");
    let mut window = open(home.path(), &chosen)?;
    assert!(window.query_by_label_contains("Family: ").is_some());
    let prompt = &state(&window).prompt;
    assert_eq!((prompt.sampling.sampler, prompt.sampling.steps), (SamplerKind::EulerA, 4));

    open_menu(&mut window, "Variant");
    assert!(window.query_by_label("Automatic (found: Turbo)").is_some());
    assert!(window.query_by_label("Told by the file's name").is_some());
    window.get_by_label("Standard").click();
    settle(&mut window);
    let prompt = &state(&window).prompt;
    assert_eq!((prompt.sampling.sampler, prompt.sampling.steps), (SamplerKind::DpmPp2m, 25));
    // What does not follow from the prediction stays as the person has it.
    choose(&mut window, "Variant", "Lightning");
    choose(&mut window, "Prediction", "Velocity (v)");
    let prompt = &state(&window).prompt;
    assert_eq!((prompt.sampling.sampler, prompt.sampling.steps), (SamplerKind::Euler, 4));
    assert_eq!(prompt.extras.prediction, Some(PredictionChoice::V));
    window.get_by_label("Generate").click();
    wait_until(&mut window, "the picture", |state| {
        !state.history.entries.is_empty() && state.jobs.jobs.is_empty()
    });
    let recipe = state(&window).history.entries[0].recipe.picture().context("a picture")?.clone();
    assert_eq!(recipe.extras.prediction, Some(PredictionChoice::V));
    assert_eq!(recipe.sampling.sampler, SamplerKind::Euler);
    // Settings are written a moment after the last change.
    std::thread::sleep(Duration::from_millis(900));
    settle(&mut window);
    drop(window);

    let mut window = open(home.path(), &chosen)?;
    let choice = state(&window).model_choice();
    assert_eq!(choice.variant, Some(VariantChoice::Lightning));
    assert_eq!(choice.prediction, Some(PredictionChoice::V));
    let prompt = &state(&window).prompt;
    assert_eq!((prompt.sampling.sampler, prompt.sampling.steps), (SamplerKind::Euler, 4));
    choose(&mut window, "Prediction", "Automatic (found: Noise (epsilon))");
    assert_eq!(state(&window).prompt.extras.prediction, None);

    // A recipe says for its own picture what the net predicts; what is remembered stays.
    window.get_by_label_contains("a red fox, seed").click();
    settle(&mut window);
    window.get_by_label("Use these settings").click();
    settle(&mut window);
    assert_eq!(state(&window).prompt.extras.prediction, Some(PredictionChoice::V));
    assert_eq!(state(&window).models.pictures.choice_of(&chosen).prediction, None);

    choose(&mut window, "Variant", "Automatic (found: Turbo)");
    assert!(state(&window).models.pictures.choices.is_empty());
    assert_eq!(state(&window).prompt.sampling.sampler, SamplerKind::EulerA);
    choose(&mut window, "Model", "House model");
    assert!(window.query_by_label("Variant").is_none(), "the house model is one of its own");
    assert!(window.query_by_label("Prediction").is_none());
    assert!(state(&window).prompt.extras.is_empty());
    Ok(())
}

#[test]
fn only_what_shapes_leave_open_is_offered_and_the_rest_is_refused_in_a_sentence() -> Result<()> {
    let home = tempfile::tempdir()?;
    let folder = install(home.path(), &[("lcm", "consistent")])?;
    let mut window = open(home.path(), &folder.join("consistent"))?;
    open_menu(&mut window, "Variant");
    assert!(window.query_by_label("Automatic (found: LCM)").is_some());
    assert!(window.query_by_label("Told by the shapes of its tensors").is_some());
    assert!(
        window.query_by_label("Standard").is_none() && window.query_by_label("Turbo").is_none()
    );
    window.get_by_label("LCM").click();
    settle(&mut window);
    let before = state(&window).prompt.sampling;
    let turbo = ModelsAction::SetVariant(Some(VariantChoice::Turbo));
    act(&mut window, Action::Models(turbo));
    settle(&mut window);
    assert!(window.query_by_label_contains("The variant cannot be Turbo").is_some());
    assert_eq!(state(&window).model_choice().variant, Some(VariantChoice::Lcm));
    assert_eq!(state(&window).prompt.sampling, before);
    Ok(())
}

#[test]
fn the_size_of_sd_2_follows_what_its_net_is_said_to_predict() -> Result<()> {
    let home = tempfile::tempdir()?;
    let folder = install(home.path(), &[])?;
    let net = "model.diffusion_model.input_blocks";
    // The tensors alone by which it is recognised; what it predicts stands in one that is not there.
    let tensors: Vec<Named> = [
        ("0.0.weight", vec![1, 4, 1, 1]),
        ("1.0.in_layers.0.weight", vec![1]),
        ("1.1.transformer_blocks.0.attn2.to_k.weight", vec![1, 1024]),
    ]
    .map(|(name, shape)| (format!("{net}.{name}"), shape.clone(), seeded(name, &shape)))
    .into();
    let file = folder.join("second.safetensors");
    write_safetensors(&file, &tensors)?;
    let mut window = open(home.path(), &file)?;
    let size = |window: &Window| {
        let size = state(window).prompt.size;
        [size.width_px, size.height_px]
    };
    assert!(window.query_by_label("Family: SD 2.x").is_some());
    choose(&mut window, "Variant", "Lightning");
    choose(&mut window, "Prediction", "Noise (epsilon)");
    // The longest names fit beside each other, within the panel.
    let right = |label: &str| window.get_by_label(label).rect().right();
    assert!(right("Variant") < window.get_by_label("Prediction").rect().left());
    assert!(right("Prediction") <= right("Model") + 0.5, "{}", right("Prediction"));
    choose(&mut window, "Variant", "Standard");
    assert_eq!(size(&window), [512, 512]);
    choose(&mut window, "Prediction", "Velocity (v)");
    assert_eq!(size(&window), [768, 768]);
    // The shapes are offered at that size.
    assert!(window.query_by_label("Size 1:1, 768 × 768 pixels").is_some());
    choose(&mut window, "Prediction", "Automatic (found: cannot be told)");
    assert_eq!(size(&window), [512, 512]);
    Ok(())
}
