//! Cuts what a model is shown out of a document, and lays what it painted over the document.

use super::continued::continued;
use super::region::RegionPlan;
use super::taps::{Taps, add, along, taps};
use super::{Area, Blend, Tiles, harmony, lay_over};
use crate::error::EngineError;
use crate::protocol::{Pixels, RegionMode};

/// How many rows of a document are read at once.
const STRIP: u32 = 32;
/// What is shown where nothing at all is known.
const GREY: f32 = 128.0;

/// Holds what a model is shown, at the size that it paints.
#[derive(Debug, Clone, PartialEq)]
pub struct Cropped {
    /// The picture, without transparency.
    pub picture: Pixels,
    /// How far each of its pixels may change, 0 to 255, rows from the top.
    pub mask: Vec<u8>,
}

/// Holds pixels to be laid over a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// Where they lie.
    pub area: Area,
    /// The pixels; their alpha is 0 where nothing changes.
    pub pixels: Pixels,
}

impl Patch {
    /// Lays the pixels over a document. Those whose alpha is 0 leave its bits as they are.
    pub fn apply(&self, document: &mut Tiles<4>) {
        let width = self.area.width_px as usize;
        document.change(self.area, |[x, y], row| {
            let start = (y - self.area.y) as usize * width + (x - self.area.x) as usize;
            let over = self.pixels.rgba.get(start * 4..).unwrap_or_default();
            lay_over(row, over, 255, Blend::Normal);
        });
    }
}

/// Holds a part of a document at the size that a model paints.
struct Look {
    /// Colours, 0 to 255; made up where nothing is known.
    colours: Vec<[f32; 3]>,
    /// How far each pixel may change, 0 to 255.
    mask: Vec<f32>,
    /// How much is known of each pixel, 0 to 1.
    known: Vec<f32>,
}

impl RegionPlan {
    /// Cuts out what the model is shown. What is beyond the document or transparent is continued from
    /// what is there where it is to be painted, and white elsewhere.
    pub fn crop(&self, document: &Tiles<4>) -> Cropped {
        let look = self.look(document);
        let colours = match self.mode {
            RegionMode::Fill => {
                let weights: Vec<f32> = look
                    .mask
                    .iter()
                    .zip(&look.known)
                    .map(|(mask, known)| known * free(*mask))
                    .collect();
                filled(self.size.width_px as usize, look.colours, &weights)
            }
            _ => look.colours,
        };
        let rgba =
            colours.iter().flat_map(|[r, g, b]| [byte(*r), byte(*g), byte(*b), 255]).collect();
        let picture = Pixels { width_px: self.size.width_px, height_px: self.size.height_px, rgba };
        // Whatever may change at all is open to the model, rounded away as little as can be.
        let mask = look.mask.iter().map(|mask| mask.ceil().clamp(0.0, 255.0) as u8).collect();
        Cropped { picture, mask }
    }

    /// Returns, at the size that the model paints, what of another picture of the document's size lies
    /// where the model is shown the document. What is transparent is white.
    pub fn beside(&self, picture: &Tiles<4>) -> Pixels {
        let mut opaque = picture.clone();
        opaque.change(self.document, |_, row| {
            for pixel in row.chunks_exact_mut(4) {
                let alpha = u32::from(pixel[3]);
                for value in &mut pixel[..3] {
                    let mixed = u32::from(*value) * alpha + 255 * (255 - alpha);
                    *value = ((mixed + 127) / 255) as u8;
                }
                pixel[3] = 255;
            }
        });
        let colours = self.look(&opaque).colours;
        let rgba =
            colours.iter().flat_map(|[r, g, b]| [byte(*r), byte(*g), byte(*b), 255]).collect();
        Pixels { width_px: self.size.width_px, height_px: self.size.height_px, rgba }
    }

    /// Makes of what a model painted the layer that is laid over the document: scaled back, its colours
    /// brought to those around it, with the mask as its alpha. Where the document is transparent and may
    /// change it becomes opaque.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the picture is not of the planned size.
    pub fn stitch(&self, document: &Tiles<4>, painted: &Pixels) -> Result<Patch, EngineError> {
        let size = self.size;
        if [painted.width_px, painted.height_px] != [size.width_px, size.height_px]
            || painted.rgba.len() as u64 != u64::from(size.width_px) * u64::from(size.height_px) * 4
        {
            let reason = format!(
                "must be as planned, {} × {}, not {} × {}",
                size.width_px, size.height_px, painted.width_px, painted.height_px
            );
            return Err(EngineError::invalid("size of what was painted", reason));
        }
        let look = self.look(document);
        let made: Vec<[f32; 3]> =
            painted.rgba.chunks_exact(4).map(|p| [p[0], p[1], p[2]].map(f32::from)).collect();
        let matched =
            harmony::matched(size.width_px as usize, &made, &look.colours, &look.mask, &look.known);
        let area = self.bounds;
        let columns = self.taps_back(0);
        let mut rgba = Vec::with_capacity(area.pixels() as usize * 4);
        let width = size.width_px as usize;
        let pairs: Vec<[f32; 6]> = matched
            .iter()
            .zip(&look.colours)
            .map(|([r, g, b], [u, v, w])| [*r, *g, *b, *u, *v, *w])
            .collect();
        let mut small = vec![[0.0; 6]; width];
        let mut row = vec![[0.0; 6]; area.width_px as usize];
        for (y, down) in (area.y..area.bottom()).zip(self.taps_back(1)) {
            small.fill([0.0; 6]);
            for (weight, at) in down.weights.iter().zip(down.first..) {
                add(&mut small, &pairs[at * width..][..width], *weight);
            }
            along(&small, &columns, &mut row);
            let line = Area::new(area.x, y, area.width_px, 1);
            let (mask, below) = (self.mask.read(line), document.read(line));
            for ((colours, mask), below) in row.iter().zip(mask).zip(below.chunks_exact(4)) {
                rgba.extend(over(colours, mask, below[3]));
            }
        }
        let pixels = Pixels { width_px: area.width_px, height_px: area.height_px, rgba };
        Ok(Patch { area, pixels })
    }

