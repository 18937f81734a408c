//! Puts the index in order at start. The folders are the truth: what they hold and the index does
//! not is adopted, what the index says and they do not is marked. A folder in which nothing came or
//! went since it was last listed is passed over: its time of change says so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::audio::recipe::recipe_of;
use crate::error::EngineError;
use crate::protocol::Request;

use super::contents::content_of;
use super::index::{Index, Place, Refusal, Todo, suspect_note};
use super::place::{INDEX, PICTURES, SOUNDS, THUMBNAILS, TRASH};
use super::{ResultKind, copying, files, import, png, thumbnails};

/// A folder that changed less than this before it was listed is listed again: clocks of disks are
/// coarse, and something may have come in the same tick.
const TICK_NS: i64 = 3_000_000_000;

/// How many results' words are read anew at a start.
const WORDS_AT_START: usize = 2000;

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
    let note = suspect_note(&folder.join(INDEX));
    if note.exists() {
        fs::remove_file(&note)
            .map_err(|error| EngineError::io("remove the note", &note, &error))?;
    }
    Ok(aside)
}

/// Makes the index agree with the folders and the journal.
pub(super) fn reconcile(
    folder: &Path,
    index: &Index,
    opening: &mut Opening,
) -> Result<(), EngineError> {
    opening.swept += files::sweep(folder, "")?;
    opening.swept += thumbnails::sweep(folder);
    opening.swept += copying::sweep(folder)?;
    index.together(|index| {
        let changed = changed_folders(folder, index)?;
        agree(folder, index, &changed, opening)?;
        index.catch_up_with_journal()?;
        // After an older program, a small library can be searched at once, a large one after upkeep.
        for row in index.unfinished(0, WORDS_AT_START)? {
            if row.todo & Todo::Words as u8 != 0 {
                index.renew_words(row.id)?;
            }
        }
        opening.missing = index.count_missing()?;
        Ok(())
    })
}

/// Lists the folders in which something may have come or gone, relative to the library's, with the
/// time to note for each; `None` for one that is not there any more.
fn changed_folders(
    folder: &Path,
    index: &Index,
) -> Result<BTreeMap<String, Option<i64>>, EngineError> {
    let mut known: HashMap<String, i64> = index.folder_times()?;
    let mut changed = BTreeMap::new();
    let now_ns = to_ns(SystemTime::now());
    for top in [PICTURES, SOUNDS, TRASH] {
        let base = folder.join(top);
        let unreadable = |error: std::io::Error| EngineError::io("read the folder", &base, &error);
        for month in fs::read_dir(&base).map_err(unreadable)? {
            let month = month.map_err(unreadable)?.path();
            let Some(name) = relative(folder, &month).filter(|_| month.is_dir()) else { continue };
            let modified = fs::metadata(&month).and_then(|found| found.modified());
            let modified_ns = modified.map_or(0, to_ns);
            let listed_ns = known.remove(&name).unwrap_or(0);
            if modified_ns == 0 || modified_ns != listed_ns {
                // One from the future would never seem to change again.
                let is_settled = modified_ns < now_ns - TICK_NS;
                changed.insert(name, Some(if is_settled { modified_ns } else { 0 }));
            }
        }
    }
    changed.extend(known.into_keys().map(|gone| (gone, None)));
    Ok(changed)
}

/// Makes the index agree with some folders.
fn agree(
    folder: &Path,
    index: &Index,
    changed: &BTreeMap<String, Option<i64>>,
    opening: &mut Opening,
) -> Result<(), EngineError> {
    let (mut found, mut gone) = (BTreeSet::new(), BTreeMap::new());
    for (name, modified_ns) in changed {
        let mut rows = index.places(Some(name))?;
        if modified_ns.is_some() {
            list(folder, name, index, &mut rows, &mut found, opening)?;
        }
        gone.extend(rows);
    }
    for (file, place) in gone {
        // A crash between moving a file and saying so leaves it on the other side.
        if let Some(other) = other_side(&file).filter(|other| found.remove(other)) {
            let trashed_ms = other.starts_with(TRASH).then(now_ms);
            index.set_place(place.id, &other, trashed_ms)?;
        } else if !place.is_missing {
            index.set_missing(place.id, true)?;
        }
    }
    let adopted = adopt(folder, index, &found, opening)?;
    index.remember(&adopted)?;
    for (name, modified_ns) in changed {
        match modified_ns {
            Some(modified_ns) => index.set_folder_time(name, *modified_ns)?,
            None => index.forget_folder(name)?,
        }
    }
    Ok(())
}

