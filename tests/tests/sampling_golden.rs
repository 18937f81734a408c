//! Compares noise, schedules and samplers with diffusers, step by step.
//!
//! The numbers in `golden/sampling` were made by its `make.py`, whose made-up model is repeated here.
//! diffusers computes its tables and step weights in f32; the engine computes them in f64. That
//! difference is what the tolerances below have to bear.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use atelier_engine::EngineError;
use atelier_engine::math::rng::normal;
use atelier_engine::math::schedule::{
    FlowSpacing, Form, NoiseTable, Schedule, Spread, TableSettings, TimestepRounding,
};
use atelier_engine::protocol::SamplerKind;
use atelier_engine::sampling::{Prediction, sample};
use candle_core::{Device, Tensor};

/// Largest difference of latents, relative to the largest latent of the step (at least 1). The largest
/// found is 4.2e-6.
const LATENT_TOLERANCE: f64 = 1e-5;
/// Largest relative difference of levels. diffusers subtracts in f32 where almost nothing is left: its
/// level of timestep 0 is 1.3e-5 too high.
const SIGMA_TOLERANCE: f64 = 2e-5;
/// Largest difference of timesteps, of 1,000. Neighbouring levels differ by about 0.5 %, so an error of a
/// level is 200 times as large in timesteps.
const TIMESTEP_TOLERANCE: f64 = 4e-3;

struct Golden(HashMap<String, Tensor>);

impl Golden {
    fn load() -> anyhow::Result<Self> {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/sampling/golden.safetensors");
        Ok(Self(candle_core::safetensors::load(file, &Device::Cpu)?))
    }

    fn tensor(&self, name: &str) -> anyhow::Result<&Tensor> {
        self.0.get(name).with_context(|| format!("no golden tensor {name}"))
    }

    fn values(&self, name: &str) -> anyhow::Result<Vec<f32>> {
        Ok(self.tensor(name)?.flatten_all()?.to_vec1()?)
    }
}

struct Case {
    name: String,
    prediction: Prediction,
    sampler: SamplerKind,
    schedule: Schedule,
    /// Whether the scheduler holds variance-preserving latents, which start as noise alone.
    is_variance_preserving: bool,
}

fn cases() -> anyhow::Result<Vec<Case>> {
    let table = NoiseTable::stable_diffusion();
    let mut cases = Vec::new();
    for steps in [5, 10, 20] {
        for shift in [1.0, 3.0] {
            if shift != 1.0 && steps != 10 {
                continue;
            }
            let rounded = TimestepRounding::Down;
            for (name, sampler, spacing, rounding) in [
                ("uniform", SamplerKind::Euler, FlowSpacing::Uniform, TimestepRounding::Exact),
                ("euler", SamplerKind::Euler, FlowSpacing::FlowMatch, TimestepRounding::Exact),
                ("heun", SamplerKind::Heun, FlowSpacing::FlowMatch, TimestepRounding::Exact),
                ("dpmpp_2m", SamplerKind::DpmPp2m, FlowSpacing::DpmSolver, rounded),
                ("unipc", SamplerKind::UniPc, FlowSpacing::UniPc, rounded),
            ] {
                cases.push(Case {
                    name: format!("flow{shift}-{name}-{steps}"),
                    prediction: Prediction::Flow,
                    sampler,
                    schedule: Schedule::flow_spaced(steps, shift, spacing, rounding)?,
                    is_variance_preserving: false,
                });
            }
        }
        for (letter, prediction) in [("e", Prediction::Epsilon), ("v", Prediction::V)] {
            for (spread_name, spread) in [("normal", Spread::Normal), ("karras", Spread::Karras)] {
                for sampler in SamplerKind::FLOW {
                    let settings = TableSettings::like_diffusers(sampler, spread);
                    cases.push(Case {
                        name: format!("{letter}-{spread_name}-{}-{steps}", sampler.id()),
                        prediction,
                        sampler,
                        schedule: Schedule::from_table(&table, steps, settings)?,
                        is_variance_preserving: matches!(
                            sampler,
                            SamplerKind::DpmPp2m | SamplerKind::UniPc
                        ),
                    });
                }
            }
        }
    }
    Ok(cases)
}

/// The made-up model of `make.py`: elementwise, in f64, rounded to f32.
fn model(prediction: Prediction, x: &Tensor, timestep: f64) -> Result<Tensor, EngineError> {
    let a = timestep / 1000.0;
    let answer = |x: f64| match prediction {
        Prediction::Flow => x * (0.2 + 0.8 * a) - 0.7 * (1.7 * x + 3.0 * a).cos(),
        Prediction::Epsilon => {
            x * (0.4 + 0.6 * a) + 0.35 * (1.0 - 0.9 * a) * (2.0 * x + 5.0 * a).sin()
        }
        Prediction::V => 0.5 * x * (1.0 - a) - 0.6 * (1.5 * x + 4.0 * a).sin(),
        // None of these cases has it; `sampling_diffusion.rs` does.
        Prediction::X0 => f64::NAN,
    };
    let values: Vec<f32> = x.flatten_all()?.to_vec1()?;
    let values = values.into_iter().map(|x| answer(f64::from(x)) as f32).collect();
    Ok(Tensor::from_vec(values, x.shape(), x.device())?)
}

