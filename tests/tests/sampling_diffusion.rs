//! Compares the samplers and schedules of the Stable Diffusion family with diffusers and k-diffusion,
//! step by step.
//!
//! The numbers were made by `golden/sampling/make_diffusion.py`, whose made-up model is repeated here.
//! diffusers computes in f32, k-diffusion ran in f64; the engine's levels are f64 and its latents f32.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use atelier_engine::EngineError;
use atelier_engine::math::rng::normal;
use atelier_engine::math::schedule::{AlignedFor, NoiseTable, Schedule, Spread, TableSettings};
use atelier_engine::protocol::{SamplerKind, ScheduleKind};
use atelier_engine::sampling::{
    Draw, Prediction, SamplerSettings, rescale_guidance, sample_with_noise, seeded_noise,
};
use candle_core::{DType, Device, Tensor};

/// Largest difference of latents, relative to the largest latent of the step (at least 1).
const LATENT_TOLERANCE: f64 = 2e-5;
/// Largest relative difference of levels where diffusers computed them in f32.
const SINGLE_TOLERANCE: f64 = 2e-5;
/// The same where both sides have f64.
const DOUBLE_TOLERANCE: f64 = 1e-9;
/// Largest difference of timesteps, of 1,000, for levels from an f32 table.
const TIMESTEP_TOLERANCE: f64 = 4e-3;
const SEED: u64 = 7;
const SHAPE: [usize; 3] = [4, 8, 8];

struct Golden(BTreeMap<String, Tensor>);

impl Golden {
    fn load() -> anyhow::Result<Self> {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/sampling/diffusion.safetensors");
        Ok(Self(candle_core::safetensors::load(file, &Device::Cpu)?.into_iter().collect()))
    }

    fn values(&self, name: &str) -> anyhow::Result<Vec<f64>> {
        let tensor = self.0.get(name).with_context(|| format!("no golden tensor {name}"))?;
        Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
    }

    /// Returns the names that begin so, without that beginning.
    fn named<'a>(&'a self, beginning: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.keys().filter_map(move |name| name.strip_prefix(beginning))
    }
}

struct Case<'a> {
    name: &'a str,
    is_diffusers: bool,
    settings: SamplerSettings,
    prediction: Prediction,
    schedule: Schedule,
}

impl<'a> Case<'a> {
    fn read(name: &'a str) -> anyhow::Result<Self> {
        let parts: Vec<&str> = name.split('-').collect();
        let [program, sampler, eta, s_noise, s_churn, prediction, schedule, steps] = parts[..]
        else {
            bail!("{name} has not eight parts");
        };
        let kind = SamplerKind::from_id(sampler).context("an unknown sampler")?;
        let plain = SamplerSettings::from(kind);
        let schedule = ScheduleKind::from_id(schedule).context("an unknown schedule")?;
        let settings = match (program, schedule) {
            ("d", ScheduleKind::Automatic) => TableSettings::like_diffusers(kind, Spread::Normal),
            _ => TableSettings::of(schedule, kind, AlignedFor::StableDiffusion1),
        };
        Ok(Self {
            name,
            is_diffusers: program == "d",
            settings: SamplerSettings {
                eta: if eta == "own" { plain.eta } else { eta.parse()? },
                s_noise: s_noise.parse()?,
                s_churn: s_churn.parse()?,
                ..plain
            },
            prediction: match prediction {
                "epsilon" => Prediction::Epsilon,
                "v_prediction" => Prediction::V,
                "sample" => Prediction::X0,
                _ => bail!("{prediction} is no prediction"),
            },
            schedule: Schedule::from_table(
                &NoiseTable::stable_diffusion(),
                steps.parse()?,
                settings,
            )?,
        })
    }

    /// Returns how much smaller the golden latents are than the engine's at a level.
    fn scale(&self, sigma: f64) -> f64 {
        let has_unit_variance = self.is_diffusers
            && !matches!(self.settings.kind, SamplerKind::EulerA | SamplerKind::Lms);
        if has_unit_variance { 1.0 / sigma.hypot(1.0) } else { 1.0 }
    }

