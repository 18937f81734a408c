//! The only place with consequences: what a person did, and what the services report, change the
//! state here. Pure: whatever touches the world is returned as an [`Effect`].

mod apply;
mod editor;
mod editor_guides;
mod editor_layers;
mod editor_object;
mod editor_pen;
mod editor_shape;
mod editor_stage;
mod effect;
mod library;
mod library_effect;
mod library_filter;
mod library_picked;
mod models;
mod project_effect;
mod sound;
mod sound_effect;
mod sound_look;
mod trash;
mod words;
mod words_jobs;

use std::path::Path;

use atelier_engine::library::HOUSE_PICTURE;
use atelier_engine::protocol::{Live, ModelRef, NoiseSource, PictureRequest, Request};

pub use apply::apply;
pub(crate) use editor_guides::without_effect;
pub use effect::{Effect, Incoming, LibraryNews, LibraryTask};
pub use library_effect::{BoardChange, MarkChange, ShelfNews, ShelfTask, Work};
pub use library_filter::{filter, shelf_of};
pub use library_picked::SUMMARISED;
pub use models::{CONTROL_RANGE, LORA_RANGE, fitted, hint_of};
pub use project_effect::{
    Change, FoundMask, JobPurpose, Made, OpenedProject, Preparation, ProjectNews, ProjectTask,
    Selected,
};
pub use sound::SOUND_ENDINGS;
pub use sound_effect::{OpenedSound, PlayerOrder, PlayerReport, SoundExport, SoundNews, SoundTask};

use crate::action::{
    Action, CanvasAction, EditorAction, HistoryAction, JobAction, OfferAction, PaletteAction,
    PromptAction, SettingsAction, SoundAction, WordsAction, find_commands,
};
use crate::i18n::{Text, error_hint, error_sentence};
use crate::state::library::Stale;
use crate::state::prompt::COUNT_MAX;
use crate::state::{
    AppState, Entry, Job, JobPhase, MessageKind, Recipe, Remedy, ResultId, Room, Shown,
    ThemeChoice, Thumbnail, Unfinished, View,
};

/// Changes the state as a person asked.
pub fn update(state: &mut AppState, action: Action) -> Vec<Effect> {
    let mut effects = match action {
        Action::Prompt(action) => update_prompt(state, action),
        Action::Job(action) => update_jobs(state, action),
        Action::Canvas(action) => update_canvas(state, action),
        Action::History(action) => update_history(state, action),
        Action::Settings(action) => update_settings(state, action),
        Action::Offer(action) => update_offers(state, action),
        Action::Palette(action) => update_palette(state, action),
        Action::Enter(room) => enter(state, room),
        Action::Help(action) => words::update_help(state, action),
        Action::Words(action) => words::update_words(state, action),
        Action::Sound(action) => sound::update_sound(state, action),
        Action::Models(action) => models::update_models(state, action),
        Action::Trash(action) => trash::update_trash(state, action),
        Action::Editor(action) => editor::update_editor(state, action),
        Action::Library(action) => library::update_library(state, action),
        Action::Quit => vec![Effect::Quit],
    };
    effects.extend(models::read_prompt(state));
    effects.extend(library::tend(state));
    effects
}

/// Goes into a room.
fn enter(state: &mut AppState, room: Room) -> Vec<Effect> {
    if state.shell.room == room {
        return Vec::new();
    }
    state.shell.room = room;
    if room == Room::Library {
        state.shell.library.outdate(Stale::Everything);
    }
    vec![Effect::SaveSettings]
}

