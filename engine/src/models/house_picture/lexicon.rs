//! The words that the model knows: phrases of two languages → ids of meanings.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use crate::error::EngineError;

/// Turns a prompt into ids of meanings, and finds the words that the model never saw.
///
/// # Source
/// `assets/models/house-picture/recipe/lexicon.py`, which made the lexicon and trained with it.
#[derive(Debug, Clone)]
pub struct Lexicon {
    phrases: HashMap<String, Vec<u32>>,
    names: HashMap<u32, Name>,
    longest: usize,
    max_tokens: usize,
}

#[derive(Deserialize)]
struct File {
    version: u32,
    max_tokens: usize,
    phrases: HashMap<String, Vec<u32>>,
    #[serde(default)]
    names: HashMap<u32, Name>,
}

#[derive(Debug, Clone, Deserialize)]
struct Name {
    category: Kind,
}

/// Says what kind of thing an id means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something that is drawn.
    #[serde(rename = "concept")]
    Thing,
    /// The colour of a thing.
    Colour,
    /// What is behind the things.
    Background,
    /// How two things stand to each other.
    Relation,
    /// How large a thing is.
    Size,
    /// How dark or bright the picture is.
    Light,
    /// How it is drawn.
    Style,
    /// How many there are.
    Count,
    /// Something else.
    #[serde(other)]
    Other,
}

/// Is a part of a prompt as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase<'a> {
    /// Where it stands in the prompt, in bytes.
    pub source: Range<usize>,
    /// What it means, nothing for words that only join others; `None` when the model never saw it.
    pub ids: Option<&'a [u32]>,
}

/// Holds a prompt as the model reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The ids of the meanings, at most as many as the model reads.
    pub ids: Vec<u32>,
    /// How many more there were.
    pub dropped: usize,
    /// Where in the prompt, in bytes, words stand that the model never saw; in order.
    pub unknown: Vec<Range<usize>>,
}

impl Lexicon {
    /// Reads a lexicon; `path` only names the file in errors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is not one of version 1.
    pub fn from_json(json: &str, path: &Path) -> Result<Self, EngineError> {
        let file: File = serde_json::from_str(json)
            .map_err(|error| EngineError::damaged(path, format!("is no lexicon ({error})")))?;
        if file.version != 1 {
            let reason = format!("is a lexicon of version {}, not 1", file.version);
            return Err(EngineError::damaged(path, reason));
        }
        let longest = file.phrases.keys().map(|phrase| phrase.chars().count()).max().unwrap_or(0);
        Ok(Self { phrases: file.phrases, names: file.names, longest, max_tokens: file.max_tokens })
    }

    /// Returns the largest id that a prompt can hold.
    pub fn largest_id(&self) -> u32 {
        self.phrases.values().flatten().copied().max().unwrap_or(0)
    }

    /// Returns how many ids of a prompt are kept.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Lists all phrases, in lower case and with single spaces, and what they mean; in no order.
    pub fn phrases(&self) -> impl Iterator<Item = (&str, &[u32])> {
        self.phrases.iter().map(|(phrase, ids)| (phrase.as_str(), ids.as_slice()))
    }

    /// Returns what kind of thing an id means.
    pub fn kind(&self, id: u32) -> Kind {
        self.names.get(&id).map_or(Kind::Other, |name| name.category)
    }

