//! ComfyUI: a graph, out of which the first pass of sampling is read, as far as its nodes are known.

mod graph;
mod net;
mod words;

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;

use super::texts::Texts;
use super::{ForeignSettings, Program, json, quote, size};
use graph::{Graph, Input, Link, Node};
use words::Side;

/// Caps the nodes that are looked at for one picture, however often links lead back.
const MAX_VISITS: usize = 50_000;
/// Caps a prompt that is put together out of several nodes.
const MAX_PROMPT_BYTES: usize = 64 << 10;
/// Caps the nodes from a value to where it was typed, and the LoRAs of a model.
const MAX_DEPTH: usize = 64;

/// Reads the settings of a picture: what was run, else what was drawn.
pub(super) fn read(texts: &Texts) -> Option<Result<ForeignSettings, String>> {
    let mut trouble = None;
    for keyword in ["prompt", "workflow", "UserComment"] {
        let Some(text) = texts.get(keyword).filter(|text| text.starts_with('{')) else { continue };
        let object = match json::object(text) {
            Ok(object) => object,
            Err(reason) => {
                trouble = Some(format!("The text “{keyword}” of ComfyUI {reason}"));
                continue;
            }
        };
        if let Some(settings) = Graph::of(object).and_then(|graph| Reader::new(&graph).read()) {
            return Some(Ok(settings));
        }
        trouble = Some("The graph of ComfyUI has no sampler that is known".to_owned());
    }
    trouble.map(Err)
}

/// Walks a graph.
struct Reader<'a> {
    graph: &'a Graph,
    visits: usize,
    settings: ForeignSettings,
}

/// Tells whether a node samples latents.
fn is_sampler(node: &Node) -> bool {
    let has = |name: &str| node.inputs.contains_key(name);
    node.class.starts_with("SamplerCustom")
        || has("steps") && has("cfg") && (has("seed") || has("noise_seed"))
        || has("positive") && has("negative") && has("sampler_name")
}

impl<'a> Reader<'a> {
    fn new(graph: &'a Graph) -> Self {
        Self { graph, visits: 0, settings: ForeignSettings::of(Program::ComfyUi) }
    }

