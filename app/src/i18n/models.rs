//! What families, variants and predictions of checkpoints are called, and what they were told by.

use atelier_engine::library::ModelKind;
use atelier_engine::protocol::{PredictionChoice, VariantChoice};
use atelier_engine::weights::detect::{Evidence, Prediction, Variant};

use super::{Language, Text};

impl Language {
    /// Returns the line of models that a checkpoint is of, and what it was made for where that is not
    /// painting from words.
    pub fn family_name(self, kind: &ModelKind) -> String {
        let base = kind.base.map(|base| base.to_string());
        let base = base.unwrap_or_else(|| self.get(Text::FamilyUnknown).to_owned());
        match self.made_for(kind.made_for) {
            Some(made_for) => format!("{base} · {made_for}"),
            None => base,
        }
    }

    fn made_for(self, variant: Option<Variant>) -> Option<&'static str> {
        Some(match variant? {
            Variant::Inpainting => self.get(Text::MadeForInpainting),
            Variant::DepthToImage => self.get(Text::MadeForDepth),
            Variant::FourTimesUpscaling => self.get(Text::MadeForUpscaling),
            Variant::InstructPix2Pix => "InstructPix2Pix",
            _ => return None,
        })
    }

    /// Returns the name of a variant; but for one they are names of their own.
    pub fn variant_name(self, variant: VariantChoice) -> &'static str {
        match variant {
            VariantChoice::Standard => self.get(Text::VariantStandard),
            VariantChoice::Turbo => "Turbo",
            VariantChoice::Lightning => "Lightning",
            VariantChoice::Hyper => "Hyper-SD",
            VariantChoice::Lcm => "LCM",
        }
    }

    /// Returns the name of what a person says that a net predicts.
    pub fn prediction_name(self, prediction: PredictionChoice) -> &'static str {
        self.get(match prediction {
            PredictionChoice::Epsilon => Text::PredictionNoise,
            PredictionChoice::V => Text::PredictionVelocity,
        })
    }

    /// Returns the name of what was found that a net predicts.
    pub fn found_prediction(self, prediction: Option<Prediction>) -> &'static str {
        match prediction {
            Some(Prediction::Epsilon) => self.get(Text::PredictionNoise),
            Some(Prediction::V) => self.get(Text::PredictionVelocity),
            Some(Prediction::Edm) => "EDM",
            None => self.get(Text::PredictionUntold),
        }
    }

    /// Says what something was told by.
    pub fn evidence(self, evidence: Evidence) -> &'static str {
        self.get(match evidence {
            Evidence::Shapes => Text::ToldByShapes,
            Evidence::Metadata => Text::ToldByMetadata,
            Evidence::Mark => Text::ToldByMark,
            Evidence::Numbers => Text::ToldByNumbers,
            Evidence::Name => Text::ToldByName,
            Evidence::Usual => Text::ToldByNothing,
        })
    }
}
