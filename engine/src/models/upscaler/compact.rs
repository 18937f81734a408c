//! `SRVGGNetCompact`: all convolutions at the picture's own size, then a pixel shuffle over the picture
//! itself, every pixel repeated.

use candle_core::Tensor;

use super::{Check, convolve, convolve_on, crop};
use crate::error::EngineError;
use crate::nn::{Compute, Conv, Load, unfold_over};
use crate::weights::upscaler::CompactConfig;

/// Holds the net.
#[derive(Debug, Clone)]
pub(super) struct Compact {
    /// Each with its slopes.
    body: Vec<Conv>,
    last: Conv,
    scale: usize,
}

impl Compact {
    /// Loads the net.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub(super) fn new(config: &CompactConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let CompactConfig { features, convolutions, scale } = *config;
        let load = load.pp("body");
        // In bf16 the products themselves are cheaper than what saves some of them.
        let is_narrow = load.compute().is_narrow();
        let conv = |inputs: usize, outputs: usize, load: &Load<'_>| match is_narrow || inputs == 3 {
            true => Conv::same(inputs, outputs, load),
            false => Conv::same_large(inputs, outputs, load),
        };
        let layer = |index: usize| {
            let inputs = if index == 0 { 3 } else { features };
            let at = load.pp(2 * index);
            conv(inputs, features, &at)?.followed_by_slopes(&load.pp(2 * index + 1))
        };
        let body = (0..=convolutions).map(layer).collect::<Result<_, _>>()?;
        let last = load.pp(2 * convolutions + 2);
        let last = conv(features, 3 * scale * scale, &last)?;
        Ok(Self { body, last, scale })
    }

    /// Enlarges laid-out pictures.
    ///
    /// # Errors
    /// That of `check`; errors of the tensor library.
    pub(super) fn forward(
        &self,
        compute: &Compute,
        pictures: &Tensor,
        cut: [usize; 4],
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let mut x = pictures.clone();
        for conv in &self.body {
            x = convolve_on(conv, &x, check)?;
        }
        let squares = crop(compute, &convolve(&self.last, &x, None, check)?, cut)?;
        Ok(unfold_over(compute, &squares, &crop(compute, pictures, cut)?, self.scale)?)
    }
}
