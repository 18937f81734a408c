//! Pictures that a person gives: opened within limits, as 8-bit pixels.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::error::EngineError;
use crate::protocol::Pixels;

/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// The longest side.
const MAX_SIDE_PX: u32 = 16_384;
/// The most pixels.
const MAX_PIXELS: u64 = 100_000_000;
/// The most memory that decoding may take: that many pixels with 16 bits each.
const MAX_DECODED_BYTES: u64 = 1 << 30;
/// Deflate packs at most 258 bytes into two bits, so no honest PNG file has more bytes per packed byte.
/// Source: RFC 1951, 3.2.5.
const MAX_PACKING: u64 = 1032;

/// Opens a picture (PNG, JPEG or WebP, whatever its name ends in), turned as its camera says. How much
/// memory it needs is known, and refused where that is too much, before it is decoded.
///
/// # Errors
/// [`EngineError::Io`] when it cannot be read; [`EngineError::OtherPicture`] when it is of another kind,
/// an animation or too large; [`EngineError::Damaged`] when it is cut short or no picture at all.
pub fn open(path: &Path) -> Result<Pixels, EngineError> {
    let unreadable = |error: std::io::Error| EngineError::io("read the picture", path, &error);
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(EngineError::damaged(path, "is no regular file"));
    }
    if about.len() > MAX_FILE_BYTES {
        return Err(other(path, "is a file of more than half a gigabyte"));
    }
    decode(&fs::read(path).map_err(unreadable)?, path, MAX_PIXELS)
}

/// Refuses a picture that is empty or too large.
fn check_size(width: u32, height: u32, most_pixels: u64, path: &Path) -> Result<(), EngineError> {
    let most_pixels = most_pixels.min(MAX_PIXELS);
    if width == 0 || height == 0 {
        return Err(EngineError::damaged(path, "is a picture without pixels"));
    }
    if width.max(height) > MAX_SIDE_PX || u64::from(width) * u64::from(height) > most_pixels {
        let reason = format!(
            "is {width} × {height} pixels, and at most {} million are opened, {MAX_SIDE_PX} on a side",
            most_pixels / 1_000_000
        );
        return Err(other(path, reason));
    }
    Ok(())
}

/// Decodes a picture (PNG, JPEG or WebP) of at most so many pixels, turned as its camera says; the
/// path only names it in errors.
///
/// # Errors
/// Those of [`open`] but that of reading.
pub(crate) fn decode(bytes: &[u8], path: &Path, most_pixels: u64) -> Result<Pixels, EngineError> {
    let broken = |error: image::ImageError| {
        // What the decoder says may quote the file at any length.
        let said = error.to_string();
        let said: String = said.lines().next().unwrap_or_default().chars().take(120).collect();
        EngineError::damaged(path, format!("is no whole picture ({said})"))
    };
    check_kind(bytes, path)?;
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| EngineError::io("read the picture", path, &error))?;
    // The size stands in the header, which may be all that there is.
    let sized = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    if let Ok(Ok((width, height))) = sized.map(ImageReader::into_dimensions) {
        check_size(width, height, most_pixels, path)?;
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let is_png = reader.format() == Some(ImageFormat::Png);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if decoder.total_bytes() > MAX_DECODED_BYTES {
        return Err(other(path, "takes more than a gigabyte when it is opened"));
    }
    check_size(width, height, most_pixels, path)?;
    // The smallest pixel has one bit.
    if is_png && pixels / 8 > (bytes.len() as u64).saturating_mul(MAX_PACKING) {
        return Err(EngineError::damaged(path, "holds fewer pixels than it claims"));
    }
    let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(turned);
    let rgba = picture.into_rgba8();
    let (width, height) = rgba.dimensions();
    Pixels::new(width, height, rgba.into_raw())
        .ok_or_else(|| EngineError::damaged(path, "is a picture without pixels"))
}

