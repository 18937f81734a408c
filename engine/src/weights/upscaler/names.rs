//! What files call the tensors of upscalers.
//!
//! # Source
//! BasicSR's names; those of ESRGAN's first release (`RRDB_trunk`, `HRconv`); and the numbers that stand
//! for layers in its training code, `BasicSR` of 2018 (`model.1.sub.0.RDB1.conv1.0`).

use std::collections::BTreeMap;

use super::super::element::TensorInfo;

/// What may stand before all names.
const PREFIXES: [&str; 5] = ["", "params_ema.", "params.", "module.", "netG."];
/// Tensors by which one of the three ways of naming is known.
const MARKS: [&str; 4] =
    ["conv_first.weight", "body.0.weight", "model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"];

/// Returns what the file calls each tensor, by BasicSR's names. Other tensors are left out.
pub(super) fn find(tensors: &BTreeMap<String, TensorInfo>) -> BTreeMap<String, String> {
    let begins =
        |prefix: &&str| MARKS.iter().any(|mark| tensors.contains_key(&format!("{prefix}{mark}")));
    let Some(prefix) = PREFIXES.into_iter().find(begins) else { return BTreeMap::new() };
    let inner = |name: &String| name.strip_prefix(prefix).map(str::to_owned);
    let numbered = Numbered::of(tensors.keys().filter_map(inner));
    let named = |stored: &String| {
        let inner = inner(stored)?;
        let name = numbered.name(&inner).or_else(|| released(&inner)).unwrap_or(inner);
        Some((name, stored.clone()))
    };
    tensors.keys().filter_map(named).collect()
}

/// Translates names of ESRGAN's first release.
fn released(name: &str) -> Option<String> {
    let (layer, rest) = name.split_once('.')?;
    let layer = match layer {
        "RRDB_trunk" => return Some(format!("body.{}", rest.replace("RDB", "rdb"))),
        "trunk_conv" => "conv_body".to_owned(),
        "HRconv" => "conv_hr".to_owned(),
        _ => format!("conv_up{}", layer.strip_prefix("upconv")?),
    };
    Some(format!("{layer}.{rest}"))
}

/// Layers by their numbers in one long list.
struct Numbered {
    /// The number of the convolution behind the blocks, within their list.
    behind_blocks: usize,
    /// The numbers of the convolutions behind that: doublings, then two more.
    tail: Vec<usize>,
}

impl Numbered {
    fn of(names: impl Iterator<Item = String>) -> Self {
        let (mut behind_blocks, mut tail) = (0, Vec::new());
        for name in names {
            let Some(rest) = name.strip_prefix("model.") else { continue };
            let mut parts = rest.split('.');
            let Some(layer) = parts.next().and_then(|part| part.parse::<usize>().ok()) else {
                continue;
            };
            if layer == 1 {
                let block = parts.nth(1).and_then(|part| part.parse().ok());
                behind_blocks = behind_blocks.max(block.unwrap_or(0));
            } else if layer > 1 {
                tail.push(layer);
            }
        }
        tail.sort_unstable();
        tail.dedup();
        Self { behind_blocks, tail }
    }

    /// Translates a name like `model.1.sub.0.RDB1.conv1.0.weight`.
    fn name(&self, name: &str) -> Option<String> {
        let (layer, rest) = name.strip_prefix("model.")?.split_once('.')?;
        let layer: usize = layer.parse().ok()?;
        if layer == 0 {
            return Some(format!("conv_first.{rest}"));
        }
        if layer == 1 {
            let (block, rest) = rest.strip_prefix("sub.")?.split_once('.')?;
            if block.parse() == Ok(self.behind_blocks) {
                return Some(format!("conv_body.{rest}"));
            }
            // A convolution is the first of two in its place; the other is its function.
            let rest = rest.replace("RDB", "rdb").replace(".0.", ".");
            return Some(format!("body.{block}.{rest}"));
        }
        let place = self.tail.iter().position(|other| *other == layer)?;
        Some(match self.tail.len() - place {
            1 => format!("conv_last.{rest}"),
            2 => format!("conv_hr.{rest}"),
            _ => format!("conv_up{}.{rest}", place + 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::element::Element;
    use super::*;

    fn found(names: &[&str]) -> BTreeMap<String, String> {
        let info = TensorInfo { shape: vec![1], element: Element::F32 };
        find(&names.iter().map(|name| ((*name).to_owned(), info.clone())).collect())
    }

    #[test]
    fn numbered_layers_get_their_names() {
        let found = found(&[
            "model.0.weight",
            "model.1.sub.0.RDB1.conv1.0.weight",
            "model.1.sub.10.RDB3.conv5.0.bias",
            "model.1.sub.11.weight",
            "model.3.weight",
            "model.6.bias",
            "model.8.weight",
            "model.10.weight",
        ]);
        let pairs: Vec<(&str, &str)> =
            found.iter().map(|(name, stored)| (name.as_str(), stored.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("body.0.rdb1.conv1.weight", "model.1.sub.0.RDB1.conv1.0.weight"),
                ("body.10.rdb3.conv5.bias", "model.1.sub.10.RDB3.conv5.0.bias"),
                ("conv_body.weight", "model.1.sub.11.weight"),
                ("conv_first.weight", "model.0.weight"),
                ("conv_hr.weight", "model.8.weight"),
                ("conv_last.weight", "model.10.weight"),
                ("conv_up1.weight", "model.3.weight"),
                ("conv_up2.bias", "model.6.bias"),
            ]
        );
    }

    #[test]
    fn names_of_the_first_release_and_prefixes_are_understood() {
        let stored =
            ["conv_first.weight", "RRDB_trunk.2.RDB1.conv4.bias", "upconv2.bias", "HRconv.bias"];
        let prefixed = stored.map(|name| format!("params_ema.{name}"));
        let found = found(&prefixed.each_ref().map(String::as_str));
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["body.2.rdb1.conv4.bias", "conv_first.weight", "conv_hr.bias", "conv_up2.bias"]
        );
        assert_eq!(found["conv_hr.bias"], "params_ema.HRconv.bias");
    }

    #[test]
    fn files_of_something_else_have_no_such_names() {
        assert!(found(&["unet.conv_in.weight", "model.diffusion_model.out.0.weight"]).is_empty());
        assert!(found(&[]).is_empty());
    }
}
