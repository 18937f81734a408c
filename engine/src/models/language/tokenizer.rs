//! Text to tokens and back, by the vocabulary that a model's file holds.

use std::collections::HashMap;
use std::path::Path;

use super::bpe::{self, Bpe};
use super::llama2c;
use super::spm::{SPACE, Spm};
use crate::error::EngineError;
use crate::weights::gguf::Gguf;

/// Put into what a person wrote where it looks like a token that steers the model; Unicode keeps
/// this character for such uses and no text holds it.
const GUARD: char = '\u{FDD0}';

/// Tokens by whose text a model says that its turn is over, although its file may not say so.
///
/// # Source
/// The list of end-of-generation tokens in llama.cpp (src/llama-vocab.cpp).
const ENDS: [&str; 11] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<EOT>",
    "<end_of_utterance>",
    "</s>",
];

/// Says what a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    /// Stands for what the vocabulary has not.
    Unknown,
    /// Steers the model and is no text.
    Control,
    /// Text that is always this token.
    Given,
    Unused,
    /// One byte of text.
    Byte,
}

/// Holds a token.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// What is printed for it.
    pub(super) bytes: Box<[u8]>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
enum Method {
    Spm(Spm),
    Bpe(Bpe),
}

/// Turns text into tokens and back.
#[derive(Debug)]
pub struct Tokenizer {
    pieces: Vec<Piece>,
    method: Method,
    /// Tokens with a text of their own by its first byte, longer ones first.
    whole: HashMap<u8, Vec<(Box<str>, u32)>>,
    begin: Option<u32>,
    end: Option<u32>,
    ends: Vec<u32>,
    adds_begin: bool,
    adds_space: bool,
    /// Whether space behind a control token belongs to it.
    control_eats_space: bool,
}

impl Tokenizer {
    /// Reads the vocabulary of a GGUF file.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it has none, one of a kind that is not known, or a broken one.
    pub fn read(gguf: &Gguf) -> Result<Self, EngineError> {
        let key = |name: &str| format!("tokenizer.ggml.{name}");
        let tokens = gguf
            .texts(&key("tokens"))
            .filter(|tokens| !tokens.is_empty())
            .ok_or_else(|| gguf.damaged("holds no vocabulary"))?;
        let kinds = gguf.numbers(&key("token_type")).unwrap_or_default();
        let kind_of = |id: usize| match kinds.get(id).map(|kind| *kind as i64) {
            Some(2) => Kind::Unknown,
            Some(3) => Kind::Control,
            Some(4) => Kind::Given,
            Some(5) => Kind::Unused,
            Some(6) => Kind::Byte,
            _ => Kind::Normal,
        };
        let id_of = |name: &str| {
            let id = gguf.whole(&key(name)).filter(|id| *id < tokens.len())?;
            u32::try_from(id).ok()
        };
        let model = gguf.text(&key("model")).unwrap_or_default();
        let is_spm = match model {
            "llama" => true,
            "gpt2" => false,
            other => {
                let reason = format!("has a vocabulary of the kind “{other}”, which is not known");
                return Err(gguf.damaged(reason));
            }
        };
        let (pieces, method): (Vec<Piece>, _) = if is_spm {
            let pieces: Vec<_> = tokens
                .iter()
                .enumerate()
                .map(|(id, token)| spm_piece(token, kind_of(id)))
                .collect();
            let mut scores: Vec<f32> = gguf
                .numbers(&key("scores"))
                .unwrap_or_default()
                .iter()
                .map(|s| *s as f32)
                .collect();
            scores.resize(tokens.len(), 0.0);
            let spm = Spm::new(&pieces, scores, id_of("unknown_token_id"));
            (pieces, Method::Spm(spm))
        } else {
            let merges = gguf
                .texts(&key("merges"))
                .ok_or_else(|| gguf.damaged("holds a vocabulary without its list of pairs"))?;
            let way = gguf.text(&key("pre")).unwrap_or("default");
            let bpe = Bpe::new(tokens, merges, way).map_err(|reason| gguf.damaged(reason))?;
            let pieces = tokens.iter().enumerate().map(|(id, t)| bpe::piece(t, kind_of(id)));
            (pieces.collect(), Method::Bpe(bpe))
        };
        let whole = whole_tokens(&pieces);
        let mut ends: Vec<u32> = ["eos_token_id", "eot_token_id", "eom_token_id"]
            .iter()
            .filter_map(|n| id_of(n))
            .collect();
        ends.extend(ENDS.iter().filter_map(|text| whole_id(&whole, text)));
        ends.sort_unstable();
        ends.dedup();
        let name = gguf.text("general.name").unwrap_or_default().to_lowercase();
        let begin = id_of("bos_token_id");
        let adds_begin =
            gguf.flag(&key("add_bos_token")).unwrap_or(is_spm || begins_by_habit(gguf));
        Ok(Self {
            pieces,
            method,
            whole,
            begin,
            end: id_of("eos_token_id"),
            ends,
            adds_begin: adds_begin && begin.is_some(),
            adds_space: is_spm && gguf.flag(&key("add_space_prefix")).unwrap_or(true),
            control_eats_space: is_spm && (name.contains("phi-3") || name.contains("phi3")),
        })
    }

