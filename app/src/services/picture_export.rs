//! Saves the picture that is edited in the forms of other programs.

use std::path::Path;

use atelier_engine::EngineError;
use atelier_engine::canvas::Document;
use atelier_engine::store::files::write_atomic;
use atelier_engine::store::png;

use crate::state::PictureFormat;

/// Writes a document to a file, whole or not at all.
///
/// # Errors
/// [`EngineError::Io`] or [`EngineError::DiskFull`] when it cannot be written, and
/// [`EngineError::InvalidSetting`] for a form that cannot hold it.
pub(super) fn write_picture(
    document: &Document,
    format: PictureFormat,
    to: &Path,
) -> Result<(), EngineError> {
    let bytes = match format {
        PictureFormat::Png => png::encode_plain(&document.picture())?,
        _ => return Err(EngineError::invalid("form of the picture", "is not written yet")),
    };
    write_atomic(to, &bytes)
}
