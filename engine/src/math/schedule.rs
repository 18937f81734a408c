//! Noise schedules: which noise levels a sampler visits, and which timestep a model is told at each.
//!
//! A level is a σ: the standard deviation of the noise. Two [`Form`]s of noisy latents are in use.
//! A *flow* mixes, `x = (1 − σ)·x0 + σ·noise` with σ from 1 down to 0. Everything else is held
//! *variance exploding*, `x = x0 + σ·noise` with σ from about 14.6 down to 0: the form in which
//! samplers for epsilon and v models are written most simply. A latent of Stable Diffusion's own
//! variance-preserving form is that times `1/√(σ² + 1)`.

use crate::error::EngineError;
use crate::protocol::SamplerKind;

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

/// Says which training timesteps are visited. `n` is the number of steps, `T` of training steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Spacing {
    /// `n` timesteps from `T − 1` to 0, not rounded (`linspace` of Euler and Heun in diffusers,
    /// except that a single step starts at `T − 1` and not at 0).
    #[default]
    Linspace,
    /// `n + 1` rounded timesteps from `T − 1` to 0, without the last (`linspace` of DPM++ and
    /// UniPC in diffusers).
    LinspaceOpen,
    /// Multiples of `⌊T / n⌋` plus an offset (`leading` of Euler and Heun in diffusers).
    Leading {
        /// What is added to each timestep; 1 for Stable Diffusion 1.5.
        offset: usize,
    },
    /// Multiples of `⌊T / (n + 1)⌋`, without the smallest, plus an offset (`leading` of DPM++ and UniPC
    /// in diffusers).
    LeadingOpen {
        /// What is added to each timestep; 1 for Stable Diffusion 1.5.
        offset: usize,
    },
    /// Every `T / n`-th timestep down from `T`, rounded, minus 1 (`trailing`).
    Trailing,
}

/// Says how levels lie between the largest and the smallest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Spread {
    /// At the timesteps of the [`Spacing`].
    #[default]
    Normal,
    /// Evenly in `σ^(1/7)` over the whole table; the [`Spacing`] has no influence.
    ///
    /// # Source
    /// Karras, Aittala, Aila, Laine: Elucidating the design space of diffusion-based generative
    /// models, equation 5.
    Karras,
}

/// Says at which level sampling ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FinalSigma {
    /// At 0: the last step gives the model's own x0.
    #[default]
    Zero,
    /// At the smallest level of the table, for models whose last x0 is not to be trusted. Where the
    /// last step would start there, it is left out.
    Smallest,
}

/// Says what becomes of a timestep that is not a whole number before a model is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum TimestepRounding {
    /// Nothing.
    #[default]
    Exact,
    /// Rounds to the nearest, halves to even (DPM++ and UniPC with Karras levels in diffusers).
    Nearest,
    /// Cuts off the fraction (DPM++ and UniPC with flow levels in diffusers).
    Down,
}

impl TimestepRounding {
    fn apply(self, timestep: f64) -> f64 {
        match self {
            Self::Exact => timestep,
            Self::Nearest => timestep.round_ties_even(),
            Self::Down => timestep.floor(),
        }
    }
}

/// Holds the settings with which levels are taken from a [`NoiseTable`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TableSettings {
    /// Which timesteps are visited.
    pub spacing: Spacing,
    /// How the levels lie.
    pub spread: Spread,
    /// Where sampling ends.
    pub final_sigma: FinalSigma,
    /// What the model is told.
    pub rounding: TimestepRounding,
}

impl TableSettings {
    /// Returns what diffusers does by default for a sampler.
    pub fn like_diffusers(sampler: SamplerKind, spread: Spread) -> Self {
        let (spacing, rounding) = match sampler {
            SamplerKind::Euler | SamplerKind::Heun => (Spacing::Linspace, TimestepRounding::Exact),
            SamplerKind::DpmPp2m | SamplerKind::UniPc => {
                (Spacing::LinspaceOpen, TimestepRounding::Nearest)
            }
        };
        Self { spacing, spread, rounding, final_sigma: FinalSigma::Zero }
    }
}

