//! The real engine for the command line: models from this machine, no library of results.

use atelier_engine::EngineError;
use atelier_engine::library::Models;
use atelier_engine::service::Engine;

/// Starts an engine that wakes the calling thread.
///
/// # Errors
/// [`EngineError::Stopped`] when the operating system gives no thread.
pub fn engine() -> Result<Engine, EngineError> {
    Err(EngineError::Model { reason: "this build cannot run models yet".to_owned() })
}

/// Returns the licence of a model, to be written into its pictures.
///
/// # Errors
/// [`EngineError::ModelNotFound`] or [`EngineError::Damaged`] when there is no such model.
pub fn licence(model: &str) -> Result<String, EngineError> {
    Ok(Models::standard().find(model)?.licence)
}
