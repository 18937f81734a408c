//! From what another program says to a request of ours, and what of it cannot be honoured.

use crate::protocol::{
    DeviceChoice, Extras, LoraUse, ModelRef, NoiseSource, PictureRequest, Precision, PreviewMode,
    Prompt, SamplerKind, Sampling, ScheduleKind, Size,
};

use super::samplers::{self, Match};
use super::{ForeignSettings, Program, quote};

/// The ranges that a request has (`protocol::sampling`, `pipelines::diffusion`).
const STEPS_MAX: u32 = 150;
const GUIDANCE_MAX: f32 = 30.0;
const CLIP_SKIP_MAX: u32 = 12;
const LORA_MAX: f32 = 100.0;
const FILES_MAX: usize = 32;

/// Stands for a model whose name is not known; no file can have it.
const UNKNOWN_MODEL: &str = "";

/// Finds the sampler and the schedule of settings.
fn sampling_kinds(settings: &ForeignSettings) -> (Match<SamplerKind>, Match<ScheduleKind>) {
    let (sampler, said) = match &settings.sampling.sampler {
        Some(name) => samplers::sampler(name),
        None => (Match::Same(SamplerKind::Euler), None),
    };
    let schedule = match &settings.sampling.schedule {
        Some(name) => samplers::schedule(name),
        None => Match::Same(said.unwrap_or_default()),
    };
    (sampler, schedule)
}

/// Says what every program's settings have in common that cannot be honoured.
pub(super) fn settle(settings: &mut ForeignSettings) {
    let program = settings.program.label();
    let (sampler, schedule) = sampling_kinds(settings);
    let stands = sampler.kind().label();
    match (&settings.sampling.sampler, sampler) {
        (Some(name), Match::Near(_)) => settings.say(format!(
            "The sampler “{}” is not here; {stands} is close and stands in its place",
            quote(name)
        )),
        (Some(name), Match::Unknown(_)) => settings.say(format!(
            "The sampler “{}” is not here; {stands} stands in its place",
            quote(name)
        )),
        (None, _) if settings.sampling.steps.is_some() => {
            settings.say(format!("The sampler is not named; {stands} stands in its place"));
        }
        _ => {}
    }
    if let (Some(name), Match::Unknown(_)) = (&settings.sampling.schedule, schedule) {
        settings.say(format!(
            "The noise schedule “{}” is not here; the sampler's own stands in its place",
            quote(name)
        ));
    }
    if let Some(steps) = settings.sampling.steps.filter(|steps| !(1..=STEPS_MAX).contains(steps)) {
        settings.say(format!("{steps} steps are more or fewer than a request may have, 1 to 150"));
    }
    if let Some(guidance) = settings.sampling.guidance.filter(|value| *value > GUIDANCE_MAX) {
        settings.say(format!("A guidance of {guidance} is more than a request may have, 30"));
    }
    if let Some(skip) = settings.clip_skip.filter(|skip| !(1..=CLIP_SKIP_MAX).contains(skip)) {
        settings
            .say(format!("A CLIP skip of {skip} is outside of what a request may have, 1 to 12"));
    }
    if settings.loras.len() > FILES_MAX {
        settings.say(format!("Of {} LoRAs the first 32 are kept", settings.loras.len()));
    }
    if settings.model.is_none() {
        settings.say("The model is not named");
    }
    if settings.seed.is_some() {
        settings.say(format!(
            "The seed makes other noise here than in {program}, so that the picture will differ"
        ));
    } else {
        settings.say("The seed is not named");
    }
    if settings.program == Program::InvokeAi && has_plus_weights(&settings.prompt) {
        settings.say("Weights like “word++” are read as plain text here");
    }
}

/// Tells whether a prompt has weights by the grammar of InvokeAI.
fn has_plus_weights(prompt: &str) -> bool {
    prompt.contains("++") || prompt.contains(")+") || prompt.contains(")-") || prompt.contains("--")
}

impl ForeignSettings {
    /// Makes a request of the settings, as far as they can be honoured, for a picture of this size;
    /// [`ForeignSettings::unhonoured`] says what is left. The model is named, never looked for, and no
    /// name has folders in it.
    pub fn request(&self, picture: Size) -> PictureRequest {
        let (sampler, schedule) = sampling_kinds(self);
        let sampling = &self.sampling;
        let defaults = Sampling::default();
        let (sha256, name) = self.model.as_ref().map_or_else(Default::default, |model| {
            // A shorter hash, or one by another rule, says nothing that could be checked.
            let whole = model
                .hash
                .as_ref()
                .filter(|hash| hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit()));
            (whole.map(|hash| hash.to_lowercase()).unwrap_or_default(), model.name.clone())
        });
        let loras = self.loras.iter().take(FILES_MAX).map(|lora| LoraUse {
            model: ModelRef::named(&lora.name),
            unet: lora.unet.clamp(-LORA_MAX, LORA_MAX),
            text: lora.text.clamp(-LORA_MAX, LORA_MAX),
        });
        PictureRequest {
            model: ModelRef { name, sha256 },
            prompt: Prompt {
                text: self.prompt.clone(),
                negative: self.negative.clone(),
                styles: Vec::new(),
            },
            size: within(self.size.unwrap_or(picture)),
            sampling: Sampling {
                sampler: sampler.kind(),
                steps: sampling.steps.unwrap_or(defaults.steps).clamp(1, STEPS_MAX),
                guidance: sampling.guidance.unwrap_or(defaults.guidance).clamp(0.0, GUIDANCE_MAX),
                schedule: schedule.kind(),
                eta: sampling.eta.filter(|eta| (0.0..=1.0).contains(eta)),
                cfg_rescale: sampling.cfg_rescale.unwrap_or(0.0).clamp(0.0, 1.0),
                ..defaults
            },
            seed: self.seed.unwrap_or_default(),
            extras: Extras {
                loras: loras.collect(),
                vae: self.vae.as_ref().map(ModelRef::named),
                clip_skip: self.clip_skip.filter(|skip| (1..=CLIP_SKIP_MAX).contains(skip)),
                prediction: sampling.prediction,
                ..Extras::default()
            },
            ..bare_request(picture)
        }
    }
}

/// Makes a request for a picture that says nothing about how it was made.
pub(in crate::store) fn bare_request(picture: Size) -> PictureRequest {
    PictureRequest {
        model: ModelRef::named(UNKNOWN_MODEL),
        prompt: Prompt::default(),
        size: within(picture),
        sampling: Sampling::default(),
        seed: 0,
        count: 1,
        noise: NoiseSource::Seed,
        preview: PreviewMode::default(),
        device: DeviceChoice::default(),
        precision: Precision::default(),
        keep_latents: false,
        extras: Extras::default(),
    }
}

fn within(size: Size) -> Size {
    let side = |px: u32| px.clamp(1, 16_384);
    Size { width_px: side(size.width_px), height_px: side(size.height_px) }
}
