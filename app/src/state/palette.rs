//! The command palette.

/// Holds the command palette.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaletteState {
    /// Whether it is open.
    pub open: bool,
    /// What was typed.
    pub query: String,
    /// Which of the commands found is chosen.
    pub index: usize,
}