fn update_prompt(state: &mut AppState, action: PromptAction) -> Vec<Effect> {
    let prompt = &mut state.prompt;
    match action {
        PromptAction::SetText(text) => {
            prompt.unknown = state.models.unknown_words(&text);
            prompt.text = text;
            return vec![Effect::SaveSettings];
        }
        PromptAction::SetNegative(text) => {
            prompt.negative = text;
            return vec![Effect::SaveSettings];
        }
        PromptAction::ToggleStyle(style) => {
            if prompt.styles.contains(&style) {
                prompt.styles.retain(|other| *other != style);
            } else {
                prompt.styles.push(style);
            }
        }
        PromptAction::SetSize(size) => prompt.size = size,
        PromptAction::SetCount(count) => prompt.count = count.clamp(1, COUNT_MAX),
        PromptAction::SetSeed(text) => {
            if let Ok(value) = text.trim().parse() {
                prompt.seed.value = value;
                // Who writes a seed wants that seed.
                prompt.seed.locked = true;
            }
            prompt.seed.text = text;
        }
        PromptAction::SetSeedLocked(locked) => prompt.seed.locked = locked,
        PromptAction::RollSeed => prompt.seed.roll(),
        PromptAction::ToggleAdvanced => prompt.advanced = !prompt.advanced,
        PromptAction::SetSteps(steps) => prompt.sampling.steps = steps.clamp(1, 150),
        PromptAction::SetGuidance(guidance) => {
            if guidance.is_finite() {
                prompt.sampling.guidance = guidance.clamp(0.0, 30.0);
            }
        }
        PromptAction::SetSampler(sampler) => prompt.sampling.sampler = sampler,
        PromptAction::TakeExample(text) => {
            prompt.unknown = state.models.unknown_words(&text);
            prompt.text = text;
            return update_jobs(state, JobAction::Generate);
        }
        PromptAction::Focus => return vec![Effect::FocusPrompt],
    }
    Vec::new()
}

/// Names the model for a new request: the one that was chosen, the house model that is here, or the house model by name.
pub(crate) fn model_ref(state: &AppState) -> ModelRef {
    if let Some(chosen) = &state.models.pictures.chosen {
        return ModelRef::named(chosen.to_string_lossy());
    }
    state.models.ready().map_or_else(|| ModelRef::named(HOUSE_PICTURE), |info| info.model.clone())
}

fn update_jobs(state: &mut AppState, action: JobAction) -> Vec<Effect> {
    match action {
        JobAction::Generate => {
            if state.prompt.text.trim().is_empty() && state.prompt.styles.is_empty() {
                say_error(state, &atelier_engine::EngineError::EmptyPrompt);
                return vec![Effect::FocusPrompt];
            }
            if !state.prompt.seed.locked {
                state.prompt.seed.roll();
            } else {
                // A half-written seed is shown as the one that is used.
                state.prompt.seed.set(state.prompt.seed.value);
            }
            if state.canvas.editor.is_some() {
                return editor_stage::generate(state);
            }
            let request = state.prompt.request(model_ref(state), state.settings.device);
            if state.jobs.first_picture().is_none_or(|job| job.phase == JobPhase::Waiting) {
                show(state, Shown::Live);
            }
            ask(state, Request::Picture(Box::new(request))).1
        }
        JobAction::CancelRunning => {
            // Escape first closes what is open, and only then stops the work.
            if state.canvas.compare.take().is_some() {
                return Vec::new();
            }
            match state.jobs.running().map(|job| job.ticket) {
                Some(ticket) => cancel(state, ticket),
                None => Vec::new(),
            }
        }
        JobAction::Cancel(ticket) => cancel(state, ticket),
        JobAction::Move(ticket, to_index) => {
            let Some(from) = state.jobs.jobs.iter().position(|job| job.ticket == ticket) else {
                return Vec::new();
            };
            if state.jobs.jobs[from].phase != JobPhase::Waiting {
                return Vec::new();
            }
            let job = state.jobs.jobs.remove(from);
            let busy = state.jobs.jobs.len() - state.jobs.waiting().count();
            let to = (busy + to_index).min(state.jobs.jobs.len());
            let id = job.id;
            state.jobs.jobs.insert(to, job);
            id.map(|id| Effect::MoveJob(id, to - busy)).into_iter().collect()
        }
        JobAction::ShowQueue(open) => {
            state.jobs.queue_open = open;
            Vec::new()
        }
    }
}

/// Puts a request at the end of the queue and returns its ticket. The request is noted as pending,
/// so that it outlives the program; text is not, because its conversation keeps what was written.
fn ask(state: &mut AppState, request: Request) -> (u64, Vec<Effect>) {
    let ticket = state.jobs.next_ticket;
    state.jobs.next_ticket += 1;
    state.jobs.jobs.push(Job {
        ticket,
        id: None,
        request: request.clone(),
        phase: JobPhase::Waiting,
        live: Live::default(),
        started_secs: None,
        steps_seen: None,
    });
    let mut effects = Vec::new();
    if !matches!(request, Request::Words(_)) {
        let key = ticket.to_string();
        effects.push(Effect::Library(LibraryTask::AddPending { key, request: request.clone() }));
    }
    effects.push(Effect::Submit { ticket, request });
    effects.push(Effect::SaveSettings);
    (ticket, effects)
}

