//! What follows from what: `update` and `apply` alone, without a window.

use std::sync::Arc;

use atelier::action::{Action, HistoryAction, JobAction, OfferAction, PromptAction};
use atelier::state::{
    AppState, Entry, JobPhase, MessageKind, Recipe, RecipeOffer, Shown, Thumbnail, Unfinished,
};
use atelier::update::{Effect, Incoming, LibraryNews, LibraryTask, apply, update};
use atelier_engine::EngineError;
use atelier_engine::protocol::{
    DeviceChoice, ModelRef, PictureRequest, Request, SamplerKind, Size,
};

fn request(prompt: &str, seed: u64) -> PictureRequest {
    let mut state = AppState::default();
    prompt.clone_into(&mut state.prompt.text);
    state.prompt.seed.set(seed);
    state.prompt.request(ModelRef::named("house-picture"), DeviceChoice::Auto)
}

fn entry(id: i64) -> Entry {
    let recipe = Recipe::Picture(Arc::new(request("a fox", id.unsigned_abs())));
    Entry { id, recipe, file: None, thumbnail: Thumbnail::Unknown }
}

fn with_entries(ids: &[i64]) -> AppState {
    let mut state = AppState::default();
    state.history.entries = ids.iter().map(|id| entry(*id)).collect();
    state.history.loaded = true;
    state
}

fn generate(state: &mut AppState, prompt: &str) -> Vec<Effect> {
    update(state, Action::Prompt(PromptAction::SetText(prompt.to_owned())));
    update(state, Action::Job(JobAction::Generate))
}

#[test]
fn a_request_is_noted_as_pending_before_the_engine_gets_it() {
    let mut state = AppState::default();
    let effects = generate(&mut state, "a fox");
    let noted =
        effects.iter().position(|e| matches!(e, Effect::Library(LibraryTask::AddPending { .. })));
    let sent = effects.iter().position(|e| matches!(e, Effect::Submit { .. }));
    assert!(noted < sent && noted.is_some());
    assert_eq!(state.canvas.shown, Shown::Live);
}

#[test]
fn an_unlocked_seed_changes_with_every_request_and_a_locked_one_stays() {
    let mut state = AppState::default();
    generate(&mut state, "a fox");
    generate(&mut state, "a fox");
    let seeds: Vec<u64> =
        state.jobs.jobs.iter().filter_map(|job| Some(job.picture()?.seed)).collect();
    assert_ne!(seeds[0], seeds[1]);
    update(&mut state, Action::Prompt(PromptAction::SetSeed("42".to_owned())));
    generate(&mut state, "a fox");
    generate(&mut state, "a fox");
    let seeds: Vec<u64> =
        state.jobs.jobs.iter().filter_map(|job| Some(job.picture()?.seed)).collect();
    assert_eq!(seeds[2..], [42, 42]);
}

#[test]
fn a_refused_request_is_said_and_no_longer_pending() {
    let mut state = AppState::default();
    generate(&mut state, "a fox");
    let ticket = state.jobs.jobs[0].ticket;
    let error = EngineError::QueueFull { limit: 64 };
    let effects = apply(&mut state, Incoming::Refused { ticket, error });
    assert!(state.jobs.jobs.is_empty());
    assert!(effects.contains(&Effect::Library(LibraryTask::RemovePending(ticket.to_string()))));
    let toast = &state.messages.toasts[0];
    assert_eq!(toast.kind, MessageKind::Error);
    assert!(!toast.hint.is_empty());
    assert_eq!(state.canvas.shown, Shown::Nothing);
}

#[test]
fn a_cancelled_request_is_no_error() {
    let mut state = AppState::default();
    generate(&mut state, "a fox");
    let ticket = state.jobs.jobs[0].ticket;
    apply(&mut state, Incoming::Refused { ticket, error: EngineError::Cancelled });
    assert!(state.messages.toasts.is_empty());
}

#[test]
fn deleting_the_shown_picture_shows_its_neighbour_and_undo_brings_it_back() {
    let mut state = with_entries(&[3, 2, 1]);
    update(&mut state, Action::History(HistoryAction::Show(2)));
    let effects = update(&mut state, Action::History(HistoryAction::DeleteShown));
    assert!(effects.contains(&Effect::Library(LibraryTask::Trash(2))));
    assert_eq!(state.canvas.shown, Shown::Result(1));
    let effects = update(&mut state, Action::History(HistoryAction::UndoDelete));
    assert_eq!(effects.first(), Some(&Effect::Library(LibraryTask::Restore(2))));
    let ids: Vec<i64> = state.history.entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [3, 2, 1]);
    assert_eq!(state.canvas.shown, Shown::Result(2));
}

#[test]
fn deleting_the_last_picture_leaves_the_invitation() {
    let mut state = with_entries(&[1]);
    update(&mut state, Action::History(HistoryAction::Show(1)));
    update(&mut state, Action::History(HistoryAction::DeleteShown));
    assert_eq!(state.canvas.shown, Shown::Nothing);
}

#[test]
fn a_picture_is_asked_of_the_library_once() {
    let mut state = with_entries(&[2, 1]);
    let ask = Effect::Library(LibraryTask::ReadPicture(1));
    assert!(update(&mut state, Action::History(HistoryAction::Show(1))).contains(&ask));
    update(&mut state, Action::History(HistoryAction::Show(2)));
    assert!(!update(&mut state, Action::History(HistoryAction::Show(1))).contains(&ask));
}

