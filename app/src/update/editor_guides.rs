//! What control layers say to a model, and what is told of layers that say nothing.

use atelier_engine::canvas::{Document, Guiding, Layer, LayerId, LayerKind};
use atelier_engine::protocol::{ControlUse, ModelRef, PictureFile, PictureRequest};

use crate::i18n::Text;
use crate::state::{AppState, MessageKind};

/// Returns why a visible layer has no effect on what is painted; `None` where it has one, or is part of
/// the picture.
pub(crate) fn without_effect(state: &AppState, layer: &Layer) -> Option<Text> {
    let pictures = &state.models.pictures;
    match layer.kind {
        LayerKind::Reference => Some(Text::ReferenceUnread),
        LayerKind::Control if pictures.chosen().is_none() => Some(Text::ControlNeedsModel),
        LayerKind::Control if pictures.found.controls.is_empty() => Some(Text::ControlNeedsNet),
        LayerKind::Control => match layer.guiding.as_ref().and_then(|one| one.model.as_ref()) {
            None => Some(Text::ControlNeedsChoice),
            Some(model) => {
                let mut found = pictures.found.controls.iter();
                let is_there = found.any(|entry| entry.path.to_string_lossy() == *model);
                (!is_there).then_some(Text::ControlNetGone)
            }
        },
        _ => None,
    }
}

/// Hands the visible control layers of a document to a request, and says which layers have no effect and
/// why. Returns the layers whose pictures are to be written for it, in the order of its ControlNets.
pub(super) fn guide(
    state: &mut AppState,
    request: &mut PictureRequest,
    document: &Document,
) -> Vec<LayerId> {
    // A recipe that is run again has those of its own time.
    request.extras.controls.retain(|control| !control.over_source);
    let mut guides = Vec::new();
    let mut said = Vec::new();
    let is_asked = |layer: &&Layer| {
        layer.is_visible && matches!(layer.kind, LayerKind::Control | LayerKind::Reference)
    };
    for layer in document.layers.iter().filter(is_asked) {
        match (without_effect(state, layer), &layer.guiding) {
            (Some(reason), _) if !said.contains(&reason) => said.push(reason),
            (None, Some(guiding)) => {
                request.extras.controls.extend(control_of(guiding));
                guides.push(layer.id);
            }
            _ => {}
        }
    }
    let (language, now) = (state.settings.language, state.jobs.clock_secs);
    for reason in said {
        let text = language.get(reason).to_owned();
        state.messages.show(now, MessageKind::Note, text, String::new(), None);
    }
    guides
}

/// Makes of a layer's settings what a request says; the desk names the file once it is written.
fn control_of(guiding: &Guiding) -> Option<ControlUse> {
    Some(ControlUse {
        model: ModelRef::named(guiding.model.as_ref()?),
        picture: PictureFile::at(""),
        over_source: true,
        hint: guiding.hint,
        strength: f32::from(guiding.percent) / 100.0,
        between: guiding.between_percent.map(|percent| f32::from(percent.min(100)) / 100.0),
    })
}
