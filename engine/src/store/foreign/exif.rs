//! The few texts of EXIF that programs put settings into.
//!
//! This reads a dozen tags out of two lists of a TIFF structure that is in memory already; a crate
//! for the whole of EXIF would add a parser of cameras' notes to what hostile files can reach.

/// Caps the entries of one list.
const MAX_ENTRIES: usize = 512;

/// Points from the first list to the one of EXIF.
const EXIF_LIST: u16 = 0x8769;

/// Tags that are read, and the keyword under which they are kept.
///
/// # Source
/// EXIF 2.32, 4.6.4 and 4.6.5; `XPComment` is Windows's. ComfyUI writes into `Make` and `Model`,
/// SwarmUI into `Model`, Fooocus names its scheme in `MakerNote`.
const TAGS: [(u16, &str); 7] = [
    (0x9286, "UserComment"),
    (0x010e, "ImageDescription"),
    (0x010f, "Make"),
    (0x0110, "Model"),
    (0x0131, "Software"),
    (0x927c, "fooocus_scheme"),
    (0x9c9c, "XPComment"),
];

struct Tiff<'a> {
    bytes: &'a [u8],
    is_big_endian: bool,
}

impl<'a> Tiff<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        match bytes.get(..4)? {
            b"II*\0" => Some(Self { bytes, is_big_endian: false }),
            b"MM\0*" => Some(Self { bytes, is_big_endian: true }),
            _ => None,
        }
    }

    fn at(&self, at: usize, length: usize) -> Option<&'a [u8]> {
        self.bytes.get(at..at.checked_add(length)?)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.at(at, 2)?.try_into().ok()?;
        Some(if self.is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = self.at(at, 4)?.try_into().ok()?;
        Some(if self.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// Returns tag and place of each entry of a list.
    fn entries(&self, list: usize) -> Vec<(u16, usize)> {
        let count = self.u16(list).map_or(0, usize::from).min(MAX_ENTRIES);
        (0..count)
            .filter_map(|n| {
                let at = list.checked_add(2 + n * 12)?;
                Some((self.u16(at)?, at))
            })
            .collect()
    }

    /// Returns the bytes of an entry's value.
    fn value(&self, entry: usize, most: usize) -> Option<&'a [u8]> {
        // Bytes, ASCII and undefined have one byte each; no other kind holds a text.
        if !matches!(self.u16(entry + 2)?, 1 | 2 | 7) {
            return None;
        }
        let length = usize::try_from(self.u32(entry + 4)?).ok().filter(|length| *length <= most)?;
        let at = match length {
            0..=4 => entry + 8,
            _ => usize::try_from(self.u32(entry + 8)?).ok()?,
        };
        self.at(at, length)
    }
}

/// Lists the texts of an EXIF block under their keywords; what is broken is passed over.
pub(super) fn texts(bytes: &[u8], most: usize) -> Vec<(&'static str, String)> {
    let Some(tiff) = Tiff::new(bytes) else { return Vec::new() };
    let Some(first) = tiff.u32(4).and_then(|at| usize::try_from(at).ok()) else {
        return Vec::new();
    };
    let mut entries = tiff.entries(first);
    let exif = entries.iter().find(|(tag, _)| *tag == EXIF_LIST).and_then(|(_, at)| {
        let list = tiff.u32(at + 8)?;
        usize::try_from(list).ok()
    });
    if let Some(exif) = exif {
        entries.extend(tiff.entries(exif));
    }
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for (tag, keyword) in TAGS {
        let value = entries
            .iter()
            .filter(|(known, _)| *known == tag)
            .find_map(|(_, at)| tiff.value(*at, most));
        let text = match (tag, value) {
            (_, None) => continue,
            (0x9286, Some(value)) => comment(value, tiff.is_big_endian),
            (0x9c9c, Some(value)) => utf16(value, false),
            (_, Some(value)) => plain(value),
        };
        found.push((keyword, text));
    }
    found
}

/// Reads a comment, which says in its first eight bytes how it is written.
fn comment(value: &[u8], is_big_endian: bool) -> String {
    match value.split_first_chunk::<8>() {
        Some((b"UNICODE\0", text)) => unicode(text, is_big_endian),
        Some((b"ASCII\0\0\0" | b"\0\0\0\0\0\0\0\0", text)) => plain(text),
        _ => plain(value),
    }
}

/// Reads “Unicode”: UTF-16 of either order, or UTF-8, since programs do not agree.
fn unicode(bytes: &[u8], is_big_endian: bool) -> String {
    match bytes {
        [0xfe, 0xff, rest @ ..] => return utf16(rest, true),
        [0xff, 0xfe, rest @ ..] => return utf16(rest, false),
        _ => {}
    }
    // Text in any script has spaces, line ends and digits, whose upper byte is 0.
    let zeros = |from: usize| bytes.iter().skip(from).step_by(2).filter(|&&b| b == 0).count();
    let (upper_first, upper_last) = (zeros(0), zeros(1));
    if upper_first == 0 && upper_last == 0 && std::str::from_utf8(bytes).is_ok() {
        return plain(bytes);
    }
    match upper_first.cmp(&upper_last) {
        std::cmp::Ordering::Greater => utf16(bytes, true),
        std::cmp::Ordering::Less => utf16(bytes, false),
        std::cmp::Ordering::Equal => utf16(bytes, is_big_endian),
    }
}

fn utf16(bytes: &[u8], is_big_endian: bool) -> String {
    let units = bytes.chunks_exact(2).map(|pair| match is_big_endian {
        true => u16::from_be_bytes([pair[0], pair[1]]),
        false => u16::from_le_bytes([pair[0], pair[1]]),
    });
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Reads UTF-8, or Latin-1 where it is none.
pub(super) fn plain(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, is_big_endian: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|u| if is_big_endian { u.to_be_bytes() } else { u.to_le_bytes() })
            .collect()
    }

    #[test]
    fn unicode_is_read_in_either_order_whatever_the_block_says() {
        let text = "雪 fox\nSteps: 20";
        for is_big_endian in [true, false] {
            for claimed in [true, false] {
                assert_eq!(unicode(&written(text, is_big_endian), claimed), text);
            }
            let marked = written(&format!("\u{feff}{text}"), is_big_endian);
            assert_eq!(unicode(&marked, !is_big_endian), text);
        }
        assert_eq!(unicode("雪 fox".as_bytes(), true), "雪 fox");
    }

    #[test]
    fn a_comment_says_how_it_is_written() {
        assert_eq!(comment(b"ASCII\0\0\0a fox", true), "a fox");
        assert_eq!(comment(b"\0\0\0\0\0\0\0\0a fox", true), "a fox");
        assert_eq!(comment(b"{\"a\": 1}", true), "{\"a\": 1}");
        assert_eq!(comment(b"", true), "");
    }

    #[test]
    fn lists_that_point_anywhere_end() {
        // A list that is its own EXIF list, with a value that ends far outside.
        let mut block = b"II*\0\x08\0\0\0\x02\0".to_vec();
        block.extend(b"\x69\x87\x04\0\x01\0\0\0\x08\0\0\0");
        block.extend(b"\x86\x92\x07\0\xff\xff\xff\x7f\xff\xff\xff\xff");
        assert!(texts(&block, 1 << 20).is_empty());
        for length in 0..block.len() {
            assert!(texts(&block[..length], 1 << 20).is_empty());
        }
    }
}
