//! `atelier library`: what is done with the library of results as a whole.

mod check;
mod export;
mod import;
mod search;

use atelier_engine::EngineError;
use atelier_engine::store::Store;
use atelier_engine::store::search::{LibraryQuery, QueryNotice};
use clap::{Args, Subcommand};

use super::{Console, Interrupt, Voice};
use crate::services::places;

/// How many results are looked at between two looks for Ctrl-C.
const UPKEEP_AT_ONCE: usize = 50;

/// Holds the arguments of `atelier library`.
#[derive(Debug, Clone, Args)]
pub struct LibraryArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Finds pictures and sounds by words, tags, dates, colours and more
    Search(search::SearchArgs),
    /// Copies pictures and sounds with their recipes into a folder
    Export(export::ExportArgs),
    /// Compares every file with what is known of it
    Check(check::CheckArgs),
    /// Copies a folder of pictures of other programs into the library, with their recipes
    Import(import::ImportArgs),
}

impl LibraryArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        let json = match &self.what {
            What::Search(arguments) => arguments.json,
            What::Export(arguments) => arguments.json,
            What::Check(arguments) => arguments.json,
            What::Import(arguments) => arguments.json,
        };
        if json { Voice::Json } else { Voice::Plain }
    }
}

/// Does what the arguments say.
///
/// # Errors
/// Those of opening the library and of what is done with it; [`EngineError::Cancelled`] after
/// Ctrl-C.
pub fn library(
    arguments: &LibraryArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let store = Store::open(places::data_folder()?)?;
    match &arguments.what {
        What::Search(arguments) => search::search(arguments, &store, console, interrupt),
        What::Export(arguments) => export::export(arguments, &store, console, interrupt),
        What::Check(arguments) => check::check(arguments, &store, console, interrupt),
        What::Import(arguments) => import::import(arguments, &store, console, interrupt),
    }
}

/// Reads a query, tells what of it was not understood, and finishes what the search needs to know.
fn prepare(
    words: &[String],
    store: &Store,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<LibraryQuery, EngineError> {
    let (query, notices) = LibraryQuery::parse(&text_of(words));
    for notice in &notices {
        tell(notice, console);
    }
    let mut upkeep = store.upkeep(UPKEEP_AT_ONCE)?;
    if upkeep.has_more {
        console.note("Reading files that are new to the search…");
    }
    while upkeep.has_more {
        if interrupt.is_pressed() {
            return Err(EngineError::Cancelled);
        }
        upkeep = store.upkeep(UPKEEP_AT_ONCE)?;
    }
    Ok(query)
}

fn tell(notice: &QueryNotice, console: &mut Console) {
    console.event(&serde_json::json!({ "event": "notice", "notice": notice }));
    console.note(&notice.to_string());
}

/// Joins arguments to a query. A shell takes quotation marks away, so an argument with spaces that
/// has none is a phrase; one argument alone is the query as it stands.
fn text_of(words: &[String]) -> String {
    let [word] = words else {
        let phrase = |word: &String| match word.contains(char::is_whitespace) {
            true if !word.contains('"') => match word.split_once(':') {
                Some((field, value)) if field.chars().all(|c| c.is_alphabetic() || c == '-') => {
                    format!("{field}:\"{value}\"")
                }
                _ => format!("\"{word}\""),
            },
            _ => word.clone(),
        };
        return words.iter().map(phrase).collect::<Vec<_>>().join(" ");
    };
    word.clone()
}

/// Writes a size as people read it.
fn in_bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// Takes away what could steer a terminal: names and prompts may be a stranger's.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
