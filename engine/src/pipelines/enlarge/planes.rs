//! Colours and transparency of a picture apart from each other.

use crate::error::EngineError;
use crate::math::lanczos::lanczos;
use crate::protocol::Pixels;

/// Holds a picture's colours, and its transparency where it has any.
pub(super) struct Planes {
    /// `[width, height]`.
    pub(super) size: [usize; 2],
    /// Three bytes a pixel.
    pub(super) rgb: Vec<u8>,
    /// One byte a pixel.
    pub(super) alpha: Option<Vec<u8>>,
}

impl Planes {
    /// Takes a picture apart. Pixels that cannot be seen get the colours of those around them: whatever
    /// stands there would otherwise run into what is seen beside them.
    pub(super) fn of(pixels: &Pixels) -> Self {
        let size = [pixels.width_px as usize, pixels.height_px as usize];
        let four = pixels.rgba.as_chunks::<4>().0;
        let mut rgb: Vec<u8> = four.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect();
        let is_opaque = four.iter().all(|pixel| pixel[3] == u8::MAX);
        let alpha: Option<Vec<u8>> =
            (!is_opaque).then(|| four.iter().map(|pixel| pixel[3]).collect());
        if let Some(alpha) = &alpha {
            fill_unseen(&mut rgb, alpha, size);
        }
        Self { size, rgb, alpha }
    }

    /// Joins enlarged colours with the transparency, which is enlarged by Lanczos's filter.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the colours are not as many.
    pub(super) fn joined(
        alpha: Option<&[u8]>,
        from: [usize; 2],
        rgb: &[u8],
        to: [usize; 2],
    ) -> Result<Pixels, EngineError> {
        let alpha = alpha.map(|alpha| lanczos(alpha, from, to, 1));
        let mut rgba = Vec::with_capacity(to[0] * to[1] * 4);
        for (place, [r, g, b]) in rgb.as_chunks::<3>().0.iter().enumerate() {
            rgba.extend([*r, *g, *b, alpha.as_ref().map_or(u8::MAX, |alpha| alpha[place])]);
        }
        let sides = to.map(|side| u32::try_from(side).unwrap_or_default());
        Pixels::new(sides[0], sides[1], rgba)
            .ok_or_else(|| EngineError::Model { reason: "a picture has no pixels".to_owned() })
    }
}

/// Holds a smaller version of a picture: colours, and 0 where none is known.
struct Level {
    size: [usize; 2],
    pixels: Vec<[u8; 4]>,
}

impl Level {
    /// Returns the means of what is known in squares of four pixels.
    fn halved(&self) -> Self {
        let size = self.size.map(|side| side.div_ceil(2));
        let mut pixels = Vec::with_capacity(size[0] * size[1]);
        for place in 0..size[0] * size[1] {
            let (x, y) = (2 * (place % size[0]), 2 * (place / size[0]));
            let mut sums = [0u32; 4];
            for (x, y) in [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)] {
                if x < self.size[0] && y < self.size[1] {
                    let pixel = self.pixels[y * self.size[0] + x];
                    if pixel[3] > 0 {
                        let parts = [pixel[0], pixel[1], pixel[2], 1].map(u32::from);
                        sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
                    }
                }
            }
            let [r, g, b, count] = sums;
            let mean = |sum: u32| (sum / count.max(1)) as u8;
            pixels.push([mean(r), mean(g), mean(b), if count > 0 { u8::MAX } else { 0 }]);
        }
        Self { size, pixels }
    }

    fn is_whole(&self) -> bool {
        self.pixels.len() == 1 || self.pixels.iter().all(|pixel| pixel[3] > 0)
    }
}

/// Gives pixels whose alpha is 0 the mean colour of the smallest square around them in which any can be
/// seen.
fn fill_unseen(rgb: &mut [u8], alpha: &[u8], size: [usize; 2]) {
    let colours = rgb.as_chunks_mut::<3>().0;
    let pixels = colours.iter().zip(alpha).map(|([r, g, b], alpha)| [*r, *g, *b, *alpha]);
    let mut levels = vec![Level { size, pixels: pixels.collect() }];
    while let Some(last) = levels.last().filter(|last| !last.is_whole()) {
        let next = last.halved();
        levels.push(next);
    }
    for index in (1..levels.len()).rev() {
        let (finer, coarser) = levels.split_at_mut(index);
        let (Some(fine), Some(coarse)) = (finer.last_mut(), coarser.first()) else { return };
        for (place, pixel) in fine.pixels.iter_mut().enumerate() {
            if pixel[3] == 0 {
                let (x, y) = (place % fine.size[0] / 2, place / fine.size[0] / 2);
                *pixel = coarse.pixels[y * coarse.size[0] + x];
            }
        }
    }
    for (colour, [r, g, b, _]) in colours.iter_mut().zip(&levels[0].pixels) {
        *colour = [*r, *g, *b];
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_cannot_be_seen_takes_the_colours_around_it_and_the_rest_stays() {
        // A row of a red pixel, three unseen white ones and a blue one that is half seen.
        let rgba = [[255, 0, 0, 255], [255; 4], [255; 4], [255; 4], [0, 0, 200, 128]];
        let mut rgba = rgba.concat();
        (1..4).for_each(|pixel| rgba[4 * pixel + 3] = 0);
        let planes = Planes::of(&Pixels::new(5, 1, rgba).unwrap());
        assert_eq!(planes.alpha.unwrap(), [255, 0, 0, 0, 128]);
        assert_eq!(
            planes.rgb,
            [[255, 0, 0], [255, 0, 0], [255, 0, 0], [255, 0, 0], [0, 0, 200]].concat()
        );
    }

    #[test]
    fn an_unseen_picture_stays_as_it_is_and_an_opaque_one_has_no_alpha() {
        let clear = Planes::of(&Pixels::new(2, 1, vec![0; 8]).unwrap());
        assert_eq!((clear.rgb, clear.alpha), (vec![0; 6], Some(vec![0; 2])));
        let opaque = Planes::of(&Pixels::new(1, 1, vec![1, 2, 3, 255]).unwrap());
        assert_eq!((opaque.rgb, opaque.alpha), (vec![1, 2, 3], None));
    }
}
