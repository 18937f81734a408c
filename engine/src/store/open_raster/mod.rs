//! Pictures in layers as OpenRaster files (`.ora`), which Krita, GIMP, MyPaint and others read.
//!
//! ```text
//! mimetype                    image/openraster, first and not packed
//! stack.xml                   size and layers, the uppermost first
//! data/layer0.png …           their pixels
//! mergedimage.png             the picture as it is seen
//! Thumbnails/thumbnail.png    the same, small
//! ```
//!
//! # Source
//! OpenRaster specification 0.0.6, openraster.org.

mod read;
mod tags;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::canvas::{Blend, MAX_LAYERS, MAX_PIXELS, MAX_SIDE_PX};
use crate::error::EngineError;
use crate::protocol::Pixels;

use super::exports::{self, PictureFormat};
use super::thumbnails;
pub use read::{read, read_file};

const MIMETYPE: &str = "image/openraster";

/// Each way of laying layers over another that we know, and its name in the file.
const OPERATORS: [(Blend, &str); 3] = [
    (Blend::Normal, "svg:src-over"),
    (Blend::Multiply, "svg:multiply"),
    (Blend::Screen, "svg:screen"),
];

/// Returns the name that a blend mode has in OpenRaster files.
pub fn operator_of(blend: Blend) -> &'static str {
    let known = OPERATORS.iter().find(|(known, _)| *known == blend);
    known.map_or("svg:src-over", |(_, name)| name)
}

/// Returns the blend mode of a name in OpenRaster files; `None` when it is not one of ours.
pub fn blend_of(operator: &str) -> Option<Blend> {
    OPERATORS.iter().find(|(_, name)| *name == operator).map(|(blend, _)| *blend)
}

/// Holds a layer of an OpenRaster file.
#[derive(Debug, Clone, PartialEq)]
pub struct OraLayer {
    /// What the person calls it.
    pub name: String,
    /// Its pixels.
    pub pixels: Pixels,
    /// Where their left edge is, in pixels from the picture's.
    pub x: i32,
    /// Where their upper edge is, in pixels from the picture's.
    pub y: i32,
    /// How strongly it is seen, 0 to 1.
    pub opacity: f32,
    /// Whether it is seen.
    pub is_visible: bool,
    /// How it meets what is below, for instance `svg:src-over` or `svg:multiply`; see [`blend_of`].
    pub operator: String,
}

/// Holds what an OpenRaster file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct OraPicture {
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// The layers, the lowest first.
    pub layers: Vec<OraLayer>,
    /// How many groups of layers were dissolved in reading: their layers are all there, and opacity
    /// and visibility of the group are theirs now.
    pub dissolved_groups: usize,
    /// How many layers without pixels of their own (texts, filters) were left out in reading.
    pub left_out: usize,
}

/// Encodes a picture in layers, the lowest first, with what it looks like when merged.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when a picture does not fit its size, there are no layers or more
/// than 200, or the picture is larger than a document can be.
pub fn encode(picture: &OraPicture, merged: &Pixels) -> Result<Vec<u8>, EngineError> {
    check_size(picture.width_px, picture.height_px)
        .map_err(|reason| EngineError::invalid("picture", reason))?;
    if picture.layers.is_empty() || picture.layers.len() > MAX_LAYERS {
        let reason = format!("must be between 1 and {MAX_LAYERS}");
        return Err(EngineError::invalid("number of layers", reason));
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // PNG files are packed already, and the rest is small.
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut put = |name: &str, bytes: &[u8]| {
        let failed = |reason: String| {
            EngineError::invalid("picture", format!("cannot be encoded: {reason}"))
        };
        zip.start_file(name, stored).map_err(|error| failed(error.to_string()))?;
        zip.write_all(bytes).map_err(|error| failed(error.to_string()))
    };
    put("mimetype", MIMETYPE.as_bytes())?;
    put("stack.xml", stack(picture).as_bytes())?;
    for (at, layer) in picture.layers.iter().enumerate() {
        put(&source_name(at), &exports::encode(&layer.pixels, PictureFormat::Png)?)?;
    }
    put("mergedimage.png", &exports::encode(merged, PictureFormat::Png)?)?;
    let small = thumbnails::shrink(merged)?;
    put("Thumbnails/thumbnail.png", &exports::encode(&small, PictureFormat::Png)?)?;
    let done = zip.finish();
    done.map(Cursor::into_inner)
        .map_err(|error| EngineError::invalid("picture", format!("cannot be encoded: {error}")))
}

fn source_name(layer: usize) -> String {
    format!("data/layer{layer}.png")
}

/// Checks a size against what a document can be.
fn check_size(width_px: u32, height_px: u32) -> Result<(), String> {
    let is_side = |side: u32| (1..=MAX_SIDE_PX).contains(&side);
    let pixels = u64::from(width_px) * u64::from(height_px);
    if is_side(width_px) && is_side(height_px) && pixels <= MAX_PIXELS {
        Ok(())
    } else {
        Err(format!("is a picture of {width_px} × {height_px} pixels, which no document can be"))
    }
}

/// Writes `stack.xml`.
fn stack(picture: &OraPicture) -> String {
    let OraPicture { width_px, height_px, layers, .. } = picture;
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<image version=\"0.0.3\" w=\"{width_px}\" \
         h=\"{height_px}\">\n <stack>\n"
    );
    for (at, layer) in layers.iter().enumerate().rev() {
        // What is no number is taken for nothing said.
        let opacity = if layer.opacity.is_nan() { 1.0 } else { layer.opacity.clamp(0.0, 1.0) };
        let visibility = if layer.is_visible { "visible" } else { "hidden" };
        // Writing into a text cannot fail.
        let _ = writeln!(
            xml,
            "  <layer name=\"{}\" src=\"{}\" x=\"{}\" y=\"{}\" opacity=\"{opacity:.4}\" \
             visibility=\"{visibility}\" composite-op=\"{}\"/>",
            tags::escaped(&layer.name),
            source_name(at),
            layer.x,
            layer.y,
            tags::escaped(&layer.operator),
        );
    }
    xml.push_str(" </stack>\n</image>\n");
    xml
}
