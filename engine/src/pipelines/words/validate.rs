//! What a request for words may ask.

use crate::error::EngineError;
use crate::protocol::{WordsRequest, WordsTask};
use crate::sampling::TokenSampler;

/// The longest text that is read, in bytes; far more than any context holds.
pub const MAX_TEXT_BYTES: usize = 4 << 20;
/// The most tokens that one request may ask for.
pub const MAX_TOKENS: u32 = 32_768;

/// Checks a request before a model is loaded for it.
///
/// # Errors
/// [`EngineError::InvalidSetting`] with what may be asked, [`EngineError::EmptyPrompt`].
pub fn validate(request: &WordsRequest) -> Result<(), EngineError> {
    TokenSampler::validate(&request.sampling)?;
    if !(1..=MAX_TOKENS).contains(&request.max_tokens) {
        let reason = format!("must lie between 1 and {MAX_TOKENS}, not {}", request.max_tokens);
        return Err(EngineError::invalid("number of tokens", reason));
    }
    let length = match &request.task {
        WordsTask::Continue { text } => text.len(),
        WordsTask::Chat { system, turns } => {
            if turns.is_empty() {
                return Err(EngineError::invalid("conversation", "has no turn to answer"));
            }
            system.len() + turns.iter().map(|turn| turn.text.len()).sum::<usize>()
        }
        WordsTask::Expand { prompt } => {
            if prompt.trim().is_empty() {
                return Err(EngineError::EmptyPrompt);
            }
            prompt.len()
        }
        WordsTask::Surprise => 0,
    };
    if length > MAX_TEXT_BYTES {
        let reason = format!("is longer than {} MiB", MAX_TEXT_BYTES >> 20);
        return Err(EngineError::invalid("text", reason));
    }
    Ok(())
}
