//! Noise schedules: which noise levels a sampler visits, and which timestep a model is told at each.
//!
//! A level is a σ: the standard deviation of the noise. Two [`Form`]s of noisy latents are in use.
//! A *flow* mixes, `x = (1 − σ)·x0 + σ·noise` with σ from 1 down to 0. Everything else is held
//! *variance exploding*, `x = x0 + σ·noise` with σ from about 14.6 down to 0: the form in which
//! samplers for epsilon and v models are written most simply. A latent of Stable Diffusion's own
//! variance-preserving form is that times `1/√(σ² + 1)`.

mod levels;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::error::EngineError;
pub use levels::{AlignedFor, FinalSigma, Spacing, Spread, TableSettings, TimestepRounding};
use levels::{spaced, spread};
pub use table::NoiseTable;

/// Most steps that a schedule may have.
const MAX_STEPS: usize = 1000;

/// What diffusers takes off a flow's first σ for UniPC, so that its logarithm of α is finite.
const UNIPC_MARGIN: f64 = 1e-6;

/// Says how noise and picture are mixed at a level σ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// `x = (1 − σ)·x0 + σ·noise`, σ from 1 to 0.
    Flow,
    /// `x = x0 + σ·noise`, σ from anything to 0.
    VarianceExploding,
}

impl Form {
    /// Returns the share of the picture in a noisy latent at `sigma`: `1 − σ` or 1.
    pub fn alpha(self, sigma: f64) -> f64 {
        match self {
            Self::Flow => 1.0 - sigma,
            Self::VarianceExploding => 1.0,
        }
    }
}

/// Says which flow levels are visited, before shifting. `n` is the number of steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FlowSpacing {
    /// `n` equal steps from 1 to 0: what the house model and the pipelines of FLUX use.
    #[default]
    Uniform,
    /// `n` levels from 1 to the smallest of 1,000 training levels, which is shifted twice, then 0:
    /// `FlowMatchEulerDiscreteScheduler` and `FlowMatchHeunDiscreteScheduler` left alone.
    FlowMatch,
    /// `n` equal steps from 0.999 to 0: `DPMSolverMultistepScheduler` with `use_flow_sigmas`.
    DpmSolver,
    /// `n` equal steps from 1 to 0.001, without the last and with 1 − 10⁻⁶ for the first, then 0:
    /// `UniPCMultistepScheduler` with `use_flow_sigmas`.
    UniPc,
}

/// Holds the levels that a sampler visits, falling, with the timestep that the model is told at each.
///
/// There is one level more than there are steps: step `i` leads from level `i` to level `i + 1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    form: Form,
    sigmas: Vec<f64>,
    /// One per step.
    timesteps: Vec<f64>,
    /// What lies between the levels; none for a flow, whose timesteps are `1000·σ` everywhere.
    table: Option<Arc<NoiseTable>>,
}

impl Schedule {
    /// Makes a flow schedule of equal steps from 1 to 0, then bent towards noise by `shift`:
    /// `σ ← shift·σ / (1 + (shift − 1)·σ)`; 1 leaves it straight. Timesteps are `1000·σ`.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] unless `steps` is 1 to 1000 and `shift` is above 0 and finite.
    pub fn flow(steps: usize, shift: f64) -> Result<Self, EngineError> {
        Self::flow_spaced(steps, shift, FlowSpacing::Uniform, TimestepRounding::Exact)
    }