#[test]
fn unfinished_requests_are_noted_anew_before_the_old_note_goes() {
    let mut state = AppState::default();
    let unfinished = vec![Unfinished {
        key: "old".to_owned(),
        request: Request::Picture(Box::new(request("a cat", 5))),
    }];
    let news = LibraryNews::Opened { folder: "pictures".into(), unfinished };
    apply(&mut state, Incoming::Library(news));
    assert_eq!(state.messages.offers.unfinished.len(), 1);
    let effects = update(&mut state, Action::Offer(OfferAction::ContinueUnfinished));
    let at = |wanted: &dyn Fn(&Effect) -> bool| effects.iter().position(wanted);
    let noted = at(&|e| matches!(e, Effect::Library(LibraryTask::AddPending { .. })));
    let gone = at(&|e| *e == Effect::Library(LibraryTask::RemovePending("old".to_owned())));
    assert!(noted.is_some() && noted < gone);
    assert_eq!(state.jobs.jobs[0].picture().map(|request| request.seed), Some(5));
    assert_eq!(state.jobs.jobs[0].phase, JobPhase::Waiting);
}

#[test]
fn reusing_settings_takes_everything_and_locks_the_seed() {
    let mut state = AppState::default();
    let mut recipe = request("a green cactus", 1234);
    recipe.size = Size { width_px: 320, height_px: 224 };
    recipe.sampling.sampler = SamplerKind::UniPc;
    recipe.prompt.negative = "flat".to_owned();
    let offer = RecipeOffer {
        file_name: "x.png".to_owned(),
        recipe: recipe.clone(),
        foreign: false,
        claims: Vec::new(),
    };
    apply(&mut state, Incoming::Library(LibraryNews::Recipe(Box::new(offer))));
    update(&mut state, Action::Offer(OfferAction::TakeRecipe));
    let again = state.prompt.request(recipe.model.clone(), recipe.device);
    assert_eq!(again, recipe);
    assert!(state.prompt.seed.locked);
}

#[test]
fn settings_out_of_range_or_not_a_number_are_held_back() {
    let mut state = AppState::default();
    for action in [
        PromptAction::SetGuidance(f32::NAN),
        PromptAction::SetSteps(9_999),
        PromptAction::SetCount(0),
        PromptAction::SetSeed("not a number".to_owned()),
    ] {
        update(&mut state, Action::Prompt(action));
    }
    let prompt = &state.prompt;
    assert!(prompt.sampling.guidance.is_finite());
    assert_eq!((prompt.sampling.steps, prompt.count, prompt.seed.value), (150, 1, 0));
}

#[test]
fn an_older_picture_that_is_being_looked_at_stays_while_jobs_go_on() {
    let mut state = with_entries(&[2, 1]);
    update(&mut state, Action::History(HistoryAction::Show(1)));
    generate(&mut state, "a fox");
    generate(&mut state, "a cat");
    update(&mut state, Action::History(HistoryAction::Show(1)));
    let ticket = state.jobs.jobs[0].ticket;
    apply(&mut state, Incoming::Refused { ticket, error: EngineError::Cancelled });
    assert_eq!(state.canvas.shown, Shown::Result(1));
}

#[test]
fn the_time_left_is_measured_while_painting() {
    use atelier::state::StepsSeen;
    use atelier_engine::protocol::{Live, Stage};

    let mut state = AppState::default();
    generate(&mut state, "a fox");
    state.jobs.clock_secs = 3.0;
    let job = &mut state.jobs.jobs[0];
    job.phase = JobPhase::Running;
    job.started_secs = Some(0.0);
    job.live = Live { stage: Stage::Sampling, steps: Some([6, 20]), ..Live::default() };
    job.steps_seen = Some(StepsSeen { first: (0.5, 1), last: (3.0, 6), total: 20 });
    // Five steps took 2.5 s, so the other fourteen take 7 s.
    let left = state.jobs.secs_left().unwrap_or_default();
    assert!((left - 7.0).abs() < 1e-9, "{left}");
}

#[test]
fn which_model_left_memory_for_which_is_said_in_both_languages() {
    use atelier::i18n::Language;
    use atelier_engine::protocol::{Event, JobId, Notice, Output, PictureOutput};

    for (language, said) in [
        (Language::English, "big-writer left memory to make room for house-picture"),
        (Language::Chinese, "已卸下 big-writer，为 house-picture 腾出内存"),
    ] {
        let mut state = AppState::default();
        state.settings.language = language;
        generate(&mut state, "a fox");
        let Ok(job) = serde_json::from_str::<JobId>("7") else { panic!("a number is a job") };
        let ticket = state.jobs.jobs[0].ticket;
        apply(&mut state, Incoming::Accepted { ticket, job });
        apply(&mut state, Incoming::Engine(Event::Started(job)));
        let names = vec!["/models/big-writer".to_owned()];
        let notices = vec![Notice::MadeRoom { names }];
        let output = PictureOutput { pictures: Vec::new(), notices, latents: None };
        let done = Event::Finished(job, Output::Picture(output));
        apply(&mut state, Incoming::Engine(done));
        assert_eq!(state.messages.toasts[0].text, said);
    }
}
