//! What follows from what is done in the words room.

use atelier_engine::protocol::{ModelRef, PictureRequest, Request, Role, WordsRequest, WordsTask};
use atelier_engine::store::conversations::{Conversation, MessageId};

use super::words_jobs::list_again;
use super::{Effect, LibraryTask, ask, cancel, model_ref, plain_name, say};
use crate::action::{HelpAction, MessageAction, WordsAction};
use crate::i18n::Text;
use crate::state::blocks::{Block, blocks};
use crate::state::words::{HOUSE_WRITER, Place, Purpose};
use crate::state::{AppState, MessageKind, Remedy};

/// How many words of a paragraph become a prompt when no writer is here.
const PROMPT_WORDS: usize = 24;

pub(super) fn update_words(state: &mut AppState, action: WordsAction) -> Vec<Effect> {
    let words = &mut state.words;
    match action {
        WordsAction::SetDraft(text) => {
            words.draft = text;
            return vec![Effect::SaveSettings];
        }
        WordsAction::Send => {
            let text = words.draft.trim().to_owned();
            let busy = words.open.as_ref().is_some_and(|open| words.answering(&open.id).is_some());
            if text.is_empty() || busy {
                return vec![Effect::FocusPrompt];
            }
            if words.model().is_none() {
                say(state, MessageKind::Note, Text::WriterMissing);
                return Vec::new();
            }
            words.draft.clear();
            let mut effects = say_something(state, text);
            effects.push(Effect::SaveSettings);
            return effects;
        }
        WordsAction::TakeStart(text) => {
            words.draft = text;
            return update_words(state, WordsAction::Send);
        }
        WordsAction::Stop => {
            let answering = words.open.as_ref().and_then(|open| words.answering(&open.id));
            if let Some((ticket, _)) = answering {
                return cancel(state, ticket);
            }
        }
        WordsAction::Focus => return vec![Effect::FocusPrompt],
        WordsAction::New => {
            let mut effects = put_away(state);
            effects.extend([Effect::FocusPrompt, Effect::SaveSettings]);
            return effects;
        }
        WordsAction::Open(id) => {
            if words.open.as_ref().is_some_and(|open| open.id == id) {
                return Vec::new();
            }
            let mut effects = put_away(state);
            match state.words.held.iter().position(|held| held.id == id) {
                Some(place) => state.words.open = Some(state.words.held.remove(place)),
                None => {
                    state.words.list.opening = Some(id.clone());
                    effects.push(Effect::Library(LibraryTask::ReadConversation(id)));
                }
            }
            effects.push(Effect::SaveSettings);
            return effects;
        }
        WordsAction::SetQuery(query) => {
            words.list.query.clone_from(&query);
            if query.trim().is_empty() {
                words.list.found = None;
            } else {
                return vec![Effect::Library(LibraryTask::SearchConversations(query))];
            }
        }
        WordsAction::SetTitle(renaming) => words.list.renaming = renaming,
        WordsAction::TakeTitle => return take_title(state),
        WordsAction::Delete(id) => return delete(state, &id),
        WordsAction::UndoDelete => {
            let Some((place, entry)) = words.list.deleted.pop() else { return Vec::new() };
            let id = entry.id.clone();
            words.list.entries.insert(place.min(words.list.entries.len()), entry);
            let deleted = state.settings.language.get(Text::ConversationDeleted);
            state.messages.toasts.retain(|toast| toast.text != deleted);
            // A conversation cannot be read while it is in the trash, so it comes back first.
            let mut effects = vec![Effect::Library(LibraryTask::RestoreConversation(id.clone()))];
            effects.extend(update_words(state, WordsAction::Open(id)));
            return effects;
        }
        WordsAction::SetSystem(text) => {
            let open = open_or_new(state);
            open.system = text;
            return vec![save(open)];
        }
        WordsAction::SetSettings(settings) => {
            words.settings.clone_from(&settings);
            let mut effects = vec![Effect::SaveSettings];
            if let Some(open) = &mut words.open {
                open.settings = settings;
                effects.push(save(open));
            }
            return effects;
        }
        WordsAction::ShowSettings(open) => words.settings_open = open,
        WordsAction::Message(id, action) => return update_message(state, id, action),
        WordsAction::Copy(text) => {
            say(state, MessageKind::Done, Text::TextCopied);
            return vec![Effect::CopyText(text)];
        }
        WordsAction::SaveAs => {
            let Some(open) = words.open.as_ref().filter(|open| !open.messages.is_empty()) else {
                return Vec::new();
            };
            let name = format!("{}.md", plain_name(&open.title(), "conversation"));
            return vec![Effect::SaveText { text: open.to_markdown(), name }];
        }
        WordsAction::WantPicture(id) => {
            if !words.pictures.iter().any(|(other, _)| *other == id) {
                words.pictures.push((id, None));
                return vec![Effect::Library(LibraryTask::ReadPicture(id))];
            }
        }
    }
    Vec::new()
}

