//! `RRDBNet`: residual blocks of three dense blocks at the picture's own size, then doublings.

use candle_core::Tensor;

use super::{Check, convolve, crop};
use crate::error::EngineError;
use crate::kernels::{Activation, ConvMode, ConvPlan};
use crate::nn::{Compute, Conv, Load};
use crate::weights::upscaler::RrdbConfig;

/// What of a block's change is added to its input.
const SHARE: f32 = 0.2;
/// How many pixels at the size of the body are kept around what is wanted of the tail: doubling after
/// doubling, its convolutions reach less than 1 + ½ + ¼ + … + 2 of them.
const TAIL_REACH: usize = 4;

/// Five convolutions, each reading all before it.
#[derive(Debug, Clone)]
struct Dense {
    convs: Vec<Conv>,
}

impl Dense {
    /// Loads a dense block whose change is multiplied by `share`.
    fn new(config: &RrdbConfig, share: f32, load: &Load<'_>) -> Result<Self, EngineError> {
        let RrdbConfig { features, growth, .. } = *config;
        let conv = |index: usize| {
            let load = load.pp(format_args!("conv{}", index + 1));
            let inputs = features + index * growth;
            match index {
                4 => Conv::same_large(inputs, features, &load.times(share)),
                _ => Conv::same_large(inputs, growth, &load)
                    .map(|conv| conv.followed_by(Activation::LeakyRelu)),
            }
        };
        Ok(Self { convs: (0..5).map(conv).collect::<Result<_, _>>()? })
    }

    /// Returns `residual + share · change(x)`.
    fn forward(
        &self,
        compute: &Compute,
        x: &Tensor,
        residual: &Tensor,
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let mut all = x.clone();
        let (last, convs) = self.convs.split_last().ok_or_else(empty)?;
        for conv in convs {
            all = compute.join(&all, &convolve(conv, &all, None, check)?)?;
        }
        convolve(last, &all, Some(residual), check)
    }
}

/// Holds the net.
#[derive(Debug, Clone)]
pub(super) struct Rrdb {
    config: RrdbConfig,
    first: Conv,
    blocks: Vec<[Dense; 3]>,
    behind: Conv,
    ups: Vec<Conv>,
    high: Conv,
    last: Conv,
}

impl Rrdb {
    /// Loads the net.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub(super) fn new(config: &RrdbConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let features = config.features;
        let block = |index: usize| -> Result<[Dense; 3], EngineError> {
            let load = load.pp("body").pp(index);
            // A block's own share of its change falls on the last of the three.
            let dense = |name: &str, share| Dense::new(config, share, &load.pp(name));
            Ok([dense("rdb1", SHARE)?, dense("rdb2", SHARE)?, dense("rdb3", SHARE * SHARE)?])
        };
        let up = |index: usize| {
            let plan = ConvPlan { mode: ConvMode::Doubled, ..ConvPlan::same(3) };
            Conv::new(features, features, plan, &load.pp(format_args!("conv_up{}", index + 1)))
                .map(|conv| conv.followed_by(Activation::LeakyRelu))
        };
        Ok(Self {
            config: *config,
            first: Conv::same(3 * config.fold * config.fold, features, &load.pp("conv_first"))?,
            blocks: (0..config.blocks).map(block).collect::<Result<_, _>>()?,
            behind: Conv::same_large(features, features, &load.pp("conv_body"))?,
            ups: (0..config.doublings).map(up).collect::<Result<_, _>>()?,
            high: Conv::same_large(features, features, &load.pp("conv_hr"))?
                .followed_by(Activation::LeakyRelu),
            last: Conv::same(features, 3, &load.pp("conv_last"))?,
        })
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
        let fold = self.config.fold;
        let folded = match fold {
            1 => pictures.clone(),
            _ => {
                let pictures = compute.lay_back(pictures)?; // [b, 3, h, w]
                compute.lay_out(&candle_nn::ops::pixel_unshuffle(&pictures, fold)?)?
            }
        };
        let first = convolve(&self.first, &folded, None, check)?;
        let mut x = first.clone();
        for [one, two, three] in &self.blocks {
            let y = one.forward(compute, &x, &x, check)?;
            let y = two.forward(compute, &y, &y, check)?;
            let kept = ((&y * f64::from(SHARE))? + &x)?;
            x = three.forward(compute, &y, &kept, check)?;
        }
        x = convolve(&self.behind, &x, Some(&first), check)?;
        // The tail works at many times the size, so most of what is not wanted goes first.
        let early = cut.map(|pixels| (pixels / fold).saturating_sub(TAIL_REACH));
        x = crop(compute, &x, early)?;
        for conv in &self.ups {
            x = convolve(conv, &x, None, check)?;
        }
        x = convolve(&self.high, &x, None, check)?;
        x = convolve(&self.last, &x, None, check)?;
        let grown = 1 << self.config.doublings;
        let late = [0, 1, 2, 3].map(|side| (cut[side] / fold - early[side]) * grown);
        crop(compute, &x, late)
    }
}

fn empty() -> EngineError {
    EngineError::Model { reason: "a dense block has no convolutions".to_owned() }
}
