//! Functions, and products with what follows them.

use half::bf16;

use super::super::*;
use super::{assert_close, noise, plain_product, silu64, ways};

fn gelu64(x: f64) -> f64 {
    // The error function's series, which f64 can add up to 4; beyond that it is 1 within 2e-8.
    let z = x / 2f64.sqrt();
    if z.abs() > 4.0 {
        return x.max(0.0);
    }
    let (mut term, mut sum) = (z, z);
    for n in 1..200 {
        term *= -z * z / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    x * 0.5 * (1.0 + sum * 2.0 / std::f64::consts::PI.sqrt())
}

fn function64(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Silu => silu64(x),
        Activation::Gelu => gelu64(x),
        Activation::GeluTanh => {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + u.tanh())
        }
        Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu => x.max(0.2 * x),
    }
}

const FUNCTIONS: [Activation; 7] = [
    Activation::None,
    Activation::Silu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::QuickGelu,
    Activation::Relu,
    Activation::LeakyRelu,
];

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
fn functions_agree_with_f64() {
    for activation in FUNCTIONS {
        let x: Vec<f32> = (-500..=500).map(|i| i as f32 / 100.0).collect();
        let mut got = x.clone();
        activation.apply(&mut got);
        let want: Vec<f64> = x.iter().map(|x| function64(activation, f64::from(*x))).collect();
        assert_close(&got, &want, 1e-6, &format!("{activation:?}"));
    }
}

#[test]
fn rounding_to_bf16_is_that_of_half_and_keeps_nan() {
    for x in noise(5000, 1).into_iter().chain([0.0, -0.0, f32::INFINITY, 3.4e38, 1e-40]) {
        assert_eq!(<bf16 as Element>::from_f32(x).to_bits(), bf16::from_f32(x).to_bits(), "{x}");
    }
    assert!(<bf16 as Element>::from_f32(f32::NAN).is_nan());
    assert!(<bf16 as Element>::from_f32(f32::from_bits(0x7fff_ffff)).is_nan());
}

#[test]
fn linear_agrees_with_a_plain_loop_over_odd_shapes() {
    let shapes =
        [(1, 1, 1), (1, 7, 33), (2, 64, 5), (3, 17, 64), (13, 32, 31), (145, 48, 96), (600, 9, 70)];
    for level in Level::available() {
        for (rows, depth, n) in shapes {
            let (x, w, b) = (noise(rows * depth, 1), noise(n * depth, 2), noise(n, 3));
            let plain = plain_product(&x, &w, rows, depth, n);
            for (precision, tolerance) in ways(level, depth) {
                let what = format!("{level:?} {precision:?} {rows} {depth} {n}");
                let panels =
                    Panels::pack_as(level, precision, [n, 1, depth], |o, _, k| w[o * depth + k]);
                let mut out = vec![0f32; rows * n];
                linear(Input::F32(&x), rows, &panels, Epilogue::default(), &mut out);
                assert_close(&out, &plain, tolerance, &what);
                for activation in FUNCTIONS {
                    let epilogue = Epilogue { bias: Some(&b), activation, ..Epilogue::default() };
                    linear(Input::F32(&x), rows, &panels, epilogue, &mut out);
                    let want: Vec<f64> = plain
                        .iter()
                        .enumerate()
                        .map(|(i, v)| function64(activation, v + f64::from(b[i % n])))
                        .collect();
                    assert_close(&out, &want, 1.2 * tolerance, &format!("{what} {activation:?}"));
                }
                let residual = noise(rows * n, 4);
                let gates = noise(2 * 3 * n, 5);
                let owners: Vec<u32> = (0..rows).map(|r| u32::from(r > rows / 3)).collect();
                let modulation = Modulation { values: &gates, stride: 3 * n, owners: &owners };
                let epilogue = Epilogue {
                    residual: Some(&residual),
                    gate: Some((modulation, 2)),
                    ..Epilogue::default()
                };
                linear(Input::F32(&x), rows, &panels, epilogue, &mut out);
                let want: Vec<f64> = (0..rows * n)
                    .map(|i| {
                        let gate = gates[owners[i / n] as usize * 3 * n + 2 * n + i % n];
                        f64::from(residual[i]) + f64::from(gate) * plain[i]
                    })
                    .collect();
                assert_close(&out, &want, tolerance, &format!("{what} gated residual"));
            }
        }
    }
}

