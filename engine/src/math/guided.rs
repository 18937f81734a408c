//! The guided filter: a small mask becomes one of any size that follows the edges of a picture.
//!
//! # Source
//! He, Sun, Tang, “Guided Image Filtering”; He, Sun, “Fast Guided Filter” (arXiv 1505.00996): around each
//! pixel the mask is taken for a line over the picture's brightness, and the lines are found on a small
//! version of both.

/// Holds, for every pixel of a small picture, the line from brightness to mask.
#[derive(Debug, Clone)]
pub struct GuidedMask {
    size: [usize; 2],
    /// What brightness is multiplied by, and what is then added.
    lines: Vec<[f32; 2]>,
}

impl GuidedMask {
    /// Finds the lines by a small mask and the brightness of the picture at the same `[width, height]`,
    /// both in 0..=1, rows from the top.
    ///
    /// A line is found over squares of `2 · radius + 1` pixels each way; where brightness has a variance
    /// far below `epsilon` the mask is only smoothed.
    ///
    /// # Panics
    /// When a side is 0, `epsilon` is not above 0, or a slice is not as long as `size` says.
    pub fn new(mask: &[f32], guide: &[f32], size: [usize; 2], radius: usize, epsilon: f32) -> Self {
        let pixels = size[0] * size[1];
        assert!(pixels > 0 && epsilon > 0.0, "there are pixels, and variances have a floor");
        assert_eq!([mask.len(), guide.len()], [pixels; 2], "both are as large as they say");
        let means = |value: &dyn Fn(usize) -> f32| {
            box_means(&(0..pixels).map(value).collect::<Vec<_>>(), size, radius)
        };
        let mean_guide = means(&|at| guide[at]);
        let mean_mask = means(&|at| mask[at]);
        let mean_square = means(&|at| guide[at] * guide[at]);
        let mean_product = means(&|at| guide[at] * mask[at]);
        let slopes: Vec<f32> = (0..pixels)
            .map(|at| {
                let variance = (mean_square[at] - mean_guide[at] * mean_guide[at]).max(0.0);
                let together = mean_product[at] - mean_guide[at] * mean_mask[at];
                together / (variance + epsilon)
            })
            .collect();
        // What of the mask's mean the slope leaves.
        let rests = means(&|at| mean_mask[at] - slopes[at] * mean_guide[at]);
        let slopes = box_means(&slopes, size, radius);
        Self { size, lines: slopes.into_iter().zip(rests).map(|(a, b)| [a, b]).collect() }
    }

    /// Computes row `y` of the mask at a picture's height, from the brightness of that row; numbers are
    /// in 0..=1.
    ///
    /// # Panics
    /// When the height is 0 or `out` is not as long as `brightness`.
    pub fn row(&self, y: usize, height: usize, brightness: &[f32], out: &mut [f32]) {
        assert!(height > 0 && out.len() == brightness.len(), "a row becomes a row");
        let [columns, rows] = self.size;
        let (above, below, down) = between(y, height, rows);
        let above = &self.lines[above * columns..][..columns];
        let below = &self.lines[below * columns..][..columns];
        let lines: Vec<[f32; 2]> =
            above.iter().zip(below).map(|(a, b)| mix(*a, *b, down)).collect();
        let width = brightness.len();
        for (x, (out, brightness)) in out.iter_mut().zip(brightness).enumerate() {
            let (left, right, over) = between(x, width, columns);
            let [slope, rest] = mix(lines[left], lines[right], over);
            *out = (slope * brightness + rest).clamp(0.0, 1.0);
        }
    }
}

fn mix(a: [f32; 2], b: [f32; 2], share: f32) -> [f32; 2] {
    [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share]
}

/// Returns the two places of a line of `small` pixels around a place of one of `large`, and how far it is
/// between them.
pub(crate) fn between(place: usize, large: usize, small: usize) -> (usize, usize, f32) {
    let at = ((place as f32 + 0.5) * small as f32 / large as f32 - 0.5).max(0.0);
    let low = (at as usize).min(small - 1);
    (low, (low + 1).min(small - 1), (at - low as f32).min(1.0))
}

