//! Pictures larger than a model paints, in windows of its size that pass into each other.
//!
//! A sampler leads the latents of the whole picture; only what the net says about them is asked window
//! by window, and where windows overlap their answers are mixed. So noise and steps belong to places
//! of the whole picture, and no window has an edge of its own.
//!
//! # Source
//! Bar-Tal, Yariv, Lipman, Dekel: MultiDiffusion, equation 5, with weights that fall off to the edge.

use candle_core::{Device, Tensor};

use crate::error::EngineError;
use crate::protocol::{Pixels, Size};

/// Divides a picture into windows; all but `scale` in latents, `[down, across]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Windows {
    /// The whole picture, filled up to a size that the model reads.
    pub whole: [usize; 2],
    /// A window; all are of one size.
    pub window: [usize; 2],
    /// Pixels of a latent's side.
    scale: usize,
    /// Where windows begin, along both axes.
    starts: [Vec<usize>; 2],
    /// The share of a window over which it passes into others.
    ramp: f64,
}

/// Describes how a model reads windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    /// A window's sides are multiples of this.
    pub grid_px: u32,
    /// Pixels of a latent's side; divides the grid.
    pub scale: usize,
    /// The least share of a window that it has in common with the next, below 1.
    pub overlap: f64,
}

impl Windows {
    /// Divides a picture into windows of about `tile`; one that is smaller becomes a single window.
    pub(super) fn new(picture: Size, tile: Size, reading: Reading) -> Self {
        let Reading { grid_px, scale, overlap } = reading;
        let grid = (grid_px as usize).max(scale);
        let cells = |px: usize| px.div_ceil(grid) * grid / scale;
        let [tall, wide] = [tile.height_px, tile.width_px].map(|px| cells((px as usize).max(1)));
        let sides = [picture.height_px, picture.width_px].map(|px| (px as usize).max(1));
        // Of a side that one window covers the model sees no more than there is.
        // No less than half a window: what is narrower is filled up.
        let fit =
            |side: usize, window: usize| window.min(cells(side).max(cells(window * scale / 2)));
        let window = [fit(sides[0], tall), fit(sides[1], wide)];
        let whole = [0, 1].map(|axis| sides[axis].div_ceil(scale).max(window[axis]));
        let starts = [0, 1].map(|axis| starts(whole[axis], window[axis], overlap));
        Self { whole, window, scale, starts, ramp: overlap.min(0.5) }
    }

    /// Returns how many windows there are.
    pub(super) fn count(&self) -> usize {
        self.starts[0].len() * self.starts[1].len()
    }

    /// Returns where the windows begin, row by row.
    pub(super) fn places(&self) -> impl Iterator<Item = [usize; 2]> {
        let [rows, columns] = &self.starts;
        rows.iter().flat_map(|row| columns.iter().map(|column| [*row, *column]))
    }

    /// Returns the size of a window in pixels.
    pub(super) fn window_px(&self) -> Size {
        let [height_px, width_px] = self.window.map(|side| (side * self.scale) as u32);
        Size { width_px, height_px }
    }

    /// Makes the latents of the whole picture `[1, channels, …]` of what `make` gives for each window,
    /// `[1, channels, …]`.
    ///
    /// # Errors
    /// Those of `make` and of the tensor library.
    pub(super) fn gather(
        &self,
        device: &Device,
        mut make: impl FnMut(usize, [usize; 2]) -> Result<Tensor, EngineError>,
    ) -> Result<Tensor, EngineError> {
        if self.count() == 1 {
            return make(0, [0, 0]);
        }
        let [height, width] = self.whole;
        let [tall, wide] = self.window;
        let [down, across] = self.shares(1);
        let (mut sums, mut channels) = (Vec::new(), 0);
        for (index, at) in self.places().enumerate() {
            let (down, across) = (&down[index / across.len()], &across[index % across.len()]);
            let made = make(index, at)?;
            channels = made.dim(1)?;
            let values = made.flatten_all()?.to_vec1::<f32>()?;
            sums.resize(channels * height * width, 0f32);
            for (channel, values) in values.chunks_exact(tall * wide).enumerate() {
                for (y, values) in values.chunks_exact(wide).enumerate() {
                    let from = (channel * height + at[0] + y) * width + at[1];
                    let row = sums[from..from + wide].iter_mut();
                    for ((sum, value), share) in row.zip(values).zip(across) {
                        *sum += value * share * down[y];
                    }
                }
            }
        }
        Ok(Tensor::from_vec(sums, (1, channels, height, width), device)?)
    }