    /// Reads a prompt part by part: the longest known phrase at each place that cuts no word.
    pub fn read(&self, text: &str) -> Vec<Phrase<'_>> {
        let chars = normalised(text);
        let mut read = Vec::new();
        let mut at = 0;
        while let Some(here) = chars.get(at) {
            if here.is_space() {
                at += 1;
                continue;
            }
            let (ids, length) = match self.longest_phrase(&chars, at) {
                Some((ids, length)) => (Some(ids), length),
                None => (None, chars[at..].iter().take_while(|c| c.is_word()).count().max(1)),
            };
            let source = here.source.start..chars[at + length - 1].source.end;
            read.push(Phrase { source, ids });
            at += length;
        }
        read
    }

    /// Reads a prompt as the model is given it.
    pub fn tokenize(&self, text: &str) -> Tokens {
        let mut tokens = Tokens::default();
        for phrase in self.read(text) {
            match phrase.ids {
                Some(ids) => tokens.ids.extend_from_slice(ids),
                None => tokens.unknown.push(phrase.source),
            }
        }
        tokens.dropped = tokens.ids.len().saturating_sub(self.max_tokens);
        tokens.ids.truncate(self.max_tokens);
        tokens
    }

    /// Finds the words that the model never saw, as byte ranges of the text, in order.
    pub fn unknown_words(&self, text: &str) -> Vec<Range<usize>> {
        self.tokenize(text).unknown
    }

    fn longest_phrase(&self, chars: &[Char], at: usize) -> Option<(&[u32], usize)> {
        let is_word = |index: usize| chars.get(index).is_some_and(Char::is_word);
        if at > 0 && is_word(at) && is_word(at - 1) {
            return None;
        }
        let most = self.longest.min(chars.len() - at);
        let mut phrase: String = chars[at..at + most].iter().map(|c| c.value).collect();
        for len in (1..=most).rev() {
            if !(is_word(at + len - 1) && is_word(at + len))
                && let Some(ids) = self.phrases.get(&phrase)
            {
                return Some((ids, len));
            }
            phrase.pop();
        }
        None
    }
}

/// A character of the normalised prompt with the bytes of the prompt that it comes from.
struct Char {
    value: char,
    source: Range<usize>,
}

impl Char {
    fn is_space(&self) -> bool {
        self.value == ' '
    }

    /// Tells whether it belongs to a word of letters, unlike a Chinese character.
    fn is_word(&self) -> bool {
        self.value != ' ' && (self.value as u32) < 0x2e80
    }
}

/// Lower-cases, makes a space of everything that is not alphanumeric, and of runs of spaces one.
fn normalised(text: &str) -> Vec<Char> {
    let mut out: Vec<Char> = Vec::with_capacity(text.len());
    for (start, original) in text.char_indices() {
        let source = start..start + original.len_utf8();
        for lower in original.to_lowercase() {
            if lower.is_alphanumeric() {
                out.push(Char { value: lower, source: source.clone() });
            } else if out.last().is_some_and(|last| !last.is_space()) {
                out.push(Char { value: ' ', source: source.clone() });
            }
        }
    }
    if out.last().is_some_and(Char::is_space) {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn lexicon() -> Lexicon {
        let json = r#"{"version": 1, "max_tokens": 4, "phrases": {"a": [], "cat": [7],
            "red": [1], "red cat": [8, 9], "猫": [7], "小猫": [5, 7], "3d": [2], "的": []}}"#;
        Lexicon::from_json(json, Path::new("lexicon.json")).unwrap()
    }

    #[test]
    fn the_longest_phrase_that_cuts_no_word_is_taken() {
        let lexicon = lexicon();
        assert_eq!(lexicon.tokenize("A red   CAT").ids, [8, 9]);
        assert_eq!(lexicon.tokenize("red, cat!").ids, [8, 9]);
        assert_eq!(lexicon.tokenize("小猫3D猫").ids, [5, 7, 2, 7]);
        let cut = lexicon.tokenize("redcat cats");
        assert_eq!((cut.ids, cut.unknown), (vec![], vec![0..6, 7..11]));
    }

    #[test]
    fn unknown_words_are_found_where_they_stand_in_the_prompt() {
        let text = "Ein  roter Kater, 红猫 à la İstanbul";
        let words: Vec<&str> =
            lexicon().unknown_words(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(words, ["Ein", "roter", "Kater", "红", "à", "la", "İ", "stanbul"]);
    }

    #[test]
    fn tokens_past_the_most_are_counted() {
        let tokens = lexicon().tokenize("red cat red cat red cat");
        assert_eq!((tokens.ids.len(), tokens.dropped), (4, 2));
    }

    #[test]
    fn a_file_that_is_no_lexicon_is_refused() {
        for json in ["", "{}", "[1]", r#"{"version": 2, "max_tokens": 1, "phrases": {}}"#] {
            let error = Lexicon::from_json(json, Path::new("l.json")).unwrap_err();
            assert!(matches!(error, EngineError::Damaged { .. }), "{json}");
        }
    }
}
