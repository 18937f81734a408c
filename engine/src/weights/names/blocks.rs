//! The blocks of the denoising net and of its copy in a ControlNet.
//!
//! CompVis counts blocks through: `input_blocks.4.0` is a layer of the second level and
//! `input_blocks.4.1` its attention. diffusers counts within levels: `down_blocks.1.resnets.0` and
//! `down_blocks.1.attentions.0`.

use super::{Found, How, Names, is_no_weight};
use crate::weights::sd_config::UnetConfig;

/// Where a net may stand with CompVis's names, best first, and with diffusers'.
const LDM: [&str; 4] = ["model.diffusion_model.", "diffusion_model.", "unet.", ""];
const DIFFUSERS: [&str; 4] = ["unet/", "unet.", "model.", ""];
/// The same for a ControlNet.
const CONTROL_LDM: [&str; 2] = ["control_model.", ""];
const CONTROL_DIFFUSERS: [&str; 3] = ["controlnet/", "controlnet.", ""];
/// The width of the words of SD 2.x: what unCLIP adds there is a picture's embedding, not sizes.
const CONTEXT_OF_UNCLIP: usize = 1024;
/// The most blocks of a level, and levels.
const MOST: usize = 64;

/// Within a layer: CompVis's name and diffusers'.
const RESNET: [(&str, &str); 6] = [
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
];

/// What an old file of diffusers calls the projections of an attention, and what it does today.
pub(super) const OLD_ATTENTION: [(&str, &str); 4] =
    [("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")];

/// Says of each layer, level by level, whether an attention follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::weights) struct Blocks {
    down: Vec<Vec<bool>>,
    up: Vec<Vec<bool>>,
    /// How many attentions are in the middle; `None` where there is none.
    mid: Option<usize>,
    /// The embedding that is added to the time step is SDXL's, or one for classes.
    adds_sizes: bool,
}

impl Blocks {
    /// Counts the blocks of a net that is described.
    pub(in crate::weights) fn of(config: &UnetConfig) -> Self {
        let attends = |layers: &Vec<usize>| layers.iter().map(|blocks| *blocks > 0).collect();
        Self {
            down: config.levels.iter().map(|level| attends(&level.down)).collect(),
            up: config.levels.iter().rev().map(|level| attends(&level.up)).collect(),
            mid: config.mid.as_ref().map(Vec::len),
            adds_sizes: config.addition.is_some(),
        }
    }

    /// Counts the blocks of a net in a file; `has` tells whether it has a tensor.
    fn count(has: impl Fn(&str) -> bool, adds_sizes: bool) -> Self {
        let mut down = vec![Vec::new()];
        for block in 1..MOST {
            let name = format!("input_blocks.{block}");
            if has(&format!("{name}.0.op.weight")) {
                down.push(Vec::new());
            } else if has(&format!("{name}.0.in_layers.0.weight")) {
                let attends = has(&format!("{name}.1.proj_in.weight"));
                if let Some(level) = down.last_mut() {
                    level.push(attends);
                }
            } else {
                break;
            }
        }
        let mut up = vec![Vec::new()];
        for block in 0..MOST {
            let name = format!("output_blocks.{block}");
            if !has(&format!("{name}.0.in_layers.0.weight")) {
                break;
            }
            let attends = has(&format!("{name}.1.proj_in.weight"));
            if let Some(level) = up.last_mut() {
                level.push(attends);
            }
            if [1, 2].iter().any(|place| has(&format!("{name}.{place}.conv.weight"))) {
                up.push(Vec::new());
            }
        }
        let layers = (0..MOST)
            .take_while(|layer| has(&format!("middle_block.{}.in_layers.0.weight", 2 * layer)));
        Self { down, up, mid: layers.count().checked_sub(1), adds_sizes }
    }

    /// Returns the modules that CompVis and diffusers call differently, as pairs of beginnings.
    pub(in crate::weights) fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        let mut pair = |ldm: String, diffusers: String| pairs.push((ldm, diffusers));
        let layer = |pair: &mut dyn FnMut(String, String), ldm: &str, diffusers: &str| {
            for (theirs, ours) in RESNET {
                pair(format!("{ldm}.{theirs}"), format!("{diffusers}.{ours}"));
            }
        };
        for (ldm, diffusers) in [
            ("time_embed.0", "time_embedding.linear_1"),
            ("time_embed.2", "time_embedding.linear_2"),
            ("time_embed.cond_proj", "time_embedding.cond_proj"),
            ("input_blocks.0.0", "conv_in"),
            ("out.0", "conv_norm_out"),
            ("out.2", "conv_out"),
        ] {
            pair(ldm.to_owned(), diffusers.to_owned());
        }
        let added = if self.adds_sizes { "add_embedding" } else { "class_embedding" };
        pair("label_emb.0.0".to_owned(), format!("{added}.linear_1"));
        pair("label_emb.0.2".to_owned(), format!("{added}.linear_2"));
        pair("label_emb".to_owned(), "class_embedding".to_owned());
        let mut block = 1;
        for (level, layers) in self.down.iter().enumerate() {
            let name = format!("down_blocks.{level}");
            for (index, attends) in layers.iter().enumerate() {
                let ldm = format!("input_blocks.{block}");
                layer(&mut pair, &format!("{ldm}.0"), &format!("{name}.resnets.{index}"));
                if *attends {
                    pair(format!("{ldm}.1"), format!("{name}.attentions.{index}"));
                }
                block += 1;
            }
            if level + 1 < self.down.len() {
                pair(format!("input_blocks.{block}.0.op"), format!("{name}.downsamplers.0.conv"));
                block += 1;
            }
        }
        let mut block = 0;
        for (level, layers) in self.up.iter().enumerate() {
            let name = format!("up_blocks.{level}");
            for (index, attends) in layers.iter().enumerate() {
                let ldm = format!("output_blocks.{block}");
                layer(&mut pair, &format!("{ldm}.0"), &format!("{name}.resnets.{index}"));
                if *attends {
                    pair(format!("{ldm}.1"), format!("{name}.attentions.{index}"));
                }
                if index + 1 == layers.len() && level + 1 < self.up.len() {
                    let place = 1 + usize::from(*attends);
                    let sampler = format!("{name}.upsamplers.0.conv");
                    pair(format!("{ldm}.{place}.conv"), sampler);
                }
                block += 1;
            }
        }
        for index in 0..=self.mid.unwrap_or(0) {
            let (ldm, name) =
                (format!("middle_block.{}", 2 * index), format!("mid_block.resnets.{index}"));
            layer(&mut pair, &ldm, &name);
            pair(
                format!("middle_block.{}", 2 * index + 1),
                format!("mid_block.attentions.{index}"),
            );
        }
        pairs
    }
}