    /// Returns a window of latents, `[1, channels, …]`.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub(super) fn of(&self, latents: &Tensor, at: [usize; 2]) -> Result<Tensor, EngineError> {
        let [tall, wide] = self.window;
        Ok(latents.narrow(2, at[0], tall)?.narrow(3, at[1], wide)?.contiguous()?)
    }

    /// Returns a window of a picture as `[1, 3, …]` in -1..=1, mirrored beyond its ends.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub(super) fn pixels(&self, picture: &Pixels, at: [usize; 2]) -> Result<Tensor, EngineError> {
        let sides = [picture.height_px, picture.width_px].map(|side| side as usize);
        let [top, left] = at.map(|side| side * self.scale);
        let [tall, wide] = self.window.map(|side| side * self.scale);
        let mut values = Vec::with_capacity(3 * tall * wide);
        for channel in 0..3 {
            for y in top..top + tall {
                let row = mirrored(y, sides[0]) * sides[1];
                for x in left..left + wide {
                    let byte = picture.rgba[4 * (row + mirrored(x, sides[1])) + channel];
                    values.push(f32::from(byte) / 127.5 - 1.0);
                }
            }
        }
        Ok(Tensor::from_vec(values, (1, 3, tall, wide), &Device::Cpu)?)
    }

    /// Paints over a picture what `make` gives for each window, `[1, 3, …]` about -1..=1; transparency
    /// stays.
    ///
    /// # Errors
    /// Those of `make`; [`EngineError::NotANumber`] when a value is not finite; errors of the tensor
    /// library.
    pub(super) fn paint(
        &self,
        picture: &mut Pixels,
        mut make: impl FnMut([usize; 2]) -> Result<Tensor, EngineError>,
    ) -> Result<(), EngineError> {
        let [tall, wide] = self.window.map(|side| side * self.scale);
        let width = self.whole[1] * self.scale;
        let shares = self.shares(self.scale);
        let mut band = vec![0f32; 3 * tall * width];
        for (index, start) in self.starts[0].iter().enumerate() {
            for (column, across) in self.starts[1].iter().zip(&shares[1]) {
                let made = make([*start, *column])?.flatten_all()?.to_vec1::<f32>()?;
                if !made.iter().all(|value| value.is_finite()) {
                    return Err(EngineError::NotANumber { stage: "decoder".to_owned() });
                }
                let left = column * self.scale;
                for (channel, values) in made.chunks_exact(tall * wide).enumerate() {
                    for (y, values) in values.chunks_exact(wide).enumerate() {
                        let from = 3 * (y * width + left) + channel;
                        let row = band[from..].iter_mut().step_by(3);
                        let down = shares[0][index][y];
                        for ((sum, value), share) in row.zip(values).zip(across) {
                            *sum += value * share * down;
                        }
                    }
                }
            }
            // No later window reaches the rows before the next one's start.
            let next = self.starts[0].get(index + 1).unwrap_or(&self.whole[0]);
            let done = (next - start) * self.scale;
            let done = 3 * done.min(tall) * width;
            write(picture, start * self.scale, (&band[..done], width));
            band.copy_within(done.., 0);
            let left = band.len() - done;
            band[left..].fill(0.0);
        }
        Ok(())
    }

    /// Returns, for both axes and every window along them, how much of each place is the window's, where
    /// a latent is `fine` places: they add up to 1.
    fn shares(&self, fine: usize) -> [Vec<Vec<f32>>; 2] {
        [0, 1].map(|axis| {
            let (starts, window) = (&self.starts[axis], self.window[axis] * fine);
            let ramp = (window as f64 * self.ramp).max(1.0);
            let weight = |place: usize| {
                let edge = place.min(window - 1 - place) as f64 + 0.5;
                (edge / ramp).min(1.0)
            };
            let mut sums = vec![0f64; self.whole[axis] * fine];
            for start in starts {
                let places = sums[start * fine..][..window].iter_mut().enumerate();
                places.for_each(|(place, sum)| *sum += weight(place));
            }
            let share = |start: &usize| {
                let sums = &sums[start * fine..][..window];
                let shares = sums.iter().enumerate().map(|(place, sum)| weight(place) / sum);
                shares.map(|share| share as f32).collect()
            };
            starts.iter().map(share).collect()
        })
    }
}