    /// Makes a flow schedule as another program spaces it; see [`Schedule::flow`].
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] unless `steps` is 1 to 1000 and `shift` is above 0 and finite.
    pub fn flow_spaced(
        steps: usize,
        shift: f64,
        spacing: FlowSpacing,
        rounding: TimestepRounding,
    ) -> Result<Self, EngineError> {
        check_steps(steps)?;
        if !(shift > 0.0 && shift.is_finite()) {
            return Err(EngineError::invalid("shift", format!("must be above 0, not {shift}")));
        }
        let bend = |sigma: f64| shift * sigma / (1.0 + (shift - 1.0) * sigma);
        let mut sigmas: Vec<f64> = match spacing {
            FlowSpacing::Uniform => linspace(1.0, 0.0, steps + 1).map(bend).collect(),
            FlowSpacing::FlowMatch => linspace(1.0, bend(0.001), steps).map(bend).collect(),
            FlowSpacing::DpmSolver => linspace(0.999, 0.0, steps + 1).map(bend).collect(),
            FlowSpacing::UniPc => linspace(1.0, 0.001, steps + 1).map(bend).collect(),
        };
        sigmas.truncate(steps);
        if spacing == FlowSpacing::UniPc {
            sigmas[0] = sigmas[0].min(1.0 - UNIPC_MARGIN);
        }
        let timesteps = sigmas.iter().map(|s| rounding.apply(s * 1000.0)).collect();
        sigmas.push(0.0);
        Self::checked(Form::Flow, sigmas, timesteps, None)
    }

    /// Makes the schedule of an epsilon or v model from its table.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] unless `steps` is 1 to 1000 and small enough for the table's
    /// timesteps to be different.
    pub fn from_table(
        table: &NoiseTable,
        steps: usize,
        settings: TableSettings,
    ) -> Result<Self, EngineError> {
        check_steps(steps)?;
        let (mut sigmas, mut timesteps): (Vec<f64>, Vec<f64>) = match settings.spread {
            Spread::Normal => spaced(table.train_steps(), steps, settings.spacing)
                .into_iter()
                .map(|t| (settings.spacing.level(table, t), settings.rounding.apply(t)))
                .unzip(),
            other => spread(table.range(), steps, other)
                .into_iter()
                .map(|s| (s, settings.rounding.apply(table.timestep(s))))
                .unzip(),
        };
        let end = match settings.final_sigma {
            FinalSigma::Zero => 0.0,
            FinalSigma::Smallest => table.range()[1],
        };
        if sigmas.last() == Some(&end) {
            timesteps.pop();
        } else {
            sigmas.push(end);
        }
        Self::checked(Form::VarianceExploding, sigmas, timesteps, Some(Arc::new(table.clone())))
    }

    fn checked(
        form: Form,
        sigmas: Vec<f64>,
        timesteps: Vec<f64>,
        table: Option<Arc<NoiseTable>>,
    ) -> Result<Self, EngineError> {
        if sigmas.windows(2).all(|pair| pair[0] > pair[1]) {
            Ok(Self { form, sigmas, timesteps, table })
        } else {
            let reason = format!("is too large for this noise schedule: {}", timesteps.len());
            Err(EngineError::invalid("number of steps", reason))
        }
    }

    /// Returns the end of the schedule for a picture that is to be changed by `strength`: 1 is the
    /// whole schedule, and a smaller share leaves out the steps at its start. At least one step is
    /// left.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] unless `strength` is above 0 and at most 1.
    ///
    /// # Source
    /// diffusers `StableDiffusionImg2ImgPipeline.get_timesteps`, which leaves none where
    /// `⌊strength · steps⌋` is 0.
    pub fn with_strength(&self, strength: f64) -> Result<Self, EngineError> {
        if !(strength > 0.0 && strength <= 1.0) {
            let reason = format!("must be above 0 and at most 1, not {strength}");
            return Err(EngineError::invalid("strength", reason));
        }
        let kept = ((self.steps() as f64 * strength) as usize).clamp(1, self.steps());
        let first = self.steps() - kept;
        Ok(Self {
            form: self.form,
            sigmas: self.sigmas[first..].to_vec(),
            timesteps: self.timesteps[first..].to_vec(),
            table: self.table.clone(),
        })
    }

    /// Returns how noise and picture are mixed.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Returns the number of steps, at least 1.
    pub fn steps(&self) -> usize {
        self.timesteps.len()
    }

    /// Returns the levels, falling; one more than there are steps.
    pub fn sigmas(&self) -> &[f64] {
        &self.sigmas
    }

    /// Returns the timestep that the model is told at the start of each step.
    pub fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    /// Returns the timestep of a level: for one that the schedule visits, what the model is told
    /// there; for one between, the table's. `None` for a last level of 0, and for a flow's last level
    /// and those between.
    pub fn timestep(&self, sigma: f64) -> Option<f64> {
        match self.sigmas.iter().position(|s| *s == sigma) {
            Some(index) if index < self.timesteps.len() => Some(self.timesteps[index]),
            _ => self.table.as_ref().filter(|_| sigma > 0.0).map(|table| table.timestep(sigma)),
        }
    }

    /// Returns the table that the levels were taken from; `None` for a flow.
    pub fn table(&self) -> Option<&NoiseTable> {
        self.table.as_deref()
    }

    /// Returns what standard normal noise is multiplied with to start from nothing: σ for a flow,
    /// and `√(σ² + 1)` for the other form, whose latents have unit variance without noise.
    pub fn noise_scale(&self) -> f64 {
        let first = self.sigmas[0];
        match self.form {
            Form::Flow => first,
            Form::VarianceExploding => first.hypot(1.0),
        }
    }
}

fn check_steps(steps: usize) -> Result<(), EngineError> {
    if (1..=MAX_STEPS).contains(&steps) {
        Ok(())
    } else {
        let reason = format!("must be 1 to {MAX_STEPS}, not {steps}");
        Err(EngineError::invalid("number of steps", reason))
    }
}

/// Returns `count` values from `from` to `to`, both included; only `from` for a count of 1.
fn linspace(from: f64, to: f64, count: usize) -> impl Iterator<Item = f64> {
    let last = count.saturating_sub(1);
    let step = if last == 0 { 0.0 } else { (to - from) / last as f64 };
    // The end is given as it is, so that rounding cannot make a final 0 something else.
    (0..count).map(move |i| if i == last && last > 0 { to } else { from + step * i as f64 })
}
