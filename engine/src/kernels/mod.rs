//! The fast CPU path: matrix products, convolutions, norms and attention on plain slices.
//!
//! candle's CPU convolution, norms and attention make several passes over memory that these do
//! without. Weights are packed once, at load, into [`Panels`]; one family of
//! micro-kernels reads them for linear layers, convolutions and attention alike.
//!
//! Every output number is one chain of multiply-adds in an order that depends on the layer only:
//! not on the number of rows, threads or pictures. So a picture of a batch has the same bits as the
//! same picture alone.

#[cfg(target_arch = "x86_64")]
mod amx;
mod attend;
mod attention;
mod border;
mod causal;
mod conv;
mod cores;
mod depthwise;
mod element;
mod elementwise;
mod enlarge;
#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod guard;
mod halve;
mod level;
mod linear;
mod memory;
mod micro;
mod norm;
mod panels;
mod product;
pub mod quantized;
mod registers;
mod rows;
mod scratch;
mod shared;
mod team;
mod winograd;

pub use crate::protocol::Precision;
pub use attend::{Attend, ScoreBias, Vectors, attend, attend_biased, attend_until};
pub use attention::{AttentionShape, HeadNorms, Rotation, attention};
pub use causal::attend as attend_causal;
pub use causal::{CausalShape, HeadScales, KeyValues, Turn, TurnPairs, admit};
pub use conv::{After, Before, Conv, ConvMode, ConvPlan, ConvShape};
pub use cores::{physical_cores, use_cores};
pub use depthwise::Depthwise;
pub use element::Element;
pub(crate) use elementwise::LEAK;
pub use elementwise::{Activation, join_rows, silu};
pub use enlarge::{enlarge4, unfold_over};
pub use halve::{double, halve};
pub use level::{LEVEL_VARIABLE, Level};
pub use linear::{Epilogue, Input, linear, paired_row};
pub(crate) use memory::any_values;
pub use memory::{Lean, Recycler};
pub use norm::{
    ChannelScales, ChannelSums, GroupNorm, Modulation, channel_totals, group_norm, layer_norm,
    modulate, rms_norm, scale_channels,
};
pub use panels::{Held, Kind, Panels};
pub use rows::{add_normed, look_up, soften};
pub use team::Team;

/// Gives memory that is kept for later back to the system: what kernels work in, on every thread, and
/// the blocks of [`Recycler`]. To be called when models were dropped.
pub fn release_memory() {
    rayon::broadcast(|_| scratch::release());
    scratch::release();
    memory::release();
}

/// Returns how many threads kernels share their work out to.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

#[cfg(test)]
mod tests;
