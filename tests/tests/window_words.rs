//! The line that names the words which the model never saw, and the styles that it knows.

use std::path::Path;
use std::time::Duration;

use atelier::i18n::EXAMPLES;
use atelier_engine::library::Models;
use atelier_engine::models::house_picture::Lexicon;
use atelier_tests::window::{open_painting, settle, state};
use egui_kittest::kittest::Queryable as _;

#[test]
fn unknown_words_are_named_while_typing() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), Duration::ZERO)?;
    settle(&mut window);
    window.get_by_label("Prompt").focus();
    settle(&mut window);
    window.get_by_label("Prompt").type_text("a red fox");
    settle(&mut window);
    assert!(window.query_by_label_contains("No effect").is_none());
    window.get_by_label("Prompt").type_text(" and a zorblax");
    settle(&mut window);
    assert!(state(&window).prompt.unknown.contains(&"zorblax".to_owned()));
    assert!(window.query_by_label_contains("No effect, the model never saw").is_some());
    Ok(())
}

#[test]
fn a_style_chip_puts_the_models_word_into_the_request() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), Duration::ZERO)?;
    settle(&mut window);
    window.get_by_label("3D").click();
    settle(&mut window);
    assert_eq!(state(&window).prompt.styles, ["3d style"]);
    window.get_by_label("3D").click();
    settle(&mut window);
    assert!(state(&window).prompt.styles.is_empty());
    Ok(())
}

#[test]
fn size_count_and_seed_are_set_by_name() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), Duration::ZERO)?;
    settle(&mut window);
    window.get_by_label("Size 2:3, 224 × 320 pixels").click();
    window.get_by_label("More pictures").click();
    settle(&mut window);
    window.get_by_label("Keep this seed").click();
    settle(&mut window);
    let prompt = &state(&window).prompt;
    assert_eq!((prompt.size.width_px, prompt.size.height_px, prompt.count), (224, 320, 2));
    assert!(prompt.seed.locked);
    let seed = prompt.seed.value;
    window.get_by_label("Roll a new seed").click();
    settle(&mut window);
    assert_ne!(state(&window).prompt.seed.value, seed);
    Ok(())
}

#[test]
fn advanced_settings_open_and_change_the_sampler() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = open_painting(home.path(), Duration::ZERO)?;
    settle(&mut window);
    assert!(window.query_by_label("Steps").is_none());
    window.get_by_label("Advanced").click();
    settle(&mut window);
    window.get_by_label("UniPC").scroll_to_me();
    settle(&mut window);
    window.get_by_label("UniPC").click();
    settle(&mut window);
    assert_eq!(state(&window).prompt.sampling.sampler.id(), "unipc");
    assert!(window.query_by_label("Steps").is_some());
    Ok(())
}

#[test]
fn every_example_prompt_is_made_of_words_that_the_house_model_knows() -> anyhow::Result<()> {
    let files = Models::standard().find("house-picture")?;
    let lexicon = Lexicon::from_json(&files.lexicon_json, Path::new("lexicon.json"))?;
    for prompt in EXAMPLES.iter().flatten() {
        let unknown: Vec<&str> =
            lexicon.unknown_words(prompt).into_iter().map(|range| &prompt[range]).collect();
        assert!(unknown.is_empty(), "{prompt}: {unknown:?}");
    }
    Ok(())
}
