//! Pictures that a person gives: opened within limits, as 8-bit pixels.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{ImageDecoder, ImageReader, Limits, metadata::Orientation};

use crate::error::EngineError;
use crate::protocol::Pixels;

/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// The longest side.
const MAX_SIDE_PX: u32 = 16_384;
/// The most memory that decoding may take: a picture of 100 million pixels with 16 bits each.
const MAX_DECODED_BYTES: u64 = 1 << 30;

/// Opens a picture (PNG, JPEG or WebP), turned as its camera says.
///
/// # Errors
/// [`EngineError::Io`] when it cannot be read; [`EngineError::Damaged`] when it is no such picture, or
/// larger than 16,384 pixels each way.
pub(super) fn open(path: &Path) -> Result<Pixels, EngineError> {
    let unreadable = |error: std::io::Error| EngineError::io("read the picture", path, &error);
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() || about.len() > MAX_FILE_BYTES {
        return Err(EngineError::damaged(path, "is no picture, or too large for one"));
    }
    decode(&fs::read(path).map_err(unreadable)?, path, u64::MAX)
}

/// Decodes a picture (PNG, JPEG or WebP) of at most so many pixels, turned as its camera says; the
/// path stands in errors.
///
/// # Errors
/// [`EngineError::Damaged`] when it is no such picture, or larger.
pub(crate) fn decode(bytes: &[u8], path: &Path, most_pixels: u64) -> Result<Pixels, EngineError> {
    let unreadable = |error: std::io::Error| EngineError::io("read the picture", path, &error);
    let broken = |error: image::ImageError| {
        let reason = format!("is no picture that can be opened ({error})");
        EngineError::damaged(path, reason)
    };
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(unreadable)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PX);
    limits.max_image_height = Some(MAX_SIDE_PX);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > most_pixels {
        let reason = format!("is a picture of {width} × {height} pixels, too large");
        return Err(EngineError::damaged(path, reason));
    }
    let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = image::DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(turned);
    let rgba = picture.into_rgba8();
    let (width, height) = rgba.dimensions();
    Pixels::new(width, height, rgba.into_raw())
        .ok_or_else(|| EngineError::damaged(path, "is a picture without pixels"))
}

/// Lays a picture over white, so that what is transparent is seen as paper.
pub(super) fn over_white(pixels: &Pixels) -> Pixels {
    let mut out = pixels.clone();
    for pixel in out.rgba.chunks_exact_mut(4) {
        let alpha = u32::from(pixel[3]);
        for value in &mut pixel[..3] {
            *value = ((u32::from(*value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
        pixel[3] = 255;
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_is_transparent_is_white_and_what_is_not_stays() {
        let pixels = Pixels::new(3, 1, vec![1, 2, 3, 255, 10, 20, 30, 0, 0, 0, 0, 128]).unwrap();
        let rgba = over_white(&pixels).rgba;
        assert_eq!(rgba, [1, 2, 3, 255, 255, 255, 255, 255, 127, 127, 127, 255]);
    }

    #[test]
    fn files_that_are_no_pictures_are_refused_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.png");
        for bytes in [&b""[..], b"text", b"\x89PNG\r\n\x1a\n", b"GIF89a"] {
            std::fs::write(&file, bytes).unwrap();
            let error = open(&file).unwrap_err();
            assert!(matches!(error, EngineError::Damaged { .. }), "{error}");
        }
        assert!(open(folder.path()).is_err());
    }
}
