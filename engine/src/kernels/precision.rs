//! How exactly products with packed weights are computed.

/// Says how exactly products with weights of 8 bits or fewer are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// Activations stay f32 and weights are widened to f32: slower, and as close to the file as f32
    /// allows.
    Exact,
    /// Activations are rounded to 8 bits, a block at a time.
    #[default]
    Fast,
}
