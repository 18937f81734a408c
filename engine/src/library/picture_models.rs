//! The picture models in the folders of other programs, as a person chooses among them.

use std::path::PathBuf;

use super::diffusion_need::DiffusionNeed;
use super::model_kind::ModelKind;
use super::models::Models;
use super::shelves::Shelf;
use crate::weights::detect::{Family, detect};
use crate::weights::inspect::licence;
use crate::weights::open::Checkpoint;

/// Describes a model of the Stable Diffusion family on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureEntry {
    /// The file's name without its ending, or that of the folder.
    pub name: String,
    /// The file or folder.
    pub path: PathBuf,
    /// What it is, as far as its file tells.
    pub kind: ModelKind,
    /// The size of its files.
    pub bytes: u64,
    /// The licence, where the file says so.
    pub licence: Option<String>,
    /// What it takes in memory.
    pub need: DiffusionNeed,
}

impl Models {
    /// Lists the models of the family in the folders of other programs; only headers are read. Files
    /// that are something else, or damaged, are passed over.
    pub fn picture_models(&self) -> Vec<PictureEntry> {
        let mut models = Vec::new();
        for entry in self.shelf(Shelf::Checkpoints) {
            let Ok(file) = Checkpoint::open(&entry.path) else { continue };
            let found = detect(&file);
            if found.family != Family::StableDiffusion {
                continue;
            }
            models.push(PictureEntry {
                name: entry.name,
                path: entry.path,
                kind: ModelKind::of(&found, file.path()),
                bytes: file.file_bytes(),
                licence: licence(&file),
                need: DiffusionNeed::of(&file),
            });
        }
        models
    }
}
