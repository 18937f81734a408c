//! `atelier expand`: a short prompt becomes one that the house picture model can draw.

use std::time::Duration;

use atelier_engine::EngineError;
use atelier_engine::library::{HOUSE_WRITER, Models};
use atelier_engine::pipelines::words;
use atelier_engine::protocol::{
    DeviceChoice, ModelRef, Notice, Output, Request, TokenSampling, WordsRequest, WordsTask,
};
use clap::Args;
use serde_json::json;

use super::job::{self, Report};
use super::{Console, Interrupt, Voice, machine, progress, studio};

/// How long the calling thread sleeps at most between two looks at the job.
const PAUSE: Duration = Duration::from_millis(20);

/// Holds the arguments of `atelier expand`.
#[derive(Debug, Clone, Args)]
pub struct ExpandArgs {
    /// The short prompt, for instance "a fox"; without it, a prompt is thought up
    pub prompt: Option<String>,
    /// Model that writes: its name, or the path of a .gguf file
    #[arg(long, value_name = "PATH|NAME", default_value = HOUSE_WRITER)]
    pub model: String,
    /// Seed of the choice. Random when not given
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Prints one JSON object per event
    #[arg(long)]
    pub json: bool,
}

impl ExpandArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        if self.json { Voice::Json } else { Voice::Plain }
    }

    /// Makes the request that the arguments describe.
    pub fn request(&self) -> WordsRequest {
        let task = match &self.prompt {
            Some(prompt) => WordsTask::Expand { prompt: prompt.clone() },
            None => WordsTask::Surprise,
        };
        WordsRequest {
            model: ModelRef::named(&self.model),
            task,
            sampling: TokenSampling::default(),
            max_tokens: 64,
            seed: self.seed.unwrap_or_else(machine::random_seed),
            device: DeviceChoice::Auto,
            keep_logits: false,
        }
    }
}

/// Widens or thinks up a prompt with the models of this machine.
///
/// # Errors
/// Whatever kept it from being written.
pub fn expand(
    arguments: &ExpandArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let request = arguments.request();
    words::validate(&request)?;
    let asked = json!(request);
    let mut report = |report: Report<'_>| {
        match report {
            Report::Started(id) => {
                console.event(&json!({ "event": "started", "job": id, "request": asked }));
            }
            Report::Progress(live) => console.bar(&progress::draw(live)),
            _ => {}
        }
        Ok(())
    };
    let request = Request::Words(Box::new(request));
    let outcome =
        job::run(&studio::engine(Models::standard())?, request, interrupt, PAUSE, &mut report)?;
    let Output::Words(made) = outcome else {
        return Err(EngineError::Model { reason: "no prompt came out".to_owned() });
    };
    for notice in &made.notices {
        let mut event = json!(notice);
        event["event"] = json!("notice");
        console.event(&event);
        if let Some(sentence) = sentence(notice) {
            console.note(&sentence);
        }
    }
    if console.voice() != Voice::Json {
        console.line(&made.text);
    }
    console.note(&format!("Seed {}", made.recipe.seed));
    console.event(&json!({
        "event": "finished",
        "text": made.text,
        "recipe": made.recipe,
        "stats": made.stats,
    }));
    Ok(())
}

fn sentence(notice: &Notice) -> Option<String> {
    match notice {
        Notice::UnknownWords { words } => Some(format!(
            "The picture model does not know these words, so they are left out: {}",
            words.join(", ")
        )),
        Notice::PromptClipped { .. } => Some(
            "The prompt is longer than the picture model reads, so its end is left out".to_owned(),
        ),
        Notice::ModelDiffers { .. } => {
            Some("The recipe names another version of the model, so the text may differ".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        expand: ExpandArgs,
    }

    #[test]
    fn without_a_prompt_one_is_thought_up() {
        let task =
            |words: &[&str]| Line::parse_from([&["expand"], words].concat()).expand.request().task;
        assert_eq!(task(&[]), WordsTask::Surprise);
        assert_eq!(task(&["a fox"]), WordsTask::Expand { prompt: "a fox".to_owned() });
    }
}
