//! The denoising net.

use std::path::Path;

use serde_json::Value;

use super::list::List;
use super::{DEPTH_MAX, LAYERS_MAX, LEVELS_MAX, Said, Shapes, WIDTH_MAX, count, json, side};
use crate::error::EngineError;

/// The width of an attention's head in models that do not have a fixed number of heads.
const HEAD_WIDTH: usize = 64;
/// The number of heads in SD 1.x and in the upscaler.
const HEADS: usize = 8;
/// The width of the words of SD 1.x.
const CONTEXT_OF_SD1: usize = 768;
/// The width of the words of SD 2.x.
const CONTEXT_OF_SD2: usize = 1024;
/// The width of the embedding of one size in SDXL.
const SIZE_WIDTH: usize = 256;
/// How much wider the embedding of the time step is than the first level.
const TIME_FACTOR: usize = 4;

/// Describes one resolution of the net.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// The channels.
    pub channels: usize,
    /// The layers on the way down: how many transformer blocks follow each; nought for no attention.
    pub down: Vec<usize>,
    /// The layers on the way up, in the order in which they run; one more than on the way down.
    pub up: Vec<usize>,
    /// The heads of the attentions, if there are any; those of the last level are the middle's too.
    pub heads: usize,
    /// Both attentions look at the words, as in the upscaler by words.
    pub is_words_only: bool,
}

/// Describes what SDXL adds to the time step: sizes and the pooled words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addition {
    /// The width of all that is added, before its projection: 2816 in SDXL, 2560 in the refiner.
    pub input: usize,
    /// The width of the embedding of one size.
    pub size_width: usize,
}

/// Describes what else is added to the time step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classes {
    /// One embedding for each of so many classes (the noise levels of the upscaler).
    Table(usize),
    /// A projection of so many features (the picture's embedding in unCLIP).
    Projection(usize),
}

/// Describes a denoising net.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnetConfig {
    /// The channels that go in: 4, or 5, 7, 8, 9 with what the variant adds.
    pub in_channels: usize,
    /// The channels that come out.
    pub out_channels: usize,
    /// The resolutions, the finest first.
    pub levels: Vec<Level>,
    /// The transformer blocks of each attention in the middle; `None` where there is no middle.
    pub mid: Option<Vec<usize>>,
    /// The width of the words (`cross_attention_dim`).
    pub context: usize,
    /// The width of the embedding of the time step.
    pub time_width: usize,
    /// The transformers' first and last projections are matrices rather than 1×1 convolutions.
    pub has_linear_projections: bool,
    /// Sizes and pooled words, in SDXL.
    pub addition: Option<Addition>,
    /// Classes or a projected embedding.
    pub classes: Option<Classes>,
    /// The width of the embedding of the guidance, in latent consistency models.
    pub guidance_width: Option<usize>,
}

