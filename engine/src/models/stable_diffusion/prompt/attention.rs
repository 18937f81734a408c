//! Weights in prompts: `(more)`, `(much more:1.5)`, `[less]`, and `BREAK`.

use std::ops::Range;

use super::traced::Traced;

/// What a round bracket without a number multiplies by, and a square one divides by.
///
/// # Source
/// AUTOMATIC1111's wiki, “Attention/emphasis”.
const FACTOR: f64 = 1.1;
/// How many brackets of a kind may be open at once; those beyond have no effect.
const MAX_OPEN: usize = 64;
/// The word that begins a new chunk.
const BREAK: &str = "BREAK";

/// Holds a stretch of a prompt with one weight.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Weighted {
    /// Words; the weight is 1 where nothing is said.
    Words(Traced, f64),
    /// The rest goes into a new chunk.
    Break,
}

/// Holds what a prompt says about weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Attention {
    /// In the order of the text; neighbours have different weights.
    pub pieces: Vec<Weighted>,
    /// Where the first bracket stands that was too deep to count.
    pub too_deep: Option<usize>,
}

/// Holds a piece of text while brackets around it are still open.
struct Open {
    range: Range<usize>,
    weight: f64,
    is_break: bool,
}

#[derive(Default)]
struct Brackets {
    /// The number of pieces before each bracket that is open.
    starts: Vec<usize>,
    /// How many brackets beyond [`MAX_OPEN`] are open.
    beyond: usize,
}

impl Brackets {
    /// Tells whether it counts.
    fn open(&mut self, pieces: usize) -> bool {
        if self.starts.len() == MAX_OPEN {
            self.beyond += 1;
            return false;
        }
        self.starts.push(pieces);
        true
    }

    fn is_open(&self) -> bool {
        !self.starts.is_empty()
    }

    fn close(&mut self, pieces: &mut [Open], factor: f64) {
        if self.beyond > 0 {
            self.beyond -= 1;
        } else if let Some(start) = self.starts.pop() {
            pieces[start..].iter_mut().for_each(|piece| piece.weight *= factor);
        }
    }
}

/// Reads the weights of a prompt. Whatever the text, something comes out: a bracket that never closes
/// counts to the end, and one that never opened is text.
///
/// # Source
/// AUTOMATIC1111's wiki, “Attention/emphasis” and “BREAK keyword”. Unlike there, `BREAK` also breaks
/// within brackets.
pub(super) fn read(text: &Traced) -> Attention {
    let words = text.text();
    let bytes = words.as_bytes();
    let mut pieces: Vec<Open> = Vec::new();
    let (mut round, mut square) = (Brackets::default(), Brackets::default());
    let mut too_deep = None;
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        at += 1;
        match bytes[start] {
            b'\\' => {
                // The backslash goes only before what it protects; alone it is nothing.
                let protects = bytes.get(at).is_some_and(|byte| b"()[]\\".contains(byte));
                let end = at + usize::from(protects);
                pieces.push(Open { range: at..end, weight: 1.0, is_break: false });
                at = end;
            }
            opening @ (b'(' | b'[') => {
                let brackets = if opening == b'(' { &mut round } else { &mut square };
                if !brackets.open(pieces.len()) {
                    too_deep = too_deep.or(Some(start));
                }
            }
            b')' if round.is_open() => round.close(&mut pieces, FACTOR),
            b']' if square.is_open() => square.close(&mut pieces, 1.0 / FACTOR),
            b':' => match weight(&words[at..]) {
                Some((weight, length)) if round.is_open() => {
                    round.close(&mut pieces, weight);
                    at += length;
                }
                Some((_, length)) => {
                    // Without a bracket the number is text, its closing bracket included.
                    at += length;
                    push(&mut pieces, words, start..at);
                }
                None => push(&mut pieces, words, start..at),
            },
            _ => {
                while at < bytes.len() && !b"\\()[]:".contains(&bytes[at]) {
                    at += 1;
                }
                push(&mut pieces, words, start..at);
            }
        }
    }
    round.beyond = 0;
    square.beyond = 0;
    while round.is_open() {
        round.close(&mut pieces, FACTOR);
    }
    while square.is_open() {
        square.close(&mut pieces, 1.0 / FACTOR);
    }
    Attention { pieces: merge(text, pieces), too_deep }
}

/// Reads `1.2)` with spaces before and after the number, and returns the number and the length.
fn weight(rest: &str) -> Option<(f64, usize)> {
    let number = rest.trim_start();
    let begin = rest.len() - number.len();
    let signless = number.strip_prefix(['+', '-']).unwrap_or(number);
    let digits = signless.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let end = begin + (number.len() - signless.len()) + digits;
    let close = rest[end..].trim_start();
    let value: f64 = rest[begin..end].parse().ok()?;
    let length = rest.len() - close.len() + 1;
    (close.starts_with(')') && value.is_finite()).then_some((value, length))
}