/// Places windows evenly along a side.
fn starts(whole: usize, window: usize, overlap: f64) -> Vec<usize> {
    if whole <= window {
        return vec![0];
    }
    let step = (window as f64 * (1.0 - overlap)).max(1.0);
    let count = ((whole - window) as f64 / step).ceil() as usize;
    (0..=count).map(|index| index * (whole - window) / count).collect()
}

/// Returns the place that stands for one beyond the end of a side.
fn mirrored(place: usize, side: usize) -> usize {
    let period = (2 * side).saturating_sub(2).max(1);
    let place = place % period;
    if place < side { place } else { period - place }
}

/// Writes rows of colours in -1..=1, `stride` pixels each, into a picture, as far as it goes.
fn write(picture: &mut Pixels, top: usize, (band, stride): (&[f32], usize)) {
    let width = picture.width_px as usize;
    let byte = |value: f32| ((value + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8;
    let rows = picture.rgba.chunks_exact_mut(4 * width).skip(top);
    for (row, values) in rows.zip(band.chunks_exact(3 * stride)) {
        for (pixel, values) in row.chunks_exact_mut(4).zip(values.chunks_exact(3)) {
            pixel.iter_mut().zip(values).for_each(|(old, value)| *old = byte(*value));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn size(width_px: u32, height_px: u32) -> Size {
        Size { width_px, height_px }
    }

    #[test]
    fn windows_cover_every_place_and_their_shares_add_up_to_one() {
        for picture in [size(512, 512), size(513, 300), size(70, 900), size(256, 256), size(1, 1)] {
            let reading = Reading { grid_px: 32, scale: 16, overlap: 0.25 };
            let windows = Windows::new(picture, size(256, 256), reading);
            assert!(windows.window.iter().all(|side| side % 2 == 0 && *side >= 8), "{windows:?}");
            let pixels = [picture.height_px, picture.width_px];
            for (axis, pixels) in pixels.into_iter().enumerate() {
                assert!(windows.whole[axis] * 16 >= pixels as usize, "{windows:?}");
                for fine in [1, 16] {
                    let mut sums = vec![0f32; windows.whole[axis] * fine];
                    let shares = &windows.shares(fine)[axis];
                    for (start, shares) in windows.starts[axis].iter().zip(shares) {
                        for (sum, share) in sums[start * fine..].iter_mut().zip(shares) {
                            *sum += share;
                        }
                    }
                    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{windows:?}");
                }
                let pairs = windows.starts[axis].windows(2);
                let most = windows.window[axis] * 3 / 4;
                assert!(pairs.clone().all(|pair| pair[1] - pair[0] <= most), "{windows:?}");
            }
        }
    }

    #[test]
    fn what_windows_leave_as_it_is_comes_out_as_it_was() {
        let picture = size(83, 61);
        let rgba: Vec<u8> = (0..83 * 61 * 4).map(|at| (at * 31 % 251) as u8).collect();
        let pixels = Pixels::new(83, 61, rgba).unwrap();
        let reading = Reading { grid_px: 16, scale: 8, overlap: 0.6 };
        let windows = Windows::new(picture, size(32, 32), reading);
        assert!(windows.count() > 4);
        let mut painted = pixels.clone();
        windows.paint(&mut painted, |at| windows.pixels(&pixels, at)).unwrap();
        assert_eq!(painted, pixels);
        let values: Vec<f32> =
            (0..2 * windows.whole[0] * windows.whole[1]).map(|at| at as f32).collect();
        let shape = (1, 2, windows.whole[0], windows.whole[1]);
        let latents = Tensor::from_vec(values.clone(), shape, &Device::Cpu).unwrap();
        let same = windows.gather(&Device::Cpu, |_, at| windows.of(&latents, at)).unwrap();
        let same = same.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(same.iter().zip(&values).all(|(a, b)| (a - b).abs() <= 1e-4 * b.max(1.0)));
    }

    #[test]
    fn places_beyond_the_end_are_mirrored_however_far_they_are() {
        assert_eq!([0, 2, 3, 4, 5, 6].map(|place| mirrored(place, 3)), [0, 2, 1, 0, 1, 2]);
        assert_eq!([0, 1, 7].map(|place| mirrored(place, 1)), [0, 0, 0]);
    }
}
