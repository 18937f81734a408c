//! Whether the library is whole: every file is read and compared with what is known of it.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::EngineError;

use super::contents::content_of;
use super::files;
use super::index::Recorded;
use super::place::{PICTURES, SOUNDS, THUMBNAILS, TRASH};
use super::recovery::{adopt_file, modified_ms, relative, request_in};
use super::{Home, ResultKind, Store, thumbnails};

/// How many rows are taken from the index at once.
const ROWS_AT_ONCE: usize = 500;

/// Says what a check found, and what was done about it when repairs were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Results that were compared with their files.
    pub checked: usize,
    /// The size of their files together, in bytes.
    pub bytes: u64,
    /// Results whose file is gone; they are listed again when it is back.
    pub missing: Vec<PathBuf>,
    /// Files that are not what was saved, but can be read. A repair takes them as they are.
    pub changed: Vec<PathBuf>,
    /// Files that are not what was saved and cannot be read. They are left as they are.
    pub damaged: Vec<PathBuf>,
    /// Files with a recipe of ours that the index did not know. A repair adopts them.
    pub unknown: Vec<PathBuf>,
    /// Files among the results without a recipe of ours. They are left as they are.
    pub strangers: Vec<PathBuf>,
    /// Half-written and empty files of killed programs. A repair removes them.
    pub leftovers: Vec<PathBuf>,
    /// Thumbnails of results that are no more. A repair removes them.
    pub stray_thumbnails: usize,
    /// Files of several results with one content, by content. They are left as they are.
    pub duplicates: Vec<Vec<PathBuf>>,
    /// What a repair did, sentence by sentence.
    pub repairs: Vec<String>,
}

impl CheckReport {
    /// Tells whether nothing is wrong. Duplicates and strangers are not wrong.
    pub fn is_whole(&self) -> bool {
        let lists = [&self.missing, &self.changed, &self.damaged, &self.unknown, &self.leftovers];
        lists.iter().all(|list| list.is_empty()) && self.stray_thumbnails == 0
    }
}

impl Store {
    /// Compares every file with what is known of it, and puts in order what can be when `is_repair`.
    /// No file of a result is ever deleted. `report` is told how many results were looked at and ends
    /// the check with `false`.
    ///
    /// Belongs on a thread that may read the whole library.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`] when `report` ended it, [`EngineError::Io`] when a folder cannot be
    /// read, [`EngineError::Index`].
    pub fn check(
        &self,
        is_repair: bool,
        mut report: impl FnMut(usize) -> bool,
    ) -> Result<CheckReport, EngineError> {
        let home = self.home();
        let mut check = Check { home: &home, is_repair, found: CheckReport::default() };
        let mut known = HashSet::new();
        let mut last = 0;
        loop {
            let rows = home.index().recorded(last, ROWS_AT_ONCE)?;
            let Some(end) = rows.last() else { break };
            last = end.id;
            for row in rows {
                check.compare(&row)?;
                known.insert(row.file);
            }
            if !report(check.found.checked) {
                return Err(EngineError::Cancelled);
            }
        }
        for top in [PICTURES, SOUNDS, TRASH] {
            check.look_for_unknown(top, &known)?;
        }
        check.look_for_thumbnails()?;
        let duplicates = home.index().duplicates()?;
        let whole = |file: &String| home.folder.join(file);
        check.found.duplicates =
            duplicates.iter().map(|files| files.iter().map(whole).collect()).collect();
        Ok(check.found)
    }
}

struct Check<'a> {
    home: &'a Home,
    is_repair: bool,
    found: CheckReport,
}

