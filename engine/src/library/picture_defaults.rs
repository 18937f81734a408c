//! What a picture model is asked for when a person says nothing.

use super::model_kind::ModelKind;
use super::models::{Models, PictureModel};
use crate::error::EngineError;
use crate::protocol::{
    ModelChoice, SamplerKind, Sampling, ScheduleKind, Size, VariantChoice as Choice,
};
use crate::weights::detect::{Base, Prediction, Variant, detect};
use crate::weights::open::Checkpoint;

/// Holds what a picture model is asked for when a person says nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PictureDefaults {
    /// The size that it was trained at.
    pub size: Size,
    /// The sampler with its settings.
    pub sampling: Sampling,
    /// Sizes are multiples of this, in pixels.
    pub grid_px: u32,
}

impl PictureDefaults {
    /// Returns those of the house model.
    pub fn house() -> Self {
        Self { size: square(256), sampling: Sampling::default(), grid_px: 32 }
    }

    /// Returns those of a model by its name or path, where a person says this about it; its weights are
    /// not read.
    ///
    /// # Errors
    /// As [`Models::locate_picture`], [`Checkpoint::open`] and [`ModelKind::check`];
    /// [`EngineError::InvalidSetting`] for a variant of the house model.
    pub fn of(models: &Models, name: &str, choice: ModelChoice) -> Result<Self, EngineError> {
        match (models.locate_picture(name)?, choice.variant) {
            (PictureModel::House(_), None) => Ok(Self::house()),
            (PictureModel::House(_), Some(variant)) => {
                let reason = format!(
                    "cannot be {variant} for the house model, which is not of the Stable Diffusion \
                     family"
                );
                Err(EngineError::invalid("variant", reason))
            }
            (PictureModel::Diffusion(located), _) => {
                let file = Checkpoint::open(&located.path)?;
                let kind = ModelKind::of(&detect(&file), file.path());
                kind.check(choice)?;
                Ok(Self::of_kind(&kind, choice))
            }
        }
    }

    /// Returns those of a model of this kind, where a person says this about it; what
    /// [`ModelKind::check`] refuses is passed over.
    ///
    /// # Source
    /// The cards of Stable Diffusion 1.5, 2.1, XL base, SD-Turbo, SDXL-Turbo, SDXL-Lightning,
    /// Hyper-SD and LCM.
    pub fn of_kind(kind: &ModelKind, choice: ModelChoice) -> Self {
        let side = match (kind.base, kind.prediction_under(choice)) {
            (Some(Base::Sdxl | Base::SdxlRefiner), _) => 1024,
            // SD 2.x was trained at 512 to predict noise, and from there at 768 to predict v.
            (Some(Base::Sd2), Some(Prediction::V)) => 768,
            _ => 512,
        };
        let few = |sampler, usual_steps, schedule| Sampling {
            sampler,
            steps: kind.steps.unwrap_or(usual_steps),
            guidance: 1.0,
            schedule,
            ..Sampling::default()
        };
        let (side, sampling) = match kind.variant_under(choice) {
            Choice::Standard => {
                let sampler = SamplerKind::DpmPp2m;
                (side, Sampling { sampler, steps: 25, guidance: 7.0, ..Sampling::default() })
            }
            Choice::Turbo => (512, few(SamplerKind::EulerA, 4, ScheduleKind::Trailing)),
            Choice::Lightning => (side, few(SamplerKind::Euler, 4, ScheduleKind::Trailing)),
            Choice::Hyper => (side, few(SamplerKind::Tcd, 8, ScheduleKind::Automatic)),
            Choice::Lcm if kind.made_for == Some(Variant::LatentConsistency) => {
                let sampling = few(SamplerKind::Lcm, 4, ScheduleKind::Automatic);
                // The net was taught what guidance does, and takes it as a number.
                (side, Sampling { steps: 4, guidance: 8.0, ..sampling })
            }
            Choice::Lcm => (side, few(SamplerKind::Lcm, 6, ScheduleKind::Automatic)),
        };
        let grid_px = if side == 1024 { 32 } else { 64 };
        Self { size: square(side), sampling, grid_px }
    }
}

