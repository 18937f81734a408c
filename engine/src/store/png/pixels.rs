//! The pixels of PNG files, and the header that says how many there are.

use std::io::Cursor;
use std::path::Path;

use crate::error::EngineError;
use crate::protocol::{Pixels, Size};

use super::NO_PATH;
use super::chunks::{Chunk, Chunks};

/// Caps a picture at 8192 × 8192 pixels, 256 MiB unpacked.
const MAX_PIXELS: u64 = 1 << 26;

/// Deflate packs at most 258 bytes into two bits, so no honest file has more bytes per packed byte.
/// Source: RFC 1951, 3.2.5.
const MAX_PACKING: u64 = 1032;

/// Encodes pixels with texts before them; without transparency as RGB, else as RGBA.
pub(super) fn encode(pixels: &Pixels, texts: &[(&str, String)]) -> Result<Vec<u8>, EngineError> {
    let Pixels { width_px, height_px, rgba } = pixels;
    if rgba.len() as u64 != u64::from(*width_px) * u64::from(*height_px) * 4 {
        return Err(EngineError::invalid("picture", "has not as many pixels as its size says"));
    }
    let failed = |error: png::EncodingError| {
        EngineError::invalid("picture", format!("cannot be encoded: {error}"))
    };
    let is_opaque = rgba.iter().skip(3).step_by(4).all(|&alpha| alpha == u8::MAX);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, *width_px, *height_px);
    encoder.set_color(if is_opaque { png::ColorType::Rgb } else { png::ColorType::Rgba });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    for (keyword, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        // A zero ends a text in PNG files.
        let text = text.replace('\0', "");
        if fits_latin1(&text) && *keyword != super::RECIPE_KEYWORD {
            encoder.add_text_chunk((*keyword).to_owned(), text).map_err(failed)?;
        } else {
            encoder.add_itxt_chunk((*keyword).to_owned(), text).map_err(failed)?;
        }
    }
    let mut writer = encoder.write_header().map_err(failed)?;
    if is_opaque {
        let rgb: Vec<u8> = rgba.chunks_exact(4).flat_map(|pixel| &pixel[..3]).copied().collect();
        writer.write_image_data(&rgb).map_err(failed)?;
    } else {
        writer.write_image_data(rgba).map_err(failed)?;
    }
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// Tells whether a text survives as Latin-1, also with readers that expect UTF-8 everywhere.
fn fits_latin1(text: &str) -> bool {
    let latin1: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    latin1.is_some_and(|bytes| text.is_ascii() || std::str::from_utf8(&bytes).is_err())
}

/// Decodes a PNG file of any kind to 8-bit RGBA.
///
/// A file that claims more pixels than its length can hold is refused before memory is taken.
///
/// # Errors
/// [`EngineError::Damaged`].
pub fn decode(bytes: &[u8]) -> Result<Pixels, EngineError> {
    decode_checked(bytes).map_err(|reason| EngineError::damaged(NO_PATH, reason))
}

/// Decodes a PNG file, as [`decode`] does.
///
/// # Errors
/// [`EngineError::Io`] when the file cannot be read, or [`EngineError::Damaged`].
pub fn decode_file(path: &Path) -> Result<Pixels, EngineError> {
    decode_named(&super::read_file(path)?, path)
}

/// Decodes bytes as [`decode`] does; the path stands in errors.
pub(in crate::store) fn decode_named(bytes: &[u8], path: &Path) -> Result<Pixels, EngineError> {
    decode_checked(bytes).map_err(|reason| EngineError::damaged(path, reason))
}

fn decode_checked(bytes: &[u8]) -> Result<Pixels, String> {
    let mut size = None;
    let mut packed_bytes = 0;
    for chunk in Chunks::new(bytes)? {
        let chunk = chunk?;
        if size.is_none() {
            size = Some(size_in_header(&chunk)?);
        }
        if chunk.kind == *b"IDAT" {
            packed_bytes += chunk.data.len() as u64;
        }
    }
    let size = size.ok_or("is a PNG picture without a header")?;
    let pixel_count = u64::from(size.width_px) * u64::from(size.height_px);
    if pixel_count > MAX_PIXELS {
        return Err(format!(
            "is a picture of {} × {} pixels, too large",
            size.width_px, size.height_px
        ));
    }
    // The smallest pixel has one bit.
    if pixel_count / 8 > packed_bytes.saturating_mul(MAX_PACKING) {
        return Err("holds fewer pixels than it claims".to_owned());
    }
    let said = |error: png::DecodingError| format!("cannot be decoded as a picture ({error})");
    let limits = png::Limits { bytes: (MAX_PIXELS * 8) as usize };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(
        png::Transformations::normalize_to_color8() | png::Transformations::ALPHA,
    );
    let mut reader = decoder.read_info().map_err(said)?;
    let length = reader.output_buffer_size().ok_or("is too large to be a picture")?;
    let mut out = vec![0; length];
    let frame = reader.next_frame(&mut out).map_err(said)?;
    out.truncate(frame.buffer_size());
    let rgba = match frame.color_type {
        png::ColorType::Rgba => out,
        png::ColorType::GrayscaleAlpha => {
            out.chunks_exact(2).flat_map(|pair| [pair[0], pair[0], pair[0], pair[1]]).collect()
        }
        other => return Err(format!("has a colour type that is not known ({other:?})")),
    };
    Pixels::new(frame.width, frame.height, rgba)
        .ok_or_else(|| "holds fewer pixels than it claims".to_owned())
}

/// Reads the size out of the first chunk, which must be the header.
pub(super) fn size_in_header(chunk: &Chunk<'_>) -> Result<Size, String> {
    let read = || {
        let (width, rest) = chunk.data.split_first_chunk::<4>()?;
        let (height, rest) = rest.split_first_chunk::<4>()?;
        let size =
            Size { width_px: u32::from_be_bytes(*width), height_px: u32::from_be_bytes(*height) };
        // The PNG specification (11.2.1) ends at 2^31 - 1.
        let in_range = |px: u32| (1..=i32::MAX as u32).contains(&px);
        let is_valid = in_range(size.width_px) && in_range(size.height_px) && rest.len() == 5;
        (chunk.kind == *b"IHDR" && is_valid).then_some(size)
    };
    read().ok_or_else(|| "is a PNG picture with a broken header".to_owned())
}
