//! What is told of a result beside its file, in every command that paints or enlarges.

use atelier_engine::protocol::{Notice, PromptIssue};
use serde_json::json;

use super::Console;

/// Tells a notice: as an event, and as a sentence where there is one.
pub(super) fn tell(notice: &Notice, console: &mut Console) {
    let mut event = json!(notice);
    event["event"] = json!("notice");
    console.event(&event);
    let sentence = match notice {
        Notice::UnknownWords { words } => {
            format!(
                "The model does not know these words, so they had no influence: {}",
                words.join(", ")
            )
        }
        Notice::PromptClipped { kept, dropped } => format!(
            "The prompt is longer than the model reads: {kept} tokens were read, {dropped} were not"
        ),
        Notice::ModelDiffers { .. } => {
            "The recipe names another version of the model, so the picture may differ".to_owned()
        }
        Notice::Prompt { issue, text } => format!("{}: {text}", issue_text(issue)),
        Notice::LoraUnmatched { name, count, examples } => format!(
            "{count} parts of the LoRA {name} fit nothing in this model, for instance: {}",
            examples.join("; ")
        ),
        Notice::SavedMemory { needed_bytes, free_bytes } => format!(
            "The model is fastest with {:.1} GB and {:.1} GB are free, so its parts were in memory one after the other",
            *needed_bytes as f64 / 1e9,
            *free_bytes as f64 / 1e9
        ),
        Notice::DecodedInTiles { reason: None } => {
            "The picture was decoded in tiles, to save memory".to_owned()
        }
        Notice::DecodedInTiles { reason: Some(reason) } => {
            format!("Decoding at once failed, so the picture was decoded in tiles: {reason}")
        }
        Notice::Unusual { sentence } => sentence.clone(),
        _ => return,
    };
    console.note(&sentence);
}

/// Says what there is to know about words of a prompt.
fn issue_text(issue: &PromptIssue) -> &'static str {
    match issue {
        PromptIssue::And => "Prompts are not composed; this is read as a word",
        PromptIssue::SeveralChoices => "One choice is taken, not several",
        PromptIssue::Network => "This network has no effect",
        PromptIssue::UnknownLora => "There is no LoRA of this name",
        PromptIssue::UnknownWildcard => "There is no list of words of this name",
        PromptIssue::Clipped => "The prompt is too long; what follows is not read",
        PromptIssue::TooDeep => "These brackets lie too deep within each other",
        _ => "This may not do what it should",
    }
}
