//! Moves the whole library to another folder: everything is copied and compared before the switch,
//! and removed from its old place after.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::EngineError;

use super::contents::copy_hashed;
use super::conversations::CONVERSATIONS;
use super::index::{Index, Refusal};
use super::journal::JOURNAL;
use super::latents::LATENTS;
use super::place::{INDEX, LOCK, MOVED_TO, PICTURES, SOUNDS, THUMBNAILS, TRASH};
use super::{files, place};

/// Checks that a library can move from one folder to another and makes the latter.
pub(super) fn prepare(from: &Path, to: &Path) -> Result<PathBuf, EngineError> {
    let refused = |error: io::Error| EngineError::io("use the folder", to, &error);
    let to = std::path::absolute(to).map_err(refused)?;
    let apart = || EngineError::invalid("new folder", "and the old one must lie apart");
    if to.starts_with(from) {
        return Err(apart());
    }
    files::make_folder(&to)?;
    // Links and `..` are resolved only now that the folder is there.
    let (to, from) = (to.canonicalize().map_err(refused)?, from.canonicalize().map_err(refused)?);
    if to.starts_with(&from) || from.starts_with(&to) {
        return Err(apart());
    }
    for entry in fs::read_dir(&to).map_err(refused)? {
        let name = entry.map_err(refused)?.file_name();
        if name != LOCK && name != MOVED_TO {
            return Err(EngineError::invalid("new folder", "must be empty"));
        }
    }
    Ok(to)
}

/// Copies the library, compares every file and opens the new index. On failure what was copied is
/// removed again.
pub(super) fn copy(from: &Path, index: &Index, to: &Path) -> Result<Index, EngineError> {
    copy_all(from, index, to).inspect_err(|_| {
        for top in [PICTURES, SOUNDS, TRASH, CONVERSATIONS, LATENTS] {
            let _ = fs::remove_dir_all(to.join(top));
        }
        let _ = fs::remove_file(to.join(JOURNAL));
        remove_index(to);
    })
}

fn copy_all(from: &Path, index: &Index, to: &Path) -> Result<Index, EngineError> {
    for top in [PICTURES, SOUNDS, TRASH, CONVERSATIONS, LATENTS] {
        copy_folder(&from.join(top), &to.join(top))?;
    }
    // Before the index: what it does not know yet, it reads there.
    if from.join(JOURNAL).exists() {
        copy_file(&from.join(JOURNAL), &to.join(JOURNAL))
            .map_err(|error| EngineError::io("copy the file", to.join(JOURNAL), &error))?;
    }
    let new_path = to.join(INDEX);
    index.copy_to(&new_path)?;
    let sync = || File::options().write(true).open(&new_path)?.sync_all();
    sync().map_err(|error| EngineError::io("write the index", &new_path, &error))?;
    let new_index = Index::open(&new_path).map_err(|refusal| match refusal {
        Refusal::Damaged => EngineError::damaged(&new_path, "did not survive the copying"),
        Refusal::Other(error) => error,
    })?;
    if new_index.count()? != index.count()? {
        return Err(EngineError::damaged(new_path, "did not survive the copying"));
    }
    Ok(new_index)
}

/// Makes the new folder the one that counts. Before this returns `Ok`, the old one is whole.
pub(super) fn switch(from: &Path, to: &Path) -> Result<(), EngineError> {
    let note = to.join(MOVED_TO);
    // After an earlier move from there, the note there leads back here and would close a circle.
    if note.exists() {
        fs::remove_file(&note).map_err(|error| EngineError::io("switch to", &note, &error))?;
    }
    place::note_move(from, to)
}

/// Removes what is safely in the new folder from the old one, leaving its lock and its note. What
/// resists, or was put there meanwhile, stays.
pub(super) fn remove_moved(from: &Path, to: &Path) {
    for top in [PICTURES, SOUNDS, TRASH, CONVERSATIONS, LATENTS] {
        remove_copied(&from.join(top), &to.join(top));
    }
    let _ = fs::remove_dir_all(from.join(THUMBNAILS));
    let _ = fs::remove_file(from.join(JOURNAL));
    remove_index(from);
}

fn remove_index(folder: &Path) {
    for suffix in ["-wal", "-shm", ""] {
        let _ = fs::remove_file(folder.join(format!("{INDEX}{suffix}")));
    }
}

fn remove_copied(from: &Path, to: &Path) {
    let Ok(entries) = fs::read_dir(from) else { return };
    for entry in entries.flatten() {
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().is_ok_and(|found| found.is_dir()) {
            remove_copied(&old, &new);
        } else if let (Ok(was), Ok(is)) = (fs::metadata(&old), fs::metadata(&new))
            && was.len() == is.len()
        {
            let _ = fs::remove_file(&old);
        }
    }
    // Not empty when something stayed.
    let _ = fs::remove_dir(from);
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), EngineError> {
    let refused = |error: io::Error| EngineError::io("copy the folder", from, &error);
    files::make_folder(to)?;
    for entry in fs::read_dir(from).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(refused)?.is_dir() {
            copy_folder(&source, &target)?;
        } else {
            copy_file(&source, &target)
                .map_err(|error| EngineError::io("copy the file", &target, &error))?;
        }
    }
    files::sync_folder(to).map_err(refused)
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = File::create_new(to)?;
    let read = copy_hashed(&mut source, &mut target)?;
    if let Ok(time) = source.metadata()?.modified() {
        target.set_modified(time)?;
    }
    target.sync_all()?;
    if copy_hashed(&mut File::open(to)?, &mut io::sink())? != read {
        return Err(io::Error::other("the copy differs"));
    }
    Ok(())
}
