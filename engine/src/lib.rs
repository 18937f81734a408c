//! Models, pipelines and the engine thread of Atelier.
//!
//! The crate knows nothing of windows. A front end makes a [`protocol::Request`], hands it to
//! a [`service::Engine`] and reads [`protocol::Event`]s; all model work happens on the engine's
//! own thread. Modules stand in storeys: each names only what stands below it in this list.

pub mod audio;
pub mod canvas;
pub mod error;
pub mod kernels;
pub mod library;
pub mod math;
pub mod models;
pub mod nn;
pub mod pipelines;
pub mod preview;
pub mod protocol;
pub mod sampling;
pub mod service;
pub mod store;
pub mod weights;

pub use error::EngineError;
