//! What a person can do with the trash.

use crate::state::{ResultId, TrashId, TrashQuestion};

/// Does something with the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrashAction {
    /// Shows or hides it.
    Show(bool),
    /// Brings something back.
    Restore(TrashId),
    /// Asks before something goes for good; `None` keeps it.
    Ask(Option<TrashQuestion>),
    /// Does what was asked.
    Confirm,
    /// Asks for a thumbnail that has come into sight.
    WantThumbnail(ResultId),
}
