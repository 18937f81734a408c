//! Prompts that change while a picture is sampled: `[from:to:when]` and `[one|other]`.

use std::collections::BTreeSet;
use std::ops::Range;

use super::traced::Traced;

/// How deep such brackets may stand within each other; deeper ones are read as text.
const MAX_DEPTH: usize = 64;

/// Holds a prompt that may change from step to step. Ranges are bytes of its text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edited {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(Range<usize>),
    /// `[before:after:when]`; `when` is the last step, from 1, that has `before`.
    Switch {
        before: Vec<Part>,
        after: Vec<Part>,
        when: usize,
    },
    /// `[a|b|…]`: one after the other, step by step.
    Turns(Vec<Vec<Part>>),
}

impl Edited {
    /// Reads the text of a prompt for a run of `steps` steps. Whatever the text, something comes out:
    /// brackets that make no sense are text.
    ///
    /// # Source
    /// AUTOMATIC1111's wiki, “Prompt editing” and “Alternating words”: a time with a point is a share
    /// of the steps, one without is a step.
    pub fn read(text: &str, steps: usize) -> Self {
        let reader = Reader { text, partners: partners(text), steps };
        Self { parts: reader.parts(0..text.len(), 0) }
    }

    /// Returns the steps, counted from 1 and ascending, after which the text may change; the last is
    /// that of the run.
    pub fn ends(&self, steps: usize) -> Vec<usize> {
        let mut ends = BTreeSet::from([steps]);
        collect_ends(&self.parts, steps, &mut ends);
        ends.into_iter().collect()
    }

    /// Returns the text at a step, counted from 1. Once it has more than `most` bytes, what follows may
    /// be missing.
    pub fn at(&self, step: usize, text: &Traced, most: usize) -> Traced {
        let mut result = Traced::default();
        render(&self.parts, step, text, most, &mut result);
        result
    }
}

fn collect_ends(parts: &[Part], steps: usize, ends: &mut BTreeSet<usize>) {
    for part in parts {
        if ends.len() == steps {
            return;
        }
        match part {
            Part::Text(_) => (),
            Part::Switch { before, after, when } => {
                if (1..=steps).contains(when) {
                    ends.insert(*when);
                }
                collect_ends(before, steps, ends);
                collect_ends(after, steps, ends);
            }
            Part::Turns(turns) => {
                ends.extend(1..=steps);
                turns.iter().for_each(|turn| collect_ends(turn, steps, ends));
            }
        }
    }
}

fn render(parts: &[Part], step: usize, text: &Traced, most: usize, result: &mut Traced) {
    for part in parts {
        if result.text().len() > most {
            return;
        }
        match part {
            Part::Text(range) => result.push_slice(text, range.clone()),
            Part::Switch { before, after, when } => {
                render(if step <= *when { before } else { after }, step, text, most, result);
            }
            Part::Turns(turns) => {
                render(&turns[step.saturating_sub(1) % turns.len()], step, text, most, result);
            }
        }
    }
}

/// Returns for each byte that opens a bracket where its partner is, and 0 for all others. Both enclose
/// only whole pairs: a bracket across another's border has no partner, and no more has one around it.
fn partners(text: &str) -> Vec<u32> {
    let mut partners = vec![0; text.len()];
    let mut open: Vec<(usize, u8)> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'[' => open.push((at, b']')),
            b'(' => open.push((at, b')')),
            closing @ (b']' | b')') => match open.pop() {
                Some((start, wanted)) if wanted == closing => {
                    partners[start] = u32::try_from(at).unwrap_or(0);
                }
                _ => open.clear(),
            },
            _ => (),
        }
        at += 1;
    }
    partners
}

struct Reader<'a> {
    text: &'a str,
    partners: Vec<u32>,
    steps: usize,
}

