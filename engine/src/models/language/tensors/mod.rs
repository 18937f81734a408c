//! The decoder on candle's tensors: on graphics cards, and on the processor where a file holds a
//! form of weights that the kernels do not read.

mod cache;
mod layer;
mod network;
mod turn;

pub(super) use network::Network;
