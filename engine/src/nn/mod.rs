//! Layers that two or more networks use.
//!
//! A layer is loaded for a [`Compute`]: on the processor it keeps its weights packed and runs the
//! kernels of [`crate::kernels`]; elsewhere it keeps tensors and runs candle's own operations. Both
//! are held to agree by tests.

mod attention;
mod compute;
mod conv;
mod depthwise;
#[cfg(feature = "flash-attn")]
mod flash;
mod linear;
mod load;
mod map;
mod norm;
mod scale;
mod windows;

pub use attention::{
    HeadScales, Heads, PlaceBias, Rotary, apart_attention, attention, cross_attention,
    place_attention, self_attention,
};
pub use compute::Compute;
pub use conv::{Adding, Conv, Leading, enlarge4, unfold_over};
pub use depthwise::Depthwise;
pub use linear::{Gate, Gated, Linear};
pub use load::Load;
pub use norm::{GroupNorm, LayerNorm, Scale, Spans, activate, modulate};
pub use scale::{double, halve};
pub use windows::Windows;
