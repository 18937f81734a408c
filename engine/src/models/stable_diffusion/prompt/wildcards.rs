//! Words that are chosen by the seed: `{red|blue}` and `__colour__`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::traced::Traced;
use super::{NoticeKind, PromptNotice};
use crate::error::EngineError;
use crate::math::rng::philox4x32;

/// How often what was chosen may itself hold choices.
const MAX_DEPTH: usize = 16;
/// How many bytes choices may add to a prompt.
const MAX_ADDED_BYTES: usize = 100_000;
/// How many choices a prompt may hold.
const MAX_CHOICES: u32 = 10_000;
/// The largest list that is read, and the most lists.
const MAX_LIST_BYTES: u64 = 4_000_000;
const MAX_LISTS: usize = 10_000;
/// The third word of the generator's counter: choices share no numbers with noise, whose fourth is 0.
const STREAM: [u32; 2] = [0, 1];

/// Holds lists of words by name, for `__name__`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wildcards {
    lists: BTreeMap<String, Vec<String>>,
}

impl FromIterator<(String, Vec<String>)> for Wildcards {
    fn from_iter<T: IntoIterator<Item = (String, Vec<String>)>>(lists: T) -> Self {
        Self { lists: lists.into_iter().collect() }
    }
}

impl Wildcards {
    /// Reads a folder: each file `name.txt` is a list, one entry per line; empty lines and those that
    /// begin with `#` are passed over. Folders within are not read.
    ///
    /// # Errors
    /// [`EngineError::Io`] when the folder or a file cannot be read; [`EngineError::Damaged`] for a
    /// file that is too large or not UTF-8.
    pub fn read(folder: &Path) -> Result<Self, EngineError> {
        let failed = |error: std::io::Error| EngineError::io("read the lists", folder, &error);
        let mut lists = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(failed)?.take(MAX_LISTS) {
            let path = entry.map_err(failed)?.path();
            let is_list = path.extension().is_some_and(|extension| extension == "txt");
            let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
                continue;
            };
            let size = std::fs::metadata(&path).map_err(failed)?;
            if !is_list || !size.is_file() {
                continue;
            }
            if size.len() > MAX_LIST_BYTES {
                return Err(EngineError::damaged(path, "is too long for a list of words"));
            }
            let bytes = std::fs::read(&path).map_err(failed)?;
            let Ok(text) = String::from_utf8(bytes) else {
                return Err(EngineError::damaged(path, "is not text in UTF-8"));
            };
            let text = text.trim_start_matches('\u{feff}');
            let entries = text.lines().map(str::trim);
            let entries = entries.filter(|line| !line.is_empty() && !line.starts_with('#'));
            lists.insert(name.to_owned(), entries.map(str::to_owned).collect());
        }
        Ok(Self { lists })
    }

    fn list(&self, name: &str) -> Option<&[String]> {
        self.lists.get(name).map(Vec::as_slice).filter(|list| !list.is_empty())
    }
}

/// Chooses every word that a prompt leaves to the seed. What is chosen stands for the whole choice in
/// the prompt, except words of the prompt itself, which keep their own places.
pub(super) fn choose(
    prompt: &str,
    seed: u64,
    wildcards: &Wildcards,
    notices: &mut Vec<PromptNotice>,
) -> Traced {
    let text = Traced::whole(prompt);
    let mut chooser = Chooser { wildcards, seed, choices: 0, added_bytes: 0, notices };
    let mut result = Traced::default();
    chooser.expand(&text, 0..prompt.len(), 0, &mut result);
    result
}

struct Chooser<'a> {
    wildcards: &'a Wildcards,
    seed: u64,
    choices: u32,
    added_bytes: usize,
    notices: &'a mut Vec<PromptNotice>,
}