impl Reader<'_> {
    fn parts(&self, range: Range<usize>, depth: usize) -> Vec<Part> {
        let bytes = self.text.as_bytes();
        let (mut parts, mut begun, mut at) = (Vec::new(), range.start, range.start);
        while at < range.end {
            match bytes[at] {
                b'\\' => at += 2,
                b'[' => match self.bracket(at, depth) {
                    Some((part, after)) => {
                        if begun < at {
                            parts.push(Part::Text(begun..at));
                        }
                        parts.push(part);
                        (begun, at) = (after, after);
                    }
                    None => at += 1,
                },
                _ => at += 1,
            }
        }
        if begun < range.end {
            parts.push(Part::Text(begun..range.end));
        }
        parts
    }

    /// Reads the bracket that opens at a place, and returns it with the place after its end; `None` when
    /// it is text (which emphasis may yet read).
    fn bracket(&self, open: usize, depth: usize) -> Option<(Part, usize)> {
        let close = self.partners[open] as usize;
        if close == 0 || depth == MAX_DEPTH {
            return None;
        }
        let inside = open + 1..close;
        let (colons, bars) = self.separators(inside.clone());
        let read = |range: Range<usize>| self.parts(range, depth + 1);
        if let Some(last) = colons.last().filter(|_| colons.len() <= 2)
            && let Some(when) = self.when(&self.text[last + 1..close])
        {
            let (before, after) = match colons[..] {
                [first, last] => (read(inside.start..first), read(first + 1..last)),
                _ => (Vec::new(), read(inside.start..*last)),
            };
            return Some((Part::Switch { before, after, when }, close + 1));
        }
        if bars.is_empty() || !colons.is_empty() {
            return None;
        }
        let mut turns = Vec::with_capacity(bars.len() + 1);
        let mut start = inside.start;
        for end in bars.into_iter().chain([close]) {
            turns.push(read(start..end));
            start = end + 1;
        }
        Some((Part::Turns(turns), close + 1))
    }

    /// Returns where `:` and `|` stand in a bracket, but for those within brackets inside it.
    fn separators(&self, inside: Range<usize>) -> (Vec<usize>, Vec<usize>) {
        let bytes = self.text.as_bytes();
        let (mut colons, mut bars, mut at) = (Vec::new(), Vec::new(), inside.start);
        while at < inside.end {
            match bytes[at] {
                b'\\' => at += 1,
                b'[' | b'(' => at = at.max(self.partners[at] as usize),
                b':' => colons.push(at),
                b'|' => bars.push(at),
                _ => (),
            }
            at += 1;
        }
        (colons, bars)
    }

    /// Reads a time: the last step that has what was before.
    fn when(&self, text: &str) -> Option<usize> {
        let text = text.trim();
        let is_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && text.ends_with(|c: char| c.is_ascii_digit() || c == '.');
        let value: f64 = text.parse().ok().filter(|value: &f64| is_number && value.is_finite())?;
        let step = if text.contains('.') { value * self.steps as f64 } else { value };
        // Before the first step is never, and after the last is always.
        Some((step.max(0.0) as usize).min(self.steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str, steps: usize) -> Vec<(usize, String)> {
        let edited = Edited::read(text, steps);
        let traced = Traced::whole(text);
        let at = |end: usize| (end, edited.at(end, &traced, 1000).text().to_owned());
        edited.ends(steps).into_iter().map(at).collect()
    }

    #[test]
    fn prompts_change_when_the_wiki_says() {
        let check = |text: &str, wanted: &[(usize, &str)]| {
            let wanted: Vec<_> = wanted.iter().map(|(end, at)| (*end, (*at).to_owned())).collect();
            assert_eq!(schedule(text, 10), wanted, "{text}");
        };
        check("test", &[(10, "test")]);
        check("a [b:3]", &[(3, "a "), (10, "a b")]);
        check("a [b: 3]", &[(3, "a "), (10, "a b")]);
        check("a [[[b]]:2]", &[(2, "a "), (10, "a [[b]]")]);
        check("[(a:2):3]", &[(3, ""), (10, "(a:2)")]);
        check("a [b : c : 1] d", &[(1, "a b  d"), (10, "a  c  d")]);
        check("a[b:[c:d:2]:1]e", &[(1, "abe"), (2, "ace"), (10, "ade")]);
        check("a [unbalanced", &[(10, "a [unbalanced")]);
        check("a [b:.5] c", &[(5, "a  c"), (10, "a b c")]);
        check("((a][:b:c [d:3]", &[(3, "((a][:b:c "), (10, "((a][:b:c d")]);
        check("[cat::0.3] dog", &[(3, "cat dog"), (10, " dog")]);
        check("[a:b:0.999]", &[(9, "a"), (10, "b")]);
        check("[a:b:1.0] [c:d:20]", &[(10, "a c")]);
        check("[a:b:-1]", &[(10, "b")]);
        check("[a:b:0]", &[(10, "b")]);
        check("a \\[b:3\\] [c:d]", &[(10, "a \\[b:3\\] [c:d]")]);
    }

    #[test]
    fn words_take_turns_from_step_to_step() {
        let ends = |text: &str| -> Vec<String> {
            schedule(text, 5).into_iter().map(|(_, text)| text).collect()
        };
        assert_eq!(ends("[fe|]male"), ["female", "male", "female", "male", "female"]);
        assert_eq!(ends("[a|(b:1.1)]"), ["a", "(b:1.1)", "a", "(b:1.1)", "a"]);
        assert_eq!(ends("[fe|||]male"), ["female", "male", "male", "male", "female"]);
        assert_eq!(ends("[a|[b|c]]"), ["a", "c", "a", "c", "a"]);
        assert_eq!(ends("[[a|b]:c:2]"), ["a", "b", "c", "c", "c"]);
        assert_eq!(ends("a|b"), ["a|b"]);
    }
}
