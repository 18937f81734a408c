//! Holds the files to the rules of the house: their length, their size, what they may not say.

use std::path::Path;

use atelier_tests::source::{files, root, rust_files};

const MOST_LINES: usize = 700;
const MOST_LINES_OF_MAIN: usize = 60;
const MOST_BYTES_IN_ALL: u64 = 60_000_000;

#[test]
fn no_rust_file_is_longer_than_700_lines() -> anyhow::Result<()> {
    let files = rust_files("")?;
    assert!(files.len() > 10, "only {} Rust files were found", files.len());
    for (file, text) in files {
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines", file.display());
    }
    Ok(())
}

#[test]
fn main_only_chooses_between_window_and_command_line() -> anyhow::Result<()> {
    let lines = std::fs::read_to_string(root().join("app/src/main.rs"))?.lines().count();
    assert!(lines <= MOST_LINES_OF_MAIN, "main.rs has {lines} lines");
    Ok(())
}

#[test]
fn the_state_of_the_window_has_at_most_ten_parts() -> anyhow::Result<()> {
    let text = std::fs::read_to_string(root().join("app/src/state/mod.rs"))?;
    let state = text.split("pub struct AppState {").nth(1).and_then(|rest| rest.split('}').next());
    let parts = state.map(|body| body.lines().filter(|line| line.contains("pub ")).count());
    assert!(parts.is_some_and(|parts| (1..=10).contains(&parts)), "AppState has {parts:?} parts");
    Ok(())
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() -> anyhow::Result<()> {
    // Written in two pieces, or this file would be the first to be found.
    let forbidden = [concat!("#[al", "low("), concat!("#![al", "low(")];
    for (file, text) in rust_files("")? {
        for (index, line) in text.lines().enumerate() {
            let is_found = forbidden.iter().any(|attribute| line.contains(attribute));
            assert!(!is_found, "{}:{}: {}", file.display(), index + 1, line.trim());
        }
    }
    Ok(())
}

#[test]
fn all_files_together_stay_small_enough_to_clone() -> anyhow::Result<()> {
    let mut sizes = Vec::new();
    for file in files()? {
        sizes.push((root().join(&file).metadata()?.len(), file));
    }
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let total: u64 = sizes.iter().map(|(size, _)| size).sum();
    let largest = &sizes[..sizes.len().min(5)];
    assert!(total < MOST_BYTES_IN_ALL, "{total} bytes; the largest: {largest:?}");
    Ok(())
}

#[test]
fn no_file_names_a_place_on_the_machine_it_was_written_on() -> anyhow::Result<()> {
    let places = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];
    let mut wrong = Vec::new();
    for file in files()? {
        // Bytes that are not text cannot be read by a person; weights hold any byte sequence.
        let Ok(text) = String::from_utf8(std::fs::read(root().join(&file))?) else {
            continue;
        };
        for (index, line) in text.lines().enumerate() {
            if places.iter().any(|place| names_absolutely(line, place)) {
                let line: String = line.trim().chars().take(120).collect();
                wrong.push(format!("{}:{}: {line}", file.display(), index + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Tells whether the place stands in the line as the start of a path, not as a folder within one.
fn names_absolutely(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '*' | '}'))
    })
}

#[test]
fn a_folder_inside_a_path_is_not_mistaken_for_a_place() {
    let place = concat!("/wo", "rk/");
    assert!(!names_absolutely(&format!("recipe{place}cache"), place));
    assert!(names_absolutely(&format!("open(\"{place}data\")"), place));
    assert!(names_absolutely(&format!("{place}data"), place));
}

#[test]
fn every_model_in_the_repository_has_a_card_that_names_its_licence() -> anyhow::Result<()> {
    let mut folders: Vec<_> = files()?
        .into_iter()
        .filter(|file| file.starts_with("assets/models"))
        .filter(|file| file.extension().is_some_and(|e| e == "safetensors" || e == "gguf"))
        .filter_map(|file| file.parent().map(Path::to_path_buf))
        .collect();
    folders.dedup();
    if folders.is_empty() {
        eprintln!("No model is in the repository yet: nothing to check");
    }
    for folder in folders {
        let card = std::fs::read_to_string(root().join(&folder).join("card.md"))?.to_lowercase();
        let names_licence = card.contains("licence") || card.contains("license");
        assert!(names_licence, "{}/card.md names no licence", folder.display());
    }
    Ok(())
}

#[test]
fn every_font_stands_beside_its_licence() -> anyhow::Result<()> {
    let all = files()?;
    let fonts = all.iter().filter(|file| {
        file.starts_with("assets")
            && file.extension().is_some_and(|e| e == "ttf" || e == "otf" || e == "ttc")
    });
    for font in fonts {
        let has_licence = all.iter().any(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            file.parent() == font.parent()
                && ["licence", "license", "ofl", "copying"].iter().any(|word| name.contains(word))
        });
        assert!(has_licence, "{} has no licence beside it", font.display());
    }
    Ok(())
}
