//! Latents of pictures that are painted but not yet decoded: what a failed decoding leaves.
//!
//! A file holds the tensor `latents`, `[1, channels, h, w]` f32, and the recipe of the picture as the
//! fact `recipe`; safetensors, so that other programs can decode it too.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};

use super::{Store, files};
use crate::error::EngineError;
use crate::protocol::{Latents, PictureRequest};

/// The folder in the library.
pub(super) const LATENTS: &str = "latents";

impl Store {
    /// Writes the latents of a picture that is to be decoded, and returns where they are. They are on
    /// the disk when this returns.
    ///
    /// # Errors
    /// [`EngineError::DiskFull`] or [`EngineError::Io`]; [`EngineError::Model`] when the values do not
    /// fit their shape.
    pub fn keep_latents(
        &self,
        latents: &Latents,
        recipe: &PictureRequest,
    ) -> Result<PathBuf, EngineError> {
        let failed = |reason: String| EngineError::Model {
            reason: format!("the latents cannot be written: {reason}"),
        };
        let bytes: Vec<u8> = latents.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, latents.shape.to_vec(), &bytes);
        let view = view.map_err(|error| failed(error.to_string()))?;
        let text = serde_json::to_string(recipe).map_err(|error| failed(error.to_string()))?;
        let facts = HashMap::from([("recipe".to_owned(), text)]);
        let bytes = safetensors::serialize(HashMap::from([("latents", view)]), Some(facts));
        let bytes = bytes.map_err(|error| failed(error.to_string()))?;
        let folder = self.folder().join(LATENTS);
        files::make_folder(&folder)?;
        let stem = files::picture_stem("latents", &recipe.prompt.text, recipe.seed);
        files::write_new(&folder, &stem, "safetensors", &bytes)
    }

    /// Removes latents whose picture is saved.
    ///
    /// # Errors
    /// [`EngineError::Io`] when they cannot be removed; [`EngineError::InvalidSetting`] when they are
    /// not of this library.
    pub fn forget_latents(&self, path: &Path) -> Result<(), EngineError> {
        if path.parent() != Some(&self.folder().join(LATENTS)) {
            return Err(EngineError::invalid("latents", "are not of this library"));
        }
        fs::remove_file(path).map_err(|error| EngineError::io("remove the latents", path, &error))
    }

    /// Lists the latents that are kept, by name.
    ///
    /// # Errors
    /// [`EngineError::Io`] when the folder cannot be read.
    pub fn kept_latents(&self) -> Result<Vec<PathBuf>, EngineError> {
        let folder = self.folder().join(LATENTS);
        let refused = |error: std::io::Error| EngineError::io("list the latents", &folder, &error);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(refused)? {
            let path = entry.map_err(refused)?.path();
            if path.extension().is_some_and(|ending| ending == "safetensors") {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}
