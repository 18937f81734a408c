//! Any file or folder of weights as tensors with names.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::element::TensorInfo;
use super::folder;
use super::gguf::Gguf;
use super::llama2c;
use super::safe_header::{self, SafeHeader};
use super::source::ByteSource;
use super::torch::{TorchContainer, TorchFile};
use super::widen::widen;
use crate::error::EngineError;

/// The most of a GGUF file that is read for its header: vocabularies take some megabytes.
const GGUF_HEADER_MAX_BYTES: u64 = 64 << 20;

/// Names the way in which tensors are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// A safetensors file.
    Safetensors,
    /// A torch file: a zip archive.
    TorchZip,
    /// A torch file of before 1.6.
    TorchLegacy,
    /// A GGUF file.
    Gguf,
    /// A checkpoint of llama2.c, without names.
    Llama2c,
    /// Several files with an index.
    Sharded,
    /// A folder as diffusers writes it, with a part of the model in each folder.
    Diffusers,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::TorchZip => "torch (zip)",
            Self::TorchLegacy => "torch (before 1.6)",
            Self::Gguf => "GGUF",
            Self::Llama2c => "llama2.c",
            Self::Sharded => "several files with an index",
            Self::Diffusers => "diffusers folder",
        })
    }
}

/// Holds an open file.
#[derive(Debug)]
enum Opened {
    Plain { source: ByteSource, starts: BTreeMap<String, u64> },
    Torch(Box<TorchFile>),
}

/// Holds an open file or folder of weights: names, shapes and dtypes, with the numbers on demand.
///
/// In a folder of diffusers a name begins with its part, for instance `unet/conv_in.weight`.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    container: Container,
    files: Vec<Opened>,
    /// Which file a tensor is in, and what it is called there.
    homes: BTreeMap<String, (usize, String)>,
    tensors: BTreeMap<String, TensorInfo>,
    facts: Vec<(String, String)>,
    notes: Vec<String>,
    missing: Vec<String>,
    bytes: u64,
}

