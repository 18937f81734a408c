//! What a request for the house model must be.

use crate::canvas::SizeRules;
use crate::error::EngineError;
use crate::math::schedule::Form;
use crate::pipelines::limits;
pub use crate::pipelines::limits::{MAX_COUNT, MAX_PROMPT_CHARS, MAX_STEPS};
use crate::protocol::{Extras, PictureRequest, ScheduleKind, Size};

/// Sizes are multiples of this: a token of the transformer each way.
const GRID_PX: u32 = 32;
/// The area that models are trained at.
const NOMINAL_AREA: u64 = 256 * 256;

/// The sizes that the model paints.
pub const SIZE_RULES: SizeRules = SizeRules {
    grid_px: GRID_PX,
    area_px: [NOMINAL_AREA / 2, NOMINAL_AREA * 2],
    nominal_px: NOMINAL_AREA,
    aspect_max: 2.0,
};

/// Checks a request before anything is loaded for it.
///
/// # Errors
/// [`EngineError::EmptyPrompt`], or [`EngineError::InvalidSetting`] with the setting and what it may
/// be.
pub fn validate(request: &PictureRequest) -> Result<(), EngineError> {
    limits::check(request, Form::Flow)?;
    let size = request.size;
    if let Some(rule) = broken_rule(size) {
        return Err(limits::wrong_size(size, &rule, nearest_size(size)));
    }
    let sampling = request.sampling;
    if sampling.schedule != ScheduleKind::Automatic {
        let reason = format!("{} is not for this model, which has its own", sampling.schedule.id());
        return Err(EngineError::invalid("schedule", reason));
    }
    if sampling.cfg_rescale != 0.0 {
        return Err(EngineError::invalid(
            "guidance rescale",
            "is not for this model and must be 0",
        ));
    }
    if !(Extras { source: None, ..request.extras.clone() }).is_plain() {
        let reason = "(LoRA, embedding, VAE, ControlNet or CLIP skip) are not for this model, which takes \
                      a picture to change alone; choose a model of the Stable Diffusion family";
        return Err(EngineError::invalid("extras", reason));
    }
    if let Some(source) = &request.extras.source {
        limits::check_strength(source)?;
    }
    Ok(())
}

/// Returns the allowed size that is nearest by the ratios of its sides.
pub fn nearest_size(size: Size) -> Size {
    let apart = |allowed: &Size| {
        let ratio = |a: u32, b: u32| (f64::from(a) / f64::from(b.max(1))).ln().powi(2);
        ratio(allowed.width_px, size.width_px) + ratio(allowed.height_px, size.height_px)
    };
    // The longest side there is: twice the nominal area at 2:1.
    let sides = || (1..=16).map(|n| n * GRID_PX);
    sides()
        .flat_map(|width_px| sides().map(move |height_px| Size { width_px, height_px }))
        .filter(|allowed| broken_rule(*allowed).is_none())
        .min_by(|a, b| apart(a).total_cmp(&apart(b)))
        .unwrap_or(Size { width_px: 256, height_px: 256 })
}

