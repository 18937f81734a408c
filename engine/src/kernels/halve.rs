//! Half and double the size, without weights.

use rayon::prelude::*;

use super::conv::ConvShape;

/// Halves pictures `[images, height, width, channels]` each way: every pixel becomes the mean of four.
///
/// # Panics
/// When a side is odd, or a slice is not as long as the shape says.
pub fn halve(x: &[f32], shape: ConvShape, out: &mut [f32]) {
    let ConvShape { height, width, channels, .. } = shape;
    let line = width * channels;
    assert!(height % 2 + width % 2 == 0, "the sides are even");
    assert_eq!(x.len(), shape.numbers(), "the picture is as long as its shape says");
    assert_eq!(4 * out.len(), x.len(), "the half has a quarter of the pixels");
    if out.is_empty() {
        return;
    }
    out.par_chunks_exact_mut(line / 2).zip(x.par_chunks_exact(2 * line)).for_each(|(out, rows)| {
        let (above, below) = rows.split_at(line);
        let pairs = above.chunks_exact(2 * channels).zip(below.chunks_exact(2 * channels));
        for (out, (above, below)) in out.chunks_exact_mut(channels).zip(pairs) {
            let (a, b) = above.split_at(channels);
            let (c, d) = below.split_at(channels);
            for (channel, out) in out.iter_mut().enumerate() {
                *out = (a[channel] + b[channel] + c[channel] + d[channel]) * 0.25;
            }
        }
    });
}

/// Doubles pictures `[images, height, width, channels]` each way, every pixel repeated.
///
/// # Panics
/// When a slice is not as long as the shape says.
pub fn double(x: &[f32], shape: ConvShape, out: &mut [f32]) {
    let ConvShape { width, channels, .. } = shape;
    let line = width * channels;
    assert_eq!(x.len(), shape.numbers(), "the picture is as long as its shape says");
    assert_eq!(out.len(), 4 * x.len(), "the double has four times the pixels");
    if out.is_empty() {
        return;
    }
    out.par_chunks_exact_mut(4 * line).zip(x.par_chunks_exact(line)).for_each(|(out, row)| {
        let (above, below) = out.split_at_mut(2 * line);
        for (out, pixel) in above.chunks_exact_mut(2 * channels).zip(row.chunks_exact(channels)) {
            out[..channels].copy_from_slice(pixel);
            out[channels..].copy_from_slice(pixel);
        }
        below.copy_from_slice(above);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_doubled_and_halved_is_as_it_was() {
        let shape = ConvShape { images: 2, height: 3, width: 5, channels: 3 };
        let x: Vec<f32> = (0..90u8).map(f32::from).collect();
        let mut twice = vec![f32::NAN; 360];
        double(&x, shape, &mut twice);
        assert_eq!(twice[..6], [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]);
        assert_eq!(twice[30..36], twice[..6]);
        let mut back = vec![f32::NAN; 90];
        halve(&twice, ConvShape { height: 6, width: 10, ..shape }, &mut back);
        assert_eq!(back, x);
    }

    #[test]
    fn half_a_picture_is_made_of_means() {
        let shape = ConvShape { images: 1, height: 2, width: 4, channels: 1 };
        let mut half = [f32::NAN; 2];
        halve(&[1.0, 3.0, 0.0, 8.0, 5.0, 7.0, 4.0, 0.0], shape, &mut half);
        assert_eq!(half, [4.0, 3.0]);
    }
}
