//! A box around pixels that is moved, scaled and turned, and what becomes of the pixels in it.

use serde::{Deserialize, Serialize};

use super::limits::held;
use super::resample::{Filter, rotate, scale};
use super::transform::shift;
use super::{Area, MAX_SIDE_PX, Tiles};

/// How often a box may be larger than its pixels, and they than the box.
const MAX_SCALE: f32 = 64.0;

/// Describes where pixels go: scaled first, then turned about the middle of the box.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reshape {
    /// What the pixels cover, in pixels of the document.
    pub from: Area,
    /// Where the middle of the box is.
    pub centre: [f32; 2],
    /// How much wider and how much taller the box is than `from`.
    pub scale: [f32; 2],
    /// How far it is turned, clockwise, in degrees.
    pub degrees: f32,
}

/// Names what of a box is held while it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grip {
    /// The box itself: it is moved.
    Inside,
    /// A corner, by the way from the middle to it, −1 or 1 across and down.
    Corner([i8; 2]),
    /// The middle of a side, likewise; one of both is 0.
    Side([i8; 2]),
    /// What is around the box: it is turned.
    Around,
}

impl Reshape {
    /// Makes a box around pixels, which changes nothing.
    pub fn of(from: Area) -> Self {
        let middle = |start: i32, side: u32| start as f32 + side as f32 / 2.0;
        let centre = [middle(from.x, from.width_px), middle(from.y, from.height_px)];
        Self { from, centre, scale: [1.0; 2], degrees: 0.0 }
    }

    /// Returns the size of the box in pixels.
    pub fn size(&self) -> [f32; 2] {
        let Area { width_px, height_px, .. } = self.from;
        [width_px as f32 * self.scale[0], height_px as f32 * self.scale[1]]
    }

    /// Returns a place of the box: the middle at `[0, 0]`, the corners at −1 and 1.
    pub fn place(&self, share: [f32; 2]) -> [f32; 2] {
        let size = self.size();
        let out = self.turned([share[0] * size[0] / 2.0, share[1] * size[1] / 2.0]);
        [self.centre[0] + out[0], self.centre[1] + out[1]]
    }