    /// Returns of what the columns (0) or rows (1) of what may change are made.
    fn taps_back(&self, axis: usize) -> Vec<Taps> {
        let (size, from, length, context, count) = match axis {
            0 => (
                self.size.width_px,
                self.bounds.x - self.context.x,
                self.bounds.width_px,
                self.context.width_px,
                self.bounds.width_px,
            ),
            _ => (
                self.size.height_px,
                self.bounds.y - self.context.y,
                self.bounds.height_px,
                self.context.height_px,
                self.bounds.height_px,
            ),
        };
        let scale = f64::from(size) / f64::from(context.max(1));
        taps(size as usize, f64::from(from) * scale, f64::from(length) * scale, count as usize)
    }

    /// Reads the document as the model will see it.
    fn look(&self, document: &Tiles<4>) -> Look {
        let (w, h) = (self.size.width_px as usize, self.size.height_px as usize);
        let context = self.context;
        let across = taps(context.width_px as usize, 0.0, f64::from(context.width_px), w);
        let down = taps(context.height_px as usize, 0.0, f64::from(context.height_px), h);
        let mut sums = vec![[0.0f32; 5]; w * h];
        let mut small = vec![[0.0; 5]; w];
        let mut top = context.y;
        while top < context.bottom() {
            let height = STRIP.min((context.bottom() - top) as u32);
            for (y, row) in (top..)
                .zip(self.strip(document, Area::new(context.x, top, context.width_px, height)))
            {
                along(&row, &across, &mut small);
                let at = (y - context.y) as usize;
                for (to, taps) in sums.chunks_exact_mut(w).zip(&down) {
                    if let Some(weight) =
                        at.checked_sub(taps.first).and_then(|tap| taps.weights.get(tap))
                    {
                        add(to, &small, *weight);
                    }
                }
            }
            top += height as i32;
        }
        let known: Vec<f32> = sums.iter().map(|sum| sum[3].clamp(0.0, 1.0)).collect();
        let mask = sums.iter().map(|sum| sum[4].clamp(0.0, 255.0)).collect();
        let colours = sums
            .iter()
            .zip(&known)
            .map(|(sum, known)| {
                let share = if *known > 0.01 { 1.0 / sum[3] } else { 0.0 };
                [sum[0], sum[1], sum[2]].map(|value| (value * share).clamp(0.0, 255.0))
            })
            .collect();
        let weights: Vec<f32> =
            known.iter().map(|known| if *known > 0.5 { 1.0 } else { 0.0 }).collect();
        Look { colours: filled(w, colours, &weights), mask, known: weights }
    }

    /// Reads rows: colours times what is known of them, that, and how far they may change.
    fn strip(&self, document: &Tiles<4>, area: Area) -> Vec<Vec<[f32; 5]>> {
        let (pixels, masks) = (document.read(area), self.mask.read(area));
        let width = area.width_px as usize;
        let mut rows = Vec::with_capacity(area.height_px as usize);
        for (y, (pixels, masks)) in
            (area.y..).zip(pixels.chunks_exact(width * 4).zip(masks.chunks_exact(width)))
        {
            let row =
                (area.x..).zip(pixels.chunks_exact(4).zip(masks)).map(|(x, (pixel, mask))| {
                    let colours = [pixel[0], pixel[1], pixel[2]].map(f32::from);
                    let alpha = f32::from(pixel[3]) / 255.0;
                    let mut known = alpha;
                    let mut seen = colours.map(|colour| colour * alpha);
                    if *mask == 0 && alpha < 1.0 && self.document.contains([x, y]) {
                        // Paper shows through what is not to be painted.
                        seen = seen.map(|colour| colour + 255.0 * (1.0 - alpha));
                        known = 1.0;
                    }
                    [seen[0], seen[1], seen[2], known, f32::from(*mask)]
                });
            rows.push(row.collect());
        }
        rows
    }
}

/// Returns how much a pixel counts as one that stays.
fn free(mask: f32) -> f32 {
    if mask < 1.0 { 1.0 } else { 0.0 }
}

/// Makes up what is not known; grey where nothing is.
fn filled(width: usize, colours: Vec<[f32; 3]>, weights: &[f32]) -> Vec<[f32; 3]> {
    if weights.iter().all(|weight| *weight >= 1.0) {
        return colours;
    }
    if weights.iter().all(|weight| *weight <= 0.0) {
        return vec![[GREY; 3]; colours.len()];
    }
    continued(width, &colours, weights)
}

/// Makes a pixel of a layer of the painted and the former colours, the mask and the alpha below.
fn over(colours: &[f32; 6], mask: u8, below: u8) -> [u8; 4] {
    let [r, g, b, u, v, w] = *colours;
    match (mask, below) {
        (0, _) => [0; 4],
        (_, 255) => [byte(r), byte(g), byte(b), mask],
        _ => {
            let share = f32::from(mask) / 255.0;
            let mix = |new: f32, old: f32| byte(old + share * (new - old));
            [mix(r, u), mix(g, v), mix(b, w), 255]
        }
    }
}

fn byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}
