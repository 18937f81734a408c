//! What can be set about a sampler.

use crate::error::EngineError;
use crate::math::schedule::Form;
use crate::protocol::{SamplerKind, Sampling};

/// Holds a sampler with its settings; those that a sampler does not have are passed over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplerSettings {
    /// The algorithm.
    pub kind: SamplerKind,
    /// How much noise comes anew in each step, 0 to 1.
    pub eta: f64,
    /// What added noise is multiplied with, 0 to 2.
    pub s_noise: f64,
    /// How far to go back up before each step, 0 (off) to 100: σ grows by the smaller of
    /// `s_churn / steps` and `√2 − 1` of itself.
    pub s_churn: f64,
    /// The levels, smallest and largest, between which `s_churn` has effect.
    pub churn_between: [f64; 2],
}

impl From<SamplerKind> for SamplerSettings {
    fn from(kind: SamplerKind) -> Self {
        Self {
            kind,
            eta: kind.info().eta.map_or(0.0, f64::from),
            s_noise: 1.0,
            s_churn: 0.0,
            churn_between: [0.0, f64::INFINITY],
        }
    }
}

impl From<Sampling> for SamplerSettings {
    fn from(sampling: Sampling) -> Self {
        let plain = Self::from(sampling.sampler);
        Self {
            eta: sampling.eta.map_or(plain.eta, f64::from),
            s_noise: f64::from(sampling.s_noise),
            s_churn: f64::from(sampling.s_churn),
            ..plain
        }
    }
}

impl SamplerSettings {
    /// Tells whether the sampler adds noise on its way with these settings.
    pub fn adds_noise(&self) -> bool {
        let info = self.kind.info();
        match info.eta {
            Some(_) => self.eta > 0.0,
            None => info.adds_noise || (info.has_churn && self.s_churn > 0.0),
        }
    }

    /// Checks the settings for latents of a form.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when a value is out of its range, or for a flow when the
    /// sampler or the setting is not for flows.
    pub fn check(&self, form: Form) -> Result<(), EngineError> {
        for (name, value, most) in [
            ("eta", self.eta, 1.0),
            ("s_noise", self.s_noise, 2.0),
            ("s_churn", self.s_churn, 100.0),
        ] {
            if !(0.0..=most).contains(&value) {
                let reason = format!("must be a number from 0 to {most}, not {value}");
                return Err(EngineError::invalid(name, reason));
            }
        }
        if form == Form::Flow {
            self.check_flow()?;
        }
        Ok(())
    }

    fn check_flow(&self) -> Result<(), EngineError> {
        if !self.kind.info().is_for_flow {
            let labels = SamplerKind::FLOW.map(SamplerKind::id).join(", ");
            let reason = format!("{} is not for this model, which has {labels}", self.kind.id());
            return Err(EngineError::invalid("sampler", reason));
        }
        if self.kind.info().has_churn && self.s_churn > 0.0 {
            return Err(EngineError::invalid("s_churn", "is not for this model and must be 0"));
        }
        Ok(())
    }
}
