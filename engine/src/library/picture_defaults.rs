//! What a picture model is asked for when a person says nothing.

use std::path::Path;

use super::models::{Models, PictureModel};
use crate::error::EngineError;
use crate::protocol::{SamplerKind, Sampling, ScheduleKind, Size};
use crate::weights::detect::{Base, Detection, Prediction, Variant, detect};
use crate::weights::open::Checkpoint;

/// Holds what a picture model is asked for when a person says nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PictureDefaults {
    /// The size that it was trained at.
    pub size: Size,
    /// The sampler with its settings.
    pub sampling: Sampling,
    /// Sizes are multiples of this, in pixels.
    pub grid_px: u32,
}

impl PictureDefaults {
    /// Returns those of the house model.
    pub fn house() -> Self {
        Self { size: square(256), sampling: Sampling::default(), grid_px: 32 }
    }

    /// Returns those of a model by its name or path; its weights are not read.
    ///
    /// # Errors
    /// As [`Models::locate_picture`] and [`Checkpoint::open`].
    pub fn of(models: &Models, name: &str) -> Result<Self, EngineError> {
        match models.locate_picture(name)? {
            PictureModel::House(_) => Ok(Self::house()),
            PictureModel::Diffusion(located) => {
                Ok(Self::of_checkpoint(&Checkpoint::open(&located.path)?))
            }
        }
    }

    /// Returns those of an open model: by its line, and by what its name says about how it was
    /// distilled, which nothing in a file tells.
    ///
    /// # Source
    /// The cards of Stable Diffusion 1.5, 2.1, XL base, SD-Turbo, SDXL-Turbo, SDXL-Lightning,
    /// Hyper-SD and LCM.
    pub fn of_checkpoint(file: &Checkpoint) -> Self {
        Self::of_detected(&detect(file), file.path())
    }

    /// Does the same as [`PictureDefaults::of_checkpoint`] for what was told of a file already.
    pub(super) fn of_detected(found: &Detection, path: &Path) -> Self {
        let side = match (found.base, found.prediction) {
            (Some(Base::Sdxl | Base::SdxlRefiner), _) => 1024,
            (Some(Base::Sd2), Some(Prediction::V)) => 768,
            _ => 512,
        };
        let plain = Sampling {
            sampler: SamplerKind::DpmPp2m,
            steps: 25,
            guidance: 7.0,
            ..Sampling::default()
        };
        let few = |sampler, steps, schedule| Sampling {
            sampler,
            steps,
            guidance: 1.0,
            schedule,
            ..Sampling::default()
        };
        let name = name_of(path);
        let steps = steps_in(&name);
        let (side, sampling) = if found.variant == Some(Variant::LatentConsistency) {
            (side, Sampling { guidance: 8.0, ..few(SamplerKind::Lcm, 4, ScheduleKind::Automatic) })
        } else if name.contains("turbo") {
            (512, few(SamplerKind::EulerA, steps.unwrap_or(4), ScheduleKind::Trailing))
        } else if name.contains("lightning") {
            (side, few(SamplerKind::Euler, steps.unwrap_or(4), ScheduleKind::Trailing))
        } else if name.contains("hyper") {
            (side, few(SamplerKind::Tcd, steps.unwrap_or(8), ScheduleKind::Automatic))
        } else if name.contains("lcm") {
            (side, few(SamplerKind::Lcm, steps.unwrap_or(6), ScheduleKind::Automatic))
        } else {
            (side, plain)
        };
        let grid_px = if side == 1024 { 32 } else { 64 };
        Self { size: square(side), sampling, grid_px }
    }
}

fn square(side: u32) -> Size {
    Size { width_px: side, height_px: side }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Finds a number of steps in a name, as in `lightning_4step`.
fn steps_in(name: &str) -> Option<u32> {
    let before = &name[..name.find("step")?];
    let before = before.trim_end_matches(['-', '_', ' ']);
    let digits = before.len() - before.bytes().rev().take_while(u8::is_ascii_digit).count();
    before[digits..].parse().ok().filter(|steps| (1..=16).contains(steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_steps_is_read_out_of_a_name() {
        assert_eq!(steps_in("sdxl_lightning_4step.safetensors"), Some(4));
        assert_eq!(steps_in("hyper-sd15-8-steps.ckpt"), Some(8));
        assert_eq!(steps_in("my-steps.ckpt"), None);
        assert_eq!(steps_in("v1-5-pruned.ckpt"), None);
        assert_eq!(steps_in("x-99999999999step"), None);
    }
}
