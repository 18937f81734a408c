//! Enlarged pictures painted over in windows, for every kind of model.

use std::cell::Cell;
use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::windows::Windows;
use crate::canvas::keep_tone;
use crate::error::EngineError;
use crate::protocol::{JobContext, Live, Pixels, Stage};

/// Parts of a window's shorter side within which colours are kept to those before, on the whole.
const TONE_PARTS: u32 = 4;

/// Is a model that paints over a picture in windows.
pub(super) trait Refines {
    /// Returns the latents of a window `[1, 3, …]` in -1..=1.
    ///
    /// # Errors
    /// Those of the model.
    fn encode(&self, window: &Tensor) -> Result<Tensor, EngineError>;

    /// Adds noise to the latents of the whole picture and leads them back. `tally` hears of every
    /// window that the net was asked about.
    ///
    /// # Errors
    /// Those of the model and of the job's check.
    fn sample(
        &self,
        latents: &Tensor,
        windows: &Windows,
        tally: &Tally<'_>,
    ) -> Result<Tensor, EngineError>;

    /// Returns a window `[1, 3, …]`, about -1..=1, of its latents.
    ///
    /// # Errors
    /// Those of the model.
    fn decode(&self, latents: &Tensor) -> Result<Tensor, EngineError>;

    /// Tells whether latents lose detail of pictures, so that only what painting over changed is added
    /// to the picture.
    fn loses_detail(&self) -> bool;

    /// Returns how much of what painting over changed is taken, 0 to 1.
    fn share(&self) -> f64 {
        1.0
    }
}

/// Counts what is done of a job's windows.
pub(super) struct Tally<'a> {
    job: &'a JobContext,
    done: Cell<u32>,
    total: u32,
}

impl<'a> Tally<'a> {
    /// Begins to count to the number of windows, each encoded, decoded and asked about `calls` times.
    pub(super) fn new(windows: &Windows, calls: usize, job: &'a JobContext) -> Self {
        let total = windows.count().saturating_mul(calls.saturating_add(2));
        Self { job, done: Cell::new(0), total: u32::try_from(total).unwrap_or(u32::MAX) }
    }

    /// Counts one more window.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`].
    pub(super) fn count(&self) -> Result<(), EngineError> {
        self.done.set(self.done.get().saturating_add(1).min(self.total));
        self.show(None)
    }

    /// Tells how far it is, with a preview where there is a new one.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`].
    pub(super) fn show(&self, preview: Option<Pixels>) -> Result<(), EngineError> {
        self.job.report(Live {
            stage: Stage::Refining,
            steps: Some([self.done.get(), self.total]),
            preview: preview.map(Arc::new),
            ..Live::default()
        })
    }
}

/// Paints over a picture in windows.
///
/// # Errors
/// Those of the model; [`EngineError::NotANumber`] when a result is not finite;
/// [`EngineError::Cancelled`].
pub(super) fn refine(
    model: &dyn Refines,
    picture: &Pixels,
    windows: &Windows,
    (device, tally): (&Device, &Tally<'_>),
) -> Result<Pixels, EngineError> {
    tally.show(None)?;
    let before = windows.gather(device, |_, at| {
        let latents = model.encode(&windows.pixels(picture, at)?)?;
        tally.count()?;
        Ok(latents)
    })?;
    let made = model.sample(&before, windows, tally)?;
    let after = match model.share() {
        1.0 => made,
        share => (&before + ((made - &before)? * share)?)?,
    };
    let mut painted = picture.clone();
    windows.paint(&mut painted, |at| {
        let made = model.decode(&windows.of(&after, at)?)?;
        let made = if model.loses_detail() {
            let lost = model.decode(&windows.of(&before, at)?)?.to_device(&Device::Cpu)?;
            ((made.to_device(&Device::Cpu)? - lost)? + windows.pixels(picture, at)?)?
        } else {
            made
        };
        tally.count()?;
        Ok(made)
    })?;
    let window = windows.window_px();
    keep_tone(&mut painted, picture, window.width_px.min(window.height_px) / TONE_PARTS);
    Ok(painted)
}
