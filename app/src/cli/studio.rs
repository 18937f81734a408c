//! The real engine for the command line: models from this machine, no library of results.

use std::sync::Arc;
use std::thread;

use atelier_engine::EngineError;
use atelier_engine::library::{Models, PictureModel};
use atelier_engine::service::{Engine, Studio};
use atelier_engine::weights::inspect;
use atelier_engine::weights::open::Checkpoint;

use crate::services::places::{self, HASHES_FILE};

/// Starts an engine that wakes the calling thread.
///
/// # Errors
/// [`EngineError::Stopped`] when the operating system gives no thread.
pub fn engine(models: Models) -> Result<Engine, EngineError> {
    let waiting = thread::current();
    let mut studio = Studio::new(None, models);
    // Hashes that the window has reckoned serve here too; nothing is made where there is no library.
    if let Some(folder) = places::data_folder().ok().filter(|folder| folder.is_dir()) {
        studio = studio.with_hashes_in(folder.join(HASHES_FILE));
    }
    Engine::spawn(studio, Arc::new(move || waiting.unpark())).map_err(|_| EngineError::Stopped)
}

/// Returns the licence of a picture model, to be written into its pictures.
///
/// # Errors
/// [`EngineError::ModelNotFound`] or [`EngineError::Damaged`] when there is no such model.
pub fn licence(models: &Models, model: &str) -> Result<String, EngineError> {
    match models.locate_picture(model)? {
        PictureModel::House(located) => Ok(located.open(&mut || Ok(()))?.licence),
        PictureModel::Diffusion(located) => {
            let licence = inspect::licence(&Checkpoint::open(&located.path)?);
            Ok(licence.unwrap_or_else(|| "unknown".to_owned()))
        }
    }
}
