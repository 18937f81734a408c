//! What the services report, and what follows from it.

use std::sync::Arc;

use atelier_engine::EngineError;
use atelier_engine::protocol::{
    Enlarged, Event, JobId, Live, Notice, Output, Partial, Picture, Request, Stage,
};
use atelier_engine::store::Opening;

use super::sound::apply_sound;
use super::sound_look::{apply_player, apply_sound_news};
use super::trash::{find_picture, take_restored, take_restored_conversation, take_trash};
use super::words_jobs::{apply_words, end_words, take_conversation, take_list};
use super::{
    Effect, Incoming, LibraryNews, LibraryTask, ProjectTask, file_name, say, say_error, show, sound,
};
use crate::action::{Action, EditorAction, LayerAction};
use crate::i18n::Text;
use crate::state::jobs::{model_of, short_name};
use crate::state::library::Stale;
use crate::state::words::Purpose;
use crate::state::{
    AppState, Entry, JobPhase, MessageKind, ModelStatus, Recipe, Remedy, ResultId, Shown,
    StepsSeen, Thumbnail,
};

/// Changes the state as a service reports.
pub fn apply(state: &mut AppState, incoming: Incoming) -> Vec<Effect> {
    let mut effects = match incoming {
        Incoming::Accepted { ticket, job } => {
            if let Some(entry) = state.jobs.jobs.iter_mut().find(|entry| entry.ticket == ticket) {
                entry.id = Some(job);
            }
            Vec::new()
        }
        Incoming::Refused { ticket, error } => end_job(state, ticket, Some(&error)),
        Incoming::Engine(event) => apply_engine(state, event),
        Incoming::Progress(job, live) => {
            apply_progress(state, job, live);
            Vec::new()
        }
        Incoming::Library(news) => apply_library(state, news),
        Incoming::Project(news) => super::editor_stage::apply_project(state, news),
        Incoming::Shelf(news) => super::library::apply_shelf(state, news),
        Incoming::Sound(news) => apply_sound_news(state, news),
        Incoming::Player(report) => {
            apply_player(state, report);
            Vec::new()
        }
        Incoming::Tick => {
            state.messages.expire(state.jobs.clock_secs);
            Vec::new()
        }
    };
    effects.extend(super::models::read_prompt(state));
    effects.extend(super::library::tend(state));
    effects
}

fn apply_engine(state: &mut AppState, event: Event) -> Vec<Effect> {
    let Some(job) = state.jobs.by_id(event.job()) else { return Vec::new() };
    let (ticket, is_picture) = (job.ticket, job.picture().is_some());
    let mut effects = apply_sound(state, &event);
    effects.extend(apply_words(state, ticket, &event));
    match event {
        Event::Started(id) => {
            let now = state.jobs.clock_secs;
            let Some(place) = state.jobs.jobs.iter().position(|job| job.id == Some(id)) else {
                return Vec::new();
            };
            // The engine decides what runs; the queue follows it.
            let mut job = state.jobs.jobs.remove(place);
            job.phase = JobPhase::Running;
            job.started_secs = Some(now);
            state.jobs.jobs.insert(0, job);
            // A preview takes the canvas only from a preview: who looks at a result keeps it.
            if is_picture && state.canvas.shown == Shown::Nothing {
                effects.extend(show(state, Shown::Live));
            }
        }
        Event::Partial(_, Partial::Picture(picture)) => {
            state.shell.library.outdate(Stale::Everything);
            super::editor_stage::take_made(state, ticket, &picture, &mut effects);
            // Who watches a batch goes on watching; the film strip has the finished one.
            add_result(state, *picture);
        }
        Event::Partial(_, Partial::Enlarged(enlarged)) => {
            state.shell.library.outdate(Stale::Everything);
            let pixels = enlarged.pixels.clone();
            super::editor_stage::take_remade(state, ticket, &pixels, &mut effects);
            add_enlarged(state, *enlarged);
        }
        Event::Finished(id, Output::Picture(output)) => {
            learn(state, id);
            let last = output.pictures.into_iter().map(|picture| add_result(state, picture)).last();
            if let (Some(Some(id)), Shown::Live) = (last, state.canvas.shown) {
                effects.extend(show(state, Shown::Result(id)));
            }
            for notice in &output.notices {
                say_notice(state, ticket, notice);
            }
            effects.extend(end_job(state, ticket, None));
            effects.push(Effect::SaveSettings);
        }
        Event::Finished(_, output) => {
            if let Output::CutOut(output) = &output {
                match &output.object {
                    Some(found) => {
                        super::editor_object::take_found(state, ticket, found, &mut effects);
                    }
                    None => {
                        let pixels = &output.pixels;
                        super::editor_stage::take_remade(state, ticket, pixels, &mut effects);
                    }
                }
            }
            let notices = match &output {
                Output::Words(output) => output.notices.as_slice(),
                Output::Sound(output) => output.notices.as_slice(),
                Output::Enlarged(output) => output.notices.as_slice(),
                Output::CutOut(output) => output.notices.as_slice(),
                _ => &[],
            };
            for notice in notices {
                say_notice(state, ticket, notice);
            }
            effects.extend(end_job(state, ticket, None));
        }
        Event::Failed(_, error) => effects.extend(end_job(state, ticket, Some(&error))),
        _ => {}
    }
    effects
}

