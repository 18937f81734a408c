//! The real engine for the command line: models from this machine, no library of results.

use std::sync::Arc;
use std::thread;

use atelier_engine::EngineError;
use atelier_engine::library::Models;
use atelier_engine::service::{Engine, Studio};

/// Starts an engine that wakes the calling thread.
///
/// # Errors
/// [`EngineError::Stopped`] when the operating system gives no thread.
pub fn engine() -> Result<Engine, EngineError> {
    let waiting = thread::current();
    let studio = Studio::new(None, Models::standard());
    Engine::spawn(studio, Arc::new(move || waiting.unpark())).map_err(|_| EngineError::Stopped)
}

/// Returns the licence of a model, to be written into its pictures.
///
/// # Errors
/// [`EngineError::ModelNotFound`] or [`EngineError::Damaged`] when there is no such model.
pub fn licence(model: &str) -> Result<String, EngineError> {
    Ok(Models::standard().find(model)?.licence)
}
