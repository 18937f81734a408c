//! Models of the Stable Diffusion family: which one paints, and with what beside it.

use std::path::PathBuf;

use atelier_engine::library::{PictureDefaults, ShelfEntry};
use atelier_engine::protocol::{
    ControlUse, Extras, HintKind, LoraUse, ModelChoice, ModelRef, PictureFile, PictureRequest, Size,
};

use super::{Effect, LibraryTask, say_error};
use crate::action::ModelsAction;
use crate::state::{AppState, FoundModels, PromptReading};

/// The strengths that a LoRA can be given in the window.
pub const LORA_RANGE: [f32; 2] = [-1.0, 2.0];
/// The strengths that a ControlNet can be given.
pub const CONTROL_RANGE: [f32; 2] = [0.0, 2.0];

/// Does what a person asked for.
pub(super) fn update_models(state: &mut AppState, action: ModelsAction) -> Vec<Effect> {
    match action {
        ModelsAction::Choose(path) => return choose(state, path),
        ModelsAction::SetVariant(variant) => {
            return say_of_model(state, |choice| choice.variant = variant);
        }
        ModelsAction::SetPrediction(prediction) => {
            return say_of_model(state, |choice| choice.prediction = prediction);
        }
        ModelsAction::PickFolder => return vec![Effect::PickModelFolder],
        ModelsAction::AddFolder(folder) => {
            let folders = &mut state.models.pictures.folders;
            if !folders.contains(&folder) {
                folders.push(folder);
            }
            return search(state);
        }
        ModelsAction::RemoveFolder(folder) => {
            state.models.pictures.folders.retain(|other| *other != folder);
            return search(state);
        }
        ModelsAction::PickControlPicture => return vec![Effect::PickControlPicture],
        ModelsAction::SetPrecision(precision) => state.prompt.precision = precision,
        ModelsAction::SetSchedule(schedule) => state.prompt.sampling.schedule = schedule,
        action => update_extras(&mut state.prompt.extras, action),
    }
    Vec::new()
}

fn update_extras(extras: &mut Extras, action: ModelsAction) {
    let named = |path: PathBuf| ModelRef::named(path.to_string_lossy());
    match action {
        ModelsAction::AddLora(path) => {
            let model = named(path);
            if extras.loras.iter().all(|lora| lora.model.name != model.name) {
                extras.loras.push(LoraUse { model, unet: 1.0, text: 1.0 });
            }
        }
        ModelsAction::SetLora(index, strength) => {
            if let Some(lora) = extras.loras.get_mut(index)
                && strength.is_finite()
            {
                let [least, most] = LORA_RANGE;
                lora.unet = strength.clamp(least, most);
                lora.text = lora.unet;
            }
        }
        ModelsAction::RemoveLora(index) if index < extras.loras.len() => {
            extras.loras.remove(index);
        }
        ModelsAction::SetVae(path) => extras.vae = path.map(named),
        ModelsAction::SetControl(None) => extras.controls.clear(),
        ModelsAction::SetControl(Some(path)) => {
            let hint = hint_of(&path.to_string_lossy());
            let model = named(path);
            match extras.controls.first_mut() {
                Some(control) => (control.model, control.hint) = (model, hint),
                None => extras.controls.push(ControlUse {
                    model,
                    picture: PictureFile::at(PathBuf::new()),
                    over_source: false,
                    hint,
                    strength: 1.0,
                    between: [0.0, 1.0],
                }),
            }
        }
        ModelsAction::SetControlPicture(path) => {
            if let Some(control) = extras.controls.first_mut() {
                control.picture = PictureFile::at(path);
            }
        }
        ModelsAction::SetHint(hint) => {
            if let Some(control) = extras.controls.first_mut() {
                control.hint = hint;
            }
        }
        ModelsAction::SetControlStrength(strength) => {
            if let Some(control) = extras.controls.first_mut()
                && strength.is_finite()
            {
                let [least, most] = CONTROL_RANGE;
                control.strength = strength.clamp(least, most);
            }
        }
        ModelsAction::SetClipSkip(skip) => extras.clip_skip = skip.map(|skip| skip.clamp(1, 12)),
        _ => {}
    }
}

/// Guesses by a ControlNet's name what it reads.
pub fn hint_of(name: &str) -> HintKind {
    let name = name.to_lowercase();
    let kinds = [HintKind::Canny, HintKind::Scribble, HintKind::Tile];
    kinds.into_iter().find(|kind| name.contains(kind.id())).unwrap_or_default()
}

/// Chooses the model that paints, with the size and the sampler that it was made for.
fn choose(state: &mut AppState, path: Option<PathBuf>) -> Vec<Effect> {
    let pictures = &mut state.models.pictures;
    if pictures.chosen == path {
        return Vec::new();
    }
    pictures.chosen = path;
    state.prompt.extras.prediction = pictures.choice().prediction;
    let defaults = state.model_defaults();
    let (pictures, prompt) = (&state.models.pictures, &mut state.prompt);
    let shape = [prompt.size.width_px, prompt.size.height_px];
    prompt.size = fitted(defaults, shape);
    prompt.sampling = defaults.sampling;
    if pictures.chosen.is_some() {
        prompt.styles.clear();
    } else {
        prompt.extras = Extras::default();
    }
    prompt.unknown = state.models.unknown_words(&prompt.text);
    vec![Effect::SaveSettings]
}

