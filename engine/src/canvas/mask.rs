//! Selections → how far each pixel may change.

use super::{Area, Tiles, distance::distances};

/// What counts as selected when a selection grows.
const SELECTED: u8 = 128;

/// Returns over how many pixels the result usually fades in within a selection of these bounds: an
/// eighth of its mean side, but at least 16, and at most a quarter, so that half of it is all new.
///
/// Measured on fifty edits by the house model (`tests/tests/edit_seams.rs`): over 8 pixels the seams
/// were a quarter stronger than what the pictures had there, over these they are weaker.
pub fn usual_feather(bounds: Area) -> u32 {
    let mean = bounds.width_px / 2 + bounds.height_px / 2;
    (mean / 8).max(16).min(mean / 4).clamp(1, 96)
}

/// Lets a selection grow by `grow_px` and fade in over `feather_px` from its edge inwards, within the
/// document; at the document's own edges nothing fades. Pixels outside of the grown selection stay 0.
pub fn prepare(selection: &Tiles<1>, document: Area, grow_px: u32, feather_px: u32) -> Tiles<1> {
    let Some(bounds) = selection.bounds() else { return Tiles::default() };
    let margin = i32::try_from(grow_px).unwrap_or(i32::MAX).saturating_add(1);
    let work = bounds.grown(margin).intersect(document);
    if work.is_empty() {
        return Tiles::default();
    }
    let mut values = selection.read(work);
    let width = work.width_px as usize;
    if grow_px > 0 {
        let selected: Vec<bool> = values.iter().map(|value| *value >= SELECTED).collect();
        for (value, away) in values.iter_mut().zip(distances(width, &selected)) {
            let grown = (grow_px as f32 + 1.0 - away).clamp(0.0, 1.0);
            *value = (*value).max((grown * 255.0).round() as u8);
        }
    }
    if feather_px > 0 {
        let outside: Vec<bool> = values.iter().map(|value| *value == 0).collect();
        for (value, depth) in values.iter_mut().zip(distances(width, &outside)) {
            let share = smooth(depth / (feather_px as f32 + 1.0));
            *value = (f32::from(*value) * share).round() as u8;
        }
    }
    Tiles::from_bytes(work, &values)
}

/// Goes from 0 to 1 with level ends.
fn smooth(share: f32) -> f32 {
    let share = share.clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(area: Area) -> Tiles<1> {
        let mut tiles = Tiles::default();
        tiles.fill(area, [255]);
        tiles
    }

    #[test]
    fn half_of_a_small_selection_is_new_and_large_ones_fade_wider() {
        let of = |side| usual_feather(Area::new(5, 5, side, side));
        assert_eq!([of(1), of(8), of(56), of(110), of(256), of(4096)], [1, 2, 14, 16, 32, 96]);
    }

    #[test]
    fn a_mask_fades_inwards_from_the_grown_edge_and_is_nothing_beyond() {
        let document = Area::new(0, 0, 200, 200);
        let mask = prepare(&selected(Area::new(50, 60, 80, 70)), document, 8, 8);
        assert_eq!(mask.bounds(), Some(Area::new(42, 52, 96, 86)));
        assert_eq!(mask.get([90, 90]), [255]);
        // Where the selection begins all may change.
        assert_eq!((mask.get([41, 90]), mask.get([50, 90])), ([0], [255]));
        let row: Vec<u8> = (41..51).map(|x| mask.get([x, 90])[0]).collect();
        assert!(row.windows(2).all(|pair| pair[0] < pair[1]), "{row:?}");
    }

    #[test]
    fn a_mask_that_does_not_grow_stays_within_the_selection_and_full_at_the_documents_edge() {
        let document = Area::new(-20, 0, 100, 100);
        let mask = prepare(&selected(Area::new(-20, 0, 20, 100)), document, 0, 4);
        assert_eq!(mask.bounds(), Some(Area::new(-20, 0, 20, 100)));
        assert_eq!(
            (mask.get([-20, 0]), mask.get([-10, 50]), mask.get([0, 50])),
            ([255], [255], [0])
        );
        assert!(prepare(&Tiles::default(), document, 3, 3).is_empty());
        assert!(prepare(&selected(Area::new(500, 0, 9, 9)), document, 3, 3).is_empty());
    }
}
