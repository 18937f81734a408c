//! What is generated for the picture that is being edited: requests, candidates, and their answers.

use std::sync::Arc;

use atelier_engine::canvas::{Area, Combine, Document, Layer, LayerKind, Tiles, combine, shift};
use atelier_engine::library::HOUSE_UPSCALER;
use atelier_engine::pipelines::picture::nearest_size;
use atelier_engine::protocol::{
    CutOutRequest, EnlargeRequest, Extras, Picture, PictureRequest, Pixels, Refine, Region,
    RegionMode, Request, Size, Source,
};
use atelier_engine::store::projects::{EditKind, NodeId};

use super::editor::{arrive, begin_comparing, cancel_gesture, commit, go_to, outline_again};
use super::editor_guides::guide;
use super::editor_object;
use super::editor_pen::alpha_of;
use super::project_effect::{Change, JobPurpose, Made, Preparation, ProjectNews, ProjectTask};
use super::{Effect, ask, say, say_error};
use crate::action::StagingAction;
use crate::i18n::Text;
use crate::state::editor::{Comparing, Editor, ProjectInfo, StageJob, Staging};
use crate::state::{AppState, MessageKind, Remedy, Thumbnail, View};

/// Documents of at most so many pixels are read whole; of larger ones the surroundings of the
/// selection.
const WHOLE_PX: u64 = 1 << 20;

/// How many times larger a candidate becomes that is enlarged and painted over.
const REFINED_TIMES: u32 = 2;

/// How far a variation of the whole picture leaves it unless the person says otherwise.
const VARIATION: f32 = 0.6;

/// Asks for what is described in the prompt: into the selection, or for the whole picture.
pub(super) fn generate(state: &mut AppState) -> Vec<Effect> {
    if let Some(editor) = state.canvas.editor.as_deref_mut() {
        cancel_gesture(editor);
    }
    let request = state.prompt.request(super::model_ref(state), state.settings.device);
    let Some(editor) = state.canvas.editor.as_deref() else { return Vec::new() };
    let document = editor.document.clone();
    let (mode, strength) = (editor.tools.region_mode, editor.tools.strength);
    let mut effects = note_settings(state, &request);
    effects.extend(prepare(state, request, document, (mode, strength)));
    effects
}

/// Makes an edit of the prompt and the settings, where they are others than those noted last.
fn note_settings(state: &mut AppState, request: &PictureRequest) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    let settings = settings_of(request);
    if editor.noted.as_deref() == Some(&settings) {
        return Vec::new();
    }
    editor.noted = Some(Box::new(settings.clone()));
    let words = settings.prompt.with_styles();
    commit(state, EditKind::Setting, &words, Some(settings))
}

/// Returns a request without what differs from run to run.
fn settings_of(request: &PictureRequest) -> PictureRequest {
    PictureRequest { seed: 0, ..request.clone() }
}

/// Takes the prompt and the settings of an edit that the person went to, unless they wrote something
/// since that no edit has.
fn take_settings(state: &mut AppState, recipe: PictureRequest, by_hand: bool) -> Vec<Effect> {
    let request = state.prompt.request(super::model_ref(state), state.settings.device);
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    let is_noted = editor.noted.as_deref() == Some(&settings_of(&request));
    editor.noted = Some(Box::new(settings_of(&recipe)));
    if !is_noted && !by_hand {
        return Vec::new();
    }
    let seed = state.prompt.seed.clone();
    let effects = super::take_recipe(state, &recipe);
    state.prompt.seed = seed;
    effects
}

/// Completes a request for a document.
fn prepare(
    state: &mut AppState,
    mut request: PictureRequest,
    mut document: Document,
    (mode, strength): (RegionMode, f32),
) -> Vec<Effect> {
    if document.selection.is_none() {
        document.selection = masked(&document);
    }
    let has_picture = document.layers.iter().any(|one| one.shows() && !one.pixels.is_empty());
    let reads = if has_picture { Some(reading_area(&document)) } else { None };
    if reads.is_some() {
        let is_whole = document.selection.is_none();
        // With a strength of 1 nothing of the picture would be left.
        let strength = if is_whole && strength >= 1.0 { VARIATION } else { strength };
        // The files are named by the desk once they are written.
        let region = Some(Region { mode, ..Region::default() });
        request.extras.source = Some(Source { region, ..Source::new("", strength) });
    } else {
        request.size = model_size(state, document.size);
    }
    if reads.is_some() {
        request.size = model_size(state, request.size);
    }
    let guides = guide(state, &mut request, &document);
    let request = Request::Picture(Box::new(request));
    let purpose = JobPurpose::Paint;
    let from = head_of(state);
    let preparation = Preparation { purpose, from, document, request, reads, guides, place: None };
    vec![Effect::Project(ProjectTask::Prepare(Box::new(preparation)))]
}

