//! What a denoiser and a ControlNet have in common: time, the way down, the middle.

use candle_core::{Device, Tensor};

use super::blocks::{Check, Resnet, Transformer, TransformerSizes, halving, plain};
use super::control_net::Residuals;
use crate::error::EngineError;
use crate::nn::{Compute, Conv, Linear, Load};
use crate::weights::sd_config::{UnetConfig, UnetLevel};

/// Added to variances by the denoiser's residual blocks.
pub(super) const EPS: f64 = 1e-5;

/// Levels whose pictures are large beside their weights: those below have most of the weights and
/// few pixels.
const LARGE_LEVELS: usize = 3;

/// Holds what a net is told beside latents and time.
#[derive(Clone, Copy)]
pub struct Conditions<'a> {
    /// The texts, `[batch, tokens, context]`.
    pub text: &'a Tensor,
    /// The added condition of Stable Diffusion XL.
    pub added: Option<&'a Added>,
    /// The guidance that a distilled net follows.
    pub guidance: Option<f32>,
    /// What ControlNets add.
    pub residuals: Option<&'a Residuals>,
}

impl<'a> Conditions<'a> {
    /// Tells a net the texts and nothing more.
    pub fn text(text: &'a Tensor) -> Self {
        Self { text, added: None, guidance: None, residuals: None }
    }
}

/// Holds the added condition of Stable Diffusion XL.
#[derive(Debug, Clone)]
pub struct Added {
    /// The pooled text, `[batch, width]`.
    pub pooled: Tensor,
    /// Original size, crop and target size of every picture, six numbers each.
    pub sizes: Vec<[f32; 6]>,
}

/// A residual block, with or without attention behind it.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    resnet: Resnet,
    transformer: Option<Transformer>,
}

impl Layer {
    /// Loads a layer from `inputs` to the channels of `level`, with `depth` transformer blocks.
    pub(super) fn new(
        config: &UnetConfig,
        (index, level): (usize, &UnetLevel),
        inputs: usize,
        (position, depth): (usize, usize),
        load: &Load<'_>,
    ) -> Result<Self, EngineError> {
        let attentions = load.pp("attentions").pp(position);
        let transformer = transformer(config, level, depth, &attentions)?;
        let manner = (EPS, index < LARGE_LEVELS);
        let sizes = [inputs, level.channels];
        let load = load.pp("resnets").pp(position);
        let resnet = Resnet::new(sizes, Some(config.time_width), manner, &load)?;
        Ok(Self { resnet, transformer })
    }

    pub(super) fn forward(&self, x: &Tensor, told: &Told<'_>) -> Result<Tensor, EngineError> {
        (told.check)()?;
        let x = self.resnet.forward(x, Some(&told.time), told.check)?;
        match &self.transformer {
            Some(transformer) => transformer.forward(&x, &told.text, told.check),
            None => Ok(x),
        }
    }
}

fn transformer(
    config: &UnetConfig,
    level: &UnetLevel,
    depth: usize,
    load: &Load<'_>,
) -> Result<Option<Transformer>, EngineError> {
    if depth == 0 {
        return Ok(None);
    }
    let sizes = TransformerSizes {
        width: level.channels,
        heads: level.heads,
        depth,
        context: config.context,
        is_linear: config.has_linear_projections,
    };
    Transformer::new(sizes, load).map(Some)
}

/// A level on the way down.
#[derive(Debug, Clone)]
struct Level {
    layers: Vec<Layer>,
    /// Halves the size.
    resize: Option<Conv>,
}

/// What the blocks of a net are told.
pub(super) struct Told<'a> {
    /// The SiLU of the embedding of time, `[batch, width]`.
    pub(super) time: Tensor,
    /// `[batch · tokens, context]`.
    pub(super) text: Tensor,
    pub(super) check: &'a Check<'a>,
}