    fn node(&self, link: Link) -> Option<&'a Node> {
        self.graph.nodes.get(link.node)
    }

    /// Counts a look at a node; false when there were too many.
    fn visit(&mut self) -> bool {
        self.visits += 1;
        self.visits <= MAX_VISITS
    }

    /// Finds the nearest node above some that fits, breadth first.
    fn above(&mut self, from: &[usize], fits: impl Fn(&Node) -> bool) -> Option<usize> {
        let mut seen: BTreeSet<usize> = from.iter().copied().collect();
        let mut waiting: VecDeque<usize> = from.iter().copied().collect();
        while let Some(at) = waiting.pop_front() {
            let node = self.graph.nodes.get(at)?;
            if !self.visit() {
                return None;
            }
            if fits(node) {
                return Some(at);
            }
            let links: Vec<usize> = node.links().map(|(_, link)| link.node).collect();
            waiting.extend(links.into_iter().filter(|node| seen.insert(*node)));
        }
        None
    }

    fn read(mut self) -> Option<ForeignSettings> {
        let (last, base, passes) = self.passes()?;
        if passes > 1 {
            self.settings
                .say(format!("The picture was sampled in {passes} passes; only the first is kept"));
        }
        let graph = self.graph;
        let sampler = &graph.nodes[base];
        self.sampling(sampler);
        let guider = sampler.link("guider").and_then(|link| self.node(link));
        let guided = guider.unwrap_or(sampler);
        let positive = guided.link("positive").or_else(|| guided.link("conditioning"));
        let positive = positive.or_else(|| self.context(guided, "positive"));
        let negative = guided.link("negative").or_else(|| self.context(guided, "negative"));
        self.settings.prompt = self.prompt(positive, Side::Positive);
        self.settings.negative = self.prompt(negative, Side::Negative);
        let net = guided.link("model").or_else(|| self.context(guided, "model"));
        self.net(net);
        self.clip(positive);
        self.latent(sampler);
        self.vae(last);
        Some(self.settings)
    }

    /// Returns a link of an earlier node that hands everything on together (`Context` of rgthree).
    fn context(&self, node: &Node, name: &str) -> Option<Link> {
        let mut at = node;
        for _ in 0..MAX_DEPTH {
            at = self.node(at.link("base_ctx").or(at.link("context")).or(at.link("pipe"))?)?;
            if let Some(link) = at.link(name) {
                return Some(link);
            }
        }
        None
    }

    /// Finds the last sampler before the picture, the first one, and how many there are between.
    fn passes(&mut self) -> Option<(usize, usize, usize)> {
        let graph = self.graph;
        let is_output = |node: &Node| {
            node.inputs.contains_key("images")
                && (node.class.contains("Save") || node.class.contains("Preview"))
        };
        let all = || graph.nodes.iter().enumerate();
        let outputs: Vec<usize> =
            all().filter(|(_, node)| is_output(node)).map(|(at, _)| at).collect();
        let reached: Vec<usize> =
            outputs.iter().filter_map(|output| self.above(&[*output], is_sampler)).collect();
        if reached.iter().any(|sampler| Some(sampler) != reached.first()) {
            self.settings
                .say("The graph makes several pictures; the settings are those of the first");
        }
        let any = || all().find(|(_, node)| is_sampler(node)).map(|(at, _)| at);
        let last = reached.first().copied().or_else(any)?;
        let (mut base, mut seen) = (last, BTreeSet::from([last]));
        // Along the latents only: prompts may come from elsewhere.
        while let Some(latent) = latent_of(&graph.nodes[base]) {
            match self.above(&[latent.node], is_sampler) {
                Some(earlier) if seen.insert(earlier) => base = earlier,
                _ => break,
            }
        }
        Some((last, base, seen.len()))
    }

    /// Returns a value, also one that was typed at another node.
    fn value(&mut self, node: &'a Node, name: &str) -> Option<&'a Value> {
        const TYPED: [&str; 10] = [
            "value",
            "seed",
            "noise_seed",
            "int",
            "float",
            "number",
            "Number",
            "text",
            "string",
            "Value",
        ];
        let (mut node, mut name) = (node, name.to_owned());
        for _ in 0..MAX_DEPTH {
            if !self.visit() {
                return None;
            }
            match node.inputs.get(&name)? {
                Input::Value(value) => return Some(value),
                Input::Link(link) => {
                    node = self.graph.nodes.get(link.node)?;
                    let has = |name: &str| node.inputs.contains_key(name);
                    let typed =
                        TYPED.iter().find(|typed| has(typed)).map(|typed| (*typed).to_owned());
                    let only =
                        || node.inputs.keys().next().filter(|_| node.inputs.len() == 1).cloned();
                    name = if has(&name) { name } else { typed.or_else(only)? };
                }
            }
        }
        None
    }

    fn sampling(&mut self, sampler: &'a Node) {
        let graph = self.graph;
        let at = |name: &str| sampler.link(name).and_then(|link| graph.nodes.get(link.node));
        // The parts of a sampler that was put together, or the sampler itself.
        let noise = at("noise").unwrap_or(sampler);
        let guider = at("guider").unwrap_or(sampler);
        let chosen = at("sampler").unwrap_or(sampler);
        let sigmas = at("sigmas").unwrap_or(sampler);
        let seed = self.value(noise, "seed").or_else(|| self.value(noise, "noise_seed"));
        self.settings.seed = json::whole(seed);
        self.settings.sampling.guidance = json::strength(self.value(guider, "cfg"));
        self.settings.sampling.steps = json::steps(self.value(sigmas, "steps"));
        let name = self.value(chosen, "sampler_name").and_then(json::scalar);
        // A node of its own for one sampler: `SamplerDPMPP_2M_SDE`.
        let named = chosen.class.strip_prefix("Sampler").filter(|name| !name.starts_with("Custom"));
        self.settings.sampling.sampler = name.or_else(|| named.map(str::to_owned));
        let schedule = self.value(sigmas, "scheduler").and_then(json::scalar);
        let named =
            sigmas.class.strip_suffix("Scheduler").map(|name| name.trim_end_matches("Sampling"));
        let named = named.filter(|name| !name.is_empty() && *name != "Basic");
        self.settings.sampling.schedule = schedule.or_else(|| named.map(str::to_owned));
        let eta = json::number(self.value(chosen, "eta"));
        self.settings.sampling.eta = eta;
        let total = self.settings.sampling.steps;
        let start = json::steps(self.value(sampler, "start_at_step")).unwrap_or(0);
        let end = json::steps(self.value(sampler, "end_at_step")).unwrap_or(u32::MAX);
        if start > 0 || total.is_some_and(|total| end < total) {
            let end = total.map_or(end, |total| end.min(total));
            self.settings.say(format!(
                "Only the steps {start} to {end} were taken there; here all of them are"
            ));
        }
        if sampler.inputs.contains_key("pipe") || sampler.inputs.contains_key("base_ctx") {
            self.settings.keep("Sampler node", &sampler.class);
        }
    }

    /// Reads the size, or says that the picture was made from another.
    fn latent(&mut self, sampler: &'a Node) {
        let Some(from) = latent_of(sampler) else { return };
        let is_empty =
            |node: &Node| node.class.contains("Empty") && node.inputs.contains_key("width");
        let is_picture = |node: &Node| {
            node.class.contains("VAEEncode") || node.class.contains("InpaintModelConditioning")
        };
        let found = self.above(&[from.node], |node| {
            is_empty(node) || is_picture(node) || node.inputs.contains_key("empty_latent_width")
        });
        let Some(node) = found.and_then(|at| self.graph.nodes.get(at)) else { return };
        if is_picture(node) {
            let file =
                found.and_then(|at| self.above(&[at], |node| node.class.starts_with("LoadImage")));
            let file =
                file.and_then(|at| self.graph.nodes[at].value("image").and_then(json::scalar));
            let file = file.map_or("another one".to_owned(), |file| format!("“{}”", quote(&file)));
            let denoise = json::number(self.value(sampler, "denoise"));
            let strength =
                denoise.map_or(String::new(), |denoise| format!(" at strength {denoise:.2}"));
            self.settings.say(format!(
                "The picture was made{strength} from {file}, which is not in the file"
            ));
            return;
        }
        let names = if is_empty(node) {
            ["width", "height"]
        } else {
            ["empty_latent_width", "empty_latent_height"]
        };
        let [width, height] = names.map(|name| json::whole(self.value(node, name)));
        self.settings.size = width.zip(height).and_then(|(width, height)| size(width, height));
    }

    /// Finds the autoencoder that decodes what the last sampler gives.
    fn vae(&mut self, last: usize) {
        let graph = self.graph;
        let decodes = |node: &&Node| {
            node.class.contains("VAEDecode")
                && node.link("samples").is_some_and(|link| link.node == last)
        };
        let Some(decoder) = graph.nodes.iter().find(decodes) else { return };
        let Some(from) = decoder.link("vae") else { return };
        let loader = self.above(&[from.node], |node| node.inputs.contains_key("vae_name"));
        if let Some(name) =
            loader.and_then(|at| graph.nodes[at].value("vae_name")).and_then(json::scalar)
        {
            super::a1111::put_vae(&mut self.settings, &name);
        }
    }
}

/// Returns where the latents of a sampler come from.
fn latent_of(node: &Node) -> Option<Link> {
    ["latent_image", "latent", "samples", "latents", "optional_latent"]
        .iter()
        .find_map(|name| node.link(name))
}
