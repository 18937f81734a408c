//! Prompts → tokens, and what the user should know about them.

use crate::models::house_picture::{Lexicon, Tokens};
use crate::protocol::{Notice, Prompt};

/// Reads the prompt and its negative, in this order, and says what was not understood.
pub(super) fn read(lexicon: &Lexicon, prompt: &Prompt) -> ([Tokens; 2], Vec<Notice>) {
    let texts = [prompt.with_styles(), prompt.negative.clone()];
    let tokens = texts.each_ref().map(|text| lexicon.tokenize(text));
    let mut words: Vec<String> = Vec::new();
    let mut notices = Vec::new();
    for (text, tokens) in texts.iter().zip(&tokens) {
        for word in tokens.unknown.iter().map(|range| &text[range.clone()]) {
            if !words.iter().any(|known| known.eq_ignore_ascii_case(word)) {
                words.push(word.to_owned());
            }
        }
        if tokens.dropped > 0 {
            let (kept, dropped) = (tokens.ids.len(), tokens.dropped);
            notices.push(Notice::PromptClipped { kept, dropped });
        }
    }
    if !words.is_empty() {
        notices.insert(0, Notice::UnknownWords { words });
    }
    (tokens, notices)
}
