//! What the librarian does with the trash: pictures, sounds and conversations in one list.

use std::time::{SystemTime, UNIX_EPOCH};

use atelier_engine::EngineError;
use atelier_engine::protocol::Request;
use atelier_engine::store::conversations::{ConversationEntry, ConversationShelf};
use atelier_engine::store::{ResultRow, Store};

use super::librarian::entry;
use crate::state::jobs::words_of;
use crate::state::{Thumbnail, TrashId, TrashItem};
use crate::update::LibraryNews;

/// Lists what is in the trash, the latest deleted first.
///
/// # Errors
/// [`EngineError::Index`] or [`EngineError::Io`] when the library cannot be read.
pub fn list(store: &Store, shelf: &ConversationShelf) -> Result<Vec<TrashItem>, EngineError> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let age_secs = |then_ms: i64| (now_ms as i64).saturating_sub(then_ms).max(0) as u64 / 1000;
    let result = |row: ResultRow| TrashItem {
        id: match row.request {
            Request::Sound(_) => TrashId::Sound(row.id),
            _ => TrashId::Picture(row.id),
        },
        title: words_of(&row.request),
        bytes: std::fs::metadata(&row.file).map(|found| found.len()).unwrap_or(0),
        age_secs: age_secs(row.trashed_ms.unwrap_or(0)),
        thumbnail: Thumbnail::Unknown,
    };
    let mut items: Vec<TrashItem> = store.trashed()?.into_iter().map(result).collect();
    items.extend(shelf.trashed()?.into_iter().map(|one| TrashItem {
        id: TrashId::Conversation(one.id),
        title: one.title,
        bytes: one.bytes,
        age_secs: age_secs(one.trashed_ms),
        thumbnail: Thumbnail::Unknown,
    }));
    items.sort_by_key(|item| item.age_secs);
    Ok(items)
}

/// Brings something back and says what came back.
///
/// # Errors
/// [`EngineError::Io`] or [`EngineError::InvalidSetting`] when it is not there or cannot be moved.
pub fn restore(
    store: &Store,
    shelf: &ConversationShelf,
    id: &TrashId,
) -> Result<Option<LibraryNews>, EngineError> {
    match id {
        TrashId::Picture(id) | TrashId::Sound(id) => {
            store.restore(*id)?;
            let entry = store.result(*id)?.and_then(entry);
            Ok(entry.map(|entry| LibraryNews::Restored(Box::new(entry))))
        }
        TrashId::Conversation(id) => {
            shelf.restore(id)?;
            let read = shelf.read(id)?;
            let (title, changed_ms) = (read.title(), read.changed_ms);
            let entry = ConversationEntry { id: id.clone(), title, changed_ms };
            Ok(Some(LibraryNews::RestoredConversation(entry)))
        }
    }
}

/// Deletes something for good.
///
/// # Errors
/// [`EngineError::Io`] when its file cannot be deleted, [`EngineError::InvalidSetting`] when it is
/// not in the trash.
pub fn delete(store: &Store, shelf: &ConversationShelf, id: &TrashId) -> Result<(), EngineError> {
    match id {
        TrashId::Picture(id) | TrashId::Sound(id) => store.delete_for_good(*id),
        TrashId::Conversation(id) => shelf.delete_for_good(id),
    }
}

/// Deletes everything for good.
///
/// # Errors
/// [`EngineError::Io`] when a file cannot be deleted; it and those after it are still there.
pub fn empty(store: &Store, shelf: &ConversationShelf) -> Result<(), EngineError> {
    store.empty_trash()?;
    shelf.empty_trash()?;
    Ok(())
}
