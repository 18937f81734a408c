//! Text that knows where in the prompt it came from.

use std::hash::{Hash, Hasher};
use std::ops::Range;

/// Holds text made of stretches of a prompt and of words that stand for one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Traced {
    text: String,
    /// In the order of the text, without gaps.
    runs: Vec<Run>,
}

/// Says where a stretch of the text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    /// Where it begins in the text, in bytes.
    at: usize,
    /// Where it comes from, in bytes of the prompt.
    source: Range<usize>,
    /// Whether it is that stretch of the prompt, byte for byte, or only stands for it.
    is_verbatim: bool,
}

impl Hash for Traced {
    /// The places tell few texts apart, and there may be as many as letters.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Traced {
    /// Makes the text of a whole prompt.
    pub fn whole(prompt: &str) -> Self {
        let mut traced = Self::default();
        traced.push(prompt, 0..prompt.len(), true);
        traced
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Appends words that stand for a stretch of the prompt.
    pub fn push_for(&mut self, words: &str, source: Range<usize>) {
        self.push(words, source, false);
    }

    fn push(&mut self, text: &str, source: Range<usize>, is_verbatim: bool) {
        if text.is_empty() {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if is_verbatim && last.is_verbatim && last.source.end == source.start => {
                last.source.end = source.end;
            }
            _ => self.runs.push(Run { at: self.text.len(), source, is_verbatim }),
        }
        self.text.push_str(text);
    }

    /// Appends a stretch of another text, with its places in the prompt.
    pub fn push_slice(&mut self, other: &Self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let first = other.run_at(range.start);
        for (index, run) in other.runs.iter().enumerate().skip(first) {
            if run.at >= range.end {
                break;
            }
            let part = run.at.max(range.start)..other.end(index).min(range.end);
            let source = if run.is_verbatim {
                let first = run.source.start + part.start - run.at;
                first..first + part.len()
            } else {
                run.source.clone()
            };
            self.push(&other.text[part], source, run.is_verbatim);
        }
    }

    /// Returns the smallest stretch of the prompt that a stretch of the text comes from; an empty one at
    /// the end for an empty text.
    pub fn source(&self, range: Range<usize>) -> Range<usize> {
        if self.runs.is_empty() {
            return 0..0;
        }
        let (first, last) = (self.run_at(range.start), self.run_at(range.end.max(1) - 1));
        let place = |index: usize, at: usize| {
            let run = &self.runs[index];
            run.source.start + at.saturating_sub(run.at).min(run.source.len())
        };
        let start = if self.runs[first].is_verbatim {
            place(first, range.start)
        } else {
            self.runs[first].source.start
        };
        let end = if self.runs[last].is_verbatim {
            place(last, range.end)
        } else {
            self.runs[last].source.end
        };
        start..end.max(start)
    }

    fn run_at(&self, at: usize) -> usize {
        self.runs.partition_point(|run| run.at <= at).saturating_sub(1)
    }

    /// Returns where a run ends in the text.
    fn end(&self, index: usize) -> usize {
        self.runs.get(index + 1).map_or(self.text.len(), |next| next.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_survive_cutting_and_joining() {
        let prompt = Traced::whole("abcdefgh");
        let mut cut = Traced::default();
        cut.push_slice(&prompt, 1..3);
        cut.push_for("words", 3..5);
        cut.push_slice(&prompt, 6..8);
        assert_eq!(cut.text(), "bcwordsgh");
        assert_eq!(cut.source(0..2), 1..3);
        assert_eq!(cut.source(1..2), 2..3);
        assert_eq!(cut.source(3..4), 3..5);
        assert_eq!(cut.source(1..8), 2..7);
        let mut again = Traced::default();
        again.push_slice(&cut, 1..8);
        assert_eq!((again.text(), again.source(0..7)), ("cwordsg", 2..7));
        assert_eq!(Traced::default().source(0..0), 0..0);
    }

    #[test]
    fn neighbours_in_the_prompt_are_one_run() {
        let prompt = Traced::whole("abcdef");
        let mut joined = Traced::default();
        joined.push_slice(&prompt, 0..2);
        joined.push_slice(&prompt, 2..5);
        assert_eq!(joined.runs.len(), 1);
        assert_eq!(joined.source(1..4), 1..4);
    }
}
