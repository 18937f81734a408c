//! The models of the Stable Diffusion family, and what stands beside them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use atelier_engine::library::{PictureDefaults, PictureEntry, ShelfEntry};
use atelier_engine::protocol::{ModelChoice, PromptIssue};
use serde::{Deserialize, Serialize};

/// Holds what was found in the folders of models.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FoundModels {
    /// The models.
    pub models: Vec<PictureEntry>,
    /// LoRAs.
    pub loras: Vec<ShelfEntry>,
    /// ControlNets.
    pub controls: Vec<ShelfEntry>,
    /// Autoencoders.
    pub vaes: Vec<ShelfEntry>,
    /// Nets that find what is pointed at.
    pub segmenters: Vec<ShelfEntry>,
}

/// Holds the models of the family and which one paints.
#[derive(Debug, Clone, Default)]
pub struct PictureModels {
    /// Folders of models and installations of other programs, used where they are.
    pub folders: Vec<PathBuf>,
    /// What was found there.
    pub found: FoundModels,
    /// Whether the folders are being looked through.
    pub searching: bool,
    /// The path of the model that paints; `None` for the house model.
    pub chosen: Option<PathBuf>,
    /// What the person says about models, by their paths; what is not there is told from the files.
    pub choices: BTreeMap<PathBuf, ModelChoice>,
    /// The prompt and the steps that the chosen model was last asked about.
    pub asked: Option<(String, u32)>,
    /// How the chosen model reads the prompt.
    pub reading: PromptReading,
}

impl PictureModels {
    /// Returns the model that paints, unless it is the house model or not there.
    pub fn chosen(&self) -> Option<&PictureEntry> {
        let chosen = self.chosen.as_ref()?;
        self.found.models.iter().find(|model| model.path == *chosen)
    }

    /// Returns what the person says about a model.
    pub fn choice_of(&self, path: &Path) -> ModelChoice {
        self.choices.get(path).copied().unwrap_or_default()
    }

    /// Returns what the person says about the model that paints.
    pub fn choice(&self) -> ModelChoice {
        self.chosen.as_deref().map(|path| self.choice_of(path)).unwrap_or_default()
    }

    /// Returns what a model is asked for when a person says nothing else.
    pub fn defaults_of(&self, model: &PictureEntry) -> PictureDefaults {
        PictureDefaults::of_kind(&model.kind, self.choice_of(&model.path))
    }
}

/// Shows how a prompt is read by a model of the family.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PromptReading {
    /// The text that was read.
    pub text: String,
    /// How many tokens it has, without those that fill up.
    pub tokens: usize,
    /// How many chunks of 75 it takes.
    pub chunks: usize,
    /// The words whose weight is not 1, with it.
    pub weighted: Vec<(String, f32)>,
    /// What has no effect, with the words.
    pub issues: Vec<(PromptIssue, String)>,
}

/// Holds what is remembered of models from one run of the program to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedModels {
    /// Folders of models.
    pub folders: Vec<PathBuf>,
    /// The model that paints.
    pub chosen: Option<PathBuf>,
    /// What the person says about models, by their paths.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub choices: BTreeMap<PathBuf, ModelChoice>,
}