impl Checkpoint {
    /// Opens a file, an index of several files, or a folder.
    ///
    /// # Errors
    /// [`EngineError::Io`] when it cannot be opened; [`EngineError::Damaged`] with what is wrong.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        if path.is_dir() {
            return folder::open_folder(path);
        }
        if path.to_string_lossy().ends_with(".index.json") {
            return folder::open_index(path);
        }
        Self::read(ByteSource::open(path)?, path)
    }

    /// Reads the header of one file; `path` only names it in errors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] with what is wrong.
    pub fn read(source: ByteSource, path: &Path) -> Result<Self, EngineError> {
        let damaged = |reason: String| EngineError::damaged(path, reason);
        let unread = |error: std::io::Error| damaged(format!("could not be read ({error})"));
        let head = source.take(0, source.length().min(16)).map_err(unread)?;
        if head.is_empty() {
            return Err(damaged("is empty".to_owned()));
        }
        let mut out = Self::empty(path, Container::Safetensors);
        out.bytes = source.length();
        if head.starts_with(b"GGUF") {
            let beginning = source.take(0, out.bytes.min(GGUF_HEADER_MAX_BYTES)).map_err(unread)?;
            let gguf = Gguf::read_beginning(&beginning, out.bytes, path)?;
            out.container = Container::Gguf;
            out.facts = gguf.scalars();
            let tensors = gguf.tensors();
            out.add_plain(source, tensors.map(|(name, info, at)| (name.to_owned(), (info, at))));
        } else if safe_header::begins(&head) || ends_with(path, "safetensors") {
            let SafeHeader { tensors, metadata, notes } =
                safe_header::read(&source).map_err(damaged)?;
            out.facts = metadata.into_iter().collect();
            out.notes = notes;
            out.add_plain(source, tensors.into_iter());
        } else if TorchFile::begins(&head) {
            out.add_torch(TorchFile::read(source, path)?);
        } else if let Some(found) = llama2c::read(&source) {
            out.container = Container::Llama2c;
            out.facts = found.sizes;
            out.add_plain(source, found.tensors.into_iter());
        } else {
            let reason = match is_tar(&source) {
                true => "is a tar archive, as torch wrote them before 2017",
                false => "is no safetensors, torch or GGUF file, going by how it begins",
            };
            return Err(damaged(reason.to_owned()));
        }
        Ok(out)
    }

    /// Makes one that holds nothing yet.
    pub(super) fn empty(path: &Path, container: Container) -> Self {
        Self {
            path: path.to_owned(),
            container,
            files: Vec::new(),
            homes: BTreeMap::new(),
            tensors: BTreeMap::new(),
            facts: Vec::new(),
            notes: Vec::new(),
            missing: Vec::new(),
            bytes: 0,
        }
    }

    fn add_plain(
        &mut self,
        source: ByteSource,
        tensors: impl Iterator<Item = (String, (TensorInfo, u64))>,
    ) {
        let mut starts = BTreeMap::new();
        for (name, (info, start)) in tensors {
            starts.insert(name.clone(), start);
            self.homes.insert(name.clone(), (0, name.clone()));
            self.tensors.insert(name, info);
        }
        self.files.push(Opened::Plain { source, starts });
    }

    fn add_torch(&mut self, file: TorchFile) {
        self.container = match file.container() {
            TorchContainer::Zip => Container::TorchZip,
            TorchContainer::Legacy => Container::TorchLegacy,
        };
        self.tensors = file.tensors().clone();
        self.homes = self.tensors.keys().map(|name| (name.clone(), (0, name.clone()))).collect();
        self.facts = file.facts().to_vec();
        if !file.foreign().is_empty() {
            let names = file.foreign().join(", ");
            self.notes.push(format!("It names code, which was not run: {names}"));
        }
        if !file.left_out().is_empty() {
            let keys = file.left_out().join(", ");
            self.notes.push(format!("Tensors beside the weights are left out: {keys}"));
        }
        self.files.push(Opened::Torch(Box::new(file)));
    }

    /// Takes in another one, whose names get a prefix.
    pub(super) fn join(&mut self, other: Self, prefix: &str) -> Result<(), EngineError> {
        let first = self.files.len();
        self.files.extend(other.files);
        for (name, (file, inner)) in other.homes {
            let name = format!("{prefix}{name}");
            if self.homes.insert(name.clone(), (first + file, inner)).is_some() {
                let reason = format!("holds the tensor “{name}” twice");
                return Err(EngineError::damaged(&self.path, reason));
            }
        }
        let named = |(name, info)| (format!("{prefix}{name}"), info);
        self.tensors.extend(other.tensors.into_iter().map(named));
        self.facts.extend(other.facts.into_iter().map(|(k, v)| (format!("{prefix}{k}"), v)));
        self.notes.extend(other.notes);
        self.missing.extend(other.missing);
        self.bytes += other.bytes;
        Ok(())
    }

    pub(super) fn add_fact(&mut self, key: String, value: String) {
        self.facts.push((key, value));
    }

    pub(super) fn add_missing(&mut self, what: String) {
        self.missing.push(what);
    }

    /// Returns the file or folder that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how the tensors are kept.
    pub fn container(&self) -> Container {
        self.container
    }

    /// Returns all tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// Returns what the file says about itself, by name.
    pub fn facts(&self) -> &[(String, String)] {
        &self.facts
    }

    /// Returns what is unusual, each as a sentence.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns the parts that a folder lists and that are not there.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Returns the size of all files.
    pub fn file_bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads the bytes of a tensor, row-major and little-endian.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is missing or cannot be read.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, EngineError> {
        let damaged = |reason: String| EngineError::damaged(&self.path, reason);
        let missing = || damaged(format!("lacks the tensor “{name}”"));
        let (file, inner) = self.homes.get(name).ok_or_else(missing)?;
        match &self.files[*file] {
            Opened::Torch(file) => file.bytes(inner),
            Opened::Plain { source, starts } => {
                let start = starts.get(inner).ok_or_else(missing)?;
                let count = self.tensors.get(name).ok_or_else(missing)?.bytes();
                let read = source.take(*start, count);
                read.map_err(|error| damaged(format!("could not be read ({error})")))
            }
        }
    }

    /// Reads a tensor of floating point numbers; `None` when it is missing, of another kind, or has
    /// more than `most` numbers.
    pub fn numbers(&self, name: &str, most: u64) -> Option<Vec<f32>> {
        let info = self.tensors.get(name).filter(|info| info.count() <= most)?;
        self.widened(name, info).ok()
    }

    /// Reads a tensor as f32, row-major.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is missing, cannot be read or holds no floating point
    /// numbers.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>, EngineError> {
        let info = self.tensors.get(name).ok_or_else(|| {
            EngineError::damaged(&self.path, format!("lacks the tensor “{name}”"))
        })?;
        self.widened(name, info)
    }

    fn widened(&self, name: &str, info: &TensorInfo) -> Result<Vec<f32>, EngineError> {
        widen(info.element, &info.shape, &self.bytes(name)?).ok_or_else(|| {
            let reason =
                format!("holds the tensor “{name}” as {}, which is no weight", info.element);
            EngineError::damaged(&self.path, reason)
        })
    }
}

/// Tells whether this is an archive as the first versions of torch wrote.
fn is_tar(source: &ByteSource) -> bool {
    source.take(257, 5).is_ok_and(|mark| mark == b"ustar")
}

fn ends_with(path: &Path, end: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(end))
}
