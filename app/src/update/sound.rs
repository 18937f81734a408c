//! What follows from what is done in the sound room, and from the jobs that make sound.

use atelier_engine::protocol::{Event, ModelRef, Output, Partial, Request, Sound};

use super::{Effect, ask, say_error};
use crate::action::SoundAction;
use crate::state::AppState;

/// The name of the model that composes.
const HOUSE_COMPOSER: &str = "house-composer";

pub(super) fn update_sound(state: &mut AppState, action: SoundAction) -> Vec<Effect> {
    match action {
        SoundAction::SetText(text) => state.sound.text = text,
        SoundAction::Compose => {
            if state.sound.text.trim().is_empty() {
                say_error(state, &atelier_engine::EngineError::EmptyPrompt);
                return Vec::new();
            }
            if !state.sound.seed.locked {
                state.sound.seed.roll();
            }
            let model = ModelRef::named(HOUSE_COMPOSER);
            let request = state.sound.request(model, state.settings.device);
            return ask(state, Request::Sound(Box::new(request))).1;
        }
    }
    Vec::new()
}

/// Takes in what the engine says of a job that makes sound; ending the job is the caller's part.
pub(super) fn apply_sound(state: &mut AppState, event: &Event) -> Vec<Effect> {
    match event {
        Event::Partial(_, Partial::Sound(sound)) => keep(state, sound),
        Event::Finished(_, Output::Sound(output)) => keep(state, &output.sound),
        _ => {}
    }
    Vec::new()
}

fn keep(state: &mut AppState, sound: &Sound) {
    state.sound.piece = Some(sound.clone());
}
