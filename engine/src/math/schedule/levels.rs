//! Which levels of a table are visited.

use super::{NoiseTable, linspace};
use crate::math::special::beta_quantile;
use crate::protocol::{SamplerKind, ScheduleKind};

/// The timesteps that latent and trajectory consistency models were distilled on, of 1,000.
///
/// # Source
/// diffusers `LCMScheduler` and `TCDScheduler`, `original_inference_steps`.
const DISTILLED_STEPS: usize = 50;

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
    /// As `Linspace`, with levels between timesteps linear in log σ (k-diffusion's `get_sigmas`).
    Normal,
    /// `n + 1` timesteps from `T − 1` to 0, not rounded, without the last, with levels linear in log σ
    /// (`sgm_uniform` of ComfyUI, after Stability's generative-models).
    SgmUniform,
    /// Every `T / n`-th timestep down from `T − 1`, rounded down in distance (`simple` of ComfyUI).
    Simple,
    /// `n` of the timesteps that a consistency model was distilled on, evenly from the top.
    Distilled {
        /// How many there are, of `T`; `n` must not be larger.
        original: usize,
    },
}

impl Spacing {
    /// Returns the level at a timestep of this spacing.
    pub(super) fn level(self, table: &NoiseTable, timestep: f64) -> f64 {
        match self {
            Self::Normal | Self::SgmUniform => table.sigma_by_log(timestep),
            _ => table.sigma(timestep),
        }
    }
}

/// Names the family of models for which levels were optimised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum AlignedFor {
    /// Stable Diffusion 1.
    #[default]
    StableDiffusion1,
    /// Stable Diffusion XL.
    StableDiffusionXl,
}

impl AlignedFor {
    /// Returns the published levels for ten steps.
    ///
    /// # Source
    /// Sabour, Fidler, Kreis: Align your steps, optimizing sampling schedules in diffusion models;
    /// the tables of the project's quick-start page (with diffusers' `AysSchedules`, whose last level is 0).
    fn levels(self) -> [f64; 11] {
        match self {
            Self::StableDiffusion1 => {
                [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029]
            }
            Self::StableDiffusionXl => {
                [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029]
            }
        }
    }