/// Writes a conversation down.
pub(super) fn save(conversation: &Conversation) -> Effect {
    Effect::Library(LibraryTask::WriteConversation(Box::new(conversation.clone())))
}

/// Closes the conversation that is shown; it stays at hand while a job writes into it.
fn put_away(state: &mut AppState) -> Vec<Effect> {
    let words = &mut state.words;
    words.editing = None;
    words.list.opening = None;
    words.pictures.retain(|(_, pixels)| pixels.is_some());
    words.pictures.truncate(32);
    let Some(open) = words.open.take() else { return Vec::new() };
    let place = |purpose: &Purpose| purpose.place().map(|place| place.conversation.clone());
    if words.jobs.iter().any(|(_, purpose)| place(purpose).as_deref() == Some(open.id.as_str())) {
        words.held.push(open);
    }
    Vec::new()
}

/// Returns the conversation that is shown, or a new one, named by the next ticket: tickets begin
/// at the microseconds of the start, so that names never come twice.
fn open_or_new(state: &mut AppState) -> &mut Conversation {
    let (words, next) = (&mut state.words, &mut state.jobs.next_ticket);
    words.open.get_or_insert_with(|| {
        let id = format!("{next:016x}");
        *next += 1;
        Conversation::new(id, words.settings.clone())
    })
}

/// Adds what the person says to the branch that is shown, and has it answered.
fn say_something(state: &mut AppState, text: String) -> Vec<Effect> {
    let open = open_or_new(state);
    let said = open.add(open.leaf, Role::User, text);
    answer(state, said)
}

/// Has a message of the person answered.
fn answer(state: &mut AppState, said: MessageId) -> Vec<Effect> {
    let Some(open) = &mut state.words.open else { return Vec::new() };
    let message = open.add(Some(said), Role::Assistant, String::new());
    write(state, message, String::new())
}

/// Has a message written, or gone on with.
fn write(state: &mut AppState, message: MessageId, begun: String) -> Vec<Effect> {
    let Some(model) = state.words.model().map(|model| model.name.clone()) else {
        say(state, MessageKind::Note, Text::WriterMissing);
        return Vec::new();
    };
    let device = state.settings.device;
    let roll = state.jobs.next_ticket;
    let Some(open) = &mut state.words.open else { return Vec::new() };
    let last = match begun.is_empty() {
        true => open.message(message).and_then(|message| message.parent),
        false => Some(message),
    };
    let turns = open.turns(last);
    if let Some(message) = open.message_mut(message) {
        message.model.clone_from(&model);
    }
    let request = WordsRequest {
        model: ModelRef::named(model),
        task: WordsTask::Chat { system: open.system.clone(), turns },
        sampling: open.settings.sampling,
        max_tokens: open.settings.max_tokens.max(1),
        seed: open.settings.seed.unwrap_or(roll & 0xffff_ffff),
        device,
        keep_logits: false,
    };
    let place = Place { conversation: open.id.clone(), message };
    let mut effects = vec![save(open)];
    list_again(state);
    let saved_secs = state.jobs.clock_secs;
    let (ticket, more) = ask(state, Request::Words(Box::new(request)));
    state.words.jobs.push((ticket, Purpose::Reply { place, begun, saved_secs }));
    effects.extend(more);
    effects
}

fn update_message(state: &mut AppState, id: MessageId, action: MessageAction) -> Vec<Effect> {
    let words = &mut state.words;
    let Some(open) = &mut words.open else { return Vec::new() };
    let busy = words.jobs.iter().any(|(_, purpose)| {
        matches!(purpose, Purpose::Reply { place, .. } if place.conversation == open.id)
    });
    let Some(message) = open.message(id).cloned() else { return Vec::new() };
    match action {
        MessageAction::SetEdit(text) => words.editing = Some((id, text)),
        MessageAction::LeaveEdit => words.editing = None,
        MessageAction::TakeEdit if !busy => {
            let Some((_, text)) = words.editing.take() else { return Vec::new() };
            if text.trim().is_empty() || text == message.text {
                return Vec::new();
            }
            let new = open.add(message.parent, message.role, text);
            if message.role == Role::User {
                return answer(state, new);
            }
            return vec![save(open)];
        }
        MessageAction::Show if !busy => {
            open.show_version(id);
            return vec![save(open)];
        }
        MessageAction::Regenerate if !busy => {
            let Some(said) = message.parent else { return Vec::new() };
            return answer(state, said);
        }
        MessageAction::GoOn if !busy => {
            // Whoever goes on from the middle of a branch leaves what came after it behind.
            open.leaf = Some(id);
            return write(state, id, message.text);
        }
        MessageAction::Illustrate(paragraph) => {
            let place = Place { conversation: open.id.clone(), message: id };
            return illustrate(state, place, &message.text, paragraph);
        }
        _ => {}
    }
    Vec::new()
}