impl Chooser<'_> {
    fn notice(&mut self, kind: NoticeKind, source: Range<usize>) {
        self.notices.push(PromptNotice { kind, source });
    }

    /// Returns a number below `count`, the same for the same seed and place in the order of choices.
    fn pick(&mut self, count: usize) -> usize {
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        let [word, ..] = philox4x32([self.choices, 0, STREAM[0], STREAM[1]], key);
        self.choices += 1;
        ((u64::from(word) * count as u64) >> 32) as usize
    }

    /// Returns which of some options is chosen by their weights; they are above 0.
    fn pick_weighted(&mut self, weights: &[f64]) -> usize {
        const FINE: usize = 1 << 24;
        let place = self.pick(FINE) as f64 / FINE as f64 * weights.iter().sum::<f64>();
        let mut sum = 0.0;
        let passed = weights.iter().take_while(|weight| {
            sum += **weight;
            sum <= place
        });
        passed.count().min(weights.len() - 1)
    }

    fn expand(&mut self, text: &Traced, range: Range<usize>, depth: usize, result: &mut Traced) {
        let mut begun = range.start;
        for Choice { at, options } in find(text.text(), range.clone()) {
            result.push_slice(text, begun..at.start);
            begun = at.end;
            let source = text.source(at.clone());
            if depth == MAX_DEPTH || self.choices >= MAX_CHOICES {
                self.notice(NoticeKind::TooDeep, source);
                result.push_slice(text, at);
                continue;
            }
            match options {
                Some(options) => {
                    let option = self.option(text, &options);
                    self.expand(text, option, depth + 1, result);
                }
                None => self.list(text, at, source, depth, result),
            }
        }
        result.push_slice(text, begun..range.end);
    }

    /// Chooses one of the options between braces, each of which may begin with its weight, `2::`.
    fn option(&mut self, text: &Traced, options: &[Range<usize>]) -> Range<usize> {
        let words = text.text();
        let mut options = options.to_vec();
        // `{2$$a|b}` asks for several at once.
        if let Some(length) = words[options[0].clone()].find("$$") {
            let asked = options[0].start..options[0].start + length + 2;
            self.notice(NoticeKind::UnsupportedChoice, text.source(asked.clone()));
            options[0].start = asked.end;
        }
        let mut weights = Vec::with_capacity(options.len());
        for option in &mut options {
            let weighed = words[option.clone()].split_once("::").and_then(|(weight, _)| {
                let value: f64 = weight.trim().parse().ok()?;
                (value > 0.0 && value < 1e9).then_some((value, weight.len() + 2))
            });
            let (weight, length) = weighed.unwrap_or((1.0, 0));
            option.start += length;
            weights.push(weight);
        }
        options.swap_remove(self.pick_weighted(&weights))
    }

    /// Puts an entry of a list in the place of `__name__`.
    fn list(
        &mut self,
        text: &Traced,
        at: Range<usize>,
        source: Range<usize>,
        depth: usize,
        result: &mut Traced,
    ) {
        let name = &text.text()[at.start + 2..at.end - 2];
        let wildcards = self.wildcards;
        let Some(list) = wildcards.list(name) else {
            self.notice(NoticeKind::UnknownWildcard(name.to_owned()), source);
            result.push_slice(text, at);
            return;
        };
        let entry = &list[self.pick(list.len())];
        self.added_bytes = self.added_bytes.saturating_add(entry.len());
        if self.added_bytes > MAX_ADDED_BYTES {
            self.notice(NoticeKind::TooDeep, source);
            return;
        }
        let mut words = Traced::default();
        words.push_for(entry, source);
        self.expand(&words, 0..entry.len(), depth + 1, result);
    }
}

/// Holds where a choice stands, and its options; `None` for the name of a list.
struct Choice {
    at: Range<usize>,
    options: Option<Vec<Range<usize>>>,
}

/// Finds the choices that are not within others, in order.
fn find(words: &str, range: Range<usize>) -> Vec<Choice> {
    let bytes = words.as_bytes();
    let mut found: Vec<Choice> = Vec::new();
    let mut open: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut at = range.start;
    while at < range.end {
        match bytes[at] {
            b'\\' => at += 1,
            b'{' => open.push((at, Vec::new())),
            b'|' => open.last_mut().into_iter().for_each(|(_, bars)| bars.push(at)),
            b'}' => match open.pop() {
                // Braces without a choice are text, but those inside them may hold one.
                Some((start, bars)) if !bars.is_empty() => {
                    while found.last().is_some_and(|inner| inner.at.start > start) {
                        found.pop();
                    }
                    let starts = std::iter::once(start).chain(bars.iter().copied());
                    let ends = bars.iter().copied().chain([at]);
                    let options = starts.zip(ends).map(|(start, end)| start + 1..end).collect();
                    found.push(Choice { at: start..at + 1, options: Some(options) });
                }
                _ => (),
            },
            b'_' => {
                if let Some(length) = list_length(&words[at..range.end]) {
                    found.push(Choice { at: at..at + length, options: None });
                    at += length - 1;
                }
            }
            _ => (),
        }
        at += 1;
    }
    found
}

