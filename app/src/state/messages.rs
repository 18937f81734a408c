//! The messages in the corner of the window.

use std::path::PathBuf;

use super::OffersState;

/// Says what kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// Something was done.
    Done,
    /// Something to know.
    Note,
    /// Something went wrong.
    Error,
}

/// Says what a message offers to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Brings the latest deleted result back.
    UndoDelete,
    /// Brings back what was deleted last in the library room.
    UndoLibraryDelete,
    /// Brings the latest deleted conversation back.
    UndoDeleteConversation,
    /// Opens the folder of a file.
    OpenFolder(PathBuf),
}

/// Holds one message.
#[derive(Debug, Clone, PartialEq)]
pub struct Toast {
    /// Its number; never reused.
    pub id: u64,
    /// What kind of message it is.
    pub kind: MessageKind,
    /// One sentence.
    pub text: String,
    /// What can be done about it; empty for nothing.
    pub hint: String,
    /// What the message offers to do.
    pub remedy: Option<Remedy>,
    /// When it goes, on the window's clock.
    pub until_secs: f64,
}

/// Holds the messages.
#[derive(Debug, Clone, Default)]
pub struct MessagesState {
    /// The messages, the latest last.
    pub toasts: Vec<Toast>,
    /// What the window offers to do.
    pub offers: OffersState,
    next_id: u64,
}

impl MessagesState {
    /// Shows a message; an equal one that is shown already is renewed instead.
    pub fn show(
        &mut self,
        now_secs: f64,
        kind: MessageKind,
        text: String,
        hint: String,
        remedy: Option<Remedy>,
    ) {
        // An error stays long enough to be read twice.
        let stay_secs = match kind {
            MessageKind::Done => 5.0,
            MessageKind::Note => 8.0,
            MessageKind::Error => 14.0,
        };
        self.toasts.retain(|toast| toast.text != text);
        self.next_id += 1;
        self.toasts.push(Toast {
            id: self.next_id,
            kind,
            text,
            hint,
            remedy,
            until_secs: now_secs + stay_secs,
        });
        if self.toasts.len() > 4 {
            self.toasts.remove(0);
        }
    }

    /// Drops the messages whose time is over.
    pub fn expire(&mut self, now_secs: f64) {
        self.toasts.retain(|toast| toast.until_secs > now_secs);
    }
}
