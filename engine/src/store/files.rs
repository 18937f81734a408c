//! Files that are either whole or not there: written beside their place, made durable, then put
//! into place in one step that never replaces somebody else's work.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::error::EngineError;

/// Names begin with this while a file is being written; a dot hides them.
const PART_PREFIX: &str = ".atelier-";
const PART_SUFFIX: &str = ".part";

/// Caps the words in a file's name, so that the whole stays under the 143 bytes of encrypted home folders.
const MAX_STEM_WORDS_BYTES: usize = 48;

/// Caps the numbers tried after a taken name.
const MAX_SAME_NAMES: u32 = 100_000;

/// Writes a file so that it is either whole or as before, and on the disk when this returns.
///
/// An existing file is replaced in one step; a link is followed. Whatever is not a plain file (a
/// folder, a device) is left alone.
///
/// # Errors
/// [`EngineError::DiskFull`] or [`EngineError::Io`]; nothing half-written stays behind.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    write_by(path, |file| file.write_all(bytes))
}

/// Writes a file as [`write_atomic`] does, of what `write` writes.
pub(super) fn write_by(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), EngineError> {
    // Renaming onto a link would replace the link instead of what it points to.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
        let error = io::Error::new(ErrorKind::InvalidInput, "this is not a plain file");
        return Err(EngineError::io("write the file", path, &error));
    }
    replace(&path, write).map_err(|error| EngineError::io("write the file", path, &error))
}

/// Writes a new file called `stem.extension`, or `stem-2.extension` and so on when that is taken.
/// Never replaces a file; it is whole and on the disk when this returns.
///
/// # Errors
/// [`EngineError::DiskFull`] or [`EngineError::Io`]; nothing half-written stays behind.
pub fn write_new(
    folder: &Path,
    stem: &str,
    extension: &str,
    bytes: &[u8],
) -> Result<PathBuf, EngineError> {
    make_new(folder, stem, extension, |file| file.write_all(bytes)).map(|(path, ())| path)
}

/// Writes a new file as [`write_new`] does, which keeps the time of another.
///
/// # Errors
/// As [`write_new`].
pub fn write_new_dated(
    folder: &Path,
    stem: &str,
    extension: &str,
    bytes: &[u8],
    modified: SystemTime,
) -> Result<PathBuf, EngineError> {
    let made = make_new(folder, stem, extension, |file| {
        file.write_all(bytes)?;
        // A disk without times keeps the picture all the same.
        let _ = file.set_modified(modified);
        Ok(())
    });
    made.map(|(path, ())| path)
}

/// Makes a new file as [`write_new`] does, of what `write` writes, and returns what that returns.
pub(super) fn make_new<T>(
    folder: &Path,
    stem: &str,
    extension: &str,
    write: impl FnOnce(&mut File) -> io::Result<T>,
) -> Result<(PathBuf, T), EngineError> {
    let refused = |error: io::Error| EngineError::io("write the file", folder, &error);
    let mut made = None;
    let part = Part::write(folder, |file| {
        made = Some(write(file)?);
        Ok(())
    });
    let part = part.map_err(refused)?;
    let path = first_free(folder, stem, extension, |path| part.place_new(path)).map_err(refused)?;
    sync_folder(folder).map_err(refused)?;
    let made = made.ok_or_else(|| EngineError::invalid("file", "was not written"))?;
    Ok((path, made))
}

/// Makes a new file as [`write_new`] does, which `make` makes under the path that it is given.
pub(super) fn make_new_by<T>(
    folder: &Path,
    stem: &str,
    extension: &str,
    make: impl FnOnce(&Path) -> Result<T, EngineError>,
) -> Result<(PathBuf, T), EngineError> {
    let refused = |error: io::Error| EngineError::io("write the file", folder, &error);
    let (part, file) = Part::begin(folder).map_err(refused)?;
    let made = make(&part.path)?;
    file.sync_all().map_err(refused)?;
    let path = first_free(folder, stem, extension, |path| part.place_new(path)).map_err(refused)?;
    sync_folder(folder).map_err(refused)?;
    Ok((path, made))
}

/// Writes a file that can be made again: whole or as before after a killed process, but not
/// necessarily after a power cut.
///
/// # Errors
/// [`EngineError::DiskFull`] or [`EngineError::Io`].
pub fn write_cache(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    write_cache_by(path, folder_of(path), bytes)
}

/// Writes as [`write_cache`] does, with the unfinished file in another folder of the same disk,
/// which is small and so quickly swept.
pub(super) fn write_cache_by(
    path: &Path,
    parts_folder: &Path,
    bytes: &[u8],
) -> Result<(), EngineError> {
    let write = || {
        let (mut part, mut file) = Part::begin(parts_folder)?;
        file.write_all(bytes)?;
        fs::rename(&part.path, path)?;
        part.placed = true;
        Ok(())
    };
    write().map_err(|error| EngineError::io("write the file", path, &error))
}

