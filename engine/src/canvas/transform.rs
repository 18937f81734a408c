//! Moving, mirroring and turning pixels without changing any of them.

use serde::{Deserialize, Serialize};

use super::limits::workable;
use super::{Area, TILE_PX, Tiles};

/// Says which way a picture is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flip {
    /// Left becomes right.
    Horizontal,
    /// Top becomes bottom.
    Vertical,
}

/// Says how far a picture is turned, clockwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarterTurn {
    /// By 90° clockwise.
    Right,
    /// By 180°.
    Half,
    /// By 90° anticlockwise.
    Left,
}

impl QuarterTurn {
    /// Returns the area that another becomes: it keeps its upper left corner.
    pub fn of_area(self, about: Area) -> Area {
        match self {
            Self::Half => about,
            Self::Right | Self::Left => {
                Area { width_px: about.height_px, height_px: about.width_px, ..about }
            }
        }
    }

    /// Returns where the sides of a part of `about` go.
    fn of_part(self, part: Area, about: Area) -> Area {
        // From the corner of `about`, which stays in its place.
        let [left, top] = [part.x.wrapping_sub(about.x), part.y.wrapping_sub(about.y)];
        let right = about.right().wrapping_sub(part.right());
        let bottom = about.bottom().wrapping_sub(part.bottom());
        let [x, y] = match self {
            Self::Right => [bottom, left],
            Self::Half => [right, bottom],
            Self::Left => [top, right],
        };
        Area { x: about.x.wrapping_add(x), y: about.y.wrapping_add(y), ..self.of_area(part) }
    }
}

/// Moves everything. Whole tiles keep their memory when the way is a multiple of a tile.
#[must_use]
pub fn shift<const N: usize>(tiles: &Tiles<N>, by: [i32; 2]) -> Tiles<N> {
    let mut moved = Tiles::default();
    let is_whole = by.iter().all(|way| way % TILE_PX == 0);
    for (at, tile) in tiles.iter() {
        let area = Tiles::<N>::tile_area(at);
        let place = [0, 1].map(|axis| [area.x, area.y][axis].checked_add(by[axis]));
        // What would be moved beyond the numbers that there are is lost.
        let [Some(x), Some(y)] = place else { continue };
        if is_whole {
            moved.set_tile([x / TILE_PX, y / TILE_PX], tile.clone());
        } else if x.checked_add(TILE_PX).is_some() && y.checked_add(TILE_PX).is_some() {
            moved.write(Area { x, y, ..area }, tile);
        }
    }
    moved
}

/// Keeps what lies in an area.
#[must_use]
pub fn crop<const N: usize>(tiles: &Tiles<N>, area: Area) -> Tiles<N> {
    let mut kept = tiles.clone();
    kept.keep_within(area);
    kept
}

/// Mirrors everything about the middle of an area; what lies beyond its sides is mirrored with it.
#[must_use]
pub fn flip<const N: usize>(tiles: &Tiles<N>, about: Area, flip: Flip) -> Tiles<N> {
    let mut mirrored = Tiles::default();
    for (mut area, mut bytes) in pieces(tiles) {
        let row = area.width_px as usize * N;
        match flip {
            Flip::Horizontal => {
                bytes.chunks_exact_mut(row).for_each(reverse_pixels::<N>);
                area.x = mirror(about.x, about.right(), area.right());
            }
            Flip::Vertical => {
                bytes = bytes.chunks_exact(row).rev().flatten().copied().collect();
                area.y = mirror(about.y, about.bottom(), area.bottom());
            }
        }
        mirrored.write(area, &bytes);
    }
    mirrored
}

/// Turns everything by quarters about an area, which becomes [`QuarterTurn::of_area`]; what lies
/// beyond its sides turns with it.
#[must_use]
pub fn turn<const N: usize>(tiles: &Tiles<N>, about: Area, turn: QuarterTurn) -> Tiles<N> {
    let mut turned = Tiles::default();
    for (area, bytes) in pieces(tiles) {
        let [width, height] = [area.width_px, area.height_px].map(|side| side as usize);
        let (pixels, _) = bytes.as_chunks::<N>();
        let mut out = Vec::with_capacity(bytes.len());
        match turn {
            QuarterTurn::Half => out.extend(pixels.iter().rev().flatten()),
            QuarterTurn::Right => {
                for x in 0..width {
                    (0..height).rev().for_each(|y| out.extend(pixels[y * width + x]));
                }
            }
            QuarterTurn::Left => {
                for x in (0..width).rev() {
                    (0..height).for_each(|y| out.extend(pixels[y * width + x]));
                }
            }
        }
        turned.write(turn.of_part(area, about), &out);
    }
    turned
}

