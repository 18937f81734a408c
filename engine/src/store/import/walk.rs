//! Finds the pictures below a folder, whatever its links lead to.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::EngineError;

use super::{ImportReport, Refused};

/// Endings of pictures; what a file is, its bytes say.
const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "jfif", "webp"];

/// Caps folders within folders and the files that are taken in one go.
const MAX_DEPTH: usize = 64;
const MAX_FILES: usize = 1_000_000;

/// Lists the pictures below a folder by their time, oldest first; `None` when told not to go on. A
/// picture alone is its own list.
pub(super) fn pictures(
    folder: &Path,
    library: &Path,
    report: &mut ImportReport,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Vec<(SystemTime, PathBuf)>>, EngineError> {
    let refused = |error: std::io::Error| EngineError::io("read the folder", folder, &error);
    let library = library.canonicalize().map_err(refused)?;
    let root = folder.canonicalize().map_err(refused)?;
    if root.starts_with(&library) {
        return Err(EngineError::invalid("folder", "is part of the library already"));
    }
    if root.is_file() && is_picture(folder) {
        let about = fs::metadata(folder).map_err(refused)?;
        let modified = about.modified().unwrap_or_else(|_| SystemTime::now());
        return Ok(Some(vec![(modified, folder.to_owned())]));
    }
    if !root.is_dir() {
        return Err(refused(ErrorKind::NotADirectory.into()));
    }
    let mut found = Vec::new();
    // By their true places, so that a ring of links is gone through once.
    let mut seen = BTreeSet::from([root]);
    let mut waiting = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        if !go_on() {
            return Ok(None);
        }
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(refused(error)),
            Err(error) => {
                let error = EngineError::io("read the folder", &folder, &error);
                report.refused.push(Refused { from: folder, error });
                continue;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let about = match fs::metadata(&path) {
                Ok(about) => about,
                Err(error) => {
                    if is_picture(&path) {
                        let error = EngineError::io("read the picture", &path, &error);
                        report.refused.push(Refused { from: path, error });
                    }
                    continue;
                }
            };
            if about.is_dir() {
                let Ok(place) = path.canonicalize() else { continue };
                if depth < MAX_DEPTH && place != library && seen.insert(place) {
                    waiting.push((path, depth + 1));
                }
            } else if !about.is_file() || !is_picture(&path) {
                report.passed_over += 1;
            } else if found.len() < MAX_FILES {
                let modified = about.modified().unwrap_or_else(|_| SystemTime::now());
                found.push((modified, path));
            }
        }
    }
    found.sort();
    Ok(Some(found))
}

fn is_picture(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}