/// Remembers what a person says about the chosen model, and sets anew what follows from it: only that,
/// so that settings which are the same either way stay as the person has them.
fn say_of_model(state: &mut AppState, say: impl Fn(&mut ModelChoice)) -> Vec<Effect> {
    let Some((kind, path)) =
        state.models.pictures.chosen().map(|model| (model.kind, model.path.clone()))
    else {
        return Vec::new();
    };
    let before = state.model_choice();
    let mut after = before;
    say(&mut after);
    if let Err(error) = kind.check(after) {
        say_error(state, &error);
        return Vec::new();
    }
    let choices = &mut state.models.pictures.choices;
    let mut known = choices.remove(&path).unwrap_or_default();
    say(&mut known);
    if !known.is_automatic() {
        choices.insert(path, known);
    }
    let defaults = |choice| PictureDefaults::of_kind(&kind, choice);
    let (old, new) = (defaults(before), defaults(after));
    let prompt = &mut state.prompt;
    prompt.extras.prediction = after.prediction;
    if new.size != old.size {
        prompt.size = fitted(new, [prompt.size.width_px, prompt.size.height_px]);
    }
    if new.sampling != old.sampling {
        prompt.sampling = new.sampling;
    }
    vec![Effect::SaveSettings]
}

/// Returns the size of a model's own area that has a shape, on its grid.
pub fn fitted(defaults: PictureDefaults, [width, height]: [u32; 2]) -> Size {
    let area = f64::from(defaults.size.width_px) * f64::from(defaults.size.height_px);
    let ratio = f64::from(width.max(1)) / f64::from(height.max(1));
    let grid = f64::from(defaults.grid_px);
    let side = |length: f64| ((length / grid).round().max(1.0) * grid) as u32;
    Size { width_px: side((area * ratio).sqrt()), height_px: side((area / ratio).sqrt()) }
}

/// Has the folders looked through.
fn search(state: &mut AppState) -> Vec<Effect> {
    state.models.pictures.searching = true;
    let folders = state.models.pictures.folders.clone();
    vec![Effect::Library(LibraryTask::FindModels(folders)), Effect::SaveSettings]
}

/// Takes in what was found.
pub(super) fn take_found(state: &mut AppState, found: FoundModels) -> Vec<Effect> {
    let pictures = &mut state.models.pictures;
    (pictures.found, pictures.searching) = (found, false);
    // Other LoRAs may be known now.
    pictures.asked = None;
    if pictures.chosen.is_some() && pictures.chosen().is_none() {
        // Its folder is gone: the house model paints, and the settings are its own.
        return choose(state, None);
    }
    if pictures.chosen().is_some() {
        // The settings of the last time are for another size; the model's own come first.
        let defaults = state.model_defaults();
        if state.prompt.size.width_px < 512 && defaults.size.width_px >= 512 {
            state.prompt.size = defaults.size;
            state.prompt.sampling = defaults.sampling;
        }
    }
    Vec::new()
}

/// Has the prompt read as the chosen model reads it, once for each text, whoever wrote it; the house
/// model needs no such reading. To be called after every change.
pub(super) fn read_prompt(state: &mut AppState) -> Option<Effect> {
    let pictures = &mut state.models.pictures;
    let (text, steps) = (&state.prompt.text, state.prompt.sampling.steps);
    if pictures.chosen.is_none() {
        pictures.asked = None;
        return None;
    }
    if pictures.asked.as_ref().is_some_and(|asked| asked.0 == *text && asked.1 == steps) {
        return None;
    }
    pictures.asked = Some((text.clone(), steps));
    Some(Effect::Library(LibraryTask::ReadPrompt { text: text.clone(), steps }))
}

/// Takes in how the prompt is read, unless it has changed since.
pub(super) fn take_reading(state: &mut AppState, reading: PromptReading) {
    if reading.text == state.prompt.text {
        state.models.pictures.reading = reading;
    }
}

/// Chooses the model of a recipe where it is among those that were found, and takes what stands
/// beside it as far as that was found too: a recipe opens no place on this computer.
pub(super) fn take_model(state: &mut AppState, recipe: &PictureRequest) -> Vec<Effect> {
    let found = &state.models.pictures.found;
    let path = PathBuf::from(&recipe.model.name);
    let chosen = found.models.iter().any(|model| model.path == path).then_some(path);
    let is_known = |model: &ModelRef, shelf: &[ShelfEntry]| {
        shelf.iter().any(|entry| entry.path.to_string_lossy() == model.name)
    };
    let mut extras = recipe.extras.clone();
    extras.loras.retain(|lora| is_known(&lora.model, &found.loras));
    extras.vae = extras.vae.filter(|vae| is_known(vae, &found.vaes));
    // Those of layers stand in the layers.
    extras
        .controls
        .retain(|control| !control.over_source && is_known(&control.model, &found.controls));
    extras.controls.truncate(1);
    for control in &mut extras.controls {
        control.picture = PictureFile::at(PathBuf::new());
    }
    extras.embeddings.clear();
    extras.source = None;
    let effects = choose(state, chosen.clone());
    state.prompt.extras = if chosen.is_some() { extras } else { Extras::default() };
    effects
}
