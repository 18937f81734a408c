//! Nets that enlarge pictures: the house's own, compiled in, and files of others.

use std::path::Path;

use super::checkpoint::LocatedWeights;
use super::files::{CARD_FILE, CONFIG_FILE, UNKNOWN_LICENCE, WEIGHTS_FILE, hash, licence_of};
use super::models::Models;
use super::shelves::Shelf;
use crate::error::EngineError;
use crate::weights::inspect;
use crate::weights::open::Checkpoint;
use crate::weights::source::ByteSource;

/// The name of the net that this project trained.
pub const HOUSE_UPSCALER: &str = "house-upscaler";

/// The weights, the configuration and the card of the house's net, when they were there at build time.
static EMBEDDED: Option<(&[u8], &str, &str)> =
    include!(concat!(env!("OUT_DIR"), "/house_upscaler.rs"));

/// Says where a net that enlarges was found, without holding it.
///
/// Two that are equal have the same file, as far as can be told without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedUpscaler {
    name: String,
    /// `None` when it is compiled in.
    file: Option<LocatedWeights>,
}

impl Models {
    /// Finds a net that enlarges: by the path of its file or folder, by its name among the house's
    /// models, or by its name in the folders of other programs.
    ///
    /// # Errors
    /// [`EngineError::ModelNotFound`]; [`EngineError::Io`] when it cannot be looked at.
    pub fn locate_upscaler(&self, name: &str) -> Result<LocatedUpscaler, EngineError> {
        let at = |path: &Path| {
            let file = LocatedWeights::at(name, path)?;
            Ok(LocatedUpscaler { name: name.to_owned(), file: Some(file) })
        };
        let path = Path::new(name);
        if path.is_file() {
            return at(path);
        }
        let inside = |place: &Path| {
            let file = place.join(name).join(WEIGHTS_FILE);
            file.is_file().then_some(file)
        };
        // A path that is a folder replaces the place that it is joined to.
        if path.components().count() != 1 || path.is_absolute() {
            return match inside(Path::new("")) {
                Some(file) => at(&file),
                None => Err(EngineError::ModelNotFound { name: name.to_owned() }),
            };
        }
        if let Some(file) = self.first_places().iter().find_map(|place| inside(place)) {
            return at(&file);
        }
        if self.has_embedded() && name == HOUSE_UPSCALER && EMBEDDED.is_some() {
            return Ok(LocatedUpscaler { name: name.to_owned(), file: None });
        }
        if let Some(file) = self.last_places().iter().find_map(|place| inside(place)) {
            return at(&file);
        }
        at(&self.find_on(Shelf::Upscalers, name)?)
    }
}

impl LocatedUpscaler {
    /// Returns the name or path by which it was asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the size of the file in bytes.
    pub fn bytes(&self) -> u64 {
        let embedded = EMBEDDED.map_or(0, |(weights, ..)| weights.len() as u64);
        self.file.as_ref().map_or(embedded, |file| file.bytes)
    }

    /// Returns the file, `None` when it is compiled in.
    pub fn file(&self) -> Option<&LocatedWeights> {
        self.file.as_ref()
    }

    /// Opens it: names and shapes, with the numbers on demand.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open(&self) -> Result<Checkpoint, EngineError> {
        match (&self.file, EMBEDDED) {
            (Some(file), _) => Checkpoint::open(&file.path),
            (None, Some((weights, ..))) => {
                let path = Path::new(HOUSE_UPSCALER).join(WEIGHTS_FILE);
                Checkpoint::read(ByteSource::memory(weights.to_vec()), &path)
            }
            (None, None) => Err(EngineError::ModelNotFound { name: self.name.clone() }),
        }
    }

    /// Returns the hexadecimal SHA-256 of the weights. `check` is called every few milliseconds.
    ///
    /// # Errors
    /// [`EngineError::Io`] when the file cannot be read; whatever `check` returns.
    pub fn sha256(
        &self,
        check: &mut dyn FnMut() -> Result<(), EngineError>,
    ) -> Result<String, EngineError> {
        match &self.file {
            Some(file) => file.sha256(check),
            None => hash(EMBEDDED.map_or(&[][..], |(weights, ..)| weights), check),
        }
    }

    /// Returns its licence, as the open file or the card beside it names it, or `unknown`.
    pub fn licence(&self, file: &Checkpoint) -> String {
        if let Some(licence) = inspect::licence(file) {
            return licence;
        }
        match &self.file {
            None => EMBEDDED.map_or_else(
                || UNKNOWN_LICENCE.to_owned(),
                |(_, config_json, card)| licence_of(config_json, card),
            ),
            Some(located) if located.path.ends_with(WEIGHTS_FILE) => {
                let beside = |name| {
                    let path = located.path.with_file_name(name);
                    std::fs::read_to_string(path).unwrap_or_default()
                };
                licence_of(&beside(CONFIG_FILE), &beside(CARD_FILE))
            }
            Some(_) => UNKNOWN_LICENCE.to_owned(),
        }
    }
}
