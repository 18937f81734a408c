//! The file of the settings. One that is damaged is kept beside the new one, and what of it can be read
//! is used.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::state::SavedSettings;

/// Reads the settings. What is missing or cannot be read is as usual; the rest of a damaged file holds.
pub fn read_settings(file: &Path) -> SavedSettings {
    let Ok(bytes) = fs::read(file) else { return SavedSettings::default() };
    parse(&bytes).unwrap_or_else(|| salvage(&bytes))
}

/// Keeps a copy of a file of settings that cannot be read whole, before another takes its place, and returns
/// where to; `None` when it is sound or not there.
pub(super) fn keep_damaged(file: &Path) -> Option<PathBuf> {
    let bytes = fs::read(file).ok()?;
    if parse(&bytes).is_some() {
        return None;
    }
    let kept = file.with_extension("damaged.json");
    fs::write(&kept, &bytes).ok()?;
    Some(kept)
}

fn parse(bytes: &[u8]) -> Option<SavedSettings> {
    serde_json::from_slice(bytes).ok()
}

/// Takes those settings that can be read, each by itself.
fn salvage(bytes: &[u8]) -> SavedSettings {
    let all: Map<String, Value> = serde_json::from_slice(bytes).unwrap_or_default();
    let reads = |settings: Map<String, Value>| {
        serde_json::from_value::<SavedSettings>(Value::Object(settings)).ok()
    };
    let sound = all
        .into_iter()
        .filter(|(name, value)| reads(Map::from_iter([(name.clone(), value.clone())])).is_some());
    reads(sound.collect()).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::i18n::Language;

    #[test]
    fn one_bad_setting_takes_no_other_with_it_and_the_file_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.json");
        assert_eq!(keep_damaged(&file), None);

        let damaged = r#"{ "language": "chinese", "draft": "a fox", "scale_percent": "huge" }"#;
        fs::write(&file, damaged).unwrap();
        let read = read_settings(&file);
        assert_eq!((read.language, read.draft.as_str()), (Some(Language::Chinese), "a fox"));
        assert_eq!(read.scale_percent, SavedSettings::default().scale_percent);
        let kept = keep_damaged(&file).unwrap();
        assert_eq!(fs::read_to_string(kept).unwrap(), damaged);

        fs::write(&file, &damaged[..20]).unwrap();
        assert_eq!(read_settings(&file), SavedSettings::default());
        assert!(keep_damaged(&file).is_some());

        fs::write(&file, r#"{ "draft": "a fox" }"#).unwrap();
        assert_eq!(keep_damaged(&file), None);
    }
}
