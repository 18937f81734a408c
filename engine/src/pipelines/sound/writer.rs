//! The loop over tokens: conditions and bars in, more bars out.

use super::document::{Bar, Given, bar_tokens};
use super::grammar::{Grammar, MAX_BAR_TOKENS};
use super::plan::Settled;
use super::tokens::{Token, Vocabulary, density_index};
use crate::error::EngineError;
use crate::models::language::Decoder;
use crate::protocol::{GivenUse, JobContext, TokenSampling};
use crate::sampling::TokenSampler;

/// The share of the context that is read again when it is full: the conditions and the latest bars.
const KEPT: f32 = 0.55;

/// Counts what composing took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tokens that were chosen.
    pub written_tokens: u64,
    /// Tokens that were read, those read again included.
    pub read_tokens: u64,
}

/// Says what is to be written.
pub(super) struct Order<'a> {
    pub(super) settled: &'a Settled,
    pub(super) given: Option<&'a Given>,
    pub(super) sampling: TokenSampling,
    pub(super) seed: u64,
}

/// Returns the tokens before the first bar.
pub(super) fn conditions(settled: &Settled, vocabulary: &Vocabulary) -> Vec<u32> {
    [
        Token::Layout(settled.seating.layout),
        Token::Key(settled.key),
        Token::Metre(settled.metre),
        vocabulary.tempo(settled.tempo_bpm),
        Token::Density(density_index(settled.density)),
    ]
    .into_iter()
    .filter_map(|token| vocabulary.id(token))
    .collect()
}

/// Writes all bars of a piece; `on_bar` hears of the bars so far after each.
///
/// # Errors
/// [`EngineError::NotANumber`] when the model's logits are broken; [`EngineError::Cancelled`] within
/// a layer's time of a cancel; those of `on_bar`.
pub(super) fn write(
    decoder: &mut Decoder,
    vocabulary: &Vocabulary,
    order: &Order<'_>,
    job: &JobContext,
    on_bar: &mut dyn FnMut(&[Bar]) -> Result<(), EngineError>,
) -> Result<(Vec<Bar>, Tally), EngineError> {
    let settled = order.settled;
    let (given, varied): (&[Bar], &[Bar]) = match order.given {
        Some(given) if given.usage == GivenUse::Continue => (&given.bars, &[]),
        Some(given) => (&[], &given.bars),
        None => (&[], &[]),
    };
    let mut bars = given.to_vec();
    let head = conditions(settled, vocabulary);
    let left = |number: usize| settled.bars - 1 - number as u32;
    let mut written: Vec<Vec<u32>> =
        bars.iter().enumerate().map(|(n, bar)| bar_tokens(bar, left(n), vocabulary)).collect();
    let mut grammar = Grammar::new(settled, vocabulary, varied, bars.len() as u32);
    let mut sampler = TokenSampler::new(order.sampling, order.seed);
    let mut tally = Tally::default();
    let mut current: Vec<u32> = Vec::new();
    // A bar has room before it begins, so that it is never cut in two.
    let room = decoder.context_len().saturating_sub(MAX_BAR_TOKENS + 16);
    let keep = (decoder.context_len() as f32 * KEPT) as usize;
    decoder.truncate(0);
    let prompt = latest(&head, &written, keep);
    tally.read_tokens += prompt.len() as u64;
    let mut logits = decoder.forward(&prompt, job)?;
    while !grammar.is_over() {
        let mut wished = logits.clone();
        for (logit, token) in wished.iter_mut().zip(vocabulary.tokens()) {
            *logit += grammar.wish(*token);
        }
        let allows = |id| vocabulary.token(id).is_some_and(|token| grammar.allows(token));
        let id = sampler.choose(&wished, &current, Some(&allows))?;
        let Some(token) = vocabulary.token(id) else {
            return Err(EngineError::NotANumber { stage: "composer".to_owned() });
        };
        tally.written_tokens += 1;
        let begins = matches!(token, Token::Bar(_));
        let done = grammar.accept(token);
        if let Some(bar) = done {
            bars.push(bar);
            written.push(std::mem::take(&mut current));
            on_bar(&bars)?;
        }
        if grammar.is_over() {
            break;
        }
        if begins && decoder.len() > room {
            // The bar begins behind what is read anew.
            let mut prompt = latest(&head, &written, keep);
            prompt.push(id);
            decoder.truncate(0);
            tally.read_tokens += prompt.len() as u64;
            current.push(id);
            logits = decoder.forward(&prompt, job)?;
            continue;
        }
        current.push(id);
        logits = decoder.forward(&[id], job)?;
    }
    Ok((bars, tally))
}

/// Returns the conditions and as many of the latest bars as fit into `most` tokens.
fn latest(head: &[u32], bars: &[Vec<u32>], most: usize) -> Vec<u32> {
    let mut size = head.len();
    let fits = bars.iter().rev().take_while(|bar| {
        size += bar.len();
        size <= most
    });
    let first = bars.len() - fits.count();
    head.iter().copied().chain(bars[first..].iter().flatten().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_bars_that_fit_are_read_again() {
        let bars = [vec![1; 4], vec![2; 4], vec![3; 4]];
        assert_eq!(latest(&[9], &bars, 9), [9, 2, 2, 2, 2, 3, 3, 3, 3]);
        assert_eq!(latest(&[9], &bars, 3), [9]);
        assert_eq!(latest(&[9], &bars, 100).len(), 13);
    }
}
