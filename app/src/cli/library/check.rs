//! `atelier library check`.

use std::path::PathBuf;

use atelier_engine::EngineError;
use atelier_engine::store::{Opening, Store};
use clap::Args;
use serde_json::json;

use super::super::{Console, Interrupt};
use super::{harmless, in_bytes};

/// How many files of a kind are listed one by one; `--json` lists all.
const LISTED: usize = 20;

/// Holds the arguments of `atelier library check`.
#[derive(Debug, Clone, Args)]
pub(super) struct CheckArgs {
    /// Puts in order what can be: adopts files, takes changed ones as they are, removes half-written
    /// ones; files of results are never deleted
    #[arg(long)]
    repair: bool,
    /// Prints the report as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Compares the library with its files; what is wrong and was not mended is a failure.
pub(super) fn check(
    arguments: &CheckArgs,
    store: &Store,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let opening = store.opening().clone();
    tell_opening(&opening, console);
    let tidied = store.tidy();
    let report = store.check(arguments.repair, |checked| {
        console.bar(&format!("{checked} results"));
        !interrupt.is_pressed()
    })?;
    console.end_bar();
    let opened = json!({
        "adopted": opening.adopted,
        "swept": opening.swept,
        "set_aside": opening.set_aside,
        "is_shared": opening.is_shared,
    });
    console.event(&json!({ "event": "checked", "is_whole": report.is_whole(), "report": report,
        "opening": opened }));
    if !arguments.json {
        let bytes = in_bytes(report.bytes);
        console.line(&format!("{} results, {bytes} in files", report.checked));
        let lists: [(&str, &[PathBuf]); 6] = [
            ("gone", &report.missing),
            ("changed", &report.changed),
            ("changed and not readable", &report.damaged),
            ("not in the index", &report.unknown),
            ("without a recipe of ours, left alone", &report.strangers),
            ("half-written", &report.leftovers),
        ];
        for (what, files) in lists {
            list(what, files, console);
        }
        for files in &report.duplicates {
            list("the same content", files, console);
        }
        if report.stray_thumbnails > 0 {
            console.line(&format!("{} thumbnails of no result", report.stray_thumbnails));
        }
        for done in &report.repairs {
            console.line(&harmless(done));
        }
    }
    tidied?;
    let is_mended = arguments.repair && report.missing.is_empty() && report.damaged.is_empty();
    if report.is_whole() || is_mended {
        console.note(if report.is_whole() { "All is well" } else { "All is well now" });
        return Ok(());
    }
    let reason = match arguments.repair {
        true => "files are gone or damaged, which only a backup can mend",
        false => "files and index differ; run it again with --repair",
    };
    Err(EngineError::Index { reason: reason.to_owned() })
}

fn list(what: &str, files: &[PathBuf], console: &mut Console) {
    if files.is_empty() {
        return;
    }
    console.line(&format!("{} {what}:", files.len()));
    for file in files.iter().take(LISTED) {
        console.line(&format!("  {}", harmless(&file.display().to_string())));
    }
    if files.len() > LISTED {
        console.line(&format!("  and {} more", files.len() - LISTED));
    }
}

/// Tells what was put in order when the library was opened, as it always is.
fn tell_opening(opening: &Opening, console: &mut Console) {
    if let Some(aside) = &opening.set_aside {
        let aside = aside.display();
        console.note(&format!("The index was damaged and was made again; the old one: {aside}"));
    }
    if opening.adopted > 0 {
        console.note(&format!("{} files were new to the index", opening.adopted));
    }
    if opening.swept > 0 {
        console.note(&format!("{} half-written files were removed", opening.swept));
    }
    if opening.is_shared {
        console.note("Another Atelier has the library open");
    }
}
