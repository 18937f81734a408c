//! Convolutions of every kind.

use proptest::prelude::*;

use super::super::*;
use super::{assert_close, noise, silu64, ways};

/// Holds a convolution to try.
#[derive(Debug, Clone, Copy)]
struct Case {
    shape: ConvShape,
    outputs: usize,
    plan: ConvPlan,
}

/// Convolves `[images, height, width, channels]` by a plain loop; weights are torch's.
fn plain_conv(case: Case, x: &[f64], w: &[f32]) -> Vec<f64> {
    let Case { shape, outputs, plan } = case;
    let ConvShape { images, height, width, channels } = shape;
    let ConvPlan { kernel, stride, dilation, padding, groups, mode, .. } = plan;
    let [out_height, out_width] = plan.output([height, width]).expect("the case has an output");
    let (depth, per_group) = (channels / groups, outputs / groups);
    let at = |image: usize, y: isize, z: isize, c: usize| -> f64 {
        let doubled = if mode == ConvMode::Doubled { 2 } else { 1 };
        if y < 0 || z < 0 || y >= (doubled * height) as isize || z >= (doubled * width) as isize {
            return 0.0;
        }
        let (y, z) = (y as usize / doubled, z as usize / doubled);
        x[((image * height + y) * width + z) * channels + c]
    };
    let mut out = Vec::new();
    for (image, place) in (0..images).flat_map(|i| (0..out_height * out_width).map(move |p| (i, p)))
    {
        let (mut y, mut z) = (place / out_width, place % out_width);
        let channels = if mode == ConvMode::Shuffled { outputs / 4 } else { outputs };
        let cell = if mode == ConvMode::Shuffled { y % 2 * 2 + z % 2 } else { 0 };
        if mode == ConvMode::Shuffled {
            (y, z) = (y / 2, z / 2);
        }
        for channel in 0..channels {
            let o = if mode == ConvMode::Shuffled { 4 * channel + cell } else { channel };
            let group = o / per_group;
            let mut sum = 0.0;
            for (dy, dz) in (0..kernel[0] * kernel[1]).map(|t| (t / kernel[1], t % kernel[1])) {
                for c in 0..depth {
                    let input = group * depth + c;
                    if let ConvMode::Transposed(_) = mode {
                        let from = |place: usize, axis: usize, tap: usize| {
                            let at = (place + padding[2 * axis]) as isize
                                - (tap * dilation[axis]) as isize;
                            let stride = stride[axis] as isize;
                            (at % stride == 0 && at >= 0).then(|| at / stride)
                        };
                        if let (Some(y), Some(z)) = (from(y, 0, dy), from(z, 1, dz)) {
                            let w = w[((input * per_group + o % per_group) * kernel[0] + dy)
                                * kernel[1]
                                + dz];
                            sum += at(image, y, z, input) * f64::from(w);
                        }
                        continue;
                    }
                    let y = (y * stride[0] + dy * dilation[0]) as isize - padding[0] as isize;
                    let z = (z * stride[1] + dz * dilation[1]) as isize - padding[2] as isize;
                    let w = w[((o * depth + c) * kernel[0] + dy) * kernel[1] + dz];
                    sum += at(image, y, z, input) * f64::from(w);
                }
            }
            out.push(sum);
        }
    }
    out
}