/// The first half of a net.
#[derive(Debug, Clone)]
pub(super) struct Trunk {
    pub(super) config: UnetConfig,
    pub(super) compute: Compute,
    time: [Linear; 2],
    guidance: Option<Linear>,
    added: Option<[Linear; 2]>,
    first: Conv,
    down: Vec<Level>,
    /// Residual blocks with attentions between them; nothing in some pruned nets.
    middle: Vec<(Resnet, Option<Transformer>)>,
}

impl Trunk {
    /// Loads the first half of a net by diffusers' names.
    pub(super) fn new(config: &UnetConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let c = config;
        let first = c.levels[0].channels;
        if c.levels.iter().any(|level| level.is_words_only) || c.classes.is_some() {
            let reason = "holds a net of a kind that cannot be run: an upscaler, or one of classes";
            return Err(EngineError::Model { reason: reason.to_owned() });
        }
        let pair = |inputs: usize, load: &Load<'_>| -> Result<[Linear; 2], EngineError> {
            Ok([
                Linear::new(inputs, c.time_width, &load.pp("linear_1"))?,
                Linear::new(c.time_width, c.time_width, &load.pp("linear_2"))?,
            ])
        };
        let time = load.pp("time_embedding");
        let guidance =
            c.guidance_width.map(|width| Linear::without_bias(width, first, &time.pp("cond_proj")));
        let added = c.addition.map(|added| pair(added.input, &load.pp("add_embedding")));
        let mut down = Vec::new();
        let mut inputs = first;
        for (index, level) in c.levels.iter().enumerate() {
            let load = load.pp("down_blocks").pp(index);
            let mut layers = Vec::new();
            for (position, depth) in level.down.iter().enumerate() {
                let place = (position, *depth);
                layers.push(Layer::new(c, (index, level), inputs, place, &load)?);
                inputs = level.channels;
            }
            let is_last = index + 1 == c.levels.len();
            let resize = if is_last { None } else { Some(halving(level.channels, [1; 4], &load)?) };
            down.push(Level { layers, resize });
        }
        Ok(Self {
            time: pair(first, &time)?,
            guidance: guidance.transpose()?,
            added: added.transpose()?,
            first: Conv::same(c.in_channels, first, &load.pp("conv_in"))?,
            down,
            middle: Self::load_middle(c, &load.pp("mid_block"))?,
            config: c.clone(),
            compute: load.compute().clone(),
        })
    }

    fn load_middle(
        config: &UnetConfig,
        load: &Load<'_>,
    ) -> Result<Vec<(Resnet, Option<Transformer>)>, EngineError> {
        let (Some(mid), Some(level)) = (&config.mid, config.levels.last()) else {
            return Ok(Vec::new());
        };
        let mut middle = Vec::new();
        for position in 0..=mid.len() {
            let sizes = [level.channels; 2];
            let resnets = load.pp("resnets").pp(position);
            let resnet = Resnet::new(sizes, Some(config.time_width), (EPS, false), &resnets)?;
            let depth = mid.get(position).copied().unwrap_or(0);
            let attentions = load.pp("attentions").pp(position);
            middle.push((resnet, transformer(config, level, depth, &attentions)?));
        }
        Ok(middle)
    }

    /// Checks shapes and prepares what the blocks are told.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] for sizes that the levels cannot halve.
    pub(super) fn told<'a>(
        &self,
        latents: &Tensor,
        times: &[f32],
        conditions: &Conditions<'_>,
        check: &'a Check<'a>,
    ) -> Result<Told<'a>, EngineError> {
        let (batch, _, height, width) = latents.dims4()?;
        let step = 1 << (self.config.levels.len() - 1);
        if !height.is_multiple_of(step) || !width.is_multiple_of(step) || times.len() != batch {
            let reason = format!("must be a multiple of {} pixels each way", 8 * step);
            return Err(EngineError::invalid("size", reason));
        }
        let (text_batch, tokens, context) = conditions.text.dims3()?;
        Ok(Told {
            time: self.embed(times, conditions)?,
            text: conditions.text.reshape((text_batch * tokens, context))?,
            check,
        })
    }

    /// Begins with the first convolution over latents; `[batch, channels, height, width]` become
    /// laid-out pictures.
    pub(super) fn begin(&self, latents: &Tensor) -> Result<Tensor, EngineError> {
        plain(&self.first, &self.compute.lay_out(latents)?)
    }

    /// Goes down; returns the lowest pictures and what is kept for the way up.
    pub(super) fn down(
        &self,
        mut x: Tensor,
        told: &Told<'_>,
    ) -> Result<(Tensor, Vec<Tensor>), EngineError> {
        let mut kept = vec![x.clone()];
        for level in &self.down {
            for layer in &level.layers {
                x = layer.forward(&x, told)?;
                kept.push(x.clone());
            }
            if let Some(halve) = &level.resize {
                x = plain(halve, &x)?;
                kept.push(x.clone());
            }
        }
        Ok((x, kept))
    }

    /// Goes through the middle.
    pub(super) fn middle(&self, mut x: Tensor, told: &Told<'_>) -> Result<Tensor, EngineError> {
        for (resnet, transformer) in &self.middle {
            (told.check)()?;
            x = resnet.forward(&x, Some(&told.time), told.check)?;
            if let Some(transformer) = transformer {
                x = transformer.forward(&x, &told.text, told.check)?;
            }
        }
        Ok(x)
    }

    /// Returns the SiLU of the embedding of times and what is added.
    fn embed(&self, times: &[f32], conditions: &Conditions<'_>) -> Result<Tensor, EngineError> {
        let device = self.compute.device();
        let mut waves = waves(times, self.config.levels[0].channels, device)?;
        if let Some(linear) = &self.guidance {
            let width = self.config.guidance_width.unwrap_or_default();
            let told = guidance_waves(conditions.guidance.unwrap_or(1.0), width, device)?;
            waves = waves.broadcast_add(&linear.forward(&told)?)?;
        }
        let [first, second] = &self.time;
        let time = second.forward(&first.forward_silu(&waves)?)?;
        let (Some([first, second]), Some(added)) = (&self.added, conditions.added) else {
            return Ok(time.silu()?);
        };
        let width = self.config.addition.map_or(0, |addition| addition.size_width);
        let sizes: Vec<f32> = added.sizes.iter().flatten().copied().collect();
        let sizes = self::waves(&sizes, width, device)?.reshape((times.len(), ()))?;
        let both = Tensor::cat(&[&added.pooled, &sizes], 1)?;
        Ok((time + second.forward(&first.forward_silu(&both)?)?)?.silu()?)
    }
}

/// Returns cosines and then sines of numbers at `width / 2` frequencies: `[numbers, width]`.
///
/// # Source
/// diffusers' `get_timestep_embedding` with `flip_sin_to_cos` and a shift of 0.
fn waves(numbers: &[f32], width: usize, device: &Device) -> candle_core::Result<Tensor> {
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

/// Returns sines and then cosines of a guidance, `[1, width]`.
///
/// # Source
/// diffusers' `LatentConsistencyModelPipeline.get_guidance_scale_embedding`.
fn guidance_waves(guidance: f32, width: usize, device: &Device) -> candle_core::Result<Tensor> {
    let half = width / 2;
    let told = f64::from(guidance - 1.0) * 1000.0;
    let last = half.saturating_sub(1).max(1) as f64;
    let angle = |i: usize| told * (-(10_000f64.ln()) * i as f64 / last).exp();
    let mut values: Vec<f32> = (0..half).map(|i| angle(i).sin() as f32).collect();
    values.extend((0..half).map(|i| angle(i).cos() as f32));
    values.resize(width, 0.0);
    Tensor::from_vec(values, (1, width), device)
}