    /// Reads the vocabulary of a llama2.c checkpoint with `size` tokens; `path` only names the file
    /// in errors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is not one, or of another size.
    pub fn read_llama2c(bytes: &[u8], size: usize, path: &Path) -> Result<Self, EngineError> {
        llama2c::read_tokenizer(bytes, size, path)
    }

    pub(super) fn llama2c(pieces: Vec<Piece>, spm: Spm, begin: u32, ends: Vec<u32>) -> Self {
        Self {
            pieces,
            method: Method::Spm(spm),
            whole: HashMap::new(),
            begin: Some(begin),
            end: ends.last().copied(),
            ends,
            adds_begin: true,
            adds_space: true,
            control_eats_space: false,
        }
    }

    /// Returns how many tokens there are.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Tells whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Returns the token with exactly this text.
    pub fn id(&self, text: &str) -> Option<u32> {
        whole_id(&self.whole, text).or_else(|| {
            let found = self.pieces.iter().position(|piece| *piece.bytes == *text.as_bytes());
            found.and_then(|id| u32::try_from(id).ok())
        })
    }

    /// Returns the token that begins a text, where the model wants one.
    pub fn begin(&self) -> Option<u32> {
        self.begin.filter(|_| self.adds_begin)
    }

    /// Returns the texts of the tokens that begin and end a text, for templates; empty where there
    /// is none.
    pub fn begin_and_end_texts(&self) -> [String; 2] {
        [self.begin, self.end].map(|id| {
            id.map(|id| String::from_utf8_lossy(self.bytes(id)).into_owned()).unwrap_or_default()
        })
    }

    /// Tells whether a token says that the text, or the turn, is over.
    pub fn is_end(&self, token: u32) -> bool {
        self.ends.binary_search(&token).is_ok()
    }

    /// Tells whether a token steers the model and is no text.
    pub fn is_control(&self, token: u32) -> bool {
        self.pieces.get(token as usize).is_some_and(|piece| piece.kind == Kind::Control)
    }

    /// Returns what is printed for a token; nothing for one that the vocabulary has not.
    pub fn bytes(&self, token: u32) -> &[u8] {
        self.pieces.get(token as usize).map_or(&[], |piece| &piece.bytes)
    }

    /// Turns a text into tokens; whatever it holds, no token of it steers the model.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut out = Vec::new();
        self.encode_text(text, true, &mut out);
        out
    }

    /// Turns a text into tokens, with the one that begins it where the model wants one.
    pub fn encode_beginning(&self, text: &str) -> Vec<u32> {
        let mut out: Vec<u32> = self.begin().into_iter().collect();
        self.encode_text(text, true, &mut out);
        out
    }

    /// Marks what a person wrote, so that [`Tokenizer::encode_template`] finds no control token in it.
    pub fn guard(&self, text: &str) -> String {
        let mut guarded = String::with_capacity(text.len());
        let text = text.replace(GUARD, "");
        let mut rest = text.as_str();
        while let Some((before, token, id)) = self.next_whole(rest, true) {
            guarded.push_str(before);
            let mut chars = token.chars();
            guarded.extend(chars.next());
            if self.is_control(id) {
                guarded.push(GUARD);
            }
            rest = &rest[before.len() + token.len() - chars.as_str().len()..];
        }
        guarded.push_str(rest);
        guarded
    }

    /// Turns what a template made into tokens: control tokens are found by their text, except in
    /// what went through [`Tokenizer::guard`].
    pub fn encode_template(&self, text: &str) -> Vec<u32> {
        let mut out = Vec::new();
        let mut rest = text;
        let plain = |part: &str, out: &mut Vec<u32>| {
            let after_control = out.last().is_none_or(|token| self.is_control(*token));
            let part = part.replace(GUARD, "");
            let eaten = self.control_eats_space
                && out
                    .last()
                    .is_some_and(|last| self.is_control(*last) && Some(*last) != self.begin);
            let part = if eaten { part.trim_start() } else { &part };
            self.encode_text(part, after_control, out);
        };
        while let Some((before, token, id)) = self.next_whole(rest, true) {
            plain(before, &mut out);
            out.push(id);
            rest = &rest[before.len() + token.len()..];
        }
        plain(rest, &mut out);
        // A template begins its text itself; where it does not, the model still wants it.
        if let Some(begin) = self.begin()
            && out.first() != Some(&begin)
        {
            out.insert(0, begin);
        }
        out
    }

    fn encode_text(&self, text: &str, mut begins: bool, out: &mut Vec<u32>) {
        let mut rest = text;
        while let Some((before, token, id)) = self.next_whole(rest, false) {
            self.encode_plain(before, begins, out);
            out.push(id);
            rest = &rest[before.len() + token.len()..];
            begins = true;
        }
        self.encode_plain(rest, begins, out);
    }

    fn encode_plain(&self, text: &str, begins: bool, out: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        match &self.method {
            Method::Spm(spm) if begins && self.adds_space => spm.encode(&format!(" {text}"), out),
            Method::Spm(spm) => spm.encode(text, out),
            Method::Bpe(bpe) => bpe.encode(text, out),
        }
    }

    /// Finds the first token with a text of its own: what stands before it, its text, its number.
    fn next_whole<'a>(&self, text: &'a str, with_control: bool) -> Option<(&'a str, &'a str, u32)> {
        if self.whole.is_empty() {
            return None;
        }
        text.bytes().enumerate().find_map(|(at, first)| {
            let candidates = self.whole.get(&first)?;
            let rest = text.get(at..)?;
            let fits = |(token, id): &&(Box<str>, u32)| {
                rest.starts_with(&**token) && (with_control || !self.is_control(*id))
            };
            let (token, id) = candidates.iter().find(fits)?;
            Some((&text[..at], &rest[..token.len()], *id))
        })
    }
}