    /// Runs the case and returns every 17th latent after each step, as the golden file has them.
    fn run(&self) -> anyhow::Result<Vec<Vec<f64>>> {
        let Self { schedule, prediction, settings, .. } = self;
        let first = schedule.sigmas()[0];
        // diffusers starts Euler and LMS at the largest level itself.
        let scale = if self.is_diffusers && self.scale(first) == 1.0 {
            first
        } else {
            schedule.noise_scale()
        };
        let start = normal(SEED, &SHAPE).into_iter().map(|v| (f64::from(v) * scale) as f32);
        let start = Tensor::from_vec(start.collect(), (1, 4, 8, 8), &Device::Cpu)?;
        let mut noise = seeded_noise(&[SEED], &SHAPE, &Device::Cpu);
        let mut after = Vec::new();
        sample_with_noise(
            *settings,
            schedule,
            start,
            &mut noise,
            &mut |x, sigma| {
                let timestep = schedule
                    .timestep(sigma)
                    .ok_or_else(|| EngineError::invalid("level", "has no timestep"))?;
                let output = model(*prediction, &prediction.model_input(x, sigma)?, timestep)?;
                prediction.x0(&output, x, sigma)
            },
            &mut |step| {
                let scale = self.scale(schedule.sigmas()[step.index + 1]);
                let x: Vec<f32> = step.x.flatten_all()?.to_vec1()?;
                after.push(x.into_iter().step_by(17).map(|x| f64::from(x) * scale).collect());
                Ok(())
            },
        )?;
        Ok(after)
    }
}

/// The made-up model of `make_diffusion.py`: elementwise, in f64, rounded to f32.
fn model(prediction: Prediction, x: &Tensor, timestep: f64) -> Result<Tensor, EngineError> {
    let a = timestep / 1000.0;
    let answer = |x: f64| match prediction {
        Prediction::V => 0.5 * x * (1.0 - a) - 0.6 * (1.5 * x + 4.0 * a).sin(),
        Prediction::X0 => 0.6 * x * (1.0 - 0.5 * a) + 0.3 * (x + 2.0 * a).sin(),
        _ => x * (0.4 + 0.6 * a) + 0.35 * (1.0 - 0.9 * a) * (2.0 * x + 5.0 * a).sin(),
    };
    let values: Vec<f32> = x.flatten_all()?.to_vec1()?;
    let values = values.into_iter().map(|x| answer(f64::from(x)) as f32).collect();
    Ok(Tensor::from_vec(values, x.shape(), x.device())?)
}

/// Returns the largest difference, relative to the largest wanted value (at least 1).
fn difference(found: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let largest = wanted.iter().fold(1.0_f64, |largest, value| largest.max(value.abs()));
    let worst = found.iter().zip(wanted).fold(0.0, |worst: f64, (found, wanted)| {
        let difference = (found - wanted).abs();
        // A value that is not a number must not pass for a small one.
        if difference.is_nan() { f64::INFINITY } else { worst.max(difference) }
    });
    worst / largest
}

fn relative(found: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let pairs = found.iter().zip(wanted);
    pairs.fold(0.0, |worst, (found, wanted)| {
        let off = if found == wanted { 0.0 } else { (found / wanted - 1.0).abs() };
        if off.is_nan() { f64::INFINITY } else { worst.max(off) }
    })
}

#[test]
fn every_table_keeps_what_diffusers_keeps_also_with_zero_terminal_snr() -> anyhow::Result<()> {
    let golden = Golden::load()?;
    for (name, table) in [
        ("scaled_linear", NoiseTable::stable_diffusion()),
        ("linear", NoiseTable::linear(0.0001, 0.02, 1000)?),
        ("squared_cosine", NoiseTable::squared_cosine(1000)?),
    ] {
        for (name, table) in [
            (format!("kept.{name}"), table.clone()),
            (format!("kept.{name}.zero"), table.with_zero_terminal_snr()?),
        ] {
            let wanted = golden.values(&name)?;
            ensure!(wanted.len() == table.train_steps(), "{name}: number of timesteps");
            for (timestep, wanted) in wanted.into_iter().enumerate() {
                let kept = 1.0 / (1.0 + table.sigma(timestep as f64).powi(2));
                // f32 betas near 0 and a thousand products of them.
                ensure!((kept - wanted).abs() < 3e-6, "{name} at {timestep}: {kept}, not {wanted}");
            }
        }
    }
    let [largest, _] = NoiseTable::stable_diffusion().with_zero_terminal_snr()?.range();
    ensure!((largest - 4096.0).abs() < 0.01, "the largest level is {largest}");
    Ok(())
}