/// Returns the length of `__name__` at the start of a text.
fn list_length(text: &str) -> Option<usize> {
    const MAX_NAME: usize = 100;
    // A line of underscores holds no name; this spares looking ahead from each of them.
    let name = text.strip_prefix("__").filter(|name| !name.starts_with("__"))?;
    let end = name.bytes().take(MAX_NAME + 2).position(|byte| {
        !(byte.is_ascii_alphanumeric() || b"-./_".contains(&byte) || !byte.is_ascii())
    });
    let end = end.unwrap_or(name.len().min(MAX_NAME));
    let name = name.get(..end)?;
    let length = name.find("__").filter(|length| *length > 0)?;
    Some(length + 4)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn chosen(prompt: &str, seed: u64) -> (String, Vec<NoticeKind>) {
        let lists = [
            ("colour".to_owned(), vec!["red".to_owned(), "blue".to_owned()]),
            ("thing".to_owned(), vec!["__colour__ {hat|coat}".to_owned()]),
            ("loop".to_owned(), vec!["a __loop__".to_owned()]),
        ];
        let mut notices = Vec::new();
        let text = choose(prompt, seed, &lists.into_iter().collect(), &mut notices);
        (text.text().to_owned(), notices.into_iter().map(|notice| notice.kind).collect())
    }

    #[test]
    fn every_option_is_chosen_by_some_seed_and_always_by_the_same() {
        let wanted = |options: &[&str]| options.iter().map(|o| (*o).to_owned()).collect();
        let all = |prompt: &str| -> BTreeSet<String> {
            (0..200)
                .map(|seed| {
                    let text = chosen(prompt, seed);
                    assert_eq!(text, chosen(prompt, seed));
                    text.0
                })
                .collect()
        };
        assert_eq!(all("a {b|c} d"), wanted(&["a b d", "a c d"]));
        assert_eq!(all("{a|{b|c}}"), wanted(&["a", "b", "c"]));
        assert_eq!(all("{a {b|c}}"), wanted(&["{a b}", "{a c}"]));
        assert_eq!(all("__colour__"), wanted(&["red", "blue"]));
        assert_eq!(all("__thing__"), wanted(&["red hat", "red coat", "blue hat", "blue coat"]));
        assert_eq!(all("{0.5::|x}"), wanted(&["", "x"]));
        assert_eq!(all("\\{a|b\\} {c} __ ____ a__b"), wanted(&["\\{a|b\\} {c} __ ____ a__b"]));
    }

    #[test]
    fn weights_of_options_are_their_shares() {
        let count = (0..4000).filter(|seed| chosen("{3::a|1::b}", *seed).0 == "a").count();
        // Five standard deviations of 3,000 out of 4,000.
        assert!(count.abs_diff(3000) < 137, "{count}");
        let two: BTreeSet<_> = (0..100).map(|seed| chosen("{a|b}{a|b}", seed).0).collect();
        assert_eq!(two.len(), 4, "choices of one prompt do not hang together: {two:?}");
    }

    #[test]
    fn what_cannot_be_chosen_is_told_and_left() {
        let (text, notices) = chosen("a __nothing__ b", 1);
        assert_eq!(text, "a __nothing__ b");
        assert_eq!(notices, [NoticeKind::UnknownWildcard("nothing".to_owned())]);
        let (text, notices) = chosen("{2$$a|a}", 1);
        assert_eq!((text.as_str(), notices), ("a", vec![NoticeKind::UnsupportedChoice]));
        let (text, notices) = chosen("__loop__", 1);
        assert!(text.starts_with("a a a a") && text.len() < 100, "{text}");
        assert_eq!(notices, [NoticeKind::TooDeep]);
    }

    #[test]
    fn a_choice_stands_where_it_was_written() {
        let prompt = "a {big|big} __colour__!";
        let lists = [("colour".to_owned(), vec!["red".to_owned()])].into_iter().collect();
        let text = choose(prompt, 1, &lists, &mut Vec::new());
        assert_eq!(text.text(), "a big red!");
        assert_eq!(&prompt[text.source(2..5)], "big");
        assert_eq!(&prompt[text.source(6..9)], "__colour__");
        assert_eq!(&prompt[text.source(9..10)], "!");
    }

    #[test]
    fn a_folder_of_lists_is_read_line_by_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &[u8]| {
            std::fs::write(folder.path().join(name), text).expect("a file");
        };
        write("colour.txt", "\u{feff}red\n\n# not this\n  blue \r\n".as_bytes());
        write("other.md", b"no list");
        let lists = Wildcards::read(folder.path()).expect("lists");
        assert_eq!(lists.list("colour"), Some(&["red".to_owned(), "blue".to_owned()][..]));
        assert_eq!(lists.list("other"), None);
        write("bad.txt", b"\xff\xfe");
        assert!(matches!(Wildcards::read(folder.path()), Err(EngineError::Damaged { .. })));
        let missing = Wildcards::read(&folder.path().join("missing"));
        assert!(missing.is_err());
    }
}
