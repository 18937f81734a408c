//! New words for text encoders (textual inversion).
//!
//! # Source
//! Gal et al. 2022 (arXiv 2208.01618); the files of AUTOMATIC1111 (`string_to_param`), of diffusers
//! (one tensor per token), of kohya (`emb_params`), and those for SDXL (`clip_l`, `clip_g`).

use std::path::Path;

use super::element::TensorInfo;
use super::open::Checkpoint;
use crate::error::EngineError;

/// The most vectors of a word: a prompt has 77 places, of which two mark its ends.
const VECTORS_MAX: usize = 75;
/// The widest vector.
const WIDTH_MAX: usize = 1 << 14;
/// The most words of a file.
const WORDS_MAX: usize = 1000;
/// The longest word that is taken as it stands.
const WORD_MAX_BYTES: usize = 256;

/// Where the vectors of a word stand in a file of AUTOMATIC1111.
const A1111: &str = "string_to_param.";
/// The key of kohya's trainer.
const KOHYA: &str = "emb_params";
/// The two encoders of SDXL.
const SDXL: [&str; 2] = ["clip_l", "clip_g"];

/// Holds the vectors of a word for one text encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    /// The width of the encoder's words.
    pub width: usize,
    /// `[count, width]`, row-major: the places that the word takes in a prompt.
    pub values: Vec<f32>,
}

impl Vectors {
    /// Returns how many places the word takes.
    pub fn count(&self) -> usize {
        self.values.len() / self.width.max(1)
    }
}

/// Holds a word and its vectors, for one text encoder or for several of different widths.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The word as it is written in a prompt.
    pub word: String,
    /// Its vectors, at most once for each width.
    pub vectors: Vec<Vectors>,
}

impl Embedding {
    /// Returns the vectors for an encoder of this width.
    pub fn for_width(&self, width: usize) -> Option<&Vectors> {
        self.vectors.iter().find(|vectors| vectors.width == width)
    }

    /// Checks that the word can be used with text encoders of these widths.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when an encoder has no vectors.
    pub fn check(&self, widths: &[usize]) -> Result<(), EngineError> {
        match widths.iter().find(|width| self.for_width(**width).is_none()) {
            None => Ok(()),
            Some(width) => {
                let has: Vec<String> =
                    self.vectors.iter().map(|vectors| vectors.width.to_string()).collect();
                let has = has.join(" and ");
                let reason = format!(
                    "“{}” has vectors of width {has}, and this model's words have {width}",
                    self.word
                );
                Err(EngineError::invalid("textual inversion", reason))
            }
        }
    }
}

/// Reads the words of a file. A file that does not say its word is called by its own name.
///
/// # Errors
/// [`EngineError::Io`] when it cannot be opened; [`EngineError::Damaged`] when it holds no words, or
/// vectors that no encoder can have.
pub fn open(path: &Path) -> Result<Vec<Embedding>, EngineError> {
    read(&Checkpoint::open(path)?)
}

/// Reads the words of an open file.
///
/// # Errors
/// As [`open`].
pub fn read(file: &Checkpoint) -> Result<Vec<Embedding>, EngineError> {
    let tensors = file.tensors();
    let stem = file.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut words = Vec::new();
    if SDXL.iter().any(|name| tensors.contains_key(*name)) {
        let mut vectors = Vec::new();
        for name in SDXL.iter().filter(|name| tensors.contains_key(**name)) {
            vectors.push(read_vectors(file, name)?);
        }
        if let [first, second] = vectors.as_slice()
            && (first.width == second.width || first.count() != second.count())
        {
            let reason = "holds vectors for two encoders that do not fit each other";
            return Err(EngineError::damaged(file.path(), reason));
        }
        words.push(Embedding { word: stem, vectors });
    } else if tensors.keys().any(|name| name.starts_with(A1111)) {
        let said = file.facts().iter().find(|(key, _)| key == "name").map(|(_, word)| word.trim());
        let word = said.filter(|word| !word.is_empty()).unwrap_or(&stem).to_owned();
        let inner: Vec<&String> = tensors.keys().filter(|name| name.starts_with(A1111)).collect();
        let [name] = inner.as_slice() else {
            let reason = format!("holds {} words under one name", inner.len());
            return Err(EngineError::damaged(file.path(), reason));
        };
        words.push(Embedding { word, vectors: vec![read_vectors(file, name)?] });
    } else {
        if tensors.len() > WORDS_MAX || !tensors.values().all(could_be_word) {
            return Err(EngineError::damaged(file.path(), "holds no new words"));
        }
        for name in tensors.keys() {
            let word = if name == KOHYA { stem.clone() } else { name.clone() };
            words.push(Embedding { word, vectors: vec![read_vectors(file, name)?] });
        }
    }
    let is_long = |word: &&Embedding| word.word.is_empty() || word.word.len() > WORD_MAX_BYTES;
    match words.iter().find(is_long) {
        None if words.is_empty() => Err(EngineError::damaged(file.path(), "holds no new words")),
        None => Ok(words),
        Some(_) => Err(EngineError::damaged(file.path(), "names a word at impossible length")),
    }
}

/// Reads the words that stand beside something else, in angle brackets.
///
/// # Errors
/// [`EngineError::Damaged`] when they hold vectors that no encoder can have.
pub(super) fn words_in(file: &Checkpoint) -> Result<Vec<Embedding>, EngineError> {
    let names = file.tensors().keys();
    names
        .filter(|name| name.starts_with('<') && name.ends_with('>') && name.len() < WORD_MAX_BYTES)
        .take(WORDS_MAX)
        .map(|name| Ok(Embedding { word: name.clone(), vectors: vec![read_vectors(file, name)?] }))
        .collect()
}

fn could_be_word(info: &TensorInfo) -> bool {
    (1..=2).contains(&info.shape.len()) && info.element.is_float()
}

fn read_vectors(file: &Checkpoint, name: &str) -> Result<Vectors, EngineError> {
    let damaged = |reason: String| EngineError::damaged(file.path(), reason);
    let shape = file.tensors().get(name).map_or(&[][..], |info| &info.shape);
    let (count, width) = match shape {
        [width] => (1, *width),
        [count, width] => (*count, *width),
        _ => return Err(damaged(format!("holds “{name}” in the shape {shape:?}"))),
    };
    if !(1..=VECTORS_MAX).contains(&count) || !(1..=WIDTH_MAX).contains(&width) {
        let reason = format!("holds {count} vectors of {width} numbers as “{name}”");
        return Err(damaged(reason));
    }
    let values = file.floats(name)?;
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(Vectors { width, values }),
        false => Err(damaged(format!("holds numbers that are not finite as “{name}”"))),
    }
}