/// Puts an enlarged picture into the film strip; one that is kept nowhere has no place there.
fn add_enlarged(state: &mut AppState, enlarged: Enlarged) {
    if let Some(id) = enlarged.result_id {
        state.history.push_newest(Entry {
            id,
            recipe: Recipe::enlarged(enlarged.recipe),
            file: enlarged.file,
            thumbnail: Thumbnail::Unknown,
        });
    }
}

/// Puts a finished picture into the film strip, once; `None` when it was deleted meanwhile.
fn add_result(state: &mut AppState, picture: Picture) -> Option<ResultId> {
    let deleted = |id| state.history.deleted.iter().any(|(_, entry)| entry.id == id);
    if picture.result_id.is_some_and(deleted) {
        return None;
    }
    // A picture comes twice, in its partial event and in the finished one.
    let known = state.history.entries.iter().find(|entry| match picture.result_id {
        Some(id) => entry.id == id,
        None => {
            let recipe = entry.recipe.picture();
            entry.id < 0 && recipe.is_some_and(|recipe| **recipe == picture.recipe)
        }
    });
    if let Some(entry) = known {
        return Some(entry.id);
    }
    let id = picture.result_id.unwrap_or_else(|| {
        let lowest = state.history.entries.iter().map(|entry| entry.id).min().unwrap_or(0);
        lowest.min(0) - 1
    });
    state.history.push_newest(Entry {
        id,
        recipe: Recipe::Picture(Arc::new(picture.recipe)),
        file: picture.file,
        thumbnail: Thumbnail::Unknown,
    });
    state.canvas.keep(id, picture.pixels);
    Some(id)
}

/// Ends a job: its pending note goes, an error is said, and the canvas finds something to show.
fn end_job(state: &mut AppState, ticket: u64, error: Option<&EngineError>) -> Vec<Effect> {
    super::editor_stage::end_job(state, ticket);
    let was_picture =
        state.jobs.jobs.iter().any(|job| job.ticket == ticket && job.picture().is_some());
    state.jobs.jobs.retain(|job| job.ticket != ticket);
    let mut effects = vec![Effect::Library(LibraryTask::RemovePending(ticket.to_string()))];
    effects.extend(end_words(state, ticket));
    match error {
        None | Some(EngineError::Cancelled) => {}
        Some(error) => say_error(state, error),
    }
    let paints_on = state.jobs.first_picture().is_some();
    if state.canvas.shown == Shown::Live && !paints_on {
        let before = state.canvas.before.filter(|id| state.history.get(*id).is_some());
        let fallback = before.or_else(|| state.history.newest_picture());
        effects.extend(show(state, fallback.map_or(Shown::Nothing, Shown::Result)));
    } else if error.is_none()
        && was_picture
        && paints_on
        && state.history.newest_picture() == state.canvas.result()
        && state.canvas.compare.is_none()
    {
        // The next job's preview follows on the newest picture; an older one is left in peace.
        effects.extend(show(state, Shown::Live));
    }
    effects
}

