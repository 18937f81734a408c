//! The files of one model.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use safetensors::{SafeTensorError, SafeTensors};
use sha2::{Digest, Sha256};

use super::models::HOUSE_PICTURE;
use crate::error::EngineError;

pub(super) const WEIGHTS_FILE: &str = "model.safetensors";
pub(super) const CONFIG_FILE: &str = "config.json";
pub(super) const LEXICON_FILE: &str = "lexicon.json";
pub(super) const CARD_FILE: &str = "card.md";

/// The most bytes that a configuration, lexicon or card may have.
const TEXT_LIMIT_BYTES: u64 = 64 << 20;

/// How much is read or hashed between two looks at whether the job was cancelled: a few
/// milliseconds' worth.
const CHUNK_BYTES: usize = 4 << 20;

/// What the licence of a model is called when its files do not say.
pub(super) const UNKNOWN_LICENCE: &str = "unknown";

/// The files of a model that is compiled in.
#[derive(Debug)]
pub(super) struct Embedded {
    weights: &'static [u8],
    config_json: &'static str,
    lexicon_json: &'static str,
    card: &'static str,
}

/// The house model, when it was there at build time.
static EMBEDDED_HOUSE_PICTURE: Option<Embedded> =
    include!(concat!(env!("OUT_DIR"), "/house_picture.rs"));

/// Says where a model was found and which state of it, without holding any of it.
///
/// Two that are equal have the same files, as far as can be told without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    name: String,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Embedded,
    Folder { folder: PathBuf, weights: Stamp, config: Option<Stamp>, lexicon: Option<Stamp> },
}

/// Tells whether a file was written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(about: &fs::Metadata) -> Self {
        Self { bytes: about.len(), modified: about.modified().ok() }
    }
}

impl Located {
    pub(super) fn embedded(name: &str) -> Option<Self> {
        (name == HOUSE_PICTURE && EMBEDDED_HOUSE_PICTURE.is_some())
            .then(|| Self { name: name.to_owned(), place: Place::Embedded })
    }

    pub(super) fn in_folder(name: &str, folder: &Path) -> Result<Self, EngineError> {
        let weights = folder.join(WEIGHTS_FILE);
        let about = fs::metadata(&weights).map_err(|error| unreadable(&weights, &error))?;
        if !about.is_file() {
            return Err(EngineError::damaged(weights, "is not a file"));
        }
        let stamp = |name| fs::metadata(folder.join(name)).ok().map(|about| Stamp::of(&about));
        let place = Place::Folder {
            folder: folder.to_owned(),
            weights: Stamp::of(&about),
            config: stamp(CONFIG_FILE),
            lexicon: stamp(LEXICON_FILE),
        };
        Ok(Self { name: name.to_owned(), place })
    }

    /// Returns the name or path by which the model was asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the model's folder; `None` when it is compiled in.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Embedded => None,
            Place::Folder { folder, .. } => Some(folder),
        }
    }

    /// Returns the size of the weights in bytes.
    pub fn weights_bytes(&self) -> u64 {
        match &self.place {
            Place::Embedded => {
                EMBEDDED_HOUSE_PICTURE.as_ref().map_or(0, |model| model.weights.len() as u64)
            }
            Place::Folder { weights, .. } => weights.bytes,
        }
    }

    /// Reads the model's files and checks that the weights are whole. `check` is called every few
    /// milliseconds; its error ends the reading.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when a file is missing, cut short or not what its name says;
    /// [`EngineError::Io`] when one cannot be read; whatever `check` returns.
    pub fn open(
        &self,
        check: &mut dyn FnMut() -> Result<(), EngineError>,
    ) -> Result<ModelFiles, EngineError> {
        check()?;
        let files = match (&self.place, &EMBEDDED_HOUSE_PICTURE) {
            (Place::Folder { folder, .. }, _) => {
                let card = match read_text(&folder.join(CARD_FILE)) {
                    Ok(card) => card,
                    Err(EngineError::Damaged { .. }) => String::new(),
                    Err(error) => return Err(error),
                };
                ModelFiles::new(
                    &self.name,
                    Weights::Read(Arc::new(read_weights(&folder.join(WEIGHTS_FILE), check)?)),
                    read_text(&folder.join(CONFIG_FILE))?.into(),
                    read_text(&folder.join(LEXICON_FILE))?.into(),
                    card.into(),
                )
            }
            (Place::Embedded, Some(model)) => ModelFiles::new(
                &self.name,
                Weights::Embedded(model.weights),
                model.config_json.into(),
                model.lexicon_json.into(),
                model.card.into(),
            ),
            (Place::Embedded, None) => {
                return Err(EngineError::ModelNotFound { name: self.name.clone() });
            }
        };
        let weights = self.folder().unwrap_or(Path::new(HOUSE_PICTURE)).join(WEIGHTS_FILE);
        check_whole(&files.weights, &weights)?;
        Ok(files)
    }
}

/// Holds the files of one model.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    /// The name or path by which the model was asked for.
    pub name: String,
    /// The bytes of `model.safetensors`.
    pub weights: Weights,
    /// The model's configuration.
    pub config_json: Cow<'static, str>,
    /// Which words the model reads.
    pub lexicon_json: Cow<'static, str>,
    /// What the model can do and how it was made, in Markdown; empty when it has no card.
    pub card: Cow<'static, str>,
    /// The model's licence as its card or configuration names it, or `unknown`.
    pub licence: String,
    sha256: OnceLock<String>,
}