/// Holds the noise level of every training timestep of a diffusion model.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseTable {
    /// Ascending and positive; the index is the timestep.
    sigmas: Vec<f64>,
}

impl NoiseTable {
    /// Makes the table of `betas` that are linear in their square root: `betas[t]` runs from
    /// `beta_start` to `beta_end`, `ᾱ` is the running product of `1 − β`, and `σ = √((1 − ᾱ)/ᾱ)`.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] unless `0 < beta_start ≤ beta_end < 1` and there are at least two
    /// training steps.
    pub fn scaled_linear(
        beta_start: f64,
        beta_end: f64,
        train_steps: usize,
    ) -> Result<Self, EngineError> {
        if !(0.0 < beta_start && beta_start <= beta_end && beta_end < 1.0) {
            return Err(EngineError::invalid("betas", "must lie between 0 and 1, rising"));
        }
        if train_steps < 2 {
            return Err(EngineError::invalid("number of training steps", "must be at least 2"));
        }
        let mut kept = 1.0;
        let sigmas = linspace(beta_start.sqrt(), beta_end.sqrt(), train_steps)
            .map(|root| {
                kept *= 1.0 - root * root;
                ((1.0 - kept) / kept).sqrt()
            })
            .collect();
        Ok(Self { sigmas })
    }

    /// Makes the table of Stable Diffusion 1, 2 and XL: β from 0.00085 to 0.012 in 1,000 steps.
    pub fn stable_diffusion() -> Self {
        Self::scaled_linear(0.00085, 0.012, 1000).unwrap_or_else(|_| unreachable!("valid betas"))
    }

    /// Returns the largest and the smallest level.
    pub fn range(&self) -> [f64; 2] {
        [self.sigmas[self.sigmas.len() - 1], self.sigmas[0]]
    }

    /// Returns the level at a timestep, linear between whole ones and clamped to the table.
    pub fn sigma(&self, timestep: f64) -> f64 {
        let last = self.sigmas.len() - 1;
        let timestep = timestep.clamp(0.0, last as f64);
        let low = (timestep as usize).min(last - 1);
        let share = timestep - low as f64;
        self.sigmas[low] + share * (self.sigmas[low + 1] - self.sigmas[low])
    }

