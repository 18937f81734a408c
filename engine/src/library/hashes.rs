//! Hashes of large files, kept from one run of the program to the next.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::checkpoint::LocatedWeights;
use crate::error::EngineError;

/// The largest file of kept hashes that is read.
const FILE_MAX_BYTES: u64 = 16 << 20;
/// The most hashes that are kept.
const KEPT_MAX: usize = 10_000;

/// Holds the hash of a file or folder in a certain state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// Of all its files together: sizes, and times in nanoseconds.
    state: String,
    sha256: String,
}

/// Remembers the hashes of files of weights: reading gigabytes for one takes seconds.
///
/// A file whose size or time has changed is hashed again. What cannot be read or written is as if it
/// were not there.
#[derive(Debug, Clone, Default)]
pub struct Hashes {
    file: Option<PathBuf>,
    kept: BTreeMap<String, Kept>,
}

impl Hashes {
    /// Remembers hashes in a file.
    pub fn in_file(file: PathBuf) -> Self {
        let is_small = fs::metadata(&file).is_ok_and(|about| about.len() <= FILE_MAX_BYTES);
        let read = is_small.then(|| fs::read(&file).ok()).flatten();
        let kept = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { file: Some(file), kept: kept.unwrap_or_default() }
    }

    /// Returns the hash of a file or folder, from memory or by reading it. `check` is called every few
    /// milliseconds.
    ///
    /// # Errors
    /// As [`LocatedWeights::sha256`].
    pub fn of(
        &mut self,
        located: &LocatedWeights,
        check: &mut dyn FnMut() -> Result<(), EngineError>,
    ) -> Result<String, EngineError> {
        let name = absolute(&located.path);
        let state = state_of(located);
        if let Some(kept) = self.kept.get(&name)
            && kept.state == state
        {
            return Ok(kept.sha256.clone());
        }
        let sha256 = located.sha256(check)?;
        if self.kept.len() >= KEPT_MAX {
            self.kept.clear();
        }
        self.kept.insert(name, Kept { state, sha256: sha256.clone() });
        self.write();
        Ok(sha256)
    }

    fn write(&self) {
        let Some(file) = &self.file else { return };
        let Ok(json) = serde_json::to_vec(&self.kept) else { return };
        // Beside it first, so that two programs that write at once leave one whole file.
        let beside = file.with_extension(format!("{}.new", std::process::id()));
        let written = fs::write(&beside, json).and_then(|()| fs::rename(&beside, file));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
    }
}

fn absolute(path: &Path) -> String {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

/// Returns a text that differs where a file was written anew.
fn state_of(located: &LocatedWeights) -> String {
    let parts = located.files().iter().map(|(_, bytes, modified)| {
        let time = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        format!("{bytes}@{}", time.map_or(0, |time| time.as_nanos()))
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_hash_is_kept_until_the_file_changes_and_damage_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let (model, kept) = (folder.path().join("a.ckpt"), folder.path().join("hashes.json"));
        fs::write(&model, b"abc").unwrap();
        let mut looks = 0;
        let mut hash = |hashes: &mut Hashes| {
            let located = LocatedWeights::at("a", &model).unwrap();
            let mut check = || {
                looks += 1;
                Ok(())
            };
            let hash = hashes.of(&located, &mut check).unwrap();
            (hash, std::mem::take(&mut looks) > 0)
        };
        let (first, was_read) = hash(&mut Hashes::in_file(kept.clone()));
        assert!(was_read && first.starts_with("ba7816bf"));
        assert_eq!(hash(&mut Hashes::in_file(kept.clone())), (first.clone(), false));
        fs::write(&model, b"abcd").unwrap();
        let (second, was_read) = hash(&mut Hashes::in_file(kept.clone()));
        assert!(was_read && second != first);
        fs::write(&kept, b"{").unwrap();
        assert_eq!(hash(&mut Hashes::in_file(kept)), (second, true));
    }
}
