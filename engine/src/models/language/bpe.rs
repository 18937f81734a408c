//! Byte-pair vocabularies as GPT-2 has them: a text is cut by regular expressions, its bytes are
//! written as letters, and pairs of letters are joined in the order of a list.

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer};

use super::tokenizer::{Kind, Piece};

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DIGIT: &str = r"\p{N}";
const CJK: &str = r"[一-龥ࠀ-一가-퟿]+";
const LATER_LETTERS: &str = r"\s?\p{L}+";
/// Letters with case; the family lists them one by one, without Georgian and mathematical ones.
const CASED_LETTERS: &str = r"\s?(?:(?![ა-ჿ𝐀-𝟿])[\p{Lu}\p{Ll}\p{Lt}])+";
const FALCON_MARKS: &str = r"[\p{P}\$\+<=>\^~\|`]+";
const THREE_DIGITS: &str = r"[0-9][0-9][0-9]";

/// Returns the expressions that cut a text one after the other, by the name that the file gives
/// to its way of cutting; none for a way that is not known.
///
/// # Source
/// The table of pre-tokenizers in llama.cpp (src/llama-vocab.cpp), which takes them from the
/// `tokenizer.json` of each family.
fn cuts(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "gpt-2" | "gpt2" | "mpt" | "olmo" | "jais" | "phi-2" | "trillion" | "gigachat"
        | "roberta-bpe" | "exaone4" => &[GPT2],
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "lfm2"
        | "smaug-bpe" | "dbrx" | "smollm3" => &[LLAMA3],
        "qwen2" | "deepseek-r1-qwen" | "stablelm2" | "megrez" | "hunyuan" => &[QWEN2],
        "tekken" => &[TEKKEN],
        "gpt-4o" | "llama4" => &[GPT4O],
        "starcoder" | "refact" | "command-r" | "smollm" | "codeshell" | "exaone" | "minerva-7b" => {
            &[DIGIT, GPT2]
        }
        "deepseek-llm" => {
            &["[\r\n]", CASED_LETTERS, r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", CJK, r"\p{N}+"]
        }
        "deepseek-coder" => &["[\r\n]", LATER_LETTERS, r"\s?\p{P}+", CJK, DIGIT],
        "falcon" => &[FALCON_MARKS, GPT2, THREE_DIGITS],
        "default" => &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", THREE_DIGITS],
        _ => return None,
    })
}

/// Is a byte-pair vocabulary.
#[derive(Debug)]
pub(super) struct Bpe(Box<Tokenizer>);

impl Bpe {
    /// Builds the vocabulary from the tokens as the file writes them and the list of pairs.
    ///
    /// # Errors
    /// The rest of a sentence about the file.
    pub(super) fn new(tokens: &[Box<str>], merges: &[Box<str>], way: &str) -> Result<Self, String> {
        let cuts = cuts(way)
            .ok_or_else(|| format!("cuts text into words in a way that is not known, “{way}”"))?;
        let vocabulary: Vocab =
            (0..).zip(tokens).map(|(id, token)| (token.to_string(), id)).collect();
        let pairs: Option<Vec<(String, String)>> = merges
            .iter()
            .map(|merge| merge.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())))
            .collect();
        let pairs = pairs.ok_or("holds a vocabulary with a broken list of pairs")?;
        // Whole words that are tokens are not built from pairs in these families.
        let whole_first = matches!(
            way,
            "llama3"
                | "llama-v3"
                | "llama-bpe"
                | "falcon3"
                | "pixtral"
                | "tekken"
                | "smollm3"
                | "lfm2"
        );
        let bpe = BPE::builder()
            .vocab_and_merges(vocabulary, pairs)
            .ignore_merges(whole_first)
            .build()
            .map_err(|_| "holds a vocabulary whose pairs make no tokens")?;
        let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
        for cut in cuts {
            let pattern = SplitPattern::Regex((*cut).to_owned());
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
                .map_err(|error| format!("cannot be cut into words ({error})"))?;
            steps.push(split.into());
        }
        steps.push(ByteLevel::new(false, false, false).into());
        let mut tokenizer = Tokenizer::new(bpe);
        tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
        if matches!(way, "qwen2" | "deepseek-r1-qwen") {
            tokenizer
                .with_normalizer(Some(NFC))
                .map_err(|error| format!("cannot be normalised ({error})"))?;
        }
        Ok(Self(Box::new(tokenizer)))
    }

    /// Appends the tokens of a text.
    pub(super) fn encode(&self, text: &str, out: &mut Vec<u32>) {
        // Every byte has a letter and every letter a token, or is left out: nothing can fail.
        if let Ok(encoding) = self.0.encode_fast(text, false) {
            out.extend(encoding.get_ids());
        }
    }
}

/// Returns the bytes that a token of letters stands for; letters that stand for none stand for
/// themselves.
///
/// # Source
/// `bytes_to_unicode` of GPT-2: printable bytes are their own letters, the others follow U+0100.
pub(super) fn piece(token: &str, kind: Kind) -> Piece {
    if !matches!(kind, Kind::Normal | Kind::Unused) {
        return Piece { bytes: token.as_bytes().into(), kind };
    }
    let mut bytes = Vec::new();
    for c in token.chars() {
        match letter_to_byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Piece { bytes: bytes.into(), kind }
}

fn letter_to_byte(c: char) -> Option<u8> {
    let is_printable = |byte: u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    match u32::from(c) {
        code @ 0..0x100 => u8::try_from(code).ok().filter(|byte| is_printable(*byte)),
        code @ 0x100..0x144 => {
            (0..=255_u8).filter(|byte| !is_printable(*byte)).nth((code - 0x100) as usize)
        }
        _ => None,
    }
}
