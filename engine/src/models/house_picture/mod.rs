//! The house picture model: lexicon, text encoder, flow transformer and autoencoder.
//!
//! # Source
//! `assets/models/house-picture/recipe/model.py`; every layer has its checkpoint's name.

mod config;
mod lexicon;

pub use config::{Config, PreviewMap};
pub use lexicon::{Lexicon, Tokens};
