//! Layers over one another.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Area, Document, TILE_PX, TileAt, Tiles};
use crate::protocol::Pixels;

/// Says how a layer's colours meet those below it.
///
/// # Source
/// The separable blend modes of W3C “Compositing and Blending Level 1”.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blend {
    /// Covers them.
    #[default]
    Normal,
    /// Darkens: the product of both.
    Multiply,
    /// Lightens: the product of both distances from white.
    Screen,
}

impl Blend {
    /// Lists every mode, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Multiply, Self::Screen];

    /// Mixes one colour value over another, both 0 to 255.
    #[inline]
    fn mix(self, below: u32, above: u32) -> u32 {
        match self {
            Self::Normal => above,
            Self::Multiply => (below * above + 127) / 255,
            Self::Screen => 255 - ((255 - below) * (255 - above) + 127) / 255,
        }
    }
}

/// Lays pixels over others, both straight RGBA of the same length. A pixel whose alpha comes out as 0
/// changes nothing, bit for bit, and an opaque one in [`Blend::Normal`] replaces what is below.
pub fn lay_over(below: &mut [u8], above: &[u8], opacity: u8, blend: Blend) {
    for (below, above) in below.chunks_exact_mut(4).zip(above.chunks_exact(4)) {
        let alpha = (u32::from(above[3]) * u32::from(opacity) + 127) / 255;
        if alpha == 0 {
            continue;
        }
        let under = u32::from(below[3]);
        if under == 0 || (alpha == 255 && blend == Blend::Normal) {
            below[..3].copy_from_slice(&above[..3]);
            below[3] = alpha as u8;
            continue;
        }
        // In units of 1/255²: what the layer covers, and what is left of what is below.
        let (cover, left) = (alpha * 255, (255 - alpha) * under);
        let all = cover + left;
        for (below, above) in below[..3].iter_mut().zip(&above[..3]) {
            let (b, a) = (u32::from(*below), u32::from(*above));
            let mixed = ((255 - under) * a + under * blend.mix(b, a) + 127) / 255;
            *below = ((cover * mixed + left * b + all / 2) / all) as u8;
        }
        below[3] = ((all + 127) / 255) as u8;
    }
}

impl Document {
    /// Returns a tile of the picture that the visible layers make; `None` when nothing is there. A
    /// tile that one plain layer makes alone is shared with it.
    pub fn composite_tile(&self, at: TileAt) -> Option<Arc<[u8]>> {
        let mut made: Option<Arc<[u8]>> = None;
        for layer in self.layers.iter().filter(|layer| layer.shows()) {
            let Some(tile) = layer.pixels.tile(at) else {
                continue;
            };
            match &mut made {
                None if layer.opacity == 255 => made = Some(tile.clone()),
                below => {
                    let below = below.get_or_insert_with(|| vec![0; tile.len()].into());
                    lay_over(Arc::make_mut(below), tile, layer.opacity, layer.blend);
                }
            }
        }
        made
    }

    /// Returns a small picture whose longer side has at most `side_px` pixels; `None` for none.
    pub fn thumbnail(&self, side_px: u32) -> Option<Pixels> {
        let longer = self.size.width_px.max(self.size.height_px);
        let step = f64::from(longer.max(side_px)) / f64::from(side_px.max(1));
        let scaled = |px: u32| ((f64::from(px) / step).round() as u32).max(1);
        let (width_px, height_px) = (scaled(self.size.width_px), scaled(self.size.height_px));
        // Sums of colours by alpha, of alpha, and of pixels: a tile at a time, so that a large
        // document takes no more memory than a small one.
        let mut sums = vec![[0u32; 5]; width_px as usize * height_px as usize];
        for at in Tiles::<4>::touched(self.area()) {
            let area = Tiles::<4>::tile_area(at);
            let tile = self.composite_tile(at);
            let part = area.intersect(self.area());
            for y in part.y..part.bottom() {
                let row = (f64::from(y) / step) as usize;
                for x in part.x..part.right() {
                    let column = (f64::from(x) / step) as usize;
                    let place = row.min(height_px as usize - 1) * width_px as usize
                        + column.min(width_px as usize - 1);
                    let sum = &mut sums[place];
                    sum[4] += 1;
                    let start = ((y - area.y) * TILE_PX + x - area.x) as usize * 4;
                    if let Some([r, g, b, a]) =
                        tile.as_ref().and_then(|tile| tile.get(start..start + 4))
                    {
                        let alpha = u32::from(*a);
                        sum[0] += u32::from(*r) * alpha / 255;
                        sum[1] += u32::from(*g) * alpha / 255;
                        sum[2] += u32::from(*b) * alpha / 255;
                        sum[3] += alpha;
                    }
                }
            }
        }
        let pixel = |[r, g, b, alpha, count]: &[u32; 5]| {
            let colour = |sum: &u32| (sum * 255).checked_div(*alpha).unwrap_or(0).min(255) as u8;
            let alpha = alpha.checked_div(*count).unwrap_or(0) as u8;
            [colour(r), colour(g), colour(b), alpha]
        };
        Pixels::new(width_px, height_px, sums.iter().flat_map(pixel).collect())
    }

