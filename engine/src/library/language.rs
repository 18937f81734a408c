//! Language models: each is one file.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::estimate::LanguageNeed;
use super::files::{Weights, hash, read_weights};
use super::models::Models;
use crate::error::EngineError;
use crate::weights::gguf::Gguf;

/// The name of the language model that this project trained.
pub const HOUSE_WRITER: &str = "house-writer";
/// The name of the composer that this project trained.
pub const HOUSE_COMPOSER: &str = "house-composer";

/// What a model's file is called in a folder of its own.
const FILE: &str = "model.gguf";

/// The models that are compiled in, by name, as far as they were there at build time.
static EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/house_language.rs"));

/// Says where a language model was found, without holding any of it.
///
/// Two that are equal have the same file, as far as can be told without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedFile {
    name: String,
    place: FilePlace,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum FilePlace {
    Embedded,
    File { path: PathBuf, bytes: u64, modified: Option<SystemTime> },
}

/// Holds the file of a language model.
#[derive(Debug, Clone)]
pub struct LanguageFile {
    /// The bytes of the model.
    pub weights: Weights,
    /// The bytes of the vocabulary, where it stands in a file of its own.
    pub tokenizer: Option<Weights>,
    /// What the file is called in errors.
    pub path: PathBuf,
    /// Hexadecimal SHA-256 of the model's bytes.
    pub sha256: String,
}

/// Describes a language model for a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanguageEntry {
    /// The name or path by which a request asks for it.
    pub name: String,
    /// What the model calls itself, or its name.
    pub title: String,
    /// Its family, for instance `llama`.
    pub family: String,
    /// The size of its file.
    pub bytes: u64,
    /// Its licence, where the file says so.
    pub licence: Option<String>,
    /// The most tokens that it was made for.
    pub context: usize,
    /// Whether it was made for conversations.
    pub can_chat: bool,
    /// What it needs.
    pub need: LanguageNeed,
}

fn embedded(name: &str) -> Option<&'static [u8]> {
    EMBEDDED.iter().find(|(other, _)| *other == name).map(|(_, bytes)| *bytes)
}

impl Models {
    /// Finds a language model by its name, or by the path of its file, without reading it.
    ///
    /// # Errors
    /// [`EngineError::ModelNotFound`].
    pub fn locate_language(&self, name: &str) -> Result<LocatedFile, EngineError> {
        let located = |place| Ok(LocatedFile { name: name.to_owned(), place });
        let path = Path::new(name);
        let ends_as_file = |path: &Path| {
            path.extension()
                .is_some_and(|end| end == OsStr::new("gguf") || end == OsStr::new("bin"))
        };
        if path.components().count() != 1 || path.is_absolute() || ends_as_file(path) {
            let found = [path.to_owned(), path.join(FILE)];
            if let Some(place) = found.iter().find_map(|path| file_place(path)) {
                return located(place);
            }
        } else {
            let in_place = |place: &PathBuf| {
                let file = place.join(format!("{name}.gguf"));
                file_place(&file).or_else(|| file_place(&place.join(name).join(FILE)))
            };
            if let Some(place) = self.first_places().iter().find_map(in_place) {
                return located(place);
            }
            if self.has_embedded() && embedded(name).is_some() {
                return located(FilePlace::Embedded);
            }
            if let Some(place) = self.last_places().iter().find_map(in_place) {
                return located(place);
            }
        }
        Err(EngineError::ModelNotFound { name: name.to_owned() })
    }

    /// Lists the language models in the places searched, the house writer first. Only their
    /// headers are read; files that are none are left out.
    pub fn language_models(&self) -> Vec<LanguageEntry> {
        let mut entries: Vec<LanguageEntry> = Vec::new();
        let mut add = |name: String, bytes: u64, gguf: &Gguf| {
            // A composer's vocabulary is one of notes.
            let writes = gguf.text("tokenizer.ggml.model").is_some_and(|kind| kind != "none");
            if writes && !entries.iter().any(|entry| entry.name == name) {
                entries.push(describe(name, bytes, gguf));
            }
        };
        if self.has_embedded() {
            for (name, bytes) in EMBEDDED {
                if let Ok(gguf) = Gguf::read(bytes, Path::new(name)) {
                    add((*name).to_owned(), bytes.len() as u64, &gguf);
                }
            }
        }
        for place in self.first_places().iter().chain(self.last_places()) {
            let Ok(folder) = fs::read_dir(place) else { continue };
            for path in folder.flatten().map(|entry| entry.path()) {
                let is_file = path.extension() == Some(OsStr::new("gguf"));
                let file = if is_file { path.clone() } else { path.join(FILE) };
                let name = if is_file { path.file_stem() } else { path.file_name() };
                let Some(name) = name.and_then(OsStr::to_str) else { continue };
                if let Some((bytes, gguf)) = read_header(&file) {
                    add(name.to_owned(), bytes, &gguf);
                }
            }
        }
        entries.sort_by_key(|entry| (entry.name != HOUSE_WRITER, entry.name.to_lowercase()));
        entries
    }
}

