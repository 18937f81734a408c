//! The noise level of every training timestep.

use super::linspace;
use crate::error::EngineError;

/// What is left of the picture at the last timestep of a table with zero terminal SNR: nothing would
/// make its level infinite.
///
/// # Source
/// diffusers `EulerDiscreteScheduler` with `rescale_betas_zero_snr`: 2⁻²⁴, a level of 4,096.
const LEAST_KEPT: f64 = 1.0 / 16_777_216.0;

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
        check_betas(beta_start, beta_end, train_steps)?;
        let roots = linspace(beta_start.sqrt(), beta_end.sqrt(), train_steps);
        Self::from_betas(roots.map(|root| root * root))
    }

    /// Makes the table of `betas` that run evenly from `beta_start` to `beta_end`: the first
    /// diffusion models.
    ///
    /// # Errors
    /// Those of [`NoiseTable::scaled_linear`].
    pub fn linear(beta_start: f64, beta_end: f64, train_steps: usize) -> Result<Self, EngineError> {
        check_betas(beta_start, beta_end, train_steps)?;
        Self::from_betas(linspace(beta_start, beta_end, train_steps))
    }

    /// Makes the table of a squared cosine, whose betas end at 0.999 (`squaredcos_cap_v2`).
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] for fewer than two training steps.
    ///
    /// # Source
    /// Nichol, Dhariwal: Improved denoising diffusion probabilistic models, equation 17.
    pub fn squared_cosine(train_steps: usize) -> Result<Self, EngineError> {
        check_betas(0.1, 0.1, train_steps)?;
        let kept = |step: usize| {
            let time = step as f64 / train_steps as f64;
            ((time + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2)
        };
        Self::from_betas(
            (0..train_steps).map(|step| (1.0 - kept(step + 1) / kept(step)).min(0.999)),
        )
    }

    /// Makes the table of Stable Diffusion 1, 2 and XL: β from 0.00085 to 0.012 in 1,000 steps.
    pub fn stable_diffusion() -> Self {
        Self::scaled_linear(0.00085, 0.012, 1000).unwrap_or_else(|_| unreachable!("valid betas"))
    }

    fn from_betas(betas: impl Iterator<Item = f64>) -> Result<Self, EngineError> {
        let mut kept = 1.0;
        let kept = betas.map(|beta| {
            kept *= 1.0 - beta;
            kept
        });
        Self::from_kept(kept)
    }

    /// Makes a table from the share `ᾱ` of the picture's variance that is left at each timestep.
    fn from_kept(kept: impl Iterator<Item = f64>) -> Result<Self, EngineError> {
        let sigmas: Vec<f64> = kept.map(|kept| ((1.0 - kept) / kept).sqrt()).collect();
        let rises = sigmas.windows(2).all(|pair| pair[0] < pair[1]);
        if rises && sigmas.first().is_some_and(|first| *first > 0.0) {
            Ok(Self { sigmas })
        } else {
            Err(EngineError::invalid(
                "betas",
                "must make levels that rise from timestep to timestep",
            ))
        }
    }

    /// Returns the table stretched so that nothing of the picture is left at the last timestep, but
    /// for 2⁻²⁴, which makes a level of 4,096 (or for a quarter of what is left one timestep before,
    /// where that is no more).
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the levels of the table are too near each other to stay
    /// apart.
    ///
    /// # Source
    /// Lin, Liu, Li, Yang: Common diffusion noise schedules and sample steps are flawed, algorithm 1.
    pub fn with_zero_terminal_snr(&self) -> Result<Self, EngineError> {
        let root = |sigma: f64| 1.0 / sigma.hypot(1.0);
        let [last, first] = self.range().map(root);
        let stretch = |sigma: &f64| (root(*sigma) - last) * first / (first - last);
        let mut kept: Vec<f64> = self.sigmas.iter().map(|sigma| stretch(sigma).powi(2)).collect();
        if let [.., before, end] = &mut kept[..] {
            *end = if *before > LEAST_KEPT { LEAST_KEPT } else { *before / 4.0 };
        }
        Self::from_kept(kept.into_iter())
    }

    /// Returns the number of training timesteps, at least 2.
    pub fn train_steps(&self) -> usize {
        self.sigmas.len()
    }

    /// Returns the largest and the smallest level.
    pub fn range(&self) -> [f64; 2] {
        [self.sigmas[self.sigmas.len() - 1], self.sigmas[0]]
    }

    /// Returns the level at a timestep, linear between whole ones and clamped to the table.
    pub fn sigma(&self, timestep: f64) -> f64 {
        let ([low, high], share) = self.around(timestep);
        low + share * (high - low)
    }

    /// Returns the level at a timestep, linear in log σ between whole ones and clamped to the table:
    /// the way back from [`NoiseTable::timestep`].
    pub fn sigma_by_log(&self, timestep: f64) -> f64 {
        let ([low, high], share) = self.around(timestep);
        if share == 0.0 { low } else { (low.ln() + share * (high.ln() - low.ln())).exp() }
    }

    /// Returns the levels on both sides of a timestep and its place between them.
    fn around(&self, timestep: f64) -> ([f64; 2], f64) {
        let last = self.sigmas.len() - 1;
        let timestep = timestep.clamp(0.0, last as f64);
        let low = (timestep as usize).min(last - 1);
        ([self.sigmas[low], self.sigmas[low + 1]], timestep - low as f64)
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

fn check_betas(beta_start: f64, beta_end: f64, train_steps: usize) -> Result<(), EngineError> {
    if !(0.0 < beta_start && beta_start <= beta_end && beta_end < 1.0) {
        return Err(EngineError::invalid("betas", "must lie between 0 and 1, rising"));
    }
    if !(2..=100_000).contains(&train_steps) {
        return Err(EngineError::invalid("number of training steps", "must be 2 to 100000"));
    }
    Ok(())
}
