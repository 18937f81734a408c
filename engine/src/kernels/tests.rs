//! Every kernel against plain loops in f64, over odd shapes and at every level of this processor.

use super::*;

/// Numbers that look random and are the same everywhere, in -1..1.
fn noise(len: usize, salt: u64) -> Vec<f32> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

#[track_caller]
fn assert_close(got: &[f32], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(*got) - want).abs();
        assert!(error <= tolerance * want.abs().max(1.0), "{what}: {index}: {got} for {want}");
    }
}

fn silu64(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn plain_product(x: &[f32], weight: &[f32], rows: usize, depth: usize, n: usize) -> Vec<f64> {
    let at = |r: usize, o: usize| {
        (0..depth).map(|k| f64::from(x[r * depth + k]) * f64::from(weight[o * depth + k])).sum()
    };
    (0..rows * n).map(|i| at(i / n, i % n)).collect()
}

#[test]
fn exp_agrees_with_f64_and_passes_nan_on() {
    for i in -8600..=8700 {
        let x = i as f32 / 100.0;
        let want = f64::from(x).exp();
        assert!((f64::from(elementwise::exp(x)) / want - 1.0).abs() < 3e-7, "{x}");
    }
    assert!(elementwise::exp(f32::NAN).is_nan() && silu(f32::NAN).is_nan());
    assert!(elementwise::exp(-1e30) < 1e-37 && elementwise::exp(1e30) > 1e38);
}

#[test]
fn linear_agrees_with_a_plain_loop_over_odd_shapes() {
    let shapes = [(1, 1, 1), (1, 7, 33), (2, 64, 5), (3, 17, 64), (13, 32, 31), (145, 48, 96)];
    for level in Level::available() {
        for (rows, depth, n) in shapes {
            let (x, w, b) = (noise(rows * depth, 1), noise(n * depth, 2), noise(n, 3));
            let panels = Panels::linear(level, n, depth, &w);
            let plain = plain_product(&x, &w, rows, depth, n);
            let mut out = vec![0f32; rows * n];
            linear(&x, rows, &panels, Epilogue::Bias(None), &mut out);
            assert_close(&out, &plain, 1e-5, &format!("{level:?} {rows} {depth} {n}"));
            linear(&x, rows, &panels, Epilogue::BiasSilu(&b), &mut out);
            let want: Vec<f64> =
                plain.iter().enumerate().map(|(i, v)| silu64(v + f64::from(b[i % n]))).collect();
            assert_close(&out, &want, 1e-5, "bias and SiLU");
            let residual = noise(rows * n, 4);
            let gates = noise(2 * 3 * n, 5);
            let owners: Vec<u32> = (0..rows).map(|r| u32::from(r > rows / 3)).collect();
            let modulation = Modulation { values: &gates, stride: 3 * n, owners: &owners };
            let gate = Some((modulation, 2));
            linear(
                &x,
                rows,
                &panels,
                Epilogue::GatedResidual { residual: &residual, gate },
                &mut out,
            );
            let want: Vec<f64> = (0..rows * n)
                .map(|i| {
                    let gate = gates[owners[i / n] as usize * 3 * n + 2 * n + i % n];
                    f64::from(residual[i]) + f64::from(gate) * plain[i]
                })
                .collect();
            assert_close(&out, &want, 1e-5, "gated residual");
        }
    }
}

#[test]
fn swiglu_agrees_with_a_plain_loop() {
    for level in Level::available() {
        let (rows, depth, half) = (29, 20, 96);
        let (x, w) = (noise(rows * depth, 1), noise(2 * half * depth, 2));
        let panels = Panels::pack(level, 2 * half, 1, depth, |output, _, k| {
            w[swiglu_row(level, 2 * half, output) * depth + k]
        });
        let mut out = vec![0f32; rows * half];
        linear(&x, rows, &panels, Epilogue::SwiGlu, &mut out);
        let plain = plain_product(&x, &w, rows, depth, 2 * half);
        let want: Vec<f64> = (0..rows * half)
            .map(|i| {
                let row = i / half * 2 * half;
                silu64(plain[row + i % half]) * plain[row + half + i % half]
            })
            .collect();
        assert_close(&out, &want, 1e-5, "SwiGLU");
    }
}

#[test]
fn a_row_has_the_same_bits_whatever_rows_stand_beside_it() {
    for level in Level::available() {
        let (depth, n) = (100, 70);
        let (x, w) = (noise(50 * depth, 1), noise(n * depth, 2));
        let panels = Panels::linear(level, n, depth, &w);
        let mut together = vec![0f32; 50 * n];
        linear(&x, 50, &panels, Epilogue::Bias(None), &mut together);
        for row in [0, 1, 13, 49] {
            let mut alone = vec![0f32; n];
            linear(&x[row * depth..][..depth], 1, &panels, Epilogue::Bias(None), &mut alone);
            assert_eq!(alone, together[row * n..][..n], "{level:?} row {row}");
        }
    }
}

/// Convolution of `[images, height, width, channels]` by a plain loop; weights are torch's
/// `[outputs, channels, 3, 3]`.
fn plain_conv(x: &[f64], shape: ConvShape, w: &[f32], bias: &[f32]) -> Vec<f64> {
    let ConvShape { images, height, width, channels } = shape;
    let mut out = Vec::new();
    for i in 0..images {
        for y in 0..height {
            for z in 0..width {
                for (o, bias) in bias.iter().enumerate() {
                    let mut sum = f64::from(*bias);
                    for (dy, dx) in (0..9).map(|t| (t / 3, t % 3)) {
                        let (yy, xx) = (y + dy, z + dx);
                        if yy == 0 || xx == 0 || yy > height || xx > width {
                            continue;
                        }
                        for c in 0..channels {
                            let value = x[((i * height + yy - 1) * width + xx - 1) * channels + c];
                            sum += value * f64::from(w[((o * channels + c) * 3 + dy) * 3 + dx]);
                        }
                    }
                    out.push(sum);
                }
            }
        }
    }
    out
}

#[test]
fn convolution_agrees_with_a_plain_loop_over_odd_shapes() {
    let shapes = [(1, 1, 1, 1, 4), (1, 3, 5, 7, 12), (2, 5, 17, 16, 36), (3, 8, 2, 33, 64)];
    for level in Level::available() {
        for (images, height, width, channels, outputs) in shapes {
            let shape = ConvShape { images, height, width, channels };
            let (x, w) = (noise(shape_len(shape), 1), noise(outputs * channels * 9, 2));
            let bias = noise(outputs, 3);
            let at = |o: usize, tap: usize, c: usize| w[(o * channels + c) * 9 + tap];
            let panels = Panels::pack(level, outputs, 9, channels, at);
            let x64: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
            let plain = plain_conv(&x64, shape, &w, &bias);
            let mut out = vec![0f32; images * height * width * outputs];
            let nothing = Prologue::Nothing;
            conv3x3(&x, shape, nothing, &panels, &bias, ConvOutput::Plain(None), &mut out);
            assert_close(&out, &plain, 1e-5, &format!("{level:?} {shape:?}"));

            let silued: Vec<f64> = x64.iter().map(|v| silu64(*v)).collect();
            let plain = plain_conv(&silued, shape, &w, &bias);
            let residual = noise(out.len(), 7);
            let output = ConvOutput::Plain(Some(&residual));
            conv3x3(&x, shape, Prologue::Silu, &panels, &bias, output, &mut out);
            let want: Vec<f64> =
                plain.iter().zip(&residual).map(|(v, r)| v + f64::from(*r)).collect();
            assert_close(&out, &want, 1e-5, "SiLU and residual");

            conv3x3(&x, shape, Prologue::Silu, &panels, &bias, ConvOutput::Shuffled, &mut out);
            let depth = outputs / 4;
            let want: Vec<f64> = (0..out.len())
                .map(|i| {
                    let (channel, place) = (i % depth, i / depth);
                    let (xx, line) = (place % (2 * width), place / (2 * width));
                    // Lines of all images stand one below the other, as cells do.
                    let cell = (line % 2) * 2 + xx % 2;
                    plain[((line / 2) * width + xx / 2) * outputs + cell * depth + channel]
                })
                .collect();
            assert_close(&out, &want, 1e-5, "SiLU and shuffle");
        }
    }
}

fn shape_len(shape: ConvShape) -> usize {
    shape.images * shape.height * shape.width * shape.channels
}

#[test]
fn enlarging_agrees_with_a_plain_loop_over_odd_shapes() {
    for (images, height, width, channels) in [(1, 1, 1, 1), (2, 3, 5, 3), (1, 8, 2, 4)] {
        let shape = ConvShape { images, height, width, channels };
        let x = noise(shape_len(shape), 1);
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
fn attention_agrees_with_a_plain_loop_over_sequences_of_odd_lengths() {
    for level in Level::available() {
        for (heads, head_width, lengths) in
            [(1, 4, vec![1]), (3, 8, vec![5, 1, 2]), (2, 64, vec![65, 80]), (1, 32, vec![131])]
        {
            let shape = AttentionShape { heads, head_width };
            let rows: usize = lengths.iter().sum();
            let width = heads * head_width;
            let qkv = noise(rows * 3 * width, 1);
            let (query, key) = (noise(head_width, 2), noise(head_width, 3));
            let angles = noise(rows * head_width / 2, 4);
            let cos: Vec<f32> = angles.iter().map(|a| (a * 3.0).cos()).collect();
            let sin: Vec<f32> = angles.iter().map(|a| (a * 3.0).sin()).collect();
            let mut start = 0;
            let spans: Vec<_> = lengths
                .iter()
                .map(|length| {
                    start += length;
                    start - length..start
                })
                .collect();
            let prepared = |row: usize, which: usize, head: usize, scale: &[f32]| -> Vec<f64> {
                let x = &qkv[(row * 3 + which) * width + head * head_width..][..head_width];
                let mean = x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / head_width as f64;
                let x: Vec<f64> = x
                    .iter()
                    .zip(scale)
                    .map(|(v, s)| f64::from(*v) / (mean + 1e-6).sqrt() * f64::from(*s))
                    .collect();
                let (half, quarter) = (head_width / 2, head_width / 4);
                (0..head_width)
                    .map(|i| {
                        let (h, second, pair) = (i / half, i % half / quarter, i % quarter);
                        let (u, v) = (x[h * half + pair], x[h * half + quarter + pair]);
                        let at = row * half + h * quarter + pair;
                        let (c, s) = (f64::from(cos[at]), f64::from(sin[at]));
                        if second == 0 { u * c - v * s } else { u * s + v * c }
                    })
                    .collect()
            };
            let mut want = vec![0f64; rows * width];
            for span in &spans {
                for (row, head) in span.clone().flat_map(|r| (0..heads).map(move |h| (r, h))) {
                    let q = prepared(row, 0, head, &query);
                    let scores: Vec<f64> = span
                        .clone()
                        .map(|other| {
                            let k = prepared(other, 1, head, &key);
                            let dot: f64 = q.iter().zip(&k).map(|(a, b)| a * b).sum();
                            (dot / (head_width as f64).sqrt()).exp()
                        })
                        .collect();
                    let total: f64 = scores.iter().sum();
                    for (other, score) in span.clone().zip(scores) {
                        for c in 0..head_width {
                            let v = qkv[(other * 3 + 2) * width + head * head_width + c];
                            want[row * width + head * head_width + c] +=
                                score / total * f64::from(v);
                        }
                    }
                }
            }
            let mut out = vec![0f32; rows * width];
            let norms = HeadNorms { query: &query, key: &key, eps: 1e-6 };
            let rotation = Some(Rotation { cos: &cos, sin: &sin });
            attention(level, &qkv, shape, &spans, norms, rotation, &mut out);
            assert_close(&out, &want, 1e-5, &format!("{level:?} {shape:?} {lengths:?}"));
        }
    }
}
