//! The autoencoder between pictures and latents.

use std::path::Path;

use serde_json::Value;

use super::list::List;
use super::{LAYERS_MAX, LEVELS_MAX, Said, Shapes, WIDTH_MAX, any_below, count, json, side};
use crate::error::EngineError;
use crate::weights::detect::Base;

/// What latents are multiplied by in SD 1.x and 2.x.
///
/// # Source
/// `scale_factor` in the configurations of the CompVis and Stability repositories.
const SCALING_OF_SD: f64 = 0.18215;
/// The same in SDXL and its refiner.
const SCALING_OF_SDXL: f64 = 0.13025;
/// The same in the upscaler by words, whose autoencoder has three levels.
const SCALING_OF_UPSCALER: f64 = 0.08333;
const LEVELS_OF_UPSCALER: usize = 3;

/// Describes an autoencoder.
#[derive(Debug, Clone, PartialEq)]
pub struct VaeConfig {
    /// The channels of a picture, 3.
    pub picture_channels: usize,
    /// The channels of a latent.
    pub latent_channels: usize,
    /// The channels of each resolution, the finest first.
    pub channels: Vec<usize>,
    /// The layers of a resolution in the encoder; the decoder has one more.
    pub layers: usize,
    /// What latents are multiplied by before they are given to the net.
    pub scaling_factor: f64,
    /// There are 1×1 convolutions on both sides of the latent.
    pub has_quant: bool,
    /// The encoder is here too; some files hold a decoder only.
    pub has_encoder: bool,
}

impl VaeConfig {
    /// Describes an autoencoder by the shapes of its tensors, and by its `config.json` where there
    /// is one. Shapes do not tell the scaling factor: without settings it is that of `base`.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is no such autoencoder, or the two disagree.
    pub fn of(
        shapes: &Shapes,
        settings: Option<&Value>,
        base: Option<Base>,
        path: &Path,
    ) -> Result<Self, EngineError> {
        let damaged = |reason: String| EngineError::damaged(path, reason);
        let mut found = Self::from_shapes(shapes, base).map_err(damaged)?;
        let Some(settings) = settings else { return Ok(found) };
        let said = Self::from_settings(settings).map_err(damaged)?;
        found.scaling_factor = said.scaling_factor;
        if found != (Self { has_encoder: found.has_encoder, ..said }) {
            return Err(damaged("has other tensors than its config.json describes".to_owned()));
        }
        Ok(found)
    }

    /// Reads a description from a `config.json`; `path` only names it in errors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] with what is wrong.
    pub fn from_json(settings: &Value, path: &Path) -> Result<Self, EngineError> {
        Self::from_settings(settings).map_err(|reason| EngineError::damaged(path, reason))
    }

    /// Returns what latents of a line of models are multiplied by, where no settings say so.
    pub fn scaling_of(base: Option<Base>) -> f64 {
        match base {
            Some(Base::Sdxl | Base::SdxlRefiner) => SCALING_OF_SDXL,
            _ => SCALING_OF_SD,
        }
    }

