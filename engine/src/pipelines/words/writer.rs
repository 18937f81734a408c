//! The loop over tokens, for every pipeline that writes with a decoder.

use std::time::Instant;

use crate::error::EngineError;
use crate::models::language::Decoder;
use crate::protocol::{JobContext, Live, Stage, WordsEnd, WordsStats};
use crate::sampling::TokenSampler;

/// Says whether a token may come after those that were written.
pub(crate) type Allowed<'a> = dyn Fn(&[u32], u32) -> bool + 'a;

/// Says what is to be written.
pub(crate) struct Order<'a> {
    /// The tokens that it follows; at least one.
    pub(crate) prompt: &'a [u32],
    /// The most tokens that are written.
    pub(crate) max_tokens: usize,
    /// Tells whether a token ends the text.
    pub(crate) is_end: &'a dyn Fn(u32) -> bool,
    /// Tells, from the tokens written so far, whether a token may come next.
    pub(crate) allowed: Option<&'a Allowed<'a>>,
}

/// Shows a token that was just chosen.
pub(crate) struct Chosen<'a> {
    /// The token.
    pub(crate) token: u32,
    /// Whether it ends the text.
    pub(crate) is_end: bool,
    /// The logits that it was chosen from: `[vocabulary]`.
    pub(crate) logits: &'a [f32],
}

/// Says whether there is more to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next token is wanted.
    GoOn,
    /// The text is over.
    Stop,
}

/// Reads a prompt, as far as the decoder does not hold it already, and writes what follows.
/// `on_token` hears of each token and may end the text.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when the prompt is empty or leaves no room;
/// [`EngineError::NotANumber`] when logits are broken or nothing is allowed;
/// [`EngineError::Cancelled`] within a layer's time of a cancel; those of `on_token`.
pub(crate) fn write(
    decoder: &mut Decoder,
    sampler: &mut TokenSampler,
    order: &Order<'_>,
    job: &JobContext,
    on_token: &mut dyn FnMut(Chosen<'_>) -> Result<Then, EngineError>,
) -> Result<(WordsStats, WordsEnd), EngineError> {
    let (prompt, context) = (order.prompt, decoder.context_len());
    if prompt.is_empty() {
        return Err(EngineError::invalid("text", "is empty; write a few words to begin with"));
    }
    if prompt.len() >= context {
        let reason =
            format!("has {} tokens, and the model holds {context} with its answer", prompt.len());
        return Err(EngineError::invalid("text", reason));
    }
    let begun = Instant::now();
    let same = decoder.tokens().iter().zip(prompt).take_while(|(a, b)| a == b).count();
    // The last token is always read, for its logits.
    let cached = same.min(prompt.len() - 1);
    decoder.truncate(cached);
    let mut stats = WordsStats {
        prompt_tokens: number(prompt.len()),
        cached_tokens: number(cached),
        context_tokens: number(context),
        ..WordsStats::default()
    };
    let total = number(prompt.len() - cached);
    let mut logits = decoder.forward_checking(&prompt[cached..], &mut |read| {
        let steps = Some([number(read), total]);
        stats.prefill_secs = begun.elapsed().as_secs_f64();
        job.report(Live { stage: Stage::Reading, steps, words: Some(stats), ..Live::default() })
    })?;
    stats.prefill_secs = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let mut all = prompt.to_vec();
    loop {
        let written = &all[prompt.len()..];
        let token = match order.allowed {
            None => sampler.choose(&logits, &all, None)?,
            Some(allowed) => {
                sampler.choose(&logits, &all, Some(&|token| allowed(written, token)))?
            }
        };
        let is_end = (order.is_end)(token);
        let then = on_token(Chosen { token, is_end, logits: &logits })?;
        stats.decode_secs = begun.elapsed().as_secs_f64();
        if is_end {
            return Ok((stats, WordsEnd::EndOfText));
        }
        stats.written_tokens += 1;
        all.push(token);
        let steps = Some([stats.written_tokens, number(order.max_tokens)]);
        job.report(Live { stage: Stage::Writing, steps, words: Some(stats), ..Live::default() })?;
        if then == Then::Stop {
            return Ok((stats, WordsEnd::EndOfText));
        }
        if stats.written_tokens as usize >= order.max_tokens {
            return Ok((stats, WordsEnd::MaxTokens));
        }
        if all.len() >= context {
            return Ok((stats, WordsEnd::ContextFull));
        }
        logits = decoder.forward(&[token], job)?;
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
