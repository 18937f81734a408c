//! Notes of folders elsewhere into which files are being copied, so that a later start removes what a
//! killed process left half-written there. They are files: the index may be lost with the process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::files;
use crate::error::EngineError;

/// How the notes begin.
const PREFIX: &str = "copying-to-";

/// Is a note; it goes when it is dropped, and stays when its process is killed.
#[derive(Debug)]
pub(super) struct Note(Option<PathBuf>);

impl Note {
    /// Notes in `home` that files are being written into a folder.
    ///
    /// # Errors
    /// [`EngineError::Io`] or [`EngineError::DiskFull`].
    pub(super) fn leave(home: &Path, folder: &Path) -> Result<Self, EngineError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let refused = |error: std::io::Error| EngineError::io("use the folder", folder, &error);
        let folder = std::path::absolute(folder).map_err(refused)?;
        // A path that is not Unicode cannot be noted: what is left there stays.
        let Some(text) = folder.to_str() else { return Ok(Self(None)) };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = home.join(format!("{PREFIX}{}-{count}.txt", std::process::id()));
        fs::write(&path, text).map_err(|error| EngineError::io("write the note", &path, &error))?;
        Ok(Self(Some(path)))
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // One that stays costs a later start a look into a folder.
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes what killed processes left in the folders that they noted, and their notes; returns how
/// many files went. Only while nobody is copying.
///
/// # Errors
/// [`EngineError::Io`] when `home` cannot be read.
pub(super) fn sweep(home: &Path) -> Result<usize, EngineError> {
    let unreadable = |error: std::io::Error| EngineError::io("read the folder", home, &error);
    let mut swept = 0;
    for entry in fs::read_dir(home).map_err(unreadable)?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        if let Ok(folder) = fs::read_to_string(entry.path()) {
            // The folder may be gone, or on a disk that is not there now.
            swept += files::sweep(Path::new(&folder), "").unwrap_or(0);
        }
        let _ = fs::remove_file(entry.path());
    }
    Ok(swept)
}