fn cancel(state: &mut AppState, ticket: u64) -> Vec<Effect> {
    let Some(job) = state.jobs.jobs.iter_mut().find(|job| job.ticket == ticket) else {
        return Vec::new();
    };
    if job.phase == JobPhase::Running {
        job.phase = JobPhase::Cancelling;
    }
    job.id.map(Effect::CancelJob).into_iter().collect()
}

fn update_canvas(state: &mut AppState, action: CanvasAction) -> Vec<Effect> {
    if let Some(editor) = state.canvas.editor.as_deref_mut() {
        match action {
            CanvasAction::Fit => editor.view = View::Fit,
            CanvasAction::ActualSize => editor.view = View::Free { scale: 1.0, offset: [0.0, 0.0] },
            _ => {}
        }
        return Vec::new();
    }
    let canvas = &mut state.canvas;
    match action {
        CanvasAction::SetView(view) => canvas.view = view,
        CanvasAction::Fit => canvas.view = View::Fit,
        CanvasAction::ActualSize => {
            canvas.view = View::Free { scale: 1.0, offset: [0.0, 0.0] };
        }
        CanvasAction::SetCompare(split) => canvas.compare = Some(split.clamp(0.0, 1.0)),
        CanvasAction::ToggleCompare => {
            if canvas.compare.take().is_some() {
                return Vec::new();
            }
            let Some(shown) = canvas.result() else { return Vec::new() };
            let before = canvas.before.filter(|id| *id != shown).or_else(|| {
                let pictures: Vec<_> = state.history.pictures().map(|entry| entry.id).collect();
                let position = pictures.iter().position(|id| *id == shown)?;
                let newer = position.checked_sub(1).and_then(|newer| pictures.get(newer));
                pictures.get(position + 1).or(newer).copied()
            });
            if let Some(before) = before {
                canvas.before = Some(before);
                canvas.compare = Some(0.5);
                return want_picture(state, before);
            }
        }
    }
    Vec::new()
}

/// Shows something on the canvas and remembers what was there for comparing.
fn show(state: &mut AppState, shown: Shown) -> Vec<Effect> {
    let canvas = &mut state.canvas;
    if canvas.shown == shown {
        return Vec::new();
    }
    if let Some(old) = canvas.result() {
        canvas.before = Some(old);
    }
    if canvas.before.is_none_or(|before| Shown::Result(before) == shown) {
        canvas.compare = None;
    }
    canvas.shown = shown;
    match shown {
        Shown::Result(id) => {
            state.history.reveal += 1;
            let mut effects = want_picture(state, id);
            if state.canvas.compare.is_some()
                && let Some(before) = state.canvas.before
            {
                effects.extend(want_picture(state, before));
            }
            effects
        }
        Shown::Live | Shown::Nothing => {
            canvas.compare = None;
            Vec::new()
        }
    }
}

/// Asks for a picture that is not at hand, once.
fn want_picture(state: &mut AppState, id: ResultId) -> Vec<Effect> {
    if id < 0 || state.canvas.picture(id).is_some() || state.canvas.awaited.contains(&id) {
        return Vec::new();
    }
    state.canvas.awaited.push(id);
    vec![Effect::Library(LibraryTask::ReadPicture(id))]
}

