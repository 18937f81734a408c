//! How large an area the tools work on: what keeps hostile numbers from taking memory and time.

use super::Area;

/// The farthest that a tool reaches from the document's corner, in pixels to every side.
const REACH_PX: i32 = 1 << 16;

/// The most pixels that a tool holds flat at once.
const MAX_PIXELS: u64 = 1 << 28;

/// Cuts an area to what a tool works on: at most 65,536 pixels from the document's corner and at
/// most 268 million pixels in all, of which the upper rows stay.
pub(super) fn workable(area: Area) -> Area {
    let reach = Area::new(-REACH_PX, -REACH_PX, 2 * REACH_PX as u32, 2 * REACH_PX as u32);
    let area = area.intersect(reach);
    let rows = MAX_PIXELS / u64::from(area.width_px.max(1));
    Area { height_px: area.height_px.min(u32::try_from(rows).unwrap_or(u32::MAX)), ..area }
}

/// Holds a number in a range; what is no number becomes the least.
pub(super) fn held(value: f32, least: f32, most: f32) -> f32 {
    if value.is_nan() { least } else { value.clamp(least, most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_held_whatever_they_are() {
        let odd = [f32::NAN, f32::NEG_INFINITY, 0.5, f32::INFINITY];
        assert_eq!(odd.map(|value| held(value, 0.1, 1.0)), [0.1, 0.1, 0.5, 1.0]);
    }

    #[test]
    fn usual_areas_stay_and_huge_ones_are_cut() {
        let usual = Area::new(-500, 20, 16_384, 16_384);
        assert_eq!(workable(usual), usual);
        let huge = workable(Area::new(i32::MIN, i32::MIN, u32::MAX, u32::MAX));
        assert!(huge.pixels() <= MAX_PIXELS && !huge.is_empty());
        assert!(workable(Area::new(i32::MAX - 5, 0, 100, 100)).is_empty());
    }
}
