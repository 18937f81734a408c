//! Puts the index in order at start. The folders are the truth: what they hold and the index does
//! not is adopted, what the index says and they do not is marked.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::audio::recipe::recipe_of;
use crate::error::EngineError;
use crate::protocol::Request;

use super::index::{Index, Refusal};
use super::place::{INDEX, PICTURES, SOUNDS, THUMBNAILS, TRASH};
use super::{ResultKind, files, import, png};

/// Says what the check at start found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    /// Whether another process has the library open too; only the first one checks.
    pub is_shared: bool,
    /// Where the damaged index was set aside; the new one was made from the pictures.
    pub set_aside: Option<PathBuf>,
    /// Pictures and sounds that the index did not know.
    pub adopted: usize,
    /// Results whose file is gone; they are listed again when it is back.
    pub missing: usize,
    /// Half-written files of a killed process that were removed.
    pub swept: usize,
    /// Files among the results that hold no recipe of ours, or are damaged; left alone.
    pub unreadable: Vec<PathBuf>,
}

/// Opens the index; a damaged one is set aside first, when nobody else may be using it.
pub(super) fn open_index(
    folder: &Path,
    is_alone: bool,
    opening: &mut Opening,
) -> Result<Index, EngineError> {
    let path = folder.join(INDEX);
    match Index::open(&path) {
        Ok(index) => Ok(index),
        Err(Refusal::Other(error)) => Err(error),
        Err(Refusal::Damaged) if is_alone => {
            opening.set_aside = Some(set_aside(folder)?);
            Index::open(&path).map_err(|refusal| match refusal {
                Refusal::Other(error) => error,
                Refusal::Damaged => EngineError::damaged(path, "cannot be made again"),
            })
        }
        Err(Refusal::Damaged) => Err(EngineError::Index {
            reason: "it is damaged, and another Atelier has the library open; close that first"
                .to_owned(),
        }),
    }
}

/// Renames the index and the files SQLite keeps beside it, out of the way of a new one.
fn set_aside(folder: &Path) -> Result<PathBuf, EngineError> {
    // Thumbnails are named by numbers that a new index gives to other pictures.
    let thumbnails = folder.join(THUMBNAILS);
    if thumbnails.exists() {
        fs::remove_dir_all(&thumbnails)
            .map_err(|error| EngineError::io("clear the folder", &thumbnails, &error))?;
    }
    let aside = (1..)
        .map(|number| folder.join(format!("{INDEX}.damaged-{number}")))
        .find(|path| !path.exists())
        .unwrap_or_default();
    for suffix in ["-wal", "-shm", ""] {
        let from = folder.join(format!("{INDEX}{suffix}"));
        let mut to = aside.clone().into_os_string();
        to.push(suffix);
        if from.exists() {
            fs::rename(&from, &to)
                .map_err(|error| EngineError::io("set the index aside", &from, &error))?;
        }
    }
    Ok(aside)
}

/// Makes the index agree with the folders.
pub(super) fn reconcile(
    folder: &Path,
    index: &mut Index,
    opening: &mut Opening,
) -> Result<(), EngineError> {
    let mut found = BTreeSet::new();
    for top in [PICTURES, SOUNDS, TRASH] {
        list(folder, top, &mut found, opening)?;
    }
    let rows = index.places()?;
    index.together(|index| {
        for (file, place) in &rows {
            if found.contains(file) {
                if place.is_missing {
                    index.set_missing(place.id, false)?;
                }
                continue;
            }
            // A crash between moving a file and saying so leaves it on the other side.
            match other_side(file).filter(|other| found.contains(other)) {
                Some(other) if !rows.contains_key(&other) => {
                    let trashed_ms = other.starts_with(TRASH).then(now_ms);
                    index.set_place(place.id, &other, trashed_ms)?;
                    found.remove(&other);
                }
                _ => {
                    opening.missing += 1;
                    if !place.is_missing {
                        index.set_missing(place.id, true)?;
                    }
                }
            }
        }
        adopt(folder, index, found.iter().filter(|file| !rows.contains_key(*file)), opening)
    })
}

/// Adds the results that the index does not know, oldest first.
fn adopt<'a>(
    folder: &Path,
    index: &Index,
    files: impl Iterator<Item = &'a String>,
    opening: &mut Opening,
) -> Result<(), EngineError> {
    let mut files: Vec<(i64, &String)> =
        files.map(|file| (modified_ms(&folder.join(file)), file)).collect();
    files.sort_unstable();
    for (created_ms, file) in files {
        let path = folder.join(file);
        match request_in(&path) {
            Ok(Some(request)) => {
                let trashed_ms = file.starts_with(TRASH).then(now_ms);
                index.adopt(file, created_ms, trashed_ms, &request)?;
                opening.adopted += 1;
            }
            Ok(None) | Err(_) => opening.unreadable.push(path),
        }
    }
    Ok(())
}

/// Reads the request in a result's file.
fn request_in(path: &Path) -> Result<Option<Request>, EngineError> {
    Ok(match ResultKind::of(path) {
        Some(ResultKind::Picture) if import::is_imported(path) => Some(import::request_of(path)?),
        Some(ResultKind::Picture) => {
            let found = png::read_recipe_file(path)?;
            match found.enlargement {
                Some(request) => Some(Request::Enlarge(Box::new(request))),
                None => found.request.map(|request| Request::Picture(Box::new(request))),
            }
        }
        Some(ResultKind::Sound) => {
            recipe_of(path)?.request.map(|request| Request::Sound(Box::new(request)))
        }
        None => None,
    })
}

/// Sweeps the month folders below `top` and lists their results, relative to the library's folder.
fn list(
    folder: &Path,
    top: &str,
    found: &mut BTreeSet<String>,
    opening: &mut Opening,
) -> Result<(), EngineError> {
    let base = folder.join(top);
    let unreadable = |error: std::io::Error| EngineError::io("read the folder", &base, &error);
    for month in fs::read_dir(&base).map_err(unreadable)? {
        let month = month.map_err(unreadable)?.path();
        if !month.is_dir() {
            continue;
        }
        for extension in ResultKind::ALL.into_iter().flat_map(ResultKind::extensions) {
            opening.swept += files::sweep(&month, extension)?;
        }
        for entry in fs::read_dir(&month).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let is_ours = ResultKind::of(&path).is_some();
            if let Some(file) = relative(folder, &path).filter(|_| is_ours) {
                found.insert(file);
            }
        }
    }
    Ok(())
}

/// Returns a path within the library with `/` between its parts, whatever the system uses.
pub(super) fn relative(folder: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> =
        path.strip_prefix(folder).ok()?.iter().map(|part| part.to_str()).collect();
    parts.map(|parts| parts.join("/"))
}

/// Returns where a file is after it was trashed or restored.
fn other_side(file: &str) -> Option<String> {
    let (top, rest) = file.split_once('/')?;
    match top {
        PICTURES | SOUNDS => Some(format!("{TRASH}/{rest}")),
        TRASH => Some(format!("{}/{rest}", ResultKind::of(Path::new(file))?.folder())),
        _ => None,
    }
}

/// Returns the time in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    to_ms(SystemTime::now())
}

fn modified_ms(path: &Path) -> i64 {
    fs::metadata(path).and_then(|found| found.modified()).map_or_else(|_| now_ms(), to_ms)
}

/// Returns a time in milliseconds since 1970; 0 for earlier ones.
pub(super) fn to_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
