//! The model of a graph: from a sampler to where net and text encoder were loaded, with what changes
//! them on the way.

use std::collections::BTreeSet;

use serde_json::Value;

use super::graph::{Input, Link, Node};
use super::{MAX_DEPTH, Reader};
use crate::protocol::PredictionChoice;
use crate::store::foreign::{ForeignLora, bare_name, json, model, quote};

impl<'a> Reader<'a> {
    /// Follows the model from the sampler to where it was loaded.
    pub(super) fn net(&mut self, from: Option<Link>) {
        let (mut at, mut seen) = (from, BTreeSet::new());
        while let Some(node) = at.and_then(|link| self.node(link)) {
            if !at.is_some_and(|link| seen.insert(link.node)) || !self.visit() {
                break;
            }
            self.loras(node);
            for name in ["ckpt_name", "unet_name", "model_name", "gguf_name", "base_ckpt_name"] {
                if self.settings.model.is_none()
                    && let Some(name) = self.value(node, name).and_then(json::scalar)
                {
                    self.settings.model = model(&name, None);
                }
            }
            let next = node.link("model").or_else(|| node.link("lora_stack"));
            let only =
                || node.links().next().filter(|_| node.class == "Reroute").map(|(_, link)| link);
            let next = next.or_else(only).or_else(|| self.context(node, "model"));
            if next.is_some() {
                self.patch(node);
            }
            at = next;
        }
        // The one next to the model comes first there.
        self.settings.loras.reverse();
        let skip =
            from.and_then(|link| self.node(link)).and_then(|node| self.value(node, "clip_skip"));
        self.set_clip_skip(skip);
    }

    /// Says what a node between sampler and model does.
    fn patch(&mut self, node: &'a Node) {
        match node.class.as_str() {
            "Reroute" => {}
            "RescaleCFG" => {
                self.settings.sampling.cfg_rescale = json::strength(self.value(node, "multiplier"));
            }
            "ModelSamplingDiscrete" => {
                let sampling = self.value(node, "sampling").and_then(json::scalar);
                self.settings.sampling.prediction = match sampling.as_deref() {
                    Some("eps") => Some(PredictionChoice::Epsilon),
                    Some("v_prediction") => Some(PredictionChoice::V),
                    _ => None,
                };
                if let Some(other) =
                    sampling.filter(|_| self.settings.sampling.prediction.is_none())
                {
                    let other = quote(&other);
                    self.settings
                        .say(format!("Sampling a model as “{other}” has no counterpart here"));
                }
            }
            class if class.to_lowercase().contains("lora") || class.contains("Context") => {}
            class => {
                self.settings.say(format!("The node “{}” has no counterpart here", quote(class)))
            }
        }
    }

    /// Takes over the LoRAs of a node, in any of the forms that loaders have.
    fn loras(&mut self, node: &'a Node) {
        let mut found: Vec<(String, f32, Option<f32>)> = Vec::new();
        if let Some(name) = self.value(node, "lora_name").and_then(json::scalar) {
            let unet = json::number(self.value(node, "strength_model"))
                .or_else(|| json::number(node.value("strength")));
            let text = json::number(self.value(node, "strength_clip"));
            found.push((name, unet.unwrap_or(1.0), text));
        }
        for (name, input) in &node.inputs {
            let Input::Value(value) = input else { continue };
            let Some(number) = name.strip_prefix("lora_").filter(|rest| *rest != "name") else {
                continue;
            };
            match value {
                // The power loader of rgthree.
                Value::Object(lora) if lora.get("on") != Some(&Value::Bool(false)) => {
                    let unet = json::number(lora.get("strength")).unwrap_or(1.0);
                    let text = json::number(lora.get("strengthTwo"));
                    found.extend(json::text(lora.get("lora")).map(|name| (name, unet, text)));
                }
                // Stacks: `lora_01` with `strength_01`, `lora_name_1` with `model_str_1`.
                Value::String(name) => {
                    let number = number.trim_start_matches("name_");
                    let weight =
                        |begin: &str| json::number(node.value(&format!("{begin}{number}")));
                    let unet = weight("strength_").or(weight("model_str_")).or(weight("lora_wt_"));
                    found.push((name.clone(), unet.unwrap_or(1.0), weight("clip_str_")));
                }
                _ => {}
            }
        }
        for (name, unet, text) in found {
            let (name, text) = (bare_name(&name), text.unwrap_or(unet));
            let is_nothing = name.is_empty() || name == "None" || unet == 0.0 && text == 0.0;
            if !is_nothing && self.settings.loras.len() < MAX_DEPTH {
                self.settings.loras.push(ForeignLora { name, unet, text });
            }
        }
    }

    /// Follows the text encoder from a prompt to where it was loaded.
    pub(super) fn clip(&mut self, from: Option<Link>) {
        let Some(from) = from else { return };
        let Some(encoder) = self.above(&[from.node], |node| node.link("clip").is_some()) else {
            return;
        };
        let (mut at, mut seen) = (self.graph.nodes[encoder].link("clip"), BTreeSet::new());
        while let Some(node) = at.and_then(|link| self.node(link)) {
            if !at.is_some_and(|link| seen.insert(link.node)) || !self.visit() {
                break;
            }
            if node.class == "CLIPSetLastLayer" && self.settings.clip_skip.is_none() {
                let layer = self.value(node, "stop_at_clip_layer");
                self.set_clip_skip(layer);
            }
            if node.class.contains("CLIPLoader") {
                self.settings
                    .say("The text encoders that were chosen apart from the model are not kept");
            }
            let only =
                || node.links().next().filter(|_| node.class == "Reroute").map(|(_, link)| link);
            at = node.link("clip").or_else(only);
        }
    }

    /// Takes over a layer that is counted from the end, -1 being the last.
    fn set_clip_skip(&mut self, layer: Option<&Value>) {
        let layer = json::number(layer).filter(|layer| (-100.0..=-1.0).contains(layer));
        if let Some(layer) = layer {
            self.settings.clip_skip = Some(-layer as u32);
        }
    }
}
