//! What a person can do in the words room, and with words beside the picture prompt.

use atelier_engine::store::conversations::{MessageId, WordsSettings};

/// Does something in the words room.
#[derive(Debug, Clone, PartialEq)]
pub enum WordsAction {
    /// Changes what the person is writing.
    SetDraft(String),
    /// Says what is written.
    Send,
    /// Begins with an example.
    TakeStart(String),
    /// Stops the answer that is being written.
    Stop,
    /// Puts the cursor into the message field.
    Focus,
    /// Begins a conversation.
    New,
    /// Opens a conversation by its name.
    Open(String),
    /// Changes what is searched among the conversations.
    SetQuery(String),
    /// Changes the title that is being written; `None` leaves it as it was.
    SetTitle(Option<(String, String)>),
    /// Takes the title that was written.
    TakeTitle,
    /// Moves a conversation to the trash.
    Delete(String),
    /// Brings the latest deleted conversation back.
    UndoDelete,
    /// Changes what the model is told about its part.
    SetSystem(String),
    /// Changes how the model writes.
    SetSettings(WordsSettings),
    /// Shows or hides how the model writes.
    ShowSettings(bool),
    /// Does something with a message.
    Message(MessageId, MessageAction),
    /// Copies a text to the clipboard.
    Copy(String),
    /// Asks where the conversation is to be saved as a text.
    SaveAs,
    /// Asks for a picture of the library that stands in the conversation.
    WantPicture(i64),
}

/// Does something with a message.
#[derive(Debug, Clone, PartialEq)]
pub enum MessageAction {
    /// Changes the text of the version that is being written.
    SetEdit(String),
    /// Takes what was written as another version.
    TakeEdit,
    /// Leaves the message as it was.
    LeaveEdit,
    /// Shows this version of the message.
    Show,
    /// Has the answer written once more.
    Regenerate,
    /// Has the answer go on.
    GoOn,
    /// Makes a picture of a paragraph, counted from 0.
    Illustrate(usize),
}

/// Has the house writer help with the picture prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelpAction {
    /// Says the prompt in more words.
    Expand,
    /// Thinks up a prompt.
    Surprise,
    /// Brings the prompt back as it was before the help.
    Undo,
}
