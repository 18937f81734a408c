//! A short prompt → a longer one in the words of the picture model, or one from nothing.

use std::cell::RefCell;

use super::WordsPipeline;
use super::known::Known;
use super::validate::validate;
use super::writer::{self, Order, Then};
use crate::error::EngineError;
use crate::models::house_picture::{Kind, Lexicon};
use crate::protocol::{JobContext, Notice, WordsEnd, WordsOutput, WordsRequest, WordsTask};
use crate::sampling::TokenSampler;

/// The tokens that the writer was trained with for this.
const EXPAND: &str = "<|expand|>";
const TO: &str = "<|to|>";
const SURPRISE: &str = "<|surprise|>";

/// The most tokens that are written; the longest prompt of the training has about thirty.
const MOST_TOKENS: usize = 48;
/// The longest part of a prompt that is kept, in bytes.
const MOST_BYTES: usize = 240;
/// A text that names more things than this is a paragraph and no prompt: the picture model draws one
/// thing well, and three at the most.
const MOST_THINGS: usize = 3;
/// How often a prompt is thought up until one can be drawn.
const ATTEMPTS: u64 = 4;

impl WordsPipeline {
    /// Widens a short prompt, or thinks one up, in words that `lexicon` knows. The known words of
    /// the short prompt stand first and as they are; the others are named in a notice. A prompt of
    /// which nothing is known is answered with one that is thought up.
    ///
    /// # Errors
    /// As [`WordsPipeline::run`]; [`EngineError::InvalidSetting`] when the model was not made for
    /// this, or the request is for something else.
    pub fn expand(
        &mut self,
        request: &WordsRequest,
        lexicon: &Lexicon,
        job: &JobContext,
    ) -> Result<WordsOutput, EngineError> {
        validate(request)?;
        let short = match &request.task {
            WordsTask::Expand { prompt } => keep(lexicon, prompt),
            WordsTask::Surprise => Kept::default(),
            _ => return Err(EngineError::invalid("task", "is not one of prompts")),
        };
        let control = |name: &str| {
            let wrong = || EngineError::invalid("model", "was not made for thinking up prompts");
            self.tokenizer.id(name).filter(|id| self.tokenizer.is_control(*id)).ok_or_else(wrong)
        };
        let mut kept = short.text.clone();
        // Chinese words run into each other, so what is added is set apart.
        if kept.chars().next_back().is_some_and(|last| u32::from(last) >= 0x2e80) {
            kept.push('，');
        }
        let kept = kept.as_str();
        let prompt = if kept.is_empty() {
            vec![control(SURPRISE)?]
        } else {
            let mut prompt = vec![control(EXPAND)?];
            prompt.extend(self.tokenizer.encode(&short.text.to_lowercase()));
            prompt.push(control(TO)?);
            prompt.extend(self.tokenizer.encode(&kept.to_lowercase()));
            prompt
        };
        let known = Known::new(lexicon, kept);
        let mut output = WordsOutput {
            text: String::new(),
            recipe: request.clone(),
            stats: Default::default(),
            ended: WordsEnd::EndOfText,
            logits: None,
            notices: short.notices.clone(),
        };
        for attempt in 0..ATTEMPTS {
            let mut sampler =
                TokenSampler::new(request.sampling, request.seed.wrapping_add(attempt << 48));
            let most = MOST_TOKENS.min(request.max_tokens as usize);
            (output.text, output.stats) =
                self.widen(&known, kept, &prompt, most, &mut sampler, job)?;
            if known.shows_something(&output.text) {
                break;
            }
        }
        if !known.shows_something(&output.text) {
            // “red” alone shows nothing, so it is said of something.
            output.text = format!("{} {}", short.text, something(lexicon, request.seed));
            output.text = output.text.trim().to_owned();
        }
        job.text(output.text.clone());
        Ok(output)
    }

