//! Measures whether the edge of an edit can be seen.

use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::protocol::Pixels;

/// The longest way across a ring that is followed, in pixels.
const LONGEST: usize = 96;

/// Holds what lies across the ring where an edit fades into its surroundings, in the picture before and
/// after it.
///
/// From every pixel that may not change beside one that may, the way inwards is followed (along x or y)
/// until the mask no longer rises. The *jump* of a way is its largest second difference of luma,
/// `|L(i−1) − 2·L(i) + L(i+1)|` in levels of 255: the most by which the gradient changes from one pixel to
/// the next, from a pixel before the way to one after it. Its *ΔE* is CIEDE2000 between the colours at its
/// two ends. Both are means over all ways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SeamReport {
    /// The jump in the picture before.
    pub jump_before: f64,
    /// The jump in the picture after.
    pub jump_after: f64,
    /// ΔE in the picture before.
    pub delta_e_before: f64,
    /// ΔE in the picture after.
    pub delta_e_after: f64,
    /// How many ways there are.
    pub ways: usize,
}

impl SeamReport {
    /// Measures an edit by its mask, `[height, width]`: 0 where nothing may change.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the pictures and the mask are not of one size.
    pub fn of(before: &Pixels, after: &Pixels, mask: &[u8]) -> Result<Self, EngineError> {
        let (width, height) = (before.width_px as usize, before.height_px as usize);
        if before.rgba.len() != after.rgba.len()
            || before.width_px != after.width_px
            || mask.len() != width * height
        {
            return Err(EngineError::invalid("seam", "needs pictures and a mask of one size"));
        }
        let pictures = [before, after].map(Colours::of);
        let mut sums = [[0.0; 2]; 2];
        let mut ways = 0;
        for start in (0..mask.len()).filter(|at| mask[*at] == 0) {
            let at = [start % width, start / width];
            for step in [[1, 0], [-1, 0], [0, 1], [0, -1]] {
                let way = way(mask, [width, height], at, step);
                if way.len() < 2 {
                    continue;
                }
                ways += 1;
                for (sums, colours) in sums.iter_mut().zip(&pictures) {
                    sums[0] += colours.jump(&way, [width, height], step);
                    sums[1] += delta_e(colours.lab[way[0]], colours.lab[way[way.len() - 1]]);
                }
            }
        }
        let mean = |sum: f64| sum / ways.max(1) as f64;
        Ok(Self {
            jump_before: mean(sums[0][0]),
            jump_after: mean(sums[1][0]),
            delta_e_before: mean(sums[0][1]),
            delta_e_after: mean(sums[1][1]),
            ways,
        })
    }

    /// Returns how much more than before the jump and ΔE are, each as a ratio; below `least` on both
    /// sides nothing can be seen, and they count as that.
    pub fn ratios(&self, [least_jump, least_delta_e]: [f64; 2]) -> [f64; 2] {
        [
            self.jump_after.max(least_jump) / self.jump_before.max(least_jump),
            self.delta_e_after.max(least_delta_e) / self.delta_e_before.max(least_delta_e),
        ]
    }
}

/// Moves a place by a step; `None` outside of the picture.
fn moved([x, y]: [usize; 2], step: [isize; 2], [width, height]: [usize; 2]) -> Option<[usize; 2]> {
    let (x, y) = (x.checked_add_signed(step[0])?, y.checked_add_signed(step[1])?);
    (x < width && y < height).then_some([x, y])
}

/// Follows the mask as long as it rises: the pixels from `at` on.
fn way(mask: &[u8], size: [usize; 2], at: [usize; 2], step: [isize; 2]) -> Vec<usize> {
    let index = |[x, y]: [usize; 2]| y * size[0] + x;
    let (mut way, mut at) = (vec![index(at)], at);
    while way.len() < LONGEST {
        let Some(next) = moved(at, step, size) else { break };
        if mask[index(next)] <= mask[index(at)] {
            break;
        }
        at = next;
        way.push(index(at));
    }
    way
}

/// Holds a picture's luma, 0 to 255, and its colours in CIELAB.
struct Colours {
    luma: Vec<f64>,
    lab: Vec<[f64; 3]>,
}

impl Colours {
    fn of(picture: &Pixels) -> Self {
        let pixels = || picture.rgba.chunks_exact(4).map(|p| [p[0], p[1], p[2]]);
        let luma =
            |[r, g, b]: [u8; 3]| 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
        Self { luma: pixels().map(luma).collect(), lab: pixels().map(lab).collect() }
    }

    /// Returns the largest second difference along a way, a pixel before and after it included.
    fn jump(&self, way: &[usize], size: [usize; 2], step: [isize; 2]) -> f64 {
        let place = |at: usize| [at % size[0], at / size[0]];
        let back = [-step[0], -step[1]];
        let before = moved(place(way[0]), back, size);
        let after = moved(place(way[way.len() - 1]), step, size);
        let index = |[x, y]: [usize; 2]| y * size[0] + x;
        let line: Vec<f64> = before
            .map(index)
            .into_iter()
            .chain(way.iter().copied())
            .chain(after.map(index))
            .map(|at| self.luma[at])
            .collect();
        line.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).fold(0.0, f64::max)
    }
}

