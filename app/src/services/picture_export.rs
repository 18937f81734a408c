//! Saves the picture that is edited in the forms of other programs, and opens theirs.

use std::path::Path;

use atelier_engine::EngineError;
use atelier_engine::canvas::{Document, Layer, LayerKind};
use atelier_engine::pipelines::pictures;
use atelier_engine::protocol::{Pixels, Size};
use atelier_engine::store::exports::{PictureFormat, encode};
use atelier_engine::store::files::write_atomic;
use atelier_engine::store::open_raster::{self, OraLayer, OraPicture};

/// How files of OpenRaster end, which keep the layers.
pub(super) const OPEN_RASTER: &str = "ora";

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

/// Opens a picture file as a document; one of OpenRaster with its layers.
///
/// # Errors
/// Those of [`pictures::open`] and [`open_raster::read_file`], and [`EngineError::InvalidSetting`] for
/// what is larger than a document can be.
pub(super) fn read_picture(path: &Path) -> Result<Document, EngineError> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let ending = path.extension().unwrap_or_default();
    if !ending.eq_ignore_ascii_case(OPEN_RASTER) {
        return Document::of_picture(&pictures::open(path)?, name);
    }
    let read = open_raster::read_file(path)?;
    let mut document = Document::new(Size { width_px: read.width_px, height_px: read.height_px })?;
    for layer in read.layers {
        let id = document.place(&layer.pixels, [layer.x, layer.y], layer.name)?;
        if let Some(made) = document.layer_mut(id) {
            made.opacity = (layer.opacity.clamp(0.0, 1.0) * 255.0).round() as u8;
            made.is_visible = layer.is_visible;
            made.blend = open_raster::blend_of(&layer.operator).unwrap_or_default();
        }
    }
    Ok(document)
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use atelier_engine::canvas::{Area, Blend};

    use super::*;

    #[test]
    fn a_document_comes_back_from_open_raster_with_its_layers_and_looks_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let mut document = Document::new(Size { width_px: 90, height_px: 70 }).unwrap();
        for (name, blend, opacity) in [("a", Blend::Normal, 255), ("b", Blend::Multiply, 255)] {
            let id = document.add_layer(name, LayerKind::Raster).unwrap();
            let layer = document.layer_mut(id).unwrap();
            (layer.blend, layer.opacity) = (blend, opacity);
            let colour = [200, 120, opacity, 255];
            layer.pixels.fill(Area::new(5, 5, 60, 40), colour);
        }
        let file = folder.path().join("x.ora");
        write_picture(&document, &file).unwrap();
        let back = read_picture(&file).unwrap();
        assert_eq!(back.layers.len(), 2);
        assert_eq!(back.picture(), document.picture());
    }

    #[test]
    fn every_form_is_written_and_those_without_loss_are_read_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let rgba = (0..40 * 30 * 4).map(|at| if at % 4 == 3 { 255 } else { (at * 7 % 256) as u8 });
        let picture = Pixels::new(40, 30, rgba.collect()).unwrap();
        let document = Document::of_picture(&picture, "x").unwrap();
        for ending in ["png", "webp", "jpg", "tif", "unknown"] {
            let file = folder.path().join(format!("x.{ending}"));
            write_picture(&document, &file).unwrap();
            if matches!(ending, "png" | "webp" | "unknown") {
                assert_eq!(read_picture(&file).unwrap().picture(), picture, "{ending}");
            }
            assert!(std::fs::metadata(&file).unwrap().len() > 100);
        }
    }
}
