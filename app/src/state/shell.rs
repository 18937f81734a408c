//! What frames everything else: the room that is open, the command palette, the trash, the
//! library room.

use serde::{Deserialize, Serialize};

use super::{LibraryState, PaletteState, TrashState};

/// Names a room of the studio.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Room {
    /// Pictures are made here.
    #[default]
    Pictures,
    /// Conversations with a language model.
    Words,
    /// Music is made here.
    Sound,
    /// Everything that was made is found here.
    Library,
}

impl Room {
    /// Lists every room, in the order of their tabs.
    pub const ALL: [Self; 4] = [Self::Pictures, Self::Words, Self::Sound, Self::Library];
}

/// Holds what frames everything else.
#[derive(Debug, Clone, Default)]
pub struct ShellState {
    /// The room that is open.
    pub room: Room,
    /// The command palette.
    pub palette: PaletteState,
    /// The trash.
    pub trash: TrashState,
    /// The library room.
    pub library: LibraryState,
}
