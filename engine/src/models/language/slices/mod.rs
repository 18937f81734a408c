//! The decoder on plain slices, with the kernels of this crate.

mod layer;
mod matrix;
mod network;

pub(super) use matrix::form_of;
pub(super) use network::Network;
