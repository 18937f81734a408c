//! A machine for pickles that only builds data.
//!
//! # Source
//! The instructions are those of CPython's `Lib/pickletools.py`, protocols 0 to 5; what torch
//! makes of them is in `torch/_utils.py` and `torch/serialization.py`. Nothing is ever imported or
//! called: a class or function that is not one of the few that describe tensors becomes an inert
//! value that keeps its name.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::build;
use super::input::{Input, Said};
use super::node::{Global, Handle, Node, Object};

/// The longest pickle: those of the largest checkpoints have some megabytes.
pub(super) const PICKLE_MAX_BYTES: u64 = 16 << 20;
/// The most values of a pickle.
const NODES_MAX: usize = 1_000_000;
/// The most values that wait at once, or are kept for later.
const WAITING_MAX: usize = 1_000_000;
/// The longest name of a module, class or function.
const NAME_MAX_BYTES: usize = 256;
/// The most bytes that short instructions may have copied: a pickle can name one thing many times.
const COPIED_MAX_BYTES: usize = 4 << 20;

/// Holds what a pickle described.
pub(super) struct Described {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Handle,
    /// The classes and functions that were named and are not known.
    pub(super) foreign: BTreeSet<Rc<str>>,
}

impl Described {
    pub(super) fn node(&self, handle: Handle) -> &Node {
        &self.nodes[handle as usize]
    }
}

struct Machine<'a, 'b> {
    input: &'a mut Input<'b>,
    nodes: Vec<Node>,
    stack: Vec<Handle>,
    marks: Vec<usize>,
    memo: HashMap<u32, Handle>,
    foreign: BTreeSet<Rc<str>>,
    copied: usize,
}

/// Runs one pickle and leaves the input behind it.
///
/// # Errors
/// The rest of a sentence about what is wrong.
pub(super) fn run(input: &mut Input<'_>) -> Said<Described> {
    let mut machine = Machine {
        input,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        foreign: BTreeSet::new(),
        copied: 0,
    };
    let start = machine.input.position();
    loop {
        let code = machine.input.byte()?;
        if code == b'.' {
            let root = machine.pop()?;
            return Ok(Described { nodes: machine.nodes, root, foreign: machine.foreign });
        }
        machine.step(code)?;
        if machine.input.position() - start > PICKLE_MAX_BYTES
            || machine.nodes.len() > NODES_MAX
            || machine.stack.len() > WAITING_MAX
            || machine.marks.len() > WAITING_MAX
            || machine.memo.len() > WAITING_MAX
        {
            return Err("has a description that is longer than any checkpoint's".to_owned());
        }
    }
}

