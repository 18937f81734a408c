//! The engine thread: takes requests, runs them one after the other, tells what became of them.

mod cutout;
mod diffusion;
mod engine;
mod enlarge;
mod object;
mod queue;
mod refine;
mod rescue;
mod residents;
mod studio;
mod wakes;

pub use engine::{Engine, Runner};
pub use studio::Studio;

#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod random_tests;
