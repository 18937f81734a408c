//! The user's work: pictures with their recipes, written so that nothing can be lost.

pub mod files;
pub mod png;