/// Refuses what is of another kind, by how the file begins.
fn check_kind(bytes: &[u8], path: &Path) -> Result<(), EngineError> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Png | ImageFormat::Jpeg) => Ok(()),
        Ok(ImageFormat::WebP) => match WebPDecoder::new(Cursor::new(bytes)) {
            Ok(decoder) if decoder.has_animation() => Err(other(path, "is an animation")),
            // What is wrong with it is told when it is decoded.
            _ => Ok(()),
        },
        Ok(format) => {
            let name = format.extensions_str().first().map_or("file", |name| name);
            Err(other(path, format!("is a {} file", name.to_uppercase())))
        }
        Err(_) if bytes.is_empty() => Err(EngineError::damaged(path, "is empty")),
        Err(_) => Err(EngineError::damaged(path, "is no picture, going by how it begins")),
    }
}

fn other(path: &Path, reason: impl Into<String>) -> EngineError {
    EngineError::OtherPicture { reason: reason.into(), path: path.to_owned() }
}

/// Lays a picture over white, so that what is transparent is seen as paper.
pub fn over_white(pixels: &Pixels) -> Pixels {
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

    use std::collections::BTreeMap;

    use super::*;

    /// Returns a file of those that `tests/golden/pictures/make.py` wrote.
    fn golden(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/pictures");
        fs::read(folder.join(name)).unwrap()
    }

    /// Returns the beginning of a PNG file that claims a size, with a checksum that fits it.
    fn claims(width: u32, height: u32) -> Vec<u8> {
        let mut chunk = b"IHDR".to_vec();
        chunk.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
        chunk.extend([8, 2, 0, 0, 0]);
        let mut sum = flate2::Crc::new();
        sum.update(&chunk);
        let head = [&b"\x89PNG\r\n\x1a\n\0\0\0\x0d"[..], &chunk, &sum.sum().to_be_bytes()].concat();
        // A packed row, and the end.
        [&head, &b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82"[..]].concat()
    }

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
        for bytes in [&b""[..], b"text", b"\x89PNG\r\n\x1a\n"] {
            std::fs::write(&file, bytes).unwrap();
            let error = open(&file).unwrap_err();
            assert!(matches!(error, EngineError::Damaged { .. }), "{error}");
        }
        assert!(open(folder.path()).is_err());
    }

    #[test]
    fn pictures_are_read_as_pillow_reads_them_whatever_their_name() {
        let expected: BTreeMap<String, Vec<u8>> =
            serde_json::from_slice(&golden("expected.json")).unwrap();
        for (name, expected) in expected {
            let found = decode(&golden(&name), Path::new("wrong.ending"), MAX_PIXELS).unwrap().rgba;
            assert_eq!(found.len(), expected.len(), "{name}");
            let worst = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
            // Decoders of JPEG round their transforms differently.
            let tolerance = if name.ends_with("jpg") { 4 } else { 0 };
            assert!(worst <= Some(tolerance), "{name}: {worst:?}");
        }
    }

    #[test]
    fn other_kinds_animations_and_giants_are_refused_by_what_they_are() {
        let tiff = b"II*\0\x08\0\0\0".to_vec();
        for (bytes, sentence) in [
            (golden("animated.gif"), "is a GIF file"),
            (golden("animated.webp"), "is an animation"),
            (tiff, "is a TIFF file"),
            (claims(60_000, 60_000), "is 60000 × 60000 pixels"),
            (claims(16_384, 16_384), "is 16384 × 16384 pixels"),
        ] {
            let error = decode(&bytes, Path::new("x.png"), MAX_PIXELS).unwrap_err();
            assert!(matches!(error, EngineError::OtherPicture { .. }), "{error:?}");
            assert!(error.to_string().contains(sentence), "{error}");
        }
    }

    #[test]
    fn files_that_are_cut_short_or_claim_what_they_do_not_hold_are_damaged() {
        let cut = |name: &str| {
            let bytes = golden(name);
            bytes[..bytes.len() * 2 / 3].to_vec()
        };
        for bytes in [
            claims(0, 0),
            claims(9_000, 9_000),
            claims(3, 3),
            cut("sixteen.png"),
            cut("plain.webp"),
            cut("plain.jpg"),
        ] {
            let error = decode(&bytes, Path::new("x.png"), MAX_PIXELS).unwrap_err();
            assert!(matches!(error, EngineError::Damaged { .. }), "{error:?}");
        }
    }
}
