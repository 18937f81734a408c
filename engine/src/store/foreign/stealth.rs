//! Texts hidden in the lowest bit of a picture's transparency, which survives where the texts of the
//! file are taken off.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::protocol::Pixels;

use super::exif;
use super::texts::MAX_TEXT_BYTES;

const PLAIN: &[u8] = b"stealth_pnginfo";
const PACKED: &[u8] = b"stealth_pngcomp";

/// Reads the lowest bits of the transparency, column by column, the highest bit of each byte first.
struct Bits<'a> {
    pixels: &'a Pixels,
    at: usize,
}

impl Bits<'_> {
    fn left(&self) -> usize {
        (self.pixels.rgba.len() / 4).saturating_sub(self.at)
    }

    fn bit(&mut self) -> Option<u8> {
        let (width, height) = (self.pixels.width_px as usize, self.pixels.height_px as usize);
        let (column, row) = (self.at / height.max(1), self.at % height.max(1));
        let alpha = self.pixels.rgba.get((row * width + column) * 4 + 3)?;
        self.at += 1;
        Some(alpha & 1)
    }

    fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        // So no memory is taken for what is not there.
        if count > self.left() / 8 {
            return None;
        }
        (0..count).map(|_| (0..8).try_fold(0, |byte, _| Some(byte << 1 | self.bit()?))).collect()
    }
}

/// Reads a hidden text; `None` when there is none, a sentence when there is one that is broken.
///
/// # Source
/// The `stealth_pnginfo` of NovelAI and of ashen-sensored's extension of the same name: a mark of 15
/// bytes, the length in bits (32 bits, highest first), the text as UTF-8 or packed as gzip.
pub(super) fn read(pixels: &Pixels) -> Option<Result<String, String>> {
    let mut bits = Bits { pixels, at: 0 };
    let mark = bits.bytes(PLAIN.len())?;
    let is_packed = match mark.as_slice() {
        PLAIN => false,
        PACKED => true,
        _ => return None,
    };
    let broken = || "The text hidden in the transparency is broken".to_owned();
    let mut body = || {
        let length = bits.bytes(4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        bits.bytes(usize::try_from(length).ok()? / 8)
    };
    let Some(body) = body() else { return Some(Err(broken())) };
    if !is_packed {
        let is_short = body.len() <= MAX_TEXT_BYTES;
        return Some(if is_short { Ok(exif::plain(&body)) } else { Err(broken()) });
    }
    let mut text = Vec::new();
    let unpacked =
        GzDecoder::new(body.as_slice()).take(MAX_TEXT_BYTES as u64 + 1).read_to_end(&mut text);
    Some(match unpacked {
        Ok(_) if text.len() <= MAX_TEXT_BYTES => Ok(exif::plain(&text)),
        _ => Err(broken()),
    })
}
