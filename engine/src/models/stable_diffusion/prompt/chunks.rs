//! Chunks: what the text encoder reads at once, 75 tokens between two marks.

use std::collections::HashMap;
use std::ops::Range;

use super::attention::Weighted;
use super::clip::{ClipTokenizer, END_ID, START_ID};
use super::{NoticeKind, Padding, PromptNotice, PromptSettings};
use crate::error::EngineError;

/// The tokens of a chunk between its marks.
pub const CHUNK_TOKENS: usize = 75;
/// The tokens of a chunk with its marks: the context of the text encoder.
pub const CONTEXT_TOKENS: usize = CHUNK_TOKENS + 2;
/// How near a comma must be for what follows it to go into the next chunk together.
///
/// # Source
/// AUTOMATIC1111's setting `comma_padding_backtrack`.
const BACKTRACK: usize = 20;
/// The id of a comma that is a word.
const COMMA_ID: u32 = 267;

/// Names a textual inversion that the caller has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingName {
    /// The words that call for it.
    pub name: String,
    /// How many places it takes, at least 1.
    pub vectors: usize,
}

/// Says where the vectors of a textual inversion go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    /// The first place, counted with the chunk's first mark: 1 to 75.
    pub at: usize,
    /// Which of the caller's textual inversions.
    pub embedding: usize,
    /// How many places.
    pub vectors: usize,
}

/// Holds what the text encoder reads at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// The ids with marks and padding, [`CONTEXT_TOKENS`]; 0 where a textual inversion goes.
    pub ids: Vec<u32>,
    /// The weights, one per id; 1 for marks and padding.
    pub weights: Vec<f32>,
    /// Where textual inversions go.
    pub reserved: Vec<Reserved>,
}

/// Shows a token of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The text that was read.
    pub text: String,
    /// Where it stands in the prompt, in bytes.
    pub source: Range<usize>,
    /// How much it weighs.
    pub weight: f32,
    /// In which chunk it stands.
    pub chunk: usize,
}

/// A place that is taken in a chunk.
#[derive(Clone)]
struct Slot {
    id: u32,
    weight: f32,
    /// Which textual inversion begins here.
    begins: Option<usize>,
    /// The piece that it belongs to.
    piece: usize,
}

/// Cuts weighted text into chunks.
pub(super) struct Chunker<'a> {
    tokenizer: &'a ClipTokenizer,
    settings: &'a PromptSettings<'a>,
    /// The textual inversions by the first id of their names, longest names first.
    embeddings: HashMap<u32, Vec<(Vec<u32>, usize)>>,
}

impl<'a> Chunker<'a> {
    pub fn new(
        tokenizer: &'a ClipTokenizer,
        settings: &'a PromptSettings<'a>,
    ) -> Result<Self, EngineError> {
        let mut embeddings: HashMap<u32, Vec<(Vec<u32>, usize)>> = HashMap::new();
        for (index, embedding) in settings.embeddings.iter().enumerate() {
            if !(1..=CHUNK_TOKENS).contains(&embedding.vectors) {
                let reason =
                    format!("must have 1 to {CHUNK_TOKENS} vectors, not {}", embedding.vectors);
                return Err(EngineError::invalid("textual inversion", reason));
            }
            let tokens = tokenizer.encode(&embedding.name)?;
            let ids: Vec<u32> = tokens.into_iter().map(|token| token.id).collect();
            if let Some(first) = ids.first() {
                embeddings.entry(*first).or_default().push((ids, index));
            }
        }
        for named in embeddings.values_mut() {
            named.sort_by_key(|(ids, _)| std::cmp::Reverse(ids.len()));
        }
        Ok(Self { tokenizer, settings, embeddings })
    }