fn broken_rule(size: Size) -> Option<String> {
    let (w, h) = (u64::from(size.width_px), u64::from(size.height_px));
    let grid = u64::from(GRID_PX);
    if w == 0 || h == 0 || w % grid != 0 || h % grid != 0 {
        return Some(format!("must be a multiple of {GRID_PX} pixels each way"));
    }
    if w > 2 * h || h > 2 * w {
        return Some("must lie between 1:2 and 2:1".to_owned());
    }
    if !(NOMINAL_AREA / 2..=NOMINAL_AREA * 2).contains(&(w * h)) {
        let [low, high] = [NOMINAL_AREA / 2, NOMINAL_AREA * 2];
        return Some(format!("must have {low} to {high} pixels in all"));
    }
    None
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::protocol::{
        DeviceChoice, ModelRef, NoiseSource, Precision, PreviewMode, Prompt, SamplerKind, Sampling,
    };

    fn request() -> PictureRequest {
        PictureRequest {
            model: ModelRef::named("house-picture"),
            prompt: Prompt { text: "a red fox".into(), ..Prompt::default() },
            size: Size { width_px: 256, height_px: 256 },
            sampling: Sampling {
                sampler: SamplerKind::Euler,
                steps: 20,
                guidance: 3.0,
                ..Sampling::default()
            },
            seed: 1,
            count: 1,
            noise: NoiseSource::Seed,
            preview: PreviewMode::EveryStep,
            device: DeviceChoice::Cpu,
            precision: Precision::Fast,
            keep_latents: false,
            extras: Extras::default(),
        }
    }

    fn said(change: impl FnOnce(&mut PictureRequest)) -> String {
        let mut request = request();
        change(&mut request);
        validate(&request).map_or_else(|error| error.to_string(), |()| "accepted".to_owned())
    }

    #[test]
    fn each_bad_setting_gets_a_sentence_that_says_what_it_may_be() {
        assert_eq!(said(|_| ()), "accepted");
        assert_eq!(said(|r| r.prompt.text = " \n".into()), "The prompt is empty");
        let long = "word ".repeat(10_000);
        let sentence = "has 49999 characters; at most 20000 are read";
        assert_eq!(said(|r| r.prompt.text = long.clone()), format!("The prompt {sentence}"));
        assert!(said(|r| r.prompt.negative = long).starts_with("The negative prompt has 50000"));
        assert_eq!(said(|r| r.sampling.steps = 0), "The number of steps must be 1 to 150, not 0");
        assert!(said(|r| r.sampling.steps = 151).ends_with("not 151"));
        for guidance in [f32::NAN, f32::INFINITY, -0.1, 30.5] {
            let sentence = format!("The guidance must be a number from 0 to 30, not {guidance}");
            assert_eq!(said(|r| r.sampling.guidance = guidance), sentence);
        }
        assert_eq!(
            said(|r| r.sampling.sampler = SamplerKind::DpmPp2mSde),
            "The sampler dpmpp_2m_sde is not for this model, which has euler, heun, dpmpp_2m, unipc"
        );
        assert_eq!(
            said(|r| r.sampling.schedule = ScheduleKind::Karras),
            "The schedule karras is not for this model, which has its own"
        );
        assert!(said(|r| r.sampling.s_churn = 1.0).ends_with("must be 0"));
        assert!(said(|r| r.sampling.cfg_rescale = 0.7).ends_with("must be 0"));
        assert!(said(|r| r.sampling.eta = Some(f32::NAN)).contains("from 0 to 1, not NaN"));
        assert_eq!(said(|r| r.count = 0), "The number of pictures must be 1 to 64, not 0");
        assert!(said(|r| r.count = 65).ends_with("not 65"));
    }

    #[test]
    fn a_size_off_the_rules_is_told_the_nearest_one_on_them() {
        let size = |width_px, height_px| said(|r| r.size = Size { width_px, height_px });
        for (w, h) in [(256, 256), (128, 256), (512, 256), (352, 192), (192, 192)] {
            assert_eq!(size(w, h), "accepted", "{w} × {h}");
        }
        assert_eq!(
            size(250, 256),
            "The size must be a multiple of 32 pixels each way, not 250 × 256; \
             the nearest size that fits is 256 × 256"
        );
        assert!(size(512, 128).contains("between 1:2 and 2:1"));
        assert!(size(512, 512).contains("must have 32768 to 131072 pixels in all"));
        for (w, h) in [(0, 0), (0, 256), (u32::MAX, u32::MAX), (1, u32::MAX), (64, 64), (31, 9999)]
        {
            let nearest = nearest_size(Size { width_px: w, height_px: h });
            assert!(broken_rule(nearest).is_none(), "{w} × {h}: {nearest:?}");
            assert!(size(w, h).contains("nearest size"), "{w} × {h}");
        }
    }

    #[test]
    fn the_nearest_size_of_an_allowed_size_is_itself() {
        let size = Size { width_px: 352, height_px: 192 };
        assert_eq!(nearest_size(size), size);
        validate(&request()).unwrap();
    }
}
