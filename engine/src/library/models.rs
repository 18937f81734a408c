//! Where models are looked for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, fs};

use super::checkpoint::LocatedWeights;
use super::files::{LEXICON_FILE, Located, ModelFiles, WEIGHTS_FILE};
use super::shelves::{PIPELINE_FILE, Shelf};
use crate::error::EngineError;

/// The name of the picture model that this project trained.
pub const HOUSE_PICTURE: &str = "house-picture";

/// The environment variable that names more folders of models, separated as in `PATH`.
const PLACES_VARIABLE: &str = "ATELIER_MODELS";

/// Says what kind of picture model was found, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PictureModel {
    /// One of the house's kind.
    House(Located),
    /// One of the Stable Diffusion family.
    Diffusion(LocatedWeights),
}

/// Finds models by name, or by the path of their folder.
#[derive(Debug, Clone)]
pub struct Models {
    /// Searched before what is compiled in.
    first: Vec<PathBuf>,
    with_embedded: bool,
    /// Searched after what is compiled in.
    last: Vec<PathBuf>,
    /// Folders of other programs, used where they are; clones share them.
    added: Arc<Mutex<Vec<PathBuf>>>,
}

impl Models {
    /// Looks in the folders of `ATELIER_MODELS`, in the program itself, in `assets/models` beside
    /// the program, and in that of the source tree which it was built from.
    pub fn standard() -> Self {
        let named = env::var_os(PLACES_VARIABLE).unwrap_or_default();
        let first =
            env::split_paths(&named).filter(|place| !place.as_os_str().is_empty()).collect();
        let beside = env::current_exe()
            .ok()
            .and_then(|program| Some(program.parent()?.join("assets").join("models")));
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|top| top.join("assets/models"));
        Self {
            first,
            with_embedded: true,
            last: beside.into_iter().chain(source).collect(),
            added: Arc::default(),
        }
    }

    /// Looks in `places` only.
    pub fn in_places(places: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            first: places.into_iter().collect(),
            with_embedded: false,
            last: Vec::new(),
            added: Arc::default(),
        }
    }

    /// Looks in these folders too, which may be installations of other programs.
    #[must_use]
    pub fn with_folders(self, folders: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut added = self.added_folders();
        for folder in folders {
            if !added.contains(&folder) {
                added.push(folder);
            }
        }
        self.set_folders(added);
        self
    }

    /// Looks in these folders of other programs from now on, and so do all clones.
    pub fn set_folders(&self, folders: Vec<PathBuf>) {
        *self.added.lock().unwrap_or_else(PoisonError::into_inner) = folders;
    }

    /// Returns the folders of other programs.
    pub fn added_folders(&self) -> Vec<PathBuf> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn first_places(&self) -> &[PathBuf] {
        &self.first
    }

    pub(super) fn last_places(&self) -> &[PathBuf] {
        &self.last
    }

    pub(super) fn has_embedded(&self) -> bool {
        self.with_embedded
    }

    /// Finds a model without opening its weights.
    ///
    /// A name with a path separator in it is the path of a model's folder or of its weights file.
    ///
    /// # Errors
    /// [`EngineError::ModelNotFound`]; [`EngineError::Damaged`] when there is a folder of this name
    /// but no weights in it.
    pub fn locate(&self, name: &str) -> Result<Located, EngineError> {
        let not_found = || EngineError::ModelNotFound { name: name.to_owned() };
        let path = Path::new(name);
        if path.components().count() != 1 || path.is_absolute() || name == "." || name == ".." {
            let is_weights = path.extension() == Some(OsStr::new("safetensors")) && path.is_file();
            let folder = if is_weights { path.parent().unwrap_or(path) } else { path };
            return if folder.is_dir() {
                Located::in_folder(name, folder)
            } else {
                Err(not_found())
            };
        }
        for place in &self.first {
            if place.join(name).join(WEIGHTS_FILE).is_file() {
                return Located::in_folder(name, &place.join(name));
            }
        }
        if self.with_embedded
            && let Some(located) = Located::embedded(name)
        {
            return Ok(located);
        }
        for place in &self.last {
            if place.join(name).join(WEIGHTS_FILE).is_file() {
                return Located::in_folder(name, &place.join(name));
            }
        }
        // Only now is an empty folder of this name worth mentioning.
        let places = self.first.iter().chain(&self.last).map(|place| place.join(name));
        match places.into_iter().chain([path.to_owned()]).find(|folder| folder.is_dir()) {
            Some(folder) => Located::in_folder(name, &folder),
            None => Err(not_found()),
        }
    }

    /// Finds a picture model: one of the house's kind, or one of the Stable Diffusion family by its
    /// path or by its name in the folders of other programs.
    ///
    /// # Errors
    /// As [`Models::locate`] and [`Models::locate_on`].
    pub fn locate_picture(&self, name: &str) -> Result<PictureModel, EngineError> {
        let path = Path::new(name);
        let is_part = |folder: &Path| folder.join(WEIGHTS_FILE).is_file();
        let is_house = match (path.is_file(), path.is_dir()) {
            (true, _) => {
                let beside = path.with_file_name(LEXICON_FILE);
                path.file_name() == Some(OsStr::new(WEIGHTS_FILE)) && beside.is_file()
            }
            (_, true) if path.components().count() > 1 => {
                is_part(path) || !path.join(PIPELINE_FILE).is_file()
            }
            _ => true,
        };
        if !is_house {
            return self.locate_on(Shelf::Checkpoints, name).map(PictureModel::Diffusion);
        }
        match self.locate(name) {
            Err(error @ EngineError::ModelNotFound { .. }) => {
                let found = self.locate_on(Shelf::Checkpoints, name);
                found.map(PictureModel::Diffusion).map_err(|_| error)
            }
            found => found.map(PictureModel::House),
        }
    }

    /// Finds a model and reads its files.
    ///
    /// # Errors
    /// As [`Models::locate`] and [`Located::open`].
    pub fn find(&self, name: &str) -> Result<ModelFiles, EngineError> {
        self.locate(name)?.open(&mut || Ok(()))
    }

    /// Lists the names of the models in the places searched, the house model first.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for place in self.first.iter().chain(&self.last) {
            let Ok(entries) = fs::read_dir(place) else { continue };
            let folders =
                entries.flatten().filter(|entry| entry.path().join(WEIGHTS_FILE).is_file());
            names.extend(folders.filter_map(|entry| entry.file_name().into_string().ok()));
        }
        if self.with_embedded && Located::embedded(HOUSE_PICTURE).is_some() {
            names.push(HOUSE_PICTURE.to_owned());
        }
        names.sort_by_key(|name| (name != HOUSE_PICTURE, name.clone()));
        names.dedup();
        names
    }
}

impl Default for Models {
    fn default() -> Self {
        Self::standard()
    }
}