fn square(side: u32) -> Size {
    Size { width_px: side, height_px: side }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::protocol::PredictionChoice;
    use crate::weights::detect::{Detection, Evidence, Family};

    /// Describes a model that was made for this, by the name of its file.
    fn kind(base: Base, made_for: Variant, name: &str) -> ModelKind {
        let variant = match name {
            name if name.contains("turbo") => Choice::Turbo,
            _ => Choice::Standard,
        };
        let found = Detection {
            base: Some(base),
            variant: Some(made_for),
            distilled: Some((variant, Evidence::Name)),
            prediction: Some(Prediction::Epsilon),
            prediction_by: Some(Evidence::Usual),
            ..Detection::new(Family::StableDiffusion)
        };
        ModelKind::of(&found, Path::new(name))
    }

    fn variant(variant: Choice) -> ModelChoice {
        ModelChoice { variant: Some(variant), ..ModelChoice::default() }
    }

    #[test]
    fn a_word_about_the_variant_goes_before_the_name() {
        let turbo = kind(Base::Sdxl, Variant::TextToImage, "my-turbo-mix.safetensors");
        let found = PictureDefaults::of_kind(&turbo, ModelChoice::default());
        assert_eq!((found.size.width_px, found.sampling.steps), (512, 4));
        let standard = PictureDefaults::of_kind(&turbo, variant(Choice::Standard));
        assert_eq!((standard.size.width_px, standard.sampling.steps), (1024, 25));
        assert_eq!(standard.sampling.sampler, SamplerKind::DpmPp2m);

        let plain = kind(Base::Sd1, Variant::TextToImage, "mix_8step.safetensors");
        assert_eq!(PictureDefaults::of_kind(&plain, ModelChoice::default()).sampling.steps, 25);
        for (choice, sampler, steps) in [
            (Choice::Turbo, SamplerKind::EulerA, 8),
            (Choice::Lightning, SamplerKind::Euler, 8),
            (Choice::Hyper, SamplerKind::Tcd, 8),
            (Choice::Lcm, SamplerKind::Lcm, 8),
        ] {
            let sampling = PictureDefaults::of_kind(&plain, variant(choice)).sampling;
            let found = (sampling.sampler, sampling.steps, sampling.guidance);
            assert_eq!(found, (sampler, steps, 1.0), "{choice}");
        }
    }

    #[test]
    fn the_size_of_sd_2_follows_what_its_net_is_said_to_predict() {
        let side = |base, prediction| {
            let choice = ModelChoice { prediction, ..ModelChoice::default() };
            let kind = kind(base, Variant::TextToImage, "model.ckpt");
            PictureDefaults::of_kind(&kind, choice).size.width_px
        };
        assert_eq!(side(Base::Sd2, None), 512);
        assert_eq!(side(Base::Sd2, Some(PredictionChoice::V)), 768);
        assert_eq!(side(Base::Sd2, Some(PredictionChoice::Epsilon)), 512);
        assert_eq!(side(Base::Sd1, Some(PredictionChoice::V)), 512);
        assert_eq!(side(Base::Sdxl, Some(PredictionChoice::V)), 1024);
    }

    #[test]
    fn what_shapes_say_cannot_be_contradicted() {
        let lcm = kind(Base::Sdxl, Variant::LatentConsistency, "model.ckpt");
        let lcm = ModelKind { variant: Choice::Lcm, variant_by: Evidence::Shapes, ..lcm };
        let usual = PictureDefaults::of_kind(&lcm, ModelChoice::default());
        assert_eq!((usual.sampling.steps, usual.sampling.guidance), (4, 8.0));
        assert_eq!(lcm.check(variant(Choice::Lcm)), Ok(()));
        let pix = kind(Base::Sd1, Variant::InstructPix2Pix, "model.ckpt");
        assert_eq!(pix.check(variant(Choice::Standard)), Ok(()));
        for (kind, choice) in [(lcm, Choice::Standard), (lcm, Choice::Turbo), (pix, Choice::Lcm)] {
            let error = kind.check(variant(choice)).expect_err("it contradicts");
            let sentence = error.to_string();
            assert!(sentence.starts_with(&format!("The variant cannot be {choice}")), "{sentence}");
            assert!(!error.hint().is_empty() && error.is_wrong_input());
            let passed_over = PictureDefaults::of_kind(&kind, variant(choice));
            assert_eq!(passed_over, PictureDefaults::of_kind(&kind, ModelChoice::default()));
        }
        // A net that inpaints may be distilled like any other.
        let inpainting = kind(Base::Sd1, Variant::Inpainting, "model.ckpt");
        assert_eq!(inpainting.check(variant(Choice::Lcm)), Ok(()));
    }
}
