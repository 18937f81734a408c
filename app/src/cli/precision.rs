//! `--precision`.

use atelier_engine::protocol::Precision;
use clap::ValueEnum;

/// Says how exactly products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrecisionName {
    /// f32 throughout
    Exact,
    /// bf16 products and f32 sums, where the processor has them
    Fast,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::Exact => Self::Exact,
            PrecisionName::Fast => Self::Fast,
        }
    }
}
