//! Holds the samplers of diffusion models to what is known without a model: the exact flow and the
//! exact distribution of pictures whose every value is normal.

use candle_core::Device;
use proptest::prelude::*;

use super::*;
use crate::math::rng::normal;
use crate::math::schedule::{AlignedFor, FinalSigma, NoiseTable, Spread, TableSettings};
use crate::protocol::ScheduleKind;

const SHAPE: [usize; 3] = [4, 8, 8];
const MEAN: f64 = 0.7;
const DEVIATION: f64 = 0.6;

fn karras(steps: usize, final_sigma: FinalSigma) -> Schedule {
    let settings =
        TableSettings { spread: Spread::Karras, final_sigma, ..TableSettings::default() };
    Schedule::from_table(&NoiseTable::stable_diffusion(), steps, settings).expect("a schedule")
}

fn automatic(kind: SamplerKind, steps: usize) -> Schedule {
    let settings = TableSettings::of(ScheduleKind::Automatic, kind, AlignedFor::default());
    Schedule::from_table(&NoiseTable::stable_diffusion(), steps, settings).expect("a schedule")
}

/// The exact estimate for pictures whose every value is normal with [`MEAN`] and [`DEVIATION`].
fn exact_x0(x: &Tensor, sigma: f64) -> Result<Tensor, EngineError> {
    let slope = DEVIATION.powi(2) / (DEVIATION.powi(2) + sigma * sigma);
    Ok(x.affine(slope, MEAN - slope * MEAN)?)
}

fn start(seed: u64, shape: &[usize], schedule: &Schedule) -> Tensor {
    let batch: Vec<usize> = std::iter::once(1).chain(shape.iter().copied()).collect();
    let noise = Tensor::from_vec(normal(seed, shape), batch, &Device::Cpu).expect("noise");
    (noise * schedule.noise_scale()).expect("noise")
}

fn values(tensor: &Tensor) -> Vec<f64> {
    let values: Vec<f32> = tensor.flatten_all().and_then(|t| t.to_vec1()).expect("values");
    values.into_iter().map(f64::from).collect()
}

fn run(settings: SamplerSettings, schedule: &Schedule, x: &Tensor, seeds: &[u64]) -> Tensor {
    let mut noise = seeded_noise(seeds, &x.dims()[1..], &Device::Cpu);
    sample_with_noise(
        settings,
        schedule,
        x.clone(),
        &mut noise,
        &mut |x, s| exact_x0(x, s),
        &mut |_| Ok(()),
    )
    .expect("latents")
}

/// The error against the exact flow, without added noise.
fn error(kind: SamplerKind, schedule: &Schedule) -> f64 {
    let x = start(3, &SHAPE, schedule);
    let settings = SamplerSettings { eta: 0.0, ..kind.into() };
    let found = values(&run(settings, schedule, &x, &[3]));
    let [from, to] = [schedule.sigmas()[0], schedule.sigmas()[schedule.steps()]];
    let scale = DEVIATION.hypot(to) / DEVIATION.hypot(from);
    let wanted = values(&x).into_iter().map(|x| MEAN + scale * (x - MEAN));
    let squares: f64 = found.iter().zip(wanted).map(|(found, x)| (found - x).powi(2)).sum();
    (squares / found.len() as f64).sqrt()
}

#[test]
fn without_noise_each_sampler_has_its_order() {
    use SamplerKind as Kind;
    for (kind, least, most) in [
        (Kind::EulerA, 0.85, 1.2),
        (Kind::Ddim, 0.85, 1.2),
        (Kind::Dpm2, 1.7, 2.4),
        (Kind::Dpm2A, 1.7, 2.4),
        (Kind::DpmPpSde, 1.7, 2.4),
        (Kind::DpmPp2mSde, 1.7, 2.4),
        // They look back on more steps, but a first step of first order holds a whole run to the second.
        (Kind::DpmPp3mSde, 1.6, 3.4),
        (Kind::Lms, 1.6, 4.4),
        // Its weights are those of even steps, so uneven ones leave it little.
        (Kind::Pndm, 0.7, 4.4),
    ] {
        let [coarse, fine] =
            [30, 60].map(|steps| error(kind, &karras(steps, FinalSigma::Smallest)));
        let order = (coarse / fine).log2();
        println!("{}: order {order:.2}, error {fine:.1e}", kind.label());
        assert!((least..most).contains(&order), "{}: {order}, {coarse} {fine}", kind.label());
    }
}

