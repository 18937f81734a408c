//! Mathematics without weights, tensors or files: noise from seeds, noise schedules, resizing, masks that follow edges.

pub mod guided;
pub mod lanczos;
pub mod rng;
pub mod schedule;
pub mod special;
