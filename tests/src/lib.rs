//! What several tests share.

pub mod source;
