//! How a picture of any size lies in the square that the net sees.

use candle_core::{Device, Tensor};

use crate::error::EngineError;
use crate::math::lanczos::LanczosRows;
use crate::models::segment_anything::{Prompt, PromptPoint};
use crate::pipelines::cutout::over_white;
use crate::protocol::{JobContext, ObjectPrompt, Pixels};

/// What is taken from red, green and blue, 0 to 255, and what they are then divided by.
///
/// # Source
/// `build_sam.py`.
const NORM: [[f32; 3]; 2] = [[123.675, 116.28, 103.53], [58.395, 57.12, 57.375]];
/// How many rows are taken between two looks at whether the job was cancelled.
const BAND_ROWS: usize = 128;

/// Says how a picture lies in the square: its longer side fills it, from the left and upper corner; the
/// rest is nothing.
///
/// # Source
/// `ResizeLongestSide` and `Sam.preprocess` of `segment-anything` 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The picture, `[width, height]` in pixels.
    pub size: [usize; 2],
    /// What it becomes in the square.
    pub seen: [usize; 2],
    /// The side of the square.
    pub side: usize,
}

impl Frame {
    /// Places a picture in a square.
    pub fn of(pixels: &Pixels, side: usize) -> Self {
        let size = [pixels.width_px, pixels.height_px].map(|side| (side as usize).max(1));
        let longest = size[0].max(size[1]) as f64;
        let seen = size.map(|length| {
            let length = length as f64 * (side as f64 / longest) + 0.5;
            (length as usize).clamp(1, side)
        });
        Self { size, seen, side }
    }

    /// Returns what is pointed at as places of the square.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when a point, or all of a box, lies outside the picture.
    pub fn prompt(&self, prompt: &ObjectPrompt) -> Result<Prompt, EngineError> {
        let [width, height] = self.size;
        let [wide, high] = self.size.map(|length| length as f32);
        let outside = |what: &str, place: String| {
            let reason = format!("{place} lies outside the picture of {width} × {height} pixels");
            Err(EngineError::invalid(what, reason))
        };
        let scale = [0, 1].map(|axis| self.seen[axis] as f32 / self.size[axis] as f32);
        let mut points = Vec::with_capacity(prompt.points.len());
        for point in &prompt.points {
            let is_in = (0.0..=wide).contains(&point.x) && (0.0..=high).contains(&point.y);
            if !is_in {
                return outside("point", format!("{}, {}", point.x, point.y));
            }
            let at = [point.x * scale[0], point.y * scale[1]];
            points.push(PromptPoint { at, is_inside: point.is_inside });
        }
        let Some(area) = prompt.around else { return Ok(Prompt { points, around: None }) };
        let [left, right] = [area.x, area.x + area.width].map(|x| x.clamp(0.0, wide));
        let [top, bottom] = [area.y, area.y + area.height].map(|y| y.clamp(0.0, high));
        if left >= right || top >= bottom {
            let place = format!("{}, {}, {}, {}", area.x, area.y, area.width, area.height);
            return outside("box", place);
        }
        let [x, y] = scale;
        Ok(Prompt { points, around: Some([left * x, top * y, right * x, bottom * y]) })
    }

    /// Shrinks or enlarges a picture to what is seen of it, three bytes a pixel. What is transparent is
    /// seen as paper.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`].
    pub fn shrunk(&self, pixels: &Pixels, job: &JobContext) -> Result<Vec<u8>, EngineError> {
        let mut rows = LanczosRows::linear(self.size, self.seen, 3);
        let mut out = Vec::with_capacity(3 * self.seen[0] * self.seen[1]);
        for band in pixels.rgba.chunks(BAND_ROWS * self.size[0] * 4) {
            job.check()?;
            let rgb: Vec<u8> = band.as_chunks::<4>().0.iter().flat_map(over_white).collect();
            out.extend(rows.push(&rgb));
        }
        Ok(out)
    }

    /// Norms what is seen and fills the square up: `[1, 3, side, side]`.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn normed(&self, rgb: &[u8], device: &Device) -> Result<Tensor, EngineError> {
        let ([wide, _], side) = (self.seen, self.side);
        let mut values = vec![0f32; 3 * side * side];
        for (place, pixel) in rgb.as_chunks::<3>().0.iter().enumerate() {
            let at = place / wide * side + place % wide;
            for (channel, byte) in pixel.iter().enumerate() {
                let value = (f32::from(*byte) - NORM[0][channel]) / NORM[1][channel];
                if let Some(out) = values.get_mut(channel * side * side + at) {
                    *out = value;
                }
            }
        }
        Ok(Tensor::from_vec(values, (1, 3, side, side), device)?)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::protocol::{ObjectBox, ObjectPoint};

    fn frame(width: u32, height: u32) -> Frame {
        let pixels = Pixels::new(width, height, vec![255; (width * height * 4) as usize]).unwrap();
        Frame::of(&pixels, 128)
    }

    #[test]
    fn the_longer_side_fills_the_square_and_places_go_with_it() {
        let frame = frame(200, 150);
        assert_eq!((frame.seen, self::frame(1, 999).seen), ([128, 96], [1, 128]));
        let mut prompt = ObjectPrompt::default();
        prompt.points.push(ObjectPoint { x: 100.0, y: 150.0, is_inside: true });
        prompt.around = Some(ObjectBox { x: -50.0, y: 75.0, width: 150.0, height: 500.0 });
        let placed = frame.prompt(&prompt).unwrap();
        assert_eq!(placed.points, [PromptPoint { at: [64.0, 96.0], is_inside: true }]);
        assert_eq!(placed.around, Some([0.0, 48.0, 64.0, 96.0]));
    }

    #[test]
    fn what_lies_outside_the_picture_is_refused_by_its_place() {
        let frame = frame(20, 10);
        let mut prompt = ObjectPrompt::default();
        prompt.points.push(ObjectPoint { x: 20.5, y: 1.0, is_inside: true });
        let error = frame.prompt(&prompt).unwrap_err().to_string();
        assert_eq!(error, "The point 20.5, 1 lies outside the picture of 20 × 10 pixels");
        prompt.points.clear();
        prompt.around = Some(ObjectBox { x: 20.0, y: 0.0, width: 5.0, height: 5.0 });
        let error = frame.prompt(&prompt).unwrap_err().to_string();
        assert!(error.starts_with("The box 20, 0, 5, 5 lies outside"), "{error}");
    }
}