/// Runs a case and returns the latents after each step, in the form of the scheduler.
fn latents(case: &Case, noise: &Tensor) -> anyhow::Result<Vec<Vec<f32>>> {
    let Case { prediction, schedule, .. } = case;
    // How much smaller the scheduler's latents are than the sampler's.
    let scale = |sigma: f64| if case.is_variance_preserving { 1.0 / sigma.hypot(1.0) } else { 1.0 };
    let first = schedule.sigmas()[0];
    let start = match (schedule.form(), case.is_variance_preserving) {
        (Form::Flow, _) => noise.clone(),
        (Form::VarianceExploding, true) => (noise / scale(first))?,
        (Form::VarianceExploding, false) => (noise * first)?,
    };
    let mut after = Vec::new();
    sample(
        case.sampler,
        schedule,
        start,
        &mut |x, sigma| {
            let timestep = schedule
                .timestep(sigma)
                .ok_or_else(|| EngineError::invalid("level", "is not in the schedule"))?;
            let output = model(*prediction, &prediction.model_input(x, sigma)?, timestep)?;
            prediction.x0(&output, x, sigma)
        },
        &mut |step| {
            let x = (step.x * scale(schedule.sigmas()[step.index + 1]))?;
            after.push(x.flatten_all()?.to_vec1()?);
            Ok(())
        },
    )?;
    Ok(after)
}

/// Returns the largest difference, relative to the largest wanted value (at least 1).
fn difference(found: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let largest = wanted.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
    let pairs = found.iter().zip(wanted);
    let worst = pairs.fold(0.0, |worst: f64, (found, wanted)| {
        let difference = (f64::from(*found) - f64::from(*wanted)).abs();
        // A value that is not a number must not pass for a small one.
        if difference.is_nan() { f64::INFINITY } else { worst.max(difference) }
    });
    worst / f64::from(largest)
}

#[test]
fn the_training_levels_are_those_of_diffusers() -> anyhow::Result<()> {
    let table = NoiseTable::stable_diffusion();
    for (timestep, wanted) in Golden::load()?.values("table")?.into_iter().enumerate() {
        let relative = table.sigma(timestep as f64) / f64::from(wanted) - 1.0;
        ensure!(relative.abs() < SIGMA_TOLERANCE, "timestep {timestep}: off by {relative}");
    }
    Ok(())
}

#[test]
fn every_schedule_has_the_levels_and_timesteps_of_diffusers() -> anyhow::Result<()> {
    let golden = Golden::load()?;
    for Case { name, schedule, .. } in cases()? {
        let sigmas = golden.values(&format!("{name}.sigmas"))?;
        let timesteps = golden.values(&format!("{name}.timesteps"))?;
        ensure!(sigmas.len() == schedule.sigmas().len(), "{name}: number of levels");
        ensure!(timesteps.len() == schedule.steps(), "{name}: number of timesteps");
        for (found, wanted) in schedule.sigmas().iter().zip(sigmas) {
            let wanted = f64::from(wanted);
            let is_near = (found - wanted).abs() <= SIGMA_TOLERANCE * wanted;
            ensure!(is_near, "{name}: level {found}, not {wanted}");
        }
        for (found, wanted) in schedule.timesteps().iter().zip(timesteps) {
            let wanted = f64::from(wanted);
            let is_near = (found - wanted).abs() < TIMESTEP_TOLERANCE;
            ensure!(is_near, "{name}: timestep {found}, not {wanted}");
        }
    }
    Ok(())
}

#[test]
fn every_sampler_takes_the_steps_of_diffusers() -> anyhow::Result<()> {
    let golden = Golden::load()?;
    let noise = golden.tensor("noise")?;
    let (mut worst, mut failures) = (HashMap::new(), Vec::new());
    let cases = cases()?;
    ensure!(cases.len() == 68, "{} cases", cases.len());
    for case in &cases {
        let wanted: Vec<Vec<f32>> = golden.tensor(&format!("{}.steps", case.name))?.to_vec2()?;
        let found = latents(case, noise)?;
        ensure!(found.len() == wanted.len(), "{}: number of steps", case.name);
        let key = format!("{:?} {}", case.prediction, case.sampler.label());
        let mut compare = |step: usize, found: &[f32], wanted: &[f32]| {
            let off = difference(found, wanted);
            let entry = worst.entry(key.clone()).or_insert(0.0_f64);
            *entry = entry.max(off);
            if off > LATENT_TOLERANCE {
                failures.push(format!("{} step {step}: {off:.2e}", case.name));
            }
        };
        for (index, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            let every_17th: Vec<f32> = found.iter().copied().step_by(17).collect();
            compare(index + 1, &every_17th, wanted);
        }
        if let (Some(found), 10) = (found.last(), found.len()) {
            compare(10, found, &golden.values(&format!("{}.end", case.name))?);
        }
    }
    let mut worst: Vec<_> = worst.into_iter().collect();
    worst.sort_by(|a, b| a.0.cmp(&b.0));
    for (key, off) in worst {
        println!("{key}: {off:.1e}");
    }
    ensure!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

/// Without this, a tolerance that lets everything pass would go unnoticed.
#[test]
fn samplers_differ_from_each_other_by_far_more_than_the_tolerance() -> anyhow::Result<()> {
    let golden = Golden::load()?;
    let noise = golden.tensor("noise")?;
    for case in cases()?.iter().filter(|case| case.schedule.steps() == 20) {
        for sampler in SamplerKind::FLOW.into_iter().filter(|other| *other != case.sampler) {
            let other =
                Case { sampler, schedule: case.schedule.clone(), name: String::new(), ..*case };
            let [a, b] = [latents(case, noise)?, latents(&other, noise)?];
            let off = difference(&a[19], &b[19]);
            ensure!(off > 20.0 * LATENT_TOLERANCE, "{} by {}: {off}", case.name, sampler.label());
        }
    }
    Ok(())
}

#[test]
fn noise_from_a_seed_is_that_of_another_implementation() -> anyhow::Result<()> {
    let golden = Golden::load()?;
    for seed in [0, 42, u64::MAX] {
        let wanted = golden.values(&format!("normal.{seed}"))?;
        ensure!(normal(seed, &[8, 8]) == wanted, "seed {seed}");
    }
    Ok(())
}
