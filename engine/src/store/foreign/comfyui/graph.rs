//! ComfyUI's graphs as data: nodes with inputs that are values or links to other nodes. Both forms are
//! read, the one that was run (`prompt`) and the one that was drawn (`workflow`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Caps the nodes of a graph and the inputs of a node.
const MAX_NODES: usize = 4096;
const MAX_INPUTS: usize = 256;

/// Nodes are muted or passed by in a drawing by these modes.
const MUTED: u64 = 2;
const PASSED_BY: u64 = 4;

/// The values of common nodes in the order in which a drawing lists them; an empty name is a value that
/// only the drawing has.
const VALUES: [(&str, &[&str]); 16] = [
    ("KSampler", &["seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"]),
    (
        "KSamplerAdvanced",
        &[
            "add_noise",
            "noise_seed",
            "",
            "steps",
            "cfg",
            "sampler_name",
            "scheduler",
            "start_at_step",
            "end_at_step",
        ],
    ),
    ("CLIPTextEncode", &["text"]),
    ("CheckpointLoaderSimple", &["ckpt_name"]),
    ("CheckpointLoader", &["config_name", "ckpt_name"]),
    ("UNETLoader", &["unet_name"]),
    ("UnetLoaderGGUF", &["unet_name"]),
    ("VAELoader", &["vae_name"]),
    ("LoraLoader", &["lora_name", "strength_model", "strength_clip"]),
    ("LoraLoaderModelOnly", &["lora_name", "strength_model"]),
    ("CLIPSetLastLayer", &["stop_at_clip_layer"]),
    ("EmptyLatentImage", &["width", "height", "batch_size"]),
    ("EmptySD3LatentImage", &["width", "height", "batch_size"]),
    ("RandomNoise", &["noise_seed"]),
    ("KSamplerSelect", &["sampler_name"]),
    ("BasicScheduler", &["scheduler", "steps", "denoise"]),
];

/// Holds what goes into a node.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input {
    /// A value that was typed.
    Value(Value),
    /// What another node gives at one of its outputs.
    Link(Link),
}

/// Names an output of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Link {
    /// The place of the node in the graph.
    pub node: usize,
    /// Which output.
    pub slot: u64,
}

/// Holds a node.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// What it does, by ComfyUI's name.
    pub class: String,
    /// What goes into it, by name.
    pub inputs: BTreeMap<String, Input>,
}

impl Node {
    /// Returns the value of an input that was typed.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        match self.inputs.get(name)? {
            Input::Value(value) => Some(value),
            Input::Link(_) => None,
        }
    }

    /// Returns where an input comes from.
    pub(super) fn link(&self, name: &str) -> Option<Link> {
        match self.inputs.get(name)? {
            Input::Link(link) => Some(*link),
            Input::Value(_) => None,
        }
    }

    /// Returns where all inputs come from that come from elsewhere.
    pub(super) fn links(&self) -> impl Iterator<Item = (&str, Link)> {
        self.inputs.iter().filter_map(|(name, input)| match input {
            Input::Link(link) => Some((name.as_str(), *link)),
            Input::Value(_) => None,
        })
    }
}

/// Holds a graph. Links lead to nodes that are there, but may lead in circles.
#[derive(Debug, Clone, Default)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
}

impl Graph {
    /// Reads a graph in either form.
    pub(super) fn of(object: Map<String, Value>) -> Option<Self> {
        match object.contains_key("nodes") {
            true => Self::of_workflow(&object),
            false => Self::of_prompt(object),
        }
    }

