//! What a person can do in the sound room.

/// Does something in the sound room.
#[derive(Debug, Clone, PartialEq)]
pub enum SoundAction {
    /// Changes what the next piece is to be like.
    SetText(String),
    /// Asks for a piece.
    Compose,
}
