//! Scaling and turning by any angle: what makes new pixels out of several.
//!
//! Colours are weighed by their alpha, so what cannot be seen does not bleed into what can.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::limits::workable;
use super::{Area, Tiles};
use crate::math::lanczos::lanczos3;

/// Says how pixels are made when a picture is scaled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Takes the nearest pixel: for pixel art and masks with hard edges.
    Nearest,
    /// Weighs the pixels around by Lanczos' window of three: sharp, and without aliases when a
    /// picture becomes smaller.
    #[default]
    Lanczos,
}

/// Scales everything so that the area `from` becomes the area `to`; what lies beyond the sides of
/// `from` is scaled with it. Only what comes to lie in `within` is made.
///
/// At the sides of `from` a picture that ends there is taken to go on, so the edge of a document
/// stays as it is. Nothing comes out when either area is empty.
///
/// # Source
/// C. Lanczos' window as in K. Turkowski: Filters for common resampling tasks, 1990.
#[must_use]
pub fn scale<const N: usize>(
    tiles: &Tiles<N>,
    from: Area,
    to: Area,
    filter: Filter,
    within: Area,
) -> Tiles<N> {
    if from.is_empty() || to.is_empty() {
        return Tiles::default();
    }
    if from == to {
        return super::crop(tiles, workable(within));
    }
    let mut near = tiles.clone();
    near.keep_within(workable(tiles.bounds().unwrap_or_default()));
    let Some(bounds) = near.bounds() else { return Tiles::default() };
    let source = with_margin(bounds, from, 4);
    let x = Axis::new([source.x, source.right()], [from.x, from.right()], [to.x, to.right()]);
    let y = Axis::new([source.y, source.bottom()], [from.y, from.bottom()], [to.y, to.bottom()]);
    let place = Area::between([x.start, y.start], [x.end, y.end]).intersect(workable(within));
    if place.is_empty() {
        return Tiles::default();
    }
    let columns = x.taps(place.x, place.right(), filter);
    let rows = y.taps(place.y, place.bottom(), filter);
    resample(&near, source, place, &columns, &rows)
}

/// Returns the area to read: with some of the empty ground around, but not beyond the sides of `from`
/// that the picture does not cross.
fn with_margin(bounds: Area, from: Area, margin: i32) -> Area {
    let wide = bounds.grown(margin);
    let low = |wide: i32, bound: i32, side: i32| if bound >= side { wide.max(side) } else { wide };
    let high = |wide: i32, bound: i32, side: i32| if bound <= side { wide.min(side) } else { wide };
    let first = [low(wide.x, bounds.x, from.x), low(wide.y, bounds.y, from.y)];
    let last = [
        high(wide.right(), bounds.right(), from.right()),
        high(wide.bottom(), bounds.bottom(), from.bottom()),
    ];
    Area::between(first, last)
}

/// The pixels of one axis that make a new one: the first of them, and their weights.
struct Tap {
    first: usize,
    weights: Vec<f32>,
}

/// Maps one axis onto another.
struct Axis {
    /// The pixels that are there.
    source: [i32; 2],
    /// Where `from` begins, and `to`.
    origins: [f64; 2],
    /// New pixels for an old one.
    factor: f64,
    /// The new pixels that something comes to.
    start: i32,
    end: i32,
}

impl Axis {
    fn new(source: [i32; 2], from: [i32; 2], to: [i32; 2]) -> Self {
        let [from_start, from_end] = from.map(f64::from);
        let [to_start, to_end] = to.map(f64::from);
        let factor = (to_end - to_start) / (from_end - from_start);
        let there = |side: i32| to_start + (f64::from(side) - from_start) * factor;
        // A product that should be whole is only nearly so.
        let (start, end) = ((there(source[0]) + 1e-6).floor(), (there(source[1]) - 1e-6).ceil());
        Self {
            source,
            origins: [from_start, to_start],
            factor,
            start: start as i32,
            end: end as i32,
        }
    }