fn update_history(state: &mut AppState, action: HistoryAction) -> Vec<Effect> {
    let shown = state.canvas.result();
    match action {
        HistoryAction::Show(id) => {
            if state.history.get(id).is_some_and(|entry| entry.recipe.sound().is_some()) {
                return sound::show_piece(state, id);
            }
            let mut effects = enter(state, Room::Pictures);
            effects.extend(show(state, Shown::Result(id)));
            return effects;
        }
        HistoryAction::Step(step) => return step_history(state, step),
        HistoryAction::Reuse(id) => {
            if let Some(entry) = state.history.get(id) {
                return match entry.recipe.clone() {
                    Recipe::Picture(recipe) => take_recipe(state, &recipe),
                    Recipe::Sound(recipe) => sound::take_recipe(state, &recipe),
                    Recipe::Enlarged(_, Some(recipe)) => take_recipe(state, &recipe),
                    Recipe::Enlarged(_, None) => Vec::new(),
                };
            }
        }
        HistoryAction::Delete(id) => return delete(state, id),
        HistoryAction::UndoDelete => {
            let Some((place, entry)) = state.history.deleted.pop() else { return Vec::new() };
            let (id, is_picture) = (entry.id, entry.recipe.is_picture());
            let place = place.min(state.history.entries.len());
            state.history.entries.insert(place, entry);
            state.shell.library.outdate(Stale::Everything);
            state.messages.toasts.retain(|toast| toast.remedy != Some(Remedy::UndoDelete));
            if !is_picture {
                return vec![Effect::Library(LibraryTask::Restore(id))];
            }
            let mut effects = show(state, Shown::Result(id));
            // A picture cannot be read while it is in the trash, so it comes back first.
            effects.insert(0, Effect::Library(LibraryTask::Restore(id)));
            return effects;
        }
        HistoryAction::SaveAs(id) => {
            let entry = state.history.get(id).filter(|entry| entry.recipe.is_picture());
            if let Some(from) = entry.and_then(|entry| entry.file.clone()) {
                return vec![Effect::SaveAs { name: file_name(&from), from }];
            }
        }
        HistoryAction::Copy(id) => {
            if let Some(pixels) = state.canvas.picture(id).cloned() {
                say(state, MessageKind::Done, Text::Copied);
                return vec![Effect::CopyPicture(pixels)];
            }
            state.canvas.copy_when_here = Some(id);
            return want_picture(state, id);
        }
        HistoryAction::OpenFolder(id) => {
            if let Some(file) = state.history.get(id).and_then(|entry| entry.file.clone()) {
                return vec![Effect::OpenFolder(file)];
            }
        }
        HistoryAction::WantThumbnail(id) => {
            let entry = state.history.entries.iter_mut().find(|entry| entry.id == id);
            if let Some(entry) = entry
                && matches!(entry.thumbnail, Thumbnail::Unknown)
            {
                entry.thumbnail = Thumbnail::Awaited;
                return vec![Effect::Library(LibraryTask::ReadThumbnail(id))];
            }
        }
        HistoryAction::WantOlder => {
            let history = &mut state.history;
            if history.has_older && !history.awaits_older {
                history.awaits_older = true;
                let before = history.read_to;
                return vec![Effect::Library(LibraryTask::ReadResults { before })];
            }
        }
        HistoryAction::ReuseShown => return for_shown(state, shown, HistoryAction::Reuse),
        HistoryAction::DeleteShown => return for_shown(state, shown, HistoryAction::Delete),
        HistoryAction::SaveShownAs => return for_shown(state, shown, HistoryAction::SaveAs),
        HistoryAction::CopyShown => return for_shown(state, shown, HistoryAction::Copy),
        HistoryAction::OpenShownFolder => {
            return for_shown(state, shown, HistoryAction::OpenFolder);
        }
    }
    Vec::new()
}

fn for_shown(
    state: &mut AppState,
    shown: Option<ResultId>,
    action: fn(ResultId) -> HistoryAction,
) -> Vec<Effect> {
    shown.map(|id| update_history(state, action(id))).unwrap_or_default()
}

fn step_history(state: &mut AppState, step: i32) -> Vec<Effect> {
    let pictures: Vec<_> = state.history.pictures().map(|entry| entry.id).collect();
    let Some(last) = pictures.len().checked_sub(1) else { return Vec::new() };
    let shown = state.canvas.result();
    let place = match pictures.iter().position(|id| shown == Some(*id)) {
        Some(place) => place.saturating_add_signed(step as isize).min(last),
        None => 0,
    };
    let id = pictures[place];
    let mut effects = show(state, Shown::Result(id));
    if place == last {
        effects.extend(update_history(state, HistoryAction::WantOlder));
    }
    effects
}

