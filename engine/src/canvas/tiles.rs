//! Pixels in copy-on-write tiles on a plane without edges.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Area;

/// The side of a tile in pixels.
pub const TILE_PX: i32 = 128;

/// Places a tile: its column and its row. Pixel (x, y) is in tile (x / 128, y / 128), rounded down.
pub type TileAt = [i32; 2];

/// Holds `N` bytes for every pixel of a plane without edges. What was never written is 0, and a tile
/// that is all 0 is not kept, so two planes with the same pixels are equal.
///
/// A clone shares all tiles; writing into a tile copies just that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiles<const N: usize> {
    /// Each `TILE_PX² · N` bytes, rows from the top.
    map: BTreeMap<TileAt, Arc<[u8]>>,
}

impl<const N: usize> Default for Tiles<N> {
    fn default() -> Self {
        Self { map: BTreeMap::new() }
    }
}

/// The length of a tile in bytes.
const fn tile_bytes(channels: usize) -> usize {
    (TILE_PX * TILE_PX) as usize * channels
}

/// Returns the area of a tile.
fn area_of([column, row]: TileAt) -> Area {
    Area::new(column * TILE_PX, row * TILE_PX, TILE_PX as u32, TILE_PX as u32)
}

/// Lists the tiles that an area touches, row by row.
fn touched(area: Area) -> impl Iterator<Item = TileAt> {
    let first = [area.x, area.y].map(|side| side.div_euclid(TILE_PX));
    let last = [area.right(), area.bottom()].map(|side| (side - 1).div_euclid(TILE_PX));
    let rows = if area.is_empty() { 0..0 } else { first[1]..last[1] + 1 };
    rows.flat_map(move |row| (first[0]..last[0] + 1).map(move |column| [column, row]))
}

impl<const N: usize> Tiles<N> {
    /// The length of a tile in bytes.
    pub const TILE_BYTES: usize = tile_bytes(N);

    /// Makes a plane from a picture of `area`: rows from the top, `N` bytes a pixel. A picture that
    /// is too short is taken as far as it goes.
    pub fn from_bytes(area: Area, bytes: &[u8]) -> Self {
        let mut tiles = Self::default();
        tiles.write(area, bytes);
        tiles
    }

    /// Tells whether every pixel is 0.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Lists the tiles, row after row within a column.
    pub fn iter(&self) -> impl Iterator<Item = (TileAt, &Arc<[u8]>)> {
        self.map.iter().map(|(at, tile)| (*at, tile))
    }

    /// Returns a tile; `None` when it is all 0.
    pub fn tile(&self, at: TileAt) -> Option<&Arc<[u8]>> {
        self.map.get(&at)
    }

    /// Puts a tile in its place; one of the wrong length is left out.
    pub fn set_tile(&mut self, at: TileAt, tile: Arc<[u8]>) {
        if tile.len() == Self::TILE_BYTES && tile.iter().any(|byte| *byte != 0) {
            self.map.insert(at, tile);
        } else {
            self.map.remove(&at);
        }
    }

    /// Returns the area of a tile.
    pub fn tile_area(at: TileAt) -> Area {
        area_of(at)
    }

    /// Lists the tiles that an area touches, row by row, whether they are kept or not.
    pub fn touched(area: Area) -> impl Iterator<Item = TileAt> {
        touched(area)
    }

    /// Returns a pixel.
    pub fn get(&self, [x, y]: [i32; 2]) -> [u8; N] {
        let at = [x, y].map(|side| side.div_euclid(TILE_PX));
        let [left, top] = [x, y].map(|side| side.rem_euclid(TILE_PX) as usize);
        let start = (top * TILE_PX as usize + left) * N;
        let pixel = self.map.get(&at).and_then(|tile| tile.get(start..start + N));
        pixel.and_then(|pixel| pixel.try_into().ok()).unwrap_or([0; N])
    }

    /// Has `change` rewrite the rows of an area, piece by piece: it gets the first pixel of a piece
    /// and the bytes of its pixels, all within one tile.
    pub fn change(&mut self, area: Area, mut change: impl FnMut([i32; 2], &mut [u8])) {
        for at in touched(area) {
            let part = area_of(at).intersect(area);
            let tile = self.map.entry(at).or_insert_with(|| vec![0; Self::TILE_BYTES].into());
            let bytes = Arc::make_mut(tile);
            for y in part.y..part.bottom() {
                let top = y.rem_euclid(TILE_PX) as usize * TILE_PX as usize;
                let start = (top + part.x.rem_euclid(TILE_PX) as usize) * N;
                let end = start + part.width_px as usize * N;
                if let Some(row) = bytes.get_mut(start..end) {
                    change([part.x, y], row);
                }
            }
            if bytes.iter().all(|byte| *byte == 0) {
                self.map.remove(&at);
            }
        }
    }

    /// Writes a picture of `area`, as far as it goes.
    pub fn write(&mut self, area: Area, bytes: &[u8]) {
        let width = area.width_px as usize;
        self.change(area, |[x, y], row| {
            let start = ((y - area.y) as usize * width + (x - area.x) as usize) * N;
            if let Some(from) = bytes.get(start..start + row.len()) {
                row.copy_from_slice(from);
            }
        });
    }

