//! From what a pickle described to tensors with names.

use std::collections::{BTreeMap, BTreeSet};

use super::input::Said;
use super::machine::Described;
use super::node::{Handle, Node, TensorView};

/// How deep tensors may lie in dictionaries.
const DEPTH_MAX: usize = 32;
/// How many values are looked at: one that is named often is looked at often.
const VISITS_MAX: usize = 2_000_000;
/// The most tensors of a file.
const TENSORS_MAX: usize = 50_000;
/// The longest name of a tensor.
const NAME_MAX_BYTES: usize = 512;
/// The most bytes of all names: one long key can be part of many.
const NAMES_MAX_BYTES: usize = 4 << 20;
/// The most facts that are kept, and the longest of them.
const FACTS_MAX: usize = 256;
const FACT_MAX_BYTES: usize = 512;

/// The keys under which trainers put the weights, best first.
///
/// `params_ema` and `params` are those of the Real-ESRGAN family; the averaged weights are the ones
/// that its own programs use.
const WRAPPERS: [&str; 6] =
    ["state_dict", "params_ema", "params", "model_state_dict", "module", "generator"];
/// The parts of a whole module that stand between the names of its parts.
const MODULE_PARTS: [&str; 3] = ["_parameters", "_buffers", "_modules"];

/// Holds the tensors and the facts of a pickle.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) tensors: BTreeMap<String, TensorView>,
    /// Numbers and short texts beside the tensors, by name.
    pub(super) facts: Vec<(String, String)>,
    /// The key that the weights stood under, if one was taken off.
    pub(super) wrapper: Option<String>,
    /// Keys beside the wrapper that hold other tensors, which are left out.
    pub(super) left_out: BTreeSet<String>,
}

/// Names all tensors of a description, in dotted paths.
///
/// # Errors
/// The rest of a sentence when it is too deep, too large or names a tensor twice.
pub(super) fn read(described: &Described) -> Said<State> {
    let mut walk = Walk { described, state: State::default(), visits: 0, names: 0 };
    let root = match described.node(described.root) {
        Node::Dict(entries) => Some(entries),
        _ => None,
    };
    let wrapped = root.and_then(|entries| {
        WRAPPERS.iter().find_map(|wrapper| {
            let held = entries.iter().find(|(key, _)| text(described, *key) == Some(wrapper))?;
            let is_dict = matches!(described.node(held.1), Node::Dict(_) | Node::Object(_));
            is_dict.then_some((*wrapper, held.1))
        })
    });
    let Some((wrapper, weights)) = wrapped else {
        walk.value(described.root, &mut String::new(), 0)?;
        return Ok(walk.state);
    };
    walk.value(weights, &mut String::new(), 0)?;
    let tensors = std::mem::take(&mut walk.state.tensors);
    for (key, value) in root.into_iter().flatten() {
        let Some(name) = text(described, *key).filter(|name| *name != wrapper) else { continue };
        walk.value(*value, &mut shortened(name), 1)?;
        if !walk.state.tensors.is_empty() {
            walk.state.tensors.clear();
            walk.state.left_out.insert(shortened(name));
        }
    }
    walk.state.tensors = tensors;
    walk.state.wrapper = Some(wrapper.to_owned());
    Ok(walk.state)
}

fn text(described: &Described, handle: Handle) -> Option<&str> {
    match described.node(handle) {
        Node::Text(text) => Some(text),
        _ => None,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(FACT_MAX_BYTES).collect()
}

struct Walk<'a> {
    described: &'a Described,
    state: State,
    visits: usize,
    /// The bytes of all names so far.
    names: usize,
}

impl Walk<'_> {
    fn value(&mut self, handle: Handle, path: &mut String, depth: usize) -> Said<()> {
        self.visits += 1;
        if depth > DEPTH_MAX || self.visits > VISITS_MAX {
            return Err("is nested as no checkpoint is".to_owned());
        }
        match self.described.node(handle) {
            Node::Tensor(view) => self.tensor(path, view),
            Node::Dict(entries) => self.entries(entries, path, depth),
            Node::List(values) => self.values(values, path, depth),
            Node::Tuple(values) => self.values(values, path, depth),
            Node::Object(object) => {
                self.entries(&object.entries, path, depth)?;
                self.values(&object.values, path, depth)?;
                // What a foreign class was made from may be the only place of its tensors.
                self.values(&object.arguments, path, depth)?;
                object.state.map_or(Ok(()), |state| self.value(state, path, depth + 1))
            }
            Node::Int(number) => self.fact(path, || number.to_string()),
            Node::Float(number) => self.fact(path, || number.to_string()),
            Node::Bool(flag) => self.fact(path, || flag.to_string()),
            Node::Text(text) => self.fact(path, || shortened(text)),
            Node::Bytes(count) => self.fact(path, || format!("{count} bytes")),
            Node::Long(bytes) => self.fact(path, || format!("a number of {} bytes", bytes.len())),
            Node::None | Node::Global(_) | Node::Storage(_) => Ok(()),
        }
    }

    fn entries(
        &mut self,
        entries: &[(Handle, Handle)],
        path: &mut String,
        depth: usize,
    ) -> Said<()> {
        for (key, value) in entries {
            let length = path.len();
            match self.described.node(*key) {
                Node::Text(key) if MODULE_PARTS.contains(&&**key) => {}
                Node::Text(key) => extend(path, key)?,
                Node::Int(key) => extend(path, &key.to_string())?,
                // Other keys, such as the parameters of an optimizer, name no weights.
                _ => continue,
            }
            self.value(*value, path, depth + 1)?;
            path.truncate(length);
        }
        Ok(())
    }

    fn values(&mut self, values: &[Handle], path: &mut String, depth: usize) -> Said<()> {
        for (index, value) in values.iter().enumerate() {
            let length = path.len();
            extend(path, &index.to_string())?;
            self.value(*value, path, depth + 1)?;
            path.truncate(length);
        }
        Ok(())
    }

    fn tensor(&mut self, path: &str, view: &TensorView) -> Said<()> {
        self.names += path.len();
        if self.state.tensors.len() == TENSORS_MAX || self.names > NAMES_MAX_BYTES {
            return Err("holds more tensors than any checkpoint".to_owned());
        }
        match self.state.tensors.insert(path.to_owned(), view.clone()) {
            None => Ok(()),
            Some(_) => Err(format!("holds the tensor “{path}” twice")),
        }
    }

    fn fact(&mut self, path: &str, value: impl FnOnce() -> String) -> Said<()> {
        if !path.is_empty() && self.state.facts.len() < FACTS_MAX {
            self.state.facts.push((path.to_owned(), value()));
        }
        Ok(())
    }
}

/// Goes one step down; an empty key is a step too, or two tensors could share a name.
fn extend(path: &mut String, key: &str) -> Said<()> {
    if path.len() + key.len() >= NAME_MAX_BYTES {
        return Err("names a tensor at impossible length".to_owned());
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
    Ok(())
}