fn delete(state: &mut AppState, id: ResultId) -> Vec<Effect> {
    let (Some((place, entry)), left) = leave(state, id) else { return Vec::new() };
    let is_picture = entry.recipe.is_picture();
    state.history.deleted.push((place, entry));
    let mut effects = vec![Effect::Library(LibraryTask::Trash(id))];
    effects.extend(left);
    let text = if is_picture { Text::Deleted } else { Text::DeletedPiece };
    let text = state.settings.language.get(text).to_owned();
    let now = state.jobs.clock_secs;
    state.messages.show(now, MessageKind::Note, text, String::new(), Some(Remedy::UndoDelete));
    effects
}

/// Takes a result out of the film strip, off the canvas and out of the player, and returns its place
/// in the strip.
fn leave(state: &mut AppState, id: ResultId) -> (Option<(usize, Entry)>, Vec<Effect>) {
    let mut effects = sound::let_go(state, id);
    let Some(place) = state.history.position(id) else { return (None, effects) };
    let entry = state.history.entries.remove(place);
    if state.canvas.result() == Some(id) {
        let is_picture = |entry: &&Entry| entry.recipe.is_picture();
        let (newer, older) = state.history.entries.split_at(place);
        let next = older.iter().find(is_picture).or_else(|| newer.iter().rfind(is_picture));
        let next = next.map(|entry| entry.id);
        effects.extend(show(state, next.map_or(Shown::Nothing, Shown::Result)));
    }
    if state.canvas.before == Some(id) {
        state.canvas.before = None;
        state.canvas.compare = None;
    }
    state.shell.library.outdate(Stale::Everything);
    (Some((place, entry)), effects)
}

/// Takes every setting of a recipe into the request that is being written.
fn take_recipe(state: &mut AppState, recipe: &PictureRequest) -> Vec<Effect> {
    let mut effects = models::take_model(state, recipe);
    state.prompt.take_recipe(recipe);
    // A style that the window does not offer is written out: what steers must be seen.
    let offered = state.models.ready().map(|info| info.styles.clone()).unwrap_or_default();
    let prompt = &mut state.prompt;
    for style in std::mem::take(&mut prompt.styles) {
        if offered.contains(&style) {
            prompt.styles.push(style);
        } else if !style.trim().is_empty() {
            prompt.text = format!("{}, {style}", prompt.text);
        }
    }
    if recipe.noise != NoiseSource::Seed {
        say(state, MessageKind::Note, Text::RecipeNoiseLeft);
    }
    state.prompt.unknown = state.models.unknown_words(&state.prompt.text);
    effects.push(Effect::SaveSettings);
    effects
}

fn update_settings(state: &mut AppState, action: SettingsAction) -> Vec<Effect> {
    let settings = &mut state.settings;
    match action {
        SettingsAction::Show(open) => {
            settings.open = open;
            return Vec::new();
        }
        SettingsAction::SetTheme(theme) => settings.theme = theme,
        SettingsAction::SwitchTheme => {
            settings.theme = match settings.theme {
                ThemeChoice::Light => ThemeChoice::Dark,
                ThemeChoice::Dark | ThemeChoice::System => ThemeChoice::Light,
            };
        }
        SettingsAction::SetLanguage(language) => settings.language = language,
        SettingsAction::SwitchLanguage => {
            let other = crate::i18n::Language::ALL.into_iter().find(|l| *l != settings.language);
            settings.language = other.unwrap_or_default();
        }
        SettingsAction::SetScale(percent) => settings.scale_percent = percent.clamp(100, 200),
        SettingsAction::SetDevice(device) => settings.device = device,
        SettingsAction::OpenDataFolder => {
            return settings.data_folder.clone().map(Effect::OpenFolder).into_iter().collect();
        }
        SettingsAction::PickDataFolder => {
            if state.jobs.jobs.is_empty() {
                return vec![Effect::PickDataFolder];
            }
            say(state, MessageKind::Note, Text::BusyMove);
            return Vec::new();
        }
    }
    vec![Effect::ApplyLook, Effect::SaveSettings]
}