/// Moves a file into a folder of the same disk under its own name, or a numbered one when that is taken.
/// Never replaces a file; a crash leaves it in one of the two places (an empty file may stay in
/// the other, which [`sweep`] removes).
///
/// # Errors
/// [`EngineError::Io`]; the file is then where it was.
pub fn move_new(from: &Path, folder: &Path) -> Result<PathBuf, EngineError> {
    let text = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let (stem, extension) = (text(from.file_stem()), text(from.extension()));
    let refused = |error: io::Error| EngineError::io("move the file", from, &error);
    let path =
        first_free(folder, &stem, &extension, |path| rename_new(from, path)).map_err(refused)?;
    sync_folder(folder).map_err(refused)?;
    if let Some(old_folder) = from.parent() {
        sync_folder(old_folder).map_err(refused)?;
    }
    Ok(path)
}

/// Makes a folder and those above it, on the disk when this returns.
///
/// # Errors
/// [`EngineError::DiskFull`] or [`EngineError::Io`].
pub fn make_folder(folder: &Path) -> Result<(), EngineError> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_folder(above)?;
    }
    let refused = |error: io::Error| EngineError::io("make the folder", folder, &error);
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists || !folder.is_dir() => {
            return Err(refused(error));
        }
        _ => {}
    }
    folder.parent().map_or(Ok(()), sync_folder).map_err(refused)
}

/// Removes what a killed process left half-written in a folder: unfinished parts and, among files
/// with the given extension, empty ones. Returns how many went.
///
/// Only for a folder in which nobody is writing at the moment.
///
/// # Errors
/// [`EngineError::Io`] when the folder cannot be read; a single file that resists is left.
pub fn sweep(folder: &Path, extension: &str) -> Result<usize, EngineError> {
    let entries =
        fs::read_dir(folder).map_err(|error| EngineError::io("read the folder", folder, &error))?;
    let mut removed = 0;
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let unfinished = is_part(&name.to_string_lossy());
        let is_reserved = || {
            path.extension().is_some_and(|found| found == extension)
                && entry.metadata().is_ok_and(|found| found.is_file() && found.len() == 0)
        };
        if (unfinished || is_reserved()) && fs::remove_file(&path).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

/// Tells by its name whether a file is one that was being written.
pub(super) fn is_part(name: &str) -> bool {
    name.starts_with(PART_PREFIX) && name.ends_with(PART_SUFFIX)
}

/// Makes a file's name without extension from a date (`2026-11-23`), the first words of a prompt and a seed.
///
/// Letters and digits of every script stay, everything else becomes a hyphen, so the name is safe
/// on every system and in every shell.
pub fn picture_stem(date: &str, prompt: &str, seed: u64) -> String {
    let mut stem = date.to_owned();
    let mut room = MAX_STEM_WORDS_BYTES;
    for word in prompt.split(|letter: char| !letter.is_alphanumeric()).filter(|w| !w.is_empty()) {
        let word = word.to_lowercase();
        // A script without spaces is one long word: what fits of it is better than nothing.
        let fits = match word.len() < room {
            true => word.len(),
            false if room == MAX_STEM_WORDS_BYTES => word.floor_char_boundary(room - 1),
            false => break,
        };
        stem.push('-');
        stem.push_str(&word[..fits]);
        room -= fits + 1;
    }
    format!("{stem}-{seed}")
}

/// Returns the folder of a file.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes beside the path, then puts the file into place, replacing what was there.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(path);
    let mut part = Part::write(folder, write)?;
    fs::rename(&part.path, path)?;
    part.placed = true;
    sync_folder(folder)
}

/// Tries `stem.extension`, `stem-2.extension`, … until `place` finds one that is free.
fn first_free(
    folder: &Path,
    stem: &str,
    extension: &str,
    place: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<PathBuf> {
    for number in 1..=MAX_SAME_NAMES {
        let path = folder.join(match number {
            1 => format!("{stem}.{extension}"),
            _ => format!("{stem}-{number}.{extension}"),
        });
        match place(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(path),
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, "too many files have this name"))
}

/// Renames in one step, failing when the new name is taken.
///
/// The name is reserved by an empty file first: unlike a second hard link, this leaves one copy only
/// at every moment, and works on disks without hard links.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(to)?;
    fs::rename(from, to).inspect_err(|_| {
        let _ = fs::remove_file(to);
    })
}

/// Makes the folder's list of names durable, where the system has a way to.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        // Some network and FUSE disks cannot; they promise nothing else either.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            Ok(())
        }
        done => done,
    }
}

/// Holds a file that is written and durable but not yet in its place; removed when dropped.
struct Part {
    path: PathBuf,
    placed: bool,
}

