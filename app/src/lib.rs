//! The studio.

pub mod cli;
