//! PyTorch's files, read as data: `.ckpt`, `.pth`, `.pt` and `.bin`.
//!
//! Such a file is a program for Python's pickle machine, with the numbers beside it. Here the
//! program is run by a machine that can only build data (`machine`), so no file can run code. The
//! numbers are read one tensor at a time, and every length is checked against the file before
//! memory is taken for it.
//!
//! # Source
//! `torch/serialization.py` and `torch/_utils.py` of PyTorch 2, for the zip container of 1.6 and
//! the one before it.

mod archive;
mod build;
mod input;
mod machine;
mod node;
mod state;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::archive::Archive;
use self::input::Said;
use self::node::TensorView;
use super::element::TensorInfo;
use super::source::ByteSource;
use crate::error::EngineError;

/// What a tensor may take although its file is shorter: one number can stand for many.
const REPEATED_ROOM_BYTES: u64 = 16 << 20;

/// Names the two ways in which torch keeps numbers beside their description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TorchContainer {
    /// A zip archive, since 1.6.
    Zip,
    /// Pickles and then the numbers, before.
    Legacy,
}

/// Holds an open torch file: its names, not its numbers.
#[derive(Debug)]
pub struct TorchFile {
    path: PathBuf,
    source: ByteSource,
    archive: Archive,
    container: TorchContainer,
    views: BTreeMap<String, TensorView>,
    infos: BTreeMap<String, TensorInfo>,
    facts: Vec<(String, String)>,
    foreign: Vec<String>,
    wrapper: Option<String>,
    left_out: Vec<String>,
}

impl TorchFile {
    /// Opens a file and reads what it describes.
    ///
    /// # Errors
    /// [`EngineError::Io`] when it cannot be opened; [`EngineError::Damaged`] with what is wrong.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        Self::read(ByteSource::open(path)?, path)
    }

    /// Reads what a file describes; `path` only names it in errors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] with what is wrong.
    pub fn read(source: ByteSource, path: &Path) -> Result<Self, EngineError> {
        parse(source, path).map_err(|reason| EngineError::damaged(path, reason))
    }

    /// Tells whether bytes begin as a torch file does; other zip archives and pickles do too.
    pub fn begins(head: &[u8]) -> bool {
        archive::is_zip(head) || archive::is_pickle(head)
    }

    /// Returns how the numbers are kept.
    pub fn container(&self) -> TorchContainer {
        self.container
    }

    /// Returns all tensors by name. The key that all weights stand under, such as `state_dict`, is
    /// not part of their names.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.infos
    }

    /// Returns numbers and short texts that stand beside the tensors.
    pub fn facts(&self) -> &[(String, String)] {
        &self.facts
    }

    /// Returns the classes and functions that the file names and that were not called.
    pub fn foreign(&self) -> &[String] {
        &self.foreign
    }

    /// Returns the key that the weights stood under.
    pub fn wrapper(&self) -> Option<&str> {
        self.wrapper.as_deref()
    }

    /// Returns the keys beside the weights that hold other tensors, for instance an optimizer's.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Reads the numbers of a tensor, row-major and little-endian.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is missing or cannot be read.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, EngineError> {
        let damaged = |reason: String| EngineError::damaged(&self.path, reason);
        let view =
            self.views.get(name).ok_or_else(|| damaged(format!("lacks the tensor “{name}”")))?;
        let (start, count) = view.span().ok_or_else(|| damaged("is inconsistent".to_owned()))?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let span = self.archive.read(&self.source, &view.storage.key, start, count);
        Ok(view.gather(span.map_err(damaged)?))
    }
}

fn parse(source: ByteSource, path: &Path) -> Said<TorchFile> {
    let head = source.take(0, source.length().min(8)).map_err(|error| input::unread(&error))?;
    let (container, opened) = match () {
        () if archive::is_zip(&head) => (TorchContainer::Zip, archive::open_zip(&source)),
        () if archive::is_pickle(&head) => (TorchContainer::Legacy, archive::open_legacy(&source)),
        () => return Err("does not begin as a torch file does".to_owned()),
    };
    let (archive, described) = opened?;
    let state = state::read(&described)?;
    let mut infos = BTreeMap::new();
    for (name, view) in &state.tensors {
        let size = view.storage.element.block().0;
        let whole = view.storage.first.checked_add(view.storage.count);
        let whole = whole.and_then(|count| count.checked_mul(size)).unwrap_or(u64::MAX);
        archive.check(&view.storage, whole)?;
        let info = TensorInfo { shape: view.shape.clone(), element: view.element };
        if info.bytes() > source.length().max(REPEATED_ROOM_BYTES).max(whole) {
            return Err(format!("says that the tensor “{name}” is larger than the file"));
        }
        infos.insert(name.clone(), info);
    }
    Ok(TorchFile {
        path: path.to_owned(),
        source,
        archive,
        container,
        views: state.tensors,
        infos,
        facts: state.facts,
        foreign: described.foreign.iter().map(|name| name.to_string()).collect(),
        wrapper: state.wrapper,
        left_out: state.left_out.into_iter().collect(),
    })
}