#[test]
fn with_noise_the_pictures_have_the_distribution_that_the_model_knows() {
    use SamplerKind as Kind;
    let shape = [16, 64, 64];
    for kind in
        [Kind::EulerA, Kind::Ddpm, Kind::Dpm2A, Kind::DpmPpSde, Kind::DpmPp2mSde, Kind::DpmPp3mSde]
    {
        // To the smallest level, where something of the deviation is still to be seen.
        let schedule = karras(80, FinalSigma::Smallest);
        let end = values(&run(kind.into(), &schedule, &start(1, &shape, &schedule), &[1]));
        let count = end.len() as f64;
        let mean = end.iter().sum::<f64>() / count;
        let deviation = (end.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        println!("{}: {mean:.4} ± {deviation:.4}", kind.label());
        // Chance is 0.0023; the rest is what 80 steps of first order leave.
        assert!((mean - MEAN).abs() < 0.01, "{}: mean {mean}", kind.label());
        assert!((deviation - DEVIATION).abs() < 0.03, "{}: {deviation}", kind.label());
    }
}

#[test]
fn churn_keeps_the_distribution_too() {
    let shape = [16, 64, 64];
    // Euler's own error takes a tenth of the deviation off at so many steps.
    for (kind, most) in
        [(SamplerKind::Euler, 0.08), (SamplerKind::Heun, 0.01), (SamplerKind::Dpm2, 0.01)]
    {
        let schedule = karras(60, FinalSigma::Smallest);
        let settings = SamplerSettings { s_churn: 20.0, ..kind.into() };
        let end = values(&run(settings, &schedule, &start(1, &shape, &schedule), &[1]));
        let count = end.len() as f64;
        let mean = end.iter().sum::<f64>() / count;
        let deviation = (end.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        println!("{}: {mean:.4} ± {deviation:.4}", kind.label());
        assert!((mean - MEAN).abs() < 0.01, "{}: mean {mean}", kind.label());
        assert!((deviation - DEVIATION).abs() < most, "{}: {deviation}", kind.label());
    }
}

#[test]
fn the_model_is_called_as_often_as_announced_and_every_level_has_a_timestep() {
    for kind in SamplerKind::ALL {
        for steps in [1, 2, 7] {
            let schedule = karras(steps, FinalSigma::Zero);
            let mut calls = 0;
            let mut noise = seeded_noise(&[1], &SHAPE, &Device::Cpu);
            let mut denoise = |x: &Tensor, sigma: f64| {
                calls += 1;
                assert!(schedule.timestep(sigma).is_some_and(|t| (0.0..=999.0).contains(&t)));
                exact_x0(x, sigma)
            };
            let x = start(1, &SHAPE, &schedule);
            sample_with_noise(kind, &schedule, x, &mut noise, &mut denoise, &mut |_| Ok(()))
                .expect("latents");
            assert_eq!(calls, model_calls(kind, steps), "{} {steps}", kind.label());
        }
    }
}

#[test]
fn every_sampler_ends_on_a_picture_that_the_model_always_sees() {
    for kind in SamplerKind::ALL {
        for steps in [1, 2, 3, 20] {
            let schedule = karras(steps, FinalSigma::Zero);
            let picture = start(5, &SHAPE, &schedule);
            let mut noise = seeded_noise(&[1], &SHAPE, &Device::Cpu);
            let end = sample_with_noise(
                kind,
                &schedule,
                start(6, &SHAPE, &schedule),
                &mut noise,
                &mut |_, _| Ok(picture.clone()),
                &mut |_| Ok(()),
            )
            .expect("latents");
            // LCM mixes in a little of its input, and LMS and PNDM look back on other slopes.
            let loose = matches!(kind, SamplerKind::Lcm | SamplerKind::Lms | SamplerKind::Pndm);
            if loose && steps > 1 {
                continue;
            }
            for (end, wanted) in values(&end).into_iter().zip(values(&picture)) {
                assert!((end - wanted).abs() < 1e-3, "{} {steps}: {end} {wanted}", kind.label());
            }
        }
    }
}

#[test]
fn a_sampler_that_adds_noise_asks_for_it_and_one_that_does_not_never_does() {
    for kind in SamplerKind::ALL {
        for eta in [None, Some(0.0), Some(0.5)] {
            let plain = SamplerSettings::from(kind);
            let settings = SamplerSettings { eta: eta.unwrap_or(plain.eta), ..plain };
            let schedule = automatic(kind, 6);
            let x = start(1, &SHAPE, &schedule);
            let mut denoise = |x: &Tensor, sigma: f64| exact_x0(x, sigma);
            let result = sample(settings, &schedule, x, &mut denoise, &mut |_| Ok(()));
            assert_eq!(result.is_err(), settings.adds_noise(), "{settings:?}");
            assert!(result.err().is_none_or(|error| error.is_wrong_input()));
        }
    }
}

#[test]
fn settings_out_of_range_and_samplers_that_are_not_for_flows_are_refused() {
    let form = Form::VarianceExploding;
    for value in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let eta = SamplerSettings { eta: value, ..SamplerKind::EulerA.into() };
        assert!(eta.check(form).expect_err("an error").is_wrong_input(), "{value}");
    }
    for kind in SamplerKind::ALL {
        let settings = SamplerSettings::from(kind);
        assert!(settings.check(form).is_ok());
        assert_eq!(settings.check(Form::Flow).is_ok(), SamplerKind::FLOW.contains(&kind));
    }
    let churn = SamplerSettings { s_churn: 1.0, ..SamplerKind::Euler.into() };
    assert!(churn.check(form).is_ok() && churn.check(Form::Flow).is_err());
}

#[test]
fn a_value_that_is_not_a_number_is_an_error_that_names_the_step() {
    for kind in SamplerKind::ALL {
        let schedule = automatic(kind, 8);
        let mut noise = seeded_noise(&[1], &SHAPE, &Device::Cpu);
        let mut done = 0;
        let mut denoise = |x: &Tensor, sigma: f64| {
            let level = schedule.sigmas()[3];
            Ok(exact_x0(x, sigma)?.affine(if sigma == level { f64::NAN } else { 1.0 }, 0.0)?)
        };
        let x = start(1, &SHAPE, &schedule);
        let result = sample_with_noise(kind, &schedule, x, &mut noise, &mut denoise, &mut |_| {
            done += 1;
            Ok(())
        });
        let error = result.expect_err("an error");
        assert!(matches!(error, EngineError::NotANumber { .. }), "{}: {error}", kind.label());
        // Heun asks about a step's end already before.
        assert_eq!(done, if kind == SamplerKind::Heun { 2 } else { 3 }, "{}", kind.label());
    }
}

#[test]
fn a_weak_change_leaves_out_the_steps_at_the_start() {
    let schedule = karras(20, FinalSigma::Zero);
    for (strength, steps) in [(1.0, 20), (0.75, 15), (0.3, 6), (0.999, 19), (0.01, 1)] {
        let part = schedule.with_strength(strength).expect("a schedule");
        assert_eq!(part.steps(), steps, "{strength}");
        assert_eq!(part.sigmas(), &schedule.sigmas()[20 - steps..]);
        assert_eq!(part.timesteps(), &schedule.timesteps()[20 - steps..]);
        // What was a level before is now one between.
        assert!(part.timestep(schedule.sigmas()[0]).is_some());
    }
    for strength in [0.0, -1.0, 1.1, f64::NAN] {
        assert!(schedule.with_strength(strength).expect_err("an error").is_wrong_input());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pictures_of_a_batch_are_sampled_as_if_alone(
        seed: u64, steps in 1_usize..9, kind in 0_usize..SamplerKind::ALL.len(), eta in 0.0_f64..=1.0,
    ) {
        let kind = SamplerKind::ALL[kind];
        let settings = SamplerSettings { eta, s_churn: 2.0, ..kind.into() };
        let schedule = automatic(kind, steps);
        let seeds = [seed, seed.wrapping_add(1)];
        let both = seeds.map(|seed| start(seed, &SHAPE, &schedule));
        let batch = run(settings, &schedule, &Tensor::cat(&both, 0).expect("a batch"), &seeds);
        for (n, alone) in both.iter().enumerate() {
            let alone = run(settings, &schedule, alone, &seeds[n..=n]);
            prop_assert_eq!(values(&batch.narrow(0, n, 1).expect("a picture")), values(&alone));
        }
    }

    #[test]
    fn every_schedule_of_every_sampler_falls_and_has_its_steps(
        steps in 1_usize..=150, sampler in 0_usize..SamplerKind::ALL.len(), kind in 0_usize..ScheduleKind::ALL.len(),
    ) {
        let (sampler, kind) = (SamplerKind::ALL[sampler], ScheduleKind::ALL[kind]);
        let settings = TableSettings::of(kind, sampler, AlignedFor::StableDiffusionXl);
        let schedule = Schedule::from_table(&NoiseTable::stable_diffusion(), steps, settings);
        // Consistency models have fifty levels, and more steps than that are told so.
        let is_distilled = matches!(sampler, SamplerKind::Lcm | SamplerKind::Tcd)
            && kind == ScheduleKind::Automatic;
        prop_assert_eq!(schedule.is_err(), is_distilled && steps > 50);
        if let Ok(schedule) = schedule {
            prop_assert!(schedule.sigmas().windows(2).all(|pair| pair[0] > pair[1]));
            // A last step from the smallest level to itself is left out.
            prop_assert!((steps.saturating_sub(1)..=steps).contains(&schedule.steps()));
            prop_assert!(schedule.timesteps().iter().all(|t| (0.0..=999.0).contains(t)));
        }
    }
}
