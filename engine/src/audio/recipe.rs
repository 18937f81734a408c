//! What sound files say about their making: the recipe, the licence, the title.
//!
//! A WAV file has them in a `LIST` chunk of kind `INFO` (`INAM`, `ICOP`, `ISFT`, `ICMT`, `ATSC`), a FLAC
//! file in its Vorbis comments (`TITLE`, `COPYRIGHT`, `ENCODER`, `ATELIER`, `ATELIER_SCORE`), a MIDI
//! file in texts at its beginning. The recipe is the request as JSON, complete; so are the notes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::EngineError;
use crate::protocol::{Request, Score, SoundRequest};

/// Caps the tags that are read, in bytes: a recipe holds a whole given piece at most.
const MAX_TAG_BYTES: u64 = 16 << 20;

/// Caps the chunks that are looked at.
const MAX_CHUNKS: usize = 10_000;

/// The Vorbis comment that holds the recipe.
pub(super) const RECIPE_KEY: &str = "ATELIER";

/// The Vorbis comment and the part of `INFO` that hold the notes.
pub(super) const SCORE_KEYS: [&str; 2] = ["ATSC", "ATELIER_SCORE"];

/// Holds what is written into a file beside the sound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tags {
    /// The piece's name; empty for none.
    pub title: String,
    /// The licence of the piece; empty for none.
    pub licence: String,
    /// The request that makes it again.
    pub recipe: Option<SoundRequest>,
    /// The notes; not written into MIDI files, which are notes themselves.
    pub score: Option<Score>,
}

impl Tags {
    /// Makes the tags of a composed piece; its title is the prompt.
    pub fn of(recipe: &SoundRequest, licence: &str) -> Self {
        Self {
            title: recipe.prompt.trim().to_owned(),
            licence: licence.to_owned(),
            recipe: Some(recipe.clone()),
            score: None,
        }
    }

    /// Returns the recipe as JSON; empty for none.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when it holds a number that JSON cannot.
    pub(super) fn recipe_json(&self) -> Result<String, EngineError> {
        let Some(recipe) = &self.recipe else { return Ok(String::new()) };
        let refused = |reason: String| EngineError::invalid("recipe", reason);
        let request = Request::Sound(Box::new(recipe.clone()));
        let json = serde_json::to_string(&request)
            .map_err(|error| refused(format!("cannot be written: {error}")))?;
        // JSON has no “not a number”: what was one would come back as nothing, or not at all.
        match serde_json::from_str(&json) {
            Ok(Request::Sound(back)) if *back == *recipe => Ok(json),
            _ => Err(refused("holds a number that cannot be written".to_owned())),
        }
    }

    /// Returns the notes as JSON; empty for none.
    pub(super) fn score_json(&self) -> String {
        self.score.as_ref().and_then(|s| serde_json::to_string(s).ok()).unwrap_or_default()
    }

    pub(super) fn software(&self) -> String {
        concat!("Atelier ", env!("CARGO_PKG_VERSION")).to_owned()
    }
}

/// Holds what a sound file says about its making.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FoundSound {
    /// The complete request, when the file is ours.
    pub request: Option<SoundRequest>,
    /// The notes, when the file is ours.
    pub score: Option<Score>,
    /// The recipe as it stands in the file, to be shown; empty when there is none.
    pub text: String,
    /// The piece's name.
    pub title: Option<String>,
    /// The licence that the file names.
    pub licence: Option<String>,
}

/// Tells by its first bytes whether a file is of a kind that [`recipe_of`] looks into: WAV, FLAC or
/// MIDI.
pub fn is_sound(head: &[u8]) -> bool {
    head.starts_with(b"RIFF") || head.starts_with(b"fLaC") || head.starts_with(b"MThd")
}

/// Reads the recipe in a WAV, FLAC or MIDI file. No recipe is no error. The sound itself is not read.
///
/// # Errors
/// [`EngineError::Io`] when the file cannot be read, [`EngineError::Damaged`] when it is of another
/// kind or its tags are broken.
pub fn recipe_of(path: &Path) -> Result<FoundSound, EngineError> {
    let refused = |error: std::io::Error| EngineError::io("read the sound", path, &error);
    let mut file = File::open(path).map_err(refused)?;
    let mut head = [0; 12];
    let read = file.read(&mut head).map_err(refused)?;
    let texts = match &head[..read] {
        [b'R', b'I', b'F', b'F', .., b'W', b'A', b'V', b'E'] => riff_texts(&mut file),
        [b'f', b'L', b'a', b'C', ..] => flac_texts(&mut file),
        [b'M', b'T', b'h', b'd', ..] => midi_texts(path)?,
        _ => return Err(EngineError::damaged(path, "is no WAV, FLAC or MIDI file")),
    };
    let texts = texts.ok_or_else(|| EngineError::damaged(path, "has tags that are broken"))?;
    let get = |keys: [&str; 2]| {
        let found = texts.iter().find(|(key, _)| keys.contains(&key.as_str()));
        found.map(|(_, text)| text.clone()).filter(|text| !text.is_empty())
    };
    let text = get(["ICMT", RECIPE_KEY]).filter(|text| text.starts_with('{')).unwrap_or_default();
    let request = match serde_json::from_str(&text) {
        Ok(Request::Sound(request)) => Some(*request),
        _ => None,
    };
    Ok(FoundSound {
        request,
        score: get(SCORE_KEYS).and_then(|text| serde_json::from_str(&text).ok()),
        text,
        title: get(["INAM", "TITLE"]),
        licence: get(["ICOP", "COPYRIGHT"]),
    })
}

