//! What a checkpoint of the Stable Diffusion family is, as far as its file tells, and what a person
//! may say about it instead.

use std::path::Path;

use crate::error::EngineError;
use crate::protocol::{ModelChoice, PredictionChoice, VariantChoice};
use crate::weights::detect::{Base, Detection, Evidence, Prediction, Variant};

/// Says what a checkpoint of the family is.
///
/// A person's word goes before the file's name and before what is usual ([`ModelChoice`]), not before
/// shapes: family, the size that follows from it, inpainting and InstructPix2Pix are as the tensors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelKind {
    /// The line of models; `None` where no known one has such shapes.
    pub base: Option<Base>,
    /// What it was made for, told by shapes.
    pub made_for: Option<Variant>,
    /// How it was distilled.
    pub variant: VariantChoice,
    /// What that was told by.
    pub variant_by: Evidence,
    /// What the net predicts; `None` where it cannot be told.
    pub prediction: Option<Prediction>,
    /// What that was told by.
    pub prediction_by: Evidence,
    /// The number of steps that its name gives.
    pub steps: Option<u32>,
}

impl ModelKind {
    /// Returns what was told of a file.
    pub fn of(found: &Detection, path: &Path) -> Self {
        let (variant, variant_by) =
            found.distilled.unwrap_or((VariantChoice::Standard, Evidence::Usual));
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        Self {
            base: found.base,
            made_for: found.variant,
            variant,
            variant_by,
            prediction: found.prediction,
            prediction_by: found.prediction_by.unwrap_or(Evidence::Usual),
            steps: steps_in(&name),
        }
    }

    /// Refuses what the shapes of the tensors contradict.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`].
    pub fn check(&self, choice: ModelChoice) -> Result<(), EngineError> {
        let Some(variant) = choice.variant else { return Ok(()) };
        let why = match self.made_for {
            Some(Variant::LatentConsistency) if variant != VariantChoice::Lcm => {
                "its net reads the guidance as a number, which only nets of LCM do"
            }
            Some(Variant::InstructPix2Pix) if variant != VariantChoice::Standard => {
                "its net follows instructions (InstructPix2Pix) by guidance, which distilled nets run \
                 without"
            }
            _ => return Ok(()),
        };
        let reason = format!("cannot be {variant} for this model: {why}");
        Err(EngineError::invalid("variant", reason))
    }

    /// Returns how it is sampled under a choice, which passes over what [`ModelKind::check`] refuses.
    pub fn variant_under(&self, choice: ModelChoice) -> VariantChoice {
        let allowed = choice.variant.filter(|_| self.check(choice).is_ok());
        allowed.unwrap_or(self.variant)
    }

    /// Returns what its net predicts under a choice.
    pub fn prediction_under(&self, choice: ModelChoice) -> Option<Prediction> {
        match choice.prediction {
            Some(PredictionChoice::Epsilon) => Some(Prediction::Epsilon),
            Some(PredictionChoice::V) => Some(Prediction::V),
            None => self.prediction,
        }
    }
}

/// Finds a number of steps in a name, as in `lightning_4step`.
fn steps_in(name: &str) -> Option<u32> {
    let before = &name[..name.find("step")?];
    let before = before.trim_end_matches(['-', '_', ' ']);
    let digits = before.len() - before.bytes().rev().take_while(u8::is_ascii_digit).count();
    before[digits..].parse().ok().filter(|steps| (1..=16).contains(steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_steps_is_read_out_of_a_name() {
        assert_eq!(steps_in("sdxl_lightning_4step.safetensors"), Some(4));
        assert_eq!(steps_in("hyper-sd15-8-steps.ckpt"), Some(8));
        assert_eq!(steps_in("my-steps.ckpt"), None);
        assert_eq!(steps_in("v1-5-pruned.ckpt"), None);
        assert_eq!(steps_in("x-99999999999step"), None);
    }
}
