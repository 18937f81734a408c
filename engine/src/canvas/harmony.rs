//! The colours of what was painted brought to those around it.

use super::continued::continued;
use super::distance::distances;

/// Levels beyond which a difference is that of things, not of light.
const OUTLIER: f32 = 40.0;
/// How often the fit is made again with what it found to be outliers.
const ROUNDS: usize = 4;
/// Pixels of the ring that a slope is fitted from at least.
const SLOPE_FROM: f32 = 64.0;

/// Brings painted colours `[height, width]` to those `before`, by what differs where the mask fades or
/// ends: first by a plane (a level and a slope in each direction, robustly fitted), then, near that ring,
/// by what remains, smoothly continued inwards and dying away.
///
/// # Source
/// The smooth offset of Pérez, Gangnet, Blake: Poisson image editing, here held to what is near and to
/// differences that may be those of light; the fit is reweighted by Tukey's biweight.
pub(super) fn matched(
    width: usize,
    painted: &[[f32; 3]],
    before: &[[f32; 3]],
    mask: &[f32],
    known: &[f32],
) -> Vec<[f32; 3]> {
    let ring = ring(width, mask, known);
    let differences: Vec<[f32; 3]> = painted
        .iter()
        .zip(before)
        .map(|(new, old)| [old[0] - new[0], old[1] - new[1], old[2] - new[2]])
        .collect();
    let Some(plane) = Plane::fit(width, &ring, &differences) else { return painted.to_vec() };
    let rests: Vec<[f32; 3]> = differences
        .iter()
        .enumerate()
        .map(|(at, difference)| {
            let offset = plane.at([at % width, at / width]);
            [0, 1, 2].map(|c| difference[c] - offset[c])
        })
        .collect();
    let weights: Vec<f32> = ring
        .iter()
        .zip(&rests)
        .map(|(ring, rest)| if *ring > 0.0 { biweight(*rest) } else { 0.0 })
        .collect();
    let near = continued(width, &rests, &weights);
    let on_ring: Vec<bool> = ring.iter().map(|ring| *ring > 0.0).collect();
    let away = distances(width, &on_ring);
    let reach = reach(mask);
    painted
        .iter()
        .enumerate()
        .map(|(at, new)| {
            let offset = plane.at([at % width, at / width]);
            let share = (-away[at] / reach).exp();
            [0, 1, 2].map(|c| new[c] + offset[c] + share * near[at][c])
        })
        .collect()
}

/// Finds the pixels where what was painted meets what was there: those where the mask fades, and the
/// outermost of those that may change. What was not known is none.
fn ring(width: usize, mask: &[f32], known: &[f32]) -> Vec<f32> {
    let height = mask.len() / width.max(1);
    let stays = |at: usize| mask[at] < 1.0;
    (0..mask.len())
        .map(|at| {
            let (x, y) = (at % width, at / width);
            let at_edge = (x > 0 && stays(at - 1))
                || (x + 1 < width && stays(at + 1))
                || (y > 0 && stays(at - width))
                || (y + 1 < height && stays(at + width));
            let is_ring = mask[at] >= 1.0 && (mask[at] < 254.0 || at_edge);
            if is_ring { known[at] } else { 0.0 }
        })
        .collect()
}

/// Returns how far inwards the ring's differences are felt, in pixels: a share of the mask's size.
fn reach(mask: &[f32]) -> f32 {
    let open = mask.iter().filter(|mask| **mask >= 1.0).count() as f32;
    (open.sqrt() / 8.0).max(4.0)
}

/// Returns how much a difference counts: not at all one of [`OUTLIER`].
fn biweight(difference: [f32; 3]) -> f32 {
    let size = difference.iter().fold(0.0f32, |size, value| size.max(value.abs())) / OUTLIER;
    if size >= 1.0 { 0.0 } else { (1.0 - size * size).powi(2) }
}

/// Holds a level and slopes for each colour, over x and y from a middle.
struct Plane {
    middle: [f32; 2],
    parts: [[f32; 3]; 3],
}

impl Plane {
    fn at(&self, [x, y]: [usize; 2]) -> [f32; 3] {
        let (x, y) = (x as f32 - self.middle[0], y as f32 - self.middle[1]);
        [0, 1, 2].map(|c| self.parts[0][c] + x * self.parts[1][c] + y * self.parts[2][c])
    }

    /// Fits a plane to the ring; `None` where there is none.
    fn fit(width: usize, ring: &[f32], differences: &[[f32; 3]]) -> Option<Self> {
        let places: Vec<usize> = (0..ring.len()).filter(|at| ring[*at] > 0.0).collect();
        if places.is_empty() {
            return None;
        }
        let count = places.len() as f32;
        let mean = |side: &dyn Fn(usize) -> usize| {
            places.iter().map(|at| side(*at) as f32).sum::<f32>() / count
        };
        let middle = [mean(&|at| at % width), mean(&|at| at / width)];
        // The median is where light most likely is.
        let median = [0, 1, 2].map(|c| {
            let mut values: Vec<f32> = places.iter().map(|at| differences[*at][c]).collect();
            values.sort_by(f32::total_cmp);
            values[values.len() / 2]
        });
        let mut plane = Self { middle, parts: [median, [0.0; 3], [0.0; 3]] };
        for _ in 0..ROUNDS {
            plane = plane.again(width, &places, differences);
        }
        Some(plane)
    }

