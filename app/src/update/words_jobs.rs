//! What follows from what the engine and the librarian say about words.

use atelier_engine::protocol::{Event, Output, Partial};
use atelier_engine::store::conversations::{
    Conversation, ConversationEntry, ConversationList, Illustration, Message,
};

use super::words::{paint_paragraph, save};
use super::{Effect, file_name};
use crate::i18n::Text;
use crate::state::words::Purpose;
use crate::state::{AppState, MessageKind};

/// How long text may wait to be written down while more of it comes.
const SAVE_EVERY_SECS: f64 = 1.0;

/// Takes in what the engine says of a job of the words room; ending the job is the caller's part.
pub(super) fn apply_words(state: &mut AppState, ticket: u64, event: &Event) -> Vec<Effect> {
    let Some(purpose) = state.words.purpose(ticket).cloned() else { return Vec::new() };
    let now = state.jobs.clock_secs;
    match (event, purpose) {
        (Event::Text(_, text), Purpose::Reply { place, begun, saved_secs }) => {
            let Some(conversation) = state.words.conversation(&place.conversation) else {
                return Vec::new();
            };
            if let Some(message) = conversation.message_mut(place.message) {
                message.text.push_str(text);
            }
            if now - saved_secs < SAVE_EVERY_SECS {
                return Vec::new();
            }
            let effects = vec![save(conversation)];
            let saved = Purpose::Reply { place, begun, saved_secs: now };
            state.words.jobs.retain(|(other, _)| *other != ticket);
            state.words.jobs.push((ticket, saved));
            effects
        }
        (Event::Finished(_, Output::Words(output)), Purpose::Reply { place, begun, .. }) => {
            if let Some(conversation) = state.words.conversation(&place.conversation)
                && let Some(message) = conversation.message_mut(place.message)
            {
                message.text = begun + &output.text;
                message.stats = Some(output.stats);
            }
            Vec::new()
        }
        (Event::Failed(..), Purpose::Reply { place, .. }) => {
            // What was written before the end took something, too.
            let job = state.jobs.jobs.iter().find(|job| job.ticket == ticket);
            let stats = job.and_then(|job| job.live.words);
            if let Some(conversation) = state.words.conversation(&place.conversation)
                && let Some(message) = conversation.message_mut(place.message)
            {
                message.stats = stats.or(message.stats);
            }
            Vec::new()
        }
        (Event::Finished(_, Output::Words(output)), Purpose::Prompt) => {
            let after = output.text.trim().to_owned();
            if after.is_empty() {
                return Vec::new();
            }
            let before = std::mem::replace(&mut state.prompt.text, after.clone());
            state.prompt.unknown = state.models.unknown_words(&after);
            state.words.prompt_undo = Some([before, after]);
            vec![Effect::SaveSettings]
        }
        (Event::Finished(_, Output::Words(output)), Purpose::Wording(place, paragraph)) => {
            paint_paragraph(state, place, paragraph, &output.text)
        }
        (Event::Partial(_, Partial::Picture(picture)), Purpose::Picture(place, paragraph)) => {
            let Some(result_id) = picture.result_id else { return Vec::new() };
            state.words.pictures.retain(|(id, _)| *id != result_id);
            state.words.pictures.push((result_id, Some(picture.pixels.clone())));
            let Some(conversation) = state.words.conversation(&place.conversation) else {
                return Vec::new();
            };
            if let Some(message) = conversation.message_mut(place.message) {
                message.illustrations.push(Illustration { paragraph, result_id });
            }
            vec![save(conversation)]
        }
        _ => Vec::new(),
    }
}

/// Forgets what a job was for, once it has ended, and writes its conversation down.
pub(super) fn end_words(state: &mut AppState, ticket: u64) -> Vec<Effect> {
    let words = &mut state.words;
    let Some(index) = words.jobs.iter().position(|(other, _)| *other == ticket) else {
        return Vec::new();
    };
    let (_, purpose) = words.jobs.remove(index);
    let Some(place) = purpose.place().cloned() else { return Vec::new() };
    let mut effects = Vec::new();
    if let Some(conversation) = words.conversation(&place.conversation) {
        if conversation.message(place.message).is_some_and(Message::is_empty) {
            conversation.remove_leaf(place.message);
        }
        effects.push(save(conversation));
    }
    // A conversation that is not shown stays at hand only while something is written into it.
    let wanted: Vec<String> = words
        .jobs
        .iter()
        .filter_map(|(_, purpose)| Some(purpose.place()?.conversation.clone()))
        .collect();
    words.held.retain(|held| wanted.contains(&held.id));
    effects
}

/// Puts the conversation that is shown at the top of the list.
pub(super) fn list_again(state: &mut AppState) {
    let words = &mut state.words;
    let Some(open) = &words.open else { return };
    let (id, title) = (open.id.clone(), open.title());
    words.list.entries.retain(|entry| entry.id != id);
    let newest = words.list.entries.first().map_or(0, |entry| entry.changed_ms);
    words.list.entries.insert(0, ConversationEntry { id, title, changed_ms: newest });
}

/// Takes in the list of conversations.
pub(super) fn take_list(state: &mut AppState, list: ConversationList) {
    let language = state.settings.language;
    let words = &mut state.words;
    words.list.loaded = true;
    // One that was begun before the list came is not in it, or older there.
    let begun = std::mem::take(&mut words.list.entries);
    words.list.entries = list.entries;
    words.list.entries.retain(|entry| !begun.iter().any(|other| other.id == entry.id));
    words.list.entries.splice(0..0, begun);
    for file in list.set_aside {
        let text = language.fill(Text::ConversationDamaged, &[&file_name(&file)]);
        let now = state.jobs.clock_secs;
        state.messages.show(now, MessageKind::Note, text, String::new(), None);
    }
}

/// Shows a conversation that was read, unless another was opened meanwhile.
pub(super) fn take_conversation(state: &mut AppState, conversation: Conversation) {
    let words = &mut state.words;
    if words.open.is_none() && words.list.opening.as_ref() == Some(&conversation.id) {
        words.list.opening = None;
        words.open = Some(conversation);
    }
}
