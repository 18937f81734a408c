//! A layer that is being moved, scaled and turned by a box around it.

use std::sync::Arc;

use atelier_engine::canvas::{Area, Document, Grip, LayerId, Reshape, Tiles};
use atelier_engine::protocol::Pixels;

/// The longest side of the picture that shows the layer meanwhile, in pixels.
const SIGHT_PX: u32 = 768;

/// Holds a layer that is being reshaped; it becomes an edit when it is applied.
#[derive(Debug, Clone)]
pub struct Reshaping {
    /// The layer.
    pub layer: LayerId,
    /// The document before, in which the layer is where it was.
    pub before: Document,
    /// Where it is to go.
    pub shape: Reshape,
    /// What of the box the pointer holds: the grip, where it was taken, and the box then.
    pub hold: Option<(Grip, [f32; 2], Reshape)>,
    /// The layer as it is shown meanwhile.
    pub sight: Arc<Pixels>,
}

impl Reshaping {
    /// Begins with the active layer of a document; `None` where there is none, or nothing on it.
    pub fn begin(document: &Document) -> Option<Self> {
        let layer = document.active_layer().filter(|layer| layer.is_visible)?;
        let bounds = layer.pixels.bounds()?;
        let sight = Arc::new(sight_of(&layer.pixels, bounds)?);
        let (id, shape, before) = (layer.id, Reshape::of(bounds), document.clone());
        Some(Self { layer: id, before, shape, hold: None, sight })
    }
}

/// Makes a small picture of a plane: each pixel is the one that lies there, for it is only looked at
/// for a moment.
fn sight_of(pixels: &Tiles<4>, bounds: Area) -> Option<Pixels> {
    let longest = bounds.width_px.max(bounds.height_px).max(1);
    let side = |side: u32| match longest <= SIGHT_PX {
        true => side,
        false => (u64::from(side) * u64::from(SIGHT_PX) / u64::from(longest)).max(1) as u32,
    };
    let (width, height) = (side(bounds.width_px), side(bounds.height_px));
    let mut rgba = Vec::with_capacity(width as usize * height as usize * 4);
    let there = |at: u32, small: u32, large: u32| {
        ((2 * u64::from(at) + 1) * u64::from(large) / (2 * u64::from(small))) as u32
    };
    for row in 0..height {
        let y = bounds.y.saturating_add_unsigned(there(row, height, bounds.height_px));
        let line = pixels.read(Area::new(bounds.x, y, bounds.width_px, 1));
        for column in 0..width {
            let at = there(column, width, bounds.width_px) as usize * 4;
            rgba.extend(line.get(at..at + 4)?);
        }
    }
    Pixels::new(width, height, rgba)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_layer_is_seen_as_a_small_picture_of_it() {
        let mut pixels = Tiles::<4>::default();
        pixels.fill(Area::new(-500, 10, 2000, 1000), [1, 2, 3, 255]);
        pixels.fill(Area::new(500, 10, 1000, 1000), [9, 8, 7, 255]);
        let bounds = pixels.bounds().unwrap_or_default();
        let sight = sight_of(&pixels, bounds).expect("a picture");
        assert_eq!((sight.width_px, sight.height_px), (768, 384));
        let (left, right) = (sight.rgba[..4].to_vec(), sight.rgba[767 * 4..768 * 4].to_vec());
        assert_eq!((left, right), (vec![1, 2, 3, 255], vec![9, 8, 7, 255]));
    }
}
