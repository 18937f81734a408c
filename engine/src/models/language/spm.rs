//! Pieces by score, as SentencePiece's byte-pair vocabularies are read.
//!
//! # Source
//! Kudo, Richardson: SentencePiece (EMNLP 2018); the order of merges is that of llama.cpp's reader.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use super::tokenizer::{Kind, Piece};

/// Stands for a space in the vocabularies, and therefore cannot be told from one in a text.
pub(super) const SPACE: char = '\u{2581}';

/// Holds which pieces there are and how good each is.
#[derive(Debug)]
pub(super) struct Spm {
    ids: HashMap<Box<[u8]>, u32>,
    scores: Vec<f32>,
    /// Pieces that no text may end up in, although it may pass through them.
    unused: Vec<bool>,
    bytes: Vec<Option<u32>>,
    unknown: Option<u32>,
}

/// A part of the text that may become one piece with the next.
#[derive(Clone, Copy)]
struct Symbol {
    start: usize,
    end: usize,
    before: Option<usize>,
    after: Option<usize>,
}

#[derive(PartialEq)]
struct Merge {
    score: f32,
    left: Reverse<usize>,
    right: usize,
    length: usize,
}

impl Eq for Merge {}

impl Ord for Merge {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(self.left.cmp(&other.left))
    }
}

impl PartialOrd for Merge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Spm {
    /// Takes a vocabulary; `scores` has one number per piece.
    pub(super) fn new(pieces: &[Piece], scores: Vec<f32>, unknown: Option<u32>) -> Self {
        let mut ids = HashMap::new();
        let mut bytes = vec![None; 256];
        for (id, piece) in (0..).zip(pieces) {
            match (piece.kind, &*piece.bytes) {
                (Kind::Byte, [byte]) => bytes[usize::from(*byte)] = Some(id),
                (Kind::Normal | Kind::Unused | Kind::Given, text) if !text.is_empty() => {
                    ids.entry(text.into()).or_insert(id);
                }
                _ => {}
            }
        }
        let unused = pieces.iter().map(|piece| piece.kind == Kind::Unused).collect();
        Self { ids, scores, unused, bytes, unknown }
    }

    fn id(&self, text: &[u8]) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// Appends the pieces of a text in which spaces are spaces.
    pub(super) fn encode(&self, text: &str, out: &mut Vec<u32>) {
        let text = text.replace(SPACE, " ");
        let bytes = text.as_bytes();
        let mut symbols: Vec<Symbol> = Vec::new();
        for (index, (start, c)) in text.char_indices().enumerate() {
            let (before, after) = (index.checked_sub(1), Some(index + 1));
            symbols.push(Symbol { start, end: start + c.len_utf8(), before, after });
        }
        if let Some(last) = symbols.last_mut() {
            last.after = None;
        }
        let mut queue = BinaryHeap::new();
        let offer = |symbols: &[Symbol], queue: &mut BinaryHeap<Merge>, left: Option<usize>| {
            let Some((left, right)) = left.and_then(|left| Some((left, symbols[left].after?)))
            else {
                return;
            };
            let (start, end) = (symbols[left].start, symbols[right].end);
            if let Some(id) = self.id(&bytes[start..end]) {
                let score = self.scores.get(id as usize).copied().unwrap_or(0.0);
                queue.push(Merge { score, left: Reverse(left), right, length: end - start });
            }
        };
        for index in 0..symbols.len() {
            offer(&symbols, &mut queue, Some(index));
        }
        // Where pieces that may not be used were made of, by the place of their text.
        let mut halves: HashMap<(usize, usize), usize> = HashMap::new();
        while let Some(merge) = queue.pop() {
            let (left, right) = (symbols[merge.left.0], symbols[merge.right]);
            let is_stale = left.start == left.end
                || right.start == right.end
                || right.end - left.start != merge.length
                || left.after != Some(merge.right);
            if is_stale {
                continue;
            }
            halves.insert((left.start, right.end), right.start);
            symbols[merge.left.0].end = right.end;
            symbols[merge.left.0].after = right.after;
            if let Some(after) = right.after {
                symbols[after].before = Some(merge.left.0);
            }
            symbols[merge.right].end = right.start;
            offer(&symbols, &mut queue, left.before);
            offer(&symbols, &mut queue, Some(merge.left.0));
        }
        let mut next = (!symbols.is_empty()).then_some(0);
        while let Some(index) = next {
            let Symbol { start, end, after, .. } = symbols[index];
            self.put(bytes, start, end, &halves, out);
            next = after;
        }
    }

    fn put(
        &self,
        text: &[u8],
        start: usize,
        end: usize,
        halves: &HashMap<(usize, usize), usize>,
        out: &mut Vec<u32>,
    ) {
        let part = &text[start..end];
        match (self.id(part), halves.get(&(start, end))) {
            (Some(id), middle) if !self.unused[id as usize] || middle.is_none() => out.push(id),
            (Some(_), Some(&middle)) => {
                self.put(text, start, middle, halves, out);
                self.put(text, middle, end, halves, out);
            }
            _ if part.iter().all(|byte| self.bytes[usize::from(*byte)].is_some()) => {
                out.extend(part.iter().filter_map(|byte| self.bytes[usize::from(*byte)]));
            }
            _ => out.extend(self.unknown),
        }
    }
}
