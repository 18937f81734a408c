//! Small pictures for the film strip: a cache, made again whenever one is missing or damaged.

use std::path::{Path, PathBuf};

use image::{ImageBuffer, Rgba};

use crate::error::EngineError;
use crate::protocol::Pixels;

use super::place::THUMBNAILS;
use super::{files, pictures, png};

/// The longer side of a thumbnail, in pixels, at most.
pub const THUMBNAIL_PX: u32 = 192;

/// The folder below [`THUMBNAILS`] for thumbnails that are being written: among many thousand files
/// those that a killed process left would be found slowly.
const UNFINISHED: &str = "unfinished";

/// Removes what killed processes left half-written and returns how many files went.
pub(super) fn sweep(folder: &Path) -> usize {
    // Before the first thumbnail there is no such folder.
    files::sweep(&folder.join(THUMBNAILS).join(UNFINISHED), "png").unwrap_or(0)
}

/// Returns where a result's thumbnail is.
pub(super) fn path(folder: &Path, id: i64) -> PathBuf {
    folder.join(THUMBNAILS).join(format!("{id}.png"))
}

/// Makes a thumbnail and keeps it.
pub(super) fn keep(folder: &Path, id: i64, picture: &Pixels) -> Result<Pixels, EngineError> {
    let small = shrink(picture)?;
    keep_small(folder, id, &small)?;
    Ok(small)
}

/// Keeps a thumbnail.
pub(super) fn keep_small(folder: &Path, id: i64, small: &Pixels) -> Result<(), EngineError> {
    let unfinished = folder.join(THUMBNAILS).join(UNFINISHED);
    files::make_folder(&unfinished)?;
    files::write_cache_by(&path(folder, id), &unfinished, &png::encode_plain(small)?)
}

/// Returns a result's thumbnail, made again from its picture when needed.
pub(super) fn get(folder: &Path, id: i64, picture: &Path) -> Result<Pixels, EngineError> {
    let kept = png::read_file(&path(folder, id)).and_then(|bytes| png::decode(&bytes));
    match kept {
        Ok(small) if small.width_px.max(small.height_px) <= THUMBNAIL_PX => Ok(small),
        _ => {
            let picture = pictures::decode_file(picture)?;
            // A full disk must not hide the picture.
            keep(folder, id, &picture).or_else(|_| shrink(&picture))
        }
    }
}

/// Makes a picture small enough for a thumbnail.
pub(super) fn shrink(picture: &Pixels) -> Result<Pixels, EngineError> {
    let Pixels { width_px, height_px, ref rgba } = *picture;
    let longer = width_px.max(height_px);
    if longer <= THUMBNAIL_PX {
        return Ok(picture.clone());
    }
    let scaled = |px: u32| {
        let px = u64::from(px) * u64::from(THUMBNAIL_PX) / u64::from(longer);
        u32::try_from(px).unwrap_or(THUMBNAIL_PX).max(1)
    };
    let odd = || EngineError::invalid("picture", "has not as many pixels as its size says");
    let whole: ImageBuffer<Rgba<u8>, &[u8]> =
        ImageBuffer::from_raw(width_px, height_px, rgba.as_slice()).ok_or_else(odd)?;
    let small = image::imageops::thumbnail(&whole, scaled(width_px), scaled(height_px));
    Pixels::new(small.width(), small.height(), small.into_raw()).ok_or_else(odd)
}
