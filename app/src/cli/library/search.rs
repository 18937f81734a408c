//! `atelier library search`.

use atelier_engine::EngineError;
use atelier_engine::protocol::Request;
use atelier_engine::store::search::{Found, Page};
use atelier_engine::store::{ResultRow, Store};
use clap::Args;
use serde_json::{Value, json};

use super::super::{Console, Interrupt};
use super::{harmless, in_bytes, prepare};

/// How many characters of a prompt are shown.
const SHOWN_CHARS: usize = 60;

/// How many results are taken from the library at once.
const AT_ONCE: usize = 200;

/// Holds the arguments of `atelier library search`.
#[derive(Debug, Clone, Args)]
pub(super) struct SearchArgs {
    /// What to look for: words, "phrases", -excluded, fox*, model:, tag:, board:, rating:>=4,
    /// date:2026-11, date:2026-11-01..2026-11-20, size:>=512, width:, height:,
    /// shape:portrait, colour:red, -board:* (on none), kind:sound, is:favourite, is:trash, sort:oldest|rating|board; nothing for everything. What
    /// begins with a hyphen stands within quotation marks of the shell or after --
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// Shows at most this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Prints one JSON object for each result, then one with their number
    #[arg(long)]
    pub(super) json: bool,
}

/// Prints what a query finds.
pub(super) fn search(
    arguments: &SearchArgs,
    store: &Store,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let query = prepare(&arguments.query, store, console, interrupt)?;
    let mut shown = 0;
    let mut page = Page::first(arguments.limit.min(AT_ONCE));
    let total = loop {
        let Found { rows, total, next } = store.search(&query, &page)?;
        for row in &rows {
            console.event(&as_json(row));
            if !arguments.json {
                console.line(&as_line(row));
            }
        }
        shown += rows.len();
        page = Page {
            limit: (arguments.limit - shown.min(arguments.limit)).min(AT_ONCE),
            after: next,
        };
        if next.is_none() || page.limit == 0 {
            break total;
        }
        if interrupt.is_pressed() {
            return Err(EngineError::Cancelled);
        }
    };
    console.event(&json!({ "event": "found", "shown": shown, "total": total, "query": query }));
    console.note(&match total {
        0 => "Nothing was found".to_owned(),
        _ if shown < total => format!("{shown} of {total}; show more with --limit"),
        1 => "1 result".to_owned(),
        _ => format!("{total} results"),
    });
    Ok(())
}

/// Describes a result as JSON.
pub(super) fn as_json(row: &ResultRow) -> Value {
    json!({
        "event": "result",
        "id": row.id,
        "file": row.file,
        "created_ms": row.created_ms,
        "file_bytes": row.file_bytes,
        "rating": row.rating,
        "is_favourite": row.is_favourite,
        "tags": row.tags,
        "trashed_ms": row.trashed_ms,
        "request": row.request,
    })
}

fn as_line(row: &ResultRow) -> String {
    let (prompt, size) = match &row.request {
        Request::Picture(request) => {
            let size = format!("{}×{}", request.size.width_px, request.size.height_px);
            (request.prompt.text.as_str(), size)
        }
        Request::Sound(request) => (request.prompt.as_str(), "sound".to_owned()),
        _ => ("", String::new()),
    };
    let mut words: String = harmless(prompt).chars().take(SHOWN_CHARS).collect();
    if words.len() < prompt.len() {
        words.push('…');
    }
    let mut marks = "★".repeat(usize::from(row.rating));
    if row.is_favourite {
        marks.push('♥');
    }
    marks.extend(row.tags.iter().map(|tag| format!(" #{}", harmless(tag))));
    let bytes = row.file_bytes.map(in_bytes).unwrap_or_default();
    let file = harmless(&row.file.display().to_string());
    format!("{:>7}  {size:<10} {bytes:>8}  {words}  {marks}\n         {file}", row.id)
}
