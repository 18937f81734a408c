//! Resizing pictures by Lanczos's windowed sinc with three lobes.
//!
//! Bytes are taken as they are, not turned into amounts of light first. So do Pillow and the recipes by
//! which nets that enlarge were trained; enlarging in linear light would make the overshoot at dark
//! edges more visible. The price is that fine black and white patterns become a little darker when they
//! are shrunk.
//!
//! # Source
//! Duchon, “Lanczos Filtering in One and Two Dimensions”; where windows begin and end as in Pillow 13.0,
//! `Resample.c`.

use std::collections::VecDeque;

use rayon::prelude::*;

/// How many lobes of the sinc are kept on each side.
const LOBES: f64 = 3.0;

/// How many rows of a whole picture are taken at once: enough for all cores.
const BAND_ROWS: usize = 128;

/// Returns the filter at a distance from its centre, in places of the old picture: 0 from three on.
pub fn lanczos3(x: f64) -> f64 {
    let sinc = |x: f64| {
        let x = x * std::f64::consts::PI;
        if x == 0.0 { 1.0 } else { x.sin() / x }
    };
    if x.abs() < LOBES { sinc(x) * sinc(x / LOBES) } else { 0.0 }
}

/// Returns the filter that goes from the centre to nothing in a straight line over one place.
fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// Holds what each place of a line is made of.
#[derive(Debug, Clone)]
struct Axis {
    /// The first place of the old line, for each of the new one.
    firsts: Vec<usize>,
    /// So many factors for each place of the new line; those that are not needed are 0.
    taps: usize,
    factors: Vec<f32>,
}

impl Axis {
    /// Weighs by a filter that is 0 from `lobes` on.
    fn new(from: usize, to: usize, lobes: f64, filter: impl Fn(f64) -> f64) -> Self {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let reach = lobes * stretch;
        let taps = (2 * reach.ceil() as usize + 1).min(from);
        let mut axis = Self { firsts: Vec::new(), taps, factors: Vec::new() };
        for place in 0..to {
            let centre = (place as f64 + 0.5) * scale;
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let end = ((centre + reach + 0.5) as usize).min(from);
            let weight = |at: usize| filter((at as f64 - centre + 0.5) / stretch);
            let sum: f64 = (first..end).map(weight).sum();
            // Windows of the same length let the loops over them be plain.
            let first = first.min(from - taps);
            axis.firsts.push(first);
            let factor = |at: usize| if at < end { (weight(at) / sum) as f32 } else { 0.0 };
            axis.factors.extend((first..first + taps).map(factor));
        }
        axis
    }

    fn window(&self, place: usize) -> (usize, &[f32]) {
        (self.firsts[place], &self.factors[place * self.taps..][..self.taps])
    }
}

/// Resizes a picture whose rows come one after the other; only the rows that are still needed are kept.
#[derive(Debug, Clone)]
pub struct LanczosRows {
    across: Axis,
    down: Axis,
    /// Numbers of a pixel.
    channels: usize,
    /// Numbers of an old row.
    old_row: usize,
    /// Rows of the old height and the new width.
    held: VecDeque<Vec<f32>>,
    /// The number of the first row that is held.
    first_held: usize,
    /// The next row of the result.
    next: usize,
}

impl LanczosRows {
    /// Begins a picture: `[width, height]` before and after, with so many numbers a pixel.
    ///
    /// # Panics
    /// When a side or `channels` is 0.
    pub fn new(from: [usize; 2], to: [usize; 2], channels: usize) -> Self {
        let axis = |at: usize| Axis::new(from[at], to[at], LOBES, lanczos3);
        Self::with_axes(from, to, channels, axis)
    }

    /// Begins a picture that is resized by triangles, as Pillow's `BILINEAR` does: softer, and without
    /// overshoot. `[width, height]` before and after, with so many numbers a pixel.
    ///
    /// # Panics
    /// When a side or `channels` is 0.
    pub fn linear(from: [usize; 2], to: [usize; 2], channels: usize) -> Self {
        Self::with_axes(from, to, channels, |at| Axis::new(from[at], to[at], 1.0, triangle))
    }

    fn with_axes(
        from: [usize; 2],
        to: [usize; 2],
        channels: usize,
        axis: impl Fn(usize) -> Axis,
    ) -> Self {
        assert!(from.iter().chain(&to).all(|side| *side > 0) && channels > 0, "there are pixels");
        Self {
            across: axis(0),
            down: axis(1),
            channels,
            old_row: from[0] * channels,
            held: VecDeque::new(),
            first_held: 0,
            next: 0,
        }
    }

