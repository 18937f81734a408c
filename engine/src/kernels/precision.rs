//! How exactly products are computed.

/// Says how exactly products are computed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// In f32 throughout.
    Exact,
    /// Factors rounded to bf16 (language models: activations to 8 bits), sums in f32, where the
    /// processor has instructions for it.
    #[default]
    Fast,
}