impl Check<'_> {
    fn repaired(&mut self, done: impl FnOnce() -> String) {
        self.found.repairs.push(done());
    }

    /// Compares one result with its file.
    fn compare(&mut self, row: &Recorded) -> Result<(), EngineError> {
        let path = self.home.folder.join(&row.file);
        let id = row.id;
        self.found.checked += 1;
        if !path.exists() {
            if self.is_repair && !row.is_missing {
                self.home.index().set_missing(id, true)?;
                self.repaired(|| format!("Listed no longer until it is back: {}", path.display()));
            }
            self.found.missing.push(path);
            return Ok(());
        }
        let Ok(content) = content_of(&path) else {
            self.found.damaged.push(path);
            return Ok(());
        };
        self.found.bytes += content.bytes;
        let is_same = row.sha256.as_ref().is_none_or(|known| *known == content.sha256);
        if is_same {
            if self.is_repair && row.is_missing {
                self.home.index().set_missing(id, false)?;
                self.repaired(|| format!("Listed again: {}", path.display()));
            }
            if row.sha256.is_none() || row.bytes.is_none() {
                // What was never reckoned is noted in any case: nothing contradicts it.
                self.home.index().set_content(id, &content)?;
            }
            return Ok(());
        }
        let Ok(Some(request)) = request_in(&path) else {
            self.found.damaged.push(path);
            return Ok(());
        };
        if self.is_repair {
            let index = self.home.index();
            index.together(|index| {
                index.set_request(id, &request)?;
                index.set_content(id, &content)?;
                index.forget_colours(id)
            })?;
            drop(index);
            let _ = fs::remove_file(thumbnails::path(&self.home.folder, id));
            self.repaired(|| format!("Took the file as it is now: {}", path.display()));
        }
        self.found.changed.push(path);
        Ok(())
    }

    /// Looks for files without rows below one of the folders of results.
    fn look_for_unknown(&mut self, top: &str, known: &HashSet<String>) -> Result<(), EngineError> {
        let base = self.home.folder.join(top);
        for month in list(&base)? {
            if !month.is_dir() {
                continue;
            }
            for path in list(&month)? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let is_result = ResultKind::of(&path).is_some();
                let is_empty = fs::metadata(&path).is_ok_and(|found| found.len() == 0);
                let Some(file) = relative(&self.home.folder, &path) else { continue };
                if files::is_part(name) {
                    self.leftover(path);
                } else if is_result && !known.contains(&file) {
                    // A result that was saved meanwhile has a row by now.
                    if self.home.index().has_file(&file)? {
                        continue;
                    }
                    if is_empty { self.leftover(path) } else { self.unknown(path, &file)? }
                }
            }
        }
        for path in list(&self.home.folder)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if files::is_part(name) {
                self.leftover(path);
            }
        }
        Ok(())
    }

    fn unknown(&mut self, path: PathBuf, file: &str) -> Result<(), EngineError> {
        if !matches!(request_in(&path), Ok(Some(_))) {
            self.found.strangers.push(path);
            return Ok(());
        }
        if self.is_repair {
            let index = self.home.index();
            let adopted = index.together(|index| {
                let adopted = adopt_file(index, &path, file, modified_ms(&path))?;
                index.remember(adopted.as_slice())?;
                Ok(adopted)
            })?;
            drop(index);
            if adopted.is_some() {
                self.repaired(|| format!("Adopted: {}", path.display()));
            }
        }
        self.found.unknown.push(path);
        Ok(())
    }

    fn leftover(&mut self, path: PathBuf) {
        if self.found.leftovers.contains(&path) {
            return;
        }
        if self.is_repair && fs::remove_file(&path).is_ok() {
            self.repaired(|| format!("Removed what was half-written: {}", path.display()));
        }
        self.found.leftovers.push(path);
    }

    fn look_for_thumbnails(&mut self) -> Result<(), EngineError> {
        let folder = self.home.folder.join(THUMBNAILS);
        if !folder.is_dir() {
            return Ok(());
        }
        for path in list(&folder)? {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let Ok(id) = stem.parse::<i64>() else { continue };
            if self.home.index().file_of(id)?.is_some() {
                continue;
            }
            self.found.stray_thumbnails += 1;
            if self.is_repair && fs::remove_file(&path).is_ok() {
                self.repaired(|| format!("Removed a thumbnail of no result: {}", path.display()));
            }
        }
        Ok(())
    }
}

/// Lists what is in a folder, by name.
fn list(folder: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let refused = |error: std::io::Error| EngineError::io("read the folder", folder, &error);
    let entries = fs::read_dir(folder).map_err(refused)?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(refused)?;
    paths.sort_unstable();
    Ok(paths)
}
