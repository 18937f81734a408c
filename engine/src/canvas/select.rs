//! Selections: joining two, choosing by colour, turning one round.
//!
//! A selection is a plane of one byte a pixel, from 0 (not selected) to 255 (selected).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ink::by_255;
use super::limits::workable;
use super::{Area, TileAt, Tiles};

/// Says how a new selection joins the one that is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// Takes its place.
    #[default]
    Replace,
    /// Selects what either selects.
    Add,
    /// Takes the new one away from the old one; taking a selection from itself leaves nothing.
    Subtract,
    /// Keeps what both select.
    Intersect,
}

impl Combine {
    /// Lists every way.
    pub const ALL: [Self; 4] = [Self::Replace, Self::Add, Self::Subtract, Self::Intersect];

    fn of(self, old: u8, new: u8) -> u8 {
        match self {
            Self::Replace => new,
            Self::Add => old.max(new),
            Self::Subtract => old.saturating_sub(new),
            Self::Intersect => old.min(new),
        }
    }
}

/// Joins a new selection to an old one.
#[must_use]
pub fn combine(old: &Tiles<1>, new: &Tiles<1>, how: Combine) -> Tiles<1> {
    if how == Combine::Replace {
        return new.clone();
    }
    let mut result = old.clone();
    let mut places: Vec<TileAt> = old.iter().chain(new.iter()).map(|(at, _)| at).collect();
    places.sort_unstable();
    places.dedup();
    for at in places {
        let tile = match (old.tile(at), new.tile(at)) {
            (Some(a), Some(b)) => {
                a.iter().zip(b.iter()).map(|(old, new)| how.of(*old, *new)).collect()
            }
            (Some(_), None) if how != Combine::Intersect => continue,
            (None, Some(new)) if how == Combine::Add => new.clone(),
            _ => Arc::default(),
        };
        // A tile without bytes is left out: nothing is selected there.
        result.set_tile(at, tile);
    }
    result
}

/// Selects within an area what was not selected there. Outside nothing is selected.
#[must_use]
pub fn invert(selection: &Tiles<1>, within: Area) -> Tiles<1> {
    let within = workable(within);
    let mut all = Tiles::default();
    all.fill(within, [255]);
    combine(&all, selection, Combine::Subtract)
}

/// Says how far colours may differ from the one that was pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColourMatch {
    /// The most that a channel may differ, 0 to 255.
    pub tolerance: u8,
    /// Takes only what hangs together with the place pointed at.
    pub contiguous: bool,
    /// Takes a little of what differs by up to half as much again where it borders on the rest.
    pub antialias: bool,
}

impl Default for ColourMatch {
    fn default() -> Self {
        Self { tolerance: 32, contiguous: true, antialias: true }
    }
}

/// Selects, within `bounds`, the pixels that are like the one at `seed`; none when the seed lies
/// outside. Pixels that cannot be seen are alike whatever their colour.
#[must_use]
pub fn select_colour(
    pixels: &Tiles<4>,
    seed: [i32; 2],
    matching: ColourMatch,
    bounds: Area,
) -> Tiles<1> {
    region(pixels, seed, matching, None, bounds)
}

/// Selects as [`select_colour`] does; where `barrier` is 0, nothing is selected and a contiguous
/// region does not go on.
pub(super) fn region(
    pixels: &Tiles<4>,
    seed: [i32; 2],
    matching: ColourMatch,
    barrier: Option<&Tiles<1>>,
    bounds: Area,
) -> Tiles<1> {
    let bounds = workable(bounds);
    if !bounds.contains(seed) {
        return Tiles::default();
    }
    let alike = Likeness::new(pixels.get(seed), matching);
    let mut open = Tiles::<1>::default();
    for at in Tiles::<1>::touched(bounds) {
        let walls = barrier.map(|barrier| barrier.tile(at));
        if matches!(walls, Some(None)) {
            continue;
        }
        let mut tile = alike.of_tile(pixels.tile(at));
        if let Some(Some(walls)) = walls {
            let closed = tile.iter_mut().zip(walls.iter()).filter(|(_, wall)| **wall == 0);
            closed.for_each(|(open, _)| *open = 0);
        }
        open.set_tile(at, tile.into());
    }
    open.keep_within(bounds);
    if !matching.contiguous {
        // What is only nearly alike counts where it borders on the rest; that takes the flat plane.
        return if matching.antialias { bordering(&open) } else { open };
    }
    let Some(area) = open.bounds().filter(|area| area.contains(seed)) else {
        return Tiles::default();
    };
    let from = [(seed[0] - area.x) as usize, (seed[1] - area.y) as usize];
    let reached = flood(&open.read(area), area.width_px as usize, from);
    Tiles::from_bytes(area, &reached)
}

