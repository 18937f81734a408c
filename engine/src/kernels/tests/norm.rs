//! Norms and enlargement.

use super::super::*;
use super::{assert_close, noise, silu64};

#[test]
fn enlarging_agrees_with_a_plain_loop_over_odd_shapes() {
    for (images, height, width, channels) in [(1, 1, 1, 1), (2, 3, 5, 3), (1, 8, 2, 4)] {
        let shape = ConvShape { images, height, width, channels };
        let x = noise(shape.numbers(), 1);
        let mut out = vec![0f32; 16 * x.len()];
        enlarge4(&x, shape, &mut out);
        // torch.nn.functional.interpolate, bilinear, align_corners=False.
        let near = |at: usize, end: usize| {
            let place = ((at as f64 + 0.5) / 4.0 - 0.5).max(0.0);
            let low = place as usize;
            (low, (low + 1).min(end - 1), place - low as f64)
        };
        let mut want = Vec::new();
        for image in 0..images {
            for (y, z) in (0..16 * height * width).map(|i| (i / (4 * width), i % (4 * width))) {
                let ((y0, y1, fy), (z0, z1, fz)) = (near(y, height), near(z, width));
                for c in 0..channels {
                    let at = |y: usize, z: usize| {
                        f64::from(x[((image * height + y) * width + z) * channels + c])
                    };
                    let top = at(y0, z0) * (1.0 - fz) + at(y0, z1) * fz;
                    let bottom = at(y1, z0) * (1.0 - fz) + at(y1, z1) * fz;
                    want.push(top * (1.0 - fy) + bottom * fy);
                }
            }
        }
        assert_close(&out, &want, 1e-6, &format!("{shape:?}"));
    }
}

#[test]
fn rms_norms_agree_with_a_plain_loop() {
    for (rows, width) in [(1, 1), (3, 17), (150, 256)] {
        let (x, table) = (noise(rows * width, 1), noise(2 * 6 * width, 2));
        let owners: Vec<u32> = (0..rows).map(|r| u32::from(r % 2 == 1)).collect();
        let modulation = Modulation { values: &table, stride: 6 * width, owners: &owners };
        let normed = |i: usize| {
            let row = &x[i / width * width..][..width];
            let mean = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / width as f64;
            f64::from(x[i]) / (mean + 1e-6).sqrt()
        };
        let mut out = vec![0f32; x.len()];
        modulate(&x, width, modulation, (3, 4), 1e-6, &mut out);
        let part = |i: usize, p: usize| {
            f64::from(table[owners[i / width] as usize * 6 * width + p * width + i % width])
        };
        let want: Vec<f64> =
            (0..x.len()).map(|i| normed(i) * (1.0 + part(i, 4)) + part(i, 3)).collect();
        assert_close(&out, &want, 1e-5, "modulate");
        let weight = noise(width, 4);
        rms_norm(&x, &weight, 1e-6, &mut out);
        let want: Vec<f64> =
            (0..x.len()).map(|i| normed(i) * f64::from(weight[i % width])).collect();
        assert_close(&out, &want, 1e-5, "rms norm");
    }
}

#[test]
fn group_and_layer_norms_agree_with_a_plain_loop() {
    for (images, pixels, channels, groups) in [(1, 1, 4, 2), (2, 150, 24, 4), (3, 65, 33, 1)] {
        let mut x = noise(images * pixels * channels, 1);
        // A mean far from 0 is what sums of squares are bad at.
        x.iter_mut().for_each(|x| *x += 3.0);
        let (weight, bias) = (noise(channels, 2), noise(channels, 3));
        let width = channels / groups;
        let moments = |values: Vec<f64>| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
            (mean, (square / values.len() as f64 + 1e-5).sqrt())
        };
        let at = |image: usize, pixel: usize, channel: usize| {
            f64::from(x[(image * pixels + pixel) * channels + channel])
        };
        let mut want = Vec::new();
        for image in 0..images {
            let groups: Vec<_> = (0..groups)
                .map(|group| {
                    let all = (0..pixels).flat_map(|pixel| {
                        (0..width).map(move |channel| at(image, pixel, group * width + channel))
                    });
                    moments(all.collect())
                })
                .collect();
            for (pixel, c) in (0..pixels).flat_map(|p| (0..channels).map(move |c| (p, c))) {
                let (mean, deviation) = groups[c / width];
                let y = (at(image, pixel, c) - mean) / deviation;
                want.push(silu64(y * f64::from(weight[c]) + f64::from(bias[c])));
            }
        }
        let norm = GroupNorm { groups, eps: 1e-5, weight: &weight, bias: &bias };
        let scales = group_norm(Input::F32(&x), images, norm);
        let mut out = vec![0f32; x.len()];
        scale_channels(&x, images, &scales, Activation::Silu, &mut out);
        assert_close(&out, &want, 2e-5, "group norm and SiLU");

        layer_norm(&x, &weight, &bias, 1e-5, &mut out);
        let want: Vec<f64> = (0..images * pixels)
            .flat_map(|row| {
                let line: Vec<f64> = (0..channels).map(|c| at(0, row, c)).collect();
                let (mean, deviation) = moments(line.clone());
                let (weight, bias) = (&weight, &bias);
                (0..channels).map(move |c| {
                    (line[c] - mean) / deviation * f64::from(weight[c]) + f64::from(bias[c])
                })
            })
            .collect();
        assert_close(&out, &want, 2e-5, "layer norm");
    }
}
