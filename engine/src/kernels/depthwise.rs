//! Convolutions in which every channel sees only itself.
//!
//! Such a convolution reads far more than it multiplies, so there is nothing to gain from panels: a
//! place's channels are added up tap by tap, in registers.

use rayon::prelude::*;

use super::conv::ConvShape;
use super::elementwise::Activation;
use super::level::per_level;

/// How many channels are added up together.
const TOGETHER: usize = 64;

/// Holds the weights of a convolution with an odd square kernel over each channel of its own, with zeros
/// around the picture so that a stride of 1 keeps its size.
#[derive(Debug, Clone)]
pub struct Depthwise {
    channels: usize,
    kernel: usize,
    stride: usize,
    /// `[kernel, kernel, channels]`.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Depthwise {
    /// Takes weights `[channels, 1, kernel, kernel]` as torch has them, and a bias per channel.
    ///
    /// Returns none where the kernel is even, the stride is 0, or numbers are missing.
    pub fn new(kernel: usize, stride: usize, weight: &[f32], bias: Vec<f32>) -> Option<Self> {
        let (channels, area) = (bias.len(), kernel * kernel);
        let is_sound = kernel % 2 == 1
            && stride > 0
            && channels > 0
            && weight.len() == channels.checked_mul(area)?;
        let turned = (0..area).flat_map(|tap| (0..channels).map(move |channel| [tap, channel]));
        is_sound.then(|| Self {
            channels,
            kernel,
            stride,
            weight: turned.map(|[tap, channel]| weight[channel * area + tap]).collect(),
            bias,
        })
    }

    /// Returns the shape of the output.
    pub fn output(&self, shape: ConvShape) -> ConvShape {
        let [height, width] = [shape.height, shape.width].map(|side| side.div_ceil(self.stride));
        ConvShape { height, width, ..shape }
    }

    /// Computes `activation(conv(x) + bias)` of pictures `[images, height, width, channels]`.
    ///
    /// # Panics
    /// When a slice is not as long as the shape says, or the channels are others.
    pub fn forward(&self, x: &[f32], shape: ConvShape, activation: Activation, out: &mut [f32]) {
        let result = self.output(shape);
        assert_eq!(shape.channels, self.channels, "the picture has the channels of the weights");
        assert_eq!(x.len(), shape.numbers(), "the picture is as long as its shape says");
        assert_eq!(out.len(), result.numbers(), "the output is as long as its shape says");
        if out.is_empty() {
            return;
        }
        let image_len = shape.height * shape.width * shape.channels;
        let line = result.width * result.channels;
        out.par_chunks_exact_mut(line).enumerate().for_each(|(row, out)| {
            let x = &x[row / result.height * image_len..][..image_len];
            one_row(self, x, shape, row % result.height, activation, out);
        });
    }
}

per_level! {
    /// Computes one row of the output.
    fn one_row(
        conv: &Depthwise,
        x: &[f32],
        shape: ConvShape,
        row: usize,
        activation: Activation,
        out: &mut [f32],
    ) {
        let Depthwise { channels, kernel, stride, .. } = *conv;
        let half = kernel / 2;
        for (place, out) in out.chunks_exact_mut(channels).enumerate() {
            for (part, out) in out.chunks_mut(TOGETHER).enumerate() {
                let first = part * TOGETHER;
                let mut sums = [0f32; TOGETHER];
                let sums = &mut sums[..out.len()];
                sums.copy_from_slice(&conv.bias[first..][..out.len()]);
                for tap in 0..kernel * kernel {
                    // Beyond the edge the number wraps round and is none of the picture.
                    let y = (row * stride + tap / kernel).wrapping_sub(half);
                    let at = (place * stride + tap % kernel).wrapping_sub(half);
                    if y >= shape.height || at >= shape.width {
                        continue;
                    }
                    let x = &x[(y * shape.width + at) * channels + first..][..out.len()];
                    let weight = &conv.weight[tap * channels + first..][..out.len()];
                    if let (Ok(sums), Ok(x), Ok(weight)) = (
                        <&mut [f32; TOGETHER]>::try_from(&mut *sums),
                        <&[f32; TOGETHER]>::try_from(x),
                        <&[f32; TOGETHER]>::try_from(weight),
                    ) {
                        // A length that the compiler knows.
                        for channel in 0..TOGETHER {
                            sums[channel] += x[channel] * weight[channel];
                        }
                    } else {
                        for ((sum, x), weight) in sums.iter_mut().zip(x).zip(weight) {
                            *sum += x * weight;
                        }
                    }
                }
                activation.apply(sums);
                out.copy_from_slice(sums);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::kernels::tests::{assert_close, noise};

    #[test]
    fn each_channel_is_convolved_with_its_own_weights_over_odd_shapes() {
        for (kernel, stride, height, width, channels) in [
            (3, 1, 5, 7, 3),
            (3, 2, 8, 6, 70),
            (3, 2, 5, 3, 64),
            (1, 1, 2, 2, 5),
            (5, 1, 4, 9, 130),
        ] {
            let shape = ConvShape { images: 2, height, width, channels };
            let x = noise(shape.numbers(), 1);
            let (weight, bias) = (noise(channels * kernel * kernel, 2), noise(channels, 3));
            let conv = Depthwise::new(kernel, stride, &weight, bias.clone()).unwrap();
            let result = conv.output(shape);
            let half = kernel / 2;
            let mut want = Vec::new();
            for at in 0..result.numbers() {
                let channel = at % channels;
                let place = at / channels % result.width;
                let row = at / channels / result.width % result.height;
                let image = at / channels / result.width / result.height;
                let mut sum = f64::from(bias[channel]);
                for (down, over) in (0..kernel).flat_map(|y| (0..kernel).map(move |x| (y, x))) {
                    let (y, left) = (row * stride + down, place * stride + over);
                    if (half..height + half).contains(&y) && (half..width + half).contains(&left) {
                        let at = ((image * height + y - half) * width + left - half) * channels;
                        let weight = weight[(channel * kernel + down) * kernel + over];
                        sum += f64::from(x[at + channel]) * f64::from(weight);
                    }
                }
                want.push(sum.max(0.0));
            }
            let mut out = vec![f32::NAN; result.numbers()];
            conv.forward(&x, shape, Activation::Relu, &mut out);
            assert_close(&out, &want, 1e-5, &format!("{kernel} {stride} {shape:?}"));
        }
    }

    #[test]
    fn weights_that_are_none_are_refused() {
        assert!(Depthwise::new(2, 1, &[0.0; 8], vec![0.0; 2]).is_none());
        assert!(Depthwise::new(3, 0, &[0.0; 18], vec![0.0; 2]).is_none());
        assert!(Depthwise::new(3, 1, &[0.0; 17], vec![0.0; 2]).is_none());
        assert!(Depthwise::new(3, 1, &[], Vec::new()).is_none());
    }
}
