//! What the window knows, as plain data: no egui, no threads, no files.

pub mod blocks;
pub mod canvas;
pub mod editor;
pub mod history;
pub mod jobs;
pub mod library;
pub mod library_work;
pub mod messages;
pub mod models;
pub mod music_prompt;
pub mod notes_sketch;
pub mod object;
pub mod offers;
pub mod palette;
pub mod picture_models;
pub mod piece_look;
pub mod prompt;
pub mod reshaping;
pub mod settings;
pub mod shell;
pub mod sound;
pub mod time_span;
pub mod trash;
pub mod tune;
pub mod words;

use atelier_engine::library::PictureDefaults;
use atelier_engine::protocol::ModelChoice;

pub use canvas::{CanvasState, ProjectEntry, Shown, View};
pub use editor::Editor;
pub use history::{Entry, HistoryState, Recipe, Thumbnail};
pub use jobs::{Job, JobPhase, JobsState, Pace, StepsSeen};
pub use library::LibraryState;
pub use messages::{MessageKind, MessagesState, Remedy, Toast};
pub use models::{DeviceEntry, ModelInfo, ModelStatus, ModelsState};
pub use music_prompt::MusicPrompt;
pub use notes_sketch::NotesSketch;
pub use object::ObjectState;
pub use offers::{OffersState, RecipeClaim, RecipeOffer, Unfinished};
pub use palette::PaletteState;
pub use picture_models::{FoundModels, PictureModels, PromptReading, SavedModels};
pub use piece_look::{PieceLook, SpectrumAsk, SpectrumPart};
pub use prompt::{PromptState, SIZE_PRESETS, SeedState, SizePreset};
pub use settings::{SavedSettings, SettingsState, ThemeChoice};
pub use shell::{Room, ShellState};
pub use sound::{
    Piece, PieceView, PlayerState, SavedSound, Sight, Silence, SoundFormat, SoundState,
};
pub use time_span::TimeSpan;
pub use trash::{TrashId, TrashItem, TrashQuestion, TrashState};
pub use tune::TuneOrigin;
pub use words::{LanguageModel, SavedWords, WordsState};

/// Names a result: its number in the library, or a negative number while there is no library.
pub type ResultId = i64;

/// Holds everything that the window shows, in at most ten parts.
#[derive(Debug, Clone, Default)]
pub struct AppState {
    /// The request that is being written.
    pub prompt: PromptState,
    /// What stands in the middle, and how it is looked at.
    pub canvas: CanvasState,
    /// The results in the film strip.
    pub history: HistoryState,
    /// What runs and what waits.
    pub jobs: JobsState,
    /// The model, its words and the devices.
    pub models: ModelsState,
    /// What the user chose once for all.
    pub settings: SettingsState,
    /// The messages in the corner, and what the window offers to do.
    pub messages: MessagesState,
    /// The room that is open, the command palette, the trash and the library room.
    pub shell: ShellState,
    /// The words room.
    pub words: WordsState,
    /// The sound room.
    pub sound: SoundState,
}

impl AppState {
    /// Tells which room is open, and whether a picture is edited.
    pub fn place(&self) -> (Room, bool) {
        (self.shell.room, self.canvas.editor.is_some())
    }

    /// Returns what is said about the model that paints: its variant as the person remembers it, its
    /// prediction as the request that is being written has it, which may come from a recipe.
    pub fn model_choice(&self) -> ModelChoice {
        let known = self.models.pictures.choice();
        ModelChoice { prediction: self.prompt.extras.prediction, ..known }
    }

    /// Returns what the model that paints is asked for when a person says nothing else.
    pub fn model_defaults(&self) -> PictureDefaults {
        match self.models.pictures.chosen() {
            Some(model) => PictureDefaults::of_kind(&model.kind, self.model_choice()),
            None => PictureDefaults::house(),
        }
    }
}
