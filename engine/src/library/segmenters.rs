//! The house's net that tells a subject from its background, compiled in or in a folder.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::checkpoint::LocatedWeights;
use super::files::{CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, hash, licence_of};
use super::models::Models;
use super::shelves::{Shelf, is_segmenter};
use crate::error::EngineError;
use crate::weights::open::Checkpoint;
use crate::weights::source::ByteSource;

/// The name of the net that this project trained.
pub const HOUSE_SEGMENTER: &str = "house-segmenter";

/// The most bytes that its weights may have in a folder: those of the house's net have 1.5 million.
const BYTES_MAX: u64 = 256 << 20;

/// The weights, the configuration and the card of the house's net, when they were there at build time.
static EMBEDDED: Option<(&[u8], &str, &str)> =
    include!(concat!(env!("OUT_DIR"), "/house_segmenter.rs"));

/// Says where the net was found, without holding it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedSegmenter {
    /// `None` when it is compiled in.
    folder: Option<PathBuf>,
}

/// Holds the opened files of the net.
pub struct OpenSegmenter {
    /// Names and shapes, with the numbers on demand.
    pub weights: Checkpoint,
    /// Its `config.json`.
    pub config_json: Cow<'static, str>,
    /// Hexadecimal SHA-256 of the weights.
    pub sha256: String,
    /// The size of the weights in bytes.
    pub bytes: u64,
    /// Its licence, or `unknown`.
    pub licence: String,
}

impl Models {
    /// Finds the net that tells a subject from its background.
    ///
    /// # Errors
    /// [`EngineError::ModelNotFound`].
    pub fn locate_segmenter(&self) -> Result<LocatedSegmenter, EngineError> {
        let inside = |places: &[PathBuf]| {
            let folders = places.iter().map(|place| place.join(HOUSE_SEGMENTER));
            let folder = folders.into_iter().find(|folder| folder.join(WEIGHTS_FILE).is_file());
            folder.map(|folder| LocatedSegmenter { folder: Some(folder) })
        };
        let embedded = || {
            let is_here = self.has_embedded() && EMBEDDED.is_some();
            is_here.then_some(LocatedSegmenter { folder: None })
        };
        inside(self.first_places())
            .or_else(embedded)
            .or_else(|| inside(self.last_places()))
            .ok_or_else(|| EngineError::ModelNotFound { name: HOUSE_SEGMENTER.to_owned() })
    }
}

impl Models {
    /// Finds a net that finds what is pointed at: by its path or its name, or the first of those that are
    /// here, small ones before large ones.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when none is here; [`EngineError::ModelNotFound`] when there is
    /// none of this name; [`EngineError::Io`] when it cannot be looked at.
    pub fn locate_sam(&self, name: Option<&str>) -> Result<LocatedWeights, EngineError> {
        if let Some(name) = name {
            return LocatedWeights::at(name, &self.find_on(Shelf::Segmenters, name)?);
        }
        let Some(entry) = self.shelf(Shelf::Segmenters).into_iter().min_by_key(|entry| {
            let bytes = std::fs::metadata(&entry.path).map_or(u64::MAX, |found| found.len());
            // What else lies there may be of a kind that is not run.
            (!is_segmenter(&entry.path), bytes, entry.path.clone())
        }) else {
            let reason = "that finds what is pointed at is missing: put mobile_sam.pt into the folder \
                          models/sams of a folder of models";
            return Err(EngineError::invalid("model", reason));
        };
        LocatedWeights::at(&entry.name, &entry.path)
    }
}

impl LocatedSegmenter {
    /// Returns its folder, `None` when it is compiled in.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Opens it. `check` is called every few milliseconds.
    ///
    /// # Errors
    /// As [`Checkpoint::read`]; [`EngineError::Io`] when a file cannot be read; whatever `check` returns.
    pub fn open(
        &self,
        check: &mut dyn FnMut() -> Result<(), EngineError>,
    ) -> Result<OpenSegmenter, EngineError> {
        let (bytes, config_json, card, path) = match (&self.folder, EMBEDDED) {
            (Some(folder), _) => {
                let path = folder.join(WEIGHTS_FILE);
                let config = read(&folder.join(CONFIG_FILE), |path| std::fs::read_to_string(path))?;
                let card = std::fs::read_to_string(folder.join(CARD_FILE)).unwrap_or_default();
                let size = read(&path, |path| std::fs::metadata(path))?.len();
                if size > BYTES_MAX {
                    return Err(EngineError::damaged(path, "is far larger than such a net"));
                }
                (read(&path, |path| std::fs::read(path))?, config.into(), Cow::from(card), path)
            }
            (None, Some((weights, config, card))) => {
                let path = Path::new(HOUSE_SEGMENTER).join(WEIGHTS_FILE);
                (weights.to_vec(), Cow::from(config), Cow::from(card), path)
            }
            (None, None) => {
                return Err(EngineError::ModelNotFound { name: HOUSE_SEGMENTER.to_owned() });
            }
        };
        Ok(OpenSegmenter {
            sha256: hash(&bytes, check)?,
            bytes: bytes.len() as u64,
            weights: Checkpoint::read(ByteSource::memory(bytes), &path)?,
            licence: licence_of(&config_json, &card),
            config_json,
        })
    }
}

impl OpenSegmenter {
    /// Returns a number that differs for another configuration.
    pub(crate) fn texts_hash(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        self.config_json.hash(&mut hash);
        hash.finish()
    }
}

/// Reads something of a file of the net.
fn read<T>(path: &Path, how: impl Fn(&Path) -> std::io::Result<T>) -> Result<T, EngineError> {
    how(path).map_err(|error| EngineError::io("read the model", path, &error))
}
