//! What a person says a checkpoint is, where its file leaves that open.
//!
//! Its family (SD 1.x, SD 2.x, SDXL) is no such thing: the shape of every tensor follows from it, so a
//! file is of one family and could not be read as another. The same holds for nets that inpaint or
//! follow instructions, which read more channels.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Names how a model was distilled to be sampled in few steps, which decides what suits it: sampler,
/// steps, noise levels, guidance and, for Turbo, the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariantChoice {
    /// Not at all.
    Standard,
    /// As SD-Turbo and SDXL-Turbo.
    Turbo,
    /// As SDXL-Lightning.
    Lightning,
    /// As Hyper-SD.
    Hyper,
    /// As latent consistency models.
    Lcm,
}

impl VariantChoice {
    /// Lists every variant, in the order in which they are offered.
    pub const ALL: [Self; 5] =
        [Self::Standard, Self::Turbo, Self::Lightning, Self::Hyper, Self::Lcm];

    /// Returns the name used on the command line and in settings.
    pub fn id(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Turbo => "turbo",
            Self::Lightning => "lightning",
            Self::Hyper => "hyper",
            Self::Lcm => "lcm",
        }
    }

    /// Returns the variant of an id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variant| variant.id() == id)
    }
}

impl fmt::Display for VariantChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "standard",
            Self::Turbo => "Turbo",
            Self::Lightning => "Lightning",
            Self::Hyper => "Hyper-SD",
            Self::Lcm => "LCM",
        })
    }
}

/// Says what a net predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionChoice {
    /// The noise.
    Epsilon,
    /// The velocity.
    V,
}

impl PredictionChoice {
    /// Lists every choice, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Epsilon, Self::V];

    /// Returns the name used on the command line and in recipes.
    pub fn id(self) -> &'static str {
        match self {
            Self::Epsilon => "epsilon",
            Self::V => "v",
        }
    }

    /// Returns the choice of an id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.id() == id)
    }
}

/// Holds what a person says about a checkpoint; what is `None` is told from its file.
///
/// What it predicts is part of a recipe ([`super::Extras::prediction`]), since the picture depends on it.
/// The variant only chooses settings, which stand in the recipe themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelChoice {
    /// How it was distilled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<VariantChoice>,
    /// What its net predicts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<PredictionChoice>,
}

impl ModelChoice {
    /// Tells whether everything is told from the file.
    pub fn is_automatic(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_written_under_its_id_and_found_by_it() {
        for variant in VariantChoice::ALL {
            assert_eq!(serde_json::to_value(variant).expect("a name"), variant.id());
            assert_eq!(VariantChoice::from_id(variant.id()), Some(variant));
        }
        for prediction in PredictionChoice::ALL {
            assert_eq!(serde_json::to_value(prediction).expect("a name"), prediction.id());
            assert_eq!(PredictionChoice::from_id(prediction.id()), Some(prediction));
        }
        assert_eq!(VariantChoice::from_id("sdxl"), None);
        assert_eq!(serde_json::to_string(&ModelChoice::default()).expect("text"), "{}");
        assert!(serde_json::from_str::<ModelChoice>("{}").expect("a choice").is_automatic());
    }
}