impl Machine<'_, '_> {
    /// Carries out one instruction.
    fn step(&mut self, code: u8) -> Said<()> {
        match code {
            // PROTO, FRAME, MARK, POP, POP_MARK, DUP
            0x80 => match self.input.byte()? {
                0..=5 => Ok(()),
                other => Err(format!("is a pickle of the unknown protocol {other}")),
            },
            0x95 => match self.input.u64()? {
                frame if frame <= self.input.left() => Ok(()),
                _ => Err("ends within its description".to_owned()),
            },
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
                Ok(())
            }
            b'0' => self.pop().map(|_| ()),
            b'1' => self.above_mark().map(|_| ()),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'J' | b'K' | b'M' | 0x8a | 0x8b | b'I' | b'L' | b'F' | b'G' => self.number(code),
            b'S' | b'T' | b'U' | b'V' | b'X' | 0x8c | 0x8d | b'B' | b'C' | 0x8e | 0x96 => {
                self.text(code)
            }
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.remember(code),
            b')'
            | b't'
            | 0x85..=0x87
            | b']'
            | b'l'
            | b'a'
            | b'e'
            | b'}'
            | b'd'
            | b's'
            | b'u'
            | 0x8f..=0x91 => self.collection(code),
            b'c' | 0x93 | b'R' | b'b' | 0x81 | 0x92 | b'i' | b'o' | b'Q' | b'P' => {
                self.construction(code)
            }
            other => Err(format!("has the unknown instruction {other} in its description")),
        }
    }

    /// BININT, BININT1, BININT2, LONG1, LONG4, INT, LONG, FLOAT, BINFLOAT
    fn number(&mut self, code: u8) -> Said<()> {
        let node = match code {
            b'J' => Node::Int(i32::from_le_bytes(self.input.array()?).into()),
            b'K' => Node::Int(self.input.byte()?.into()),
            b'M' => Node::Int(u16::from_le_bytes(self.input.array()?).into()),
            b'G' => Node::Float(f64::from_be_bytes(self.input.array()?)),
            0x8a => {
                let length = self.input.byte()?;
                self.long(length.into())?
            }
            0x8b => {
                let length = self.input.u32()?;
                self.long(length.into())?
            }
            b'I' | b'L' => match self.input.line()?.trim_end_matches('L') {
                "00" => Node::Bool(false),
                "01" => Node::Bool(true),
                text => Node::Int(text.parse().map_err(|_| malformed())?),
            },
            _ => Node::Float(self.input.line()?.parse().map_err(|_| malformed())?),
        };
        self.push(node)
    }

    fn long(&mut self, length: u64) -> Said<Node> {
        let bytes = self.input.take(length)?;
        if bytes.len() > 8 {
            return Ok(Node::Long(bytes.into()));
        }
        let is_negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut word = [if is_negative { 0xff } else { 0 }; 8];
        word[..bytes.len()].copy_from_slice(&bytes);
        Ok(Node::Int(i64::from_le_bytes(word)))
    }

    /// STRING, BINSTRING, SHORT_BINSTRING, UNICODE, BINUNICODE and its like, BINBYTES and its like,
    /// BYTEARRAY8
    fn text(&mut self, code: u8) -> Said<()> {
        let length = match code {
            b'S' => {
                let line = self.input.line()?;
                let line = line.trim_matches(['\'', '"']);
                return self.push(Node::Text(line.into()));
            }
            b'V' => {
                let line = self.input.line()?;
                return self.push(Node::Text(line.into()));
            }
            b'U' | b'C' | 0x8c => self.input.byte()?.into(),
            b'T' | b'X' | b'B' => self.input.u32()?.into(),
            _ => self.input.u64()?,
        };
        let node = match code {
            b'B' | b'C' | 0x8e | 0x96 => Node::Bytes(self.input.take(length)?.len()),
            _ => Node::Text(self.input.text(length)?),
        };
        self.push(node)
    }

    /// PUT, BINPUT, LONG_BINPUT, MEMOIZE, GET, BINGET, LONG_BINGET
    fn remember(&mut self, code: u8) -> Said<()> {
        let key = match code {
            b'p' | b'g' => self.input.line()?.parse().map_err(|_| malformed())?,
            b'q' | b'h' => self.input.byte()?.into(),
            b'r' | b'j' => self.input.u32()?,
            _ => self.memo.len() as u32,
        };
        if matches!(code, b'g' | b'h' | b'j') {
            let value = self.memo.get(&key).copied().ok_or_else(malformed)?;
            self.stack.push(value);
        } else {
            let top = self.top()?;
            self.memo.insert(key, top);
        }
        Ok(())
    }

    /// Tuples, lists, dictionaries and sets.
    fn collection(&mut self, code: u8) -> Said<()> {
        match code {
            b')' => self.push(Node::Tuple([].into())),
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let at = self.reachable(count)?;
                let values = self.stack.split_off(at);
                self.push(Node::Tuple(values.into()))
            }
            b't' | 0x91 => {
                let values = self.above_mark()?;
                self.push(Node::Tuple(values.into()))
            }
            b']' | 0x8f => self.push(Node::List(Vec::new())),
            b'l' => {
                let values = self.above_mark()?;
                self.push(Node::List(values))
            }
            b'}' => self.push(Node::Dict(Vec::new())),
            b'd' => {
                let pairs = pairs(&self.above_mark()?)?;
                self.push(Node::Dict(pairs))
            }
            b'a' => {
                let value = self.pop()?;
                self.append(&[value])
            }
            b'e' | 0x90 => {
                let values = self.above_mark()?;
                self.append(&values)
            }
            b's' => {
                let at = self.reachable(2)?;
                let values = self.stack.split_off(at);
                self.set_items(&pairs(&values)?)
            }
            _ => {
                let values = self.above_mark()?;
                self.set_items(&pairs(&values)?)
            }
        }
    }

    /// Names of classes, and what would be made by calling them.
    fn construction(&mut self, code: u8) -> Said<()> {
        match code {
            b'c' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.global(&module, &name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (self.named(module)?, self.named(name)?);
                self.global(&module, &name)
            }
            // REDUCE, NEWOBJ
            b'R' | 0x81 => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                let node = build::called(&self.nodes, callee, arguments)?;
                if let Node::Dict(entries) = &node {
                    self.charge(size_of_val(&**entries))?;
                }
                self.push(node)
            }
            // NEWOBJ_EX: class, arguments, named arguments
            0x92 => {
                let at = self.reachable(3)?;
                let arguments = self.stack.split_off(at);
                self.push(Node::Object(Box::new(Object { arguments, ..Object::default() })))
            }
            // INST, OBJ
            b'i' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                let arguments = self.above_mark()?;
                self.foreign(&module, &name)?;
                self.push(Node::Object(Box::new(Object { arguments, ..Object::default() })))
            }
            b'o' => {
                let arguments = self.above_mark()?;
                self.push(Node::Object(Box::new(Object { arguments, ..Object::default() })))
            }
            // BUILD
            b'b' => {
                let state = self.pop()?;
                let top = self.top()?;
                if let Node::Object(object) = &mut self.nodes[top as usize] {
                    object.state = Some(state);
                }
                // The state of an OrderedDict is torch's `_metadata`: no weights.
                Ok(())
            }
            // BINPERSID
            b'Q' => {
                let id = self.pop()?;
                let node = build::storage(&self.nodes, id)?;
                self.push(node)
            }
            _ => Err("names its numbers in a way that torch does not".to_owned()),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Said<()> {
        let global = match Global::known(module, name) {
            Some(known) => known,
            None => Global::Foreign(self.foreign(module, name)?),
        };
        self.push(Node::Global(global))
    }

    /// Remembers a foreign name, to be shown.
    fn foreign(&mut self, module: &str, name: &str) -> Said<Rc<str>> {
        if module.len() > NAME_MAX_BYTES || name.len() > NAME_MAX_BYTES {
            return Err("has a name of impossible length in its description".to_owned());
        }
        let full = format!("{module}.{name}");
        if let Some(known) = self.foreign.get(full.as_str()) {
            return Ok(known.clone());
        }
        self.charge(full.len())?;
        let full: Rc<str> = full.into();
        self.foreign.insert(full.clone());
        Ok(full)
    }

    /// Counts bytes that an instruction copied.
    fn charge(&mut self, bytes: usize) -> Said<()> {
        self.copied = self.copied.saturating_add(bytes);
        match self.copied {
            0..=COPIED_MAX_BYTES => Ok(()),
            _ => Err("has a description that is longer than any checkpoint's".to_owned()),
        }
    }

    fn named(&self, handle: Handle) -> Said<Box<str>> {
        match &self.nodes[handle as usize] {
            Node::Text(text) if text.len() <= NAME_MAX_BYTES => Ok(text.clone()),
            _ => Err(malformed()),
        }
    }

    fn append(&mut self, values: &[Handle]) -> Said<()> {
        let top = self.top()?;
        match &mut self.nodes[top as usize] {
            Node::List(list) => list.extend_from_slice(values),
            Node::Object(object) => object.values.extend_from_slice(values),
            _ => return Err(malformed()),
        }
        Ok(())
    }

    fn set_items(&mut self, pairs: &[(Handle, Handle)]) -> Said<()> {
        let top = self.top()?;
        match &mut self.nodes[top as usize] {
            Node::Dict(entries) => entries.extend_from_slice(pairs),
            Node::Object(object) => object.entries.extend_from_slice(pairs),
            _ => return Err(malformed()),
        }
        Ok(())
    }

    fn push(&mut self, node: Node) -> Said<()> {
        let handle = Handle::try_from(self.nodes.len()).map_err(|_| malformed())?;
        self.nodes.push(node);
        self.stack.push(handle);
        Ok(())
    }

    fn top(&self) -> Said<Handle> {
        self.reachable(1)?;
        self.stack.last().copied().ok_or_else(malformed)
    }

    fn pop(&mut self) -> Said<Handle> {
        self.reachable(1)?;
        self.stack.pop().ok_or_else(malformed)
    }

    /// Returns where the topmost `count` values begin; none of them lies below a mark.
    fn reachable(&self, count: usize) -> Said<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack.len().checked_sub(count).filter(|at| *at >= floor).ok_or_else(malformed)
    }

    fn above_mark(&mut self) -> Said<Vec<Handle>> {
        let mark = self.marks.pop().ok_or_else(malformed)?;
        Ok(self.stack.split_off(mark))
    }
}

fn pairs(values: &[Handle]) -> Said<Vec<(Handle, Handle)>> {
    let (pairs, rest) = values.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(malformed());
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

/// Says that the instructions make no sense.
pub(super) fn malformed() -> String {
    "has a description that makes no sense".to_owned()
}