fn update_offers(state: &mut AppState, action: OfferAction) -> Vec<Effect> {
    match action {
        OfferAction::Dismiss(id) => state.messages.toasts.retain(|toast| toast.id != id),
        OfferAction::Accept(id, remedy) => {
            state.messages.toasts.retain(|toast| toast.id != id);
            return match remedy {
                Remedy::UndoDelete => update_history(state, HistoryAction::UndoDelete),
                Remedy::UndoDeleteConversation => {
                    words::update_words(state, WordsAction::UndoDelete)
                }
                Remedy::UndoLibraryDelete => library_picked::undo_delete(state),
                Remedy::OpenFolder(file) => vec![Effect::OpenFolder(file)],
            };
        }
        OfferAction::ContinueUnfinished => {
            let mut effects = Vec::new();
            let is_picture = |one: &Unfinished| matches!(one.request, Request::Picture(_));
            if state.jobs.running().is_none()
                && state.messages.offers.unfinished.iter().any(is_picture)
            {
                effects.extend(show(state, Shown::Live));
            }
            for unfinished in std::mem::take(&mut state.messages.offers.unfinished) {
                // The new job is noted before the old note is dropped: nothing is lost in between.
                effects.extend(ask(state, unfinished.request).1);
                effects.push(Effect::Library(LibraryTask::RemovePending(unfinished.key)));
            }
            return effects;
        }
        OfferAction::DiscardUnfinished => {
            return std::mem::take(&mut state.messages.offers.unfinished)
                .into_iter()
                .map(|unfinished| Effect::Library(LibraryTask::RemovePending(unfinished.key)))
                .collect();
        }
        OfferAction::FileDropped(path) if sound::is_sound(&path) => {
            return sound::update_sound(state, SoundAction::OpenFile(path));
        }
        // A picture that falls onto one that is edited becomes a layer of it.
        OfferAction::FileDropped(path)
            if state.canvas.editor.is_some() || editor::is_project(&path) =>
        {
            return editor::update_editor(state, EditorAction::OpenFile(path));
        }
        OfferAction::PicturePasted(image) => {
            return vec![Effect::Project(ProjectTask::Paste(image))];
        }
        OfferAction::FileDropped(path) => {
            return vec![Effect::Library(LibraryTask::ReadRecipe(path))];
        }
        OfferAction::TakeRecipe => {
            if let Some(offer) = state.messages.offers.recipe.take() {
                return take_recipe(state, &offer.recipe);
            }
        }
        OfferAction::RefuseRecipe => state.messages.offers.recipe = None,
    }
    Vec::new()
}

fn update_palette(state: &mut AppState, action: PaletteAction) -> Vec<Effect> {
    let place = state.place();
    let palette = &mut state.shell.palette;
    let found = || find_commands(&palette.query, state.settings.language, place);
    match action {
        PaletteAction::Show(open) => {
            palette.open = open;
            palette.query.clear();
            palette.index = 0;
        }
        PaletteAction::SetQuery(query) => {
            palette.query = query;
            palette.index = 0;
        }
        PaletteAction::Step(step) => {
            let count = found().len().max(1) as i64;
            palette.index = (palette.index as i64 + i64::from(step)).rem_euclid(count) as usize;
        }
        PaletteAction::Run(index) => {
            let command = found().into_iter().nth(index);
            palette.open = false;
            if let Some(command) = command {
                return update(state, command.action);
            }
        }
    }
    Vec::new()
}

/// Shows a text as a message.
fn say(state: &mut AppState, kind: MessageKind, text: Text) {
    let text = state.settings.language.get(text).to_owned();
    let now = state.jobs.clock_secs;
    state.messages.show(now, kind, text, String::new(), None);
}

/// Shows an error as a message: one sentence, and what can be done about it.
fn say_error(state: &mut AppState, error: &atelier_engine::EngineError) {
    let language = state.settings.language;
    let text = error_sentence(language, error);
    let hint = error_hint(language, error).to_owned();
    let now = state.jobs.clock_secs;
    state.messages.show(now, MessageKind::Error, text, hint, None);
}

/// Returns a title as the name of a file, without its ending: short, and without what file systems
/// refuse; `fallback` where nothing is left of it.
fn plain_name(title: &str, fallback: &str) -> String {
    let allowed = |c: char| if c.is_alphanumeric() || c == '-' { c } else { ' ' };
    let plain: String = title.chars().map(allowed).collect();
    let name: Vec<&str> = plain.split_whitespace().collect();
    let name: String = name.join("-").chars().take(60).collect();
    if name.is_empty() { fallback.to_owned() } else { name }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
