//! The words of a graph: from a sampler to the nodes where its prompts were typed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::graph::{Input, Link, Node};
use super::{MAX_PROMPT_BYTES, Reader};
use crate::store::foreign::{json, quote};

/// Says which of two prompts is read; a node may know both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Positive,
    Negative,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
        }
    }
}

impl<'a> Reader<'a> {
    /// Puts the texts together that lead to a conditioning.
    pub(super) fn prompt(&mut self, from: Option<Link>, side: Side) -> String {
        let mut texts: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<Link> = from.into_iter().collect();
        let mut bytes = 0;
        // Depth first, the first input before the second, as people read the graph.
        while let Some(link) = waiting.pop() {
            let Some(node) = self.graph.nodes.get(link.node) else { continue };
            if !seen.insert((link.node, link.slot)) || !self.visit() {
                continue;
            }
            if bytes > MAX_PROMPT_BYTES {
                break;
            }
            if let Some(text) = self.encoded(node, side) {
                bytes += text.len();
                if !text.trim().is_empty() && !texts.contains(&text) {
                    texts.push(text);
                }
                continue;
            }
            self.conditioning_says(node);
            if node.class == "ConditioningZeroOut" {
                continue;
            }
            // A node that takes both prompts gives them in this order.
            let both = node.link("positive").zip(node.link("negative"));
            if let Some((positive, negative)) = both {
                waiting.push(if link.slot == 1 { negative } else { positive });
                continue;
            }
            let mut next: Vec<Link> = node
                .links()
                .filter(|(name, _)| {
                    let name = name.to_lowercase();
                    name.starts_with("conditioning")
                        || name == side.name()
                        || node.class == "Reroute"
                })
                .map(|(_, link)| link)
                .collect();
            if next.is_empty() {
                // What is not known may still hand a conditioning on.
                const OTHERS: [&str; 9] = [
                    "model",
                    "clip",
                    "vae",
                    "image",
                    "control_net",
                    "latent",
                    "mask",
                    "samples",
                    "clip_vision_output",
                ];
                let may = |name: &str| !OTHERS.contains(&name);
                next = node.links().filter(|(name, _)| may(name)).map(|(_, link)| link).collect();
            }
            next.reverse();
            waiting.extend(next);
        }
        if texts.len() > 1 {
            self.settings.say(format!(
                "{} prompts for parts of the picture or mixed with each other are one text here",
                texts.len()
            ));
        }
        let mut prompt = texts.join(", ");
        if prompt.len() > MAX_PROMPT_BYTES {
            prompt.truncate(prompt.floor_char_boundary(MAX_PROMPT_BYTES));
            self.settings.say("The prompt is longer than 64 KiB and was cut");
        }
        prompt
    }

    /// Says what a node on the way from a prompt does that is not done here.
    fn conditioning_says(&mut self, node: &'a Node) {
        if node.class.contains("ControlNet") {
            self.settings
                .say("The picture was guided by a ControlNet, whose picture is not in the file");
        } else if node.class == "FluxGuidance" {
            self.settings.say("Guidance that was distilled into a model has no counterpart here");
        } else if node.class.contains("SetTimestepRange") {
            self.settings.say("A prompt for some of the steps stands for all of them here");
        } else if node.class.contains("unCLIP") || node.class.contains("GLIGEN") {
            self.settings.say(format!("The node “{}” has no counterpart here", quote(&node.class)));
        }
    }

    /// Returns the text of a node that encodes one.
    fn encoded(&mut self, node: &'a Node, side: Side) -> Option<String> {
        // Loaders that encode prompts themselves have one field for each side.
        let own = node.value(side.name()).is_some_and(Value::is_string);
        if !own && !node.class.contains("Encode") && !node.class.contains("Prompt") {
            return None;
        }
        let fields: &[&str] = match (own, side) {
            (true, Side::Positive) => &["positive"],
            (true, Side::Negative) => &["negative"],
            (false, _) => {
                &["text", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "prompt", "string"]
            }
        };
        let mut texts: Vec<String> = Vec::new();
        let mut is_encoder = false;
        for field in fields {
            let text = match node.inputs.get(*field) {
                None => continue,
                Some(Input::Value(value)) => json::scalar(value).unwrap_or_default(),
                Some(Input::Link(link)) => self.typed(*link),
            };
            is_encoder = true;
            if !text.trim().is_empty() && !texts.contains(&text) {
                texts.push(text);
            }
        }
        if texts.len() > 1 {
            self.settings
                .say("Several text encoders had prompts of their own, which are one text here");
        }
        is_encoder.then(|| texts.join(", "))
    }

    /// Returns a text that was typed at other nodes, put together as they do.
    fn typed(&mut self, from: Link) -> String {
        let mut out = String::new();
        let mut seen = BTreeSet::new();
        // A text, or a link that leads to more of them.
        let mut waiting = vec![Input::Link(from)];
        let mut joint = String::new();
        while let Some(input) = waiting.pop() {
            if out.len() > MAX_PROMPT_BYTES || !self.visit() {
                break;
            }
            let link = match input {
                Input::Value(value) => {
                    let text = json::scalar(&value).unwrap_or_default();
                    if !out.is_empty() && !text.is_empty() {
                        out.push_str(&joint);
                    }
                    out.push_str(&text);
                    continue;
                }
                Input::Link(link) => link,
            };
            let Some(node) = self.graph.nodes.get(link.node) else { continue };
            if !seen.insert(link.node) {
                continue;
            }
            let is_text = |name: &str| {
                let name =
                    name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
                [
                    "text", "string", "value", "prompt", "text_a", "text_b", "text_c", "text_d",
                    "string_a", "string_b", "append", "prepend", "Text", "", "input", "source",
                    "any",
                ]
                .contains(&name)
            };
            for name in ["delimiter", "separator"] {
                if let Some(Value::String(delimiter)) = node.value(name) {
                    joint.clone_from(delimiter);
                }
            }
            let mut inputs: Vec<Input> = node
                .inputs
                .iter()
                .filter(|(name, _)| is_text(name))
                .filter(|(_, input)| !matches!(input, Input::Value(Value::Bool(_) | Value::Null)))
                .map(|(_, input)| input.clone())
                .collect();
            inputs.reverse();
            waiting.extend(inputs);
        }
        out.truncate(out.floor_char_boundary(MAX_PROMPT_BYTES));
        out
    }
}
