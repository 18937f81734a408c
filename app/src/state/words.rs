//! The words room: conversations with a language model.

/// Holds the words room.
#[derive(Debug, Clone, Default)]
pub struct WordsState {
    /// What the person is writing.
    pub draft: String,
}
