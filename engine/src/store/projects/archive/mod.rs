//! Whole projects in one file (`.atelier`), to be kept elsewhere or handed on.
//!
//! ```text
//! manifest.json        what it is, the edits and what was generated at them, where the person was
//! picture.png          the picture as it was seen last, for other programs
//! parts/0.bin …        tiles, documents and small pictures, each with its hash
//! sources/<sha256>.png what jobs had read of a document
//! ```
//!
//! It is a zip archive of plain data, not a database: a project is built anew from it, and every part
//! is checked on the way. Nothing in it is used as a path, and what recipes say of places on the
//! computer of whoever made them is forgotten.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::NodeId;
use crate::error::EngineError;
use crate::protocol::PictureRequest;
use crate::store::{copying, files};

pub use read::import;

/// The ending of a project in one file.
pub const ARCHIVE_EXTENSION: &str = "atelier";

/// What [`Manifest::format`] says.
const FORMAT: &str = "atelier-project";
/// What [`Manifest::version`] says of files that this version reads.
const VERSION: u32 = 1;

const MANIFEST: &str = "manifest.json";
const PICTURE: &str = "picture.png";
/// Where what is read by jobs stands.
const SOURCES: &str = "sources";

/// The longest manifest that is read.
const MAX_MANIFEST_BYTES: u64 = 256 << 20;
/// The most entries of an archive.
const MAX_ENTRIES: usize = 1 << 16;
/// The longest file of parts that is read; they are begun anew long before.
const MAX_PART_FILE_BYTES: u64 = 768 << 20;
/// How long a file of parts grows before the next is begun.
const PART_FILE_BYTES: usize = 16 << 20;
/// The longest picture that jobs had read.
const MAX_SOURCE_BYTES: u64 = 512 << 20;
/// How pictures that jobs read may end.
const SOURCE_ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// The file in the projects' folder that everybody locks who copies projects.
const COPYING: &str = "copying-lock";

/// Says what was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectExport {
    /// The file.
    pub file: PathBuf,
    /// How many edits it holds.
    pub edits: usize,
    /// How many pictures that jobs had read are not there any more; running those jobs again reads
    /// the document anew.
    pub lost_sources: usize,
}

/// Says what was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectImport {
    /// The project's file.
    pub file: PathBuf,
    /// How many edits it has.
    pub edits: usize,
    /// What its recipes said of places on another computer, which is forgotten: paths of models,
    /// LoRAs and pictures.
    pub forgotten: Vec<String>,
}

/// What `manifest.json` says.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: String,
    version: u32,
    name: String,
    made_by: String,
    head: Option<NodeId>,
    edits: Vec<Edit>,
    part_files: u32,
    /// The names of the pictures in `sources/`.
    #[serde(default)]
    sources: Vec<String>,
}

/// An edit without its document.
#[derive(Debug, Serialize, Deserialize)]
struct Edit {
    id: NodeId,
    parent: Option<NodeId>,
    created_ms: i64,
    kind: String,
    detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipe: Option<Box<PictureRequest>>,
}

/// Says what a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PartKind {
    /// The packed pixels of a tile, by its number.
    Tile,
    /// The packed record of an edit's document.
    Document,
    /// The small picture of an edit.
    Thumbnail,
}

impl PartKind {
    const ALL: [Self; 3] = [Self::Tile, Self::Document, Self::Thumbnail];

    fn letter(self) -> u8 {
        match self {
            Self::Tile => b'T',
            Self::Document => b'D',
            Self::Thumbnail => b'S',
        }
    }
}

fn part_file(number: u32) -> String {
    format!("parts/{number}.bin")
}

/// Shows other processes that projects are being copied, so that nobody sweeps.
fn locked(folder: &Path) -> Result<File, EngineError> {
    let lock = open_lock(folder)?;
    let path = folder.join(COPYING);
    lock.lock_shared().map_err(|error| EngineError::io("lock the projects", path, &error))?;
    Ok(lock)
}

fn open_lock(folder: &Path) -> Result<File, EngineError> {
    files::make_folder(folder)?;
    let path = folder.join(COPYING);
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| EngineError::io("lock the projects", path, &error))
}

/// Removes what killed processes left half-written of imports and exports, and returns how many
/// files went; nothing while a process is copying.
///
/// # Errors
/// [`EngineError::Io`] when the folder cannot be read.
pub fn sweep(folder: &Path) -> Result<usize, EngineError> {
    let lock = open_lock(folder)?;
    if lock.try_lock().is_err() {
        return Ok(0);
    }
    Ok(files::sweep(folder, "")? + copying::sweep(folder)?)
}
