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

/// Unfolds pictures whose every place holds a square of pixels, and adds another picture to them, every
/// pixel of it repeated over its square.
///
/// `x` is `[images, height, width, channels · factor²]`, number `(c · factor + y) · factor + x` of a
/// place being channel `c` of cell `(y, x)`: torch's pixel shuffle. `base` is `[images, height, width,
/// channels]`, `out` `[images, factor · height, factor · width, channels]`. `shape` is that of `base`.
///
/// # Panics
/// When a slice is not as long as the shapes say.
pub fn unfold_over(x: &[f32], base: &[f32], shape: ConvShape, factor: usize, out: &mut [f32]) {
    let ConvShape { width, channels, .. } = shape;
    let cells = factor * factor;
    assert_eq!(base.len(), shape.numbers(), "the picture is as long as its shape says");
    assert_eq!(x.len(), cells * base.len(), "every place holds a square");
    assert_eq!(out.len(), x.len(), "the output holds all squares");
    let line = width * channels;
    if out.is_empty() {
        return;
    }
    out.par_chunks_mut(factor * line).enumerate().for_each(|(row, out)| {
        let (from, y) = (row / factor * line, row % factor);
        let base = base[from..][..line].chunks_exact(channels);
        let places = x[cells * from..][..cells * line].chunks_exact(cells * channels);
        let squares = out.chunks_exact_mut(factor * channels);
        for ((base, place), square) in base.zip(places).zip(squares) {
            for (x, pixel) in square.chunks_exact_mut(channels).enumerate() {
                for (c, (pixel, base)) in pixel.iter_mut().zip(base).enumerate() {
                    *pixel = base + place[(c * factor + y) * factor + x];
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_dealt_out_as_torch_does_and_the_other_picture_is_repeated_under_them() {
        // One row of two places, two channels, squares of 2×2.
        let shape = ConvShape { images: 1, height: 1, width: 2, channels: 2 };
        let x: Vec<f32> = (0..16).map(|n| n as f32).collect();
        let mut out = vec![f32::NAN; 16];
        unfold_over(&x, &[100.0, 200.0, 300.0, 400.0], shape, 2, &mut out);
        let above = [100.0, 204.0, 101.0, 205.0, 308.0, 412.0, 309.0, 413.0];
        let below = [102.0, 206.0, 103.0, 207.0, 310.0, 414.0, 311.0, 415.0];
        assert_eq!(out, [above, below].concat());
    }
}
