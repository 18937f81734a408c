//! Latents that are kept until their picture is saved.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::pipelines::diffusion::LatentsKeeper;
use crate::store::Store;

/// Knows which latents of a job are in the library and have no picture yet.
pub(super) struct Rescued {
    store: Option<Arc<Store>>,
    file: Arc<Mutex<Option<PathBuf>>>,
}

impl Rescued {
    /// Makes one that keeps nothing yet; without a library nothing is ever kept.
    pub(super) fn new(store: Option<Arc<Store>>) -> Self {
        Self { store, file: Arc::default() }
    }

    /// Returns what writes latents into the library.
    pub(super) fn keeper(&self) -> Option<LatentsKeeper> {
        let (store, file) = (self.store.clone()?, self.file.clone());
        Some(Box::new(move |latents, recipe| {
            let path = store.keep_latents(latents, recipe)?;
            *file.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.clone());
            Ok(path)
        }))
    }

    /// Removes what was kept of the picture that was saved just now.
    pub(super) fn forget(&self) {
        let kept = self.file.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(store), Some(path)) = (&self.store, kept) {
            // A file that stays does no harm: its picture is saved.
            let _ = store.forget_latents(&path);
        }
    }
}
