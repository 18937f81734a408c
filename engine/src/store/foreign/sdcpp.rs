//! stable-diffusion.cpp: AUTOMATIC1111's text with quirks of its own.

use super::{ForeignSettings, model, samplers};
use crate::protocol::SamplerKind;

/// Mends what stands otherwise than in AUTOMATIC1111's text.
///
/// # Source
/// `get_image_params` of stable-diffusion.cpp's `main.cpp`.
pub(super) fn mend(settings: &mut ForeignSettings) {
    // Of models in parts only the net is named, elsewhere.
    if settings.model.is_none() {
        let net = settings.other.iter().find(|(key, _)| key == "Unet");
        settings.model = net.and_then(|(_, name)| model(name, None));
    }
    // It writes 0 for samplers that it does not ask for an eta.
    let kind = settings.sampling.sampler.as_deref().map(|name| samplers::sampler(name).0.kind());
    if !matches!(kind, Some(SamplerKind::Ddim | SamplerKind::Tcd)) {
        settings.sampling.eta = None;
    }
    let skipped = settings.other.iter().find(|(key, _)| key == "Skip layers");
    if let Some((_, layers)) = skipped.filter(|(_, layers)| layers.contains(char::is_numeric)) {
        let layers = super::quote(layers.trim_matches(['[', ']', ' ', ',']));
        settings.say(format!("Skipping the layers {layers} for guidance has no counterpart here"));
    }
    if settings.other.iter().any(|(key, _)| key == "TE") {
        settings.say("The text encoders that were chosen apart from the model are not kept");
    }
}