/// Tells whether a family begins its texts although its file does not say so.
fn begins_by_habit(gguf: &Gguf) -> bool {
    matches!(
        gguf.text("tokenizer.ggml.pre"),
        Some("llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "pixtral" | "tekken")
    )
}

fn spm_piece(token: &str, kind: Kind) -> Piece {
    if kind == Kind::Byte
        && let Some(byte) = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'))
        && let Ok(byte) = u8::from_str_radix(byte, 16)
    {
        return Piece { bytes: [byte].into(), kind };
    }
    Piece { bytes: token.replace(SPACE, " ").into_bytes().into(), kind }
}

fn whole_tokens(pieces: &[Piece]) -> HashMap<u8, Vec<(Box<str>, u32)>> {
    let mut whole: HashMap<u8, Vec<(Box<str>, u32)>> = HashMap::new();
    for (id, piece) in (0..).zip(pieces) {
        if matches!(piece.kind, Kind::Control | Kind::Given)
            && let Some(first) = piece.bytes.first()
            && let Ok(text) = std::str::from_utf8(&piece.bytes)
        {
            whole.entry(*first).or_default().push((text.into(), id));
        }
    }
    for tokens in whole.values_mut() {
        tokens.sort_by_key(|(text, id)| (std::cmp::Reverse(text.len()), *id));
    }
    whole
}

fn whole_id(whole: &HashMap<u8, Vec<(Box<str>, u32)>>, text: &str) -> Option<u32> {
    let tokens = whole.get(text.as_bytes().first()?)?;
    tokens.iter().find(|(token, _)| **token == *text).map(|(_, id)| *id)
}

/// Turns tokens into text as they come and never cuts a character.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    /// The beginning of a character that is not whole yet.
    pending: Vec<u8>,
    drops_space: bool,
}

impl TextStream {
    /// Begins behind these tokens: where nothing but a control token stands before, the space that
    /// some vocabularies begin a text with is dropped.
    pub fn behind(tokenizer: &Tokenizer, tokens: &[u32]) -> Self {
        let is_fresh = tokens.last().is_none_or(|last| tokenizer.is_control(*last));
        Self { pending: Vec::new(), drops_space: is_fresh && tokenizer.adds_space }
    }

    /// Takes one more token and returns what text is whole by it.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: u32) -> String {
        if tokenizer.is_control(token) {
            return String::new();
        }
        let mut bytes = tokenizer.bytes(token);
        if std::mem::take(&mut self.drops_space) {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.pending.extend(bytes);
        let mut out = String::new();
        while !self.pending.is_empty() {
            let (valid, wrong) = match std::str::from_utf8(&self.pending) {
                Ok(text) => (text.len(), 0),
                Err(error) => match error.error_len() {
                    Some(wrong) => (error.valid_up_to(), wrong),
                    None if error.valid_up_to() == 0 => break,
                    None => (error.valid_up_to(), 0),
                },
            };
            out.push_str(&String::from_utf8_lossy(&self.pending[..valid]));
            if wrong > 0 {
                out.push(char::REPLACEMENT_CHARACTER);
            }
            self.pending.drain(..valid + wrong);
        }
        out
    }

    /// Returns what is left when no token follows: a character that stayed incomplete.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}
