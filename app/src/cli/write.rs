//! `atelier write`: a language model goes on with a text, or answers.

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;

use atelier_engine::EngineError;
use atelier_engine::library::{HOUSE_WRITER, Models, peak_memory_bytes};
use atelier_engine::pipelines::words;
use atelier_engine::protocol::{
    DeviceChoice, ModelRef, Notice, Output, Request, Role, TokenSampling, Turn, WordsEnd,
    WordsOutput, WordsRequest, WordsTask,
};
use atelier_engine::store::files;
use clap::Args;
use serde_json::json;

use super::job::{self, Report};
use super::paint::parse_device;
use super::{Console, Interrupt, Voice, latents, machine, output, progress, studio};

/// How long the calling thread sleeps at most between two looks at the job.
const PAUSE: Duration = Duration::from_millis(20);

/// The most that is read from standard input, in bytes: more than any context holds.
const INPUT_MAX_BYTES: u64 = 4 << 20;

/// Holds the arguments of `atelier write`.
#[derive(Debug, Clone, Args)]
pub struct WriteArgs {
    /// What to answer or to go on with; without it, or with `-`, standard input is read
    pub prompt: Option<String>,
    /// Model to write with: its name, or the path of a .gguf file
    #[arg(long, value_name = "PATH|NAME", default_value = HOUSE_WRITER)]
    pub model: String,
    /// What the model is told about its part; the prompt is then answered
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Answers the prompt, as in a conversation: the default for models made for it
    #[arg(long, conflicts_with = "continue_text")]
    pub chat: bool,
    /// Goes on with the prompt as it stands
    #[arg(long = "continue", conflicts_with = "system")]
    pub continue_text: bool,
    /// The most tokens to write
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub max_tokens: u32,
    /// How freely tokens are chosen, 0 to 5; 0 always takes the likeliest
    #[arg(long, value_name = "F", default_value_t = 0.8, allow_negative_numbers = true)]
    pub temperature: f32,
    /// Only this many of the likeliest tokens; 0 is off
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub top_k: u32,
    /// Only the likeliest tokens that make up this share, 0 to 1; 1 is off
    #[arg(long, value_name = "F", default_value_t = 0.95, allow_negative_numbers = true)]
    pub top_p: f32,
    /// Only tokens at least this share as likely as the likeliest, 0 to 1; 0 is off
    #[arg(long, value_name = "F", default_value_t = 0.05, allow_negative_numbers = true)]
    pub min_p: f32,
    /// Makes tokens that were written already less likely, 0.5 to 2; 1 is off
    #[arg(long, value_name = "F", default_value_t = 1.1, allow_negative_numbers = true)]
    pub repetition_penalty: f32,
    /// Seed of the choice. Random when not given
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Writes the logits of every token: tensors `logits` and `tokens`
    #[arg(long, value_name = "FILE.safetensors")]
    pub save_logits: Option<PathBuf>,
    /// Device to compute on: auto, cpu, cuda:N or metal:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = parse_device)]
    pub device: DeviceChoice,
    /// Prints one JSON object per event
    #[arg(long)]
    pub json: bool,
}

impl WriteArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        if self.json { Voice::Json } else { Voice::Plain }
    }

    /// Makes the request that the arguments describe; `can_chat` says whether the model was made
    /// for conversations.
    pub fn request(&self, prompt: String, can_chat: bool) -> WordsRequest {
        let answers = self.chat || self.system.is_some() || (can_chat && !self.continue_text);
        let task = if answers {
            WordsTask::Chat {
                system: self.system.clone().unwrap_or_default(),
                turns: vec![Turn { role: Role::User, text: prompt.trim_end().to_owned() }],
            }
        } else {
            WordsTask::Continue { text: prompt }
        };
        WordsRequest {
            model: ModelRef::named(&self.model),
            task,
            sampling: TokenSampling {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                min_p: self.min_p,
                repetition_penalty: self.repetition_penalty,
            },
            max_tokens: self.max_tokens,
            seed: self.seed.unwrap_or_else(machine::random_seed),
            device: self.device,
            keep_logits: self.save_logits.is_some(),
        }
    }
}