fn apply_progress(state: &mut AppState, id: JobId, live: Live) {
    let now = state.jobs.clock_secs;
    let Some(job) = state.jobs.by_id(id) else { return };
    if let (Stage::Sampling, Some([done, total])) = (live.stage, live.steps) {
        let seen = job.steps_seen.get_or_insert(StepsSeen {
            first: (now, done),
            last: (now, done),
            total,
        });
        if done > seen.last.1 {
            seen.last = (now, done);
        }
    }
    job.live = live;
}

/// Learns from a finished job how fast this machine paints.
fn learn(state: &mut AppState, id: JobId) {
    let now = state.jobs.clock_secs;
    let Some(job) = state.jobs.by_id(id).cloned() else { return };
    if let (Request::Sound(request), Some(started)) = (&job.request, job.started_secs) {
        state.jobs.pace.learn_music(request, now - started);
    }
    let Some((started, seen)) = job.started_secs.zip(job.steps_seen) else { return };
    let Some(per_step) = seen.secs_per_step() else { return };
    let step_secs = per_step * f64::from(seen.total);
    let other_secs = (now - started - step_secs).max(0.0);
    if let Some(request) = job.picture() {
        state.jobs.pace.learn(request, step_secs, other_secs);
    }
}

fn say_notice(state: &mut AppState, ticket: u64, notice: &Notice) {
    let language = state.settings.language;
    let illustrates = matches!(state.words.purpose(ticket), Some(Purpose::Wording(..)));
    let text = match notice {
        // A paragraph is a story, not a prompt: below its picture stands what was painted of it.
        Notice::UnknownWords { .. } if illustrates => return,
        // The line below the prompt says it already.
        Notice::UnknownWords { words } if *words == state.sound.prompt.unknown => return,
        Notice::UnknownWords { words }
            if words.iter().all(|word| state.prompt.unknown.contains(word)) =>
        {
            return;
        }
        Notice::UnknownWords { words } => language.fill(Text::UnknownWords, &[&words.join(", ")]),
        Notice::PromptClipped { dropped, .. } => language.fill(Text::NoticeClipped, &[dropped]),
        Notice::ModelDiffers { .. } => language.get(Text::NoticeModel).to_owned(),
        Notice::MadeRoom { names } => {
            let job = state.jobs.jobs.iter().find(|job| job.ticket == ticket);
            let came = job.and_then(|job| model_of(&job.request)).unwrap_or_default();
            let left: Vec<&str> = names.iter().map(|name| short_name(name)).collect();
            language.fill(Text::NoticeMadeRoom, &[&left.join(", "), &came])
        }
        // The line below the prompt says it already.
        Notice::Prompt { issue, text }
            if state.models.pictures.reading.issues.contains(&(issue.clone(), text.clone())) =>
        {
            return;
        }
        Notice::Prompt { issue, text } => language.issue(issue, text),
        Notice::LoraUnmatched { name, count, .. } => {
            language.fill(Text::NoticeLora, &[count, name])
        }
        Notice::SavedMemory { .. } => language.get(Text::NoticeSavedMemory).to_owned(),
        Notice::DecodedInTiles { reason: None } => language.get(Text::NoticeTiles).to_owned(),
        Notice::DecodedInTiles { reason: Some(reason) } => {
            language.fill(Text::NoticeTilesAfter, &[reason])
        }
        Notice::Unusual { sentence } => sentence.clone(),
        _ => return,
    };
    let now = state.jobs.clock_secs;
    state.messages.show(now, MessageKind::Note, text, String::new(), None);
}

