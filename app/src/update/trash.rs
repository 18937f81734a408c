//! What follows from what is done in the trash, and from what the librarian says of it.

use atelier_engine::store::conversations::ConversationEntry;

use super::{Effect, LibraryTask};
use crate::action::TrashAction;
use crate::state::library::Stale;
use crate::state::{
    AppState, Entry, Remedy, ResultId, Thumbnail, TrashId, TrashItem, TrashQuestion,
};

pub(super) fn update_trash(state: &mut AppState, action: TrashAction) -> Vec<Effect> {
    let trash = &mut state.shell.trash;
    match action {
        TrashAction::Show(open) => {
            trash.open = open;
            trash.question = None;
            if open {
                trash.items = None;
                return vec![Effect::Library(LibraryTask::ReadTrash)];
            }
        }
        TrashAction::Restore(id) => {
            trash.question = None;
            forget_undo(state, |other| *other == id);
            return vec![Effect::Library(LibraryTask::RestoreTrashed(id))];
        }
        TrashAction::Ask(question) => trash.question = question,
        TrashAction::Confirm => {
            let Some(question) = trash.question.take() else { return Vec::new() };
            // What is gone for good cannot be undone any more.
            let task = match question {
                TrashQuestion::Delete(id) => {
                    forget_undo(state, |other| *other == id);
                    LibraryTask::DeleteTrashed(id)
                }
                TrashQuestion::Empty => {
                    forget_undo(state, |_| true);
                    LibraryTask::EmptyTrash
                }
            };
            return vec![Effect::Library(task)];
        }
        TrashAction::WantThumbnail(id) => {
            let item = find_picture(state, id);
            if let Some(item) = item
                && matches!(item.thumbnail, Thumbnail::Unknown)
            {
                item.thumbnail = Thumbnail::Awaited;
                return vec![Effect::Library(LibraryTask::ReadThumbnail(id))];
            }
        }
    }
    Vec::new()
}

/// Returns a picture in the trash.
pub(super) fn find_picture(state: &mut AppState, id: ResultId) -> Option<&mut TrashItem> {
    let items = state.shell.trash.items.iter_mut().flatten();
    items.into_iter().find(|item| item.id == TrashId::Picture(id))
}

/// Takes things off the list of what “undo” brings back; without any, nothing offers it either.
fn forget_undo(state: &mut AppState, is_meant: impl Fn(&TrashId) -> bool) {
    let deleted = &mut state.history.deleted;
    deleted.retain(|(_, entry)| !is_meant(&TrashId::Picture(entry.id)));
    let conversations = &mut state.words.list.deleted;
    conversations.retain(|(_, entry)| !is_meant(&TrashId::Conversation(entry.id.clone())));
    let (no_result, no_conversation) = (deleted.is_empty(), conversations.is_empty());
    state.messages.toasts.retain(|toast| match toast.remedy {
        Some(Remedy::UndoDelete) => !no_result,
        Some(Remedy::UndoDeleteConversation) => !no_conversation,
        _ => true,
    });
}

/// Takes in what is in the trash; thumbnails that are at hand stay.
pub(super) fn take_trash(state: &mut AppState, mut items: Vec<TrashItem>) {
    state.shell.library.outdate(Stale::Everything);
    let trash = &mut state.shell.trash;
    for item in &mut items {
        if let Some(known) = trash.item(&item.id) {
            item.thumbnail = known.thumbnail.clone();
        }
    }
    trash.items = Some(items);
}

/// Puts a result that came back where its number puts it.
pub(super) fn take_restored(state: &mut AppState, entry: Entry) {
    state.history.deleted.retain(|(_, deleted)| deleted.id != entry.id);
    state.history.merge([entry]);
}

/// Puts a conversation that came back where its time puts it.
pub(super) fn take_restored_conversation(state: &mut AppState, entry: ConversationEntry) {
    let entries = &mut state.words.list.entries;
    entries.retain(|other| other.id != entry.id);
    let later = |other: &ConversationEntry| other.changed_ms > entry.changed_ms;
    let place = entries.iter().take_while(|other| later(other)).count();
    entries.insert(place, entry);
}