/// Tells how like a colour others are.
struct Likeness {
    seed: [u8; 4],
    tolerance: u32,
    antialias: bool,
}

/// Returns a colour as it is seen: what cannot be seen is 0.
fn as_seen([red, green, blue, alpha]: [u8; 4]) -> [u8; 4] {
    let seen = |value: u8| by_255(u32::from(value) * u32::from(alpha)) as u8;
    [seen(red), seen(green), seen(blue), alpha]
}

impl Likeness {
    fn new(seed: [u8; 4], matching: ColourMatch) -> Self {
        let ColourMatch { tolerance, antialias, .. } = matching;
        Self { seed: as_seen(seed), tolerance: tolerance.into(), antialias }
    }

    /// Returns 255 for what is alike and less for what is nearly so.
    fn of(&self, pixel: [u8; 4]) -> u8 {
        let apart = as_seen(pixel).into_iter().zip(self.seed).map(|(a, b)| a.abs_diff(b)).max();
        let apart = u32::from(apart.unwrap_or(0));
        if apart <= self.tolerance {
            return 255;
        }
        let slope = self.tolerance / 2 + 1;
        let beyond = apart - self.tolerance;
        if self.antialias && beyond < slope { (255 * (slope - beyond) / slope) as u8 } else { 0 }
    }

    fn of_tile(&self, tile: Option<&Arc<[u8]>>) -> Vec<u8> {
        let Some(tile) = tile else { return vec![self.of([0; 4]); Tiles::<1>::TILE_BYTES] };
        let (pixels, _) = tile.as_chunks::<4>();
        // Pictures have runs of one colour.
        let mut last = ([0; 4], self.of([0; 4]));
        let likeness = |pixel: &[u8; 4]| {
            if *pixel != last.0 {
                last = (*pixel, self.of(*pixel));
            }
            last.1
        };
        pixels.iter().map(likeness).collect()
    }
}

/// Returns what hangs together with a place by sides, through pixels of 255; those of less that
/// border on it are in, with their value, but lead nowhere.
fn flood(open: &[u8], width: usize, from: [usize; 2]) -> Vec<u8> {
    let mut reached = vec![0; open.len()];
    let height = open.len() / width.max(1);
    let mut starts = vec![from];
    while let Some([x, y]) = starts.pop() {
        let line = y * width;
        let row = &open[line..line + width];
        if row[x] != 255 || reached[line + x] != 0 {
            continue;
        }
        let left = row[..x].iter().rposition(|open| *open != 255).map_or(0, |at| at + 1);
        let right = row[x..].iter().position(|open| *open != 255).map_or(width, |at| x + at);
        reached[line + left..line + right].fill(255);
        if left > 0 {
            reached[line + left - 1] = row[left - 1];
        }
        if right < width {
            reached[line + right] = row[right];
        }
        let above = y.checked_sub(1);
        let below = (y + 1 < height).then_some(y + 1);
        for y in above.into_iter().chain(below) {
            let line = y * width;
            let mut is_run = false;
            for x in left..right {
                let (open, reached) = (open[line + x], &mut reached[line + x]);
                let is_new = open == 255 && *reached == 0;
                if is_new && !is_run {
                    starts.push([x, y]);
                }
                if open < 255 {
                    *reached = open;
                }
                is_run = is_new;
            }
        }
    }
    reached
}

/// Keeps what is 255, and of the rest what borders on that.
fn bordering(open: &Tiles<1>) -> Tiles<1> {
    let Some(area) = open.bounds() else { return Tiles::default() };
    let wide = Area::new(area.x, area.y.saturating_sub(1), area.width_px, 1);
    let mut rows = [0, 1, 2].map(|down| open.read(wide.moved([0, down])));
    let mut kept = open.clone();
    for y in area.y..area.bottom() {
        let [above, here, below] = &rows;
        let full = |row: &[u8], x: usize| row.get(x) == Some(&255);
        let lonely: Vec<usize> = (0..here.len())
            .filter(|x| (1..255).contains(&here[*x]))
            .filter(|x| {
                let beside = full(here, x.wrapping_sub(1)) || full(here, x + 1);
                !(beside || full(above, *x) || full(below, *x))
            })
            .collect();
        for x in lonely {
            kept.change(Area::new(area.x + x as i32, y, 1, 1), |_, pixel| pixel.fill(0));
        }
        rows.rotate_left(1);
        rows[2] = open.read(wide.moved([0, y - area.y + 3]));
    }
    kept
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