/// Adds the results that the index does not know, oldest first, and returns their numbers. One that
/// has the content of a result whose file is gone is that result, moved by hand.
fn adopt(
    folder: &Path,
    index: &Index,
    files: &BTreeSet<String>,
    opening: &mut Opening,
) -> Result<Vec<i64>, EngineError> {
    let mut files: Vec<(i64, &String)> =
        files.iter().map(|file| (modified_ms(&folder.join(file)), file)).collect();
    files.sort_unstable();
    let mut adopted = Vec::new();
    for (created_ms, file) in files {
        let path = folder.join(file);
        match adopt_file(index, &path, file, created_ms)? {
            Some(id) => {
                opening.adopted += 1;
                adopted.push(id);
            }
            None => opening.unreadable.push(path),
        }
    }
    Ok(adopted)
}

/// Adds one file to the index; `None` when it holds no recipe of ours.
pub(super) fn adopt_file(
    index: &Index,
    path: &Path,
    file: &str,
    created_ms: i64,
) -> Result<Option<i64>, EngineError> {
    let (Ok(Some(request)), Ok(content)) = (request_in(path), content_of(path)) else {
        return Ok(None);
    };
    let trashed_ms = file.starts_with(TRASH).then(now_ms);
    if let Some((id, _)) = index.missing_with(&content.sha256)? {
        index.set_place(id, file, trashed_ms)?;
        return Ok(Some(id));
    }
    let id = index.adopt(file, created_ms, trashed_ms, &request)?;
    index.set_content(id, &content)?;
    Ok(Some(id))
}

/// Reads the request in a result's file.
pub(super) fn request_in(path: &Path) -> Result<Option<Request>, EngineError> {
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

/// Sweeps a folder and takes what is in it out of the rows that say so; what they do not say is
/// found. All relative to the library's folder.
fn list(
    folder: &Path,
    name: &str,
    index: &Index,
    rows: &mut HashMap<String, Place>,
    found: &mut BTreeSet<String>,
    opening: &mut Opening,
) -> Result<(), EngineError> {
    let path = folder.join(name);
    let unreadable = |error: std::io::Error| EngineError::io("read the folder", &path, &error);
    let mut file = format!("{name}/");
    for entry in fs::read_dir(&path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let file_name = entry.file_name();
        let Some(text) = file_name.to_str() else { continue };
        file.truncate(name.len() + 1);
        file.push_str(text);
        // Looking at each of many thousand files takes longer than all the rest.
        if let Some(place) = rows.remove(&file) {
            if place.is_missing {
                index.set_missing(place.id, false)?;
            }
            continue;
        }
        let is_ours = ResultKind::of(Path::new(text)).is_some();
        let is_empty = || entry.metadata().is_ok_and(|found| found.is_file() && found.len() == 0);
        if files::is_part(text) || (is_ours && is_empty()) {
            opening.swept += usize::from(fs::remove_file(entry.path()).is_ok());
        } else if is_ours {
            found.insert(file.clone());
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
    to_ns(SystemTime::now()) / 1_000_000
}

pub(super) fn modified_ms(path: &Path) -> i64 {
    let modified = fs::metadata(path).and_then(|found| found.modified());
    modified.map_or_else(|_| now_ms(), |time| to_ns(time) / 1_000_000)
}

/// Returns a time in milliseconds since 1970; 0 for earlier ones.
pub(super) fn to_ms(time: SystemTime) -> i64 {
    to_ns(time) / 1_000_000
}

fn to_ns(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