/// Returns a name of diffusers for one of CompVis.
fn renamed(name: &str, pairs: &[(String, String)]) -> Option<String> {
    pairs.iter().find_map(|(ldm, diffusers)| {
        let rest = name.strip_prefix(ldm.as_str())?;
        rest.starts_with('.').then(|| format!("{diffusers}{rest}"))
    })
}

/// Finds a denoising net.
pub(super) fn unet(names: &Names<'_>) -> Option<Found> {
    if let Some(prefix) = names.prefix_of(&LDM, "input_blocks.1.0.in_layers.0.weight") {
        return Some(from_ldm(names, prefix, |_| None));
    }
    let first = "down_blocks.0.resnets.0.norm1.weight";
    names.prefix_of(&DIFFUSERS, first).map(|prefix| from_diffusers(names, prefix))
}

/// Finds a ControlNet.
pub(super) fn control_net(names: &Names<'_>) -> Option<Found> {
    let hint = "input_hint_block.0.weight";
    if let Some(prefix) = names.prefix_of(&CONTROL_LDM, hint) {
        let last = (0..MOST)
            .rev()
            .find(|place| names.has(&format!("{prefix}input_hint_block.{place}.weight")))?;
        return Some(from_ldm(names, prefix, |name| control_name(name, last)));
    }
    let hint = "controlnet_cond_embedding.conv_in.weight";
    names.prefix_of(&CONTROL_DIFFUSERS, hint).map(|prefix| from_diffusers(names, prefix))
}

/// Returns diffusers' name of what only a ControlNet has; `last` is the place of the last
/// convolution of the hint's embedding: activations, which have no weights, stand between them.
fn control_name(name: &str, last: usize) -> Option<String> {
    let number = |rest: &str| -> Option<(usize, String)> {
        let (number, rest) = rest.split_once('.')?;
        Some((number.parse().ok()?, rest.to_owned()))
    };
    if let Some((index, rest)) = name.strip_prefix("zero_convs.").and_then(number) {
        let end = rest.strip_prefix("0.")?;
        return Some(format!("controlnet_down_blocks.{index}.{end}"));
    }
    if let Some(end) = name.strip_prefix("middle_block_out.0.") {
        return Some(format!("controlnet_mid_block.{end}"));
    }
    let (place, end) = name.strip_prefix("input_hint_block.").and_then(number)?;
    let place = match place {
        0 => "conv_in".to_owned(),
        place if place == last => "conv_out".to_owned(),
        place => format!("blocks.{}", (place / 2).checked_sub(1)?),
    };
    Some(format!("controlnet_cond_embedding.{place}.{end}"))
}

fn from_ldm<'a>(
    names: &Names<'a>,
    prefix: &'static str,
    other: impl Fn(&str) -> Option<String>,
) -> Found {
    let is_to_words = |name: &&str| name.ends_with(".attn2.to_k.weight");
    let to_words = names.below(prefix).find(is_to_words);
    let context = to_words.and_then(|name| names.side(&format!("{prefix}{name}"), 1));
    let adds_sizes = context != Some(CONTEXT_OF_UNCLIP);
    let blocks = Blocks::count(|name| names.has(&format!("{prefix}{name}")), adds_sizes);
    let pairs = blocks.pairs();
    let mut found = Found::default();
    for name in names.below(prefix) {
        let stored = format!("{prefix}{name}");
        match renamed(name, &pairs).or_else(|| other(name)) {
            _ if is_no_weight(name) => {}
            Some(name) => found.add(name, &stored, How::AsIs),
            // Below an empty prefix stand the other parts too.
            None if prefix.is_empty() => {}
            None => found.surplus.push(stored),
        }
    }
    found
}

fn from_diffusers<'a>(names: &Names<'a>, prefix: &'static str) -> Found {
    let mut found = Found::default();
    for name in names.below(prefix).filter(|name| !is_no_weight(name)) {
        found.add(name.to_owned(), &format!("{prefix}{name}"), How::AsIs);
    }
    found
}
