#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use atelier_engine::protocol::Pixels;
use clap::Parser;
use serde_json::Value;

use super::super::console::tests::taped;
use super::super::exit_code;
use super::super::paint::example_request;
use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: LibraryArgs,
}

/// Runs a command line on a library and returns what it printed and how it ended.
fn run(store: &Store, line: &[&str]) -> (String, String, Result<(), EngineError>) {
    let words = std::iter::once("library").chain(line.iter().copied());
    let arguments = Line::try_parse_from(words).unwrap().arguments;
    let (mut console, out, err) = taped(arguments.voice(), false);
    let interrupt = Interrupt::default();
    let ended = match &arguments.what {
        What::Search(arguments) => search::search(arguments, store, &mut console, &interrupt),
        What::Export(arguments) => export::export(arguments, store, &mut console, &interrupt),
        What::Check(arguments) => check::check(arguments, store, &mut console, &interrupt),
        What::Import(arguments) => import::import(arguments, store, &mut console, &interrupt),
    };
    (out.text(), err.text(), ended)
}

fn shelf(folder: &Path) -> Store {
    let store = Store::open(folder.join("library")).unwrap();
    for prompt in ["a red fox", "雪地里的红狐狸", "an \u{1b}[2Jowl"] {
        let pixels = Pixels::new(2, 2, vec![200; 16]).unwrap();
        store.save_picture(&pixels, &example_request(prompt), "CC0-1.0").unwrap();
    }
    store.set_rating(&[2], 4).unwrap();
    store.add_tags(&[2], &["first try"]).unwrap();
    store
}

#[test]
fn a_search_prints_results_and_tells_what_it_did_not_understand() {
    let folder = tempfile::tempdir().unwrap();
    let store = shelf(folder.path());
    let (out, err, ended) = run(&store, &["search", "fox", "artist:me"]);
    ended.unwrap();
    assert!(out.contains("a red fox") && !out.contains("owl"), "{out}");
    assert!(err.contains("no field “artist”") && err.contains("1 result"), "{err}");
    let (out, _, _) = run(&store, &["search", "狐狸", "tag:first try"]);
    assert!(out.contains("★★★★ #first try"), "{out}");
    let (out, err, _) = run(&store, &["search", "--limit", "1"]);
    assert!(out.contains("owl") && !out.contains('\u{1b}'), "{out}");
    assert!(err.contains("1 of 3"), "{err}");
    let (out, ..) = run(&store, &["search", "--json", "--", "-fox"]);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((lines[0]["id"].as_i64(), lines[2]["total"].as_i64()), (Some(3), Some(2)));
    assert!(lines[0]["file_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn copies_go_where_they_are_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let store = shelf(folder.path());
    let to = folder.path().join("out");
    let to = to.to_str().unwrap();
    let (out, err, ended) = run(&store, &["export", "rating:>=4", to]);
    ended.unwrap();
    assert!(Path::new(out.trim()).is_file() && err.contains("1 files"), "{out}{err}");
    run(&store, &["export", "--ids", "1,3", to]).2.unwrap();
    assert_eq!(std::fs::read_dir(to).unwrap().count(), 3);
    for wrong in [vec!["export", to], vec!["export", "--ids", "1", "fox", to]] {
        assert_eq!(exit_code(&run(&store, &wrong).2.unwrap_err()), 2);
    }
    assert_eq!(exit_code(&run(&store, &["export", "--ids", "99", to]).2.unwrap_err()), 2);
}

#[test]
fn a_check_fails_until_all_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let store = shelf(folder.path());
    let (out, err, ended) = run(&store, &["check"]);
    ended.unwrap();
    assert!(out.starts_with("3 results") && err.contains("All is well"), "{out}{err}");
    let file = store.result(1).unwrap().unwrap().file;
    std::fs::write(file.with_file_name(".atelier-1-1.part"), "half").unwrap();
    let (out, _, ended) = run(&store, &["check"]);
    assert!(out.contains("1 half-written:"), "{out}");
    assert_eq!(exit_code(&ended.unwrap_err()), 1);
    let (out, _, ended) = run(&store, &["check", "--repair"]);
    ended.unwrap();
    assert!(out.contains("Removed what was half-written"), "{out}");
    std::fs::remove_file(file).unwrap();
    let (out, _, ended) = run(&store, &["check", "--json", "--repair"]);
    assert!(ended.unwrap_err().to_string().contains("backup"));
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["report"]["missing"].as_array().unwrap().len(), 1);
}

#[test]
fn arguments_that_a_shell_has_unquoted_are_phrases_again() {
    let text = |words: &[&str]| text_of(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
    assert_eq!(text(&["red fox"]), "red fox");
    assert_eq!(text(&["red fox", "owl"]), "\"red fox\" owl");
    assert_eq!(text(&["owl", "tag:first try"]), "owl tag:\"first try\"");
    assert_eq!(text(&["owl", "-tag:first try"]), "owl -tag:\"first try\"");
    assert_eq!(text(&[]), "");
}
