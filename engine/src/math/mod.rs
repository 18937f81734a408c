//! Mathematics without weights, tensors or files: noise from seeds, noise schedules, resizing.

pub mod lanczos;
pub mod rng;
pub mod schedule;
pub mod special;