impl UnetConfig {
    /// Describes a net by the shapes of its tensors, and by its `config.json` where there is one:
    /// shapes do not tell the number of heads.
    ///
    /// Without settings, SD 1.x and the upscaler have eight heads and others heads of 64 features.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is no such net, or the two disagree.
    pub fn of(shapes: &Shapes, settings: Option<&Value>, path: &Path) -> Result<Self, EngineError> {
        let damaged = |reason: String| EngineError::damaged(path, reason);
        let mut found = Self::from_shapes(shapes).map_err(damaged)?;
        let Some(settings) = settings else {
            found.check().map_err(damaged)?;
            return Ok(found);
        };
        let said = Self::from_settings(settings).map_err(damaged)?;
        for (level, said) in found.levels.iter_mut().zip(&said.levels) {
            level.heads = said.heads;
        }
        if let (Some(addition), Some(said)) = (&mut found.addition, said.addition) {
            addition.size_width = said.size_width;
        }
        // A 1×1 convolution and a matrix are the same numbers.
        found.has_linear_projections = said.has_linear_projections;
        if found != said {
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

    /// Returns all tensors with their shapes, in PyTorch's order.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = List::default();
        self.beginning(&mut list);
        self.way_down(&mut list);
        self.way_up(&mut list);
        self.middle(&mut list);
        let first = self.levels[0].channels;
        list.norm("conv_norm_out", first);
        list.conv("conv_out", self.out_channels, first, 3);
        list.tensors
    }

    fn from_shapes(shapes: &Shapes) -> Said<Self> {
        let context = context(shapes)?;
        let mut levels = Vec::new();
        let depth = count(shapes, "down_blocks.", ".", LEVELS_MAX)?;
        let in_channels = side(shapes, "conv_in.weight", 1)?;
        for index in 0..depth {
            let down = format!("down_blocks.{index}");
            let channels = side(shapes, &format!("{down}.resnets.0.conv1.weight"), 0)?;
            let to_key = format!("{down}.attentions.0.transformer_blocks.0.attn1.to_k.weight");
            let reads = shapes.get(&to_key).and_then(|shape| shape.get(1).copied());
            let down = layers(shapes, &down)?;
            let up = layers(shapes, &format!("up_blocks.{}", depth - 1 - index))?;
            levels.push(Level {
                channels,
                heads: heads(channels, context, in_channels),
                is_words_only: reads.is_some_and(|reads| reads != channels && reads == context),
                down,
                up,
            });
        }
        let optional = |name: &str, axis| match shapes.contains_key(name) {
            true => side(shapes, name, axis).map(Some),
            false => Ok(None),
        };
        let projection = shapes.iter().find(|(name, _)| name.ends_with(".proj_in.weight"));
        let addition = optional("add_embedding.linear_1.weight", 1)?;
        let table = optional("class_embedding.weight", 0)?;
        let projected = optional("class_embedding.linear_1.weight", 1)?;
        Ok(Self {
            in_channels,
            out_channels: side(shapes, "conv_out.weight", 0)?,
            levels,
            mid: match layers(shapes, "mid_block")? {
                resnets if resnets.is_empty() => None,
                // One more layer than attentions.
                mut blocks => {
                    blocks.pop();
                    Some(blocks)
                }
            },
            context,
            time_width: side(shapes, "time_embedding.linear_2.weight", 0)?,
            has_linear_projections: projection.is_some_and(|(_, shape)| shape.len() == 2),
            addition: addition.map(|input| Addition { input, size_width: SIZE_WIDTH }),
            classes: table.map(Classes::Table).or(projected.map(Classes::Projection)),
            guidance_width: optional("time_embedding.cond_proj.weight", 1)?,
        })
    }

    fn from_settings(settings: &Value) -> Said<Self> {
        let channels = json::wholes(settings, "block_out_channels", WIDTH_MAX)?;
        let depth = channels.len();
        if !(1..=LEVELS_MAX).contains(&depth) {
            return Err(format!("describes {depth} levels, not 1 to {LEVELS_MAX}"));
        }
        let layers = json::per_level(settings, "layers_per_block", depth, LAYERS_MAX)?;
        let layers = layers.unwrap_or_else(|| vec![2; depth]);
        let key = "num_attention_heads";
        // What diffusers calls the width of a head has always been their number.
        let heads = match json::per_level(settings, key, depth, WIDTH_MAX)? {
            Some(heads) => heads,
            None => json::per_level(settings, "attention_head_dim", depth, WIDTH_MAX)?
                .unwrap_or_else(|| vec![HEADS; depth]),
        };
        let (down_types, up_types) =
            (json::texts(settings, "down_block_types"), json::texts(settings, "up_block_types"));
        if down_types.len() != depth || up_types.len() != depth {
            return Err(format!("does not name the kinds of blocks of its {depth} levels"));
        }
        let attends = |kind: &str| match kind {
            "CrossAttnDownBlock2D" | "CrossAttnUpBlock2D" => Ok(true),
            "DownBlock2D" | "UpBlock2D" => Ok(false),
            other => Err(format!("has blocks “{other}”, which are not known")),
        };
        let depths = Depths::read(settings, &layers)?;
        let mut levels = Vec::new();
        for index in 0..depth {
            let (down, up) = (attends(down_types[index])?, attends(up_types[depth - 1 - index])?);
            let blocks = |is_there: bool, blocks: &[usize]| {
                blocks.iter().map(|blocks| if is_there { *blocks } else { 0 }).collect()
            };
            levels.push(Level {
                channels: channels[index],
                down: blocks(down, &depths.down[index]),
                up: blocks(up, &depths.up[index]),
                heads: heads[index],
                is_words_only: match &settings["only_cross_attention"] {
                    Value::Array(flags) => {
                        down && flags.get(index).and_then(Value::as_bool).unwrap_or(false)
                    }
                    flag => down && flag.as_bool().unwrap_or(false),
                },
            });
        }
        let context = json::needed(settings, "cross_attention_dim", WIDTH_MAX)?;
        let input = json::whole(settings, "projection_class_embeddings_input_dim", WIDTH_MAX)?;
        let addition = match settings["addition_embed_type"].as_str() {
            Some("text_time") => Some(Addition {
                input: input.ok_or("does not say how wide its added embedding is")?,
                size_width: json::whole(settings, "addition_time_embed_dim", WIDTH_MAX)?
                    .unwrap_or(SIZE_WIDTH),
            }),
            Some(other) => return Err(format!("adds “{other}”, which is not known")),
            None => None,
        };
        let classes = match settings["class_embed_type"].as_str() {
            Some("projection") => input.map(Classes::Projection),
            Some(other) => return Err(format!("has classes of “{other}”, which are not known")),
            None => json::whole(settings, "num_class_embeds", WIDTH_MAX)?.map(Classes::Table),
        };
        let found = Self {
            in_channels: json::whole(settings, "in_channels", WIDTH_MAX)?.unwrap_or(4),
            out_channels: json::whole(settings, "out_channels", WIDTH_MAX)?.unwrap_or(4),
            mid: depths.mid,
            context,
            time_width: json::whole(settings, "time_embedding_dim", WIDTH_MAX)?
                .unwrap_or(channels[0] * TIME_FACTOR),
            has_linear_projections: json::flag(settings, "use_linear_projection"),
            addition,
            classes,
            guidance_width: json::whole(settings, "time_cond_proj_dim", WIDTH_MAX)?,
            levels,
        };
        found.check()?;
        Ok(found)
    }

    /// Refuses what no net of the family is like.
    fn check(&self) -> Said<()> {
        if self.levels.is_empty() {
            return Err("has no levels, as a UNet does".to_owned());
        }
        for (index, level) in self.levels.iter().enumerate() {
            let Level { channels, down, up, heads, .. } = level;
            if down.is_empty() || up.len() != down.len() + 1 {
                let (down, up) = (down.len(), up.len());
                return Err(format!("has {down} layers down and {up} up at level {index}"));
            }
            if !channels.is_multiple_of(*heads) {
                return Err(format!("divides {channels} features among {heads} heads"));
            }
            if down.iter().chain(up).any(|blocks| *blocks > DEPTH_MAX) {
                return Err(format!("has more than {DEPTH_MAX} transformer blocks in a row"));
            }
        }
        if let Some(Addition { input, size_width }) = self.addition
            && input <= size_width
        {
            return Err(format!("adds an embedding of {input} features with no room for words"));
        }
        Ok(())
    }

    pub(super) fn beginning(&self, list: &mut List) {
        let (first, time) = (self.levels[0].channels, self.time_width);
        list.conv("conv_in", first, self.in_channels, 3);
        list.linear("time_embedding.linear_1", time, first);
        if let Some(width) = self.guidance_width {
            list.plain("time_embedding.cond_proj", &[first, width]);
        }
        list.linear("time_embedding.linear_2", time, time);
        match self.classes {
            Some(Classes::Table(classes)) => list.plain("class_embedding", &[classes, time]),
            Some(Classes::Projection(input)) => {
                list.linear("class_embedding.linear_1", time, input);
                list.linear("class_embedding.linear_2", time, time);
            }
            None => {}
        }
        if let Some(addition) = self.addition {
            list.linear("add_embedding.linear_1", time, addition.input);
            list.linear("add_embedding.linear_2", time, time);
        }
    }

    pub(super) fn way_down(&self, list: &mut List) {
        let mut from = self.levels[0].channels;
        for (index, level) in self.levels.iter().enumerate() {
            let (name, to) = (format!("down_blocks.{index}"), level.channels);
            self.transformers(list, &name, level, &level.down);
            for layer in 0..level.down.len() {
                list.resnet(&format!("{name}.resnets.{layer}"), from, to, Some(self.time_width));
                from = to;
            }
            if index + 1 < self.levels.len() {
                list.conv(&format!("{name}.downsamplers.0.conv"), to, to, 3);
            }
        }
    }

    fn way_up(&self, list: &mut List) {
        let mut kept = self.kept();
        let mut from = self.levels[self.levels.len() - 1].channels;
        for (index, level) in self.levels.iter().rev().enumerate() {
            let (name, to) = (format!("up_blocks.{index}"), level.channels);
            self.transformers(list, &name, level, &level.up);
            for layer in 0..level.up.len() {
                let joined = from + kept.pop().unwrap_or(0);
                list.resnet(&format!("{name}.resnets.{layer}"), joined, to, Some(self.time_width));
                from = to;
            }
            if index + 1 < self.levels.len() {
                list.conv(&format!("{name}.upsamplers.0.conv"), to, to, 3);
            }
        }
    }

    /// Returns the channels of what the way down keeps for the way up, in order.
    pub fn kept(&self) -> Vec<usize> {
        let mut kept = vec![self.levels[0].channels];
        for (index, level) in self.levels.iter().enumerate() {
            let is_last = index + 1 == self.levels.len();
            let count = level.down.len() + usize::from(!is_last);
            kept.extend(std::iter::repeat_n(level.channels, count));
        }
        kept
    }

    pub(super) fn middle(&self, list: &mut List) {
        let (Some(mid), Some(last)) = (&self.mid, self.levels.last()) else { return };
        self.transformers(list, "mid_block", &Level { is_words_only: false, ..last.clone() }, mid);
        for layer in 0..=mid.len() {
            let (name, width) = (format!("mid_block.resnets.{layer}"), last.channels);
            list.resnet(&name, width, width, Some(self.time_width));
        }
    }

    fn transformers(&self, list: &mut List, name: &str, level: &Level, layers: &[usize]) {
        let width = level.channels;
        for (layer, blocks) in layers.iter().enumerate().filter(|(_, blocks)| **blocks > 0) {
            let name = format!("{name}.attentions.{layer}");
            let project = |list: &mut List, end: &str| match self.has_linear_projections {
                true => list.linear(&format!("{name}.{end}"), width, width),
                false => list.conv(&format!("{name}.{end}"), width, width, 1),
            };
            list.norm(&format!("{name}.norm"), width);
            project(list, "proj_in");
            for block in 0..*blocks {
                let name = format!("{name}.transformer_blocks.{block}");
                let own = if level.is_words_only { self.context } else { width };
                list.norm(&format!("{name}.norm1"), width);
                list.attention(&format!("{name}.attn1"), width, own);
                list.norm(&format!("{name}.norm2"), width);
                list.attention(&format!("{name}.attn2"), width, self.context);
                list.norm(&format!("{name}.norm3"), width);
                list.linear(&format!("{name}.ff.net.0.proj"), 8 * width, width);
                list.linear(&format!("{name}.ff.net.2"), width, 4 * width);
            }
            project(list, "proj_out");
        }
    }
}

/// Holds the transformer blocks of each layer, as a `config.json` says them.
struct Depths {
    down: Vec<Vec<usize>>,
    up: Vec<Vec<usize>>,
    mid: Option<Vec<usize>>,
}

impl Depths {
    /// Reads them; the blocks on the way up may be said apart, in the order of the way up.
    fn read(settings: &Value, layers: &[usize]) -> Said<Self> {
        let key = "transformer_layers_per_block";
        let down = per_layer(&settings[key], layers, key)?;
        let reversed = "reverse_transformer_layers_per_block";
        let more: Vec<usize> = layers.iter().map(|count| count + 1).collect();
        let up = match &settings[reversed] {
            Value::Null
                if settings[key].as_array().is_some_and(|l| l.iter().any(Value::is_array)) =>
            {
                return Err(format!("does not say “{reversed}”, although its layers differ"));
            }
            Value::Null => per_layer(&settings[key], &more, key)?,
            found => {
                let mut from_below = more.clone();
                from_below.reverse();
                let mut up = per_layer(found, &from_below, reversed)?;
                up.reverse();
                up
            }
        };
        let last = down.last().and_then(|blocks| blocks.last()).copied().unwrap_or(1);
        let mid = match settings.get("mid_block_type").map(Value::as_str) {
            None | Some(Some("UNetMidBlock2DCrossAttn")) => Some(vec![last]),
            Some(None) => None,
            Some(Some("UNetMidBlock2D")) => Some(Vec::new()),
            Some(Some(other)) => return Err(format!("has a “{other}”, which is not known")),
        };
        Ok(Self { down, up, mid })
    }
}

/// Reads the transformer blocks of each layer: one number for all, one per level, or one per layer.
fn per_layer(value: &Value, layers: &[usize], key: &str) -> Said<Vec<Vec<usize>>> {
    let whole = |value: &Value| {
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        let number = number.filter(|number| *number <= DEPTH_MAX);
        number.ok_or_else(|| format!("says “{key}” is {value}, not a number up to {DEPTH_MAX}"))
    };
    let same = |value: &Value, count: usize| Ok(vec![whole(value)?; count]);
    match value {
        Value::Null => Ok(layers.iter().map(|count| vec![1; *count]).collect()),
        Value::Array(levels) if levels.len() == layers.len() => {
            let level = |(value, count): (&Value, &usize)| match value {
                Value::Array(list) if list.len() == *count => list.iter().map(whole).collect(),
                Value::Array(list) => {
                    Err(format!("lists {} layers as “{key}”, not {count}", list.len()))
                }
                number => same(number, *count),
            };
            levels.iter().zip(layers).map(level).collect()
        }
        Value::Array(levels) => {
            Err(format!("lists {} levels as “{key}”, not {}", levels.len(), layers.len()))
        }
        number => layers.iter().map(|count| same(number, *count)).collect(),
    }
}

/// Returns the transformer blocks of each layer of a block.
fn layers(shapes: &Shapes, block: &str) -> Said<Vec<usize>> {
    let layers = count(shapes, &format!("{block}.resnets."), ".", LAYERS_MAX)?;
    let depth = |layer: usize| {
        let prefix = format!("{block}.attentions.{layer}.transformer_blocks.");
        count(shapes, &prefix, ".", DEPTH_MAX)
    };
    (0..layers).map(depth).collect()
}

/// Returns the width of the words.
pub(super) fn context(shapes: &Shapes) -> Said<usize> {
    let first = shapes.keys().find(|name| name.ends_with(".attn2.to_k.weight"));
    let first = first.ok_or("has no attention to words, as a UNet of this family does")?;
    side(shapes, first, 1)
}

/// Returns the number of heads, which shapes do not tell.
fn heads(channels: usize, context: usize, in_channels: usize) -> usize {
    /// The channels that only the upscaler by words takes.
    const UPSCALER: usize = 7;
    let is_fixed = context == CONTEXT_OF_SD1
        || (context == CONTEXT_OF_SD2 && in_channels == UPSCALER)
        || !channels.is_multiple_of(HEAD_WIDTH);
    match is_fixed && channels.is_multiple_of(HEADS) {
        true => HEADS,
        false if channels.is_multiple_of(HEAD_WIDTH) => channels / HEAD_WIDTH,
        false => 1,
    }
}
