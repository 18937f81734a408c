//! Copies of results outside the library. A picture and a sound carry their recipe in themselves.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::EngineError;

use super::contents::copy_hashed;
use super::copying::Note;
use super::{Store, files, unknown};

/// Holds a result that was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Its number in the library.
    pub id: i64,
    /// The copy.
    pub file: PathBuf,
    /// The size of the copy, in bytes.
    pub bytes: u64,
    /// Whether the file in the library is not what was saved; the copy is what is there now.
    pub is_changed: bool,
}

impl Store {
    /// Copies a result with its recipe into a folder, which is made if need be, under its own name or
    /// a numbered one when that is taken. Never replaces a file; the copy is whole and on the disk
    /// when this returns, and what a killed process left half-written there is removed by the next
    /// start.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when there is no such result or the folder lies in the library,
    /// [`EngineError::Io`], [`EngineError::DiskFull`] or [`EngineError::Index`].
    pub fn export(&self, id: i64, folder: &Path) -> Result<Exported, EngineError> {
        let home = self.home();
        let refused = |error: std::io::Error| EngineError::io("use the folder", folder, &error);
        files::make_folder(folder)?;
        let to = folder.canonicalize().map_err(refused)?;
        if to.starts_with(home.folder.canonicalize().map_err(refused)?) {
            return Err(EngineError::invalid("folder", "must not lie in the library"));
        }
        let (file, known) = {
            let index = home.index();
            let row = index.result(id)?.ok_or_else(|| unknown(id))?;
            (row.file, index.sha256_of(id)?)
        };
        let source = home.folder.join(&file);
        let text = |part: Option<&std::ffi::OsStr>| {
            part.unwrap_or_default().to_string_lossy().into_owned()
        };
        let (stem, ending) = (text(source.file_stem()), text(source.extension()));
        let note = Note::leave(&home.folder, &to)?;
        let mut original = File::open(&source)
            .map_err(|error| EngineError::io("read the file", &source, &error))?;
        let made = files::make_new(&to, &stem, &ending, |copy| copy_hashed(&mut original, copy));
        drop(note);
        let (file, content) = made?;
        let is_changed = known.is_some_and(|known| known != content.sha256);
        Ok(Exported { id, file, bytes: content.bytes, is_changed })
    }
}