    /// Returns the timestep of a level, linear in log σ between whole ones and clamped to the table.
    pub fn timestep(&self, sigma: f64) -> f64 {
        let last = self.sigmas.len() - 1;
        let above = self.sigmas.partition_point(|s| *s <= sigma);
        let low = above.saturating_sub(1).min(last - 1);
        let [from, to] = [self.sigmas[low].ln(), self.sigmas[low + 1].ln()];
        low as f64 + ((sigma.max(1e-10).ln() - from) / (to - from)).clamp(0.0, 1.0)
    }
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
        Self::checked(Form::Flow, sigmas, timesteps)
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
            Spread::Normal => spaced(table.sigmas.len(), steps, settings.spacing)
                .into_iter()
                .map(|t| (table.sigma(t), settings.rounding.apply(t)))
                .unzip(),
            Spread::Karras => karras(table.range(), steps)
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
        Self::checked(Form::VarianceExploding, sigmas, timesteps)
    }

    fn checked(form: Form, sigmas: Vec<f64>, timesteps: Vec<f64>) -> Result<Self, EngineError> {
        if sigmas.windows(2).all(|pair| pair[0] > pair[1]) {
            Ok(Self { form, sigmas, timesteps })
        } else {
            let reason = format!("is too large for this noise schedule: {}", timesteps.len());
            Err(EngineError::invalid("number of steps", reason))
        }
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

    /// Returns the timestep of a level that the schedule visits; `None` for the last and for others.
    pub fn timestep(&self, sigma: f64) -> Option<f64> {
        let index = self.sigmas.iter().position(|s| *s == sigma)?;
        self.timesteps.get(index).copied()
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

fn spaced(train_steps: usize, steps: usize, spacing: Spacing) -> Vec<f64> {
    let multiples = |ratio: usize, from: usize, offset: usize| {
        (from..from + steps).rev().map(|i| (i * ratio + offset) as f64).collect()
    };
    let last = (train_steps - 1) as f64;
    match spacing {
        Spacing::Linspace => linspace(last, 0.0, steps).collect(),
        Spacing::LinspaceOpen => {
            let rounded = linspace(last, 0.0, steps + 1).map(f64::round_ties_even);
            rounded.take(steps).collect()
        }
        Spacing::Leading { offset } => multiples(train_steps / steps, 0, offset),
        Spacing::LeadingOpen { offset } => multiples(train_steps / (steps + 1), 1, offset),
        Spacing::Trailing => {
            let ratio = train_steps as f64 / steps as f64;
            let from_top = |i| (train_steps as f64 - ratio * i as f64).round_ties_even() - 1.0;
            (0..steps).map(from_top).collect()
        }
    }
}

fn karras([largest, smallest]: [f64; 2], steps: usize) -> impl Iterator<Item = f64> {
    const RHO: f64 = 7.0;
    linspace(largest.powf(1.0 / RHO), smallest.powf(1.0 / RHO), steps).map(|root| root.powf(RHO))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_straight_flow_goes_from_one_to_zero_in_equal_steps() {
        let schedule = Schedule::flow(4, 1.0).unwrap();
        assert_eq!(schedule.sigmas(), [1.0, 0.75, 0.5, 0.25, 0.0]);
        assert_eq!(schedule.timesteps(), [1000.0, 750.0, 500.0, 250.0]);
        assert_eq!(schedule.noise_scale(), 1.0);
    }

    #[test]
    fn a_shift_of_three_moves_the_middle_to_three_quarters() {
        let schedule = Schedule::flow(2, 3.0).unwrap();
        assert_eq!(schedule.sigmas(), [1.0, 0.75, 0.0]);
    }

    #[test]
    fn the_table_of_stable_diffusion_has_its_known_range() {
        let [largest, smallest] = NoiseTable::stable_diffusion().range();
        // As k-diffusion and diffusers print them.
        assert!((largest - 14.6146).abs() < 1e-4, "{largest}");
        assert!((smallest - 0.029_167).abs() < 1e-6, "{smallest}");
    }

    #[test]
    fn karras_levels_have_both_ends_of_the_table() {
        let table = NoiseTable::stable_diffusion();
        let settings = TableSettings { spread: Spread::Karras, ..TableSettings::default() };
        let schedule = Schedule::from_table(&table, 10, settings).unwrap();
        let [largest, smallest] = table.range();
        assert!((schedule.sigmas()[0] - largest).abs() < 1e-9);
        assert!((schedule.sigmas()[9] - smallest).abs() < 1e-9);
        assert_eq!(schedule.sigmas()[10], 0.0);
        assert!((schedule.timesteps()[0] - 999.0).abs() < 1e-9);
        assert!(schedule.timesteps()[9].abs() < 1e-9);
    }

    #[test]
    fn ending_at_the_smallest_level_leaves_out_a_step_without_length() {
        let table = NoiseTable::stable_diffusion();
        let settings =
            TableSettings { final_sigma: FinalSigma::Smallest, ..TableSettings::default() };
        let schedule = Schedule::from_table(&table, 10, settings).unwrap();
        assert_eq!(schedule.steps(), 9);
        assert_eq!(schedule.sigmas().last(), Some(&table.range()[1]));
    }

    #[test]
    fn steps_and_shifts_that_make_no_schedule_are_refused() {
        let table = NoiseTable::stable_diffusion();
        for steps in [0, 1001, usize::MAX] {
            assert!(Schedule::flow(steps, 1.0).is_err());
            assert!(Schedule::from_table(&table, steps, TableSettings::default()).is_err());
        }
        for shift in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Schedule::flow(20, shift).unwrap_err().is_wrong_input(), "{shift}");
        }
        let open =
            TableSettings { spacing: Spacing::LeadingOpen { offset: 1 }, ..Default::default() };
        assert!(Schedule::from_table(&table, 1000, open).is_err());
        for (start, end) in [(0.0, 0.1), (0.2, 0.1), (0.1, 1.0), (f64::NAN, 0.1)] {
            assert!(NoiseTable::scaled_linear(start, end, 1000).is_err());
        }
        assert!(NoiseTable::scaled_linear(0.1, 0.2, 1).is_err());
    }

    fn settings() -> impl Strategy<Value = TableSettings> {
        let spacing = prop_oneof![
            Just(Spacing::Linspace),
            Just(Spacing::LinspaceOpen),
            Just(Spacing::Leading { offset: 1 }),
            Just(Spacing::LeadingOpen { offset: 1 }),
            Just(Spacing::Trailing),
        ];
        let spread = prop_oneof![Just(Spread::Normal), Just(Spread::Karras)];
        let end = prop_oneof![Just(FinalSigma::Zero), Just(FinalSigma::Smallest)];
        (spacing, spread, end).prop_map(|(spacing, spread, final_sigma)| TableSettings {
            spacing,
            spread,
            final_sigma,
            rounding: TimestepRounding::Exact,
        })
    }

    proptest! {
        #[test]
        fn every_schedule_falls_and_knows_its_timesteps(steps in 1_usize..=150, settings in settings()) {
            let table = NoiseTable::stable_diffusion();
            let schedule = Schedule::from_table(&table, steps, settings).unwrap();
            prop_assert!(schedule.sigmas().windows(2).all(|pair| pair[0] > pair[1]));
            prop_assert_eq!(schedule.sigmas().len(), schedule.steps() + 1);
            for (sigma, timestep) in schedule.sigmas().iter().zip(schedule.timesteps()) {
                prop_assert!((0.0..=999.0).contains(timestep));
                prop_assert_eq!(schedule.timestep(*sigma), Some(*timestep));
            }
        }

        #[test]
        fn every_flow_falls_from_noise_to_nothing(steps in 1_usize..=1000, shift in 0.1_f64..20.0) {
            for spacing in
                [FlowSpacing::Uniform, FlowSpacing::FlowMatch, FlowSpacing::DpmSolver, FlowSpacing::UniPc]
            {
                let schedule =
                    Schedule::flow_spaced(steps, shift, spacing, TimestepRounding::Exact).unwrap();
                prop_assert_eq!(schedule.steps(), steps);
                let first = match spacing {
                    FlowSpacing::Uniform | FlowSpacing::FlowMatch => 1.0,
                    FlowSpacing::DpmSolver => shift * 0.999 / (1.0 + (shift - 1.0) * 0.999),
                    FlowSpacing::UniPc => 1.0 - 1e-6,
                };
                prop_assert!((schedule.sigmas()[0] - first).abs() < 1e-12);
                prop_assert_eq!(schedule.sigmas()[steps], 0.0);
            }
        }

        #[test]
        fn whole_timesteps_survive_the_way_to_sigma_and_back(timestep in 0_u32..1000) {
            let table = NoiseTable::stable_diffusion();
            let timestep = f64::from(timestep);
            prop_assert!((table.timestep(table.sigma(timestep)) - timestep).abs() < 1e-6);
        }

        #[test]
        fn timesteps_of_any_level_stay_in_the_table_and_rise(a in 0.0_f64..100.0, b in 0.0_f64..100.0) {
            let table = NoiseTable::stable_diffusion();
            let (low, high) = (table.timestep(a.min(b)), table.timestep(a.max(b)));
            prop_assert!(0.0 <= low && low <= high && high <= 999.0);
        }
    }
}
