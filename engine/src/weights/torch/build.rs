//! What the few known functions of torch would have made, as data.

use std::rc::Rc;

use super::input::Said;
use super::machine::malformed;
use super::node::{Global, Handle, Node, Object, Storage, TensorView};

/// The most dimensions of a tensor; torch allows 64.
const DIMENSIONS_MAX: usize = 16;

fn node(nodes: &[Node], handle: Handle) -> &Node {
    &nodes[handle as usize]
}

/// Returns what a call stands for.
///
/// # Errors
/// The rest of a sentence when a known function is given what it cannot take.
pub(super) fn called(nodes: &[Node], callee: Handle, arguments: Handle) -> Said<Node> {
    let foreign =
        || Node::Object(Box::new(Object { arguments: vec![arguments], ..Object::default() }));
    let Node::Tuple(given) = node(nodes, arguments) else { return Err(malformed()) };
    let Node::Global(global) = node(nodes, callee) else {
        return Ok(foreign());
    };
    match global {
        Global::RebuildTensor | Global::RebuildTensorTyped => tensor(nodes, global, given),
        Global::RebuildParameter => match given.first().map(|first| node(nodes, *first)) {
            Some(Node::Tensor(view)) => Ok(Node::Tensor(view.clone())),
            _ => Err(malformed()),
        },
        Global::OrderedDict => ordered(nodes, given),
        Global::Size => match given.first().map(|first| node(nodes, *first)) {
            Some(Node::Tuple(sides)) if sides.len() <= DIMENSIONS_MAX => {
                Ok(Node::Tuple(sides.clone()))
            }
            Some(Node::List(sides)) if sides.len() <= DIMENSIONS_MAX => {
                Ok(Node::Tuple(sides.clone().into()))
            }
            _ => Err(malformed()),
        },
        _ => Ok(foreign()),
    }
}

/// Makes a dictionary of nothing, or of the list of pairs that Python 2 wrote.
fn ordered(nodes: &[Node], arguments: &[Handle]) -> Said<Node> {
    let Some(first) = arguments.first() else { return Ok(Node::Dict(Vec::new())) };
    let Node::List(items) = node(nodes, *first) else { return Err(malformed()) };
    let mut entries = Vec::new();
    for item in items {
        match node(nodes, *item) {
            Node::List(pair) if pair.len() == 2 => entries.push((pair[0], pair[1])),
            Node::Tuple(pair) if pair.len() == 2 => entries.push((pair[0], pair[1])),
            _ => return Err(malformed()),
        }
    }
    Ok(Node::Dict(entries))
}

/// Makes a tensor from `(storage, offset, shape, strides, …)`.
fn tensor(nodes: &[Node], global: &Global, arguments: &[Handle]) -> Said<Node> {
    let [storage, offset, shape, strides, ..] = arguments else { return Err(malformed()) };
    let Node::Storage(storage) = node(nodes, *storage) else { return Err(malformed()) };
    let mut element = storage.element;
    if *global == Global::RebuildTensorTyped {
        match arguments.get(6).map(|typed| node(nodes, *typed)) {
            Some(Node::Global(Global::Element(named))) => element = *named,
            Some(Node::Global(Global::Foreign(name))) => {
                return Err(format!("holds numbers of the unknown form “{name}”"));
            }
            _ => return Err(malformed()),
        }
    }
    let offset = whole(nodes, *offset)?;
    let (shape, strides) = (wholes(nodes, *shape)?, wholes(nodes, *strides)?);
    if shape.len() != strides.len() || shape.len() > DIMENSIONS_MAX {
        return Err("holds a tensor with an impossible number of dimensions".to_owned());
    }
    let shape: Result<Vec<usize>, _> = shape.into_iter().map(usize::try_from).collect();
    let shape = shape.map_err(|_| "holds a tensor of impossible size".to_owned())?;
    let view = TensorView { storage: storage.clone(), element, offset, shape, strides };
    if element.bytes_of(&view.shape).is_none() || view.span().is_none() {
        let shape = view.shape;
        return Err(format!("holds a tensor of shape {shape:?} that lies outside its numbers"));
    }
    Ok(Node::Tensor(Box::new(view)))
}

/// Makes a storage from `("storage", class, key, device, count)`, in old files with a view
/// `(key, first, count)` behind it.
pub(super) fn storage(nodes: &[Node], id: Handle) -> Said<Node> {
    let Node::Tuple(parts) = node(nodes, id) else { return Err(malformed()) };
    let [kind, class, key, _device, count, ..] = &**parts else { return Err(malformed()) };
    let is_storage = matches!(node(nodes, *kind), Node::Text(kind) if **kind == *"storage");
    // Old whole-module files name their source code in this way; no numbers stand behind it.
    if !is_storage {
        return Ok(Node::None);
    }
    let element = match node(nodes, *class) {
        Node::Global(Global::Storage(element)) => *element,
        Node::Global(Global::Foreign(name)) => {
            return Err(format!("holds numbers of the unknown form “{name}”"));
        }
        _ => return Err(malformed()),
    };
    let key: Rc<str> = match node(nodes, *key) {
        Node::Text(key) if key.len() <= 256 => (**key).into(),
        Node::Int(key) => key.to_string().into(),
        _ => return Err(malformed()),
    };
    let mut storage = Storage { key, element, count: whole(nodes, *count)?, first: 0 };
    if let Some(Node::Tuple(view)) = parts.get(5).map(|view| node(nodes, *view)) {
        let [_, first, count] = &**view else { return Err(malformed()) };
        let (first, held) = (whole(nodes, *first)?, whole(nodes, *count)?);
        if first.checked_add(held).is_none_or(|end| end > storage.count) {
            return Err("names numbers that lie outside its own".to_owned());
        }
        storage.first = first;
        storage.count = held;
    }
    Ok(Node::Storage(storage))
}

/// Returns a whole number that is not negative.
fn whole(nodes: &[Node], handle: Handle) -> Said<u64> {
    match node(nodes, handle) {
        Node::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
    .ok_or_else(|| "names an impossible length in its description".to_owned())
}

fn wholes(nodes: &[Node], handle: Handle) -> Said<Vec<u64>> {
    match node(nodes, handle) {
        Node::Tuple(values) if values.len() <= DIMENSIONS_MAX => {
            values.iter().map(|value| whole(nodes, *value)).collect()
        }
        Node::List(values) if values.len() <= DIMENSIONS_MAX => {
            values.iter().map(|value| whole(nodes, *value)).collect()
        }
        _ => Err("holds a tensor with an impossible number of dimensions".to_owned()),
    }
}
