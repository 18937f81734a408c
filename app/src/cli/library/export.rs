//! `atelier library export`.

use std::path::PathBuf;

use atelier_engine::EngineError;
use atelier_engine::store::Store;
use clap::Args;
use serde_json::json;

use super::super::{Console, Interrupt};
use super::{in_bytes, prepare};

/// Holds the arguments of `atelier library export`.
#[derive(Debug, Clone, Args)]
pub(super) struct ExportArgs {
    /// Query as for `atelier library search`, then the folder into which files are copied under free
    /// names; with --ids the folder only
    #[arg(value_name = "QUERY… FOLDER", required = true)]
    rest: Vec<String>,
    /// Numbers of results, as a search shows them
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',')]
    ids: Vec<i64>,
    /// Prints one JSON object for each file
    #[arg(long)]
    pub(super) json: bool,
}

/// Copies what a query finds, or results by their numbers.
pub(super) fn export(
    arguments: &ExportArgs,
    store: &Store,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let no_folder = || EngineError::invalid("folder", "must come last");
    let (folder, words) = arguments.rest.split_last().ok_or_else(no_folder)?;
    let ids = match (arguments.ids.is_empty(), words.is_empty()) {
        (false, true) => arguments.ids.clone(),
        (false, false) => {
            return Err(EngineError::invalid("query", "cannot go with --ids"));
        }
        // Copying everything must be asked for: a folder alone may be a forgotten query.
        (true, true) => {
            let reason = "is missing; for all of the library give it as \"\"";
            return Err(EngineError::invalid("query", reason));
        }
        (true, false) => {
            let query = prepare(words, store, console, interrupt)?;
            store.search_ids(&query)?
        }
    };
    let folder = PathBuf::from(folder);
    let (mut files, mut bytes, mut failed) = (0, 0, None);
    for id in ids {
        if interrupt.is_pressed() {
            return Err(EngineError::Cancelled);
        }
        match store.export(id, &folder) {
            Ok(copy) => {
                files += 1;
                bytes += copy.bytes;
                console.event(&json!({ "event": "exported", "copy": copy }));
                if !arguments.json {
                    console.line(&copy.file.display().to_string());
                }
                if copy.is_changed {
                    console.note("This file is not what was saved; the copy is what is there now");
                }
            }
            // One file that is gone must not keep the others.
            Err(error @ EngineError::Io { .. }) if failed.is_none() => {
                console.note(&error.to_string());
                failed = Some(error);
            }
            Err(error @ EngineError::Io { .. }) => console.note(&error.to_string()),
            Err(error) => return Err(error),
        }
    }
    console.event(&json!({ "event": "done", "files": files, "bytes": bytes }));
    console.note(&format!("{files} files, {}", in_bytes(bytes)));
    failed.map_or(Ok(()), Err)
}
