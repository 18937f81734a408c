//! Segment Anything and MobileSAM: a net that finds what is pointed at.
//!
//! An image encoder turns a picture into an embedding once; prompts (points, a box) and the embedding
//! become masks by a small decoder, as often as somebody points somewhere.
//!
//! # Source
//! Kirillov and others, “Segment Anything” (arXiv 2304.02643) and its `segment-anything` 1.0; Zhang and
//! others, “Faster Segment Anything” (arXiv 2306.14289) and its `mobile_sam`; Wu and others, “TinyViT”
//! (arXiv 2207.10666).

mod decoder;
mod prompts;
mod tiny_vit;
mod vit;

use candle_core::Tensor;

use self::decoder::MaskDecoder;
use self::prompts::Prompts;
use self::tiny_vit::TinyVit;
use self::vit::Vit;
use crate::error::EngineError;
use crate::kernels::{Activation, ConvPlan, Precision};
use crate::nn::{Adding, Compute, Conv, LayerNorm, Leading, Load};
use crate::weights::segment_anything::{SamConfig, SamEncoder, SamWeights};

pub use self::decoder::Masks;
pub use self::prompts::{Prompt, PromptPoint};

/// Asks whether to go on; its error ends the work.
pub type Check<'a> = dyn Fn() -> Result<(), EngineError> + 'a;

/// Added to variances by the norms of the neck and the enlarged embedding.
///
/// # Source
/// `LayerNorm2d` of `modeling/common.py`.
const PICTURE_NORM_EPS: f64 = 1e-6;

/// Holds what an image encoder made of a picture: rows `[grid · grid, width]` in f32.
#[derive(Debug, Clone)]
pub struct Embedding(Tensor);

impl Embedding {
    /// Returns the rows.
    pub fn rows(&self) -> &Tensor {
        &self.0
    }
}

/// Finds what is pointed at.
#[derive(Debug, Clone)]
pub struct SegmentAnything {
    config: SamConfig,
    compute: Compute,
    encoder: Encoder,
    neck: Neck,
    prompts: Prompts,
    decoder: MaskDecoder,
}

#[derive(Debug, Clone)]
enum Encoder {
    TinyVit(Box<TinyVit>),
    Vit(Box<Vit>),
}

impl SegmentAnything {
    /// Loads a net. The image encoder computes as `compute` says; what is small computes exactly.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(
        config: SamConfig,
        weights: &SamWeights<'_>,
        compute: &Compute,
    ) -> Result<Self, EngineError> {
        let exact = match compute {
            Compute::Kernels(level, _) => Compute::Kernels(*level, Precision::Exact),
            other => other.clone(),
        };
        let load = Load::new(weights, compute.clone()).pp("image_encoder");
        let (encoder, inputs) = match &config.encoder {
            SamEncoder::TinyVit(sizes) => {
                let width = sizes.stages.last().map_or(0, |stage| stage.width);
                (Encoder::TinyVit(Box::new(TinyVit::new(sizes, &load)?)), width)
            }
            SamEncoder::Vit(sizes) => {
                (Encoder::Vit(Box::new(Vit::new(sizes, config.grid(), &load)?)), sizes.width)
            }
        };
        let neck = Neck::new([inputs, config.width], &load.pp("neck"))?;
        let load = Load::new(weights, exact);
        let prompts = Prompts::new(&config, &load.pp("prompt_encoder"))?;
        let decoder = MaskDecoder::new(&config, &load.pp("mask_decoder"))?;
        Ok(Self { config, compute: compute.clone(), encoder, neck, prompts, decoder })
    }

    /// Returns the sizes.
    pub fn config(&self) -> &SamConfig {
        &self.config
    }

    /// Returns where and how the image encoder computes.
    pub fn compute(&self) -> &Compute {
        &self.compute
    }

    /// Encodes a picture `[1, 3, side, side]` whose channels were normed.
    ///
    /// # Errors
    /// That of `check`, which is asked between layers; errors of the tensor library, one of which is
    /// that the picture has another size.
    pub fn encode(&self, picture: &Tensor, check: &Check<'_>) -> Result<Embedding, EngineError> {
        let side = self.config.side;
        if picture.dims() != [1, 3, side, side] {
            let reason = format!("a picture of {:?} is none of {side} pixels", picture.dims());
            return Err(EngineError::Model { reason });
        }
        let compute = &self.compute;
        let x = compute.lay_out(&picture.to_device(compute.device())?)?;
        let x = match &self.encoder {
            Encoder::TinyVit(encoder) => encoder.forward(compute, &x, check)?,
            Encoder::Vit(encoder) => encoder.forward(compute, &x, check)?,
        };
        check()?;
        Ok(Embedding(self.neck.forward(compute, &x)?))
    }

    /// Finds what is pointed at in an encoded picture. Places of prompts are pixels of the square of
    /// `side` that the encoder saw.
    ///
    /// # Errors
    /// That of `check`; errors of the tensor library.
    pub fn find(
        &self,
        embedding: &Embedding,
        prompt: &Prompt,
        check: &Check<'_>,
    ) -> Result<Masks, EngineError> {
        let tokens = self.prompts.tokens(prompt)?;
        self.decoder.forward(embedding.rows(), &tokens, &self.prompts, check)
    }
}

/// Brings an encoder's channels to those of the embedding.
#[derive(Debug, Clone)]
struct Neck {
    first: Conv,
    first_norm: LayerNorm,
    second: Conv,
    second_norm: LayerNorm,
}

impl Neck {
    fn new([inputs, outputs]: [usize; 2], load: &Load<'_>) -> Result<Self, EngineError> {
        let norm = |at: usize| LayerNorm::new(outputs, PICTURE_NORM_EPS, &load.pp(at));
        let conv = |inputs, kernel, at: usize| {
            Conv::without_bias(inputs, outputs, ConvPlan::same(kernel), &load.pp(at))
        };
        Ok(Self {
            first: conv(inputs, 1, 0)?,
            first_norm: norm(1)?,
            second: conv(outputs, 3, 2)?,
            second_norm: norm(3)?,
        })
    }

    /// Returns rows `[places, outputs]` of laid-out pictures.
    fn forward(&self, compute: &Compute, x: &Tensor) -> Result<Tensor, EngineError> {
        let [batch, height, width, _] = compute.sizes(x)?;
        let x = self.first.forward(x, Leading::default(), Adding::default())?;
        let x = self.first_norm.forward_wide(&compute.rows(&x)?)?;
        let x = compute.pictures(&x, [batch, height, width])?;
        let x = self.second.forward(&x, Leading::default(), Adding::default())?;
        Ok(self.second_norm.forward_wide(&compute.rows(&x)?)?)
    }
}

/// Two layers with GELU between, as every encoder has them.
#[derive(Debug, Clone)]
struct Perceptron {
    first: crate::nn::Linear,
    second: crate::nn::Linear,
}

impl Perceptron {
    fn new([width, hidden]: [usize; 2], loads: [&Load<'_>; 2]) -> Result<Self, EngineError> {
        Ok(Self {
            first: crate::nn::Linear::new(width, hidden, loads[0])?,
            second: crate::nn::Linear::new(hidden, width, loads[1])?,
        })
    }

    /// Returns `residual + perceptron(x)`.
    fn forward(
        &self,
        x: &Tensor,
        residual: &Tensor,
        activation: Activation,
    ) -> candle_core::Result<Tensor> {
        let hidden = self.first.forward_narrow(x, activation)?;
        self.second.forward_residual(&hidden, residual, None)
    }
}
