//! Walks the parts of a PNG file without trusting one length in it.

use std::io::Read;

use flate2::Crc;
use flate2::read::ZlibDecoder;

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Caps one text after unpacking, so that a small file cannot fill the memory.
pub(super) const MAX_TEXT_BYTES: usize = 1 << 20;

/// Holds one part of a PNG file: its four-letter kind and what is in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub kind: [u8; 4],
    pub data: &'a [u8],
}

impl Chunk<'_> {
    fn name(&self) -> String {
        String::from_utf8_lossy(&self.kind).into_owned()
    }
}

/// Yields the chunks up to `IEND`, checking lengths and checksums; what is wrong is the rest of a
/// sentence that begins with “The file”.
pub(super) struct Chunks<'a> {
    rest: &'a [u8],
    is_done: bool,
}

impl<'a> Chunks<'a> {
    /// Begins to walk a file.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, String> {
        match bytes.strip_prefix(&SIGNATURE) {
            Some(rest) => Ok(Self { rest, is_done: false }),
            None => Err(what_it_is_instead(bytes)),
        }
    }

    fn take(&mut self) -> Result<Chunk<'a>, String> {
        let cut = || "ends before the picture does".to_owned();
        let (length, rest) = self.rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| cut())?;
        let (kind, after_kind) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        if !kind.iter().all(u8::is_ascii_alphabetic) {
            return Err("is a PNG picture with a broken part".to_owned());
        }
        let (data, rest_after) = after_kind.split_at_checked(length).ok_or_else(cut)?;
        let (checksum, rest_after) = rest_after.split_first_chunk::<4>().ok_or_else(cut)?;
        let chunk = Chunk { kind: *kind, data };
        let mut crc = Crc::new();
        crc.update(kind);
        crc.update(data);
        if crc.sum() != u32::from_be_bytes(*checksum) {
            return Err(format!(
                "is a PNG picture whose part {} does not fit its checksum",
                chunk.name()
            ));
        }
        self.rest = rest_after;
        Ok(chunk)
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let chunk = self.take();
        self.is_done = chunk.as_ref().map_or(true, |chunk| chunk.kind == *b"IEND");
        Some(chunk)
    }
}

/// Holds a text of the file, or the fact that it is too long to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    Whole(String),
    TooLong,
}

/// Reads the keyword of a `tEXt`, `zTXt` or `iTXt` chunk; `None` for other and for broken chunks.
pub(super) fn keyword_of<'a>(chunk: &Chunk<'a>) -> Option<&'a str> {
    if !matches!(&chunk.kind, b"tEXt" | b"zTXt" | b"iTXt") {
        return None;
    }
    let (keyword, _) = split_at_nul(chunk.data)?;
    // 79 is the longest keyword that the PNG specification allows (11.3.3).
    std::str::from_utf8(keyword).ok().filter(|keyword| (1..=79).contains(&keyword.len()))
}

/// Reads the text of a `tEXt`, `zTXt` or `iTXt` chunk, unpacking at most `most` bytes.
///
/// # Source
/// PNG specification, third edition, 11.3.3 (textual information).
pub(super) fn text_of(chunk: &Chunk<'_>, most: usize) -> Result<Text, String> {
    let broken = || format!("is a PNG picture with a broken text part {}", chunk.name());
    let (_, rest) = split_at_nul(chunk.data).ok_or_else(broken)?;
    match &chunk.kind {
        b"tEXt" => Ok(plain(rest, most)),
        b"zTXt" => match rest.split_first() {
            Some((0, packed)) => unpack(packed, most).ok_or_else(broken),
            _ => Err(broken()),
        },
        b"iTXt" => {
            let (&[is_packed, method], rest) = rest.split_first_chunk::<2>().ok_or_else(broken)?;
            let (_language, rest) = split_at_nul(rest).ok_or_else(broken)?;
            let (_translated_keyword, text) = split_at_nul(rest).ok_or_else(broken)?;
            match (is_packed, method) {
                (0, _) => Ok(plain(text, most)),
                (1, 0) => unpack(text, most).ok_or_else(broken),
                _ => Err(broken()),
            }
        }
        _ => Err(broken()),
    }
}

fn split_at_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == 0)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn plain(bytes: &[u8], most: usize) -> Text {
    if bytes.len() > most {
        return Text::TooLong;
    }
    // `tEXt` is Latin-1 by the book, but several programs write UTF-8 into it. Text of the one kind
    // is hardly ever valid as the other.
    Text::Whole(match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    })
}

/// Unpacks a zlib stream up to the cap; `None` when it is broken.
fn unpack(packed: &[u8], most: usize) -> Option<Text> {
    let mut bytes = Vec::new();
    ZlibDecoder::new(packed).take(most as u64 + 1).read_to_end(&mut bytes).ok()?;
    Some(plain(&bytes, most))
}

fn what_it_is_instead(bytes: &[u8]) -> String {
    let kind = match bytes {
        [] => return "is empty".to_owned(),
        [0xff, 0xd8, 0xff, ..] => "a JPEG picture",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "a WebP picture",
        [b'G', b'I', b'F', b'8', ..] => "a GIF picture",
        _ if bytes.starts_with(&SIGNATURE[..bytes.len().min(8)]) => {
            return "ends before the picture does".to_owned();
        }
        _ => return "is not a PNG picture".to_owned(),
    };
    format!("is {kind}; recipes can be read from PNG pictures only")
}
