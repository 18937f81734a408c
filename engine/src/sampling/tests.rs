#![expect(clippy::unwrap_used, reason = "a test may panic")]

use candle_core::Device;
use proptest::prelude::*;

use super::*;
use crate::math::rng::normal;
use crate::math::schedule::{FinalSigma, NoiseTable, Spread, TableSettings};

const SHAPE: [usize; 4] = [1, 4, 8, 8];
const MEAN: f64 = 0.7;
const DEVIATION: f64 = 0.6;

fn noise(seed: u64) -> Tensor {
    Tensor::from_vec(normal(seed, &SHAPE), &SHAPE, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The exact estimate for pictures whose every value is normal with [`MEAN`] and [`DEVIATION`].
fn gaussian_x0(form: Form, x: &Tensor, sigma: f64) -> Result<Tensor, EngineError> {
    let alpha = form.alpha(sigma);
    let variance = (alpha * DEVIATION).powi(2) + sigma * sigma;
    let slope = alpha * DEVIATION * DEVIATION / variance;
    Ok(x.affine(slope, MEAN - slope * alpha * MEAN)?)
}

/// Where the exact flow leads `x` from the first level of a schedule to the last.
fn gaussian_end(schedule: &Schedule, x: &Tensor) -> Tensor {
    let level = |sigma: f64| {
        let alpha = schedule.form().alpha(sigma);
        (alpha * MEAN, (alpha * DEVIATION).hypot(sigma))
    };
    let (mean, deviation) = level(schedule.sigmas()[0]);
    let (end_mean, end_deviation) = level(schedule.sigmas()[schedule.steps()]);
    let scale = end_deviation / deviation;
    x.affine(scale, end_mean - scale * mean).unwrap()
}

fn run(kind: SamplerKind, schedule: &Schedule, start: &Tensor) -> Tensor {
    let form = schedule.form();
    sample(kind, schedule, start.clone(), &mut |x, s| gaussian_x0(form, x, s), &mut |_| Ok(()))
        .unwrap()
}

fn error(kind: SamplerKind, schedule: &Schedule) -> f64 {
    let start = (noise(3) * schedule.noise_scale()).unwrap();
    let end = run(kind, schedule, &start);
    let difference = (end - gaussian_end(schedule, &start)).unwrap();
    let square = difference.sqr().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap();
    f64::from(square).sqrt()
}

fn flow(steps: usize) -> Schedule {
    Schedule::flow(steps, 1.0).unwrap()
}

fn karras(steps: usize) -> Schedule {
    let settings = TableSettings {
        spread: Spread::Karras,
        final_sigma: FinalSigma::Smallest,
        ..TableSettings::default()
    };
    Schedule::from_table(&NoiseTable::stable_diffusion(), steps, settings).unwrap()
}

#[test]
fn halving_the_steps_of_euler_halves_its_error() {
    for schedule in [flow, karras] {
        let order = (error(SamplerKind::Euler, &schedule(40))
            / error(SamplerKind::Euler, &schedule(80)))
        .log2();
        assert!((0.85..1.2).contains(&order), "order {order}");
    }
}

#[test]
fn the_other_samplers_are_of_second_order() {
    for kind in [SamplerKind::Heun, SamplerKind::DpmPp2m, SamplerKind::UniPc] {
        for schedule in [flow, karras] {
            let [coarse, fine] = [40, 160].map(|steps| error(kind, &schedule(steps)));
            let order = (coarse / fine).log2() / 2.0;
            // In λ the first steps of a flow never become short, which costs DPM++ 2M a logarithm.
            assert!(order > 1.65, "{}: order {order}, errors {coarse} {fine}", kind.label());
            assert!(fine < 0.2 * error(SamplerKind::Euler, &schedule(160)), "{}", kind.label());
        }
    }
}

#[test]
fn every_sampler_ends_on_a_picture_that_the_model_always_sees() {
    let picture = noise(5);
    for kind in SamplerKind::FLOW {
        for steps in [1, 2, 3, 20] {
            let end =
                sample(kind, &flow(steps), noise(6), &mut |_, _| Ok(picture.clone()), &mut |_| {
                    Ok(())
                })
                .unwrap();
            for (end, wanted) in values(&end).iter().zip(values(&picture)) {
                assert!((end - wanted).abs() < 1e-5, "{} {steps}", kind.label());
            }
        }
    }
}

#[test]
fn the_model_is_called_as_often_as_announced_and_only_at_levels_of_the_schedule() {
    for kind in SamplerKind::FLOW {
        for steps in [1, 2, 7] {
            let (schedule, mut calls) = (flow(steps), 0);
            let mut denoise = |x: &Tensor, sigma: f64| {
                calls += 1;
                assert!(schedule.timestep(sigma).is_some());
                gaussian_x0(Form::Flow, x, sigma)
            };
            sample(kind, &schedule, noise(1), &mut denoise, &mut |_| Ok(())).unwrap();
            assert_eq!(calls, model_calls(kind, steps), "{}", kind.label());
        }
    }
}

#[test]
fn each_step_is_reported_once_in_order_and_the_last_shows_the_result() {
    let (mut seen, mut last) = (Vec::new(), None);
    let mut on_step = |step: Step<'_>| {
        seen.push((step.index, step.total));
        assert_eq!(step.x0.dims(), SHAPE);
        last = Some(values(step.x));
        Ok(())
    };
    let mut denoise = |x: &Tensor, sigma| gaussian_x0(Form::Flow, x, sigma);
    let end = sample(SamplerKind::UniPc, &flow(3), noise(1), &mut denoise, &mut on_step).unwrap();
    assert_eq!(seen, [(0, 3), (1, 3), (2, 3)]);
    assert_eq!(last, Some(values(&end)));
}

#[test]
fn an_error_of_the_step_callback_ends_sampling_at_once() {
    let mut calls = 0;
    let mut denoise = |x: &Tensor, sigma| {
        calls += 1;
        gaussian_x0(Form::Flow, x, sigma)
    };
    let mut on_step =
        |step: Step<'_>| if step.index == 1 { Err(EngineError::Cancelled) } else { Ok(()) };
    let result = sample(SamplerKind::Euler, &flow(20), noise(1), &mut denoise, &mut on_step);
    assert_eq!(result.unwrap_err(), EngineError::Cancelled);
    assert_eq!(calls, 2);
}

#[test]
fn a_value_that_is_not_a_number_is_an_error_that_names_the_step() {
    for kind in SamplerKind::FLOW {
        for poison in [f32::NAN, f32::INFINITY] {
            let mut calls = 0;
            let mut denoise = |x: &Tensor, sigma| {
                calls += 1;
                let mut values = values(&gaussian_x0(Form::Flow, x, sigma)?);
                if calls == 5 {
                    values[17] = poison;
                }
                Ok(Tensor::from_vec(values, &SHAPE, &Device::Cpu)?)
            };
            let error = sample(kind, &flow(8), noise(1), &mut denoise, &mut |_| Ok(()));
            // Heun makes two calls per step.
            let step = if kind == SamplerKind::Heun { 3 } else { 5 };
            let stage = format!("sampler at step {step}");
            assert_eq!(error.unwrap_err(), EngineError::NotANumber { stage }, "{}", kind.label());
        }
    }
}

#[test]
fn a_model_that_answers_in_another_shape_is_an_error() {
    let mut denoise = |_: &Tensor, _: f64| Ok(Tensor::zeros((1, 4, 8), DType::F32, &Device::Cpu)?);
    let result = sample(SamplerKind::Euler, &flow(2), noise(1), &mut denoise, &mut |_| Ok(()));
    assert!(matches!(result, Err(EngineError::Model { .. })));
}

#[test]
fn predictions_give_back_the_picture_that_they_were_made_from() {
    let (x0, n) = (noise(1), noise(2));
    for sigma in [0.03, 0.5, 0.9, 1.0, 14.6] {
        let root = (sigma * sigma + 1.0_f64).sqrt();
        let cases = [
            (Prediction::Flow, combine::combine([(1.0, &n), (-1.0, &x0)])),
            (Prediction::Epsilon, Ok(n.clone())),
            (Prediction::V, combine::combine([(1.0 / root, &n), (-sigma / root, &x0)])),
        ];
        for (prediction, output) in cases {
            let alpha = prediction.form().alpha(sigma);
            let x = combine::combine([(alpha, &x0), (sigma, &n)]).unwrap();
            let found = prediction.x0(&output.unwrap(), &x, sigma).unwrap();
            for (found, wanted) in values(&found).iter().zip(values(&x0)) {
                assert!((found - wanted).abs() < 1e-5, "{prediction:?} at {sigma}");
            }
        }
    }
}

#[test]
fn guidance_one_is_the_prompt_alone_and_zero_is_without_it() {
    let (cond, uncond) = (noise(1), noise(2));
    assert_eq!(values(&guide(&cond, &uncond, 1.0).unwrap()), values(&cond));
    assert_eq!(values(&guide(&cond, &uncond, 0.0).unwrap()), values(&uncond));
    let strong = values(&guide(&cond, &uncond, 4.0).unwrap());
    for ((g, c), u) in strong.iter().zip(values(&cond)).zip(values(&uncond)) {
        assert!((g - (u + 4.0 * (c - u))).abs() < 1e-5);
    }
}

#[test]
fn latents_in_half_precision_or_permuted_are_read_as_they_are() {
    let x = noise(4);
    let permuted = x.permute((0, 2, 3, 1)).unwrap();
    let doubled = combine::combine([(2.0, &permuted)]).unwrap();
    assert_eq!(values(&doubled), values(&(permuted * 2.0).unwrap()));
    let half = x.to_dtype(DType::F16).unwrap();
    let narrow = half.narrow(1, 1, 2).unwrap();
    let wanted = narrow.to_dtype(DType::F32).unwrap();
    assert_eq!(values(&combine::combine([(1.0, &narrow)]).unwrap()), values(&wanted));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pictures_of_a_batch_are_sampled_as_if_alone(seed: u64, steps in 1_usize..9, kind in 0_usize..4) {
        let kind = SamplerKind::FLOW[kind];
        let both = [noise(seed), noise(seed.wrapping_add(1))];
        let batch = run(kind, &flow(steps), &Tensor::cat(&both, 0).unwrap());
        for (n, alone) in both.iter().enumerate() {
            let alone = run(kind, &flow(steps), alone);
            prop_assert_eq!(values(&batch.narrow(0, n, 1).unwrap()), values(&alone));
        }
    }
}
