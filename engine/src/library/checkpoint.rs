//! A model of several gigabytes on disk: where it is and which state of it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::files::hex;
use super::models::Models;
use super::shelves::Shelf;
use crate::error::EngineError;

/// How much is hashed between two looks at whether the job was cancelled.
const CHUNK_BYTES: usize = 8 << 20;
/// How deep a folder of diffusers is.
const DEPTH_MAX: usize = 2;
/// The most files of a folder of diffusers.
const FILES_MAX: usize = 1000;
/// How files of weights end, in a folder of diffusers.
const WEIGHTS: [&str; 2] = ["safetensors", "bin"];

/// Says where a file or folder of weights was found, and which state of it.
///
/// Two that are equal have the same files, as far as can be told without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedWeights {
    /// The name or path by which it was asked for.
    pub name: String,
    /// The file or folder.
    pub path: PathBuf,
    /// The size of all files of weights.
    pub bytes: u64,
    /// Each file of weights with its size and the time when it was written.
    files: Vec<(PathBuf, u64, Option<SystemTime>)>,
}

impl LocatedWeights {
    /// Finds the state of a file or folder.
    ///
    /// # Errors
    /// [`EngineError::Io`] when it cannot be looked at.
    pub fn at(name: &str, path: &Path) -> Result<Self, EngineError> {
        let mut files = Vec::new();
        if path.is_dir() {
            collect(path, DEPTH_MAX, &mut files)?;
        } else {
            files.push(stamp(path)?);
        }
        files.sort();
        let bytes = files.iter().fold(0u64, |sum, (_, bytes, _)| sum.saturating_add(*bytes));
        Ok(Self { name: name.to_owned(), path: path.to_owned(), bytes, files })
    }

    /// Returns each file of weights with its size and the time when it was written.
    pub(super) fn files(&self) -> &[(PathBuf, u64, Option<SystemTime>)] {
        &self.files
    }

    /// Returns the hexadecimal SHA-256 of a file; of a folder, that of its files' hashes in the order
    /// of their names. `check` is called every few milliseconds.
    ///
    /// # Errors
    /// [`EngineError::Io`] when a file cannot be read; whatever `check` returns.
    pub fn sha256(
        &self,
        check: &mut dyn FnMut() -> Result<(), EngineError>,
    ) -> Result<String, EngineError> {
        let mut all = Sha256::new();
        let mut last = String::new();
        for (path, ..) in &self.files {
            last = hash_file(path, check)?;
            all.update(last.as_bytes());
        }
        Ok(if self.files.len() == 1 { last } else { hex(&all.finalize()) })
    }
}

impl Models {
    /// Finds a file or folder of weights of a kind.
    ///
    /// # Errors
    /// [`EngineError::ModelNotFound`]; [`EngineError::Io`] when it cannot be looked at.
    pub fn locate_on(&self, shelf: Shelf, name: &str) -> Result<LocatedWeights, EngineError> {
        LocatedWeights::at(name, &self.find_on(shelf, name)?)
    }
}

fn stamp(path: &Path) -> Result<(PathBuf, u64, Option<SystemTime>), EngineError> {
    let about = fs::metadata(path);
    let about = about.map_err(|error| EngineError::io("look at the model", path, &error))?;
    Ok((path.to_owned(), about.len(), about.modified().ok()))
}

fn collect(
    folder: &Path,
    depth: usize,
    files: &mut Vec<(PathBuf, u64, Option<SystemTime>)>,
) -> Result<(), EngineError> {
    let entries = fs::read_dir(folder);
    let entries = entries.map_err(|error| EngineError::io("open the folder", folder, &error))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if path.is_dir() && depth > 0 {
            collect(&path, depth - 1, files)?;
        } else if WEIGHTS.contains(&ending) && files.len() < FILES_MAX {
            files.push(stamp(&path)?);
        }
    }
    Ok(())
}

fn hash_file(
    path: &Path,
    check: &mut dyn FnMut() -> Result<(), EngineError>,
) -> Result<String, EngineError> {
    let failed = |error: std::io::Error| EngineError::io("read the model", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        check()?;
        match file.read(&mut chunk).map_err(failed)? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&chunk[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_file_has_its_own_hash_and_a_folder_that_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("unet")).unwrap();
        fs::write(at("unet/a.safetensors"), b"abc").unwrap();
        fs::write(at("unet/config.json"), b"{}").unwrap();
        let hash =
            |path: &Path| LocatedWeights::at("x", path).unwrap().sha256(&mut || Ok(())).unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(&at("unet/a.safetensors")), abc);
        assert_eq!(hash(folder.path()), abc);
        fs::write(at("b.bin"), b"").unwrap();
        let both = hash(folder.path());
        assert_ne!(both, abc);
        let before = LocatedWeights::at("x", folder.path()).unwrap();
        assert_eq!(before.bytes, 3);
        fs::write(at("b.bin"), b"1").unwrap();
        assert_ne!(LocatedWeights::at("x", folder.path()).unwrap(), before);
        let stop = before.sha256(&mut || Err(EngineError::Cancelled));
        assert_eq!(stop, Err(EngineError::Cancelled));
    }
}
