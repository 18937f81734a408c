//! Low-rank changes to a model (LoRA and its kin), added to its weights as they are read.
//!
//! A file is matched once against the model that it is to change: every module that it names is
//! found under diffusers' name and its shapes are checked. The numbers stay in the file until a
//! weight that they change is read, so nothing is held twice, and taking a LoRA off is reading the
//! weight again.
//!
//! # Source
//! Names: kohya's sd-scripts, LyCORIS 3, diffusers 0.42, PEFT 0.21, cloneofsimo/lora. Formulas:
//! LoRA, Hu et al. 2021 (arXiv 2106.09685); LoHa, Hyeon-Woo et al. 2021 (FedPara, 2108.06098); LoKr
//! and the form with a core for convolutions, Yeh et al. 2023 (LyCORIS, 2309.14859); DoRA, Liu et
//! al. 2024 (2402.09353).

mod change;
mod delta;
mod keys;
mod numbered;
mod settings;
mod stack;
mod targets;

use std::collections::BTreeMap;
use std::path::Path;

use self::change::{Change, Problem, Roles};
use self::keys::Role;
use self::settings::Settings;
pub use self::stack::{Patched, Stack, Strength};
pub use self::targets::Targets;
use super::detect::{Family, detect};
use super::embedding::{Embedding, words_in};
use super::names::Part;
use super::open::Checkpoint;
use crate::error::EngineError;

/// The most tensors of a file.
const TENSORS_MAX: usize = 50_000;

/// Names something in a file that changes nothing in the model, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    /// What the file calls it.
    pub key: String,
    /// The rest of a sentence, for instance `names no module of this model`.
    pub reason: String,
}

/// Holds an open LoRA, matched against a model.
#[derive(Debug)]
pub struct Lora {
    file: Checkpoint,
    /// What is changed, by part and by diffusers' name of the weight.
    changes: BTreeMap<(Part, String), Vec<Change>>,
    unmatched: Vec<Unmatched>,
    words: Vec<Embedding>,
}

impl Lora {
    /// Opens a file and matches it against a model.
    ///
    /// # Errors
    /// As [`Lora::of`], and [`EngineError::Io`] when it cannot be opened.
    pub fn open(path: &Path, targets: &Targets) -> Result<Self, EngineError> {
        Self::of(Checkpoint::open(path)?, targets)
    }

    /// Matches an open file against a model.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is no LoRA, or its own parts do not fit each other;
    /// [`EngineError::OtherFamily`] when it is for another kind of model.
    pub fn of(file: Checkpoint, targets: &Targets) -> Result<Self, EngineError> {
        let damaged = |reason: String| EngineError::damaged(file.path(), reason);
        let found = detect(&file);
        if file.tensors().len() > TENSORS_MAX {
            return Err(damaged("holds more tensors than any LoRA".to_owned()));
        }
        let mut unmatched = Vec::new();
        let modules = keys::modules(&file, &mut unmatched);
        // Files of whole differences are detected as nothing.
        if !matches!(found.family, Family::Lora | Family::Unknown) || modules.is_empty() {
            return Err(damaged("is no LoRA that is known".to_owned()));
        }
        let settings = Settings::read(&file)?;
        let mut changes: BTreeMap<(Part, String), Vec<Change>> = BTreeMap::new();
        let mut unfit = 0;
        for (module, part, tensor, roles) in matched(&file, modules, targets, &mut unmatched) {
            let Some(shape) = targets.shape(part, &tensor) else { continue };
            match Change::new(&file, &module, &roles, shape, &settings) {
                Ok(change) => changes.entry((part, tensor)).or_default().push(change),
                Err(Problem::Damaged(reason)) => {
                    return Err(damaged(format!("{reason} in the module “{module}”")));
                }
                Err(Problem::Unfit(reason)) => {
                    unfit += 1;
                    unmatched.push(Unmatched { key: module, reason });
                }
            }
        }
        if let (Some(made_for), Some(model)) = (found.base, targets.base())
            && made_for != model
            && (changes.is_empty() || unfit > 0)
        {
            return Err(EngineError::OtherFamily {
                what: "LoRA".to_owned(),
                made_for: made_for.to_string(),
                model: model.to_string(),
                path: file.path().to_owned(),
            });
        }
        if changes.is_empty() {
            let first = unmatched
                .first()
                .map_or(String::new(), |Unmatched { key, reason }| format!(": “{key}” {reason}"));
            return Err(damaged(format!("is a LoRA that changes nothing in this model{first}")));
        }
        let words = words_in(&file)?;
        Ok(Self { file, changes, unmatched, words })
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Returns the changed weights, by part and by diffusers' name.
    pub fn changed(&self) -> impl Iterator<Item = (Part, &str)> {
        self.changes.keys().map(|(part, tensor)| (*part, tensor.as_str()))
    }

    /// Returns what changes nothing, each with the reason.
    pub fn unmatched(&self) -> &[Unmatched] {
        &self.unmatched
    }

    /// Returns new words that were trained with it and stand in the same file.
    pub fn words(&self) -> &[Embedding] {
        &self.words
    }

    /// Computes what is added to a weight at full strength, row-major; `None` where nothing is.
    /// `base` are the numbers of the weight itself, which DoRA needs.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when the file cannot be read, gives numbers that are not finite, or
    /// `base` is not as long as the weight.
    pub fn delta(
        &self,
        part: Part,
        tensor: &str,
        base: &[f32],
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let Some(changes) = self.changes.get(&(part, tensor.to_owned())) else { return Ok(None) };
        let mut sum = vec![0.0; base.len()];
        for change in changes {
            let delta = change.delta(&self.file, tensor, base)?;
            sum.iter_mut().zip(delta).for_each(|(sum, delta)| *sum += delta);
        }
        Ok(Some(sum))
    }
}

/// What changes one weight: the file's name of the module, the part, diffusers' name of the weight,
/// and the tensors by role.
type Matched = (String, Part, String, Roles);

/// Finds the weights that modules change.
fn matched(
    file: &Checkpoint,
    modules: BTreeMap<String, Roles>,
    targets: &Targets,
    unmatched: &mut Vec<Unmatched>,
) -> Vec<Matched> {
    let numbered = numbered::names(file, &modules, targets);
    let mut out = Vec::new();
    for (module, mut roles) in modules {
        let found = match numbered.get(&module) {
            Some(found) => found.clone(),
            None => targets.find(&module),
        };
        let (part, target) = match found {
            Ok(found) => found,
            Err(reason) => {
                unmatched.push(Unmatched { key: module, reason });
                continue;
            }
        };
        // A whole difference may change the bias too.
        for (role, kind) in [(Role::DiffBias, "bias"), (Role::Diff, "weight")] {
            if let Some(stored) = roles.remove(&role) {
                let roles = Roles::from([(Role::Diff, stored)]);
                out.push((module.clone(), part, format!("{target}.{kind}"), roles));
            }
        }
        if roles.keys().any(|role| *role != Role::Alpha) {
            out.push((module, part, format!("{target}.weight"), roles));
        } else if !roles.is_empty() {
            let reason = "has an alpha and nothing that it would weigh".to_owned();
            unmatched.push(Unmatched { key: module, reason });
        }
    }
    out.retain(|(module, part, tensor, _)| {
        let is_there = targets.shape(*part, tensor).is_some();
        if !is_there {
            let reason = format!("would change “{tensor}”, which this model does not have");
            unmatched.push(Unmatched { key: module.clone(), reason });
        }
        is_there
    });
    out
}

#[cfg(test)]
mod tests;