/// Returns the edit that the person is at.
fn head_of(state: &AppState) -> Option<NodeId> {
    state.canvas.editor.as_deref().and_then(|editor| editor.trail.head())
}

/// Returns what the visible mask layers cover; `None` where there are none, or they are empty.
fn masked(document: &Document) -> Option<Tiles<1>> {
    let is_mask = |layer: &&Layer| layer.kind == LayerKind::Mask && layer.is_visible;
    let masks = document.layers.iter().filter(is_mask);
    let alphas = masks.map(|layer| alpha_of(&layer.pixels, document.area()));
    let all = alphas.reduce(|all, one| combine(&all, &one, Combine::Add));
    all.filter(|all| !all.is_empty())
}

/// Returns the size that the chosen model paints and that is nearest in shape.
fn model_size(state: &AppState, size: Size) -> Size {
    match state.models.pictures.chosen() {
        Some(_) => super::fitted(state.model_defaults(), [size.width_px, size.height_px]),
        None => nearest_size(size),
    }
}

/// Returns what of a document is read for painting what is selected: all of a small one, of a large
/// one the selection with as much again around it.
fn reading_area(document: &Document) -> Area {
    let whole = document.area();
    let bounds = document.selection.as_ref().and_then(Tiles::bounds);
    match bounds {
        Some(bounds) if whole.pixels() > WHOLE_PX => {
            let side = bounds.width_px.max(bounds.height_px).max(512);
            bounds.grown(i32::try_from(side).unwrap_or(i32::MAX)).intersect(whole)
        }
        _ => whole,
    }
}

/// Runs what was generated at an edit once more, with a new seed, from the document before it.
pub(super) fn run_again(state: &mut AppState, id: NodeId) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref() else { return Vec::new() };
    let Some(parent) = editor.trail.parent(id) else { return Vec::new() };
    let mut effects = go_to(state, parent);
    effects.push(Effect::Project(ProjectTask::ReadRecipe { node: id, parent }));
    effects
}

/// Enlarges the document, by the house's net. Where that is wished it is painted over: by the recipe of
/// the candidate that it is, or by what is described in the prompt.
pub(super) fn enlarge(
    state: &mut AppState,
    times: u32,
    candidate: Option<PictureRequest>,
) -> Vec<Effect> {
    let prompt = state.prompt.request(super::model_ref(state), state.settings.device);
    let Some(editor) = state.canvas.editor.as_deref() else { return Vec::new() };
    let document = editor.document.clone();
    let mut request = EnlargeRequest::new("", HOUSE_UPSCALER, times as f32);
    request.device = state.settings.device;
    request.precision = state.prompt.precision;
    let refining = editor.tools.refining;
    if refining.is_on || candidate.is_some() {
        let by = candidate.as_ref().unwrap_or(&prompt);
        let mut extras = Extras { source: None, controls: Vec::new(), ..by.extras.clone() };
        extras.memory = prompt.extras.memory;
        request.refine = Some(Box::new(Refine {
            model: Some(by.model.clone()),
            prompt: Some(by.prompt.clone()),
            // The house model has its own way of painting over.
            sampling: state.models.pictures.chosen().map(|_| by.sampling),
            seed: Some(by.seed),
            extras,
            ..Refine::new(refining.strength)
        }));
    }
    // Of a picture that was painted as a whole the model knows where its things stand.
    let is_whole =
        |one: &PictureRequest| one.extras.source.as_ref().is_none_or(|one| one.mask.is_none());
    request.source =
        candidate.filter(is_whole).map(|one| Box::new(Request::Picture(Box::new(one))));
    read_whole(state, JobPurpose::Enlarge, document, Request::Enlarge(Box::new(request)))
}

