//! `atelier library import`: copies pictures of other programs into the library.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use atelier_engine::EngineError;
use atelier_engine::protocol::{Live, Stage};
use atelier_engine::store::Store;
use atelier_engine::store::import::{ImportEnd, ImportReport, RecipeOrigin, SilentPictures};
use clap::Args;
use serde_json::{Value, json};

use crate::cli::{Console, Interrupt, progress};

/// How many files of a kind are listed one by one; `--json` lists all.
const LISTED: usize = 20;

/// Holds the arguments of `atelier library import`.
#[derive(Debug, Clone, Args)]
pub(super) struct ImportArgs {
    /// Folder whose pictures (PNG, JPEG, WebP), also in folders below, are copied as they are. Recipes
    /// of AUTOMATIC1111, Forge, SD.Next, ComfyUI, InvokeAI, SwarmUI, Fooocus, NovelAI and
    /// stable-diffusion.cpp are read
    folder: PathBuf,
    /// Leaves pictures where they are that do not say how they were made
    #[arg(long)]
    only_with_recipe: bool,
    /// Prints the report as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Copies, and says what came of it.
///
/// # Errors
/// Those of [`Store::import_folder`]; [`EngineError::Cancelled`] after Ctrl-C. The report is printed all
/// the same.
pub(super) fn import(
    arguments: &ImportArgs,
    store: &Store,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let silent = match arguments.only_with_recipe {
        true => SilentPictures::Leave,
        false => SilentPictures::Take,
    };
    let report = store.import_folder(&arguments.folder, silent, &mut |at| {
        let count = |files: usize| u32::try_from(files).unwrap_or(u32::MAX);
        let steps = Some([count(at.done), count(at.total)]);
        console.bar(&progress::draw(&Live { stage: Stage::Reading, steps, ..Live::default() }));
        if interrupt.is_pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    console.end_bar();
    let report = report?;
    if arguments.json {
        console.event(&as_json(&report));
    } else {
        for line in describe(&report, silent) {
            // Names and sentences quote what strangers wrote, which must not steer the terminal.
            let line: String =
                line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            console.line(&line);
        }
    }
    match report.end {
        ImportEnd::Complete => Ok(()),
        ImportEnd::Cancelled => Err(EngineError::Cancelled),
        ImportEnd::Failed(error) => Err(error),
    }
}

/// Says what came of an import, line by line.
fn describe(report: &ImportReport, silent: SilentPictures) -> Vec<String> {
    let mut lines = vec![format!("Imported       {}", report.imported.len())];
    let mut origins: Vec<RecipeOrigin> = report.imported.iter().map(|one| one.origin).collect();
    origins.sort_unstable();
    for same in origins.chunk_by(|a, b| a == b) {
        let Some(origin) = same.first().filter(|origin| **origin != RecipeOrigin::Nobody) else {
            continue;
        };
        lines.push(format!("  {:<20} {}", origin.label(), same.len()));
    }
    lines.push(format!("Already there  {}", report.already_there.len()));
    let fate = match silent {
        SilentPictures::Take => "imported without one",
        SilentPictures::Leave => "left where they are",
    };
    lines.push(format!("No recipe      {} ({fate})", report.silent.len()));
    for one in report.silent.iter().filter(|one| !one.unread.is_empty()).take(LISTED) {
        lines.push(format!("  {}: {}", shown(&one.from), one.unread.join("; ")));
    }
    lines.push(format!("Refused        {}", report.refused.len()));
    lines.extend(report.refused.iter().take(LISTED).map(|one| format!("  {}", one.error)));
    if report.refused.len() > LISTED {
        lines.push(format!("  and {} more", report.refused.len() - LISTED));
    }
    if report.passed_over > 0 {
        lines.push(format!("Not pictures   {}", report.passed_over));
    }
    let unhonoured = report.unhonoured();
    if !unhonoured.is_empty() {
        lines.push("Not honoured, with the number of pictures:".to_owned());
        let rows = unhonoured.iter().take(LISTED * 2);
        lines.extend(rows.map(|(sentence, count)| format!("{count:>6}  {sentence}")));
    }
    if unhonoured.len() > LISTED * 2 {
        lines.push(format!("        and {} more; --json lists all", unhonoured.len() - LISTED * 2));
    }
    lines
}

fn as_json(report: &ImportReport) -> Value {
    let imported: Vec<Value> = report
        .imported
        .iter()
        .map(|one| {
            json!({
                "from": shown(&one.from),
                "id": one.id,
                "file": shown(&one.file),
                "program": one.origin.label(),
                "unhonoured": one.unhonoured,
            })
        })
        .collect();
    let there =
        report.already_there.iter().map(|one| json!({ "from": shown(&one.from), "id": one.id }));
    let silent =
        report.silent.iter().map(|one| json!({ "from": shown(&one.from), "unread": one.unread }));
    let refused = report
        .refused
        .iter()
        .map(|one| json!({ "from": shown(&one.from), "reason": one.error.to_string() }));
    json!({
        "imported": imported,
        "already_there": there.collect::<Vec<_>>(),
        "without_recipe": silent.collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "not_pictures": report.passed_over,
        "unhonoured": report.unhonoured(),
        "is_complete": report.end == ImportEnd::Complete,
    })
}

/// Returns a path as it can be written, whatever bytes it has.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs;

    use atelier_engine::protocol::Pixels;
    use atelier_engine::store::png;

    use super::*;
    use crate::cli::Voice;
    use crate::cli::console::tests::taped;
    use crate::cli::paint::example_request;

    struct Places {
        library: tempfile::TempDir,
        old: tempfile::TempDir,
    }

    fn places() -> Places {
        let places =
            Places { library: tempfile::tempdir().unwrap(), old: tempfile::tempdir().unwrap() };
        let pixels = Pixels::new(2, 1, vec![9; 8]).unwrap();
        let request = example_request("a red fox");
        let own = png::encode(&pixels, &request, "CC0-1.0").unwrap();
        fs::write(places.old.path().join("own.png"), own).unwrap();
        fs::write(places.old.path().join("plain.png"), png::encode_plain(&pixels).unwrap())
            .unwrap();
        fs::write(places.old.path().join("bro\u{1b}[2Jken.png"), b"nothing").unwrap();
        fs::write(places.old.path().join("notes.txt"), b"nothing").unwrap();
        places
    }

    fn run(
        places: &Places,
        json: bool,
        only_with_recipe: bool,
    ) -> (Result<(), EngineError>, String) {
        let arguments = ImportArgs { folder: places.old.path().to_owned(), only_with_recipe, json };
        let voice = if json { Voice::Json } else { Voice::Plain };
        let (mut console, out, _) = taped(voice, true);
        let store = Store::open(places.library.path()).unwrap();
        let result = import(&arguments, &store, &mut console, &Interrupt::default());
        (result, out.text())
    }

    #[test]
    fn the_report_says_what_was_taken_left_and_refused() {
        let places = places();
        let (result, text) = run(&places, false, false);
        assert_eq!(result, Ok(()));
        for expected in [
            "Imported       2",
            "Atelier              1",
            "imported without one",
            "Refused        1",
            "Not pictures   1",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text:?}");
        let (_, text) = run(&places, true, false);
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(told["imported"].as_array().map(Vec::len), Some(0));
        assert_eq!(told["already_there"].as_array().map(Vec::len), Some(2));
        assert_eq!(told["is_complete"], true);
    }

    #[test]
    fn pictures_without_a_recipe_can_be_left() {
        let places = places();
        let (_, text) = run(&places, false, true);
        assert!(
            text.contains("Imported       1") && text.contains("left where they are"),
            "{text}"
        );
    }

    #[test]
    fn ctrl_c_breaks_an_import_off_with_its_report() {
        let places = places();
        let arguments = ImportArgs {
            folder: places.old.path().to_owned(),
            only_with_recipe: false,
            json: true,
        };
        let (mut console, out, _) = taped(Voice::Json, false);
        let store = Store::open(places.library.path()).unwrap();
        let interrupt = Interrupt::default();
        interrupt.press();
        let result = import(&arguments, &store, &mut console, &interrupt);
        assert_eq!(result, Err(EngineError::Cancelled));
        let told: Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(told["is_complete"], false);
    }
}
