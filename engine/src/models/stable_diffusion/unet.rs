//! The denoiser.

use candle_core::Tensor;

use super::blocks::{
    Check, Resnet, Transformer, TransformerSizes, doubling, group_norm, halving, plain,
};
use super::config::UnetConfig;
use crate::error::EngineError;
use crate::kernels::Activation;
use crate::nn::{Adding, Compute, Conv, GroupNorm, Leading, Linear, Load};

/// Added to variances by the denoiser's residual blocks.
const EPS: f64 = 1e-5;

/// Levels whose pictures are large beside their weights: those below have most of the weights and
/// few pixels.
const LARGE_LEVELS: usize = 3;

/// Numbers per size of the added condition.
const SIZE_WIDTH: usize = 256;

/// A block of a level, with or without attention.
#[derive(Debug, Clone)]
struct Layer {
    resnet: Resnet,
    transformer: Option<Transformer>,
}

/// A level on the way down or up.
#[derive(Debug, Clone)]
struct Level {
    layers: Vec<Layer>,
    /// Halves or doubles the size.
    resize: Option<Conv>,
}

/// Guesses what was added to a picture's latents, told the time and the text.
#[derive(Debug, Clone)]
pub struct Unet {
    config: UnetConfig,
    compute: Compute,
    time: [Linear; 2],
    added: Option<[Linear; 2]>,
    first: Conv,
    down: Vec<Level>,
    middle: (Resnet, Transformer, Resnet),
    up: Vec<Level>,
    norm: GroupNorm,
    last: Conv,
}

/// Holds the added condition of Stable Diffusion XL.
#[derive(Debug, Clone)]
pub struct Added {
    /// The pooled text, `[batch, width]`.
    pub pooled: Tensor,
    /// Original size, crop and target size of every picture, six numbers each.
    pub sizes: Vec<[f32; 6]>,
}

