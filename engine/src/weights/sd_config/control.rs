//! A copy of the net's way down that reads a picture of hints.

use std::path::Path;

use serde_json::Value;

use super::list::List;
use super::unet::{UnetConfig, context};
use super::{LAYERS_MAX, Said, Shapes, WIDTH_MAX, count, json, side};
use crate::error::EngineError;

/// Describes a ControlNet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlConfig {
    /// The net that it copies; what its levels say of the way up is not used.
    pub net: UnetConfig,
    /// The channels of the hint, 3 for a picture.
    pub hint_channels: usize,
    /// The widths of the embedding of the hint; each but the last is halved in size.
    pub embedding: Vec<usize>,
}

impl ControlConfig {
    /// Describes a ControlNet by the shapes of its tensors, and by its `config.json` where there is
    /// one, as [`UnetConfig::of`] does.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is no ControlNet, or the two disagree.
    pub fn of(shapes: &Shapes, settings: Option<&Value>, path: &Path) -> Result<Self, EngineError> {
        let damaged = |reason: String| EngineError::damaged(path, reason);
        let mut whole = shapes.clone();
        Self::complete(&mut whole).map_err(damaged)?;
        let settings = settings.map(completed);
        let net = UnetConfig::of(&whole, settings.as_ref(), path)?;
        let prefix = "controlnet_cond_embedding";
        let embedding = || -> Said<(usize, Vec<usize>)> {
            let mut widths = vec![side(shapes, &format!("{prefix}.conv_in.weight"), 0)?];
            let blocks = count(shapes, &format!("{prefix}.blocks."), ".", 2 * LAYERS_MAX)?;
            for block in (1..blocks).step_by(2) {
                widths.push(side(shapes, &format!("{prefix}.blocks.{block}.weight"), 0)?);
            }
            Ok((side(shapes, &format!("{prefix}.conv_in.weight"), 1)?, widths))
        };
        let (hint_channels, embedding) = embedding().map_err(damaged)?;
        if let Some(settings) = &settings {
            let key = "conditioning_embedding_out_channels";
            let said = json::wholes(settings, key, WIDTH_MAX).map_err(damaged)?;
            if said != embedding {
                return Err(damaged("has other tensors than its config.json describes".to_owned()));
            }
        }
        Ok(Self { net, hint_channels, embedding })
    }

    /// Describes a ControlNet by its `config.json`; `path` only names it in errors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] with what is wrong.
    pub fn from_json(settings: &Value, path: &Path) -> Result<Self, EngineError> {
        let damaged = |reason: String| EngineError::damaged(path, reason);
        let key = "conditioning_embedding_out_channels";
        Ok(Self {
            net: UnetConfig::from_json(&completed(settings), path)?,
            hint_channels: json::whole(settings, "conditioning_channels", WIDTH_MAX)
                .map_err(damaged)?
                .unwrap_or(3),
            embedding: json::wholes(settings, key, WIDTH_MAX)
                .and_then(|widths| match widths.is_empty() {
                    true => Err("describes no embedding of the hint".to_owned()),
                    false => Ok(widths),
                })
                .map_err(damaged)?,
        })
    }

    /// Returns all tensors with their shapes.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = List::default();
        let first = self.net.levels[0].channels;
        self.net.beginning(&mut list);
        let name = "controlnet_cond_embedding";
        list.conv(&format!("{name}.conv_in"), self.embedding[0], self.hint_channels, 3);
        for (index, pair) in self.embedding.windows(2).enumerate() {
            list.conv(&format!("{name}.blocks.{}", 2 * index), pair[0], pair[0], 3);
            list.conv(&format!("{name}.blocks.{}", 2 * index + 1), pair[1], pair[0], 3);
        }
        let last = self.embedding[self.embedding.len() - 1];
        list.conv(&format!("{name}.conv_out"), first, last, 3);
        self.net.way_down(&mut list);
        for (index, width) in self.net.kept().into_iter().enumerate() {
            list.conv(&format!("controlnet_down_blocks.{index}"), width, width, 1);
        }
        let deepest = self.net.levels[self.net.levels.len() - 1].channels;
        list.conv("controlnet_mid_block", deepest, deepest, 1);
        self.net.middle(&mut list);
        list.tensors
    }

    /// Adds the shapes that stand for the way up, which a ControlNet lacks.
    fn complete(shapes: &mut Shapes) -> Said<()> {
        context(shapes)?;
        let levels = count(shapes, "down_blocks.", ".", super::LEVELS_MAX)?;
        for level in 0..levels {
            let layers = count(shapes, &format!("down_blocks.{level}.resnets."), ".", LAYERS_MAX)?;
            for layer in 0..=layers {
                let up = levels - 1 - level;
                shapes.insert(format!("up_blocks.{up}.resnets.{layer}.norm1.weight"), vec![1]);
            }
        }
        let input = side(shapes, "conv_in.weight", 1)?;
        shapes.insert("conv_out.weight".to_owned(), vec![input]);
        Ok(())
    }
}

/// Adds to a ControlNet's settings what a net's say of the way up.
fn completed(settings: &Value) -> Value {
    let mut settings = settings.clone();
    let levels = json::texts(&settings, "down_block_types").len();
    settings["up_block_types"] = vec!["UpBlock2D"; levels].into();
    settings["out_channels"] = settings["in_channels"].clone();
    settings
}