    /// Returns all tensors with their shapes.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = List::default();
        let latent = self.latent_channels;
        if self.has_encoder {
            self.encoder(&mut list);
        }
        self.decoder(&mut list);
        if self.has_quant {
            if self.has_encoder {
                list.conv("quant_conv", 2 * latent, 2 * latent, 1);
            }
            list.conv("post_quant_conv", latent, latent, 1);
        }
        list.tensors
    }

    fn encoder(&self, list: &mut List) {
        let mut from = self.channels[0];
        list.conv("encoder.conv_in", from, self.picture_channels, 3);
        for (index, to) in self.channels.iter().enumerate() {
            let name = format!("encoder.down_blocks.{index}");
            for layer in 0..self.layers {
                list.resnet(&format!("{name}.resnets.{layer}"), from, *to, None);
                from = *to;
            }
            if index + 1 < self.channels.len() {
                list.conv(&format!("{name}.downsamplers.0.conv"), *to, *to, 3);
            }
        }
        middle(list, "encoder", from);
        list.norm("encoder.conv_norm_out", from);
        list.conv("encoder.conv_out", 2 * self.latent_channels, from, 3);
    }

    fn decoder(&self, list: &mut List) {
        let mut from = self.channels[self.channels.len() - 1];
        list.conv("decoder.conv_in", from, self.latent_channels, 3);
        for (index, to) in self.channels.iter().rev().enumerate() {
            let name = format!("decoder.up_blocks.{index}");
            for layer in 0..=self.layers {
                list.resnet(&format!("{name}.resnets.{layer}"), from, *to, None);
                from = *to;
            }
            if index + 1 < self.channels.len() {
                list.conv(&format!("{name}.upsamplers.0.conv"), *to, *to, 3);
            }
        }
        middle(list, "decoder", self.channels[self.channels.len() - 1]);
        list.norm("decoder.conv_norm_out", from);
        list.conv("decoder.conv_out", self.picture_channels, from, 3);
    }

    fn from_shapes(shapes: &Shapes, base: Option<Base>) -> Said<Self> {
        let levels = count(shapes, "decoder.up_blocks.", ".", LEVELS_MAX)?;
        let level = |index: usize| {
            let name = format!("decoder.up_blocks.{index}.resnets.0.conv1.weight");
            side(shapes, &name, 0)
        };
        let channels = (0..levels).rev().map(level).collect::<Said<Vec<usize>>>()?;
        let layers = count(shapes, "decoder.up_blocks.0.resnets.", ".", LAYERS_MAX)?;
        if channels.is_empty() || layers < 2 {
            return Err("has no decoder, as an autoencoder does".to_owned());
        }
        Ok(Self {
            picture_channels: side(shapes, "decoder.conv_out.weight", 0)?,
            latent_channels: side(shapes, "decoder.conv_in.weight", 1)?,
            scaling_factor: match (base, channels.len()) {
                (Some(Base::Sdxl | Base::SdxlRefiner), _) => SCALING_OF_SDXL,
                (_, LEVELS_OF_UPSCALER) => SCALING_OF_UPSCALER,
                _ => SCALING_OF_SD,
            },
            channels,
            layers: layers - 1,
            has_quant: any_below(shapes, "post_quant_conv."),
            has_encoder: any_below(shapes, "encoder.down_blocks."),
        })
    }

    fn from_settings(settings: &Value) -> Said<Self> {
        let channels = json::wholes(settings, "block_out_channels", WIDTH_MAX)?;
        if !(1..=LEVELS_MAX).contains(&channels.len()) {
            return Err(format!("describes {} levels, not 1 to {LEVELS_MAX}", channels.len()));
        }
        let scaling = match &settings["scaling_factor"] {
            Value::Null => SCALING_OF_SD,
            found => found
                .as_f64()
                .filter(|factor| *factor > 0.0 && *factor <= 100.0)
                .ok_or_else(|| format!("says that latents are multiplied by {found}"))?,
        };
        Ok(Self {
            picture_channels: json::whole(settings, "out_channels", WIDTH_MAX)?.unwrap_or(3),
            latent_channels: json::whole(settings, "latent_channels", WIDTH_MAX)?.unwrap_or(4),
            channels,
            layers: json::whole(settings, "layers_per_block", LAYERS_MAX)?.unwrap_or(1),
            scaling_factor: scaling,
            has_quant: settings["use_post_quant_conv"].as_bool().unwrap_or(true),
            has_encoder: true,
        })
    }
}

/// Adds two layers with an attention between them.
fn middle(list: &mut List, name: &str, width: usize) {
    let attention = format!("{name}.mid_block.attentions.0");
    list.norm(&format!("{attention}.group_norm"), width);
    for end in ["to_q", "to_k", "to_v", "to_out.0"] {
        list.linear(&format!("{attention}.{end}"), width, width);
    }
    for layer in 0..2 {
        list.resnet(&format!("{name}.mid_block.resnets.{layer}"), width, width, None);
    }
}