/// Returns the means over squares around each pixel, of as much of them as there is.
pub(crate) fn box_means(values: &[f32], [width, height]: [usize; 2], radius: usize) -> Vec<f32> {
    // Sums of all that stands above and to the left, so that every square costs the same.
    let line = width + 1;
    let mut sums = vec![0f64; line * (height + 1)];
    for y in 0..height {
        let mut row = 0f64;
        for x in 0..width {
            row += f64::from(values[y * width + x]);
            sums[(y + 1) * line + x + 1] = sums[y * line + x + 1] + row;
        }
    }
    let mut means = Vec::with_capacity(values.len());
    for y in 0..height {
        let (top, bottom) = (y.saturating_sub(radius), (y + radius + 1).min(height));
        for x in 0..width {
            let (left, right) = (x.saturating_sub(radius), (x + radius + 1).min(width));
            let sum = sums[bottom * line + right] + sums[top * line + left]
                - sums[top * line + right]
                - sums[bottom * line + left];
            means.push((sum / ((bottom - top) * (right - left)) as f64) as f32);
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a disc on a square: 1 inside.
    fn disc(side: usize) -> Vec<f32> {
        let place = |at: usize| (at as f32 + 0.5) / side as f32 - 0.5;
        (0..side * side)
            .map(|at| f32::from(u8::from(place(at % side).hypot(place(at / side)) < 0.31)))
            .collect()
    }

    fn grown(mask: &GuidedMask, brightness: &[f32], side: usize) -> Vec<f32> {
        let mut out = vec![f32::NAN; brightness.len()];
        for (y, (row, out)) in brightness.chunks(side).zip(out.chunks_mut(side)).enumerate() {
            mask.row(y, side, row, out);
        }
        out
    }

    #[test]
    fn a_small_mask_follows_the_edge_of_a_large_picture() {
        let (small, large) = (32, 256);
        let picture: Vec<f32> = disc(large).iter().map(|inside| 0.3 + 0.5 * inside).collect();
        let cell = large / small;
        // The mask is blurred over five pixels, as a net would draw it.
        let guide: Vec<f32> = (0..small * small)
            .map(|at| {
                let (x, y) = (at % small * cell, at / small * cell);
                let sum: f32 = (y..y + cell).flat_map(|y| &picture[y * large + x..][..cell]).sum();
                sum / (cell * cell) as f32
            })
            .collect();
        let truth: Vec<f32> = guide.iter().map(|value| (value - 0.3) / 0.5).collect();
        let mask = box_means(&truth, [small; 2], 2);
        let error = |guide: &[f32], brightness: &[f32]| -> f32 {
            let found =
                grown(&GuidedMask::new(&mask, guide, [small; 2], 3, 1e-3), brightness, large);
            let errors = found.iter().zip(disc(large)).map(|(a, b)| (a - b).abs());
            errors.sum::<f32>() / found.len() as f32
        };
        let flat = error(&vec![0.5; small * small], &vec![0.5; large * large]);
        let guided = error(&guide, &picture);
        assert!(guided < 0.5 * flat, "{guided} with the picture, {flat} without");
    }

    #[test]
    fn a_mask_of_one_value_stays_that_value_whatever_the_picture() {
        let noise: Vec<f32> = (0..35).map(|at| (at * at % 17) as f32 / 16.0).collect();
        for value in [0.0, 0.25, 1.0] {
            let mask = GuidedMask::new(&[value; 35], &noise, [7, 5], 2, 1e-3);
            for at in grown(&mask, &[0.0, 0.9, 0.4, 0.1], 2) {
                assert!((at - value).abs() < 1e-5, "{at} for {value}");
            }
        }
    }

    #[test]
    fn squares_are_cut_off_at_the_border() {
        let means = box_means(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [3, 2], 1);
        assert_eq!(means, [3.0, 3.5, 4.0, 3.0, 3.5, 4.0]);
        assert_eq!(box_means(&[7.0], [1, 1], 9), [7.0]);
    }
}
