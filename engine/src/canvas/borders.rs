//! Moving and softening the border of a selection: grow, shrink, feather.

use super::limits::{held, workable};
use super::{Area, Tiles, invert};

/// The farthest that a border is moved or softened, in pixels.
pub const MAX_BORDER_PX: f32 = 1000.0;

/// Grows a selection by a radius of 0 to 1000 pixels on every side, round at its corners, within an
/// area. A pixel selected in part counts as that much of its width, so smooth borders stay smooth.
#[must_use]
pub fn grow(selection: &Tiles<1>, radius_px: f32, within: Area) -> Tiles<1> {
    let radius = held(radius_px, 0.0, MAX_BORDER_PX);
    let within = workable(within);
    let mut cut = selection.clone();
    cut.keep_within(within);
    let Some(area) = cut.bounds() else { return cut };
    let area = area.grown(radius.ceil() as i32 + 1).intersect(within);
    let width = area.width_px as usize;
    let values = cut.read(area);
    let mut grown = values.clone();
    // The distance to the nearest pixel that is wholly selected, and to the nearest selected at all
    // plus what that one lacks: the smaller one is exact for straight borders at any angle that
    // antialiasing made.
    for least in [255, 1] {
        let rows = nearest_rows(&values, width, least);
        let mut row = Row::new(width);
        for (y, grown) in grown.chunks_exact_mut(width).enumerate() {
            let to_row = |x: usize| i64::from(rows[y * width + x]);
            row.find(to_row);
            for (x, grown) in grown.iter_mut().enumerate() {
                let Some((distance, column)) = row.nearest(x) else { break };
                let seed_row = y as i64 + to_row(column);
                let seed = values[seed_row as usize * width + column];
                let lack = 1.0 - f32::from(seed) / 255.0;
                let covered = (radius + 1.0 - distance - lack).clamp(0.0, 1.0);
                *grown = (*grown).max((covered * 255.0 + 0.5) as u8);
            }
        }
    }
    Tiles::from_bytes(area, &grown)
}

/// Shrinks a selection by a radius of 0 to 1000 pixels from every side, also from the sides of the
/// area; outside nothing stays selected.
#[must_use]
pub fn shrink(selection: &Tiles<1>, radius_px: f32, within: Area) -> Tiles<1> {
    let within = workable(within);
    let mut cut = selection.clone();
    cut.keep_within(within);
    let Some(area) = cut.bounds() else { return cut };
    // With one more pixel around it, what is not selected reaches in from all sides.
    let around = area.grown(1);
    invert(&grow(&invert(&cut, around), radius_px, around), around)
}

/// No selected pixel in the column.
const NONE: i32 = i32::MAX;

/// For each pixel: how many rows down (or, negative, up) the nearest pixel of its column is whose
/// value is at least `least`.
fn nearest_rows(values: &[u8], width: usize, least: u8) -> Vec<i32> {
    let mut rows = vec![NONE; values.len()];
    let height = values.len() / width.max(1);
    let mut last = vec![NONE; width];
    for y in 0..height {
        let line = y * width..(y + 1) * width;
        for ((value, last), to) in values[line.clone()].iter().zip(&mut last).zip(&mut rows[line]) {
            *last = match *last {
                _ if *value >= least => 0,
                NONE => NONE,
                up => up - 1,
            };
            *to = *last;
        }
    }
    last.fill(NONE);
    for y in (0..height).rev() {
        let line = y * width..(y + 1) * width;
        for ((value, last), to) in values[line.clone()].iter().zip(&mut last).zip(&mut rows[line]) {
            *last = match *last {
                _ if *value >= least => 0,
                NONE => NONE,
                down => down + 1,
            };
            if *last != NONE && (*to == NONE || *last < -*to) {
                *to = *last;
            }
        }
    }
    rows
}

/// Finds in a row the column through which the way to a selected pixel is shortest.
///
/// # Source
/// P. Felzenszwalb, D. Huttenlocher: Distance transforms of sampled functions, 2012: the lower
/// envelope of one parabola for each column, here in whole numbers.
struct Row {
    /// The columns on the envelope from the left, with the square of their way up or down, and the
    /// column from which each is the nearest.
    hull: Vec<(i64, i64, i64)>,
    /// The place in the hull; columns are asked for from the left.
    at: usize,
    width: usize,
}

impl Row {
    fn new(width: usize) -> Self {
        Self { hull: Vec::with_capacity(width), at: 0, width }
    }

    fn find(&mut self, to_row: impl Fn(usize) -> i64) {
        self.hull.clear();
        self.at = 0;
        for x in 0..self.width {
            let way = to_row(x);
            if way == i64::from(NONE) {
                continue;
            }
            let (x, square) = (x as i64, way * way);
            let mut from = 0;
            while let Some((column, other, since)) = self.hull.last().copied() {
                // The first column that is nearer to the new parabola than to the last one.
                let sum = square + x * x - other - column * column;
                from = sum.div_euclid(2 * (x - column)) + 1;
                if from > since {
                    break;
                }
                self.hull.pop();
                from = 0;
            }
            if from < self.width as i64 {
                self.hull.push((x, square, from));
            }
        }
    }

