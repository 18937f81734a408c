//! Carries out effects: the engine, the files, the graphics card.

pub mod audio_out;
mod canvas_preview;
pub mod canvas_textures;
pub mod desktop;
pub mod dialogs;
pub mod engine_link;
pub mod librarian;
mod library_cards;
pub mod library_desk;
mod library_work;
mod picture_export;
pub mod places;
pub mod player_link;
pub mod project_desk;
mod project_guides;
mod prompt_reader;
pub mod recipes;
pub mod settings_file;
pub mod sound_desk;
pub mod textures;
pub mod trash;
pub mod upkeep;

pub use canvas_preview::CanvasPreview;
pub use canvas_textures::CanvasTextures;
pub use dialogs::Dialogs;
pub use engine_link::{EngineLink, LateRunner};
pub use librarian::{Librarian, LibraryPlace};
pub use library_desk::LibraryDesk;
pub use player_link::PlayerLink;
pub use project_desk::ProjectDesk;
pub use sound_desk::SoundDesk;
pub use textures::Textures;
