//! Opens PNG, JPEG and WebP files as far as their texts, without trusting one length in them.

use serde::{Deserialize, Serialize};

use crate::protocol::Size;

use super::exif;
use crate::store::png;

/// Caps one text, unpacked; a graph of some thousand nodes is shorter.
pub(super) const MAX_TEXT_BYTES: usize = 2 << 20;

/// Caps the texts that are kept.
const MAX_TEXTS: usize = 32;

/// Texts that are read; others are passed over unopened.
const KEYWORDS: [&str; 14] = [
    "parameters",
    "prompt",
    "workflow",
    "Dream",
    "sd-metadata",
    "invokeai_metadata",
    "fooocus_scheme",
    "Title",
    "Description",
    "Software",
    "Source",
    "Comment",
    "UserComment",
    "ImageDescription",
];

/// Names a kind of picture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureFormat {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    WebP,
}

impl PictureFormat {
    /// Returns the kind of a file by its first bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            _ => None,
        }
    }

    /// Returns the ending of files of this kind.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
        }
    }
}

/// Holds the texts of a picture's file.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    pub format: PictureFormat,
    pub size: Size,
    /// Whether the pixels have transparency.
    pub has_alpha: bool,
    /// Keyword and text, the first of each keyword only.
    entries: Vec<(String, String)>,
    /// Texts that could not be read, in one sentence each.
    pub unread: Vec<String>,
}

impl Texts {
    /// Opens a file; what is wrong is the rest of a sentence that begins with “The file”.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, String> {
        match PictureFormat::of(bytes) {
            Some(PictureFormat::Png) => of_png(bytes),
            Some(PictureFormat::Jpeg) => of_jpeg(bytes),
            Some(PictureFormat::WebP) => of_webp(bytes),
            None if bytes.is_empty() => Err("is empty".to_owned()),
            None => Err("is not a PNG, JPEG or WebP picture".to_owned()),
        }
    }

    fn new(format: PictureFormat) -> Self {
        let (size, entries) = (Size { width_px: 0, height_px: 0 }, Vec::new());
        Self { format, size, has_alpha: false, entries, unread: Vec::new() }
    }

    /// Returns the text of a keyword.
    pub(super) fn get(&self, keyword: &str) -> Option<&str> {
        self.entries.iter().find(|(known, _)| known == keyword).map(|(_, text)| text.as_str())
    }

    /// Lists the texts of these keywords that are there, in the order of the keywords.
    pub(super) fn all<'a>(&'a self, keywords: &'a [&str]) -> impl Iterator<Item = &'a str> {
        keywords.iter().filter_map(|keyword| self.get(keyword))
    }

    /// Returns texts as they are when one was hidden in the pixels: NovelAI hides an object of texts,
    /// others the text that would stand under `parameters`.
    pub(super) fn hidden(&self, hidden: &str) -> Self {
        let mut texts = Self { entries: Vec::new(), unread: Vec::new(), ..self.clone() };
        match super::json::parse(hidden) {
            Ok(serde_json::Value::Object(object)) if object.contains_key("Comment") => {
                for keyword in KEYWORDS {
                    match object.get(keyword) {
                        Some(serde_json::Value::String(text)) => texts.put(keyword, text.clone()),
                        Some(serde_json::Value::Null) | None => {}
                        Some(value) => texts.put(keyword, value.to_string()),
                    }
                }
                texts.put("Software", "NovelAI".to_owned());
            }
            _ => texts.put("parameters", hidden.to_owned()),
        }
        texts
    }

    fn put(&mut self, keyword: &str, text: String) {
        let text = text.trim_matches(['\0', '\u{feff}']).trim();
        // ComfyUI and its nodes put the keyword before the text where there is no place for it.
        for (mark, keyword) in [("prompt:", "prompt"), ("workflow:", "workflow")] {
            if let Some((head, rest)) = text.split_at_checked(mark.len())
                && head.eq_ignore_ascii_case(mark)
                && rest.trim_start().starts_with('{')
            {
                return self.put(keyword, rest.to_owned());
            }
        }
        if !text.is_empty() && self.entries.len() < MAX_TEXTS && self.get(keyword).is_none() {
            self.entries.push((keyword.to_owned(), text.to_owned()));
        }
    }

    fn put_exif(&mut self, bytes: &[u8]) {
        // Both with and without the mark that JPEG files put before it.
        let tiff = bytes.strip_prefix(b"Exif\0\0").unwrap_or(bytes);
        for (keyword, text) in exif::texts(tiff, MAX_TEXT_BYTES) {
            self.put(keyword, text);
        }
    }
}

