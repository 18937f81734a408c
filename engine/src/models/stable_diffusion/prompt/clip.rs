//! CLIP's vocabulary: words become ids, with their places.

use std::io::Read;
use std::ops::Range;

use flate2::read::GzDecoder;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::replace::{Replace, ReplacePattern};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::normalizers::utils::{Lowercase, Sequence as NormalizerSequence};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{SplitDelimiterBehavior, Tokenizer};

use crate::error::EngineError;

/// The pairs that CLIP joins, in the order of the joins (`assets/vocabularies/make.py`).
const MERGES: &[u8] = include_bytes!("../../../../../assets/vocabularies/clip-merges.txt.gz");
/// What the last letter of a word is marked with.
const WORD_END: &str = "</w>";
/// The words, as CLIP cuts them: its marks, English contractions, letters, single digits, the rest.
///
/// # Source
/// transformers 5.24.0 `CLIPTokenizer`.
const WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// Begins a chunk.
pub const START_ID: u32 = 49406;
/// Ends a chunk; the text encoder's summary of the text stands at the first.
pub const END_ID: u32 = 49407;

/// Holds one token of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClipToken {
    /// The id, 0 to 49405.
    pub id: u32,
    /// Where it stands in the text, in bytes.
    pub range: Range<usize>,
}

/// Turns text into CLIP's ids, without marks of beginning and end. What a person writes is never read
/// as such a mark.
pub struct ClipTokenizer {
    tokenizer: Tokenizer,
}

impl std::fmt::Debug for ClipTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClipTokenizer").finish_non_exhaustive()
    }
}

impl ClipTokenizer {
    /// Makes the tokenizer from the vocabulary inside the program; takes about a tenth of a second.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the vocabulary is damaged, which is a bug.
    ///
    /// # Source
    /// OpenAI's CLIP, `simple_tokenizer.py`; transformers `CLIPTokenizer`, which it agrees with id for id.
    pub fn new() -> Result<Self, EngineError> {
        let wrong = |error: &dyn std::fmt::Display| EngineError::Model {
            reason: format!("the vocabulary of CLIP cannot be read: {error}"),
        };
        let mut text = String::new();
        GzDecoder::new(MERGES).read_to_string(&mut text).map_err(|error| wrong(&error))?;
        let mut merges = Vec::new();
        for line in text.lines() {
            let (first, second) =
                line.split_once(' ').ok_or_else(|| wrong(&"a line has no pair"))?;
            merges.push((first.to_owned(), second.to_owned()));
        }
        let bpe = BPE::builder()
            .vocab_and_merges(vocabulary(&merges), merges)
            .end_of_word_suffix(WORD_END.to_owned())
            .build()
            .map_err(|error| wrong(&error))?;
        let spaces = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ")
            .map_err(|error| wrong(&error))?;
        let normalizer = NormalizerSequence::new(vec![NFC.into(), spaces.into(), Lowercase.into()]);
        let words = Split::new(
            SplitPattern::Regex(WORDS.to_owned()),
            SplitDelimiterBehavior::Removed,
            true,
        )
        .map_err(|error| wrong(&error))?;
        let bytes = ByteLevel::new(false, true, true);
        let mut tokenizer = Tokenizer::new(bpe);
        tokenizer.with_normalizer(Some(normalizer)).map_err(|error| wrong(&error))?;
        tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![words.into(), bytes.into()])));
        Ok(Self { tokenizer })
    }

    /// Returns the tokens of a text.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the tokenizer fails.
    pub fn encode(&self, text: &str) -> Result<Vec<ClipToken>, EngineError> {
        let encoding = self
            .tokenizer
            .encode(text, false)
            .map_err(|error| EngineError::Model { reason: format!("no tokens: {error}") })?;
        let pairs = encoding.get_ids().iter().zip(encoding.get_offsets());
        // Letters of several bytes may be of several tokens, each of which stands for the letter.
        let range = |start: usize, end: usize| {
            text.floor_char_boundary(start)..text.ceil_char_boundary(end)
        };
        Ok(pairs
            .map(|(id, (start, end))| ClipToken { id: *id, range: range(*start, *end) })
            .collect())
    }
}

/// Returns the ids of bytes, of bytes at the end of a word, and of joined pairs, in this order.
fn vocabulary(merges: &[(String, String)]) -> Vocab {
    let letters = byte_letters();
    let plain = letters.iter().map(ToString::to_string);
    let last = letters.iter().map(|letter| format!("{letter}{WORD_END}"));
    let joined = merges.iter().map(|(first, second)| format!("{first}{second}"));
    let marks = ["<|startoftext|>", "<|endoftext|>"].map(str::to_owned);
    plain.chain(last).chain(joined).chain(marks).zip(0..).collect()
}

/// Returns the letters that stand for bytes, in the order of CLIP's ids: those that can be seen stand
/// for themselves and come first.
///
/// # Source
/// OpenAI's CLIP, `simple_tokenizer.py`, `bytes_to_unicode`.
fn byte_letters() -> Vec<char> {
    let seen = (b'!'..=b'~').chain(0xA1..=0xAC).chain(0xAE..=0xFF).map(char::from);
    // 68 bytes are left, which take the letters from U+0100 on.
    seen.chain('\u{100}'..='\u{143}').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_has_the_ids_that_clip_is_known_by() {
        let clip = ClipTokenizer::new().expect("a tokenizer");
        let ids = |text: &str| -> Vec<u32> {
            clip.encode(text).expect("tokens").into_iter().map(|token| token.id).collect()
        };
        // From the documentation and tests of instant-clip-tokenizer 0.1.0.
        assert_eq!(ids("Hi there"), [1883, 997]);
        assert_eq!(ids("I've seen it"), [328, 1200, 2041, 585]);
        assert_eq!(ids("A person riding a motorcycle"), [320, 2533, 6765, 320, 10297]);
        assert_eq!(ids(","), [267]);
        assert_eq!(byte_letters().len(), 256);
        assert!(ids("<|endoftext|><|startoftext|>").iter().all(|id| *id < START_ID));
    }

    #[test]
    fn tokens_know_where_they_stand() {
        let clip = ClipTokenizer::new().expect("a tokenizer");
        let text = "Ünïcode\u{301}  MOTORCYCLE, 猫🦊!";
        let mut end = 0;
        for token in clip.encode(text).expect("tokens") {
            assert!(text.get(token.range.clone()).is_some(), "{token:?}");
            assert!(token.range.start >= end || token.range.end >= end, "{token:?}");
            end = token.range.end;
        }
        assert_eq!(end, text.len());
        let tokens = clip.encode("a red fox").expect("tokens");
        let words: Vec<_> = tokens.iter().map(|token| token.range.clone()).collect();
        assert_eq!(words, [0..1, 2..5, 6..9]);
    }
}
