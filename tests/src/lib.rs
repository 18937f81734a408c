//! What several tests share.

pub mod golden;
pub mod source;
pub mod studio;
pub mod tiny_model;
pub mod window;
