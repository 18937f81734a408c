//! Saves the picture that is edited in the forms of other programs.

use std::path::Path;

use atelier_engine::EngineError;
use atelier_engine::canvas::{Document, Layer, LayerKind};
use atelier_engine::protocol::Pixels;
use atelier_engine::store::exports::{PictureFormat, encode};
use atelier_engine::store::files::write_atomic;
use atelier_engine::store::open_raster::{self, OraLayer, OraPicture};

/// How files of OpenRaster end, which keep the layers.
const OPEN_RASTER: &str = "ora";

/// Writes a document to a file, whole or not at all, in the form that its ending says; PNG where that
/// says nothing.
///
/// # Errors
/// [`EngineError::Io`] or [`EngineError::DiskFull`] when it cannot be written, and
/// [`EngineError::InvalidSetting`] for a form that cannot hold it.
pub(super) fn write_picture(document: &Document, to: &Path) -> Result<(), EngineError> {
    let ending = to.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let bytes = if ending == OPEN_RASTER {
        open_raster::encode(&layered(document), &document.picture())?
    } else {
        let format = PictureFormat::of_extension(&ending).unwrap_or(PictureFormat::Png);
        encode(&document.picture(), format)?
    };
    write_atomic(to, &bytes)
}

/// Returns a document's layers with pixels as OpenRaster has them; what is no part of the picture is
/// there, but hidden.
fn layered(document: &Document) -> OraPicture {
    let layer = |layer: &Layer| {
        let area = layer.pixels.bounds()?.intersect(document.area());
        let pixels = Pixels::new(area.width_px, area.height_px, layer.pixels.read(area))?;
        Some(OraLayer {
            name: layer.name.clone(),
            pixels,
            x: area.x,
            y: area.y,
            opacity: f32::from(layer.opacity) / 255.0,
            is_visible: layer.is_visible && layer.kind == LayerKind::Raster,
            operator: open_raster::operator_of(layer.blend).to_owned(),
        })
    };
    OraPicture {
        width_px: document.size.width_px,
        height_px: document.size.height_px,
        layers: document.layers.iter().filter_map(layer).collect(),
        dissolved_groups: 0,
        left_out: 0,
    }
}