/// Reads a whole file, refusing one that is larger than `most`; `kind` names what it cannot be then.
pub(super) fn bounded_file(path: &Path, most: u64, kind: &str) -> Result<Vec<u8>, EngineError> {
    let refused = |error: std::io::Error| EngineError::io("read the file", path, &error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(refused)?;
    // The cap, not the file's own word, bounds the memory: a pipe or a device has no length.
    file.take(most + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > most {
        return Err(EngineError::damaged(path, format!("is too large to be {kind}")));
    }
    Ok(bytes)
}

type Texts = Vec<(String, String)>;

/// Walks a RIFF file's chunks to its `INFO` list.
fn riff_texts(file: &mut (impl Read + Seek)) -> Option<Texts> {
    let end = file.seek(SeekFrom::End(0)).ok()?;
    let mut at = 12;
    for _ in 0..MAX_CHUNKS {
        if at + 8 > end {
            break;
        }
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut head = [0; 12];
        file.read_exact(&mut head[..8]).ok()?;
        let length = u64::from(u32::from_le_bytes(head[4..8].try_into().ok()?));
        if &head[..4] == b"LIST" && length >= 4 && at + 12 <= end {
            file.read_exact(&mut head[8..]).ok()?;
            if &head[8..] == b"INFO" {
                let length = (length - 4).min(end - at - 12);
                return info_texts(&take(file, length)?);
            }
        }
        at += 8 + length + length % 2;
    }
    Some(Vec::new())
}

fn info_texts(mut bytes: &[u8]) -> Option<Texts> {
    let mut texts = Vec::new();
    while bytes.len() >= 8 && texts.len() < MAX_CHUNKS {
        let key = String::from_utf8_lossy(&bytes[..4]).into_owned();
        let length = u32::from_le_bytes(bytes[4..8].try_into().ok()?) as usize;
        let text = bytes.get(8..8_usize.checked_add(length)?)?;
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        texts.push((key, String::from_utf8_lossy(text).into_owned()));
        bytes = bytes.get(8 + length + length % 2..).unwrap_or_default();
    }
    Some(texts)
}

/// Walks a FLAC file's metadata to its Vorbis comments.
fn flac_texts(file: &mut (impl Read + Seek)) -> Option<Texts> {
    let end = file.seek(SeekFrom::End(0)).ok()?;
    let mut at = 4;
    for _ in 0..MAX_CHUNKS {
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut head = [0; 4];
        file.read_exact(&mut head).ok()?;
        let length = u64::from(u32::from_be_bytes([0, head[1], head[2], head[3]]));
        if head[0] & 0x7F == 4 {
            return comment_texts(&take(file, length.min(end.saturating_sub(at + 4)))?);
        }
        if head[0] & 0x80 != 0 {
            break;
        }
        at += 4 + length;
    }
    Some(Vec::new())
}

fn comment_texts(bytes: &[u8]) -> Option<Texts> {
    let mut rest = bytes;
    counted(&mut rest)?;
    let count = number(&mut rest)?;
    let mut texts = Vec::new();
    for _ in 0..count.min(MAX_CHUNKS) {
        let text = String::from_utf8_lossy(counted(&mut rest)?);
        if let Some((key, text)) = text.split_once('=') {
            texts.push((key.to_uppercase(), text.to_owned()));
        }
    }
    Some(texts)
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    usize::try_from(u32::from_le_bytes(*head)).ok()
}

/// Takes bytes that stand after their number.
fn counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(rest)?;
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

/// Reads the texts that stand before the first note of a MIDI file.
fn midi_texts(path: &Path) -> Result<Option<Texts>, EngineError> {
    let bytes = bounded_file(path, MAX_TAG_BYTES * 2, "a MIDI file")?;
    let Ok((_, tracks)) = midly::parse(&bytes) else { return Ok(None) };
    let mut texts = Vec::new();
    let first = tracks.into_iter().flatten().next();
    for event in first.into_iter().flatten().flatten().take(MAX_CHUNKS) {
        let midly::TrackEventKind::Meta(meta) = event.kind else { break };
        let (key, text) = match meta {
            midly::MetaMessage::TrackName(text) => ("TITLE", text),
            midly::MetaMessage::Copyright(text) => ("COPYRIGHT", text),
            midly::MetaMessage::Text(text) if text.starts_with(b"{") => (RECIPE_KEY, text),
            _ => continue,
        };
        texts.push((key.to_owned(), String::from_utf8_lossy(text).into_owned()));
    }
    Ok(Some(texts))
}

fn take(file: &mut impl Read, length: u64) -> Option<Vec<u8>> {
    if length > MAX_TAG_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