    /// Returns the picture that the visible layers make of an area, straight RGBA, rows from the
    /// top. The caller bounds the area.
    pub fn composite(&self, area: Area) -> Vec<u8> {
        let mut plane = Tiles::<4>::default();
        for at in Tiles::<4>::touched(area) {
            if let Some(tile) = self.composite_tile(at) {
                plane.set_tile(at, tile);
            }
        }
        plane.read(area)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(below: [u8; 4], above: [u8; 4], opacity: u8, blend: Blend) -> [u8; 4] {
        let mut pixel = below;
        lay_over(&mut pixel, &above, opacity, blend);
        pixel
    }

    /// The formula of the specification in f64.
    fn by_the_book(below: [u8; 4], above: [u8; 4], opacity: u8, blend: Blend) -> [f64; 4] {
        let one = |byte: u8| f64::from(byte) / 255.0;
        let alpha = (f64::from(u32::from(above[3]) * u32::from(opacity)) / 255.0).round() / 255.0;
        let under = one(below[3]);
        let all = alpha + under * (1.0 - alpha);
        let mut out = [0.0; 4];
        for channel in 0..3 {
            let (b, a) = (one(below[channel]), one(above[channel]));
            let blended = match blend {
                Blend::Normal => a,
                Blend::Multiply => a * b,
                Blend::Screen => a + b - a * b,
            };
            let mixed = (1.0 - under) * a + under * blended;
            let sum = alpha * mixed + (1.0 - alpha) * under * b;
            out[channel] = if all > 0.0 { sum / all * 255.0 } else { 0.0 };
        }
        out[3] = all * 255.0;
        out
    }

    #[test]
    fn every_mode_follows_the_specification_within_one_level() {
        let values = [0u8, 1, 63, 128, 200, 254, 255];
        for blend in Blend::ALL {
            for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (*a, *b))) {
                for (under, alpha) in [(255, 255), (255, 100), (90, 130), (3, 2), (0, 77)] {
                    let (below, above) = ([a, b, 7, under], [b, a, 250, alpha]);
                    for opacity in [255, 128] {
                        let expected = by_the_book(below, above, opacity, blend);
                        let found = over(below, above, opacity, blend);
                        // An alpha of 0 leaves the pixel, whose colour does not show then.
                        if expected[3] == 0.0 {
                            continue;
                        }
                        for channel in 0..4 {
                            let apart = (f64::from(found[channel]) - expected[channel]).abs();
                            assert!(apart <= 1.0, "{blend:?} {below:?} {above:?}: {found:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_clear_changes_no_bit_and_what_is_opaque_covers_exactly() {
        let below = [13, 57, 201, 93];
        assert_eq!(over(below, [255, 255, 255, 0], 255, Blend::Normal), below);
        assert_eq!(over(below, [255, 255, 255, 255], 0, Blend::Screen), below);
        assert_eq!(over(below, [1, 2, 3, 255], 255, Blend::Normal), [1, 2, 3, 255]);
    }
}
