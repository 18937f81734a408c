//! Requests → outputs: each pipeline checks its request, runs its networks and reports every step.

pub mod picture;