/// Tries a convolution at every level and precision, plain and with all that may stand around it.
fn check(case: Case) {
    let Case { shape, outputs, plan } = case;
    let Some([height, width]) = plan.output([shape.height, shape.width]) else { return };
    let area = plan.kernel[0] * plan.kernel[1];
    let x = noise(shape.numbers(), 1);
    let w = noise(outputs * shape.channels / plan.groups * area, 2);
    let cells = if plan.mode == ConvMode::Shuffled { 4 } else { 1 };
    let channels = outputs / cells;
    let bias = noise(outputs, 3);
    let image_bias = noise(shape.images * channels, 4);
    let residual = noise(shape.images * height * width * channels, 5);
    let slopes = (cells == 1).then(|| noise(outputs, 8));
    let scales = ChannelScales {
        scale: noise(shape.images * shape.channels, 6),
        shift: noise(shape.images * shape.channels, 7),
    };
    let x64: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
    let plain = plain_conv(case, &x64, &w);
    let per_image = shape.height * shape.width * shape.channels;
    let scaled: Vec<f64> = x64
        .iter()
        .enumerate()
        .map(|(i, x)| {
            let at = i / per_image * shape.channels + i % shape.channels;
            silu64(x * f64::from(scales.scale[at]) + f64::from(scales.shift[at]))
        })
        .collect();
    let full: Vec<f64> = plain_conv(case, &scaled, &w)
        .iter()
        .enumerate()
        .map(|(i, sum)| {
            let (place, channel) = (i / channels, i % channels);
            let image = place / (height * width);
            let (y, z) = (place / width % height, place % width);
            let bias = match cells {
                4 => bias[4 * channel + y % 2 * 2 + z % 2],
                _ => bias[channel],
            };
            let sum = sum + f64::from(bias) + f64::from(image_bias[image * channels + channel]);
            let slope = slopes.as_ref().map_or(0.0, |slopes| f64::from(slopes[channel]));
            (if sum < 0.0 { slope * sum } else { sum }) + f64::from(residual[i])
        })
        .collect();
    for level in Level::available() {
        for (precision, tolerance) in ways(level, area * shape.channels / plan.groups) {
            let conv = Conv::new(level, precision, plan, [shape.channels, outputs], &w)
                .expect("the case is a convolution");
            let mut out = vec![f32::NAN; plain.len()];
            let what = format!("{level:?} {precision:?} {case:?}");
            conv.forward(Input::F32(&x), shape, Before::default(), After::default(), &mut out);
            assert_close(&out, &plain, tolerance, &what);
            // Also in parts, between which it is asked whether to stop.
            let (scales, stop) = (Some(&scales), Some(&(|| false) as &dyn Fn() -> bool));
            let before = Before { scales, activation: Activation::Silu, stop };
            let after = After {
                bias: Some(&bias),
                image_bias: Some(&image_bias),
                activation: if cells == 1 { Activation::None } else { Activation::Relu },
                slopes: slopes.as_deref(),
                residual: Some(&residual),
            };
            conv.forward(Input::F32(&x), shape, before, after, &mut out);
            assert_close(&out, &full, tolerance, &format!("{what}, with all around it"));
        }
    }
}

fn shape(images: usize, height: usize, width: usize, channels: usize) -> ConvShape {
    ConvShape { images, height, width, channels }
}

#[test]
fn convolutions_agree_with_a_plain_loop_over_odd_shapes() {
    let shapes = [(1, 1, 1, 1, 4), (1, 3, 5, 7, 12), (2, 5, 17, 16, 36), (3, 8, 2, 33, 64)];
    for (images, height, width, channels, outputs) in shapes {
        let shape = shape(images, height, width, channels);
        for mode in [ConvMode::Plain, ConvMode::Doubled, ConvMode::Shuffled] {
            check(Case { shape, outputs, plan: ConvPlan { mode, ..ConvPlan::same(3) } });
        }
        let plan = ConvPlan { is_for_large: true, ..ConvPlan::same(3) };
        check(Case { shape, outputs, plan });
        check(Case { shape, outputs, plan: ConvPlan::same(1) });
        check(Case { shape, outputs, plan: ConvPlan::same(5) });
    }
}

#[test]
fn fewer_products_agree_with_a_plain_loop_over_odd_shapes() {
    let plan = ConvPlan { is_for_large: true, ..ConvPlan::same(3) };
    for (images, height, width, channels, outputs) in
        [(1, 1, 1, 1, 1), (2, 9, 7, 5, 33), (1, 21, 22, 48, 40), (3, 2, 3, 17, 70)]
    {
        check(Case { shape: shape(images, height, width, channels), outputs, plan });
    }
}

#[test]
fn strided_convolutions_agree_with_a_plain_loop() {
    for padding in [[1; 4], [0, 1, 0, 1], [2, 0, 1, 3]] {
        for stride in [[2, 2], [1, 3]] {
            let plan = ConvPlan { stride, padding, ..ConvPlan::same(3) };
            check(Case { shape: shape(2, 6, 9, 5), outputs: 34, plan });
        }
    }
}

#[test]
fn grouped_and_depthwise_convolutions_agree_with_a_plain_loop() {
    for (channels, outputs, groups) in [(6, 4, 2), (7, 7, 7), (4, 12, 4)] {
        let plan = ConvPlan { groups, ..ConvPlan::same(3) };
        check(Case { shape: shape(2, 4, 5, channels), outputs, plan });
    }
}