    /// Goes on with `kept` as long as it stays drawable, and returns the last text that was.
    fn widen(
        &mut self,
        known: &Known<'_>,
        kept: &str,
        prompt: &[u32],
        most: usize,
        sampler: &mut TokenSampler,
        job: &JobContext,
    ) -> Result<(String, crate::protocol::WordsStats), EngineError> {
        let tokenizer = &self.tokenizer;
        let text_of = |tokens: &[u32]| {
            let mut text = kept.as_bytes().to_vec();
            tokens.iter().for_each(|token| text.extend_from_slice(tokenizer.bytes(*token)));
            text
        };
        // The tokens that may follow are found once for each length of the text.
        let next: RefCell<(usize, Vec<bool>, bool)> = RefCell::new((usize::MAX, Vec::new(), false));
        let allowed = |written: &[u32], token: u32| {
            let mut next = next.borrow_mut();
            if next.0 != written.len() {
                let text = text_of(written);
                let may = known.next(&text, tokenizer);
                let is_whole = std::str::from_utf8(&text).is_ok_and(|text| known.is_whole(text));
                let may_end = is_whole || !may.contains(&true);
                *next = (written.len(), may, may_end);
            }
            if tokenizer.is_end(token) {
                next.2
            } else {
                next.1.get(token as usize).is_some_and(|may| *may)
            }
        };
        let order = Order {
            prompt,
            max_tokens: most,
            is_end: &|token| tokenizer.is_end(token),
            allowed: Some(&allowed),
        };
        let mut written = Vec::new();
        let mut good = kept.to_owned();
        let (stats, _) = writer::write(&mut self.decoder, sampler, &order, job, &mut |chosen| {
            if !chosen.is_end {
                written.push(chosen.token);
                if let Ok(text) = String::from_utf8(text_of(&written))
                    && known.is_whole(&text)
                {
                    good = text;
                }
            }
            Ok(Then::GoOn)
        })?;
        Ok((known.tidy(&good).to_owned(), stats))
    }
}

/// Holds what is left of a short prompt.
#[derive(Debug, Default)]
struct Kept {
    text: String,
    notices: Vec<Notice>,
}

/// Keeps what can be drawn of a paragraph that names many things: the first one as it is described,
/// and where it is. `None` for a text that names few, which is a prompt.
fn gist(lexicon: &Lexicon, text: &str) -> Option<Kept> {
    let phrases: Vec<_> = lexicon.read(text).into_iter().filter(|one| one.ids.is_some()).collect();
    let is = |index: usize, kinds: &[Kind]| {
        let ids = phrases[index].ids.unwrap_or_default();
        ids.iter().any(|id| kinds.contains(&lexicon.kind(*id)))
    };
    let things: Vec<usize> = (0..phrases.len()).filter(|n| is(*n, &[Kind::Thing])).collect();
    if things.len() <= MOST_THINGS {
        return None;
    }
    let first = *things.first()?;
    let is_described = |n: &usize| is(*n, &[Kind::Colour, Kind::Size]);
    let place = (0..phrases.len()).find(|n| is(*n, &[Kind::Background]));
    let taken: Vec<usize> =
        first.checked_sub(1).filter(is_described).into_iter().chain([first]).chain(place).collect();
    let words: Vec<&str> = taken.iter().map(|n| &text[phrases[*n].source.clone()]).collect();
    let count = |n: usize| phrases[n].ids.map_or(0, <[u32]>::len);
    let kept = taken.iter().map(|n| count(*n)).sum();
    let all: usize = (0..phrases.len()).map(count).sum();
    let notices = vec![Notice::PromptClipped { kept, dropped: all - kept }];
    let text = words.join(" ");
    lexicon.unknown_words(&text).is_empty().then_some(Kept { text, notices })
}