    /// Returns `steps` levels, linear in log σ between those for ten steps.
    fn spread(self, steps: usize) -> Vec<f64> {
        let levels = self.levels();
        let between = |place: f64| {
            let low = (place as usize).min(levels.len() - 2);
            let [from, to] = [levels[low].ln(), levels[low + 1].ln()];
            (from + (place - low as f64) * (to - from)).exp()
        };
        // The last of the interpolated levels is where sampling ends; the caller puts it there.
        linspace(0.0, (levels.len() - 1) as f64, steps + 1).take(steps).map(between).collect()
    }
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
    /// Evenly in log σ over the whole table; the [`Spacing`] has no influence.
    ///
    /// # Source
    /// k-diffusion `get_sigmas_exponential`.
    Exponential,
    /// At the quantiles of a beta distribution with α = β = 0.6, which stand for shares of the way from
    /// the smallest σ to the largest; the [`Spacing`] has no influence.
    ///
    /// # Source
    /// Lee et al.: Beta sampling is all you need; diffusers `EulerDiscreteScheduler` with
    /// `use_beta_sigmas`.
    Beta,
    /// At levels that were optimised for a family of models, interpolated in log σ for other numbers
    /// of steps than ten; the [`Spacing`] has no influence.
    ///
    /// # Source
    /// Sabour, Fidler, Kreis: Align your steps, optimizing sampling schedules in diffusion models.
    AlignYourSteps(AlignedFor),
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
    pub(super) fn apply(self, timestep: f64) -> f64 {
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
    /// Returns what diffusers does by default for a sampler, with its settings for Stable Diffusion
    /// where its class has none of its own.
    pub fn like_diffusers(sampler: SamplerKind, spread: Spread) -> Self {
        use SamplerKind as Kind;
        let (spacing, rounding) = match sampler {
            Kind::DpmPp2m | Kind::UniPc | Kind::DpmPp2mSde | Kind::DpmPpSde | Kind::DpmPp3mSde => {
                (Spacing::LinspaceOpen, TimestepRounding::Nearest)
            }
            Kind::Ddpm | Kind::Ddim | Kind::Pndm => {
                (Spacing::Leading { offset: 1 }, TimestepRounding::Exact)
            }
            Kind::Lcm | Kind::Tcd => {
                (Spacing::Distilled { original: DISTILLED_STEPS }, TimestepRounding::Exact)
            }
            _ => (Spacing::Linspace, TimestepRounding::Exact),
        };
        Self { spacing, spread, rounding, final_sigma: end_of(sampler) }
    }

    /// Returns what a person means who chooses a schedule for a sampler.
    ///
    /// For the samplers that diffusers lacks in this form, `Automatic` is what AUTOMATIC1111 does:
    /// Karras levels for DPM2 and DPM++ SDE, exponential ones for DPM++ 2M SDE and 3M SDE.
    pub fn of(schedule: ScheduleKind, sampler: SamplerKind, aligned: AlignedFor) -> Self {
        use ScheduleKind as Kind;
        let evenly = |spacing| Self { spacing, final_sigma: end_of(sampler), ..Self::default() };
        let spread = |spread| Self { spread, ..evenly(Spacing::Normal) };
        match schedule {
            Kind::Automatic => match sampler {
                SamplerKind::Dpm2 | SamplerKind::Dpm2A | SamplerKind::DpmPpSde => {
                    spread(Spread::Karras)
                }
                SamplerKind::DpmPp2mSde | SamplerKind::DpmPp3mSde => spread(Spread::Exponential),
                _ => Self::like_diffusers(sampler, Spread::Normal),
            },
            Kind::Normal => evenly(Spacing::Normal),
            Kind::Karras => spread(Spread::Karras),
            Kind::Exponential => spread(Spread::Exponential),
            Kind::SgmUniform => evenly(Spacing::SgmUniform),
            Kind::Simple => evenly(Spacing::Simple),
            Kind::DdimUniform => evenly(Spacing::Leading { offset: 1 }),
            Kind::Beta => spread(Spread::Beta),
            Kind::AlignYourSteps => spread(Spread::AlignYourSteps(aligned)),
            Kind::Trailing => evenly(Spacing::Trailing),
        }
    }
}

/// Returns where a sampler ends in diffusers with the settings of Stable Diffusion
/// (`set_alpha_to_one` off). There TCD's last step leads to timestep 0.
fn end_of(sampler: SamplerKind) -> FinalSigma {
    match sampler {
        SamplerKind::Ddim | SamplerKind::Pndm | SamplerKind::Tcd => FinalSigma::Smallest,
        _ => FinalSigma::Zero,
    }
}

pub(super) fn spaced(train_steps: usize, steps: usize, spacing: Spacing) -> Vec<f64> {
    let multiples = |ratio: usize, from: usize, offset: usize| {
        (from..from + steps).rev().map(|i| (i * ratio + offset) as f64).collect()
    };
    let last = (train_steps - 1) as f64;
    match spacing {
        Spacing::Linspace | Spacing::Normal => linspace(last, 0.0, steps).collect(),
        Spacing::LinspaceOpen => {
            let rounded = linspace(last, 0.0, steps + 1).map(f64::round_ties_even);
            rounded.take(steps).collect()
        }
        Spacing::SgmUniform => linspace(last, 0.0, steps + 1).take(steps).collect(),
        Spacing::Leading { offset } => multiples(train_steps / steps, 0, offset),
        Spacing::LeadingOpen { offset } => multiples(train_steps / (steps + 1), 1, offset),
        Spacing::Trailing => {
            let ratio = train_steps as f64 / steps as f64;
            let from_top = |i| (train_steps as f64 - ratio * i as f64).round_ties_even() - 1.0;
            (0..steps).map(from_top).collect()
        }
        Spacing::Simple => {
            let ratio = train_steps as f64 / steps as f64;
            (0..steps).map(|i| last - (i as f64 * ratio).floor()).collect()
        }
        Spacing::Distilled { original } => {
            let ratio = train_steps / original.max(1);
            let pick = |i: usize| original - i * original / steps;
            (0..steps).map(|i| (pick(i) * ratio) as f64 - 1.0).collect()
        }
    }
}

/// Returns `steps` levels from `largest` to `smallest` by a spread over the whole table; nothing for
/// [`Spread::Normal`].
pub(super) fn spread([largest, smallest]: [f64; 2], steps: usize, spread: Spread) -> Vec<f64> {
    const RHO: f64 = 7.0;
    const BETA: f64 = 0.6;
    let mut levels: Vec<f64> = match spread {
        Spread::Normal => return Vec::new(),
        Spread::AlignYourSteps(aligned) => return aligned.spread(steps),
        Spread::Karras => linspace(largest.powf(1.0 / RHO), smallest.powf(1.0 / RHO), steps)
            .map(|root| root.powf(RHO))
            .collect(),
        Spread::Exponential => linspace(largest.ln(), smallest.ln(), steps).map(f64::exp).collect(),
        Spread::Beta => linspace(1.0, 0.0, steps)
            .map(|p| smallest + beta_quantile(p, BETA, BETA) * (largest - smallest))
            .collect(),
    };
    // The ends are given as they are: rounding must not put one beyond the table.
    levels[0] = largest;
    if let [_, .., last] = &mut levels[..] {
        *last = smallest;
    }
    levels
}
