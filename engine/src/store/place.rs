//! Where the library is, and who has it open.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::EngineError;

use super::files;

pub(super) const INDEX: &str = "index.sqlite";
pub(super) const PICTURES: &str = "pictures";
pub(super) const SOUNDS: &str = "sounds";
pub(super) const TRASH: &str = "trash";
pub(super) const THUMBNAILS: &str = "thumbnails";
pub(super) const LOCK: &str = "lock";
/// Holds the path of the folder that the library was moved to.
pub(super) const MOVED_TO: &str = "moved-to";

/// Ends a chain of moves that somebody tied into a ring.
const MAX_MOVES: usize = 8;

/// Returns the folder in which results are kept unless the user chose another:
/// `$XDG_DATA_HOME/atelier` or `~/.local/share/atelier`, on macOS `~/Library/Application
/// Support/Atelier`, on Windows `%LOCALAPPDATA%\Atelier`.
///
/// # Errors
/// [`EngineError::Io`] when the system names no such place.
pub fn default_folder() -> Result<PathBuf, EngineError> {
    folder_from(|name| std::env::var_os(name)).ok_or_else(|| EngineError::Io {
        action: "find the folder for your pictures".to_owned(),
        reason: "the system names no home folder".to_owned(),
        path: PathBuf::from("atelier"),
    })
}

fn folder_from(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The XDG specification says that a relative path is to be ignored.
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(windows) {
        absolute("LOCALAPPDATA").or_else(|| absolute("APPDATA")).map(|base| base.join("Atelier"))
    } else if cfg!(target_os = "macos") {
        absolute("HOME").map(|home| home.join("Library/Application Support/Atelier"))
    } else {
        absolute("XDG_DATA_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
            .map(|base| base.join("atelier"))
    }
}

/// Follows the notes that moves left behind, from the folder asked for to the one in use.
pub(super) fn follow_moves(folder: &Path) -> Result<PathBuf, EngineError> {
    let mut at = folder.to_owned();
    for _ in 0..MAX_MOVES {
        let Ok(note) = fs::read_to_string(at.join(MOVED_TO)) else {
            return Ok(at);
        };
        let next = PathBuf::from(note.trim_end_matches('\n'));
        // Making an empty library there would look like a loss: the disk may just not be plugged in.
        if !next.join(PICTURES).is_dir() {
            return Err(EngineError::Io {
                action: "open the library".to_owned(),
                reason: "it was moved here, but this place is not there now".to_owned(),
                path: next,
            });
        }
        at = next;
    }
    Err(EngineError::damaged(folder.join(MOVED_TO), "leads in a circle"))
}

/// How long somebody who is just leaving is waited for. The lock of a killed process ends only when
/// the system has taken its memory back, and one that starts another program shares its locks with
/// it for a moment; who does not wait would take that for another Atelier and mend nothing.
const LEAVING: Duration = Duration::from_millis(50);

/// Locks a file for this process alone, waiting for somebody who is just leaving.
pub(super) fn lock_patiently(file: &File) -> Result<(), TryLockError> {
    let patience = Instant::now() + LEAVING;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < patience => {
                std::thread::sleep(LEAVING / 10);
            }
            done => return done,
        }
    }
}

/// Shows other processes that the library is open here; ends when dropped or when the process does.
#[derive(Debug)]
pub(super) struct Presence {
    file: File,
    path: PathBuf,
}

impl Presence {
    /// Joins those who have the library open; true when nobody else has: they are kept out until
    /// [`Presence::share`].
    pub(super) fn enter(folder: &Path) -> Result<(Self, bool), EngineError> {
        let path = folder.join(LOCK);
        let refused = |error: std::io::Error| EngineError::io("open the library", &path, &error);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(refused)?;
        let is_alone = match lock_patiently(&file) {
            // A disk without locks is taken to have one user.
            Ok(()) | Err(TryLockError::Error(_)) => true,
            Err(TryLockError::WouldBlock) => {
                file.lock_shared().map_err(refused)?;
                false
            }
        };
        Ok((Self { file, path }, is_alone))
    }

    /// Lets others in.
    pub(super) fn share(&self) -> Result<(), EngineError> {
        // An exclusive lock cannot be weakened in one step on every system; who comes in between
        // finds a library in order.
        let _ = self.file.unlock();
        match self.file.lock_shared() {
            Err(error) if error.kind() != std::io::ErrorKind::Unsupported => {
                Err(EngineError::io("open the library", &self.path, &error))
            }
            _ => Ok(()),
        }
    }

    /// Keeps others out; false, and shared as before, when somebody is in.
    pub(super) fn exclude(&self) -> Result<bool, EngineError> {
        let _ = self.file.unlock();
        match self.file.try_lock() {
            Err(TryLockError::WouldBlock) => self.share().map(|()| false),
            _ => Ok(true),
        }
    }
}

/// Leaves a note in a folder that its library is elsewhere now.
pub(super) fn note_move(from: &Path, to: &Path) -> Result<(), EngineError> {
    let Some(text) = to.to_str().filter(|text| !text.contains('\n')) else {
        return Err(EngineError::invalid("folder", "has a name that cannot be noted"));
    };
    files::write_atomic(&from.join(MOVED_TO), format!("{text}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_who_is_just_leaving_is_waited_for_and_somebody_who_stays_is_not()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let (leaving, is_alone) = Presence::enter(folder.path())?;
        assert!(is_alone);
        leaving.share()?;
        let (second, is_alone) = Presence::enter(folder.path())?;
        assert!(!is_alone, "two at once");
        drop(second);
        // As a program that was started holds it, between its start and its first instruction.
        let held = leaving.file.try_clone()?;
        drop(leaving);
        let goes = std::thread::spawn(move || {
            std::thread::sleep(LEAVING / 5);
            drop(held);
        });
        let (_third, is_alone) = Presence::enter(folder.path())?;
        assert!(is_alone, "the first had left");
        goes.join().map_err(|_| "the thread panicked")?;
        Ok(())
    }

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn the_default_folder_follows_the_system() {
        let with = |pairs: &'static [(&str, &str)]| {
            folder_from(|name| {
                pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            })
        };
        assert_eq!(with(&[("XDG_DATA_HOME", "/d"), ("HOME", "/h")]), Some("/d/atelier".into()));
        assert_eq!(
            with(&[("XDG_DATA_HOME", "relative"), ("HOME", "/h")]),
            Some("/h/.local/share/atelier".into())
        );
        assert_eq!(with(&[]), None);
    }
}
