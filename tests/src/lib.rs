//! What several tests share.

pub mod golden;
pub mod manifest;
pub mod seeded;
pub mod source;
pub mod studio;
pub mod tiny_model;
pub mod window;
