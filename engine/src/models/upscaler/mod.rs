//! Nets that enlarge pictures: `SRVGGNetCompact` and `RRDBNet` of the ESRGAN family.
//!
//! # Source
//! Wang et al., “Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data”;
//! BasicSR 1.4.2, `archs/rrdbnet_arch.py` and `archs/srvgg_arch.py`.

mod compact;
mod rrdb;

use candle_core::Tensor;

use crate::error::EngineError;
use crate::nn::{Adding, Compute, Conv, Leading, Load};
use crate::weights::upscaler::{UpscalerConfig, UpscalerWeights};

use compact::Compact;
use rrdb::Rrdb;

/// Asks whether to go on; its error ends the work.
pub type Check<'a> = dyn Fn() -> Result<(), EngineError> + 'a;

/// Enlarges pictures by a whole factor.
#[derive(Debug, Clone)]
pub struct Upscaler {
    config: UpscalerConfig,
    compute: Compute,
    net: Net,
}

#[derive(Debug, Clone)]
enum Net {
    Compact(Box<Compact>),
    Rrdb(Box<Rrdb>),
}

impl Upscaler {
    /// Loads a net.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(weights: &UpscalerWeights<'_>, compute: &Compute) -> Result<Self, EngineError> {
        let config = weights.config();
        let load = Load::new(weights, compute.clone());
        let net = match &config {
            UpscalerConfig::Compact(config) => Net::Compact(Box::new(Compact::new(config, &load)?)),
            UpscalerConfig::Rrdb(config) => Net::Rrdb(Box::new(Rrdb::new(config, &load)?)),
        };
        Ok(Self { config, compute: compute.clone(), net })
    }

    /// Returns the sizes.
    pub fn config(&self) -> UpscalerConfig {
        self.config
    }

    /// Returns where and how it computes.
    pub fn compute(&self) -> &Compute {
        &self.compute
    }

    /// Enlarges pictures `[batch, 3, height, width]` in 0..=1, laid out as [`Compute::lay_out`] does;
    /// the result is laid out too and not cut off at 0 and 1. Height and width are multiples of
    /// [`UpscalerConfig::multiple`].
    ///
    /// Of the result's sides `cut` pixels of the picture (above, below, left, right) are left out. They
    /// are multiples of [`UpscalerConfig::multiple`] too, and what is left out was still seen.
    ///
    /// # Errors
    /// That of `check`, which is asked between layers and within large ones; errors of the tensor
    /// library.
    pub fn forward(
        &self,
        pictures: &Tensor,
        cut: [usize; 4],
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        match &self.net {
            Net::Compact(net) => net.forward(&self.compute, pictures, cut, check),
            Net::Rrdb(net) => net.forward(&self.compute, pictures, cut, check),
        }
    }
}

/// Runs a convolution, asking within and before it whether to go on.
fn convolve(
    conv: &Conv,
    x: &Tensor,
    residual: Option<&Tensor>,
    check: &Check<'_>,
) -> Result<Tensor, EngineError> {
    check()?;
    let stop = || check().is_err();
    let leading = Leading { stop: Some(&stop), ..Leading::default() };
    let adding = residual.map(Adding::residual).unwrap_or_default();
    let out = conv.forward(x, leading, adding)?;
    // A convolution that was stopped has left numbers unwritten.
    check()?;
    Ok(out)
}

/// Does the same where only other convolutions read the result.
fn convolve_on(conv: &Conv, x: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
    check()?;
    let stop = || check().is_err();
    let out = conv.forward_for_products(x, Leading { stop: Some(&stop), ..Leading::default() })?;
    check()?;
    Ok(out)
}

/// Cuts laid-out pictures: above, below, left, right.
fn crop(compute: &Compute, x: &Tensor, cut: [usize; 4]) -> Result<Tensor, EngineError> {
    if cut == [0; 4] {
        return Ok(x.clone());
    }
    let [_, height, width, _] = compute.sizes(x)?;
    let [above, below, left, right] = cut;
    let (tall, wide) = (height.saturating_sub(above + below), width.saturating_sub(left + right));
    let (rows, columns) = match compute {
        Compute::Kernels(..) => (1, 2),
        Compute::Candle(..) => (2, 3),
    };
    Ok(x.narrow(rows, above, tall)?.narrow(columns, left, wide)?.contiguous()?)
}
