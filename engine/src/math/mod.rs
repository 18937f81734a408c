//! Mathematics without weights, tensors or files: noise from seeds and noise schedules.

pub mod rng;
pub mod schedule;
pub mod special;
