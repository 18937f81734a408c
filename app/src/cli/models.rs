//! `atelier models`: what is known about models on this machine.

use std::path::PathBuf;

use atelier_engine::EngineError;
use atelier_engine::weights::inspect::{Inspection, inspect};
use atelier_engine::weights::open::Checkpoint;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Console, Voice};

/// Holds the arguments of `atelier models`.
#[derive(Debug, Clone, Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Says what a file or folder of weights is: family, variant, tensors, licence, what is missing
    Inspect(InspectModelArgs),
}

/// Holds the arguments of `atelier models inspect`.
#[derive(Debug, Clone, Args)]
struct InspectModelArgs {
    /// Checkpoint, LoRA, embedding or another file of weights (safetensors, ckpt, pth, pt, bin,
    /// GGUF), an index of several, or a folder as diffusers writes it
    file: PathBuf,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

impl ModelsArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        let What::Inspect(arguments) = &self.what;
        if arguments.json { Voice::Json } else { Voice::Plain }
    }
}

/// Does what the arguments say.
///
/// # Errors
/// [`EngineError::Io`] or [`EngineError::Damaged`] when the file cannot be read as weights.
pub fn models(arguments: &ModelsArgs, console: &mut Console) -> Result<(), EngineError> {
    let What::Inspect(arguments) = &arguments.what;
    let found = inspect(&Checkpoint::open(&arguments.file)?);
    if arguments.json {
        console.event(&json!(found));
        return Ok(());
    }
    for (name, value) in describe(&found) {
        // Names and values come from a stranger's file and must not steer the terminal.
        let line: String = format!("{name:<16} {value}")
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        console.line(&line);
    }
    Ok(())
}

/// Lists what is known as pairs of a name and a value.
fn describe(found: &Inspection) -> Vec<(String, String)> {
    let with_evidence = |value: &Option<String>, field: &str| {
        let by = found.told_by.get(field).map(|by| format!(" ({by})")).unwrap_or_default();
        value.as_ref().map(|value| value.clone() + &by)
    };
    let optional = [
        ("Goes with", with_evidence(&found.base, "base")),
        ("Variant", with_evidence(&found.variant, "variant")),
        ("Distilled as", with_evidence(&found.distilled, "distilled")),
        ("Predicts", with_evidence(&found.prediction_type, "prediction_type")),
        ("Names by", found.naming.clone()),
    ];
    let mut rows = vec![
        ("Family".to_owned(), found.family.clone()),
        ("Container".to_owned(), format!("{}, {}", found.container, in_mb(found.bytes))),
    ];
    let told = optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    rows.extend(told);
    rows.extend(found.details.iter().map(|(name, value)| (sentence_case(name), value.clone())));
    let counts = &found.tensors;
    let kinds: Vec<String> = counts
        .dtypes
        .iter()
        .map(|(kind, count)| format!("{kind} {}", in_millions(*count)))
        .collect();
    rows.push(("Tensors".to_owned(), counts.count.to_string()));
    let parameters = in_millions(counts.parameters);
    rows.push(("Parameters".to_owned(), format!("{parameters} ({})", kinds.join(", "))));
    let licence = found.licence.clone().unwrap_or_else(|| "not said in the file".to_owned());
    rows.push(("Licence".to_owned(), licence));
    rows.extend(found.missing.iter().map(|what| ("Missing".to_owned(), what.clone())));
    rows.extend(found.strange.iter().map(|what| ("Strange".to_owned(), what.clone())));
    let facts = found.metadata.iter().map(|(key, value)| format!("{key}: {value}"));
    rows.extend(facts.map(|fact| ("Metadata".to_owned(), fact)));
    rows
}

fn sentence_case(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn in_mb(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

fn in_millions(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{:.1} thousand", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} million", count as f64 / 1e6),
        _ => format!("{:.2} billion", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use super::super::bare_checkpoint;
    use super::super::console::tests::taped;
    use super::super::exit_code;
    use super::*;

    fn arguments(file: &Path, json: bool) -> ModelsArgs {
        ModelsArgs { what: What::Inspect(InspectModelArgs { file: file.to_owned(), json }) }
    }

    /// Writes a safetensors file with one tensor `x` of two floats and these metadata.
    fn written(metadata: &str) -> tempfile::NamedTempFile {
        let header = format!(
            r#"{{"__metadata__":{{{metadata}}},"x":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}}"#
        );
        let length = (header.len() as u64).to_le_bytes();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [&length, header.as_bytes(), &[0; 8]].concat()).unwrap();
        file
    }

    #[test]
    fn counts_licence_and_family_are_told_in_both_voices() {
        let file = written(r#""license":"MIT""#);
        let (mut console, out, _) = taped(Voice::Plain, false);
        models(&arguments(file.path(), false), &mut console).unwrap();
        for expected in ["Family           unknown", "Tensors          1", "MIT", "F32 2"] {
            assert!(out.text().contains(expected), "{expected} is not in\n{}", out.text());
        }
        let (mut console, out, _) = taped(Voice::Json, false);
        models(&arguments(file.path(), true), &mut console).unwrap();
        let told: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(told["tensors"]["parameters"], 2);
        assert_eq!(told["licence"], "MIT");
    }

    #[test]
    fn what_a_net_is_and_what_that_was_told_by_stand_beside_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = bare_checkpoint::write(folder.path(), "my-turbo.safetensors", 9, 768);
        let (mut console, out, _) = taped(Voice::Plain, false);
        models(&arguments(&file, false), &mut console).unwrap();
        for expected in [
            "Goes with        SD 1.x (from the shapes of its tensors)",
            "Variant          inpainting (from the shapes of its tensors)",
            "Distilled as     Turbo (from the file's name)",
            "Predicts         epsilon (as is usual, nothing in the file tells)",
        ] {
            assert!(out.text().contains(expected), "{expected} is not in\n{}", out.text());
        }
        let (mut console, out, _) = taped(Voice::Json, false);
        models(&arguments(&file, true), &mut console).unwrap();
        let told: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(told["distilled"], "Turbo");
        assert_eq!(told["told_by"]["distilled"], "from the file's name");
    }

    #[test]
    fn metadata_cannot_steer_the_terminal() {
        let file = written(r#""a\u001b[2J":"\u0007b""#);
        let (mut console, out, _) = taped(Voice::Plain, false);
        models(&arguments(file.path(), false), &mut console).unwrap();
        assert!(!out.text().contains('\u{1b}') && !out.text().contains('\u{7}'));
    }

    #[test]
    fn what_is_no_model_or_is_not_there_is_wrong_input() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (mut console, _, _) = taped(Voice::Plain, false);
        for text in ["", "no weights at all", "PK\u{3}\u{4}", "{}"] {
            std::fs::write(file.path(), text).unwrap();
            let error = models(&arguments(file.path(), false), &mut console).unwrap_err();
            assert_eq!(exit_code(&error), 2, "{error}");
        }
        let error = models(&arguments(Path::new("not/there"), false), &mut console).unwrap_err();
        assert_eq!(exit_code(&error), 2, "{error}");
    }
}