#[test]
fn bf16_in_and_out_is_the_rounding_of_f32() {
    for level in Level::available() {
        if Kind::of(level, Precision::Fast) == Kind::F32 {
            continue;
        }
        for (rows, depth, n) in [(5, 7, 33), (40, 64, 96)] {
            let (x, w) = (noise(rows * depth, 1), noise(n * depth, 2));
            let shape = [n, 1, depth];
            let panels = Panels::pack_as(level, Precision::Fast, shape, |o, _, k| w[o * depth + k]);
            let mut wide = vec![0f32; rows * n];
            linear(Input::F32(&x), rows, &panels, Epilogue::default(), &mut wide);
            let narrow: Vec<bf16> = x.iter().map(|x| bf16::from_f32(*x)).collect();
            let mut out = vec![bf16::ZERO; rows * n];
            linear(Input::Bf16(&narrow), rows, &panels, Epilogue::default(), &mut out);
            let want: Vec<bf16> = wide.iter().map(|x| bf16::from_f32(*x)).collect();
            assert_eq!(out, want);
        }
    }
}

#[test]
fn gated_pairs_agree_with_a_plain_loop() {
    for level in Level::available() {
        let (rows, depth, half) = (29, 20, 96);
        let (x, w) = (noise(rows * depth, 1), noise(2 * half * depth, 2));
        let plain = plain_product(&x, &w, rows, depth, 2 * half);
        for (precision, tolerance) in ways(level, depth) {
            let width = Panels::width_at(level);
            let row = |output| paired_row(width, 2 * half, output);
            let panels = Panels::pack_as(level, precision, [2 * half, 1, depth], |o, _, k| {
                w[row(o) * depth + k]
            });
            let bias = noise(2 * half, 3);
            let sorted: Vec<f32> = (0..2 * half).map(|o| bias[row(o)]).collect();
            let mut out = vec![0f32; rows * half];
            let epilogue = Epilogue {
                bias: Some(&sorted),
                activation: Activation::Silu,
                is_paired: true,
                ..Epilogue::default()
            };
            linear(Input::F32(&x), rows, &panels, epilogue, &mut out);
            let want: Vec<f64> = (0..rows * half)
                .map(|i| {
                    let (row, gate) = (i / half * 2 * half, i % half);
                    let value = half + gate;
                    silu64(plain[row + gate] + f64::from(bias[gate]))
                        * (plain[row + value] + f64::from(bias[value]))
                })
                .collect();
            assert_close(&out, &want, 4.0 * tolerance, "gated pairs");
        }
    }
}

#[test]
fn a_row_has_the_same_bits_whatever_rows_stand_beside_it() {
    for level in Level::available() {
        let (depth, n) = (100, 70);
        let (x, w) = (noise(700 * depth, 1), noise(n * depth, 2));
        for (precision, _) in ways(level, depth) {
            let shape = [n, 1, depth];
            let panels = Panels::pack_as(level, precision, shape, |o, _, k| w[o * depth + k]);
            let run = |x: &[f32]| {
                let rows = x.len() / depth;
                let mut out = vec![0f32; rows * n];
                linear(Input::F32(x), rows, &panels, Epilogue::default(), &mut out);
                out
            };
            let together = run(&x);
            for row in [0, 1, 13, 49, 699] {
                let alone = run(&x[row * depth..][..depth]);
                assert_eq!(alone, together[row * n..][..n], "{level:?} {precision:?} row {row}");
            }
        }
    }
}