#[test]
fn every_schedule_has_the_levels_of_its_formula() -> anyhow::Result<()> {
    let golden = Golden::load()?;
    let table = NoiseTable::stable_diffusion();
    let mut count = 0;
    for name in golden.named("levels.").filter(|name| !name.starts_with("diffusers_")) {
        let (kind, steps) = name.split_once('-').context("no number of steps")?;
        let (kind, aligned) = match kind {
            "align_your_steps_xl" => ("align_your_steps", AlignedFor::StableDiffusionXl),
            kind => (kind, AlignedFor::StableDiffusion1),
        };
        let kind = ScheduleKind::from_id(kind).context("an unknown schedule")?;
        let settings = TableSettings::of(kind, SamplerKind::Euler, aligned);
        let schedule = Schedule::from_table(&table, steps.parse()?, settings)?;
        let off = relative(schedule.sigmas(), &golden.values(&format!("levels.{name}"))?);
        ensure!(off < DOUBLE_TOLERANCE, "{name} is off by {off:.1e}");
        count += 1;
    }
    ensure!(count == 54, "{count} schedules");
    Ok(())
}

#[test]
fn schedules_that_diffusers_has_too_have_its_levels_and_timesteps() -> anyhow::Result<()> {
    let golden = Golden::load()?;
    let table = NoiseTable::stable_diffusion();
    let mut count = 0;
    for name in golden.named("levels.diffusers_") {
        let (kind, steps) = name.split_once('-').context("no number of steps")?;
        let kind = if kind == "leading" { "ddim_uniform" } else { kind };
        let kind = ScheduleKind::from_id(kind).context("an unknown schedule")?;
        let settings = TableSettings::of(kind, SamplerKind::Euler, AlignedFor::default());
        let schedule = Schedule::from_table(&table, steps.parse()?, settings)?;
        let off = relative(schedule.sigmas(), &golden.values(&format!("levels.diffusers_{name}"))?);
        ensure!(off < SINGLE_TOLERANCE, "{name}: levels are off by {off:.1e}");
        let wanted = golden.values(&format!("times.diffusers_{name}"))?;
        ensure!(wanted.len() == schedule.steps(), "{name}: number of steps");
        for (found, wanted) in schedule.timesteps().iter().zip(wanted) {
            ensure!((found - wanted).abs() < TIMESTEP_TOLERANCE, "{name}: {found}, not {wanted}");
        }
        count += 1;
    }
    ensure!(count == 25, "{count} schedules");
    Ok(())
}

