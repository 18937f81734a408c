//! Previews while they take no more than their share of the time.

use std::time::{Duration, Instant};

use crate::error::EngineError;
use crate::protocol::{Pixels, PreviewMode};

/// The share of a job's time that previews may take.
const PREVIEW_SHARE: f64 = 0.05;

/// Draws previews while they take no more than their share of the time.
pub(super) struct Previews {
    mode: PreviewMode,
    started: Instant,
    spent: Duration,
    /// What the last one took.
    cost: Duration,
}

impl Previews {
    pub(super) fn new(mode: PreviewMode) -> Self {
        Self { mode, started: Instant::now(), spent: Duration::ZERO, cost: Duration::ZERO }
    }

    /// Draws a preview, unless the time for previews is used up.
    pub(super) fn draw(
        &mut self,
        paint: impl FnOnce() -> Result<Pixels, EngineError>,
    ) -> Result<Option<Pixels>, EngineError> {
        let allowed = self.started.elapsed().mul_f64(PREVIEW_SHARE);
        if self.mode == PreviewMode::Off || self.spent + self.cost > allowed {
            return Ok(None);
        }
        let begun = Instant::now();
        let pixels = paint()?;
        self.cost = begun.elapsed();
        self.spent += self.cost;
        Ok(Some(pixels))
    }
}