/// Lists the tiles within reach as flat pictures.
fn pieces<const N: usize>(tiles: &Tiles<N>) -> impl Iterator<Item = (Area, Vec<u8>)> {
    tiles.iter().filter_map(|(at, tile)| {
        let area = Tiles::<N>::tile_area(at);
        (workable(area) == area).then(|| (area, tile.to_vec()))
    })
}

/// Returns where a side comes to lie when it is mirrored about the middle of two others.
fn mirror(from: i32, to: i32, side: i32) -> i32 {
    from.saturating_add(to).saturating_sub(side)
}

/// Reverses the order of a row's pixels.
fn reverse_pixels<const N: usize>(row: &mut [u8]) {
    let (pixels, _) = row.as_chunks_mut::<N>();
    pixels.reverse();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ABOUT: Area = Area::new(-20, 10, 150, 90);

    fn spotted() -> impl Strategy<Value = Tiles<4>> {
        let spot = (-200..300i32, -200..300i32, 1..90u32, 1..90u32, any::<[u8; 4]>());
        prop::collection::vec(spot, 1..6).prop_map(|spots| {
            let mut tiles = Tiles::default();
            for (x, y, width, height, colour) in spots {
                tiles.fill(Area::new(x, y, width, height), colour);
            }
            tiles
        })
    }

    #[test]
    fn pixels_go_where_they_should() {
        let mut tiles = Tiles::<4>::default();
        let red = [255, 0, 0, 255];
        tiles.fill(Area::new(-20, 10, 1, 1), red);
        assert_eq!(flip(&tiles, ABOUT, Flip::Horizontal).get([129, 10]), red);
        assert_eq!(flip(&tiles, ABOUT, Flip::Vertical).get([-20, 99]), red);
        assert_eq!(turn(&tiles, ABOUT, QuarterTurn::Right).get([69, 10]), red);
        assert_eq!(turn(&tiles, ABOUT, QuarterTurn::Half).get([129, 99]), red);
        assert_eq!(turn(&tiles, ABOUT, QuarterTurn::Left).get([-20, 159]), red);
        assert_eq!(shift(&tiles, [-1000, 7]).get([-1020, 17]), red);
        assert!(crop(&tiles, Area::new(-19, 0, 500, 500)).is_empty());
    }

    #[test]
    fn hostile_ways_and_areas_do_not_panic() {
        let mut tiles = Tiles::<1>::default();
        tiles.fill(Area::new(-300, -300, 600, 600), [3]);
        for by in [[i32::MAX, i32::MIN], [i32::MIN; 2], [i32::MAX - 127, 0], [i32::MAX - 200, 1]] {
            let _ = shift(&tiles, by);
        }
        let wide = Area::new(i32::MIN, i32::MAX, u32::MAX, u32::MAX);
        let _ = flip(&tiles, wide, Flip::Horizontal);
        let _ = turn(&tiles, wide, QuarterTurn::Left);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn mirroring_twice_changes_nothing(tiles in spotted()) {
            for way in [Flip::Horizontal, Flip::Vertical] {
                prop_assert!(flip(&flip(&tiles, ABOUT, way), ABOUT, way) == tiles);
            }
        }

        #[test]
        fn four_quarters_change_nothing_and_two_are_a_half(tiles in spotted()) {
            use QuarterTurn::{Half, Left, Right};
            for way in [Right, Left] {
                let side = way.of_area(ABOUT);
                let half = turn(&turn(&tiles, ABOUT, way), side, way);
                prop_assert!(half == turn(&tiles, ABOUT, Half));
                prop_assert!(turn(&turn(&half, ABOUT, way), side, way) == tiles);
            }
            prop_assert!(turn(&turn(&tiles, ABOUT, Right), Right.of_area(ABOUT), Left) == tiles);
            let both = flip(&flip(&tiles, ABOUT, Flip::Horizontal), ABOUT, Flip::Vertical);
            prop_assert!(both == turn(&tiles, ABOUT, Half));
        }

        #[test]
        fn moving_there_and_back_changes_nothing(
            tiles in spotted(), by in prop::array::uniform2(-5000..5000i32),
        ) {
            let there = shift(&tiles, by);
            prop_assert_eq!(there.bounds(), tiles.bounds().map(|area| area.moved(by)));
            prop_assert!(shift(&there, by.map(|way| -way)) == tiles);
        }
    }
}
