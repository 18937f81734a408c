//! What several tests share.

pub mod containers;
pub mod editing;
pub mod edits;
pub mod foreign;
pub mod golden;
pub mod manifest;
pub mod painting;
pub mod seeded;
pub mod source;
pub mod studio;
pub mod tiny_diffusion;
pub mod tiny_model;
pub mod tiny_sam;
pub mod window;
