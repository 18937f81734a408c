//! What a person can do in the words room.

/// Does something in the words room.
#[derive(Debug, Clone, PartialEq)]
pub enum WordsAction {
    /// Changes what the person is writing.
    SetDraft(String),
}