    /// Returns the distance and the column of the nearest; `None` when there is none in the row.
    fn nearest(&mut self, x: usize) -> Option<(f32, usize)> {
        let x = x as i64;
        while self.hull.get(self.at + 1).is_some_and(|(_, _, since)| *since <= x) {
            self.at += 1;
        }
        let (column, square, _) = self.hull.get(self.at).copied()?;
        let square = square + (x - column) * (x - column);
        Some(((square as f32).sqrt(), column as usize))
    }
}

/// Softens a selection's border over about `radius_px` pixels, 0 to 1000, to either side: a Gaussian
/// blur whose standard deviation is half of that. At the sides of the area a selection is taken to
/// go on, so a selected edge of the document stays selected.
///
/// # Source
/// P. Kovesi: Fast almost-Gaussian filtering, 2010: three box blurs whose widths give the deviation.
#[must_use]
pub fn feather(selection: &Tiles<1>, radius_px: f32, within: Area) -> Tiles<1> {
    let radius = held(radius_px, 0.0, MAX_BORDER_PX);
    let within = workable(within);
    let mut cut = selection.clone();
    cut.keep_within(within);
    let boxes = boxes(radius / 2.0);
    let reach: usize = boxes.iter().sum();
    let Some(area) = cut.bounds().filter(|_| reach > 0) else { return cut };
    let area = area.grown(reach as i32).intersect(within);
    let [width, height] = [area.width_px, area.height_px].map(|side| side as usize);
    let mut values: Vec<u16> = cut.read(area).into_iter().map(|v| u16::from(v) * 257).collect();
    let mut line = vec![0; width];
    for half in boxes {
        for row in values.chunks_exact_mut(width) {
            line.copy_from_slice(row);
            blur_line(&line, half, row);
        }
        blur_columns(&mut values, width, height, half);
    }
    let bytes: Vec<u8> = values.into_iter().map(|v| ((u32::from(v) + 128) / 257) as u8).collect();
    Tiles::from_bytes(area, &bytes)
}

/// Returns the half widths of three boxes (a box is twice that and one wide) that together have a
/// standard deviation.
fn boxes(deviation: f32) -> [usize; 3] {
    let square = 12.0 * deviation * deviation;
    // The largest odd width that is not too wide, and the next one for the last boxes.
    let ideal = (square / 3.0 + 1.0).sqrt();
    let small = (((ideal as usize).max(1) - 1) / 2 * 2 + 1) as f32;
    let count = (square - 3.0 * small * small - 12.0 * small - 9.0) / (-4.0 * small - 4.0);
    let half = (small as usize - 1) / 2;
    [0.0, 1.0, 2.0].map(|at| if at < count.round() { half } else { half + 1 })
}

/// Blurs a line by a box; beyond its ends it goes on with its last values.
fn blur_line(line: &[u16], half: usize, out: &mut [u16]) {
    let Some(last) = line.len().checked_sub(1) else { return };
    let value = |at: usize| u64::from(line[at.min(last)]);
    let count = (2 * half + 1) as u64;
    let mut sum = value(0) * half as u64 + (0..=half).map(value).sum::<u64>();
    for (at, out) in out.iter_mut().enumerate() {
        *out = ((sum + count / 2) / count) as u16;
        sum += value(at + half + 1);
        sum -= value(at.saturating_sub(half));
    }
}

/// Blurs all columns by a box, row by row, which the memory likes better than column by column.
fn blur_columns(values: &mut [u16], width: usize, height: usize, half: usize) {
    let source = values.to_vec();
    let row = |at: usize| {
        let at = at.min(height - 1) * width;
        &source[at..at + width]
    };
    // Sums stay below 65,536 · 2,001.
    let count = (2 * half + 1) as u32;
    let mut sums = vec![0u32; width];
    for at in (0..=half).chain(std::iter::repeat_n(0, half)) {
        sums.iter_mut().zip(row(at)).for_each(|(sum, value)| *sum += u32::from(*value));
    }
    for (y, out) in values.chunks_exact_mut(width).enumerate() {
        let (new, old) = (row(y + half + 1), row(y.saturating_sub(half)));
        for (((out, sum), new), old) in out.iter_mut().zip(&mut sums).zip(new).zip(old) {
            *out = ((*sum + count / 2) / count) as u16;
            *sum = *sum + u32::from(*new) - u32::from(*old);
        }
    }
}

#[cfg(test)]
#[path = "borders_tests.rs"]
mod tests;