/// Adds text, cut at each `BREAK` with the spaces around it.
fn push(pieces: &mut Vec<Open>, words: &str, range: Range<usize>) {
    let mut add =
        |range: Range<usize>, is_break| pieces.push(Open { range, weight: 1.0, is_break });
    let text = &words[range.clone()];
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut begun = 0;
    for (found, _) in text.match_indices(BREAK) {
        let (before, after) = (&text[..found], &text[found + BREAK.len()..]);
        if before.ends_with(is_word) || after.starts_with(is_word) {
            continue;
        }
        let end = before.trim_end().len().max(begun);
        add(range.start + begun..range.start + end, false);
        add(range.start + found..range.start + found + BREAK.len(), true);
        begun = text.len() - after.trim_start().len();
    }
    add(range.start + begun..range.end, false);
}

/// Joins neighbours of one weight.
fn merge(text: &Traced, pieces: Vec<Open>) -> Vec<Weighted> {
    let mut merged: Vec<Weighted> = Vec::new();
    for piece in pieces {
        if piece.is_break {
            merged.push(Weighted::Break);
            continue;
        }
        match merged.last_mut() {
            Some(Weighted::Words(words, weight)) if *weight == piece.weight => {
                words.push_slice(text, piece.range);
            }
            _ => {
                let mut words = Traced::default();
                words.push_slice(text, piece.range);
                merged.push(Weighted::Words(words, piece.weight));
            }
        }
    }
    merged.retain(|piece| !matches!(piece, Weighted::Words(words, _) if words.text().is_empty()));
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(text: &str) -> Vec<(String, f64)> {
        let pieces = read(&Traced::whole(text)).pieces;
        let show = |piece| match piece {
            Weighted::Words(words, weight) => (words.text().to_owned(), weight),
            Weighted::Break => ("BREAK".to_owned(), -1.0),
        };
        pieces.into_iter().map(show).collect()
    }

    #[test]
    fn weights_are_what_the_wiki_says() {
        let check = |text: &str, wanted: &[(&str, f64)]| {
            let found = weights(text);
            assert_eq!(found.len(), wanted.len(), "{text}: {found:?}");
            for ((found, weight), (wanted, wanted_weight)) in found.iter().zip(wanted) {
                assert_eq!(found, wanted, "{text}");
                assert!((weight - wanted_weight).abs() < 1e-9, "{text}: {found} has {weight}");
            }
        };
        check("normal text", &[("normal text", 1.0)]);
        check("an (important) word", &[("an ", 1.0), ("important", 1.1), (" word", 1.0)]);
        check("(unbalanced", &[("unbalanced", 1.1)]);
        check("\\(literal\\]", &[("(literal]", 1.0)]);
        check("(unnecessary)(parens)", &[("unnecessaryparens", 1.1)]);
        check(
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            &[
                ("a ", 1.0),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        );
        check("", &[]);
        check("a: b :1.2) c", &[("a: b :1.2) c", 1.0)]);
        check("(a: +1.5 )b", &[("a", 1.5), ("b", 1.0)]);
        check("(a:-0.5)", &[("a", -0.5)]);
        check("(a:1.2.3)", &[("a:1.2.3", 1.1)]);
        check("back\\slash \\\\", &[("backslash \\", 1.0)]);
        check("a] b)", &[("a] b)", 1.0)]);
    }

    #[test]
    fn break_begins_a_new_chunk_and_eats_the_spaces_around_it() {
        let text = |word: &str| (word.to_owned(), 1.0);
        let stop = || ("BREAK".to_owned(), -1.0);
        assert_eq!(weights("a BREAK b"), [text("a"), stop(), text("b")]);
        assert_eq!(weights("BREAK"), [stop()]);
        assert_eq!(weights("BREAKING a_BREAK break"), [text("BREAKING a_BREAK break")]);
        assert_eq!(weights("a BREAK BREAK b"), [text("a"), stop(), stop(), text("b")]);
        let inside = weights("(a BREAK b:2)");
        assert_eq!(inside, [("a".to_owned(), 2.0), stop(), ("b".to_owned(), 2.0)]);
    }

    #[test]
    fn brackets_beyond_a_depth_have_no_effect_and_are_told() {
        let text = format!("{}a{}", "(".repeat(200), ")".repeat(200));
        let found = read(&Traced::whole(&text));
        assert_eq!(found.too_deep, Some(MAX_OPEN));
        let [Weighted::Words(words, weight)] = &found.pieces[..] else {
            panic!("{:?}", found.pieces);
        };
        assert_eq!(words.text(), "a");
        assert!((weight / 1.1_f64.powi(MAX_OPEN as i32) - 1.0).abs() < 1e-9, "{weight}");
    }
}
