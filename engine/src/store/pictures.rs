//! The pixels of pictures in the library, whichever kind of file they are.

use std::path::Path;

use crate::error::EngineError;
use crate::pipelines::decode_picture;
use crate::protocol::Pixels;

use super::foreign::PictureFormat;
use super::png;

/// Caps a picture at 8192 × 8192 pixels, as for those of our own.
const MAX_PIXELS: u64 = 1 << 26;

/// Decodes a PNG, JPEG or WebP file of any kind to 8-bit RGBA, turned as its camera says.
///
/// # Errors
/// [`EngineError::Damaged`].
pub fn decode(bytes: &[u8]) -> Result<Pixels, EngineError> {
    decode_of(bytes, Path::new("picture without a file name"))
}

/// Decodes a file, as [`decode`] does.
///
/// # Errors
/// [`EngineError::Io`] when the file cannot be read, or [`EngineError::Damaged`].
pub fn decode_file(path: &Path) -> Result<Pixels, EngineError> {
    decode_of(&png::read_file(path)?, path)
}

/// Decodes bytes; the path stands in errors.
pub(super) fn decode_of(bytes: &[u8], path: &Path) -> Result<Pixels, EngineError> {
    match PictureFormat::of(bytes) {
        Some(PictureFormat::Png) => png::decode_named(bytes, path),
        Some(PictureFormat::Jpeg | PictureFormat::WebP) => decode_picture(bytes, path, MAX_PIXELS),
        None => Err(EngineError::damaged(path, "is not a PNG, JPEG or WebP picture")),
    }
}