/// Asks for a job that reads all of the document.
pub(super) fn read_whole(
    state: &AppState,
    purpose: JobPurpose,
    document: Document,
    request: Request,
) -> Vec<Effect> {
    let reads = Some(document.area());
    let (from, guides) = (head_of(state), Vec::new());
    let preparation = Preparation { purpose, from, document, request, reads, guides, place: None };
    vec![Effect::Project(ProjectTask::Prepare(Box::new(preparation)))]
}

/// Cuts the subject out of the picture, by the house's net.
pub(super) fn cut_out(state: &mut AppState) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref() else { return Vec::new() };
    let document = editor.document.clone();
    let mut request = CutOutRequest::new("");
    request.device = state.settings.device;
    request.precision = state.prompt.precision;
    read_whole(state, JobPurpose::CutOut, document, Request::CutOut(Box::new(request)))
}

/// Cuts what is selected out of the picture.
pub(super) fn cut_selection(state: &mut AppState) -> Vec<Effect> {
    let name = state.settings.language.get(Text::EditCutOut).to_owned();
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    if editor.document.selection.is_none() {
        say_error(state, &super::editor_layers::nothing_selected());
        return Vec::new();
    }
    if editor.is_changing {
        return Vec::new();
    }
    editor_object::forget(editor);
    let document = editor.document.clone();
    super::editor_shape::ask_change(state, document, Change::CutSelection(name))
}

/// Asks where the picture is to be saved.
pub(super) fn export(state: &mut AppState) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref() else { return Vec::new() };
    let document = Box::new(editor.document.clone());
    let name = format!("{}.png", editor.project.name);
    vec![Effect::ExportPicture { document, name }]
}

/// Hands a request that is complete to the engine.
fn submit(state: &mut AppState, prepared: Preparation) -> Vec<Effect> {
    let Preparation { purpose, from, document, request, reads, place, .. } = prepared;
    let (ticket, effects) = ask(state, request);
    if let Some(editor) = state.canvas.editor.as_deref_mut() {
        if purpose == JobPurpose::FindObject {
            editor_object::note_job(editor, ticket);
        }
        let job = StageJob { ticket, purpose, from, base: document, reads, place };
        editor.staging.jobs.push(job);
    }
    effects
}

/// Takes a picture that a job of the editor made; `true` when it was one of its jobs.
pub(super) fn take_made(
    state: &mut AppState,
    ticket: u64,
    picture: &Picture,
    effects: &mut Vec<Effect>,
) -> bool {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return false };
    let Some(job) = editor.staging.jobs.iter().find(|job| job.ticket == ticket) else {
        return false;
    };
    let words = picture.recipe.prompt.with_styles();
    let made = Made {
        purpose: job.purpose,
        from: job.from,
        base: job.base.clone(),
        reads: job.reads,
        picture: picture.pixels.clone(),
        recipe: Some(picture.recipe.clone()),
        name: crate::widgets::elide(&words, 40),
    };
    effects.push(Effect::Project(ProjectTask::Stage(Box::new(made))));
    true
}

/// Takes a picture without a recipe of its own that a job of the editor made: enlarged, or cut out.
pub(super) fn take_remade(
    state: &mut AppState,
    ticket: u64,
    picture: &Arc<Pixels>,
    effects: &mut Vec<Effect>,
) {
    let language = state.settings.language;
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return };
    let Some(job) = editor.staging.jobs.iter().find(|job| job.ticket == ticket) else { return };
    let name = match job.purpose {
        JobPurpose::CutOut => Text::EditCutOut,
        _ => Text::LayerPicture,
    };
    let made = Made {
        purpose: job.purpose,
        from: job.from,
        base: job.base.clone(),
        reads: job.reads,
        picture: picture.clone(),
        recipe: None,
        name: language.get(name).to_owned(),
    };
    effects.push(Effect::Project(ProjectTask::Stage(Box::new(made))));
}

/// Forgets a job that ended.
pub(super) fn end_job(state: &mut AppState, ticket: u64) {
    if let Some(editor) = state.canvas.editor.as_deref_mut() {
        editor.staging.jobs.retain(|job| job.ticket != ticket);
        editor_object::end(editor, Some(ticket));
    }
}

