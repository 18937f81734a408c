//! Which model is this? Told from the names and shapes of its tensors.
//!
//! # Source
//! The names are those of the CompVis and Stability repositories, of diffusers, and of kohya's, the
//! PEFT and cloneofsimo's trainers. Where the names cannot tell, what the file says about itself is
//! taken (`modelspec.*`, `ss_*`, a folder's settings).

mod distilled;
mod kinds;
mod lora;
mod parts;
mod segment;
mod unet;

use std::collections::BTreeMap;

use super::element::TensorInfo;
use super::open::Checkpoint;
use crate::protocol::VariantChoice;

pub use self::kinds::{Base, Evidence, Family, Naming, Prediction, Variant};

/// The largest tensor whose numbers are looked at.
const NUMBERS_MAX: u64 = 1 << 16;

/// Shows a checkpoint to the detectors.
pub struct View<'a> {
    /// All tensors by name.
    pub tensors: &'a BTreeMap<String, TensorInfo>,
    /// What the file says about itself.
    pub facts: &'a [(String, String)],
    /// The name of the file, a last resort where two models have the same tensors.
    pub file_name: &'a str,
    /// Reads the numbers of a small tensor.
    pub numbers: &'a dyn Fn(&str) -> Option<Vec<f32>>,
}

impl View<'_> {
    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|info| info.shape.as_slice())
    }

    /// Returns one side of a tensor.
    fn side(&self, name: &str, axis: usize) -> Option<usize> {
        self.shape(name)?.get(axis).copied()
    }

    /// Returns the tensors whose names begin so.
    fn below<'b>(&'b self, prefix: &'b str) -> impl Iterator<Item = (&'b str, &'b TensorInfo)> {
        let from = self.tensors.range(prefix.to_owned()..);
        let all = from.map(|(name, info)| (name.as_str(), info));
        all.take_while(move |(name, _)| name.starts_with(prefix))
    }

    fn any_below(&self, prefix: &str) -> bool {
        self.below(prefix).next().is_some()
    }

    fn fact(&self, key: &str) -> Option<&str> {
        self.facts.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// Says what a checkpoint is, as far as can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    /// What kind of model it is.
    pub family: Family,
    /// The models that it is, or goes with.
    pub base: Option<Base>,
    /// What it was made for.
    pub variant: Option<Variant>,
    /// How it was distilled, and what that was told by; only of whole nets.
    pub distilled: Option<(VariantChoice, Evidence)>,
    /// What the net predicts.
    pub prediction: Option<Prediction>,
    /// What that was told by.
    pub prediction_by: Option<Evidence>,
    /// Whose names the tensors have.
    pub naming: Option<Naming>,
    /// More about it, as pairs of a name and a value.
    pub details: Vec<(&'static str, String)>,
    /// What a whole model of its kind has and this one lacks.
    pub missing: Vec<String>,
    /// What is unusual, each as a sentence.
    pub strange: Vec<String>,
}

impl Detection {
    /// Knows the family and nothing else.
    pub(crate) fn new(family: Family) -> Self {
        Self {
            family,
            base: None,
            variant: None,
            distilled: None,
            prediction: None,
            prediction_by: None,
            naming: None,
            details: Vec::new(),
            missing: Vec::new(),
            strange: Vec::new(),
        }
    }

    fn based(family: Family, base: Option<Base>) -> Self {
        Self { base, ..Self::new(family) }
    }

    fn detail(&mut self, name: &'static str, value: impl ToString) {
        self.details.push((name, value.to_string()));
    }
}

/// Tells what an open checkpoint is.
pub fn detect(checkpoint: &Checkpoint) -> Detection {
    let name = checkpoint.path().file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    detect_view(&View {
        tensors: checkpoint.tensors(),
        facts: checkpoint.facts(),
        file_name: &name,
        numbers: &|name| checkpoint.numbers(name, NUMBERS_MAX),
    })
}

/// Tells what a model with these tensors is.
pub fn detect_view(view: &View<'_>) -> Detection {
    let detectors: [fn(&View<'_>) -> Option<Detection>; 12] = [
        parts::house,
        parts::language,
        parts::ip_adapter,
        lora::lora,
        unet::control_net,
        unet::unet,
        parts::tiny_autoencoder,
        parts::vae,
        parts::clip,
        parts::upscaler,
        segment::segment_anything,
        parts::textual_inversion,
    ];
    let found = detectors.iter().find_map(|detector| detector(view));
    found.unwrap_or_else(|| Detection::new(Family::Unknown))
}