/// Says what the check at start did, where it did something.
fn tell_recovery(state: &mut AppState, opening: &Opening) {
    let language = state.settings.language;
    let mut told = Vec::new();
    if opening.set_aside.is_some() {
        told.push(language.get(Text::RecoveredIndex).to_owned());
    }
    for (count, text) in
        [(opening.adopted, Text::RecoveredResults), (opening.swept, Text::RecoveredParts)]
    {
        if count > 0 {
            told.push(language.fill(text, &[&count]));
        }
    }
    let now = state.jobs.clock_secs;
    if !told.is_empty() {
        let text = language.get(Text::LibraryInOrder).to_owned();
        state.messages.show(now, MessageKind::Note, text, told.join("; "), None);
    }
    if opening.is_shared {
        say(state, MessageKind::Note, Text::LibraryShared);
    }
}

fn apply_library(state: &mut AppState, news: LibraryNews) -> Vec<Effect> {
    let language = state.settings.language;
    let now = state.jobs.clock_secs;
    match news {
        LibraryNews::Opened { folder, unfinished } => {
            state.settings.data_folder = Some(folder.clone());
            state.shell.library.outdate(Stale::Everything);
            // Requests of this run may be noted already, if the user was quick.
            state.messages.offers.unfinished = unfinished
                .into_iter()
                .filter(|old| !state.jobs.jobs.iter().any(|job| job.ticket.to_string() == old.key))
                .collect();
            let mut effects = vec![
                Effect::Library(LibraryTask::ReadResults { before: None }),
                Effect::Project(ProjectTask::Home(folder)),
            ];
            // What was being edited when the window went is there again, however it went.
            let reopen = state.canvas.reopen.clone().filter(|_| state.canvas.editor.is_none());
            effects.extend(reopen.map(|path| Effect::Project(ProjectTask::Open(path))));
            return effects;
        }
        LibraryNews::Recovered(opening) => tell_recovery(state, &opening),
        LibraryNews::SettingsDamaged(kept) => {
            let text = language.get(Text::SettingsDamaged).to_owned();
            let hint = language.fill(Text::SettingsKept, &[&kept.display()]);
            state.messages.show(now, MessageKind::Note, text, hint, None);
        }
        LibraryNews::ModelReady(info) => {
            state.models.status = ModelStatus::Ready(info);
            state.prompt.unknown = state.models.unknown_words(&state.prompt.text);
        }
        LibraryNews::ModelMissing(error) => {
            say_error(state, &error);
            state.models.status = ModelStatus::Missing(error);
        }
        LibraryNews::PictureModels(found) => return super::models::take_found(state, *found),
        LibraryNews::PromptRead(reading) => super::models::take_reading(state, reading),
        LibraryNews::LanguageModels(models) => state.words.models = models,
        LibraryNews::Conversations(list) => take_list(state, list),
        LibraryNews::Conversation(conversation) => take_conversation(state, *conversation),
        LibraryNews::ConversationLost(id, error) => {
            state.words.list.entries.retain(|entry| entry.id != id);
            state.words.list.opening = None;
            say_error(state, &error);
        }
        LibraryNews::ConversationsFound { query, ids } => {
            // An answer to what is no longer asked is passed over.
            if state.words.list.query == query {
                state.words.list.found = Some(ids);
            }
        }
        LibraryNews::Trash(items) => take_trash(state, items),
        LibraryNews::Restored(entry) => take_restored(state, *entry),
        LibraryNews::RestoredConversation(entry) => take_restored_conversation(state, entry),
        LibraryNews::FreeMemory(free) => {
            state.models.free_memory_bytes = free.max(state.models.free_memory_bytes);
        }
        LibraryNews::Devices(devices) => state.models.devices = devices,
        LibraryNews::Results { entries, has_older } => {
            let first_time = !state.history.loaded;
            state.history.loaded = true;
            state.history.awaits_older = false;
            state.history.take_page(entries, has_older);
            let mut effects = Vec::new();
            if first_time {
                if state.canvas.shown == Shown::Nothing
                    && let Some(newest) = state.history.newest_picture()
                {
                    effects.extend(show(state, Shown::Result(newest)));
                }
                effects.extend(sound::reopen(state));
            }
            return effects;
        }
        LibraryNews::Thumbnail(id, pixels) => {
            if let Some(entry) = state.history.entries.iter_mut().find(|entry| entry.id == id) {
                entry.thumbnail = Thumbnail::Ready(pixels);
            } else if let Some(item) = find_picture(state, id) {
                item.thumbnail = Thumbnail::Ready(pixels);
            }
        }
        LibraryNews::Notes(id, sketch) => {
            if let Some(entry) = state.history.entries.iter_mut().find(|entry| entry.id == id) {
                entry.thumbnail = Thumbnail::Notes(sketch);
            }
        }
        LibraryNews::FileOf(id, file) => {
            if let Some(entry) = state.history.entries.iter_mut().find(|entry| entry.id == id) {
                entry.file = Some(file);
            }
            return sound::came_back(state, id);
        }
        LibraryNews::Picture(id, pixels) => {
            state.canvas.keep(id, pixels.clone());
            let words = &mut state.words.pictures;
            if let Some((_, place)) = words.iter_mut().find(|(other, _)| *other == id) {
                *place = Some(pixels.clone());
            }
            if state.canvas.edit_when_here.take_if(|wanted| *wanted == id).is_some() {
                return super::update(state, Action::Editor(EditorAction::EditShown));
            }
            if state.canvas.place_when_here.take_if(|wanted| *wanted == id).is_some() {
                let place = EditorAction::Layer(LayerAction::Place(id));
                return super::update(state, Action::Editor(place));
            }
            if state.canvas.copy_when_here == Some(id) {
                state.canvas.copy_when_here = None;
                say(state, MessageKind::Done, Text::Copied);
                return vec![Effect::CopyPicture(pixels)];
            }
            return sound::picture_came(state, id);
        }
        LibraryNews::PictureLost(id, error) => {
            state.canvas.awaited.retain(|other| *other != id);
            say_error(state, &error);
        }
        LibraryNews::Recipe(offer) => state.messages.offers.recipe = Some(*offer),
        LibraryNews::NoRecipe { file_name } => {
            let text = language.fill(Text::NoRecipe, &[&file_name]);
            let hint = language.get(Text::NoRecipeHint).to_owned();
            state.messages.show(now, MessageKind::Note, text, hint, None);
        }
        LibraryNews::Saved(path) => {
            let text = language.fill(Text::Saved, &[&file_name(&path)]);
            let remedy = Some(Remedy::OpenFolder(path));
            state.messages.show(now, MessageKind::Done, text, String::new(), remedy);
        }
        LibraryNews::DataMoved(folder) => {
            let text = language.fill(Text::Moved, &[&folder.display()]);
            state.messages.show(now, MessageKind::Done, text, String::new(), None);
            state.settings.data_folder = Some(folder.clone());
            // The files have new places; the film strip is read again.
            state.history.entries.clear();
            (state.history.loaded, state.history.read_to) = (false, None);
            state.shell.library.found.cards = Default::default();
            state.shell.library.outdate(Stale::Everything);
            return vec![
                Effect::Library(LibraryTask::ReadResults { before: None }),
                Effect::Project(ProjectTask::Home(folder)),
                Effect::SaveSettings,
            ];
        }
        LibraryNews::Failed(error) => say_error(state, &error),
    }
    Vec::new()
}
