//! The program and what it said.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use atelier_engine::library::{HOUSE_PICTURE, Models};

/// Returns the program with these arguments, away from any display.
pub fn atelier<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("WAYLAND_SOCKET");
    command
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Output {
    command.output().expect("the program starts")
}

/// Returns what stood on standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns what stood on standard output.
pub fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Checks that the program refused its input: exit code 2, one sentence, one hint, no panic.
#[track_caller]
pub fn assert_refused(output: &Output, sentence: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(2), "it said: {said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(said.contains(sentence), "“{sentence}” is not in: {said}");
    assert_eq!(said.lines().count(), 2, "a sentence and a hint are two lines: {said}");
}

/// Tells whether the house model is here; prints a line when a test is skipped for the lack of it.
pub fn has_model() -> bool {
    let is_here = Models::standard().locate(HOUSE_PICTURE).is_ok();
    if !is_here {
        eprintln!("Skipped: the house model is not here");
    }
    is_here
}

/// Returns the fixtures that several projects share, when they are beside the repository.
pub fn fixture(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let path = root.parent()?.join("shared").join("fixtures").join(name);
    if !path.exists() {
        eprintln!("Skipped: no fixture {name}");
        return None;
    }
    Some(path)
}

/// Lists the names in a folder, hidden ones too.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Checks that a file is a whole picture with a recipe of ours.
#[track_caller]
pub fn assert_whole(file: &Path) {
    let found = atelier_engine::store::png::read_recipe_file(file);
    let found = found.unwrap_or_else(|error| panic!("{error}"));
    assert!(found.request.is_some(), "{} has no recipe", file.display());
}