impl ModelFiles {
    fn new(
        name: &str,
        weights: Weights,
        config_json: Cow<'static, str>,
        lexicon_json: Cow<'static, str>,
        card: Cow<'static, str>,
    ) -> Self {
        let licence = licence_of(&config_json, &card);
        let (name, sha256) = (name.to_owned(), OnceLock::new());
        Self { name, weights, config_json, lexicon_json, card, licence, sha256 }
    }

    /// Returns the hexadecimal SHA-256 of the weights; computed once, at about a gigabyte a second.
    pub fn sha256(&self) -> &str {
        // A check that never fails leaves nothing to fail.
        self.sha256_checking(&mut || Ok(())).unwrap_or_default()
    }

    /// Returns a number that differs, in all likelihood, where the configuration or the lexicon
    /// does; for telling models apart within this process.
    pub(crate) fn texts_hash(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        (&self.config_json, &self.lexicon_json).hash(&mut hash);
        hash.finish()
    }

    /// Does the same as [`ModelFiles::sha256`], calling `check` every few milliseconds.
    ///
    /// # Errors
    /// Whatever `check` returns.
    pub fn sha256_checking(
        &self,
        check: &mut dyn FnMut() -> Result<(), EngineError>,
    ) -> Result<&str, EngineError> {
        if let Some(known) = self.sha256.get() {
            return Ok(known);
        }
        let text = hash(&self.weights, check)?;
        Ok(self.sha256.get_or_init(|| text))
    }
}

/// Returns the hexadecimal SHA-256 of bytes, calling `check` every few milliseconds.
pub(super) fn hash(
    bytes: &[u8],
    check: &mut dyn FnMut() -> Result<(), EngineError>,
) -> Result<String, EngineError> {
    let mut hash = Sha256::new();
    for chunk in bytes.chunks(CHUNK_BYTES) {
        check()?;
        hash.update(chunk);
    }
    Ok(hex(&hash.finalize()))
}

/// Writes bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Holds the bytes of a weights file; cheap to clone.
#[derive(Clone)]
pub enum Weights {
    /// They are part of the program.
    Embedded(&'static [u8]),
    /// They were read from a file.
    Read(Arc<Vec<u8>>),
}

impl From<Vec<u8>> for Weights {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Read(Arc::new(bytes))
    }
}

impl Deref for Weights {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Embedded(bytes) => bytes,
            Self::Read(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weights({} bytes)", self.len())
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> EngineError {
    match error.kind() {
        std::io::ErrorKind::NotFound => EngineError::damaged(path, "is missing"),
        std::io::ErrorKind::InvalidData => EngineError::damaged(path, "is not text"),
        _ => EngineError::io("read the model", path, error),
    }
}

fn read_text(path: &Path) -> Result<String, EngineError> {
    let read = || {
        let mut text = String::new();
        File::open(path)?.take(TEXT_LIMIT_BYTES + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error| unreadable(path, &error))?;
    if text.len() as u64 > TEXT_LIMIT_BYTES {
        return Err(EngineError::damaged(path, "is far too long"));
    }
    Ok(text)
}

pub(super) fn read_weights(
    path: &Path,
    check: &mut dyn FnMut() -> Result<(), EngineError>,
) -> Result<Vec<u8>, EngineError> {
    let failed = |error: std::io::Error| unreadable(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut bytes = Vec::new();
    // The length is that of a real file, but may be of one with holes that does not fit memory.
    let too_large = |_| EngineError::damaged(path, "is larger than this machine's memory");
    bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX)).map_err(too_large)?;
    loop {
        check()?;
        let read = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut bytes).map_err(failed)?;
        if read == 0 {
            return Ok(bytes);
        }
    }
}

fn check_whole(weights: &[u8], path: &Path) -> Result<(), EngineError> {
    match SafeTensors::deserialize(weights) {
        Ok(_) => Ok(()),
        Err(
            SafeTensorError::HeaderTooSmall
            | SafeTensorError::InvalidHeaderLength
            | SafeTensorError::MetadataIncompleteBuffer,
        ) => Err(EngineError::damaged(path, "is cut short")),
        Err(error) => {
            Err(EngineError::damaged(path, format!("is not a safetensors file ({error})")))
        }
    }
}

/// Reads the licence from the configuration, or from the first line of the card that says
/// `licence: …`, with or without Markdown around it.
pub(super) fn licence_of(config_json: &str, card: &str) -> String {
    let config: serde_json::Value = serde_json::from_str(config_json).unwrap_or_default();
    let of_config = ["licence", "license"].iter().find_map(|key| config.get(key)?.as_str());
    let of_card = card.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        let key = key.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        matches!(key.as_str(), "licence" | "license")
            .then(|| value.trim_matches(|c: char| c.is_whitespace() || "*\"".contains(c)))
    });
    of_config.or(of_card).filter(|text| !text.is_empty()).unwrap_or(UNKNOWN_LICENCE).to_owned()
}
