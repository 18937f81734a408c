//! Which tokens keep a prompt within the words that a picture model knows.
//!
//! A text is open where it is a row of known phrases, the last of which may be unfinished. A token
//! may come next when the text stays open with it. What counts in the end is the lexicon's own
//! reading of the finished text, so a text may end only where that knows every word.

use crate::models::house_picture::{Kind, Lexicon};
use crate::models::language::Tokenizer;

/// Words after which something has to follow.
const DANGLING: [&str; 14] =
    ["a", "an", "the", "of", "in", "on", "at", "with", "to", "for", "by", "as", "is", "and"];

/// Knows what may be added to a prompt.
pub(super) struct Known<'a> {
    lexicon: &'a Lexicon,
    /// Sorted by their bytes.
    phrases: Vec<(&'a str, &'a [u32])>,
    /// What the prompt holds before anything is added.
    kept: Vec<u32>,
}

impl<'a> Known<'a> {
    /// Begins with a prompt of which every word is known.
    pub(super) fn new(lexicon: &'a Lexicon, kept: &str) -> Self {
        // “a drawing of in the sea” would be read, but is no English.
        let mut phrases: Vec<_> = lexicon.phrases().filter(|(phrase, _)| *phrase != "of").collect();
        phrases.sort_unstable();
        Self { lexicon, phrases, kept: lexicon.tokenize(kept).ids }
    }

    /// Tells whether a text may end here: every word is known, something is drawn and nothing
    /// stands twice that should not.
    pub(super) fn is_whole(&self, text: &str) -> bool {
        let tokens = self.lexicon.tokenize(text);
        let ids = &tokens.ids;
        let last = text.rsplit(' ').next().unwrap_or(text);
        tokens.unknown.is_empty()
            && tokens.dropped == 0
            && ids.len() > self.kept.len()
            // 火 (fire) and 山 (mountain) would be read as 火山 (volcano).
            && ids.starts_with(&self.kept)
            && self.shows_something(text)
            && ids.iter().all(|id| {
                let kind = self.lexicon.kind(*id);
                self.count(ids, kind) <= self.most(kind)
            })
            && !DANGLING.contains(&last)
    }

    /// Tells whether a text names something to draw.
    pub(super) fn shows_something(&self, text: &str) -> bool {
        self.count(&self.lexicon.tokenize(text).ids, Kind::Thing) > 0
    }

    /// Lists for every token of a vocabulary whether it may follow the text; none where the text
    /// has to end.
    pub(super) fn next(&self, text: &[u8], tokenizer: &Tokenizer) -> Vec<bool> {
        let whole = String::from_utf8_lossy(text);
        let ids = self.lexicon.tokenize(&whole).ids;
        let room = self.lexicon.max_tokens().saturating_sub(ids.len());
        let may = |id: u32| {
            let kind = self.lexicon.kind(id);
            self.count(&ids, kind) < self.most(kind)
        };
        let phrases: Vec<&[u8]> = self
            .phrases
            .iter()
            .filter(|(_, ids)| ids.len() <= room && ids.iter().all(|id| may(*id)))
            .map(|(phrase, _)| phrase.as_bytes())
            .collect();
        let mut shape = normalised(text);
        let base = shape.len();
        // Where the text itself cannot go on from, it cannot with more either.
        let starts: Vec<usize> = self
            .starts(&shape)
            .into_iter()
            .filter(|start| is_open(&shape[*start..], &phrases))
            .collect();
        let is_cut = std::str::from_utf8(text).is_err();
        let last = whole.chars().next_back();
        let count = u32::try_from(tokenizer.len()).unwrap_or(u32::MAX);
        let mut with = text.to_vec();
        (0..count)
            .map(|token| {
                let piece = tokenizer.bytes(token);
                if tokenizer.is_control(token) || !is_plain(piece, last) {
                    return false;
                }
                shape.truncate(base);
                if is_cut || !piece.is_ascii() {
                    with.truncate(text.len());
                    with.extend_from_slice(piece);
                    shape = normalised(&with);
                } else {
                    // The same, without going through the whole text for each token.
                    for byte in piece {
                        if byte.is_ascii_alphanumeric() {
                            shape.push(byte.to_ascii_lowercase());
                        } else if shape.last().is_some_and(|last| *last != b' ') {
                            shape.push(b' ');
                        }
                    }
                }
                starts.iter().any(|start| {
                    let inside = start.checked_sub(1).and_then(|before| shape.get(before));
                    let cuts = inside.is_some_and(|before| is_word(*before))
                        && shape.get(*start).is_some_and(|here| is_word(*here));
                    !cuts && shape.get(*start..).is_some_and(|rest| is_open(rest, &phrases))
                })
            })
            .collect()
    }

    /// Returns the places of a text before which all is known, as far as a phrase can reach back.
    fn starts(&self, text: &[u8]) -> Vec<usize> {
        let all: Vec<&[u8]> = self.phrases.iter().map(|(phrase, _)| phrase.as_bytes()).collect();
        let longest = all.iter().map(|phrase| phrase.len()).max().unwrap_or(0);
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        for at in 0..text.len() {
            if !reached[at] {
                continue;
            }
            if text[at] == b' ' {
                reached[at + 1] = true;
            } else {
                for length in whole_phrases(&text[at..], &all) {
                    reached[at + length] = true;
                }
            }
        }
        let first = text.len().saturating_sub(longest);
        (first..=text.len()).filter(|at| reached[*at]).collect()
    }