/// Keeps the words of a prompt that the picture model knows, as many as it reads.
fn keep(lexicon: &Lexicon, prompt: &str) -> Kept {
    if let Some(gist) = gist(lexicon, prompt) {
        return gist;
    }
    let mut unknown: Vec<String> = Vec::new();
    // Runs of known words; a word that joins others goes where they are not known.
    let mut runs: Vec<String> = Vec::new();
    let mut run: Option<(std::ops::Range<usize>, usize)> = None;
    let (mut count, mut dropped, mut bytes) = (0, 0, 0);
    let mut close = |run: &mut Option<(std::ops::Range<usize>, usize)>| {
        if let Some((range, end)) = run.take()
            && end > range.start
        {
            runs.push(joined(&prompt[range.start..end]));
        }
    };
    for phrase in lexicon.read(prompt) {
        let Some(ids) = phrase.ids else {
            close(&mut run);
            let word = &prompt[phrase.source];
            if unknown.len() < 32 && !unknown.iter().any(|known| known.eq_ignore_ascii_case(word)) {
                unknown.push(word.chars().take(40).collect());
            }
            continue;
        };
        bytes += phrase.source.len() + 1;
        if dropped > 0 || count + ids.len() > lexicon.max_tokens() || bytes > MOST_BYTES {
            close(&mut run);
            dropped += ids.len();
            continue;
        }
        count += ids.len();
        let (range, end) = run.get_or_insert((phrase.source.clone(), phrase.source.start));
        range.end = phrase.source.end;
        if !ids.is_empty() {
            *end = range.end;
        }
    }
    close(&mut run);
    let mut text = runs.join(", ");
    if !lexicon.unknown_words(&text).is_empty() {
        // Joined runs read otherwise than each alone; the first one is what was meant most.
        text = runs.into_iter().next().unwrap_or_default();
    }
    let mut notices = Vec::new();
    if !unknown.is_empty() {
        notices.push(Notice::UnknownWords { words: unknown });
    }
    if dropped > 0 {
        notices.push(Notice::PromptClipped { kept: count, dropped });
    }
    Kept { text, notices }
}

/// Writes a run of known words with nothing but spaces and commas between them.
fn joined(run: &str) -> String {
    let mut out = String::with_capacity(run.len());
    for c in run.chars() {
        match c {
            c if c.is_alphanumeric() || matches!(c, '-' | '，' | ',') => out.push(c),
            _ if out.ends_with(' ') => {}
            _ => out.push(' '),
        }
    }
    out.trim().to_owned()
}

/// Returns the name of something that can be drawn.
fn something(lexicon: &Lexicon, seed: u64) -> String {
    let mut names: Vec<&str> = lexicon
        .phrases()
        .filter(|(_, ids)| matches!(ids, [id] if lexicon.kind(*id) == Kind::Thing))
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    let count = names.len().max(1) as u64;
    names.get((seed % count) as usize).map_or_else(String::new, |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use super::*;

    fn lexicon() -> Lexicon {
        let json = r#"{"version": 1, "max_tokens": 3, "phrases": {"a": [], "in": [], "cat": [7],
            "red": [1], "snow": [20], "猫": [7]}, "names": {"7": {"category": "concept"},
            "1": {"category": "colour"}, "20": {"category": "background"}}}"#;
        Lexicon::from_json(json, Path::new("lexicon.json")).unwrap()
    }

    #[test]
    fn known_words_stay_and_unknown_ones_are_named() {
        let kept = keep(&lexicon(), "A xylofox, red CAT!! in snow");
        assert_eq!(kept.text, "red CAT in snow");
        let words = vec!["xylofox".to_owned()];
        assert_eq!(kept.notices, [Notice::UnknownWords { words }]);
        assert_eq!(keep(&lexicon(), "a cat in qqq red").text, "a cat, red");
        assert_eq!(keep(&lexicon(), "zzz").text, "");
    }

    #[test]
    fn what_is_more_than_the_model_reads_is_told() {
        let kept = keep(&lexicon(), "red cat red cat red cat");
        assert_eq!(kept.text, "red cat red");
        assert_eq!(kept.notices, [Notice::PromptClipped { kept: 3, dropped: 3 }]);
    }

    #[test]
    fn of_a_paragraph_the_first_thing_stays_as_it_is_described_and_where_it_is() {
        let kept = keep(&lexicon(), "The red cat saw a cat, and a cat met the cat in the snow.");
        assert_eq!(kept.text, "red cat snow");
        assert_eq!(kept.notices, [Notice::PromptClipped { kept: 3, dropped: 3 }]);
        assert_eq!(keep(&lexicon(), "cat cat cat cat").text, "cat");
    }

    #[test]
    fn something_that_can_be_drawn_is_always_known() {
        assert!(["cat", "猫"].contains(&something(&lexicon(), 3).as_str()));
    }
}