pub(super) fn update_staging(state: &mut AppState, action: StagingAction) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
    let staging = &mut editor.staging;
    let count = staging.candidates.len();
    if let (StagingAction::Compare(comparing), Some(_)) = (action, &editor.compared) {
        staging.comparing = comparing;
    }
    if count == 0 {
        return Vec::new();
    }
    match action {
        StagingAction::Step(by) => {
            let place = (staging.shown as i64 + i64::from(by)).rem_euclid(count as i64);
            staging.shown = place as usize;
        }
        StagingAction::Compare(comparing) => staging.comparing = comparing,
        StagingAction::Discard => {
            staging.candidates.remove(staging.shown.min(count - 1));
            staging.shown = staging.shown.min(count.saturating_sub(2));
        }
        StagingAction::DiscardAll => {
            *staging = Staging { jobs: std::mem::take(&mut staging.jobs), ..Staging::default() };
        }
        StagingAction::Accept => {
            let candidate = staging.candidates.remove(staging.shown.min(count - 1));
            *staging = Staging { jobs: std::mem::take(&mut staging.jobs), ..Staging::default() };
            editor.document = candidate.document;
            // What was asked for is there; what comes next is chosen anew.
            editor.document.selection = None;
            outline_again(editor);
            let words = candidate.recipe.prompt.with_styles();
            return commit(state, EditKind::Generated, &words, Some(candidate.recipe));
        }
        StagingAction::Refine => {
            let recipe = staging.candidates[staging.shown.min(count - 1)].recipe.clone();
            // It is an edit of its own before anything is painted over it.
            let mut effects = update_staging(state, StagingAction::Accept);
            effects.extend(enlarge(state, REFINED_TIMES, Some(recipe)));
            return effects;
        }
    }
    Vec::new()
}

/// Takes a picture file that was read: as layers of the picture that is edited, or to be edited.
fn take_file(state: &mut AppState, name: &str, document: Document) -> Vec<Effect> {
    let Some(editor) = state.canvas.editor.as_deref_mut() else {
        return super::editor::begin(state, &super::plain_name(name, "picture"), document);
    };
    // A picture alone comes to lie in the middle, layers as they lay.
    let middle = |all: u32, one: u32| ((i64::from(all) - i64::from(one)) / 2) as i32;
    let (here, there) = (editor.document.size, document.size);
    let by = match document.layers.len() {
        1 => [middle(here.width_px, there.width_px), middle(here.height_px, there.height_px)],
        _ => [0, 0],
    };
    for layer in document.layers {
        match editor.document.add_layer(layer.name.clone(), layer.kind) {
            Ok(id) => {
                if let Some(made) = editor.document.layer_mut(id) {
                    let pixels = shift(&layer.pixels, by);
                    *made = Layer { id, pixels, ..layer };
                }
            }
            Err(error) => {
                say_error(state, &error);
                return Vec::new();
            }
        }
    }
    commit(state, EditKind::Placed, name, None)
}

