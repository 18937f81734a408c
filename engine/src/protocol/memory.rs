//! How much memory a model may take.

use serde::{Deserialize, Serialize};

/// Says how much memory a model of the Stable Diffusion family may take.
///
/// It is part of a recipe, since weights in the form that takes least are multiplied in another order:
/// the picture is the same to the eye, but not to the bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryUse {
    /// As much as is fastest where that is free, otherwise little.
    #[default]
    Automatic,
    /// Little: text encoders and autoencoder are read when they are needed, weights are packed tightly
    /// and pictures are decoded some rows at a time.
    Low,
    /// As much as is fastest, whatever is free.
    High,
}

impl MemoryUse {
    /// Lists every choice, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Automatic, Self::Low, Self::High];

    /// Returns the name used on the command line and in recipes.
    pub fn id(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Low => "low",
            Self::High => "high",
        }
    }

    /// Returns the choice of an id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.id() == id)
    }

    /// Tells whether it says nothing, so that a recipe need not name it.
    pub fn is_automatic(&self) -> bool {
        *self == Self::Automatic
    }
}