    /// Reads the form that was run: nodes by their number.
    fn of_prompt(object: Map<String, Value>) -> Option<Self> {
        let mut nodes: Vec<(String, Map<String, Value>)> = object
            .into_iter()
            .filter_map(|(id, node)| match node {
                Value::Object(node) if node.contains_key("class_type") => Some((id, node)),
                _ => None,
            })
            .take(MAX_NODES)
            .collect();
        // By their numbers, not by their letters; groups have numbers like `4:12`.
        let number = |id: &str| id.split(':').next().and_then(|id| id.parse().ok());
        nodes.sort_by_cached_key(|(id, _)| (number(id).unwrap_or(u64::MAX), id.clone()));
        let places: BTreeMap<String, usize> =
            nodes.iter().enumerate().map(|(place, (id, _))| (id.clone(), place)).collect();
        let link = |value: &Value| {
            let [id, slot] = value.as_array()?.as_slice() else { return None };
            let node = *places.get(crate::store::foreign::json::scalar(id)?.as_str())?;
            Some(Link { node, slot: slot.as_u64()? })
        };
        let nodes: Vec<Node> = nodes
            .into_iter()
            .map(|(_, mut node)| {
                let class = node.get("class_type").and_then(Value::as_str).unwrap_or_default();
                let class = class.to_owned();
                let inputs = match node.remove("inputs") {
                    Some(Value::Object(inputs)) => inputs,
                    _ => Map::new(),
                };
                let read = |(name, value): (String, Value)| {
                    let input = link(&value).map_or_else(|| Input::Value(value), Input::Link);
                    (name, input)
                };
                Node { class, inputs: inputs.into_iter().take(MAX_INPUTS).map(read).collect() }
            })
            .collect();
        (!nodes.is_empty()).then_some(Self { nodes })
    }

    /// Reads the form that was drawn: nodes in a list, links in another. Values are known for common
    /// nodes, and where a newer drawing names them.
    fn of_workflow(object: &Map<String, Value>) -> Option<Self> {
        let drawn: Vec<&Map<String, Value>> = object
            .get("nodes")?
            .as_array()?
            .iter()
            .filter_map(Value::as_object)
            .filter(|node| node.get("mode").and_then(Value::as_u64) != Some(MUTED))
            .take(MAX_NODES)
            .collect();
        let places: BTreeMap<u64, usize> = drawn
            .iter()
            .enumerate()
            .filter_map(|(place, node)| Some((node.get("id")?.as_u64()?, place)))
            .collect();
        let links: BTreeMap<u64, Link> = object
            .get("links")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .take(MAX_NODES * 8)
            .filter_map(|link| {
                let number = |at: usize| link.get(at)?.as_u64();
                let node = *places.get(&number(1)?)?;
                Some((number(0)?, Link { node, slot: number(2)? }))
            })
            .collect();
        let nodes: Vec<Node> = drawn.iter().map(|node| read_drawn(node, &links)).collect();
        (!nodes.is_empty()).then_some(Self { nodes })
    }
}

fn read_drawn(node: &Map<String, Value>, links: &BTreeMap<u64, Link>) -> Node {
    let class = node.get("type").and_then(Value::as_str).unwrap_or_default();
    let values: &[Value] =
        node.get("widgets_values").and_then(Value::as_array).map_or(&[], Vec::as_slice);
    let mut inputs = BTreeMap::new();
    let known = VALUES.iter().find(|(name, _)| *name == class).map_or(&[][..], |(_, names)| names);
    for (name, value) in known.iter().zip(values).filter(|(name, _)| !name.is_empty()) {
        inputs.insert((*name).to_owned(), Input::Value(value.clone()));
    }
    // A node that is not known holds its first text, and a note or a number its value.
    if known.is_empty()
        && let Some(value) = values.first()
    {
        inputs.insert("value".to_owned(), Input::Value(value.clone()));
    }
    let drawn = node.get("inputs").and_then(Value::as_array).into_iter().flatten();
    for input in drawn.take(MAX_INPUTS) {
        let name = input.get("name").and_then(Value::as_str).unwrap_or_default();
        let link = input.get("link").and_then(Value::as_u64).and_then(|id| links.get(&id));
        if let Some(link) = link {
            inputs.insert(name.to_owned(), Input::Link(*link));
        }
    }
    let is_passed_by = node.get("mode").and_then(Value::as_u64) == Some(PASSED_BY);
    // What goes through a node that is passed by is what goes into it.
    let class = if is_passed_by { "Reroute" } else { class };
    Node { class: class.to_owned(), inputs }
}