/// Makes a picture of a paragraph: the house writer finds words that the picture model knows;
/// without it, the paragraph's own known words are taken.
fn illustrate(state: &mut AppState, place: Place, text: &str, paragraph: usize) -> Vec<Effect> {
    let Some(Block::Text(text)) = blocks(text).into_iter().nth(paragraph) else {
        return Vec::new();
    };
    if !writer_is_here(state) {
        return paint_paragraph(state, place, paragraph, &text);
    }
    let (ticket, effects) = ask_writer(state, WordsTask::Expand { prompt: text });
    state.words.jobs.push((ticket, Purpose::Wording(place, paragraph)));
    effects
}

/// Paints a paragraph with the settings of the picture room.
pub(super) fn paint_paragraph(
    state: &mut AppState,
    place: Place,
    paragraph: usize,
    words: &str,
) -> Vec<Effect> {
    let unknown = state.models.unknown_words(words);
    let is_known = |word: &&str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        !unknown.iter().any(|other| other.eq_ignore_ascii_case(bare))
    };
    let known: Vec<&str> = words.split_whitespace().filter(is_known).take(PROMPT_WORDS).collect();
    if known.is_empty() {
        say(state, MessageKind::Note, Text::NothingToPaint);
        return Vec::new();
    }
    let mut seed = state.prompt.seed.clone();
    seed.roll();
    state.prompt.seed.entropy = seed.entropy;
    let mut request: PictureRequest = state.prompt.request(model_ref(state), state.settings.device);
    request.prompt.text = known.join(" ");
    request.seed = seed.value;
    request.count = 1;
    let (ticket, effects) = ask(state, Request::Picture(Box::new(request)));
    state.words.jobs.push((ticket, Purpose::Picture(place, paragraph)));
    effects
}

/// Tells whether the house writer is here.
pub(super) fn writer_is_here(state: &AppState) -> bool {
    state.words.models.iter().any(|model| model.name == HOUSE_WRITER)
}

/// Asks the house writer for a prompt.
fn ask_writer(state: &mut AppState, task: WordsTask) -> (u64, Vec<Effect>) {
    let request = WordsRequest {
        model: ModelRef::named(HOUSE_WRITER),
        task,
        sampling: atelier_engine::protocol::TokenSampling::default(),
        max_tokens: 48,
        seed: state.jobs.next_ticket & 0xffff_ffff,
        device: state.settings.device,
        keep_logits: false,
    };
    ask(state, Request::Words(Box::new(request)))
}

/// Has the house writer help with the picture prompt.
pub(super) fn update_help(state: &mut AppState, action: HelpAction) -> Vec<Effect> {
    let task = match action {
        HelpAction::Undo => {
            if let Some([before, _]) = state.words.prompt_undo.take() {
                state.prompt.unknown = state.models.unknown_words(&before);
                state.prompt.text = before;
            }
            return vec![Effect::SaveSettings];
        }
        HelpAction::Expand => WordsTask::Expand { prompt: state.prompt.text.trim().to_owned() },
        HelpAction::Surprise => WordsTask::Surprise,
    };
    let is_empty = matches!(&task, WordsTask::Expand { prompt } if prompt.is_empty());
    if is_empty || !writer_is_here(state) || state.words.helps_prompt() {
        return Vec::new();
    }
    let (ticket, effects) = ask_writer(state, task);
    state.words.jobs.push((ticket, Purpose::Prompt));
    effects
}

fn take_title(state: &mut AppState) -> Vec<Effect> {
    let words = &mut state.words;
    let Some((id, title)) = words.list.renaming.take() else { return Vec::new() };
    if let Some(entry) = words.list.entries.iter_mut().find(|entry| entry.id == id)
        && !title.trim().is_empty()
    {
        title.trim().clone_into(&mut entry.title);
    }
    match words.conversation(&id) {
        Some(conversation) => {
            conversation.own_title = title;
            vec![save(conversation)]
        }
        None => vec![Effect::Library(LibraryTask::RenameConversation { id, title })],
    }
}

fn delete(state: &mut AppState, id: &str) -> Vec<Effect> {
    let words = &mut state.words;
    let Some(place) = words.list.entries.iter().position(|entry| entry.id == id) else {
        return Vec::new();
    };
    let mut effects = Vec::new();
    if let Some((ticket, _)) = words.answering(id) {
        effects.extend(cancel(state, ticket));
    }
    let words = &mut state.words;
    words.jobs.retain(|(_, purpose)| purpose.place().is_none_or(|p| p.conversation != id));
    words.held.retain(|held| held.id != id);
    let entry = words.list.entries.remove(place);
    words.list.deleted.push((place, entry));
    if words.open.as_ref().is_some_and(|open| open.id == id) {
        words.open = None;
        words.editing = None;
        effects.push(Effect::SaveSettings);
    }
    effects.push(Effect::Library(LibraryTask::TrashConversation(id.to_owned())));
    let text = state.settings.language.get(Text::ConversationDeleted).to_owned();
    let (now, remedy) = (state.jobs.clock_secs, Some(Remedy::UndoDeleteConversation));
    state.messages.show(now, MessageKind::Note, text, String::new(), remedy);
    effects
}
