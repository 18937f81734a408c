//! The modules of a model that can be changed, by every name that trainers have for them.

use std::collections::HashMap;

use crate::weights::detect::Base;
use crate::weights::names::{Blocks, Part};
use crate::weights::sd_config::{TextConfig, UnetConfig};

/// Lists the weights of a model that a LoRA can change.
#[derive(Debug, Default)]
pub struct Targets {
    base: Option<Base>,
    /// Shapes by part and diffusers' name of the tensor.
    shapes: HashMap<(Part, String), Vec<usize>>,
    /// Modules by part and by their names with dots or with `_` in their place.
    modules: HashMap<(Part, String), String>,
    /// The modules of each part in PyTorch's order.
    order: HashMap<Part, Vec<String>>,
}

impl Targets {
    /// Lists the weights of a model: its net, and its text encoders where they are to be changed.
    pub fn new(
        unet: Option<&UnetConfig>,
        first: Option<&TextConfig>,
        second: Option<&TextConfig>,
    ) -> Self {
        let mut out =
            Self { base: unet.and_then(|unet| Base::of_context(unet.context)), ..Self::default() };
        if let Some(unet) = unet {
            out.add(Part::Unet, unet.tensors());
            out.add_ldm(&Blocks::of(unet));
        }
        for (part, text) in [(Part::TextEncoder, first), (Part::TextEncoder2, second)] {
            if let Some(text) = text {
                out.add(part, text.tensors());
            }
        }
        out
    }

    fn add(&mut self, part: Part, tensors: Vec<(String, Vec<usize>)>) {
        for (name, shape) in tensors {
            if let Some(module) = name.strip_suffix(".weight") {
                self.modules.insert((part, module.to_owned()), module.to_owned());
                self.modules.insert((part, module.replace('.', "_")), module.to_owned());
                self.order.entry(part).or_default().push(module.to_owned());
            }
            self.shapes.insert((part, name), shape);
        }
    }

    /// Adds CompVis's names of the net's modules.
    fn add_ldm(&mut self, blocks: &Blocks) {
        let pairs = blocks.pairs();
        let modules = self.order.get(&Part::Unet).cloned().unwrap_or_default();
        for module in modules {
            let ldm = pairs.iter().find_map(|(ldm, diffusers)| {
                let rest = module.strip_prefix(diffusers.as_str())?;
                (rest.is_empty() || rest.starts_with('.')).then(|| format!("{ldm}{rest}"))
            });
            if let Some(ldm) = ldm {
                self.modules.insert((Part::Unet, ldm.replace('.', "_")), module.clone());
                self.modules.insert((Part::Unet, ldm), module);
            }
        }
    }

    /// Returns the kind of model, by the width of its words.
    pub(super) fn base(&self) -> Option<Base> {
        self.base
    }

    /// Returns the shape of a weight.
    pub(super) fn shape(&self, part: Part, tensor: &str) -> Option<&[usize]> {
        self.shapes.get(&(part, tensor.to_owned())).map(Vec::as_slice)
    }

    /// Returns the modules of a part in PyTorch's order.
    pub(super) fn order(&self, part: Part) -> &[String] {
        self.order.get(&part).map_or(&[], Vec::as_slice)
    }

    /// Finds the module that a trainer names.
    ///
    /// # Errors
    /// The rest of a sentence that says why there is none.
    pub(super) fn find(&self, name: &str) -> Result<(Part, String), String> {
        /// Beginnings of names with `_` between their steps, and the part that they mean.
        const FLAT: [(&str, Part); 7] = [
            ("lora_unet_", Part::Unet),
            ("lora_te_", Part::TextEncoder),
            ("lora_te1_", Part::TextEncoder),
            ("lora_te2_", Part::TextEncoder2),
            ("lycoris_unet_", Part::Unet),
            ("lycoris_text_model_", Part::TextEncoder),
            ("lycoris_", Part::Unet),
        ];
        /// The same with dots.
        const DOTTED: [(&str, Part); 7] = [
            ("unet.", Part::Unet),
            ("text_encoder_2.", Part::TextEncoder2),
            ("text_encoder.", Part::TextEncoder),
            ("diffusion_model.", Part::Unet),
            ("model.diffusion_model.", Part::Unet),
            ("text_encoders.clip_l.transformer.", Part::TextEncoder),
            ("text_encoders.clip_g.transformer.", Part::TextEncoder2),
        ];
        let name = name.strip_prefix("base_model.model.").unwrap_or(name);
        if name.starts_with("transformer.") || name.starts_with("lora_transformer_") {
            return Err("is for a model that is one transformer, which this one is not".to_owned());
        }
        let flat = FLAT.iter().find_map(|(start, part)| Some((name.strip_prefix(start)?, *part)));
        if let Some((rest, part)) = flat {
            let rest = if name.starts_with("lycoris_text_model_") { &name[8..] } else { rest };
            return self.module(part, rest);
        }
        let dotted =
            DOTTED.iter().find_map(|(start, part)| Some((name.strip_prefix(start)?, *part)));
        if let Some((rest, part)) = dotted {
            return self.module(part, &today(rest, part));
        }
        // Old files of diffusers change the net only, and those of PEFT do not say the part.
        let parts = [Part::Unet, Part::TextEncoder, Part::TextEncoder2];
        let found = parts.iter().find_map(|part| self.module(*part, &today(name, *part)).ok());
        found.ok_or_else(|| "names no module of this model".to_owned())
    }

    fn module(&self, part: Part, name: &str) -> Result<(Part, String), String> {
        if !self.order.contains_key(&part) {
            return Err(format!("is for a {part}, which this model does not have"));
        }
        let found = self.modules.get(&(part, name.to_owned()));
        let found = found.ok_or_else(|| format!("names no module of this model's {part}"))?;
        Ok((part, found.clone()))
    }
}

/// Returns the name that a module has today: diffusers once called attentions by their processors.
fn today(name: &str, part: Part) -> String {
    let mut name = name.replace(".processor.", ".");
    if name.ends_with(".to_out") {
        name.push_str(".0");
    }
    if part == Part::Unet {
        return name;
    }
    let ends = [
        (".to_q", ".q_proj"),
        (".to_k", ".k_proj"),
        (".to_v", ".v_proj"),
        (".to_out.0", ".out_proj"),
    ];
    for (old, new) in ends {
        if let Some(module) = name.strip_suffix(old) {
            name = format!("{module}{new}");
            break;
        }
    }
    match name.starts_with("encoder.layers.") {
        true => format!("text_model.{name}"),
        false => name,
    }
}