    /// Fits again, each difference weighted by how far it is off so far.
    fn again(self, width: usize, places: &[usize], differences: &[[f32; 3]]) -> Self {
        let mut sums = [[0.0f64; 3]; 3];
        let mut right = [[0.0f64; 3]; 3];
        let mut all = 0.0f32;
        for at in places {
            let offset = self.at([at % width, at / width]);
            let rest = [0, 1, 2].map(|c| differences[*at][c] - offset[c]);
            let weight = f64::from(biweight(rest));
            all += weight as f32;
            let terms = [
                1.0,
                f64::from((at % width) as f32 - self.middle[0]),
                f64::from((at / width) as f32 - self.middle[1]),
            ];
            for row in 0..3 {
                for column in 0..3 {
                    sums[row][column] += weight * terms[row] * terms[column];
                    right[row][column] += weight * terms[row] * f64::from(differences[*at][column]);
                }
            }
        }
        if all < 1.0 {
            return self;
        }
        if all < SLOPE_FROM {
            let level = [0, 1, 2].map(|c| (right[0][c] / sums[0][0]) as f32);
            return Self { parts: [level, [0.0; 3], [0.0; 3]], ..self };
        }
        // A little pull towards no slope keeps a ring along one line from tilting the rest.
        for (axis, row) in sums.iter_mut().enumerate().skip(1) {
            row[axis] = row[axis] * 1.1 + 1.0;
        }
        match solved(sums, right) {
            Some(parts) => Self { parts: parts.map(|row| row.map(|value| value as f32)), ..self },
            None => self,
        }
    }
}

/// Solves three equations for three right sides by elimination; `None` where they are no three.
fn solved(mut sums: [[f64; 3]; 3], mut right: [[f64; 3]; 3]) -> Option<[[f64; 3]; 3]> {
    for column in 0..3 {
        let pivot =
            (column..3).max_by(|a, b| sums[*a][column].abs().total_cmp(&sums[*b][column].abs()))?;
        if sums[pivot][column].abs() < 1e-9 {
            return None;
        }
        sums.swap(column, pivot);
        right.swap(column, pivot);
        for row in (0..3).filter(|row| *row != column) {
            let share = sums[row][column] / sums[column][column];
            for at in 0..3 {
                sums[row][at] -= share * sums[column][at];
                right[row][at] -= share * right[column][at];
            }
        }
    }
    Some([0, 1, 2].map(|row| right[row].map(|value| value / sums[row][row])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mask of one square in the middle that fades over four pixels.
    fn mask(width: usize) -> Vec<f32> {
        let depth = |at: usize| at.min(width - 1 - at) as f32 - 8.0;
        (0..width * width)
            .map(|at| (depth(at % width).min(depth(at / width)) * 64.0).clamp(0.0, 255.0))
            .collect()
    }

    #[test]
    fn light_that_differs_by_a_slope_is_the_same_afterwards() {
        let width = 48;
        let before: Vec<[f32; 3]> =
            (0..width * width).map(|at| [100.0 + (at % width) as f32, 90.0, 60.0]).collect();
        let painted: Vec<[f32; 3]> = before
            .iter()
            .enumerate()
            .map(|(at, [r, g, b])| [r - 12.0 + (at / width) as f32 * 0.2, g + 9.0, b - 3.0])
            .collect();
        let mask = mask(width);
        let out = matched(width, &painted, &before, &mask, &vec![1.0; mask.len()]);
        for (at, (new, old)) in
            out.iter().zip(&before).enumerate().filter(|(at, _)| mask[*at] > 0.0)
        {
            for c in 0..3 {
                assert!((new[c] - old[c]).abs() < 1.0, "{at}: {new:?} {old:?}");
            }
        }
    }

    #[test]
    fn a_thing_across_the_edge_does_not_colour_what_is_painted() {
        let width = 48;
        let before: Vec<[f32; 3]> = (0..width * width)
            .map(|at| if (20..26).contains(&(at / width)) { [250.0, 0.0, 0.0] } else { [90.0; 3] })
            .collect();
        let painted = vec![[80.0; 3]; width * width];
        let mask = mask(width);
        let out = matched(width, &painted, &before, &mask, &vec![1.0; mask.len()]);
        let middle = out[24 * width + 24];
        assert!(middle.iter().all(|value| (value - 90.0).abs() < 4.0), "{middle:?}");
        // Where nothing was there before nothing is brought to it.
        assert_eq!(matched(width, &painted, &before, &mask, &vec![0.0; mask.len()]), painted);
    }
}
