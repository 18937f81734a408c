//! The fast CPU path: matrix products, 3×3 convolutions, norms and attention on plain slices.
//!
//! candle's CPU convolution, norms and attention make several passes over memory that these do
//! without. Weights are packed once, at load, into [`Panels`]; one family of
//! micro-kernels reads them for linear layers, convolutions and attention alike.
//!
//! Every output number is one chain of multiply-adds in an order that depends on the layer only:
//! not on the number of rows, threads or pictures. So a picture of a batch has the same bits as the
//! same picture alone.

mod attention;
mod causal;
mod conv;
mod elementwise;
mod enlarge;
mod level;
mod micro;
mod norm;
mod panels;
mod precision;
mod product;
pub mod quantized;
mod rows;
mod team;

pub use attention::{AttentionShape, HeadNorms, Rotation, attention};
pub use causal::{CausalShape, HeadScales, KeyValues, Turn, TurnPairs, admit, attend};
pub use conv::{ConvOutput, ConvShape, Prologue, conv3x3};
pub use elementwise::silu;
pub use enlarge::enlarge4;
pub use level::{LEVEL_VARIABLE, Level};
pub use norm::{Modulation, modulate, rms_norm};
pub use panels::Panels;
pub use precision::Precision;
pub use product::{Epilogue, linear, swiglu_row};
pub use rows::{add_normed, look_up, soften};
pub use team::Team;

#[cfg(test)]
mod tests;
