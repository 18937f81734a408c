//! What follows from what is done in the sound room, and from the jobs that make sound.

use std::path::Path;
use std::sync::Arc;

use atelier_engine::protocol::{
    Event, GivenUse, ModelRef, Notice, Output, Partial, Request, Sound, SoundRequest,
};

use super::sound_look::{play, take_piece, update_look};
use super::{
    Effect, PlayerOrder, SoundExport, SoundTask, ask, delete, enter, file_name, plain_name, say,
    say_error, update_history, want_picture,
};
use crate::action::{HistoryAction, MusicAction, SoundAction};
use crate::i18n::Text;
use crate::state::library::Stale;
use crate::state::{
    AppState, Entry, MessageKind, MusicPrompt, NotesSketch, Piece, PieceLook, Recipe, ResultId,
    Room, SoundFormat, Thumbnail, TuneOrigin,
};

/// The name of the model that composes.
const HOUSE_COMPOSER: &str = "house-composer";

/// The endings of the files that open in the sound room.
pub const SOUND_ENDINGS: [&str; 7] = ["wav", "flac", "mp3", "ogg", "oga", "mid", "midi"];

/// Tells by its name whether a file opens in the sound room.
pub(super) fn is_sound(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    SOUND_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

pub(super) fn update_sound(state: &mut AppState, action: SoundAction) -> Vec<Effect> {
    let result = state.sound.piece.as_ref().and_then(|piece| piece.result);
    match action {
        SoundAction::Prompt(action) => return update_prompt(state, action),
        SoundAction::Compose => {
            if state.sound.prompt.is_blank() {
                say_error(state, &atelier_engine::EngineError::EmptyPrompt);
                return vec![Effect::FocusPrompt];
            }
            return compose(state, None);
        }
        SoundAction::ComposeFrom(usage) => return compose(state, Some(usage)),
        SoundAction::MakeTune => {
            return state.canvas.result().map(|id| make_tune(state, id)).unwrap_or_default();
        }
        SoundAction::MakeTuneFor(id) => return make_tune(state, id),
        SoundAction::DropPicture => state.sound.origin = None,
        SoundAction::Play(action) => return play(state, action),
        SoundAction::Look(action) => return update_look(state, action),
        SoundAction::PickFile => return vec![Effect::PickSound],
        SoundAction::OpenFile(file) => {
            let mut effects = enter(state, Room::Sound);
            effects.push(open(state, &file, None));
            return effects;
        }
        SoundAction::Export(format) => return export(state, format),
        SoundAction::Reuse => {
            if let Some(recipe) = state.sound.piece.as_ref().and_then(|piece| piece.recipe.clone())
            {
                return take_recipe(state, &recipe);
            }
        }
        SoundAction::Delete => {
            return match result {
                Some(id) => delete(state, id),
                // A file of the user's own is only closed.
                None => close(state),
            };
        }
        SoundAction::UndoDelete => return update_history(state, HistoryAction::UndoDelete),
        SoundAction::OpenFolder => {
            let file = state.sound.piece.as_ref().and_then(|piece| piece.file.clone());
            return file.map(Effect::OpenFolder).into_iter().collect();
        }
    }
    Vec::new()
}

fn update_prompt(state: &mut AppState, action: MusicAction) -> Vec<Effect> {
    let prompt = &mut state.sound.prompt;
    match action {
        MusicAction::SetText(text) => {
            prompt.set_text(text);
            return vec![Effect::SaveSettings];
        }
        MusicAction::TakeExample(text) => {
            prompt.set_text(text);
            return compose(state, None);
        }
        MusicAction::SetPlan(plan) => prompt.plan = plan,
        MusicAction::ToggleInstrument(instrument) => prompt.toggle_instrument(instrument),
        MusicAction::SetSeed(text) => {
            if let Ok(value) = text.trim().parse() {
                prompt.seed.value = value;
                // Who writes a seed wants that seed.
                prompt.seed.locked = true;
            }
            prompt.seed.text = text;
        }
        MusicAction::SetSeedLocked(locked) => prompt.seed.locked = locked,
        MusicAction::RollSeed => prompt.seed.roll(),
        MusicAction::DropGiven => prompt.given = None,
        MusicAction::Focus => return vec![Effect::FocusPrompt],
    }
    Vec::new()
}

/// Asks for a piece; `usage` says what becomes of the piece at hand, where it is to start from that.
fn compose(state: &mut AppState, usage: Option<GivenUse>) -> Vec<Effect> {
    let sound = &mut state.sound;
    let given = match usage {
        None => None,
        Some(usage) => match sound.piece.as_ref().and_then(|piece| piece.score.clone()) {
            Some(score) => Some((score, usage)),
            None => {
                say(state, MessageKind::Note, Text::NoNotes);
                return Vec::new();
            }
        },
    };
    let seed = &mut sound.prompt.seed;
    if seed.locked {
        // A half-written seed is shown as the one that is used.
        seed.set(seed.value);
    } else {
        seed.roll();
    }
    let prompt: &MusicPrompt = &sound.prompt;
    let model = ModelRef::named(HOUSE_COMPOSER);
    let request = match given {
        Some((score, usage)) => prompt.starting_from(&score, usage),
        None => prompt.clone(),
    };
    let request = request.request(model, state.settings.device);
    sound.watches_live = true;
    ask(state, Request::Sound(Box::new(request))).1
}

/// Prepares a tune for a picture: what the picture sets is shown and can be changed.
fn make_tune(state: &mut AppState, id: ResultId) -> Vec<Effect> {
    let Some(recipe) = state.history.get(id).and_then(|entry| entry.recipe.picture()).cloned()
    else {
        return Vec::new();
    };
    let Some(pixels) = state.canvas.picture(id).cloned() else {
        state.sound.awaits_picture = Some(id);
        return want_picture(state, id);
    };
    let origin = TuneOrigin::of(id, recipe.prompt.with_styles(), pixels);
    let text = state.settings.language.tune_prompt(&origin.song.prompt);
    let prompt = &mut state.sound.prompt;
    prompt.set_text(text);
    prompt.plan = origin.song.plan.clone();
    prompt.given = None;
    state.sound.origin = Some(origin);
    let mut effects = enter(state, Room::Sound);
    effects.push(Effect::SaveSettings);
    effects
}

/// Goes on with the tune for a picture that has been read.
pub(super) fn picture_came(state: &mut AppState, id: ResultId) -> Vec<Effect> {
    match state.sound.awaits_picture.take_if(|awaited| *awaited == id) {
        Some(id) => make_tune(state, id),
        None => Vec::new(),
    }
}

/// Asks for a file to be opened.
fn open(state: &mut AppState, file: &Path, result: Option<ResultId>) -> Effect {
    let number = state.sound.next_number();
    let name = match result {
        Some(id) => state.history.get(id).map(|entry| entry.recipe.words()).unwrap_or_default(),
        None => file_name(file),
    };
    state.sound.opening = Some((number, name));
    state.sound.watches_live = false;
    Effect::Sound(SoundTask::Open { number, file: file.to_owned(), result })
}

/// Shows a piece of the library in the sound room.
pub(super) fn show_piece(state: &mut AppState, id: ResultId) -> Vec<Effect> {
    let mut effects = enter(state, Room::Sound);
    state.sound.watches_live = false;
    if state.sound.piece.as_ref().is_some_and(|piece| piece.result == Some(id)) {
        state.sound.opening = None;
        return effects;
    }
    if let Some(file) = state.history.get(id).and_then(|entry| entry.file.clone()) {
        effects.push(open(state, &file, Some(id)));
    }
    effects
}

/// Opens the piece that was at hand the last time.
pub(super) fn reopen(state: &mut AppState) -> Vec<Effect> {
    let Some(id) = state.sound.reopen.take() else { return Vec::new() };
    if state.sound.piece.is_some() || state.sound.opening.is_some() {
        return Vec::new();
    }
    let file = state.history.get(id).and_then(|entry| entry.file.clone());
    file.map(|file| open(state, &file, Some(id))).into_iter().collect()
}

/// Shows a piece again that came back out of the trash, where nothing else took its place.
pub(super) fn came_back(state: &mut AppState, id: ResultId) -> Vec<Effect> {
    let Some(entry) = state.history.get(id).filter(|entry| entry.recipe.sound().is_some()) else {
        return Vec::new();
    };
    let Some(file) = entry.file.clone() else { return Vec::new() };
    if state.sound.piece.is_some() || state.sound.opening.is_some() {
        return Vec::new();
    }
    vec![open(state, &file, Some(id))]
}

/// Lets the piece at hand go when it is the result that is deleted.
pub(super) fn let_go(state: &mut AppState, id: ResultId) -> Vec<Effect> {
    match &state.sound.piece {
        Some(piece) if piece.result == Some(id) => close(state),
        _ => Vec::new(),
    }
}

fn close(state: &mut AppState) -> Vec<Effect> {
    state.sound.piece = None;
    state.sound.player.is_playing = false;
    state.sound.player.head_secs = 0.0;
    vec![Effect::Player(PlayerOrder::Eject), Effect::SaveSettings]
}

/// Takes every setting of a recipe into what is written, in the sound room.
pub(super) fn take_recipe(state: &mut AppState, recipe: &SoundRequest) -> Vec<Effect> {
    state.sound.origin = None;
    state.sound.prompt.take_recipe(recipe);
    let mut effects = enter(state, Room::Sound);
    effects.push(Effect::SaveSettings);
    effects
}

fn export(state: &mut AppState, format: SoundFormat) -> Vec<Effect> {
    let Some(piece) = &state.sound.piece else { return Vec::new() };
    if format == SoundFormat::Midi && piece.score.is_none() {
        say(state, MessageKind::Note, Text::NoNotes);
        return Vec::new();
    }
    let name = format!("{}.{}", plain_name(&piece.title, "music"), format.extension());
    let export = Box::new(SoundExport {
        format,
        title: piece.title.clone(),
        pcm: piece.pcm.clone(),
        score: piece.score.clone(),
        recipe: piece.recipe.clone(),
        file: piece.file.clone(),
    });
    vec![Effect::ExportSound { export, name }]
}

/// Takes in what the engine says of a job that makes sound; ending the job is the caller's part.
pub(super) fn apply_sound(state: &mut AppState, event: &Event) -> Vec<Effect> {
    match event {
        Event::Partial(_, Partial::Sound(sound)) => {
            state.shell.library.outdate(Stale::Everything);
            keep(state, sound)
        }
        Event::Finished(_, Output::Sound(output)) => {
            for notice in &output.notices {
                if let Notice::UnknownWords { words } = notice {
                    state.sound.prompt.unknown.clone_from(words);
                }
            }
            keep(state, &output.sound)
        }
        Event::Failed(..) => {
            state.sound.watches_live = false;
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// Puts a finished piece into the film strip, once, and shows it to who waits for it.
fn keep(state: &mut AppState, sound: &Sound) -> Vec<Effect> {
    // A piece comes twice, in its partial event and in the finished one.
    let is_known = match sound.result_id {
        Some(id) => {
            let deleted = |(_, entry): &(usize, Entry)| entry.id == id;
            state.history.get(id).is_some() || state.history.deleted.iter().any(deleted)
        }
        None => {
            let piece = state.sound.piece.as_ref();
            piece.is_some_and(|piece| Arc::ptr_eq(&piece.pcm, &sound.pcm))
        }
    };
    if is_known {
        return Vec::new();
    }
    let recipe = Arc::new(sound.recipe.clone());
    if let Some(id) = sound.result_id {
        state.history.push_newest(Entry {
            id,
            recipe: Recipe::Sound(recipe.clone()),
            file: sound.file.clone(),
            thumbnail: Thumbnail::Notes(Arc::new(NotesSketch::of(&sound.score))),
        });
    }
    if !state.sound.watches_live {
        return Vec::new();
    }
    state.sound.watches_live = false;
    if state.sound.player.is_playing {
        // What is heard is not taken away.
        say(state, MessageKind::Done, Text::PieceReady);
        return Vec::new();
    }
    let number = state.sound.next_number();
    take_piece(
        state,
        Piece {
            number,
            result: sound.result_id,
            title: recipe.prompt.trim().to_owned(),
            file: sound.file.clone(),
            score: Some(sound.score.clone()),
            pcm: sound.pcm.clone(),
            recipe: Some(recipe),
            look: PieceLook::default(),
        },
    )
}