    /// Takes the next rows and returns the rows of the result that are then complete; behind the last
    /// row all are.
    pub fn push(&mut self, rows: &[u8]) -> Vec<u8> {
        let rows: Vec<Vec<f32>> =
            rows.par_chunks_exact(self.old_row).map(|row| self.resized(row)).collect();
        self.held.extend(rows);
        let known = self.first_held + self.held.len();
        let first = self.next;
        let is_complete = |row: usize| self.down.firsts[row] + self.down.taps <= known;
        while self.next < self.down.firsts.len() && is_complete(self.next) {
            self.next += 1;
        }
        let width = self.across.firsts.len() * self.channels;
        let mut out = vec![0; (self.next - first) * width];
        out.par_chunks_exact_mut(width).enumerate().for_each(|(row, out)| {
            let (from, factors) = self.down.window(first + row);
            let mut sums = vec![0f32; width];
            for (old, factor) in self.held.range(from - self.first_held..).zip(factors) {
                for (sum, value) in sums.iter_mut().zip(old) {
                    *sum += factor * value;
                }
            }
            for (out, sum) in out.iter_mut().zip(&sums) {
                *out = sum.round().clamp(0.0, 255.0) as u8;
            }
        });
        let needed = self.down.firsts.get(self.next).copied().unwrap_or(known).min(known);
        self.held.drain(..needed - self.first_held);
        self.first_held = needed;
        out
    }

    /// Resizes a row across.
    fn resized(&self, row: &[u8]) -> Vec<f32> {
        let row: Vec<f32> = row.iter().map(|byte| f32::from(*byte)).collect();
        match self.channels {
            1 => self.resized_as::<1>(&row),
            3 => self.resized_as::<3>(&row),
            channels => {
                let mut out = vec![0f32; self.across.firsts.len() * channels];
                for (place, out) in out.chunks_exact_mut(channels).enumerate() {
                    let (first, factors) = self.across.window(place);
                    for (factor, old) in
                        factors.iter().zip(row[first * channels..].chunks(channels))
                    {
                        for (out, old) in out.iter_mut().zip(old) {
                            *out += factor * old;
                        }
                    }
                    out.iter_mut().for_each(|out| *out = out.clamp(0.0, 255.0));
                }
                out
            }
        }
    }

    /// Does the same for a number of channels that the compiler knows.
    fn resized_as<const N: usize>(&self, row: &[f32]) -> Vec<f32> {
        let pixels = row.as_chunks::<N>().0;
        let mut out = Vec::with_capacity(self.across.firsts.len() * N);
        for place in 0..self.across.firsts.len() {
            let (first, factors) = self.across.window(place);
            let mut sums = [0f32; N];
            for (factor, pixel) in factors.iter().zip(&pixels[first..]) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += factor * value;
                }
            }
            // Pillow has bytes here, so what overshoots across does not reach up and down.
            out.extend(sums.map(|sum| sum.clamp(0.0, 255.0)));
        }
        out
    }
}

/// Resizes a whole picture: `[width, height]` before and after, rows from the top, `channels` numbers a
/// pixel.
///
/// # Panics
/// When a side or `channels` is 0, or `picture` is not as long as `from` says.
pub fn lanczos(picture: &[u8], from: [usize; 2], to: [usize; 2], channels: usize) -> Vec<u8> {
    assert_eq!(picture.len(), from[0] * from[1] * channels, "the picture is as large as it says");
    if from == to {
        return picture.to_vec();
    }
    let mut rows = LanczosRows::new(from, to, channels);
    let bands = picture.chunks(BAND_ROWS * from[0] * channels);
    let mut out = Vec::with_capacity(to[0] * to[1] * channels);
    bands.for_each(|band| out.extend(rows.push(band)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize, channels: usize) -> Vec<u8> {
        let value = |i: usize| (i * i % 251) as u8;
        (0..width * height * channels).map(value).collect()
    }

    #[test]
    fn one_colour_stays_that_colour_whatever_the_size() {
        for (from, to) in
            [([7, 5], [13, 29]), ([40, 31], [3, 2]), ([1, 1], [4, 4]), ([2, 9], [9, 2])]
        {
            let grey = vec![77; from[0] * from[1] * 3];
            let out = lanczos(&grey, from, to, 3);
            assert_eq!(out, vec![77; to[0] * to[1] * 3], "{from:?} to {to:?}");
        }
    }

    #[test]
    fn rows_that_come_in_parts_give_the_same_picture() {
        for (from, to) in [([9, 23], [21, 60]), ([9, 23], [4, 5]), ([3, 4], [3, 4])] {
            for channels in [1, 3, 4] {
                let picture = picture(from[0], from[1], channels);
                let whole = LanczosRows::new(from, to, channels).push(&picture);
                assert_eq!(whole.len(), to[0] * to[1] * channels);
                for step in [1, 2, 7] {
                    let mut rows = LanczosRows::new(from, to, channels);
                    let parts = picture.chunks(step * from[0] * channels);
                    let out: Vec<u8> = parts.flat_map(|part| rows.push(part)).collect();
                    assert_eq!(out, whole, "{from:?} to {to:?} by {step}");
                }
            }
        }
    }
}
