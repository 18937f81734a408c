//! Everything that can be said about a file of weights without running it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::detect::{Detection, Evidence, Family, detect};
use super::open::Checkpoint;

/// The longest value of the metadata that is told.
const VALUE_MAX_CHARS: usize = 300;
/// The most entries of the metadata that are told.
const METADATA_MAX: usize = 100;
/// Keys under which licences stand, best first.
const LICENCES: [&str; 6] = [
    "modelspec.license",
    "general.license",
    "license",
    "licence",
    "config.license",
    "config.licence",
];

/// Holds what is told about a file or folder of weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// How the tensors are kept.
    pub container: String,
    /// The size of all files.
    pub bytes: u64,
    /// What kind of model it is.
    pub family: String,
    /// The models that it is, or goes with.
    pub base: Option<String>,
    /// What it was made for.
    pub variant: Option<String>,
    /// How it was distilled to be sampled in few steps, or `standard`; only of whole nets.
    pub distilled: Option<String>,
    /// What the net predicts.
    pub prediction_type: Option<String>,
    /// What these were told by, under the names of the fields; only of whole nets.
    pub told_by: BTreeMap<&'static str, String>,
    /// Whose names the tensors have.
    pub naming: Option<String>,
    /// More about it, such as the rank of a LoRA.
    pub details: BTreeMap<String, String>,
    /// How its tensors are counted.
    pub tensors: Counts,
    /// The licence, where the file says so.
    pub licence: Option<String>,
    /// What a whole model of its kind has and this one lacks.
    pub missing: Vec<String>,
    /// What is unusual, each as a sentence.
    pub strange: Vec<String>,
    /// What the file says about itself, long values cut.
    pub metadata: BTreeMap<String, String>,
}

/// Counts tensors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// How many there are.
    pub count: usize,
    /// How many numbers they have together.
    pub parameters: u64,
    /// How many numbers there are of each dtype.
    pub dtypes: BTreeMap<String, u64>,
}

impl Counts {
    /// Counts the tensors of a checkpoint.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let mut out = Self { count: checkpoint.tensors().len(), ..Self::default() };
        for info in checkpoint.tensors().values() {
            let count = info.count();
            out.parameters = out.parameters.saturating_add(count);
            let of_kind = out.dtypes.entry(info.element.to_string()).or_default();
            *of_kind = of_kind.saturating_add(count);
        }
        out
    }
}

/// Returns the licence that a file names, long ones cut.
pub fn licence(checkpoint: &Checkpoint) -> Option<String> {
    LICENCES.iter().find_map(|key| {
        let held = checkpoint.facts().iter().find(|(name, _)| name == key);
        held.map(|(_, value)| value.trim()).filter(|value| !value.is_empty()).map(shortened)
    })
}

/// Looks at an open checkpoint.
pub fn inspect(checkpoint: &Checkpoint) -> Inspection {
    let found = detect(checkpoint);
    let told_by = told_by(&found);
    let facts = checkpoint.facts();
    let mut missing = found.missing;
    missing.extend(checkpoint.missing().iter().cloned());
    let mut strange = checkpoint.notes().to_vec();
    strange.extend(found.strange);
    if checkpoint.tensors().is_empty() && missing.is_empty() {
        missing.push("all tensors".to_owned());
    }
    let empty = checkpoint.tensors().values().filter(|info| info.count() == 0).count();
    if empty > 0 {
        strange.push(format!("{empty} tensors hold no numbers"));
    }
    if facts.len() > METADATA_MAX {
        strange.push(format!("It has {} entries of metadata; the first are told", facts.len()));
    }
    Inspection {
        container: checkpoint.container().to_string(),
        bytes: checkpoint.file_bytes(),
        family: found.family.to_string(),
        base: found.base.map(|base| base.to_string()),
        variant: found.variant.map(|variant| variant.to_string()),
        distilled: found.distilled.map(|(variant, _)| variant.to_string()),
        told_by,
        prediction_type: found.prediction.map(|prediction| prediction.to_string()),
        naming: found.naming.map(|naming| naming.to_string()),
        details: found.details.into_iter().map(|(k, v)| (k.to_owned(), shortened(&v))).collect(),
        tensors: Counts::of(checkpoint),
        licence: licence(checkpoint),
        missing,
        strange,
        metadata: facts
            .iter()
            .take(METADATA_MAX)
            .map(|(key, value)| (shortened(key), shortened(value)))
            .collect(),
    }
}

/// Says what a whole net's line, variant and prediction were told by.
fn told_by(found: &Detection) -> BTreeMap<&'static str, String> {
    if found.family != Family::StableDiffusion {
        return BTreeMap::new();
    }
    let told = [
        ("base", found.base.map(|_| Evidence::Shapes)),
        ("variant", found.variant.map(|_| Evidence::Shapes)),
        ("distilled", found.distilled.map(|(_, evidence)| evidence)),
        ("prediction_type", found.prediction_by),
    ];
    told.into_iter().filter_map(|(name, by)| Some((name, by?.to_string()))).collect()
}

/// Cuts a text that is too long to be read.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(VALUE_MAX_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