    /// Returns how the new pixels `from..to` are made.
    fn taps(&self, from: i32, to: i32, filter: Filter) -> Vec<Tap> {
        (from..to).map(|at| self.tap(at, filter)).collect()
    }

    fn tap(&self, at: i32, filter: Filter) -> Tap {
        let [first, end] = self.source;
        let centre = self.origins[0] + (f64::from(at) + 0.5 - self.origins[1]) / self.factor;
        let centre = centre - f64::from(first);
        let length = f64::from(end) - f64::from(first);
        let place = |value: f64| value.clamp(0.0, length - 1.0) as usize;
        if filter == Filter::Nearest {
            return Tap { first: place(centre.floor()), weights: vec![1.0] };
        }
        // Made smaller, a new pixel is as wide as the old ones that it stands for.
        let width = (1.0 / self.factor).max(1.0);
        let least = place((centre - 3.0 * width).floor());
        let most = place((centre + 3.0 * width).ceil());
        let weights: Vec<f64> =
            (least..=most).map(|pixel| lanczos3((pixel as f64 + 0.5 - centre) / width)).collect();
        let sum: f64 = weights.iter().sum();
        if sum.abs() < 1e-9 {
            return Tap { first: place(centre.floor()), weights: vec![1.0] };
        }
        Tap { first: least, weights: weights.iter().map(|weight| (weight / sum) as f32).collect() }
    }
}

/// Makes new pixels column by column and row by row. Only as many rows as one new row needs are held.
fn resample<const N: usize>(
    tiles: &Tiles<N>,
    source: Area,
    place: Area,
    columns: &[Tap],
    rows: &[Tap],
) -> Tiles<N> {
    let mut out = Tiles::default();
    // The rows that were scaled across, and the number of the first.
    let mut held: VecDeque<Vec<[f32; N]>> = VecDeque::new();
    let mut first = 0;
    // Rows are gathered, so that a tile is not opened for each of them.
    let mut band = Vec::new();
    let mut band_top = place.y;
    let width = place.width_px as usize;
    for (y, tap) in (place.y..place.bottom()).zip(rows) {
        while first < tap.first && held.pop_front().is_some() {
            first += 1;
        }
        if held.is_empty() {
            first = tap.first;
        }
        while first + held.len() < tap.first + tap.weights.len() {
            let row = source.y + (first + held.len()) as i32;
            held.push_back(across(tiles, Area { y: row, height_px: 1, ..source }, columns));
        }
        let mut sums = vec![[0.0; N]; width];
        for (row, weight) in held.iter().skip(tap.first - first).zip(&tap.weights) {
            for (sum, pixel) in sums.iter_mut().zip(row) {
                (0..N).for_each(|channel| sum[channel] += pixel[channel] * weight);
            }
        }
        band.extend(sums.into_iter().flat_map(straight));
        if y + 1 == place.bottom() || (y + 1).rem_euclid(super::TILE_PX) == 0 {
            out.write(Area::between([place.x, band_top], [place.right(), y + 1]), &band);
            band.clear();
            band_top = y + 1;
        }
    }
    out
}

/// Scales a row across.
fn across<const N: usize>(tiles: &Tiles<N>, row: Area, columns: &[Tap]) -> Vec<[f32; N]> {
    let bytes = tiles.read(row);
    let pixels: Vec<[f32; N]> = bytes.as_chunks().0.iter().map(premultiplied).collect();
    let made = |tap: &Tap| {
        let mut sum = [0.0; N];
        for (pixel, weight) in pixels.iter().skip(tap.first).zip(&tap.weights) {
            (0..N).for_each(|channel| sum[channel] += pixel[channel] * weight);
        }
        sum
    };
    columns.iter().map(made).collect()
}

/// Weighs a colour by its alpha; planes of one byte a pixel have none.
fn premultiplied<const N: usize>(pixel: &[u8; N]) -> [f32; N] {
    let mut values = pixel.map(f32::from);
    if N == 4 {
        let alpha = values[3] / 255.0;
        values[..3].iter_mut().for_each(|value| *value *= alpha);
    }
    values
}

