//! A picture of one number a pixel.

use crate::protocol::Pixels;

/// Holds one number for each pixel, row by row.
#[derive(Debug, Clone)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

impl Plane {
    /// Returns the brightness of a picture by BT.601, 0 to 255.
    pub(super) fn grey(picture: &Pixels) -> Self {
        let grey = |pixel: &[u8]| {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
            (0.299 * r + 0.587 * g + 0.114 * b).round()
        };
        Self {
            width: picture.width_px as usize,
            height: picture.height_px as usize,
            values: picture.rgba.chunks_exact(4).map(grey).collect(),
        }
    }

    /// Returns one colour of a picture (0 red, 1 green, 2 blue), 0 to 255.
    pub(super) fn channel(picture: &Pixels, channel: usize) -> Self {
        Self {
            width: picture.width_px as usize,
            height: picture.height_px as usize,
            values: picture.rgba.chunks_exact(4).map(|pixel| f32::from(pixel[channel])).collect(),
        }
    }

    /// Returns the number at a place; beyond the edge that of the nearest pixel.
    pub(super) fn at(&self, x: isize, y: isize) -> f32 {
        let x = x.clamp(0, self.width as isize - 1) as usize;
        let y = y.clamp(0, self.height as isize - 1) as usize;
        self.values[y * self.width + x]
    }

    /// Blurs by a Gaussian of this deviation in pixels.
    pub(super) fn blurred(&self, sigma: f32) -> Self {
        let radius = (3.0 * sigma).ceil().max(1.0) as isize;
        let mut kernel: Vec<f32> = (-radius..=radius)
            .map(|offset| (-(offset as f32).powi(2) / (2.0 * sigma * sigma)).exp())
            .collect();
        let sum: f32 = kernel.iter().sum();
        kernel.iter_mut().for_each(|weight| *weight /= sum);
        let across = self.mapped(|plane, x, y| {
            kernel.iter().zip(-radius..).map(|(k, offset)| k * plane.at(x + offset, y)).sum()
        });
        across.mapped(|plane, x, y| {
            kernel.iter().zip(-radius..).map(|(k, offset)| k * plane.at(x, y + offset)).sum()
        })
    }

    /// Makes a plane of the same size of what `make` returns for each place.
    pub(super) fn mapped(&self, make: impl Fn(&Self, isize, isize) -> f32) -> Self {
        let mut values = Vec::with_capacity(self.values.len());
        for y in 0..self.height as isize {
            values.extend((0..self.width as isize).map(|x| make(self, x, y)));
        }
        Self { values, ..*self }
    }
}
