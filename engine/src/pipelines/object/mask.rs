//! A mask of the net → one of the picture's own size, whose edge follows the picture's.

use rayon::prelude::*;

use super::Frame;
use crate::error::EngineError;
use crate::math::guided::{GuidedMask, between, box_means};
use crate::pipelines::cutout::{brightness, over_white};
use crate::protocol::{JobContext, ObjectPrompt, Pixels};

/// How many pixels of what the net saw make one of the guide, each way.
const GUIDE_STEP: usize = 2;
/// Over how many places of the guide a mask is fitted to edges, each way.
const RADIUS: usize = 4;
/// The variance of brightness, of 1, below which nothing is taken for an edge.
const EDGE_VARIANCE: f32 = 1e-3;
/// How far a guided mask is from the middle where it is all or nothing: the filter leaves a haze.
const SHARPNESS: f32 = 2.0;
/// How many rows are made between two looks at whether the job was cancelled.
const BAND_ROWS: usize = 128;

/// Returns the masks that can be chosen: all but the first, which is for prompts that leave no doubt.
pub(super) fn offered(qualities: &[f32]) -> &[f32] {
    match qualities {
        [_, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    }
}

/// Chooses one of the masks of a net: the wanted one; for a single point the one that is foretold to be
/// best of those from part to whole; else the first.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when the net makes no such mask.
///
/// # Source
/// The paper, “Resolving ambiguity”: with more than one prompt only the mask for those is used.
pub(super) fn choose(qualities: &[f32], prompt: &ObjectPrompt) -> Result<usize, EngineError> {
    let count = qualities.len();
    if let Some(mask) = prompt.mask {
        let mask = usize::from(mask) + 1;
        return if mask < count {
            Ok(mask)
        } else {
            let reason =
                format!("is none of the {} that this model makes", count.saturating_sub(1));
            Err(EngineError::invalid("mask", reason))
        };
    }
    let leaves_doubt = prompt.around.is_none() && prompt.points.len() == 1;
    if !leaves_doubt {
        return Ok(0);
    }
    let best = (1..count).max_by(|a, b| qualities[*a].total_cmp(&qualities[*b]));
    Ok(best.unwrap_or(0))
}

/// Holds the brightness of what the net saw of a picture, at half its size.
#[derive(Debug, Clone)]
pub(super) struct Guide {
    size: [usize; 2],
    values: Vec<f32>,
}

impl Guide {
    /// Takes what the net saw, three bytes a pixel.
    pub(super) fn of(rgb: &[u8], frame: Frame) -> Self {
        let [wide, high] = frame.seen;
        let size = frame.seen.map(|length| length.div_ceil(GUIDE_STEP));
        let pixels = rgb.as_chunks::<3>().0;
        let mean = |place: usize| {
            let [left, top] = [place % size[0] * GUIDE_STEP, place / size[0] * GUIDE_STEP];
            let (mut sum, mut count) = (0.0, 0.0);
            for y in top..(top + GUIDE_STEP).min(high) {
                for x in left..(left + GUIDE_STEP).min(wide) {
                    sum += pixels.get(y * wide + x).map_or(0.0, |pixel| brightness(*pixel));
                    count += 1.0;
                }
            }
            sum / f32::max(count, 1.0)
        };
        Self { size, values: (0..size[0] * size[1]).map(mean).collect() }
    }
}

/// Holds the logits of a mask at the size that the net saw.
#[derive(Debug, Clone)]
pub struct FullMask {
    frame: Frame,
    /// `[height, width]` of what the net saw.
    values: Vec<f32>,
}

impl FullMask {
    /// Enlarges the logits of a mask, `side` pixels wide and high, to the square that the net saw, and
    /// leaves out what is no picture.
    ///
    /// # Source
    /// `Sam.postprocess_masks`.
    pub fn new(logits: &[f32], side: usize, frame: Frame) -> Self {
        let [wide, high] = frame.seen;
        let mut values = vec![0f32; wide * high];
        if logits.len() == side * side && side > 0 {
            values.par_chunks_exact_mut(wide).enumerate().for_each(|(y, out)| {
                row_of(logits, [side; 2], [y, frame.side], frame.side, out);
            });
        }
        Self { frame, values }
    }

    /// Computes the logits of row `y` of the picture: above 0 is what is meant.
    pub fn row(&self, y: usize, out: &mut [f32]) {
        let [width, height] = self.frame.size;
        row_of(&self.values, self.frame.seen, [y, height], width, out);
    }
}

/// Computes row `y` of `height` of a picture that is enlarged bilinearly, between the centres of pixels, as
/// wide as `width` says, as far as `out` goes.
fn row_of(
    values: &[f32],
    [columns, rows]: [usize; 2],
    [y, height]: [usize; 2],
    width: usize,
    out: &mut [f32],
) {
    let (above, below, down) = between(y, height, rows);
    let above = &values[above * columns..][..columns];
    let below = &values[below * columns..][..columns];
    for (x, out) in out.iter_mut().enumerate() {
        let (left, right, over) = between(x, width, columns);
        let upper = above[left] + (above[right] - above[left]) * over;
        let lower = below[left] + (below[right] - below[left]) * over;
        *out = upper + (lower - upper) * down;
    }
}

/// Draws a mask at the picture's size, a byte a pixel: near its edge it follows that of the picture,
/// elsewhere it is all or nothing as the net says.
///
/// # Errors
/// [`EngineError::Cancelled`].
pub(super) fn drawn(
    full: &FullMask,
    guide: &Guide,
    pixels: &Pixels,
    job: &JobContext,
) -> Result<Vec<u8>, EngineError> {
    let [columns, rows] = guide.size;
    let mut hard = vec![0f32; columns * rows];
    let [wide, _] = full.frame.seen;
    for (place, hard) in hard.iter_mut().enumerate() {
        let at = place / columns * GUIDE_STEP * wide + place % columns * GUIDE_STEP;
        *hard = if full.values[at] > 0.0 { 1.0 } else { 0.0 };
    }
    // Between 0 and 1 near the edge, whatever is there.
    let near = box_means(&hard, guide.size, RADIUS);
    let guided = GuidedMask::new(&hard, &guide.values, guide.size, RADIUS, EDGE_VARIANCE);
    let [width, height] = full.frame.size;
    let mut out = vec![0u8; width * height];
    for (band, out) in out.chunks_mut(BAND_ROWS * width).enumerate() {
        job.check()?;
        out.par_chunks_exact_mut(width).enumerate().for_each(|(row, out)| {
            let y = band * BAND_ROWS + row;
            let line = &pixels.rgba[4 * y * width..][..4 * width];
            let lights: Vec<f32> =
                line.as_chunks::<4>().0.iter().map(|pixel| brightness(over_white(pixel))).collect();
            let mut logits = vec![0f32; width];
            full.row(y, &mut logits);
            let mut shares = vec![0f32; width];
            guided.row(y, height, &lights, &mut shares);
            let near = &near[y * rows / height * columns..][..columns];
            for (x, out) in out.iter_mut().enumerate() {
                let is_near = (0.001..0.999).contains(&near[x * columns / width]);
                let share = match (is_near, logits[x] > 0.0) {
                    (true, _) => ((shares[x] - 0.5) * SHARPNESS + 0.5).clamp(0.0, 1.0),
                    (false, true) => 1.0,
                    (false, false) => 0.0,
                };
                *out = (share * 255.0).round() as u8;
            }
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::protocol::ObjectPoint;

    #[test]
    fn one_point_takes_the_best_of_three_and_more_prompts_the_first() {
        let qualities = [0.99, 0.4, 0.9, 0.7];
        let point = ObjectPoint { x: 0.0, y: 0.0, is_inside: true };
        let mut prompt = ObjectPrompt { points: vec![point], ..ObjectPrompt::default() };
        assert_eq!(choose(&qualities, &prompt), Ok(2));
        assert_eq!(offered(&qualities), [0.4, 0.9, 0.7]);
        prompt.points.push(point);
        assert_eq!(choose(&qualities, &prompt), Ok(0));
        prompt.mask = Some(2);
        assert_eq!(choose(&qualities, &prompt), Ok(3));
        assert!(choose(&qualities[..2], &prompt).is_err());
    }

    /// Draws a disc of the mask's own edge shifted by some pixels of the picture.
    fn errors(shift: f32) -> [usize; 2] {
        let [width, height] = [1600usize, 1200];
        let is_in = |x: f32, y: f32, by: f32| (x - 700.0 - by).hypot(y - 620.0) < 380.0;
        let colour = |place: usize| {
            let (x, y) = ((place % width) as f32 + 0.5, (place / width) as f32 + 0.5);
            // A ground and a disc with some grain.
            let grain = (place * 7919 % 23) as u8;
            if is_in(x, y, 0.0) { [150 + grain, 60, 40, 255] } else { [70 + grain, 120, 160, 255] }
        };
        let rgba: Vec<u8> = (0..width * height).flat_map(colour).collect();
        let pixels = Pixels::new(width as u32, height as u32, rgba).unwrap();
        let frame = Frame::of(&pixels, 1024);
        let job = JobContext::detached();
        let small = frame.shrunk(&pixels, &job).unwrap();
        let guide = Guide::of(&small, frame);
        let scale = width as f32 / 256.0;
        let logits: Vec<f32> = (0..256 * 256)
            .map(|place| {
                let (x, y) = ((place % 256) as f32 + 0.5, (place / 256) as f32 + 0.5);
                380.0 - (x * scale - 700.0 - shift).hypot(y * scale - 620.0)
            })
            .collect();
        let full = FullMask::new(&logits, 256, frame);
        let made = drawn(&full, &guide, &pixels, &job).unwrap();
        let (mut plain, mut drawn) = (0, 0);
        let mut row = vec![0f32; width];
        for y in 0..height {
            full.row(y, &mut row);
            for x in 0..width {
                let truth = is_in(x as f32 + 0.5, y as f32 + 0.5, 0.0);
                plain += usize::from((row[x] > 0.0) != truth);
                drawn += usize::from((made[y * width + x] >= 128) != truth);
            }
        }
        [plain, drawn]
    }

    #[test]
    fn an_edge_that_the_net_saw_a_little_beside_its_place_comes_nearer_to_it() {
        for shift in [0.0, 3.0, 6.0] {
            let [plain, drawn] = errors(shift);
            println!(
                "{shift} pixels beside: {plain} wrong without the picture's edges, {drawn} with"
            );
            assert!(drawn <= plain.max(900), "{shift}: {plain} {drawn}");
        }
    }
}