    /// Returns the four corners in turn, the upper left one first.
    pub fn corners(&self) -> [[f32; 2]; 4] {
        [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]].map(|share| self.place(share))
    }

    /// Returns where a place of the document lies in the box, as [`Reshape::place`] has it.
    pub fn share_of(&self, at: [f32; 2]) -> [f32; 2] {
        let way = self.back([at[0] - self.centre[0], at[1] - self.centre[1]]);
        let size = self.size();
        [0, 1].map(|axis| way[axis] * 2.0 / size[axis].max(1e-3))
    }

    /// Returns the box after it was drawn from one place to another by a grip. `plain` keeps to what
    /// is usual: corners keep the shape, turning goes by 15°.
    #[must_use]
    pub fn drawn(&self, grip: Grip, from: [f32; 2], to: [f32; 2], plain: bool) -> Self {
        let mut after = *self;
        match grip {
            Grip::Inside => {
                after.centre = [0, 1].map(|axis| self.centre[axis] + to[axis] - from[axis]);
            }
            Grip::Around => {
                let angle = |at: [f32; 2]| {
                    (at[1] - self.centre[1]).atan2(at[0] - self.centre[0]).to_degrees()
                };
                let degrees = self.degrees + angle(to) - angle(from);
                after.degrees = if plain { (degrees / 15.0).round() * 15.0 } else { degrees };
            }
            Grip::Corner(way) | Grip::Side(way) => {
                let way = way.map(f32::from);
                // The place across stays where it is.
                let fixed = self.place([-way[0], -way[1]]);
                let reach = self.back([to[0] - fixed[0], to[1] - fixed[1]]);
                let size = self.size();
                let mut factors = [0, 1].map(|axis| match way[axis] {
                    0.0 => 1.0,
                    way => reach[axis] * way / size[axis].max(1e-3),
                });
                if plain && matches!(grip, Grip::Corner(_)) {
                    let [width, height] = size;
                    let along = reach[0] * way[0] * width + reach[1] * way[1] * height;
                    factors = [along / (width * width + height * height).max(1e-3); 2];
                }
                after.scale = [0, 1].map(|axis| self.scale[axis] * factors[axis]);
                let after_size = after.in_range().size();
                let half = [0, 1].map(|axis| way[axis] * after_size[axis] / 2.0);
                let half = self.turned(half);
                after.centre = [0, 1].map(|axis| fixed[axis] + half[axis]);
            }
        }
        after.in_range()
    }

    /// Returns it with every number in its range: sides from one pixel to the longest of a document,
    /// angles from −180° to 180°.
    #[must_use]
    pub fn in_range(self) -> Self {
        let sides = [self.from.width_px, self.from.height_px].map(|side| side.max(1) as f32);
        let scale = [0, 1].map(|axis| {
            let most = (MAX_SIDE_PX as f32 / sides[axis]).min(MAX_SCALE);
            held(self.scale[axis], (1.0 / sides[axis]).min(most), most)
        });
        let degrees = if self.degrees.is_finite() { self.degrees } else { 0.0 };
        let degrees = degrees - (degrees / 360.0).round() * 360.0;
        let far = MAX_SIDE_PX as f32 * 2.0;
        Self { centre: self.centre.map(|at| held(at, -far, far)), scale, degrees, ..self }
    }

    /// Tells whether pixels stay where they are.
    pub fn is_still(&self) -> bool {
        *self == Self::of(self.from)
    }

    /// Returns the pixels as they are after it. A box that is only moved, by whole pixels or not,
    /// changes no pixel: it goes to the nearest whole one.
    pub fn apply<const N: usize>(&self, tiles: &Tiles<N>) -> Tiles<N> {
        let wanted = self.in_range();
        let [width, height] = wanted.size().map(|side| side.round().max(1.0));
        let corner = [wanted.centre[0] - width / 2.0, wanted.centre[1] - height / 2.0];
        let corner = corner.map(|at| at.round() as i32);
        let to = Area::new(corner[0], corner[1], width as u32, height as u32);
        let from = self.from;
        let scaled = if [to.width_px, to.height_px] == [from.width_px, from.height_px] {
            shift(tiles, [to.x.saturating_sub(from.x), to.y.saturating_sub(from.y)])
        } else {
            // What rings around the edge of the pixels is kept.
            scale(tiles, from, to, Filter::Lanczos, to.grown(4))
        };
        if wanted.degrees == 0.0 {
            return scaled;
        }
        let side = to.width_px.saturating_add(to.height_px);
        let within = to.grown(i32::try_from(side).unwrap_or(i32::MAX));
        rotate(&scaled, wanted.degrees, wanted.centre, within)
    }

    /// Turns a way by the box's angle.
    fn turned(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (sin, cos) = self.degrees.to_radians().sin_cos();
        [x * cos - y * sin, x * sin + y * cos]
    }

    /// Turns a way back by the box's angle.
    fn back(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (sin, cos) = self.degrees.to_radians().sin_cos();
        [x * cos + y * sin, y * cos - x * sin]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: [f32; 2], b: [f32; 2]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-2)
    }

    #[test]
    fn a_corner_keeps_the_one_across_and_the_shape() {
        let start = Reshape { degrees: 30.0, ..Reshape::of(Area::new(10, 20, 100, 50)) };
        let (held, across) = (start.place([1.0, 1.0]), start.place([-1.0, -1.0]));
        let to = [held[0] + 37.0, held[1] + 5.0];
        let after = start.drawn(Grip::Corner([1, 1]), held, to, true);
        assert!(near(after.place([-1.0, -1.0]), across));
        assert!((after.scale[0] - after.scale[1]).abs() < 1e-5 && after.scale[0] > 1.0);
        let free = start.drawn(Grip::Corner([1, 1]), held, to, false);
        assert!(near(free.place([1.0, 1.0]), to) && near(free.place([-1.0, -1.0]), across));
        let side = start.drawn(Grip::Side([-1, 0]), start.place([-1.0, 0.0]), to, false);
        assert!(near(side.place([1.0, 0.0]), start.place([1.0, 0.0])));
        assert!((side.scale[1] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn turning_and_moving_do_what_they_say_and_nothing_comes_out_of_range() {
        let start = Reshape::of(Area::new(0, 0, 10, 10));
        let turned = start.drawn(Grip::Around, [10.0, 5.0], [5.5, 10.0], true);
        assert!((turned.degrees - 90.0).abs() < 1e-4, "{turned:?}");
        let moved = turned.drawn(Grip::Inside, [1.0, 1.0], [4.0, -1.0], true);
        assert!(near(moved.centre, [8.0, 3.0]));
        assert!(near(moved.share_of(moved.place([0.3, -0.7])), [0.3, -0.7]));
        let odd = Reshape {
            centre: [f32::NAN, 1e30],
            scale: [-1.0, f32::INFINITY],
            degrees: f32::NAN,
            ..start
        };
        let held = odd.in_range();
        assert!(held.size()[0] >= 1.0 && held.size()[1] <= 640.0, "{held:?}");
        assert!(held.centre.iter().all(|at| at.is_finite()) && held.degrees == 0.0);
    }

    #[test]
    fn a_box_that_stands_still_or_is_moved_keeps_every_bit() {
        let area = Area::new(-3, 7, 20, 9);
        let bytes: Vec<u8> = (0..20 * 9 * 4).map(|at| (at * 37 % 251) as u8).collect();
        let tiles = Tiles::<4>::from_bytes(area, &bytes);
        let still = Reshape::of(area);
        assert!(still.is_still());
        assert!(still.apply(&tiles).read(area) == bytes);
        let moved = still.drawn(Grip::Inside, [0.0; 2], [130.0, -40.0], false);
        assert!(moved.apply(&tiles).read(area.moved([130, -40])) == bytes);
    }

    #[test]
    fn pixels_are_where_the_box_is_after_scaling_and_turning() {
        let area = Area::new(40, 40, 40, 20);
        let mut tiles = Tiles::<4>::default();
        tiles.fill(area, [200, 10, 30, 255]);
        let reshape = Reshape { scale: [2.0, 3.0], degrees: 90.0, ..Reshape::of(area) };
        let after = reshape.apply(&tiles);
        // Eighty across and sixty down, then upright.
        let bounds = after.bounds().unwrap_or_default();
        let expected = Area::new(30, 10, 60, 80);
        assert!(bounds.union(expected).pixels() <= expected.grown(5).pixels(), "{bounds:?}");
        let inside = expected.grown(-1);
        let opaque = after.read(inside).chunks_exact(4).filter(|one| one[3] > 250).count();
        assert!(opaque as u64 > inside.pixels() * 99 / 100);
    }
}