fn of_png(bytes: &[u8]) -> Result<Texts, String> {
    let mut texts = Texts::new(PictureFormat::Png);
    let found = png::texts(bytes, &KEYWORDS, MAX_TEXT_BYTES)?;
    texts.size = found.size;
    texts.has_alpha = found.has_alpha;
    for (keyword, text) in found.texts {
        match text {
            Ok(text) => texts.put(&keyword, text),
            Err(reason) => texts.unread.push(format!("The text “{keyword}” {reason}")),
        }
    }
    if let Some(exif) = found.exif {
        texts.put_exif(exif);
    }
    Ok(texts)
}

/// Walks the segments of a JPEG file up to the pixels.
///
/// # Source
/// ITU-T T.81, B.1.1 (markers) and B.2.2 (frame header).
fn of_jpeg(bytes: &[u8]) -> Result<Texts, String> {
    let cut = || "ends before the picture does".to_owned();
    let mut texts = Texts::new(PictureFormat::Jpeg);
    let mut rest = bytes.get(2..).ok_or_else(cut)?;
    loop {
        // Any number of filling bytes may stand before a marker.
        let begin = rest.iter().position(|&byte| byte != 0xff).ok_or_else(cut)?;
        if begin == 0 {
            return Err("is a JPEG picture with a broken part".to_owned());
        }
        let (marker, after) = (rest[begin], &rest[begin + 1..]);
        // Markers without contents.
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            rest = after;
            continue;
        }
        if matches!(marker, 0xd9 | 0xda) {
            break;
        }
        let (length, _) = after.split_first_chunk::<2>().ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let data = after.get(2..length).ok_or_else(cut)?;
        match marker {
            // Start of frame, but for the three markers among them that are tables.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let frame = data.first_chunk::<5>().ok_or_else(cut)?;
                let [_, h1, h0, w1, w0] = *frame;
                texts.size = Size {
                    width_px: u16::from_be_bytes([w1, w0]).into(),
                    height_px: u16::from_be_bytes([h1, h0]).into(),
                };
            }
            0xe1 if data.starts_with(b"Exif\0\0") => texts.put_exif(data),
            0xfe => texts.put("Comment", exif::plain(data)),
            _ => {}
        }
        rest = &after[length..];
    }
    if texts.size.width_px == 0 || texts.size.height_px == 0 {
        return Err("is a JPEG picture without a size".to_owned());
    }
    Ok(texts)
}

/// Walks the chunks of a WebP file.
///
/// # Source
/// WebP container specification; RFC 6386, 9.1 (`VP8 `); WebP lossless bitstream, 3 (`VP8L`).
fn of_webp(bytes: &[u8]) -> Result<Texts, String> {
    let cut = || "ends before the picture does".to_owned();
    let mut texts = Texts::new(PictureFormat::WebP);
    let mut rest = bytes.get(12..).ok_or_else(cut)?;
    let mut is_sized = false;
    while let Some((kind, after)) = rest.split_first_chunk::<4>() {
        let (length, after) = after.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| cut())?;
        let data = after.get(..length).ok_or_else(cut)?;
        let sized = match kind {
            b"VP8X" => data.first_chunk::<10>().map(|head| {
                let three =
                    |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]);
                (three(4) + 1, three(7) + 1, head[0] & 0x10 != 0)
            }),
            b"VP8L" => data.first_chunk::<5>().filter(|head| head[0] == 0x2f).map(|head| {
                let bits = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
                ((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1, bits >> 28 & 1 == 1)
            }),
            b"VP8 " => data.first_chunk::<10>().map(|head| {
                let side = |at: usize| u32::from(u16::from_le_bytes([head[at], head[at + 1]]));
                (side(6) & 0x3fff, side(8) & 0x3fff, false)
            }),
            b"EXIF" => {
                texts.put_exif(data);
                None
            }
            _ => None,
        };
        // The first word on the size counts: frames of an animation come later.
        if let Some((width_px, height_px, has_alpha)) = sized.filter(|_| !is_sized) {
            is_sized = true;
            texts.size = Size { width_px, height_px };
            texts.has_alpha = has_alpha;
        }
        // Chunks begin at even places.
        rest = after.get(length + length % 2..).unwrap_or_default();
    }
    if texts.size.width_px == 0 || texts.size.height_px == 0 {
        return Err("is a WebP picture without a size".to_owned());
    }
    Ok(texts)
}
