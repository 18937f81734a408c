//! The bucket and the gradient.

use serde::{Deserialize, Serialize};

use super::ink::{Ink, by_255, byte_of, lay_coverage, piece};
use super::limits::workable;
use super::select::region;
use super::{Area, ColourMatch, Tiles};

/// Says what the bucket pours, and where.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Red, green, blue and alpha; the alpha lowers the opacity.
    pub colour: [u8; 4],
    /// How strongly it covers, 0 to 1.
    pub opacity: f32,
    /// Which pixels are like the one pointed at.
    pub matching: ColourMatch,
}

/// Pours a colour on the pixels that are like the one at `seed`, within `bounds` and the selection if
/// there is one; a region that hangs together does not go on where nothing is selected.
///
/// What is alike is looked for in `reference`: the layer itself, or the whole picture as it is seen.
/// Returns the area that may have changed.
pub fn pour(
    layer: &mut Tiles<4>,
    reference: &Tiles<4>,
    seed: [i32; 2],
    bucket: Bucket,
    selection: Option<&Tiles<1>>,
    bounds: Area,
) -> Area {
    let coverage = region(reference, seed, bucket.matching, selection, bounds);
    let [red, green, blue, alpha] = bucket.colour;
    let opacity = by_255(u32::from(byte_of(bucket.opacity)) * u32::from(alpha)) as u8;
    let dirty = lay_coverage(layer, &coverage, Ink::Colour([red, green, blue]), opacity, selection);
    dirty.intersect(bounds)
}

/// Says how a gradient runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GradientShape {
    /// Runs from one place straight to another.
    #[default]
    Linear,
    /// Runs from one place outwards to a circle through the other.
    Radial,
}

/// Describes a gradient between two colours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gradient {
    /// How it runs.
    pub shape: GradientShape,
    /// Where the first colour ends, in pixels of the document.
    pub from: [f32; 2],
    /// Where the second colour begins.
    pub to: [f32; 2],
    /// The first colour and the second: red, green, blue and alpha. A colour without alpha fades to
    /// nothing.
    pub colours: [[u8; 4]; 2],
    /// How strongly it covers, 0 to 1.
    pub opacity: f32,
}

impl Gradient {
    /// Returns how far a pixel is along the gradient, 0 to 1.
    fn share(&self, [x, y]: [i32; 2]) -> f64 {
        let point = [f64::from(x) + 0.5, f64::from(y) + 0.5];
        let [from, to] = [self.from, self.to].map(|point| point.map(f64::from));
        let along = [0, 1].map(|axis| to[axis] - from[axis]);
        let way = [0, 1].map(|axis| point[axis] - from[axis]);
        let square = along[0] * along[0] + along[1] * along[1];
        let share = match self.shape {
            GradientShape::Linear => (way[0] * along[0] + way[1] * along[1]) / square,
            GradientShape::Radial => ((way[0] * way[0] + way[1] * way[1]) / square).sqrt(),
        };
        // Between two equal places everything is beyond.
        if square > 0.0 && !share.is_nan() { share.clamp(0.0, 1.0) } else { 1.0 }
    }

    /// Returns the colour at a share of the way; colours mix as they are seen, so one without alpha
    /// does not tint the other.
    fn colour(&self, share: f64) -> [u8; 4] {
        let [from, to] = self.colours.map(|colour| colour.map(f64::from));
        let weights = [from[3] * (1.0 - share), to[3] * share];
        let alpha = weights[0] + weights[1];
        let mixed = |at: usize| {
            let sum = from[at] * weights[0] + to[at] * weights[1];
            if alpha > 0.0 { (sum / alpha).round() as u8 } else { 0 }
        };
        [mixed(0), mixed(1), mixed(2), alpha.round() as u8]
    }
}

/// Lays a gradient on a layer, within `bounds` and the selection if there is one. Returns the area
/// that may have changed.
pub fn paint_gradient(
    layer: &mut Tiles<4>,
    gradient: &Gradient,
    selection: Option<&Tiles<1>>,
    bounds: Area,
) -> Area {
    let bounds = workable(bounds);
    let opacity = u32::from(byte_of(gradient.opacity));
    let mut dirty = Area::default();
    for at in Tiles::<4>::touched(bounds) {
        let selected = selection.map(|selection| selection.tile(at));
        if opacity == 0 || matches!(selected, Some(None)) {
            continue;
        }
        let part = Tiles::<4>::tile_area(at).intersect(bounds);
        layer.change(part, |[x, y], row| {
            let selected = selected.and_then(|tile| piece::<1>(tile, [x, y], row.len() / 4));
            for (column, pixel) in row.chunks_exact_mut(4).enumerate() {
                let share = gradient.share([x + column as i32, y]);
                let [red, green, blue, alpha] = gradient.colour(share);
                let alpha = by_255(u32::from(alpha) * opacity) as u8;
                let selected = selected.map(|row| &row[column..=column]);
                Ink::Colour([red, green, blue]).lay_row(pixel, &[255], selected, alpha);
            }
        });
        dirty = dirty.union(part);
    }
    dirty
}

#[cfg(test)]
#[path = "fill_tests.rs"]
mod tests;