    /// Reads a picture of `area`, rows from the top. The caller bounds the area: it takes `N` bytes a
    /// pixel.
    pub fn read(&self, area: Area) -> Vec<u8> {
        let width = area.width_px as usize;
        let mut out = vec![0; width * area.height_px as usize * N];
        for at in touched(area) {
            let Some(tile) = self.map.get(&at) else {
                continue;
            };
            let part = area_of(at).intersect(area);
            for y in part.y..part.bottom() {
                let top = y.rem_euclid(TILE_PX) as usize * TILE_PX as usize;
                let start = (top + part.x.rem_euclid(TILE_PX) as usize) * N;
                let to = ((y - area.y) as usize * width + (part.x - area.x) as usize) * N;
                let length = part.width_px as usize * N;
                if let (Some(from), Some(to)) =
                    (tile.get(start..start + length), out.get_mut(to..to + length))
                {
                    to.copy_from_slice(from);
                }
            }
        }
        out
    }

    /// Makes every pixel outside an area 0.
    pub fn keep_within(&mut self, area: Area) {
        self.map.retain(|at, _| !area_of(*at).intersect(area).is_empty());
        let cut: Vec<TileAt> = self
            .map
            .keys()
            .copied()
            .filter(|at| area_of(*at).intersect(area) != area_of(*at))
            .collect();
        for at in cut {
            self.change(area_of(at), |[x, y], row| {
                for (column, pixel) in row.chunks_exact_mut(N).enumerate() {
                    if !area.contains([x + column as i32, y]) {
                        pixel.fill(0);
                    }
                }
            });
        }
    }

    /// Makes every pixel of an area the same. Whole tiles share one block of memory.
    pub fn fill(&mut self, area: Area, value: [u8; N]) {
        let whole: Arc<[u8]> = value.repeat((TILE_PX * TILE_PX) as usize).into();
        for at in touched(area) {
            let part = area_of(at).intersect(area);
            if part == area_of(at) {
                self.set_tile(at, whole.clone());
            } else {
                self.change(part, |_, row| {
                    row.chunks_exact_mut(N).for_each(|pixel| pixel.copy_from_slice(&value));
                });
            }
        }
    }

    /// Returns the smallest area with all pixels that are not 0; `None` when there are none.
    pub fn bounds(&self) -> Option<Area> {
        let mut bounds = Area::default();
        for (at, tile) in &self.map {
            let area = area_of(*at);
            // What lies within what is known already need not be read.
            if area.union(bounds) == bounds {
                continue;
            }
            for (y, row) in tile.chunks_exact(TILE_PX as usize * N).enumerate() {
                let used = |pixel: &[u8]| pixel.iter().any(|byte| *byte != 0);
                let pixels = || row.chunks_exact(N);
                let (Some(first), Some(last)) = (pixels().position(used), pixels().rposition(used))
                else {
                    continue;
                };
                let line = Area::new(
                    area.x + first as i32,
                    area.y + y as i32,
                    (last - first + 1) as u32,
                    1,
                );
                bounds = bounds.union(line);
            }
        }
        (!bounds.is_empty()).then_some(bounds)
    }

    /// Lists the tiles in which two planes differ.
    pub fn differing(&self, other: &Self) -> Vec<TileAt> {
        let same = |at: &TileAt| match (self.map.get(at), other.map.get(at)) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
            (a, b) => a.is_none() && b.is_none(),
        };
        let mut all: Vec<TileAt> = self.map.keys().chain(other.map.keys()).copied().collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|at| !same(at));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_across_tiles_and_below_zero() {
        let area = Area::new(-70, -130, 300, 270);
        let bytes: Vec<u8> = (0..area.pixels() * 4).map(|at| (at * 7 % 251) as u8).collect();
        let tiles = Tiles::<4>::from_bytes(area, &bytes);
        assert_eq!(tiles.read(area), bytes);
        let inner = Area::new(-10, -5, 3, 3);
        let at = |x: i32, y: i32| ((y + 130) * 300 + x + 70) as usize * 4;
        assert_eq!(tiles.read(inner)[..4], bytes[at(-10, -5)..at(-10, -5) + 4]);
        assert_eq!(tiles.get([229, 139]), bytes[at(229, 139)..at(229, 139) + 4]);
        assert_eq!(tiles.get([230, 0]), [0; 4]);
    }

    #[test]
    fn a_clone_shares_what_it_does_not_change() {
        let mut a = Tiles::<1>::default();
        a.fill(Area::new(0, 0, 1024, 1024), [9]);
        let mut b = a.clone();
        b.fill(Area::new(3, 3, 2, 2), [1]);
        assert_eq!(a.differing(&b), [[0, 0]]);
        assert_eq!(a.get([3, 3]), [9]);
        let shared = |tiles: &Tiles<1>| tiles.tile([5, 5]).map(Arc::as_ptr);
        assert_eq!(shared(&a), shared(&b));
    }

    #[test]
    fn pixels_that_are_all_zero_are_not_kept_so_equal_pictures_are_equal() {
        let mut tiles = Tiles::<4>::default();
        tiles.fill(Area::new(10, 10, 300, 300), [1, 2, 3, 4]);
        tiles.fill(Area::new(0, 0, 400, 400), [0; 4]);
        assert_eq!(tiles, Tiles::default());
        assert!(tiles.bounds().is_none());
    }

    #[test]
    fn bounds_and_cuts_are_exact() {
        let mut tiles = Tiles::<1>::default();
        tiles.fill(Area::new(-5, 100, 400, 60), [255]);
        assert_eq!(tiles.bounds(), Some(Area::new(-5, 100, 400, 60)));
        tiles.keep_within(Area::new(0, 0, 128, 128));
        assert_eq!(tiles.bounds(), Some(Area::new(0, 100, 128, 28)));
        assert_eq!(tiles.iter().count(), 1);
    }
}