/// Takes in what the desk that keeps projects answers.
pub(super) fn apply_project(state: &mut AppState, news: ProjectNews) -> Vec<Effect> {
    let language = state.settings.language;
    let now = state.jobs.clock_secs;
    match news {
        ProjectNews::Opened(opened) => {
            state.canvas.reopen = Some(opened.path.clone());
            let project = ProjectInfo {
                name: opened.name,
                path: Some(opened.path),
                is_read_only: opened.is_read_only,
                unsaved: 0,
            };
            let mut editor = Editor::around(opened.document, opened.trail, project);
            outline_again(&mut editor);
            state.canvas.editor = Some(Box::new(editor));
            if opened.is_read_only {
                say(state, MessageKind::Note, Text::ProjectReadOnly);
            }
            let mut effects = super::enter(state, crate::state::Room::Pictures);
            effects.push(Effect::SaveSettings);
            return effects;
        }
        ProjectNews::File(name, document) => return take_file(state, &name, *document),
        ProjectNews::Pasted(mut document) => {
            let name = language.get(Text::LayerPasted);
            for layer in &mut document.layers {
                name.clone_into(&mut layer.name);
            }
            let mut effects = super::enter(state, crate::state::Room::Pictures);
            effects.extend(take_file(state, name, *document));
            return effects;
        }
        ProjectNews::Copied(picture) => {
            say(state, MessageKind::Done, Text::Copied);
            return vec![Effect::CopyPicture(picture)];
        }
        ProjectNews::Listed(entries) => state.canvas.projects = entries,
        ProjectNews::Forgotten(places) => {
            let shown = crate::widgets::elide(&places.join(", "), 200);
            let text = language.get(Text::PlacesForgotten).to_owned();
            state.messages.show(now, MessageKind::Note, text, shown, None);
        }
        ProjectNews::NotOpened(error) => {
            // It is not tried again at every start.
            state.canvas.reopen = None;
            say_error(state, &error);
            return vec![Effect::SaveSettings];
        }
        ProjectNews::Failed(error) => {
            if let Some(editor) = state.canvas.editor.as_deref_mut() {
                editor.is_changing = false;
                editor_object::end(editor, None);
            }
            say_error(state, &error);
        }
        ProjectNews::Selected(selected) => return editor_object::select(state, *selected),
        ProjectNews::Exported(path) => {
            let text = language.fill(Text::Saved, &[&super::file_name(&path)]);
            let remedy = Some(Remedy::OpenFolder(path));
            state.messages.show(now, MessageKind::Done, text, String::new(), remedy);
        }
        ProjectNews::Recipe(mut recipe, document) => {
            state.prompt.seed.roll();
            recipe.seed = state.prompt.seed.value;
            recipe.count = 1;
            let source = recipe.extras.source.take();
            let mode = source.as_ref().and_then(|source| source.region).map(|region| region.mode);
            let strength = source.map_or(1.0, |source| source.strength);
            return prepare(state, *recipe, *document, (mode.unwrap_or_default(), strength));
        }
        ProjectNews::Setting { recipe, by_hand } => {
            return take_settings(state, *recipe, by_hand);
        }
        ProjectNews::Prepared(prepared) => return submit(state, *prepared),
        ProjectNews::Unsaved(error) => {
            say_error(state, &error);
        }
        news => {
            let Some(editor) = state.canvas.editor.as_deref_mut() else { return Vec::new() };
            match news {
                ProjectNews::Created(path) => {
                    editor.project.path = Some(path.clone());
                    state.canvas.reopen = Some(path);
                    return vec![Effect::SaveSettings];
                }
                ProjectNews::Saved(_) => {
                    editor.project.unsaved = editor.project.unsaved.saturating_sub(1);
                }
                ProjectNews::Compared(id, document) => begin_comparing(editor, id, *document),
                ProjectNews::Changed { from, kind, document } => {
                    editor.is_changing = false;
                    editor.reshaping = None;
                    // Who went elsewhere meanwhile stays there.
                    if editor.trail.head() != from {
                        return Vec::new();
                    }
                    if editor.document.size != document.size {
                        editor.view = View::Fit;
                    }
                    editor.document = *document;
                    outline_again(editor);
                    return commit(state, kind, "", None);
                }
                ProjectNews::Document(id, document) if editor.awaited == Some(id) => {
                    arrive(editor, id, *document);
                    return vec![Effect::Project(ProjectTask::GoTo(id))];
                }
                ProjectNews::Thumbnail(id, pixels) => {
                    let thumbnail = pixels.map_or(Thumbnail::Unknown, Thumbnail::Ready);
                    editor.set_thumbnail(id, thumbnail);
                }
                ProjectNews::Candidate(candidate) => {
                    let node = editor.keep_candidate(&candidate, super::editor::now_ms());
                    editor.staging.candidates.push(*candidate);
                    // Who looks at one is not taken away from it.
                    if editor.staging.candidates.len() == 1 {
                        editor.staging.shown = 0;
                        editor.staging.comparing = Comparing::Off;
                    }
                    return vec![Effect::Project(ProjectTask::Add(Box::new(node)))];
                }
                ProjectNews::Remade(purpose, document) => {
                    editor.document = *document;
                    editor.view = View::Fit;
                    // Candidates were made for another document.
                    editor.staging.candidates.clear();
                    outline_again(editor);
                    let kind = match purpose {
                        JobPurpose::CutOut => EditKind::CutOut,
                        _ => EditKind::Enlarged,
                    };
                    return commit(state, kind, "", None);
                }
                _ => {}
            }
        }
    }
    Vec::new()
}