    fn count(&self, ids: &[u32], kind: Kind) -> usize {
        ids.iter().filter(|id| self.lexicon.kind(**id) == kind).count()
    }

    /// Returns how often a kind may stand in the whole prompt.
    ///
    /// A thing that was asked for stays the only one, in the colour that was asked for: one thing
    /// in its own colour is what the picture model draws best.
    fn most(&self, kind: Kind) -> usize {
        let kept = self.count(&self.kept, kind);
        let one = kept.max(1);
        match kind {
            Kind::Background | Kind::Light | Kind::Style => one,
            Kind::Thing | Kind::Colour | Kind::Size | Kind::Count
                if self.count(&self.kept, Kind::Thing) == 0 =>
            {
                one
            }
            _ => kept,
        }
    }

    /// Cuts words and marks from the end of a text that promise more than comes.
    pub(super) fn tidy<'t>(&self, text: &'t str) -> &'t str {
        let mut text = text;
        loop {
            text = text.trim_end_matches([' ', ',', '-', '，', '。', '.']);
            match text.rsplit_once(' ') {
                Some((rest, last)) if DANGLING.contains(&last) => text = rest,
                _ => return text.trim_start(),
            }
        }
    }
}

/// Tells whether a piece of text is made of letters, spaces and commas and none of these stands
/// where it makes no sense. A piece may end within a character.
fn is_plain(piece: &[u8], last: Option<char>) -> bool {
    let text = match std::str::from_utf8(piece) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&piece[..error.valid_up_to()]).unwrap_or_default(),
    };
    let mut before = last;
    !piece.is_empty()
        && text.chars().all(|c| {
            let fits = match c {
                ' ' => before.is_some_and(|before| before != ' '),
                ',' | '-' | '，' => before.is_some_and(char::is_alphanumeric),
                c => c.is_alphanumeric(),
            };
            before = Some(c);
            fits
        })
}

/// Writes a text as the lexicon compares it; what is cut within a character stays at the end.
fn normalised(text: &[u8]) -> Vec<u8> {
    let (whole, rest) = match std::str::from_utf8(text) {
        Ok(whole) => (whole, &[][..]),
        Err(error) => {
            let (whole, rest) = text.split_at(error.valid_up_to());
            (std::str::from_utf8(whole).unwrap_or_default(), rest)
        }
    };
    let mut out = String::with_capacity(text.len() + 1);
    for c in whole.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    let mut out = out.into_bytes();
    out.extend_from_slice(rest);
    out
}

/// Tells whether a byte belongs to a word of letters, unlike those of Chinese characters.
fn is_word(byte: u8) -> bool {
    byte.is_ascii() && byte != b' '
}

/// Returns the first of the phrases that is not smaller than `text`.
fn first_at(text: &[u8], phrases: &[&[u8]]) -> usize {
    phrases.partition_point(|phrase| *phrase < text)
}

fn begins(text: &[u8], phrases: &[&[u8]]) -> bool {
    phrases.get(first_at(text, phrases)).is_some_and(|phrase| phrase.starts_with(text))
}

/// Returns the lengths of the phrases that a text begins with and that cut no word.
fn whole_phrases(text: &[u8], phrases: &[&[u8]]) -> Vec<usize> {
    let mut lengths = Vec::new();
    for length in 1..=text.len() {
        let part = &text[..length];
        let Some(found) = phrases.get(first_at(part, phrases)) else { break };
        if !found.starts_with(part) {
            break;
        }
        let cuts = is_word(part[length - 1]) && text.get(length).is_some_and(|next| is_word(*next));
        if *found == part && !cuts {
            lengths.push(length);
        }
    }
    lengths
}

/// Tells whether a text is a row of phrases, the last of them perhaps unfinished.
fn is_open(text: &[u8], phrases: &[&[u8]]) -> bool {
    const COMMA: &[u8] = "，".as_bytes();
    match text {
        [] => true,
        [b' ', rest @ ..] => is_open(rest, phrases),
        _ if COMMA.starts_with(text) || begins(text, phrases) => true,
        _ => {
            whole_phrases(text, phrases).into_iter().any(|length| is_open(&text[length..], phrases))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_phrases_is_open_and_anything_else_is_not() {
        let phrases: Vec<&[u8]> =
            ["cat", "in", "in the sea", "ice cream", "猫", "雪中"].map(str::as_bytes).to_vec();
        let mut sorted = phrases;
        sorted.sort_unstable();
        let open = |text: &str| is_open(&normalised(text.as_bytes()), &sorted);
        for text in
            ["", "c", "cat", "cat in", "cat, in the s", "ice", "猫在".trim_end_matches('在')]
        {
            assert!(open(text), "{text}");
        }
        for text in ["dog", "catin", "ice cat", "cat in the moon", "猫狗"] {
            assert!(!open(text), "{text}");
        }
        assert!(is_open(&normalised(&"猫雪".as_bytes()[..4]), &sorted), "within a character");
    }

    #[test]
    fn marks_stand_only_behind_words() {
        assert!(is_plain(b", in", Some('x')));
        assert!(!is_plain(b",", Some(' ')) && !is_plain(b" ", None) && !is_plain(b"\n", Some('x')));
        assert!(!is_plain(b"", Some('x')) && !is_plain(b"!", Some('x')));
    }
}