    /// Returns the chunks of a text, at least one, and its tokens.
    ///
    /// # Source
    /// AUTOMATIC1111's web UI, the behaviour of its text processing: 75 tokens a chunk, and what follows
    /// a comma within the last 20 tokens stays together.
    pub fn cut(
        &self,
        weighted: &[Weighted],
        notices: &mut Vec<PromptNotice>,
    ) -> Result<(Vec<Chunk>, Vec<Piece>), EngineError> {
        let mut cut = Cut { padding: self.settings.padding, ..Cut::default() };
        let most = self.settings.max_chunks.max(1);
        'text: for piece in weighted {
            let Weighted::Words(words, weight) = piece else {
                if cut.chunks.len() > most {
                    break;
                }
                cut.next_chunk();
                continue;
            };
            let tokens = self.tokenizer.encode(words.text())?;
            let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
            let mut at = 0;
            while at < ids.len() {
                let found = self.embedding(&ids[at..]);
                let length = found.map_or(1, |(_, length)| length);
                let range = tokens[at].range.start..tokens[at + length - 1].range.end;
                let source = words.source(range.clone());
                if cut.chunks.len() > most {
                    break 'text;
                }
                cut.pieces.push(Piece {
                    text: words.text()[range].to_owned(),
                    source,
                    weight: *weight as f32,
                    chunk: 0,
                });
                match found {
                    Some((embedding, _)) => {
                        let vectors = self.settings.embeddings[embedding].vectors;
                        cut.reserve(embedding, vectors, *weight as f32);
                    }
                    None => cut.token(ids[at], *weight as f32),
                }
                at += length;
            }
        }
        let (chunks, pieces, clipped) = cut.finish(most);
        if let Some(source) = clipped {
            notices.push(PromptNotice { kind: NoticeKind::Clipped { chunks: most }, source });
        }
        Ok((chunks, pieces))
    }

    /// Returns the textual inversion whose name begins here, and the tokens of its name.
    fn embedding(&self, ids: &[u32]) -> Option<(usize, usize)> {
        let named = self.embeddings.get(ids.first()?)?;
        let (name, index) = named.iter().find(|(name, _)| ids.starts_with(name))?;
        Some((*index, name.len()))
    }
}

#[derive(Default)]
struct Cut {
    padding: Padding,
    chunks: Vec<Chunk>,
    pieces: Vec<Piece>,
    slots: Vec<Slot>,
    /// Where the last comma of this chunk stands.
    comma: Option<usize>,
}

impl Cut {
    fn token(&mut self, id: u32, weight: f32) {
        if id == COMMA_ID {
            self.comma = Some(self.slots.len());
        } else if self.slots.len() == CHUNK_TOKENS
            && let Some(comma) = self.comma.filter(|comma| CHUNK_TOKENS - comma <= BACKTRACK)
        {
            let moved = self.slots.split_off(comma + 1);
            self.next_chunk();
            self.slots = moved;
        }
        if self.slots.len() == CHUNK_TOKENS {
            // A comma that opens a chunk is no place to go back to: this forgets it.
            self.next_chunk();
        }
        self.push(id, weight, None);
    }

    fn reserve(&mut self, embedding: usize, vectors: usize, weight: f32) {
        if self.slots.len() + vectors > CHUNK_TOKENS {
            self.next_chunk();
        }
        self.push(0, weight, Some(embedding));
        for _ in 1..vectors {
            self.push(0, weight, None);
        }
    }

    fn push(&mut self, id: u32, weight: f32, begins: Option<usize>) {
        let piece = self.pieces.len().saturating_sub(1);
        self.slots.push(Slot { id, weight, begins, piece });
    }

    fn next_chunk(&mut self) {
        let slots = std::mem::take(&mut self.slots);
        self.comma = None;
        let number = self.chunks.len();
        let pad = match self.padding {
            Padding::End => END_ID,
            Padding::Zero => 0,
        };
        let mut chunk = Chunk { ids: vec![START_ID], weights: vec![1.0], reserved: Vec::new() };
        for (at, slot) in slots.iter().enumerate() {
            chunk.ids.push(slot.id);
            chunk.weights.push(slot.weight);
            self.pieces[slot.piece].chunk = number;
            if let Some(embedding) = slot.begins {
                let vectors = slots[at..].iter().take_while(|other| other.piece == slot.piece);
                chunk.reserved.push(Reserved { at: at + 1, embedding, vectors: vectors.count() });
            }
        }
        // The first mark of the end follows the text; what pads is another id for some encoders.
        let left = CHUNK_TOKENS - slots.len();
        chunk.ids.push(END_ID);
        chunk.ids.extend(std::iter::repeat_n(pad, left));
        chunk.weights.resize(CONTEXT_TOKENS, 1.0);
        self.chunks.push(chunk);
    }

    /// Returns the first `most` chunks, their pieces, and where the first piece beyond them stands.
    fn finish(mut self, most: usize) -> (Vec<Chunk>, Vec<Piece>, Option<Range<usize>>) {
        if !self.slots.is_empty() || self.chunks.is_empty() {
            self.next_chunk();
        }
        self.chunks.truncate(most);
        let beyond = self.pieces.iter().find(|piece| piece.chunk >= most);
        let clipped = beyond.map(|piece| piece.source.clone());
        self.pieces.retain(|piece| piece.chunk < most);
        (self.chunks, self.pieces, clipped)
    }
}