impl Unet {
    /// Loads a denoiser by diffusers' names.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(config: &UnetConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let c = config;
        let levels = c.channels.len();
        let time_width = 4 * c.channels[0];
        let time = load.pp("time_embedding");
        let pair = |inputs: usize, load: &Load<'_>| -> Result<[Linear; 2], EngineError> {
            Ok([
                Linear::new(inputs, time_width, &load.pp("linear_1"))?,
                Linear::new(time_width, time_width, &load.pp("linear_2"))?,
            ])
        };
        let layer =
            |sizes: [usize; 2], level: usize, depth: usize, index: usize, load: &Load<'_>| {
                let transformer = if depth == 0 {
                    None
                } else {
                    Some(Transformer::new(
                        TransformerSizes {
                            width: sizes[1],
                            heads: c.heads[level],
                            depth,
                            context: c.context_width,
                            is_linear: c.has_linear_projection,
                        },
                        &load.pp("attentions").pp(index),
                    )?)
                };
                let load = load.pp("resnets").pp(index);
                let manner = (EPS, level < LARGE_LEVELS);
                let resnet = Resnet::new(sizes, Some(time_width), manner, &load)?;
                Ok::<_, EngineError>(Layer { resnet, transformer })
            };
        let mut down = Vec::new();
        // Channels of what is kept for the way up.
        let mut kept = vec![c.channels[0]];
        let mut inputs = c.channels[0];
        for level in 0..levels {
            let load = load.pp("down_blocks").pp(level);
            let outputs = c.channels[level];
            let mut layers = Vec::new();
            for index in 0..c.layers {
                layers.push(layer([inputs, outputs], level, c.depths[level], index, &load)?);
                inputs = outputs;
                kept.push(outputs);
            }
            let resize = if level + 1 < levels {
                kept.push(outputs);
                Some(halving(outputs, [1; 4], &load)?)
            } else {
                None
            };
            down.push(Level { layers, resize });
        }
        let load_middle = load.pp("mid_block");
        let width = c.channels[levels - 1];
        let resnet = |index: usize| {
            let load = load_middle.pp("resnets").pp(index);
            Resnet::new([width; 2], Some(time_width), (EPS, false), &load)
        };
        let sizes = TransformerSizes {
            width,
            heads: c.heads[levels - 1],
            depth: c.mid_depth,
            context: c.context_width,
            is_linear: c.has_linear_projection,
        };
        let transformer = Transformer::new(sizes, &load_middle.pp("attentions").pp(0))?;
        let middle = (resnet(0)?, transformer, resnet(1)?);
        let mut up = Vec::new();
        for index in 0..levels {
            let level = levels - 1 - index;
            let load = load.pp("up_blocks").pp(index);
            let outputs = c.channels[level];
            let mut layers = Vec::new();
            for position in 0..=c.layers {
                let short = kept.pop().unwrap_or_default();
                let sizes = [inputs + short, outputs];
                layers.push(layer(sizes, level, c.depths[level], position, &load)?);
                inputs = outputs;
            }
            let resize = if level > 0 { Some(doubling(outputs, &load)?) } else { None };
            up.push(Level { layers, resize });
        }
        let added = match c.added_width {
            0 => None,
            width => Some(pair(width, &load.pp("add_embedding"))?),
        };
        Ok(Self {
            config: config.clone(),
            compute: load.compute().clone(),
            time: pair(c.channels[0], &time)?,
            added,
            first: Conv::same(c.in_channels, c.channels[0], &load.pp("conv_in"))?,
            down,
            middle,
            up,
            norm: group_norm(c.channels[0], EPS, &load.pp("conv_norm_out"))?,
            last: Conv::same(c.channels[0], c.out_channels, &load.pp("conv_out"))?,
        })
    }

    /// Returns the sizes.
    pub fn config(&self) -> &UnetConfig {
        &self.config
    }

    /// Returns what the net says of latents `[batch, in_channels, height, width]` at a time of
    /// 0..1000 each, with texts `[batch, tokens, context]`: `[batch, out_channels, height, width]`.
    ///
    /// # Errors
    /// That of `check`, which is called before every block, and errors of the tensor library, among
    /// them those of sizes that the levels cannot halve.
    pub fn forward(
        &self,
        latents: &Tensor,
        times: &[f32],
        text: &Tensor,
        added: Option<&Added>,
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let (batch, _, height, width) = latents.dims4()?;
        let step = 1 << (self.config.channels.len() - 1);
        if !height.is_multiple_of(step) || !width.is_multiple_of(step) || times.len() != batch {
            let reason = format!("must be a multiple of {} pixels each way", 8 * step);
            return Err(EngineError::invalid("size", reason));
        }
        let time = self.embed(times, added)?; // [batch, time width]
        let (text_batch, tokens, context) = text.dims3()?;
        let text = text.reshape((text_batch * tokens, context))?;
        let run = |layer: &Layer, x: &Tensor| -> Result<Tensor, EngineError> {
            check()?;
            let x = layer.resnet.forward(x, Some(&time))?;
            match &layer.transformer {
                Some(transformer) => transformer.forward(&x, &text, check),
                None => Ok(x),
            }
        };
        let mut x = plain(&self.first, &self.compute.lay_out(latents)?)?;
        let mut kept = vec![x.clone()];
        for level in &self.down {
            for layer in &level.layers {
                x = run(layer, &x)?;
                kept.push(x.clone());
            }
            if let Some(halve) = &level.resize {
                x = plain(halve, &x)?;
                kept.push(x.clone());
            }
        }
        let (before, transformer, after) = &self.middle;
        check()?;
        x = before.forward(&x, Some(&time))?;
        x = transformer.forward(&x, &text, check)?;
        check()?;
        x = after.forward(&x, Some(&time))?;
        for level in &self.up {
            for layer in &level.layers {
                let short = kept.pop().ok_or_else(|| {
                    candle_core::Error::Msg("nothing kept for the way up".to_owned())
                })?;
                x = run(layer, &self.compute.join(&x, &short)?)?;
            }
            if let Some(double) = &level.resize {
                check()?;
                x = plain(double, &x)?;
            }
        }
        let leading = Leading { norm: Some(&self.norm), activation: Activation::Silu };
        let x = self.last.forward(&x, leading, Adding::default())?;
        Ok(self.compute.lay_back(&x)?)
    }

    /// Returns the SiLU of the embedding of times and what is added.
    fn embed(&self, times: &[f32], added: Option<&Added>) -> Result<Tensor, EngineError> {
        let device = self.compute.device();
        let waves = waves(times, self.config.channels[0], device)?;
        let [first, second] = &self.time;
        let time = second.forward(&first.forward_silu(&waves)?)?;
        let (Some([first, second]), Some(added)) = (&self.added, added) else {
            return Ok(time.silu()?);
        };
        let sizes: Vec<f32> = added.sizes.iter().flatten().copied().collect();
        let sizes = self::waves(&sizes, SIZE_WIDTH, device)?.reshape((times.len(), ()))?;
        let both = Tensor::cat(&[&added.pooled, &sizes], 1)?;
        Ok((time + second.forward(&first.forward_silu(&both)?)?)?.silu()?)
    }
}

/// Returns cosines and then sines of numbers at `width / 2` frequencies: `[numbers, width]`.
///
/// # Source
/// diffusers' `get_timestep_embedding` with `flip_sin_to_cos` and a shift of 0.
fn waves(
    numbers: &[f32],
    width: usize,
    device: &candle_core::Device,
) -> candle_core::Result<Tensor> {
    let half = width / 2;
    let frequency = |i: usize| (-(10_000f64.ln()) * i as f64 / half as f64).exp();
    let values: Vec<f32> = numbers
        .iter()
        .flat_map(|number| {
            (0..width).map(move |i| {
                let angle = f64::from(*number) * frequency(i % half);
                (if i < half { angle.cos() } else { angle.sin() }) as f32
            })
        })
        .collect();
    Tensor::from_vec(values, (numbers.len(), width), device)
}
