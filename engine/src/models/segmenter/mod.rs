//! The house's net that tells a subject from its background: a U-Net of plain 3×3 convolutions.
//!
//! # Source
//! Ronneberger, Fischer, Brox, “U-Net: Convolutional Networks for Biomedical Image Segmentation”.

use candle_core::Tensor;

use crate::error::EngineError;
use crate::kernels::Activation;
use crate::nn::{Adding, Compute, Conv, Leading, Load, double, halve};
use crate::weights::segmenter::{SegmenterConfig, SegmenterWeights};

/// Asks whether to go on; its error ends the work.
pub type Check<'a> = dyn Fn() -> Result<(), EngineError> + 'a;

/// Says of every pixel how far it belongs to a subject.
#[derive(Debug, Clone)]
pub struct Segmenter {
    config: SegmenterConfig,
    compute: Compute,
    /// Two convolutions for each level, the finest first.
    down: Vec<[Conv; 2]>,
    /// The same on the way back, the coarsest first.
    up: Vec<[Conv; 2]>,
    out: Conv,
}

impl Segmenter {
    /// Loads a net.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(
        config: SegmenterConfig,
        weights: &SegmenterWeights<'_>,
        compute: &Compute,
    ) -> Result<Self, EngineError> {
        let load = Load::new(weights, compute.clone());
        let channels = &config.channels;
        let pair = |inputs: usize, outputs: usize, load: &Load<'_>| -> Result<_, EngineError> {
            // Three channels make windows that are cheaper whole.
            let first = match inputs {
                3 => Conv::same(inputs, outputs, &load.pp("conv1"))?,
                _ => Conv::same_large(inputs, outputs, &load.pp("conv1"))?,
            };
            let second = Conv::same_large(outputs, outputs, &load.pp("conv2"))?;
            Ok([first, second].map(|conv| conv.followed_by(Activation::Relu)))
        };
        let mut down = Vec::new();
        let mut inputs = 3;
        for (level, outputs) in channels.iter().enumerate() {
            down.push(pair(inputs, *outputs, &load.pp("down").pp(level))?);
            inputs = *outputs;
        }
        let mut up = Vec::new();
        for (step, outputs) in channels.iter().rev().skip(1).enumerate() {
            up.push(pair(inputs + outputs, *outputs, &load.pp("up").pp(step))?);
            inputs = *outputs;
        }
        let out = Conv::same(inputs, 1, &load.pp("out"))?;
        Ok(Self { config, compute: compute.clone(), down, up, out })
    }

    /// Returns the sizes.
    pub fn config(&self) -> &SegmenterConfig {
        &self.config
    }

    /// Returns where and how it computes.
    pub fn compute(&self) -> &Compute {
        &self.compute
    }

    /// Returns logits `[batch, 1, height, width]` for pictures `[batch, 3, height, width]` in 0..=1,
    /// whose sides are multiples of [`SegmenterConfig::multiple`]: above 0 is subject.
    ///
    /// # Errors
    /// That of `check`, which is asked between layers; errors of the tensor library.
    pub fn forward(&self, pictures: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let compute = &self.compute;
        let convolve = |conv: &Conv, x: &Tensor| -> Result<Tensor, EngineError> {
            check()?;
            Ok(conv.forward(x, Leading::default(), Adding::default())?)
        };
        let mut x = compute.lay_out(&pictures.to_device(compute.device())?)?;
        let mut kept = Vec::new();
        for (level, [first, second]) in self.down.iter().enumerate() {
            if level > 0 {
                x = halve(compute, &x)?;
            }
            x = convolve(second, &convolve(first, &x)?)?;
            if level + 1 < self.down.len() {
                kept.push(x.clone());
            }
        }
        for [first, second] in &self.up {
            x = double(compute, &x)?;
            if let Some(finer) = kept.pop() {
                x = compute.join(&x, &finer)?;
            }
            x = convolve(second, &convolve(first, &x)?)?;
        }
        Ok(compute.lay_back(&convolve(&self.out, &x)?)?)
    }
}
