//! What every picture request must be, whichever model paints.

use crate::error::EngineError;
use crate::math::schedule::Form;
use crate::protocol::{PictureRequest, Size, Source};
use crate::sampling::SamplerSettings;

/// The longest prompt, or negative prompt, that is read.
pub const MAX_PROMPT_CHARS: usize = 20_000;
/// The most steps.
pub const MAX_STEPS: u32 = 150;
/// The most pictures of one request.
pub const MAX_COUNT: u32 = 64;
/// The strongest guidance.
const MAX_GUIDANCE: f32 = 30.0;

/// Checks everything that does not depend on the model but for the sampler's `form`.
pub(super) fn check(request: &PictureRequest, form: Form) -> Result<(), EngineError> {
    check_words(request)?;
    let sampling = request.sampling;
    if !(1..=MAX_STEPS).contains(&sampling.steps) {
        let reason = format!("must be 1 to {MAX_STEPS}, not {}", sampling.steps);
        return Err(EngineError::invalid("number of steps", reason));
    }
    if !(0.0..=MAX_GUIDANCE).contains(&sampling.guidance) {
        let reason =
            format!("must be a number from 0 to {MAX_GUIDANCE}, not {}", sampling.guidance);
        return Err(EngineError::invalid("guidance", reason));
    }
    SamplerSettings::from(sampling).check(form)?;
    if !(1..=MAX_COUNT).contains(&request.count) {
        let reason = format!("must be 1 to {MAX_COUNT}, not {}", request.count);
        return Err(EngineError::invalid("number of pictures", reason));
    }
    Ok(())
}

/// Checks how much of a picture is to be changed.
pub(super) fn check_strength(source: &Source) -> Result<(), EngineError> {
    if source.strength > 0.0 && source.strength <= 1.0 {
        return Ok(());
    }
    let reason = format!("must be above 0 and at most 1, not {}", source.strength);
    Err(EngineError::invalid("strength", reason))
}

fn check_words(request: &PictureRequest) -> Result<(), EngineError> {
    let prompt = &request.prompt;
    // A picture that is to be changed can be continued without words.
    if prompt.text.trim().is_empty() && request.extras.source.is_none() {
        return Err(EngineError::EmptyPrompt);
    }
    for (name, text) in
        [("prompt", prompt.with_styles()), ("negative prompt", prompt.negative.clone())]
    {
        let chars = text.chars().count();
        if chars > MAX_PROMPT_CHARS {
            let reason = format!("has {chars} characters; at most {MAX_PROMPT_CHARS} are read");
            return Err(EngineError::invalid(name, reason));
        }
    }
    Ok(())
}

/// Says that a size is off a rule, and which is near it.
pub(super) fn wrong_size(size: Size, rule: &str, nearest: Size) -> EngineError {
    let Size { width_px: w, height_px: h } = nearest;
    let asked = format!("{} × {}", size.width_px, size.height_px);
    let reason = format!("{rule}, not {asked}; the nearest size that fits is {w} × {h}");
    EngineError::invalid("size", reason)
}