/// Undoes [`premultiplied`] and rounds.
fn straight<const N: usize>(mut values: [f32; N]) -> [u8; N] {
    if N == 4 {
        let alpha = values[3].clamp(0.0, 255.0);
        if alpha < 0.5 {
            return [0; N];
        }
        values[..3].iter_mut().for_each(|value| *value = *value * 255.0 / alpha);
    }
    // `as` saturates: what overshoots is cut.
    values.map(|value| (value + 0.5) as u8)
}

/// Turns everything by an angle, clockwise in degrees, about a point in pixels of the document, by
/// weighing the four nearest pixels. Only what comes to lie in `within` is made; an angle or a point
/// that is no finite number changes nothing.
#[must_use]
pub fn rotate<const N: usize>(
    tiles: &Tiles<N>,
    degrees: f32,
    about: [f32; 2],
    within: Area,
) -> Tiles<N> {
    let within = workable(within);
    if !degrees.is_finite() || about.iter().any(|value| !value.is_finite()) {
        return super::crop(tiles, within);
    }
    let mut near = tiles.clone();
    near.keep_within(workable(tiles.bounds().unwrap_or_default()));
    let Some(source) = near.bounds() else { return near };
    let (sin, cos) = f64::from(degrees % 360.0).to_radians().sin_cos();
    let [cx, cy] = about.map(f64::from);
    let there = |x: i32, y: i32| {
        let [dx, dy] = [f64::from(x) - cx, f64::from(y) - cy];
        [cx + dx * cos - dy * sin, cy + dx * sin + dy * cos]
    };
    let corners = [
        there(source.x, source.y),
        there(source.right(), source.y),
        there(source.x, source.bottom()),
        there(source.right(), source.bottom()),
    ];
    let side = |axis: usize, pick: fn(f64, f64) -> f64| {
        corners.iter().map(|corner| corner[axis]).fold(f64::NAN, pick) as f32
    };
    let least = [side(0, f64::min), side(1, f64::min)];
    let greatest = [side(0, f64::max), side(1, f64::max)];
    let place = Area::around(least, greatest).grown(1).intersect(within);
    let bytes = near.read(source);
    let (pixels, _) = bytes.as_chunks::<N>();
    let width = i64::from(source.width_px);
    let pixel = |x: i64, y: i64| {
        let [x, y] = [x - i64::from(source.x), y - i64::from(source.y)];
        let is_inside = (0..width).contains(&x) && y >= 0;
        let at = is_inside.then(|| pixels.get((y * width + x) as usize)).flatten();
        at.map_or([0.0; N], premultiplied)
    };
    let mut out = Tiles::default();
    out.change(place, |[x, y], row| {
        for (column, to) in row.as_chunks_mut::<N>().0.iter_mut().enumerate() {
            let dx = f64::from(x) + column as f64 + 0.5 - cx;
            let dy = f64::from(y) + 0.5 - cy;
            let [from_x, from_y] = [cx + dx * cos + dy * sin - 0.5, cy - dx * sin + dy * cos - 0.5];
            let [left, top] = [from_x.floor(), from_y.floor()];
            let [u, v] = [(from_x - left) as f32, (from_y - top) as f32];
            let [left, top] = [left as i64, top as i64];
            let (a, b) = (pixel(left, top), pixel(left + 1, top));
            let (c, d) = (pixel(left, top + 1), pixel(left + 1, top + 1));
            let mut sum = [0.0; N];
            for channel in 0..N {
                let upper = a[channel] + (b[channel] - a[channel]) * u;
                let lower = c[channel] + (d[channel] - c[channel]) * u;
                sum[channel] = upper + (lower - upper) * v;
            }
            *to = straight(sum);
        }
    });
    out
}

#[cfg(test)]
#[path = "resample_tests.rs"]
mod tests;
