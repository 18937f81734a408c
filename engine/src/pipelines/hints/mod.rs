//! What is drawn from a picture for a ControlNet: the preprocessors that need no weights.

mod canny;
mod plane;

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Rgba};

use crate::protocol::{HintKind, Pixels};
use plane::Plane;

/// The gradients between which an edge goes on but does not begin, for 8-bit pictures.
///
/// # Source
/// The usual thresholds of ControlNet's examples and of AUTOMATIC1111's extension.
const CANNY: [f32; 2] = [100.0, 200.0];
/// How far the outlines of a scribble are blurred, in pixels for a picture of 512.
const SCRIBBLE_BLUR: f32 = 2.0;
/// How much darker or brighter a point is than around it to be part of an outline.
const SCRIBBLE_CONTRAST: f32 = 12.0;
/// How much smaller the blurred copy for a tile ControlNet is made on its way.
const TILE_SHRINK: u32 = 4;

/// Draws a hint of a picture, of the same size.
pub fn draw(kind: HintKind, picture: &Pixels) -> Pixels {
    match kind {
        HintKind::None => picture.clone(),
        HintKind::Canny => white_on_black(picture, canny::edges(picture, CANNY)),
        HintKind::Scribble => white_on_black(picture, scribble(picture)),
        HintKind::Tile => tile(picture),
        HintKind::Invert => invert(picture),
    }
}

/// Scales a picture until it covers `width` × `height` pixels and cuts what hangs over, the same on
/// both sides. A picture of that size stays as it is, bit for bit.
pub fn fit(picture: &Pixels, width: u32, height: u32) -> Pixels {
    if (picture.width_px, picture.height_px) == (width, height) {
        return picture.clone();
    }
    let Some(whole) = buffer(picture) else { return picture.clone() };
    let [w, h] = [picture.width_px, picture.height_px].map(f64::from);
    let scale = (f64::from(width) / w).max(f64::from(height) / h);
    // Cut first: what hangs over need not be scaled.
    let [cut_w, cut_h] = [f64::from(width) / scale, f64::from(height) / scale];
    let cut_w = (cut_w.round() as u32).clamp(1, picture.width_px);
    let cut_h = (cut_h.round() as u32).clamp(1, picture.height_px);
    let (x, y) = ((picture.width_px - cut_w) / 2, (picture.height_px - cut_h) / 2);
    let cut = imageops::crop_imm(&whole, x, y, cut_w, cut_h).to_image();
    let scaled = imageops::resize(&cut, width, height, FilterType::Lanczos3);
    Pixels::new(width, height, scaled.into_raw()).unwrap_or_else(|| picture.clone())
}

/// Scales a picture to `width` × `height` pixels, whatever its shape.
pub(crate) fn scaled(picture: &Pixels, width: u32, height: u32) -> Pixels {
    let Some(whole) = buffer(picture) else { return picture.clone() };
    let scaled = imageops::resize(&whole, width, height, FilterType::Triangle);
    Pixels::new(width, height, scaled.into_raw()).unwrap_or_else(|| picture.clone())
}

fn buffer(picture: &Pixels) -> Option<ImageBuffer<Rgba<u8>, Vec<u8>>> {
    ImageBuffer::from_raw(picture.width_px, picture.height_px, picture.rgba.to_vec())
}

fn white_on_black(picture: &Pixels, lines: Vec<bool>) -> Pixels {
    let mut out = picture.clone();
    for (pixel, is_line) in out.rgba.chunks_exact_mut(4).zip(lines) {
        pixel.copy_from_slice(if is_line { &[255; 4] } else { &[0, 0, 0, 255] });
    }
    out
}

/// Finds outlines: points that are darker than a wider neighbourhood, as ink is; or brighter, where
/// most of the picture is dark.
fn scribble(picture: &Pixels) -> Vec<bool> {
    let plane = Plane::grey(picture);
    let scale = (plane.width.min(plane.height) as f32 / 512.0).max(0.5);
    let (near, far) = (plane.blurred(scale), plane.blurred(scale * 4.0 * SCRIBBLE_BLUR));
    let mean = plane.values.iter().sum::<f32>() / plane.values.len().max(1) as f32;
    let side = if mean < 96.0 { -1.0 } else { 1.0 };
    let pairs = near.values.iter().zip(&far.values);
    let lines: Vec<f32> = pairs.map(|(near, far)| side * (far - near)).collect();
    lines.into_iter().map(|contrast| contrast > SCRIBBLE_CONTRAST).collect()
}

/// Makes a picture smaller and large again.
fn tile(picture: &Pixels) -> Pixels {
    let (width, height) = (picture.width_px, picture.height_px);
    let Some(whole) = buffer(picture) else { return picture.clone() };
    let [small_w, small_h] = [width, height].map(|side| side.div_ceil(TILE_SHRINK));
    let small = imageops::resize(&whole, small_w, small_h, FilterType::Triangle);
    let large = imageops::resize(&small, width, height, FilterType::CatmullRom);
    Pixels::new(width, height, large.into_raw()).unwrap_or_else(|| picture.clone())
}

fn invert(picture: &Pixels) -> Pixels {
    let mut out = picture.clone();
    for pixel in out.rgba.chunks_exact_mut(4) {
        pixel[..3].iter_mut().for_each(|value| *value = 255 - *value);
    }
    out
}

#[cfg(test)]
mod tests;
