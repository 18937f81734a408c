//! The colours of a picture that was painted over, kept on the whole to those before.

use super::taps::{Taps, add, along, taps};
use crate::protocol::Pixels;

/// Takes back what painting over changed of a picture's colours on the whole: the difference of the
/// means of squares of `side_px`, passed smoothly from one to the next. What changed within them, and
/// transparency, stays. Pictures of two sizes are left alone.
///
/// # Source
/// The colour fix of Wang et al., Exploiting diffusion prior for real-world image super-resolution
/// (StableSR), with means of squares in place of wavelets.
pub fn keep_tone(painted: &mut Pixels, before: &Pixels, side_px: u32) {
    let [width, height] = [painted.width_px, painted.height_px].map(|side| side as usize);
    if painted.rgba.len() != before.rgba.len() || painted.width_px != before.width_px {
        return;
    }
    let side = (side_px as usize).max(1);
    let (columns, rows) = (width.div_ceil(side), height.div_ceil(side));
    let mut sums = vec![[0.0f32; 4]; columns * rows];
    let pixels = painted.rgba.chunks_exact(4).zip(before.rgba.chunks_exact(4));
    for (at, (new, old)) in pixels.enumerate() {
        let sum = &mut sums[at / width / side * columns + at % width / side];
        for (sum, (new, old)) in sum.iter_mut().zip(new.iter().zip(old)).take(3) {
            *sum += f32::from(*old) - f32::from(*new);
        }
        sum[3] += 1.0;
    }
    let means: Vec<[f32; 3]> =
        sums.iter().map(|[r, g, b, count]| [r / count, g / count, b / count]).collect();
    let spread = |cells: usize, pixels: usize| -> Vec<Taps> {
        taps(cells, 0.0, pixels as f64 / side as f64, pixels)
    };
    let (across, down) = (spread(columns, width), spread(rows, height));
    let mut wide = vec![vec![[0.0f32; 3]; width]; rows];
    for (wide, means) in wide.iter_mut().zip(means.chunks_exact(columns)) {
        along(means, &across, wide);
    }
    let mut line = vec![[0.0f32; 3]; width];
    for (row, taps) in painted.rgba.chunks_exact_mut(4 * width).zip(&down) {
        line.fill([0.0; 3]);
        for (weight, wide) in taps.weights.iter().zip(&wide[taps.first..]) {
            add(&mut line, wide, *weight);
        }
        for (pixel, offset) in row.chunks_exact_mut(4).zip(&line) {
            for (value, offset) in pixel.iter_mut().zip(offset) {
                *value = (f32::from(*value) + offset).round().clamp(0.0, 255.0) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn picture(value: impl Fn(usize, usize) -> [u8; 3]) -> Pixels {
        let rgba = (0..90 * 70).flat_map(|at| {
            let [r, g, b] = value(at % 90, at / 90);
            [r, g, b, (at % 256) as u8]
        });
        Pixels::new(90, 70, rgba.collect()).unwrap()
    }

    #[test]
    fn a_cast_over_the_picture_goes_and_fine_detail_stays() {
        let before = picture(|x, y| [(60 + x) as u8, (80 + y) as u8, 120]);
        // Darker and warmer by a slope, with a fine pattern that was not there.
        let stripe = |x: usize| if x.is_multiple_of(2) { 8 } else { 0 };
        let mut painted = picture(|x, y| {
            [(60 + x + 10 + x / 9 + stripe(x)) as u8, (80 + y - 12) as u8, 110 + stripe(x) as u8]
        });
        keep_tone(&mut painted, &before, 16);
        for (at, (new, old)) in
            painted.rgba.chunks_exact(4).zip(before.rgba.chunks_exact(4)).enumerate()
        {
            let x = at % 90;
            // The pattern's own mean is four.
            let wanted = [0, 1, 2].map(|c| {
                let pattern = if c == 1 { 0.0 } else { stripe(x) as f32 - 4.0 };
                f32::from(old[c]) + pattern
            });
            for c in 0..3 {
                assert!((f32::from(new[c]) - wanted[c]).abs() < 3.5, "{at}: {new:?} {wanted:?}");
            }
            assert_eq!(new[3], old[3]);
        }
    }
}