/// Writes what the arguments describe with the models of this machine.
///
/// # Errors
/// Whatever kept it from being written.
pub fn write(
    arguments: &WriteArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    if let Some(path) = &arguments.save_logits {
        output::check_file("save-logits", path)?;
    }
    let models = Models::standard();
    let located = models.locate_language(&arguments.model)?;
    let can_chat = !arguments.continue_text && located.can_chat();
    let request = arguments.request(read_prompt(arguments.prompt.as_deref())?, can_chat);
    words::validate(&request)?;
    let asked = json!(request);
    let mut wrote_text = false;
    let mut report = |report: Report<'_>| {
        match report {
            Report::Started(id) => {
                console.event(&json!({ "event": "started", "job": id, "request": asked }));
            }
            Report::Progress(live) => {
                // A bar would run into the text.
                if !wrote_text {
                    console.bar(&progress::draw(live));
                }
            }
            Report::Text(text) => {
                if console.voice() == Voice::Json {
                    console.event(&json!({ "event": "text", "text": text }));
                } else {
                    if !wrote_text {
                        console.end_bar();
                    }
                    console.bytes(text.as_bytes());
                }
                wrote_text = true;
            }
            Report::Picture(_) => {}
        }
        Ok(())
    };
    let words = Request::Words(Box::new(request));
    let outcome =
        job::run(&studio::engine(Models::standard())?, words, interrupt, PAUSE, &mut report);
    if wrote_text && console.voice() != Voice::Json {
        console.bytes(b"\n");
    }
    let Output::Words(made) = outcome? else {
        return Err(EngineError::Model { reason: "no text came out".to_owned() });
    };
    if let (Some(path), Some(logits)) = (&arguments.save_logits, &made.logits) {
        files::write_atomic(path, &latents::encode_logits(logits)?)?;
    }
    tell_end(&made, console);
    Ok(())
}

/// Returns the prompt, from standard input where none is given.
fn read_prompt(given: Option<&str>) -> Result<String, EngineError> {
    if let Some(text) = given.filter(|text| *text != "-") {
        return Ok(text.to_owned());
    }
    let input = io::stdin();
    if given.is_none() && input.is_terminal() {
        return Err(EngineError::EmptyPrompt);
    }
    let mut bytes = Vec::new();
    let failed = |error: io::Error| EngineError::io("read the prompt", "standard input", &error);
    input.lock().take(INPUT_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > INPUT_MAX_BYTES {
        return Err(EngineError::invalid("prompt", "is longer than 4 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| EngineError::invalid("prompt", "is not UTF-8 text"))
}

fn tell_end(made: &WordsOutput, console: &mut Console) {
    let stats = &made.stats;
    let per_second = |tokens: u32, secs: f64| {
        if secs > 0.0 { f64::from(tokens) / secs } else { 0.0 }
    };
    let read = stats.prompt_tokens - stats.cached_tokens;
    for notice in &made.notices {
        let mut event = json!(notice);
        event["event"] = json!("notice");
        console.event(&event);
        if let Notice::ModelDiffers { .. } = notice {
            console.note("The recipe names another version of the model, so the text may differ");
        }
    }
    let ended = match made.ended {
        WordsEnd::EndOfText => "",
        WordsEnd::MaxTokens => ", stopped at the most tokens asked for",
        WordsEnd::ContextFull => ", stopped because the model holds no more",
        _ => "",
    };
    console.note(&format!(
        "Seed {}, {} tokens at {:.1} a second{ended}",
        made.recipe.seed,
        stats.written_tokens,
        per_second(stats.written_tokens, stats.decode_secs),
    ));
    console.event(&json!({
        "event": "finished",
        "text": made.text,
        "ended": made.ended,
        "recipe": made.recipe,
        "stats": stats,
        "prefill_tokens_per_second": per_second(read, stats.prefill_secs),
        "decode_tokens_per_second": per_second(stats.written_tokens, stats.decode_secs),
        "peak_memory_bytes": peak_memory_bytes(),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        write: WriteArgs,
    }

    fn request(words: &[&str], can_chat: bool) -> WordsRequest {
        let line = Line::parse_from([&["write"], words].concat());
        line.write.request(line.write.prompt.clone().unwrap_or_default(), can_chat)
    }

    #[test]
    fn a_model_for_conversations_answers_unless_told_to_go_on() {
        assert!(matches!(request(&["Hi"], true).task, WordsTask::Chat { .. }));
        assert!(matches!(request(&["Hi"], false).task, WordsTask::Continue { .. }));
        assert!(matches!(request(&["Hi", "--continue"], true).task, WordsTask::Continue { .. }));
        let told = request(&["Hi", "--system", "Be brief"], false).task;
        assert!(matches!(told, WordsTask::Chat { system, .. } if system == "Be brief"));
    }

    #[test]
    fn settings_reach_the_request() {
        let made = request(&["x", "--temperature", "0", "--seed", "9", "--max-tokens", "5"], false);
        assert_eq!((made.sampling.temperature, made.seed, made.max_tokens), (0.0, 9, 5));
    }
}