#[test]
fn convolutions_over_one_axis_agree_with_a_plain_loop() {
    for (kernel, stride, dilation, before) in [(7, 1, 1, 3), (3, 2, 1, 1), (3, 1, 4, 4)] {
        let plan = ConvPlan {
            kernel: [1, kernel],
            stride: [1, stride],
            dilation: [1, dilation],
            padding: [0, 0, before, before],
            ..ConvPlan::same(1)
        };
        check(Case { shape: shape(1, 1, 40, 6), outputs: 9, plan });
    }
}

#[test]
fn transposed_convolutions_agree_with_a_plain_loop() {
    // Kernel, stride, padding, places more at the end, dilation, groups.
    let cases = [
        (4, 2, 1, 0, 1, 1),
        (3, 2, 1, 1, 1, 1),
        (16, 8, 4, 0, 1, 1),
        (3, 1, 0, 0, 2, 2),
        (2, 3, 0, 0, 1, 1),
    ];
    for (kernel, stride, padding, more, dilation, groups) in cases {
        for is_flat in [false, true] {
            let axis = |n: usize, one: usize| if is_flat { [one, n] } else { [n, n] };
            let border = if is_flat { [0, 0, padding, padding] } else { [padding; 4] };
            let plan = ConvPlan {
                kernel: axis(kernel, 1),
                stride: axis(stride, 1),
                dilation: axis(dilation, 1),
                padding: border,
                groups,
                mode: ConvMode::Transposed(axis(more, 0)),
                is_for_large: false,
            };
            let height = if is_flat { 1 } else { 3 };
            check(Case { shape: shape(2, height, 5, 4), outputs: 6, plan });
        }
    }
}

#[test]
fn plans_that_are_none_are_refused() {
    let new = |plan: ConvPlan, channels: [usize; 2], len: usize| {
        Conv::new(Level::Portable, Precision::Exact, plan, channels, &vec![0.0; len])
    };
    assert!(new(ConvPlan::same(3), [4, 8], 288).is_some());
    assert!(new(ConvPlan::same(3), [4, 8], 287).is_none());
    assert!(new(ConvPlan { groups: 3, ..ConvPlan::same(3) }, [4, 8], 96).is_none());
    assert!(new(ConvPlan { groups: 0, ..ConvPlan::same(3) }, [4, 8], 288).is_none());
    assert!(new(ConvPlan { stride: [0, 1], ..ConvPlan::same(3) }, [4, 8], 288).is_none());
    let doubled = ConvPlan { mode: ConvMode::Doubled, stride: [2; 2], ..ConvPlan::same(3) };
    assert!(new(doubled, [4, 8], 288).is_none());
    let shuffled = ConvPlan { mode: ConvMode::Shuffled, ..ConvPlan::same(3) };
    assert!(new(shuffled, [4, 6], 216).is_none());
    assert!(ConvPlan { padding: [0; 4], ..ConvPlan::same(3) }.output([2, 5]).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_convolution_agrees_with_a_plain_loop(
        sizes in (1usize..3, 1usize..7, 1usize..15),
        channels in (1usize..9, 1usize..40),
        kernel in (1usize..4, 1usize..4),
        stride in (1usize..3, 1usize..3),
        padding in prop::array::uniform4(0usize..3),
    ) {
        let plan = ConvPlan {
            kernel: [kernel.0, kernel.1],
            stride: [stride.0, stride.1],
            padding,
            ..ConvPlan::same(1)
        };
        let shape = shape(sizes.0, sizes.1, sizes.2, channels.0);
        check(Case { shape, outputs: channels.1, plan });
    }
}

#[test]
fn pictures_of_any_width_fill_whole_blocks() {
    // Depths of whole blocks, and rows that are fewer than one, one, one and some, and more than two.
    for (images, height, width, channels) in [
        (1, 3, 5, 32),
        (2, 3, 8, 64),
        (1, 2, 16, 32),
        (1, 3, 17, 32),
        (2, 2, 33, 64),
        (1, 1, 50, 96),
    ] {
        let shape = ConvShape { images, height, width, channels };
        for plan in [ConvPlan::same(3), ConvPlan { is_for_large: true, ..ConvPlan::same(3) }] {
            check(Case { shape, outputs: 40, plan });
        }
    }
    // Places that no tap falls on.
    let mode = ConvMode::Transposed([0; 2]);
    let plan = ConvPlan { mode, stride: [3; 2], padding: [0; 4], ..ConvPlan::same(2) };
    check(Case { shape: shape(1, 3, 18, 32), outputs: 40, plan });
}
