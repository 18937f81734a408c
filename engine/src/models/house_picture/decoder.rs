//! Small pictures → pictures of four times the size.

use candle_core::Tensor;

use super::config::Config;
use crate::error::EngineError;
use crate::nn::{Adding, Compute, Conv, Leading, Load, enlarge4};

/// Asked between layers whether to go on; its error ends the pass.
pub type Check<'a> = dyn Fn() -> Result<(), EngineError> + 'a;

/// `x + conv2(silu(conv1(silu(x))))`.
#[derive(Debug, Clone)]
struct ConvBlock {
    conv1: Conv,
    conv2: Conv,
}

/// Enlarges and sharpens: what the network makes is added to the bilinear enlargement.
#[derive(Debug, Clone)]
pub struct Decoder {
    compute: Compute,
    conv_in: Conv,
    blocks: Vec<ConvBlock>,
    up3: Conv,
    up4: Conv,
}

impl Decoder {
    /// Loads the decoder.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(config: &Config, load: &Load<'_>) -> Result<Self, EngineError> {
        let width = config.dec_width;
        let blocks = (0..config.dec_blocks).map(|index| {
            let load = load.pp("blocks").pp(index);
            Ok(ConvBlock {
                conv1: Conv::same(width, width, &load.pp("conv1"))?,
                conv2: Conv::same(width, width, &load.pp("conv2"))?,
            })
        });
        Ok(Self {
            compute: load.compute().clone(),
            conv_in: Conv::same(3, width, &load.pp("conv_in"))?,
            blocks: blocks.collect::<Result<_, EngineError>>()?,
            up3: Conv::shuffled(width, config.dec_out_width, &load.pp("up3"))?,
            up4: Conv::shuffled(config.dec_out_width, 3, &load.pp("up4"))?,
        })
    }

    /// Returns pictures `[batch, 3, 4·h, 4·w]`, about -1..=1 but not cut off there, of small
    /// pictures `[batch, 3, h, w]`.
    ///
    /// # Errors
    /// That of `check`, and errors of the tensor library.
    pub fn forward(&self, small: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let small = self.compute.lay_out(small)?;
        let mut x = self.conv_in.forward(&small, Leading::default(), Adding::default())?;
        for block in &self.blocks {
            check()?;
            let h = block.conv1.forward(&x, Leading::SILU, Adding::default())?;
            x = block.conv2.forward(&h, Leading::SILU, Adding::residual(&x))?;
        }
        check()?;
        let x = self.up3.forward(&x, Leading::default(), Adding::default())?;
        check()?;
        let x = self.up4.forward(&x, Leading::SILU, Adding::default())?;
        let large = (x + enlarge4(&self.compute, &small)?)?;
        Ok(self.compute.lay_back(&large)?)
    }
}