fn describe(name: String, bytes: u64, gguf: &Gguf) -> LanguageEntry {
    let family = gguf.text("general.architecture").unwrap_or_default().to_owned();
    LanguageEntry {
        title: gguf.text("general.name").unwrap_or(&name).to_owned(),
        licence: gguf.text("general.license").map(str::to_owned),
        context: gguf.whole(&format!("{family}.context_length")).unwrap_or(0),
        can_chat: gguf.text("tokenizer.chat_template").is_some(),
        need: LanguageNeed::of(gguf, bytes),
        name,
        family,
        bytes,
    }
}

/// The most of a file that is read for its header: vocabularies take some megabytes.
const HEADER_MAX_BYTES: u64 = 64 << 20;

fn read_header(path: &Path) -> Option<(u64, Gguf)> {
    use std::io::Read;

    let file = fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut bytes = Vec::new();
    file.take(HEADER_MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Gguf::read_beginning(&bytes, length, path).ok().map(|gguf| (length, gguf))
}

fn file_place(path: &Path) -> Option<FilePlace> {
    let about = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some(FilePlace::File {
        path: path.to_owned(),
        bytes: about.len(),
        modified: about.modified().ok(),
    })
}

impl LocatedFile {
    /// Returns the name or path by which the model was asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the size of the file in bytes.
    pub fn bytes(&self) -> u64 {
        match &self.place {
            FilePlace::Embedded => embedded(&self.name).map_or(0, |bytes| bytes.len() as u64),
            FilePlace::File { bytes, .. } => *bytes,
        }
    }

    /// Tells whether the model says that it was made for conversations; reads its header only.
    pub fn can_chat(&self) -> bool {
        self.header().is_some_and(|gguf| gguf.text("tokenizer.chat_template").is_some())
    }

    /// Returns the licence that the model's file names, if it does; reads its header only.
    pub fn licence(&self) -> Option<String> {
        self.header().and_then(|gguf| gguf.text("general.license").map(str::to_owned))
    }

    fn header(&self) -> Option<Gguf> {
        match &self.place {
            FilePlace::Embedded => {
                embedded(&self.name).and_then(|bytes| Gguf::read(bytes, Path::new(&self.name)).ok())
            }
            FilePlace::File { path, .. } => read_header(path).map(|(_, gguf)| gguf),
        }
    }

    /// Returns what the model needs; reads its header only.
    pub fn need(&self) -> LanguageNeed {
        match &self.place {
            FilePlace::Embedded => {
                let bytes = embedded(&self.name).unwrap_or_default();
                LanguageNeed::of_file(bytes, Path::new(&self.name))
            }
            FilePlace::File { path, bytes, .. } => match read_header(path) {
                Some((bytes, gguf)) => LanguageNeed::of(&gguf, bytes),
                None => LanguageNeed::of_bytes(*bytes),
            },
        }
    }

    /// Reads the file. `check` is called every few milliseconds; its error ends the reading.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] or [`EngineError::Io`] when it cannot be read; whatever `check`
    /// returns.
    pub fn open(
        &self,
        check: &mut dyn FnMut() -> Result<(), EngineError>,
    ) -> Result<LanguageFile, EngineError> {
        let (weights, tokenizer, path) = match &self.place {
            FilePlace::Embedded => {
                let bytes = embedded(&self.name)
                    .ok_or_else(|| EngineError::ModelNotFound { name: self.name.clone() })?;
                (Weights::Embedded(bytes), None, Path::new(&self.name).join(FILE))
            }
            FilePlace::File { path, .. } => {
                let weights = Weights::from(read_weights(path, check)?);
                let tokenizer = tokenizer_beside(path)
                    .map(|beside| read_weights(&beside, check).map(Weights::from))
                    .transpose()?;
                (weights, tokenizer, path.clone())
            }
        };
        let sha256 = hash(&weights, check)?;
        Ok(LanguageFile { weights, tokenizer, path, sha256 })
    }
}

/// Returns the file with the vocabulary of a llama2.c checkpoint: `tokenizer.bin` beside it, or the
/// one whose name shares its beginning and has `_tok` in it.
fn tokenizer_beside(path: &Path) -> Option<PathBuf> {
    if path.extension() != Some(OsStr::new("bin")) {
        return None;
    }
    let folder = path.parent()?;
    let usual = folder.join("tokenizer.bin");
    if usual.is_file() {
        return Some(usual);
    }
    let stem = path.file_stem()?.to_str()?;
    let letters: String = stem.chars().take_while(|c| c.is_alphabetic()).collect();
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|other| {
            let name = other.file_name().and_then(OsStr::to_str).unwrap_or_default();
            name.starts_with(&letters) && name.contains("_tok") && name.ends_with(".bin")
        })
        .collect();
    found.sort();
    found.into_iter().next()
}
