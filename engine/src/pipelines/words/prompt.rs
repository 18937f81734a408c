//! The tokens that an answer follows.

use crate::error::EngineError;
use crate::models::language::{ChatTemplate, Message, Tokenizer};
use crate::protocol::{Role, Turn};

/// What a model without a template would say instead of ending its turn.
const STOPS: [&str; 2] = ["\nUser:", "\nAssistant:"];

/// Holds what a text follows and what ends it beside the model's own signs.
pub(super) struct Prompt {
    pub(super) tokens: Vec<u32>,
    pub(super) stops: &'static [&'static str],
}

/// Returns the tokens of a text that is to be continued.
pub(super) fn continued(tokenizer: &Tokenizer, text: &str) -> Prompt {
    Prompt { tokens: tokenizer.encode_beginning(text), stops: &[] }
}

/// Returns the tokens of a conversation up to where the assistant goes on.
///
/// # Errors
/// [`EngineError::Template`].
pub(super) fn chat(
    tokenizer: &Tokenizer,
    template: Option<&ChatTemplate>,
    system: &str,
    turns: &[Turn],
) -> Result<Prompt, EngineError> {
    // The assistant's last turn is not closed, so that the model goes on with it.
    let (turns, begun) = match turns.split_last() {
        Some((last, before)) if last.role == Role::Assistant => (before, last.text.as_str()),
        _ => (turns, ""),
    };
    let Some(template) = template else {
        return Ok(plain(tokenizer, system, turns, begun));
    };
    let message = |role, text: &str| Message { role, content: tokenizer.guard(text) };
    let mut messages: Vec<Message> = turns
        .iter()
        .map(|turn| match turn.role {
            Role::User => message("user", &turn.text),
            Role::Assistant => message("assistant", &turn.text),
        })
        .collect();
    let system = system.trim();
    let mut text = if system.is_empty() {
        template.render(&messages)?
    } else {
        let mut with_system = messages.clone();
        with_system.insert(0, message("system", system));
        match (template.render(&with_system), messages.first_mut()) {
            // Some templates know no system message; the first turn carries it then.
            (Err(_), Some(first)) => {
                first.content = format!("{}\n\n{}", tokenizer.guard(system), first.content);
                template.render(&messages)?
            }
            (rendered, _) => rendered?,
        }
    };
    text.push_str(&tokenizer.guard(begun));
    Ok(Prompt { tokens: tokenizer.encode_template(&text), stops: &[] })
}

/// Writes a conversation as a plain text, for models that were not made for any.
fn plain(tokenizer: &Tokenizer, system: &str, turns: &[Turn], begun: &str) -> Prompt {
    let mut text = String::new();
    if !system.trim().is_empty() {
        text.push_str(system.trim());
        text.push_str("\n\n");
    }
    for turn in turns {
        let name = match turn.role {
            Role::User => "User",
            Role::Assistant => "Assistant",
        };
        text.push_str(&format!("{name}: {}\n", turn.text.trim()));
    }
    text.push_str("Assistant:");
    if !begun.is_empty() {
        text.push(' ');
        text.push_str(begun.trim_start());
    }
    Prompt { tokens: tokenizer.encode_beginning(&text), stops: &STOPS }
}
