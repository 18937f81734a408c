//! What several tests share.

pub mod source;
pub mod tiny_model;
pub mod window;
