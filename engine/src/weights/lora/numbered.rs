//! The LoRAs of cloneofsimo's trainer, which count modules instead of naming them.
//!
//! # Source
//! cloneofsimo/lora, `_find_modules_v2` and the classes that it looks into: all linear maps within
//! attentions, and in later versions within GEGLU, in the order in which PyTorch walks the model of
//! diffusers 0.11: the way down, the way up, the middle.

use std::collections::{BTreeMap, HashMap};

use super::change::{Roles, outer_sides};
use super::targets::Targets;
use crate::weights::names::Part;
use crate::weights::open::Checkpoint;

/// The maps of an attention of the net, in order, and of a text encoder's.
const NET: [&str; 4] = ["to_q", "to_k", "to_v", "to_out.0"];
const TEXT: [&str; 4] = ["k_proj", "v_proj", "q_proj", "out_proj"];
/// What is counted within a transformer block of the net; in 2022 the feed-forward part stood
/// between the attentions.
const ORDERS: [&[&str]; 3] = [
    &["attn1", "ff.net.0.proj", "attn2"],
    &["attn1", "attn2"],
    &["attn1", "attn2", "ff.net.0.proj"],
];

/// Where a module stands in the model, or the rest of a sentence that says why nowhere.
type Place = Result<(Part, String), String>;

/// Finds the places of all modules that are counted, by the file's name of the module.
pub(super) fn names(
    file: &Checkpoint,
    modules: &BTreeMap<String, Roles>,
    targets: &Targets,
) -> HashMap<String, Place> {
    let mut out = HashMap::new();
    let starts: [(&str, &[Part]); 3] = [
        ("unet:", &[Part::Unet]),
        ("text_encoder:", &[Part::TextEncoder]),
        ("", &[Part::Unet, Part::TextEncoder]),
    ];
    for (start, parts) in starts {
        let number = |name: &str| name.strip_prefix(start)?.parse::<usize>().ok();
        let mut counted: Vec<(usize, &String)> =
            modules.keys().filter_map(|name| Some((number(name)?, name))).collect();
        if counted.is_empty() {
            continue;
        }
        counted.sort_unstable();
        let sides: Vec<_> =
            counted.iter().map(|(_, name)| outer_sides(file, &modules[*name])).collect();
        let is_whole = counted.iter().enumerate().all(|(at, (number, _))| at == *number);
        let found = parts.iter().find_map(|part| Some((*part, order(targets, *part, &sides)?)));
        match found.filter(|_| is_whole) {
            Some((part, order)) => {
                let places = order.into_iter().map(|module| Ok((part, module)));
                out.extend(counted.into_iter().map(|(_, name)| name.clone()).zip(places));
            }
            None => {
                let reason = format!(
                    "is one of {} that are counted in an order that fits no part of this model",
                    counted.len()
                );
                out.extend(counted.iter().map(|(_, name)| ((*name).clone(), Err(reason.clone()))));
            }
        }
    }
    out
}

/// Returns the modules in an order in which all sides fit.
fn order(targets: &Targets, part: Part, sides: &[Option<(usize, usize)>]) -> Option<Vec<String>> {
    let fits = |order: &Vec<String>| {
        let fits_one = |(module, sides): (&String, &Option<(usize, usize)>)| match (
            targets.shape(part, &format!("{module}.weight")),
            sides,
        ) {
            (Some([to, from]), Some(sides)) => *sides == (*to, *from),
            _ => false,
        };
        order.len() == sides.len() && order.iter().zip(sides).all(fits_one)
    };
    let modules = targets.order(part);
    if part != Part::Unet {
        let ends = |module: &&String| TEXT.iter().any(|end| module.ends_with(end));
        return Some(modules.iter().filter(ends).cloned().collect()).filter(fits);
    }
    let blocks: Vec<&str> =
        modules.iter().filter_map(|module| module.strip_suffix(".attn1.to_q")).collect();
    let ordered = |within: &&[&str]| -> Vec<String> {
        let mut order = Vec::new();
        for block in &blocks {
            for place in *within {
                match place.starts_with("attn") {
                    true => order.extend(NET.map(|map| format!("{block}.{place}.{map}"))),
                    false => order.push(format!("{block}.{place}")),
                }
            }
        }
        order
    };
    ORDERS.iter().map(ordered).find(|order| fits(order))
}