impl Part {
    fn begin(folder: &Path) -> io::Result<(Self, File)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{PART_PREFIX}{}-{count}{PART_SUFFIX}", std::process::id());
            let path = folder.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                // Left by a killed process that had the same number: it may be swept up later.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => return Ok((Self { path, placed: false }, file)),
            }
        }
    }

    fn write(folder: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<Self> {
        let (part, mut file) = Self::begin(folder)?;
        write(&mut file)?;
        file.sync_all()?;
        Ok(part)
    }

    /// Gives the file its name, failing when that is taken.
    fn place_new(&self, path: &Path) -> io::Result<()> {
        match fs::hard_link(&self.path, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
            // Memory cards and some network disks have no hard links.
            Err(_) => rename_new(&self.path, path),
            Ok(()) => Ok(()),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.placed {
            // Gone already when it was renamed; a failure leaves a hidden file for `sweep`.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not so")]

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomic(&path, b"first").unwrap();
        write_atomic(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_full_disk_leaves_the_old_file_and_nothing_half_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomic(&path, b"first").unwrap();
        let error = replace(&path, |file| {
            file.write_all(b"sec")?;
            Err(ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        assert!(matches!(EngineError::io("write", &path, &error), EngineError::DiskFull { .. }));
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let blocker = folder.path().join("file");
        fs::write(&blocker, b"x").unwrap();
        let path = blocker.join("a.txt");
        let error = write_atomic(&path, b"x").unwrap_err();
        assert!(matches!(&error, EngineError::Io { path: named, .. } if *named == path), "{error}");
        assert!(write_new(&blocker, "a", "txt", b"x").is_err());
        assert!(make_folder(&blocker.join("below")).is_err());
    }

    #[test]
    fn what_is_not_a_plain_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write_atomic(folder.path(), b"x").is_err());
        #[cfg(unix)]
        assert!(write_atomic(Path::new("/dev/null"), b"x").is_err());
        #[cfg(unix)]
        {
            let (real, link) = (folder.path().join("real"), folder.path().join("link"));
            write_atomic(&real, b"first").unwrap();
            std::os::unix::fs::symlink(&real, &link).unwrap();
            write_atomic(&link, b"second").unwrap();
            assert_eq!(fs::read(&real).unwrap(), b"second");
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        }
    }

    #[test]
    fn a_new_file_never_replaces_another_even_from_many_threads() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8_u8 {
                let folder = folder.path();
                scope.spawn(move || {
                    for _ in 0..5 {
                        let path = write_new(folder, "same", "png", &[thread; 100]).unwrap();
                        assert_eq!(fs::read(path).unwrap(), [thread; 100]);
                    }
                });
            }
        });
        let names = names(folder.path());
        assert_eq!(names.len(), 40);
        assert!(
            names.contains(&"same.png".to_owned()) && names.contains(&"same-40.png".to_owned())
        );
    }

    #[test]
    fn a_moved_file_takes_a_free_name_and_leaves_its_old_place() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        make_folder(&here).unwrap();
        make_folder(&there).unwrap();
        let mine = write_new(&here, "a", "png", b"mine").unwrap();
        let theirs = write_new(&there, "a", "png", b"theirs").unwrap();
        let moved = move_new(&mine, &there).unwrap();
        assert_eq!(moved, there.join("a-2.png"));
        assert_eq!(fs::read(moved).unwrap(), b"mine");
        assert_eq!(fs::read(theirs).unwrap(), b"theirs");
        assert!(names(&here).is_empty());
        assert!(move_new(&mine, &there).is_err(), "a file that is gone cannot move");
        assert_eq!(names(&there), ["a-2.png", "a.png"]);
    }

    #[test]
    fn sweeping_takes_leftovers_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            (".atelier-7-0.part", "half"),
            ("reserved.png", ""),
            ("whole.png", "x"),
            ("empty.txt", ""),
            (".other.part", "x"),
        ] {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        assert_eq!(sweep(folder.path(), "png").unwrap(), 2);
        assert_eq!(names(folder.path()), [".other.part", "empty.txt", "whole.png"]);
    }

    #[test]
    fn names_are_short_and_safe_in_every_script() {
        let stem = |prompt: &str| picture_stem("2026-11-23", prompt, 42);
        assert_eq!(stem("A red fox, in the snow!"), "2026-11-23-a-red-fox-in-the-snow-42");
        assert_eq!(stem("雪地里的红狐狸"), "2026-11-23-雪地里的红狐狸-42");
        assert_eq!(stem("../..\\con: *?\"<>|\0\n"), "2026-11-23-con-42");
        assert_eq!(stem(""), "2026-11-23-42");
        for prompt in ["狐".repeat(5000), "İ".repeat(5000), "word ".repeat(5000)] {
            let stem = stem(&prompt);
            assert!(stem.len() <= 80, "{stem}");
            assert!(stem.len() > 40, "{stem}");
        }
    }
}
