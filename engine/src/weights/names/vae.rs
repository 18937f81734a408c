//! The autoencoder.

use super::blocks::OLD_ATTENTION;
use super::{Found, How, Names, is_no_weight};

/// Where it may stand, best first.
const PREFIXES: [&str; 5] = ["first_stage_model.", "vae/", "vae.", "model.", ""];
/// The parts of an autoencoder; others below the same prefix belong to something else.
const TOPS: [&str; 4] = ["encoder.", "decoder.", "quant_conv.", "post_quant_conv."];

/// Finds an autoencoder.
pub(super) fn vae(names: &Names<'_>) -> Option<Found> {
    let prefix = names.prefix_of(&PREFIXES, "decoder.conv_in.weight")?;
    // CompVis counts the levels of the decoder from the finest, diffusers from the coarsest.
    let number = |name: &str| -> Option<usize> {
        name.strip_prefix("decoder.up.")?.split('.').next()?.parse().ok()
    };
    let last = names.below(prefix).filter_map(number).max().unwrap_or(0);
    let mut found = Found::default();
    for name in names.below(prefix).filter(|name| !is_no_weight(name)) {
        let stored = format!("{prefix}{name}");
        let is_part = TOPS.iter().any(|top| name.starts_with(top));
        match today(name, last).filter(|_| is_part) {
            Some(name) => found.add(name, &stored, How::AsIs),
            None if prefix.is_empty() => {}
            None => found.surplus.push(stored),
        }
    }
    Some(found)
}

/// Returns the name that diffusers has for a tensor today.
fn today(name: &str, last: usize) -> Option<String> {
    let (half, rest) = name.split_once('.')?;
    if !matches!(half, "encoder" | "decoder") {
        return Some(name.to_owned());
    }
    let parts: Vec<&str> = rest.split('.').collect();
    let rest = match parts.as_slice() {
        ["mid", layer @ ("block_1" | "block_2"), end @ ..] => {
            let layer = if *layer == "block_1" { 0 } else { 1 };
            format!("mid_block.resnets.{layer}.{}", layer_end(end))
        }
        ["mid", "attn_1", place, end @ ..] => {
            let place = match *place {
                "norm" => "group_norm",
                "q" => "to_q",
                "k" => "to_k",
                "v" => "to_v",
                "proj_out" => "to_out.0",
                _ => return None,
            };
            format!("mid_block.attentions.0.{place}.{}", end.join("."))
        }
        [way @ ("down" | "up"), level, "block", layer, end @ ..] => {
            let level = level_of(way, level, last)?;
            format!("{way}_blocks.{level}.resnets.{layer}.{}", layer_end(end))
        }
        [way @ ("down" | "up"), level, sampler @ ("downsample" | "upsample"), end @ ..] => {
            let level = level_of(way, level, last)?;
            format!("{way}_blocks.{level}.{sampler}rs.0.{}", end.join("."))
        }
        ["norm_out", end @ ..] => format!("conv_norm_out.{}", end.join(".")),
        ["mid_block", "attentions", "0", place, end @ ..] => {
            let new = OLD_ATTENTION.iter().find(|(old, _)| old == place);
            let place = new.map_or(*place, |(_, new)| *new);
            format!("mid_block.attentions.0.{}", [&[place], end].concat().join("."))
        }
        // Attentions within levels are in none of these models.
        ["down" | "up", ..] => return None,
        _ => rest.to_owned(),
    };
    Some(format!("{half}.{rest}"))
}

fn layer_end(end: &[&str]) -> String {
    end.join(".").replace("nin_shortcut", "conv_shortcut")
}

fn level_of(way: &str, level: &str, last: usize) -> Option<usize> {
    let level: usize = level.parse().ok()?;
    match way {
        "up" => last.checked_sub(level),
        _ => Some(level),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_compvis_and_of_old_diffusers_are_those_of_today() {
        let pairs = [
            (
                "decoder.up.0.block.2.nin_shortcut.weight",
                "decoder.up_blocks.3.resnets.2.conv_shortcut.weight",
            ),
            ("decoder.up.1.upsample.conv.bias", "decoder.up_blocks.2.upsamplers.0.conv.bias"),
            (
                "encoder.down.2.downsample.conv.bias",
                "encoder.down_blocks.2.downsamplers.0.conv.bias",
            ),
            ("encoder.mid.block_2.norm1.weight", "encoder.mid_block.resnets.1.norm1.weight"),
            (
                "encoder.mid.attn_1.proj_out.weight",
                "encoder.mid_block.attentions.0.to_out.0.weight",
            ),
            (
                "decoder.mid_block.attentions.0.query.weight",
                "decoder.mid_block.attentions.0.to_q.weight",
            ),
            (
                "decoder.mid_block.attentions.0.proj_attn.bias",
                "decoder.mid_block.attentions.0.to_out.0.bias",
            ),
            ("decoder.norm_out.weight", "decoder.conv_norm_out.weight"),
            ("decoder.conv_norm_out.weight", "decoder.conv_norm_out.weight"),
            ("post_quant_conv.weight", "post_quant_conv.weight"),
        ];
        for (old, new) in pairs {
            assert_eq!(today(old, 3).as_deref(), Some(new));
        }
        assert_eq!(today("decoder.up.9.block.0.norm1.weight", 3), None);
        assert_eq!(today("decoder.up.x.block.0.norm1.weight", 3), None);
    }
}
