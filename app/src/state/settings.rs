//! What the user chose once for all.

use std::path::PathBuf;

use atelier_engine::protocol::DeviceChoice;
use serde::{Deserialize, Serialize};

use super::{Pace, Room, SavedModels, SavedSound, SavedWords};
use crate::i18n::Language;

/// The scales that are offered, in percent.
pub const SCALES_PERCENT: [u32; 5] = [100, 125, 150, 175, 200];

/// Says which colours are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThemeChoice {
    /// As the system has it.
    System,
    /// Light colours.
    Light,
    /// Dark colours.
    #[default]
    Dark,
}

/// Holds the settings and the place of the data.
#[derive(Debug, Clone)]
pub struct SettingsState {
    /// Which colours are used.
    pub theme: ThemeChoice,
    /// Which language is used.
    pub language: Language,
    /// How large everything is, 100 to 200 percent.
    pub scale_percent: u32,
    /// Which device computes.
    pub device: DeviceChoice,
    /// Where pictures and recipes are kept, once the library is open.
    pub data_folder: Option<PathBuf>,
    /// Whether the settings are shown.
    pub open: bool,
}

impl Default for SettingsState {
    fn default() -> Self {
        Self {
            theme: ThemeChoice::default(),
            language: Language::default(),
            scale_percent: 100,
            device: DeviceChoice::default(),
            data_folder: None,
            open: false,
        }
    }
}

/// Holds what is remembered from one run of the program to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedSettings {
    /// Which colours are used.
    pub theme: ThemeChoice,
    /// Which language is used; `None` follows the system.
    pub language: Option<Language>,
    /// How large everything is, in percent; 0 stands for 100.
    pub scale_percent: u32,
    /// Which device computes.
    pub device: DeviceChoice,
    /// How fast this machine paints.
    pub pace: Pace,
    /// The room that was open.
    pub room: Room,
    /// The words room.
    pub words: SavedWords,
    /// The sound room.
    pub sound: SavedSound,
    /// Folders of models, and the one that paints.
    pub models: SavedModels,
    /// The project that was open.
    pub project: Option<std::path::PathBuf>,
    /// The prompt that was being written.
    pub draft: String,
    /// The negative prompt that was being written.
    pub draft_negative: String,
}
