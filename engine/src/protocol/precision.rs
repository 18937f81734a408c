//! How exactly products are computed.

use serde::{Deserialize, Serialize};

/// Says how exactly products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// In f32 throughout.
    Exact,
    /// Factors rounded to bf16 (language models: activations to 8 bits), sums in f32, where the
    /// processor has instructions for it.
    #[default]
    Fast,
}

impl Precision {
    /// Returns what a recipe means that says nothing: it is from before there was a choice.
    pub(super) fn of_old_recipes() -> Self {
        Self::Exact
    }
}
