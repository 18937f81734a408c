//! Matrix products with the weights of GGUF files, in the forms that they have there.
//!
//! Weights are packed once, at load, into panels of sixteen outputs ([`Packed`]). In the precision
//! [`Fast`](super::Precision::Fast) activations are rounded to 8 bits in blocks of 32, as llama.cpp
//! does, and multiplied as whole numbers; in [`Exact`](super::Precision::Exact) they stay f32 and
//! weights are widened a stretch at a time. Every number of a product is one chain of operations in
//! the order of depth, so it has the same bits whatever rows and threads there are beside it.

pub(super) mod activations;
pub(super) mod form;
mod formats;
pub(super) mod isa;
mod packed;
mod product;
mod rate;
mod room;
mod rounded;
pub(super) mod simd;
#[cfg(target_arch = "x86_64")]
mod simd_x86;
mod tile;

pub use activations::Activations;
pub use form::Form;
pub use packed::Packed;
pub use product::{Finish, Gate, Part, Weights, multiply, multiply_gated};
pub use rate::matrix_rate;
pub use room::Shelf;

#[cfg(test)]
mod tests;