#[test]
fn every_sampler_takes_the_steps_of_its_reference() -> anyhow::Result<()> {
    let golden = Golden::load()?;
    let (mut worst, mut failures, mut count) = (BTreeMap::new(), Vec::new(), 0);
    for name in golden.0.keys().filter_map(|name| name.strip_suffix(".steps")) {
        let case = Case::read(name)?;
        let sigmas = golden.values(&format!("{name}.sigmas"))?;
        let tolerance = if case.is_diffusers { SINGLE_TOLERANCE } else { DOUBLE_TOLERANCE };
        let off = relative(case.schedule.sigmas(), &sigmas);
        ensure!(off < tolerance, "{name}: levels are off by {off:.1e}");
        if case.is_diffusers {
            let wanted = golden.values(&format!("{name}.timesteps"))?;
            ensure!(difference(case.schedule.timesteps(), &wanted) < 1e-5, "{name}: timesteps");
        }
        let wanted = golden.values(&format!("{name}.steps"))?;
        let found = case.run()?;
        ensure!(found.len() * 16 == wanted.len(), "{name}: number of steps");
        let entry =
            worst.entry(format!("{} {}", &name[..1], case.settings.kind.label())).or_insert(0.0);
        for (index, (found, wanted)) in found.iter().zip(wanted.chunks(16)).enumerate() {
            let is_last = index + 1 == case.schedule.steps();
            if case.settings.s_churn > 0.0 && !is_last {
                ensure!(wanted.iter().all(|v| v.is_nan()), "{name}: a step is shown after all");
                continue;
            }
            let off = difference(found, wanted);
            *entry = f64::max(*entry, off);
            if off > LATENT_TOLERANCE {
                failures.push(format!("{} step {}: {off:.2e}", case.name, index + 1));
            }
        }
        count += 1;
    }
    for (sampler, off) in worst {
        println!("{sampler}: {off:.1e}");
    }
    ensure!(count == 316, "{count} cases");
    ensure!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

#[test]
fn guidance_is_rescaled_as_in_diffusers() -> anyhow::Result<()> {
    let golden = Golden::load()?;
    let tensor = |name: &str| golden.0.get(name).with_context(|| format!("no {name}"));
    let (guided, cond) = (tensor("rescale.guided")?, tensor("rescale.cond")?);
    for phi in [0.3, 0.7, 1.0] {
        let found = rescale_guidance(guided, cond, phi)?.to_dtype(DType::F64)?;
        let wanted = golden.values(&format!("rescale.{phi:.1}"))?;
        let off = difference(&found.flatten_all()?.to_vec1::<f64>()?, &wanted);
        ensure!(off < 1e-6, "phi {phi}: {off:.1e}");
    }
    ensure!(rescale_guidance(guided, cond, 1.5).is_err(), "a share above 1");
    ensure!(rescale_guidance(guided, &cond.narrow(0, 0, 1)?, 0.5).is_err(), "another batch");
    Ok(())
}

/// The samplers whose steps are the same without noise.
const SAME: [&[SamplerKind]; 3] = [
    &[
        SamplerKind::Euler,
        SamplerKind::EulerA,
        SamplerKind::Ddim,
        SamplerKind::Ddpm,
        SamplerKind::Tcd,
    ],
    &[SamplerKind::Dpm2, SamplerKind::Dpm2A],
    &[SamplerKind::DpmPp2m, SamplerKind::DpmPp2mSde],
];

/// Without this, a tolerance that lets everything pass would go unnoticed.
#[test]
fn another_sampler_another_eta_or_other_noise_would_be_noticed() -> anyhow::Result<()> {
    let golden = Golden::load()?;
    for name in golden.named("k-").filter_map(|name| name.strip_suffix("-epsilon-karras-12.steps"))
    {
        let name = format!("k-{name}-epsilon-karras-12");
        let case = Case::read(&name)?;
        let own = case.run()?;
        let mut others: Vec<SamplerSettings> = SamplerKind::ALL
            .into_iter()
            .filter(|kind| *kind != case.settings.kind)
            .map(|kind| SamplerSettings { eta: case.settings.eta, ..kind.into() })
            .collect();
        if case.settings.adds_noise() {
            let s_noise = case.settings.s_noise * 0.99;
            others.push(SamplerSettings { s_noise, ..case.settings });
            let (eta, s_churn) = (case.settings.eta * 0.97, case.settings.s_churn * 0.97);
            others.push(SamplerSettings { eta, s_churn, ..case.settings });
        }
        for other in others {
            // Some are the same step by other names, or are once they add no noise.
            let is_same = SAME
                .iter()
                .any(|same| same.contains(&case.settings.kind) && same.contains(&other.kind));
            if is_same && case.settings.kind != other.kind {
                continue;
            }
            let changed = Case { settings: other, schedule: case.schedule.clone(), ..case };
            let off = difference(&changed.run()?[11], &own[11]);
            ensure!(off > 5.0 * LATENT_TOLERANCE, "{name} as {other:?}: {off:.1e}");
        }
    }
    Ok(())
}

#[test]
fn the_noise_of_a_step_is_that_of_another_implementation() -> anyhow::Result<()> {
    let golden = Golden::load()?;
    ensure!(normal(SEED, &SHAPE).into_iter().map(f64::from).eq(golden.values("noise")?), "start");
    let mut noise = seeded_noise(&[SEED], &SHAPE, &Device::Cpu);
    for (index, wanted) in golden.values("draws")?.chunks(256).enumerate() {
        let draw = noise(Draw { step: index / 2, part: index % 2 })?;
        ensure!(draw.dims() == [1, 4, 8, 8], "shape");
        let found: Vec<f32> = draw.flatten_all()?.to_vec1()?;
        ensure!(found.into_iter().map(f64::from).eq(wanted.iter().copied()), "draw {index}");
    }
    Ok(())
}
