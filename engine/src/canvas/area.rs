//! Rectangles of pixels in a document.

use serde::{Deserialize, Serialize};

/// Is a rectangle of pixels; it may lie outside the document. An area without pixels has a width or
/// a height of 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Area {
    /// The left edge, in pixels from the document's left.
    pub x: i32,
    /// The upper edge, in pixels from the document's top.
    pub y: i32,
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
}

impl Area {
    /// Makes an area from its upper left corner and its size.
    pub const fn new(x: i32, y: i32, width_px: u32, height_px: u32) -> Self {
        Self { x, y, width_px, height_px }
    }

    /// Makes the area from the corner `[x, y]` to before the corner `[x, y]`; empty when the second
    /// does not lie to the right and below.
    pub fn between(from: [i32; 2], to: [i32; 2]) -> Self {
        let side = |axis: usize| {
            let [from, to] = [from[axis], to[axis]].map(i64::from);
            u32::try_from((to - from).max(0)).unwrap_or(u32::MAX)
        };
        Self::new(from[0], from[1], side(0), side(1))
    }

    /// Returns the smallest area that covers a rectangle of fractional coordinates, from its least
    /// to its greatest corner.
    pub fn around(least: [f32; 2], greatest: [f32; 2]) -> Self {
        // `as` saturates, so a coordinate that is no number or far away stays harmless.
        let from = least.map(|value| value.floor() as i32);
        let to = greatest.map(|value| value.ceil() as i32);
        Self::between(from, to)
    }

    /// Returns the x after the last column.
    pub fn right(self) -> i32 {
        edge(self.x, self.width_px)
    }

    /// Returns the y after the last row.
    pub fn bottom(self) -> i32 {
        edge(self.y, self.height_px)
    }

    /// Tells whether it has no pixels.
    pub fn is_empty(self) -> bool {
        self.width_px == 0 || self.height_px == 0
    }

    /// Returns the number of pixels.
    pub fn pixels(self) -> u64 {
        u64::from(self.width_px) * u64::from(self.height_px)
    }

    /// Tells whether a pixel lies in it.
    pub fn contains(self, [x, y]: [i32; 2]) -> bool {
        (self.x..self.right()).contains(&x) && (self.y..self.bottom()).contains(&y)
    }

    /// Returns what two areas share; empty when they share nothing.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        let from = [self.x.max(other.x), self.y.max(other.y)];
        let to = [self.right().min(other.right()), self.bottom().min(other.bottom())];
        Self::between(from, to)
    }

    /// Returns the smallest area that covers both; an empty one does not count.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let from = [self.x.min(other.x), self.y.min(other.y)];
        let to = [self.right().max(other.right()), self.bottom().max(other.bottom())];
        Self::between(from, to)
    }

    /// Returns it with `margin` pixels more on every side; a negative margin takes them away.
    #[must_use]
    pub fn grown(self, margin: i32) -> Self {
        let from = [self.x.saturating_sub(margin), self.y.saturating_sub(margin)];
        let to = [self.right().saturating_add(margin), self.bottom().saturating_add(margin)];
        Self::between(from, to)
    }

    /// Returns it moved.
    #[must_use]
    pub fn moved(self, by: [i32; 2]) -> Self {
        Self { x: self.x.saturating_add(by[0]), y: self.y.saturating_add(by[1]), ..self }
    }
}

/// Returns where a side ends, held within the numbers that there are.
fn edge(from: i32, length: u32) -> i32 {
    i32::try_from(i64::from(from) + i64::from(length)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_meet_join_and_grow() {
        let (a, b) = (Area::new(0, 0, 10, 10), Area::new(5, -5, 10, 10));
        assert_eq!(a.intersect(b), Area::new(5, 0, 5, 5));
        assert_eq!(a.union(b), Area::new(0, -5, 15, 15));
        assert!(a.intersect(Area::new(10, 0, 5, 5)).is_empty());
        assert_eq!(a.union(Area::default()), a);
        assert_eq!(a.grown(-5), Area::new(5, 5, 0, 0));
        assert!(a.contains([9, 0]) && !a.contains([10, 0]));
    }

    #[test]
    fn fractions_and_what_is_no_number_make_an_area() {
        assert_eq!(Area::around([0.2, 0.9], [1.1, 2.0]), Area::new(0, 0, 2, 2));
        assert!(Area::around([f32::NAN; 2], [f32::NAN; 2]).is_empty());
        let far = Area::around([-1e30; 2], [1e30; 2]);
        assert!(far.contains([0, 0]) && far.grown(5).contains([i32::MAX - 1, 0]));
    }
}