/// Returns CIELAB of 8-bit sRGB, for the white of D65.
///
/// # Source
/// IEC 61966-2-1 and CIE 15.
pub fn lab(rgb: [u8; 3]) -> [f64; 3] {
    let linear = rgb.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    let [r, g, b] = linear;
    let xyz = [
        (0.412_456_4 * r + 0.357_576_1 * g + 0.180_437_5 * b) / 0.950_47,
        0.212_672_9 * r + 0.715_152_2 * g + 0.072_175 * b,
        (0.019_333_9 * r + 0.119_192 * g + 0.950_304_1 * b) / 1.088_83,
    ];
    let [x, y, z] = xyz.map(|value| {
        let edge: f64 = 6.0 / 29.0;
        if value > edge.powi(3) { value.cbrt() } else { value / (3.0 * edge * edge) + 4.0 / 29.0 }
    });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// Returns the colour difference CIEDE2000 of two colours in CIELAB.
///
/// # Source
/// Sharma, Wu, Dalal: The CIEDE2000 color-difference formula, implementation notes, supplementary test
/// data, and mathematical observations.
pub fn delta_e([l1, a1, b1]: [f64; 3], [l2, a2, b2]: [f64; 3]) -> f64 {
    let seventh = |chroma: f64| (chroma.powi(7) / (chroma.powi(7) + 25.0f64.powi(7))).sqrt();
    let g = 0.5 * (1.0 - seventh((a1.hypot(b1) + a2.hypot(b2)) / 2.0));
    let (a1, a2) = (a1 * (1.0 + g), a2 * (1.0 + g));
    let (c1, c2) = (a1.hypot(b1), a2.hypot(b2));
    let hue = |a: f64, b: f64| {
        if a == 0.0 && b == 0.0 { 0.0 } else { b.atan2(a).to_degrees().rem_euclid(360.0) }
    };
    let (h1, h2) = (hue(a1, b1), hue(a2, b2));
    let is_grey = c1 * c2 == 0.0;
    let turn = match h2 - h1 {
        _ if is_grey => 0.0,
        turn if turn > 180.0 => turn - 360.0,
        turn if turn < -180.0 => turn + 360.0,
        turn => turn,
    };
    let (dl, dc) = (l2 - l1, c2 - c1);
    let dh = 2.0 * (c1 * c2).sqrt() * (turn / 2.0).to_radians().sin();
    let (l, c) = ((l1 + l2) / 2.0, (c1 + c2) / 2.0);
    let h = match h1 + h2 {
        sum if is_grey => sum,
        sum if (h1 - h2).abs() <= 180.0 => sum / 2.0,
        sum if sum < 360.0 => (sum + 360.0) / 2.0,
        sum => (sum - 360.0) / 2.0,
    };
    let cos = |degrees: f64| degrees.to_radians().cos();
    let t = 1.0 - 0.17 * cos(h - 30.0) + 0.24 * cos(2.0 * h) + 0.32 * cos(3.0 * h + 6.0)
        - 0.20 * cos(4.0 * h - 63.0);
    let rotation = 30.0 * (-((h - 275.0) / 25.0).powi(2)).exp();
    let rt = -2.0 * seventh(c) * (2.0 * rotation).to_radians().sin();
    let light = (l - 50.0).powi(2);
    let sl = 1.0 + 0.015 * light / (20.0 + light).sqrt();
    let (sc, sh) = (1.0 + 0.045 * c, 1.0 + 0.015 * c * t);
    let (dl, dc, dh) = (dl / sl, dc / sc, dh / sh);
    (dl * dl + dc * dc + dh * dh + rt * dc * dh).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn delta_e_agrees_with_the_test_data_of_the_formulas_paper() {
        // Table 1 of the paper, pairs 1, 7, 9, 13, 17, 20, 25 and 34.
        for (first, second, wanted) in [
            ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
            ([50.0, 0.0, 0.0], [50.0, -1.0, 2.0], 2.3669),
            ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0009], 7.1792),
            ([50.0, -0.001, 2.49], [50.0, 0.0009, -2.49], 4.8045),
            ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0], 27.1492),
            ([50.0, 2.5, 0.0], [58.0, 24.0, 15.0], 19.4535),
            ([60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644),
            ([2.0776, 0.0795, -1.135], [0.9033, -0.0636, -0.5514], 0.9082),
        ] {
            assert!((delta_e(first, second) - wanted).abs() < 1e-4, "{first:?} {second:?}");
            assert!((delta_e(second, first) - wanted).abs() < 1e-4, "{first:?} {second:?}");
        }
    }

    fn level(value: impl Fn(usize, usize) -> u8) -> Pixels {
        let rgba = (0..40 * 40).flat_map(|at| {
            let value = value(at % 40, at / 40);
            [value, value, value, 255]
        });
        Pixels::new(40, 40, rgba.collect()).unwrap()
    }

    #[test]
    fn a_step_is_seen_and_a_gentle_change_much_less() {
        let before = level(|_, _| 100);
        let hard: Vec<u8> =
            (0..1600).map(|at| if (10..30).contains(&(at % 40)) { 255 } else { 0 }).collect();
        let step = level(|x, _| if (10..30).contains(&x) { 140 } else { 100 });
        let report = SeamReport::of(&before, &step, &hard).unwrap();
        assert_eq!((report.jump_before, report.delta_e_before, report.ways), (0.0, 0.0, 80));
        assert!(
            (report.jump_after - 40.0).abs() < 1e-9 && report.delta_e_after > 10.0,
            "{report:?}"
        );
        let soft: Vec<u8> = (0..1600)
            .map(|at| {
                let depth = (at % 40).min(39 - at % 40) as f32 - 4.0;
                (depth * 30.0).clamp(0.0, 255.0) as u8
            })
            .collect();
        let faded = level(|x, _| 100 + (40.0 * f32::from(soft[x]) / 255.0) as u8);
        let report = SeamReport::of(&before, &faded, &soft).unwrap();
        assert!(report.jump_after < 8.0 && report.delta_e_after > 10.0, "{report:?}");
        assert!(SeamReport::of(&before, &step, &hard[1..]).is_err());
    }
}
