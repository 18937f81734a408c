//! What a request for a model of the family must be.

use super::files::{Description, INSTRUCTED_CHANNELS};
use crate::canvas::SizeRules;
use crate::error::EngineError;
use crate::math::schedule::Form;
use crate::pipelines::limits;
use crate::protocol::{PictureRequest, Size};

/// The shortest and the longest side.
const SIDES_PX: [u32; 2] = [64, 4096];
/// The strongest LoRA, either way.
const LORA_MAX: f32 = 100.0;
/// The strongest ControlNet.
const CONTROL_MAX: f32 = 2.0;
/// The most files of a kind.
const FILES_MAX: usize = 32;

/// Checks a request before anything is loaded for it.
///
/// # Errors
/// [`EngineError::EmptyPrompt`], or [`EngineError::InvalidSetting`] with the setting and what it may
/// be.
pub fn validate(request: &PictureRequest) -> Result<(), EngineError> {
    limits::check(request, Form::VarianceExploding)?;
    let Size { width_px, height_px } = request.size;
    let [least, most] = SIDES_PX;
    if [width_px, height_px].iter().any(|side| !(least..=most).contains(side)) {
        let rule = format!("must be {least} to {most} pixels each way");
        return Err(limits::wrong_size(request.size, &rule, nearest_size(request.size, 64)));
    }
    let rescale = request.sampling.cfg_rescale;
    let extras = &request.extras;
    within("guidance rescale", rescale, [0.0, 1.0])?;
    let files = [extras.loras.len(), extras.embeddings.len(), extras.controls.len()];
    if files.iter().any(|count| *count > FILES_MAX) {
        let reason = format!("are too many; at most {FILES_MAX} of a kind are used");
        return Err(EngineError::invalid("files", reason));
    }
    for lora in &extras.loras {
        within("strength of the LoRA", lora.unet, [-LORA_MAX, LORA_MAX])?;
        within("strength of the LoRA", lora.text, [-LORA_MAX, LORA_MAX])?;
    }
    for control in &extras.controls {
        within("strength of the ControlNet", control.strength, [0.0, CONTROL_MAX])?;
        let [from, to] = control.between;
        within("begin of the ControlNet", from, [0.0, 1.0])?;
        within("end of the ControlNet", to, [from, 1.0])?;
    }
    if extras.clip_skip.is_some_and(|skip| !(1..=12).contains(&skip)) {
        return Err(EngineError::invalid("CLIP skip", "must be 1 to 12"));
    }
    if let Some(source) = &extras.source {
        limits::check_strength(source)?;
        within("image guidance", source.image_guidance, [0.0, 30.0])?;
    }
    Ok(())
}

/// Checks what depends on the model.
///
/// # Errors
/// As [`validate`].
pub(super) fn check(request: &PictureRequest, about: &Description) -> Result<(), EngineError> {
    let grid = about.grid_px();
    let size = request.size;
    if !size.width_px.is_multiple_of(grid) || !size.height_px.is_multiple_of(grid) {
        let rule = format!("must be a multiple of {grid} pixels each way");
        return Err(limits::wrong_size(size, &rule, nearest_size(size, grid)));
    }
    if about.unet.in_channels == INSTRUCTED_CHANNELS && request.extras.source.is_none() {
        let reason = "follows instructions and needs a picture that is to be changed";
        return Err(EngineError::invalid("model", reason));
    }
    Ok(())
}

/// Returns the sizes in which a model plans to paint a part of a picture: half to half as much again as it
/// was trained at.
pub fn size_rules(grid_px: u32, trained: Size) -> SizeRules {
    let nominal_px = u64::from(trained.width_px) * u64::from(trained.height_px);
    let area_px = [nominal_px / 2, nominal_px / 2 * 3];
    SizeRules { grid_px, area_px, nominal_px, aspect_max: 2.0 }
}

fn within(name: &str, value: f32, [least, most]: [f32; 2]) -> Result<(), EngineError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let reason = format!("must be a number from {least} to {most}, not {value}");
    Err(EngineError::invalid(name, reason))
}

/// Returns the nearest size whose sides are multiples of `grid`.
pub fn nearest_size(size: Size, grid: u32) -> Size {
    let [least, most] = SIDES_PX;
    let near = |side: u32| {
        let side = side.clamp(least, most);
        let below = side / grid * grid;
        let nearest = if side - below > grid / 2 { below + grid } else { below };
        let least = least.div_ceil(grid) * grid;
        nearest.clamp(least, (most / grid * grid).max(least))
    };
    Size { width_px: near(size.width_px), height_px: near(size.height_px) }
}
