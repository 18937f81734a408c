//! Laying one colour on pixels: what the brush, shapes, the bucket and gradients share.

use std::sync::Arc;

use super::{Area, TILE_PX, Tiles};

/// Divides by 255 and rounds to the nearest; exact for products of two bytes.
pub(super) fn by_255(value: u32) -> u32 {
    let value = value + 128;
    (value + (value >> 8)) >> 8
}

/// Returns a share from 0 to 1 as a byte; what is no number counts as 0.
pub(super) fn byte_of(share: f32) -> u8 {
    // `as` saturates and makes 0 of what is no number.
    (share * 255.0 + 0.5) as u8
}

/// Returns the bytes of a piece of a row within one tile; `None` when the tile is all 0.
pub(super) fn piece<const N: usize>(
    tile: Option<&Arc<[u8]>>,
    [x, y]: [i32; 2],
    pixels: usize,
) -> Option<&[u8]> {
    let [left, top] = [x, y].map(|side| side.rem_euclid(TILE_PX) as usize);
    let start = (top * TILE_PX as usize + left) * N;
    tile.and_then(|tile| tile.get(start..start + pixels * N))
}

/// Says what is laid on pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Lays a colour over what is there.
    Colour([u8; 3]),
    /// Takes alpha away.
    Nothing,
}

impl Ink {
    /// Lays it on a pixel (straight alpha) as strongly as `alpha` says. With an alpha of 0 the pixel
    /// keeps its bits.
    fn lay(self, pixel: &mut [u8; 4], alpha: u8) {
        let (alpha, below) = (u32::from(alpha), u32::from(pixel[3]));
        if alpha == 0 {
            return;
        }
        match self {
            Self::Colour([red, green, blue]) if alpha == 255 => *pixel = [red, green, blue, 255],
            Self::Colour(colour) if below == 255 => {
                for (at, new) in pixel.iter_mut().zip(colour) {
                    *at = by_255(u32::from(new) * alpha + u32::from(*at) * (255 - alpha)) as u8;
                }
            }
            Self::Colour(colour) => {
                let (new_share, old_share) = (alpha * 255, below * (255 - alpha));
                let whole = new_share + old_share;
                for (at, new) in pixel.iter_mut().zip(colour) {
                    let sum = u32::from(new) * new_share + u32::from(*at) * old_share;
                    *at = ((sum + whole / 2) / whole) as u8;
                }
                pixel[3] = by_255(whole) as u8;
            }
            Self::Nothing => {
                pixel[3] = by_255(below * (255 - alpha)) as u8;
                // The colour of what cannot be seen would only keep tiles in memory.
                if pixel[3] == 0 {
                    *pixel = [0; 4];
                }
            }
        }
    }

    /// Lays it on a row of pixels by their coverage, what the selection leaves of it (all where there
    /// is none) and an opacity from 0 to 255.
    pub(super) fn lay_row(
        self,
        row: &mut [u8],
        coverage: &[u8],
        selection: Option<&[u8]>,
        opacity: u8,
    ) {
        let opacity = u32::from(opacity);
        let (pixels, _) = row.as_chunks_mut::<4>();
        let Some(selection) = selection else {
            for (pixel, covered) in pixels.iter_mut().zip(coverage) {
                self.lay(pixel, by_255(u32::from(*covered) * opacity) as u8);
            }
            return;
        };
        for ((pixel, covered), selected) in pixels.iter_mut().zip(coverage).zip(selection) {
            let covered = by_255(u32::from(*covered) * u32::from(*selected));
            self.lay(pixel, by_255(covered * opacity) as u8);
        }
    }
}

/// Lays ink on a layer wherever `coverage` is, within the selection if there is one.
///
/// Returns the area that may have changed.
pub(super) fn lay_coverage(
    layer: &mut Tiles<4>,
    coverage: &Tiles<1>,
    ink: Ink,
    opacity: u8,
    selection: Option<&Tiles<1>>,
) -> Area {
    let mut dirty = Area::default();
    for (at, tile) in coverage.iter() {
        let selected = selection.map(|selection| selection.tile(at));
        if opacity == 0 || matches!(selected, Some(None)) {
            continue;
        }
        let area = Tiles::<4>::tile_area(at);
        layer.change(area, |from, row| {
            let pixels = row.len() / 4;
            if let Some(covered) = piece::<1>(Some(tile), from, pixels) {
                let selected = selected.and_then(|tile| piece::<1>(tile, from, pixels));
                ink.lay_row(row, covered, selected, opacity);
            }
        });
        dirty = dirty.union(area);
    }
    dirty
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dividing_by_255_is_exact_for_all_products_of_bytes() {
        for value in 0..=255 * 255 {
            assert_eq!(by_255(value), (value * 2 + 255) / 510, "{value}");
        }
    }

    #[test]
    fn ink_covers_mixes_and_erases() {
        let laid = |ink: Ink, mut pixel: [u8; 4], alpha| {
            ink.lay(&mut pixel, alpha);
            pixel
        };
        let red = Ink::Colour([255, 0, 0]);
        assert_eq!(laid(red, [1, 2, 3, 4], 0), [1, 2, 3, 4]);
        assert_eq!(laid(red, [9, 9, 9, 0], 100), [255, 0, 0, 100]);
        assert_eq!(laid(red, [0, 0, 255, 255], 128), [128, 0, 127, 255]);
        assert_eq!(laid(red, [0, 0, 255, 128], 255), [255, 0, 0, 255]);
        assert_eq!(laid(Ink::Nothing, [7, 8, 9, 200], 128), [7, 8, 9, 100]);
        assert_eq!(laid(Ink::Nothing, [7, 8, 9, 200], 255), [0; 4]);
    }

    #[test]
    fn what_is_no_number_is_no_share() {
        assert_eq!([f32::NAN, -1.0, 0.5, 1.0, 1e9].map(byte_of), [0, 0, 128, 255, 255]);
    }
}
