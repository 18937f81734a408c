//! Bilinear enlargement.

use rayon::prelude::*;

use super::conv::ConvShape;

/// Enlarges pictures `[images, height, width, channels]` to four times the size each way.
///
/// Values stand at the centres of pixels, and the border repeats: what torch calls bilinear with
/// `align_corners=False`.
///
/// # Panics
/// When a slice is not as long as the shapes say.
pub fn enlarge4(x: &[f32], shape: ConvShape, out: &mut [f32]) {
    let ConvShape { images, height, width, channels } = shape;
    let line = width * channels;
    assert_eq!(x.len(), images * height * line, "the picture is as long as its shape says");
    assert_eq!(out.len(), 16 * x.len(), "the enlargement has sixteen times the pixels");
    if out.is_empty() {
        return;
    }
    out.par_chunks_mut(4 * line).enumerate().for_each(|(row, out)| {
        let (image, y) = (row / (4 * height), row % (4 * height));
        let (above, below, down) = between(y, height);
        let above = &x[(image * height + above) * line..][..line];
        let below = &x[(image * height + below) * line..][..line];
        let rows: Vec<f32> =
            above.iter().zip(below).map(|(a, b)| a * (1.0 - down) + b * down).collect();
        for (column, out) in out.chunks_exact_mut(channels).enumerate() {
            let (left, right, over) = between(column, width);
            let left = &rows[left * channels..][..channels];
            let right = &rows[right * channels..][..channels];
            for ((out, left), right) in out.iter_mut().zip(left).zip(right) {
                *out = left * (1.0 - over) + right * over;
            }
        }
    });
}

/// Returns the two source places around a place of the enlargement, and how far it is between them.
fn between(place: usize, end: usize) -> (usize, usize, f32) {
    let source = ((place as f32 + 0.5) / 4.0 - 0.5).max(0.0);
    let low = source as usize;
    (low, (low + 1).min(end - 1), source - low as f32)
}
