//! Requests → outputs: each pipeline checks its request, runs its networks and reports every step.

mod device;
pub mod measure;
pub mod picture;
pub mod sound;
pub mod words;
