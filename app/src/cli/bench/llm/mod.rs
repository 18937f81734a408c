//! `atelier bench llm`: how fast a language model reads and writes.
//!
//! A model of the library is measured through the whole engine, as a person uses it. A random model
//! of a known shape (`--shape`), or a file with `--bare`, is measured by the decoder alone, beside
//! candle's products on the same weights.

mod bare;
mod shape;

use std::time::{Duration, Instant};

use atelier_engine::EngineError;
use atelier_engine::library::{HOUSE_WRITER, Models, peak_memory_bytes};
use atelier_engine::protocol::{
    DeviceChoice, ModelRef, Output, Request, Stage, TokenSampling, WordsRequest, WordsStats,
    WordsTask,
};
use clap::Args;
use serde_json::{Value, json};

use super::super::job::{self, Report};
use super::super::paint::parse_device;
use super::super::{Console, Interrupt, studio};

/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// What the model reads, repeated until it is long enough.
const TEXT: &str = "The tide came in twice that day, and each time it brought something else. ";

/// Holds the arguments of `atelier bench llm`.
#[derive(Debug, Clone, Args)]
pub struct LlmArgs {
    /// Model to measure: its name, or the path of a .gguf file
    #[arg(long, value_name = "PATH|NAME", default_value = HOUSE_WRITER)]
    pub model: String,
    /// Characters of the text that is read
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub characters: u32,
    /// Tokens that are written
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub tokens: u32,
    /// Number of runs with the model in memory; the fastest is shown, or with --shape or --bare the
    /// median
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub runs: u16,
    /// Device to compute on: auto, cpu, cuda:N or metal:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = parse_device)]
    pub device: DeviceChoice,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    bare: bare::BareArgs,
}

impl LlmArgs {
    /// Makes the request of a run. Runs begin differently, so that none finds the text of another
    /// in the model's cache.
    fn request(&self, run: u16) -> WordsRequest {
        let text: String = format!("{run}. ")
            .chars()
            .chain(TEXT.chars().cycle())
            .take(self.characters as usize)
            .collect();
        WordsRequest {
            model: ModelRef::named(&self.model),
            task: WordsTask::Continue { text },
            sampling: TokenSampling::default(),
            max_tokens: self.tokens,
            seed: u64::from(run),
            device: self.device,
            keep_logits: false,
        }
    }
}

fn per_second(tokens: u32, secs: f64) -> f64 {
    if secs > 0.0 { f64::from(tokens) / secs } else { 0.0 }
}

fn prefill(stats: &WordsStats) -> f64 {
    per_second(stats.prompt_tokens - stats.cached_tokens, stats.prefill_secs)
}

fn decode(stats: &WordsStats) -> f64 {
    per_second(stats.written_tokens, stats.decode_secs)
}

/// Measures and prints.
///
/// # Errors
/// Whatever kept a text from being written.
pub fn bench(
    arguments: &LlmArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    if arguments.bare.is_wanted() {
        return bare::bench(arguments, console, interrupt);
    }
    let engine = studio::engine(Models::standard())?;
    let mut load_secs = None;
    let mut all = Vec::new();
    for run in 0..=arguments.runs {
        let start = Instant::now();
        let request = Request::Words(Box::new(arguments.request(run)));
        let made = job::run(&engine, request, interrupt, LOOK, &mut |report| {
            if let Report::Progress(live) = report
                && live.stage != Stage::Loading
                && live.stage != Stage::Waiting
            {
                load_secs.get_or_insert(start.elapsed().as_secs_f64());
            }
            Ok(())
        })?;
        if let Output::Words(made) = made {
            all.push(made.stats);
        }
    }
    let load_secs = load_secs.unwrap_or_default();
    // The first run makes copies of the matrices that later runs find.
    let warm = all.get(1..).unwrap_or_default();
    let most = |pick: fn(&WordsStats) -> f64| warm.iter().map(pick).fold(0.0, f64::max);
    let (reads, writes) = (most(prefill), most(decode));
    console.event(&in_json(arguments, load_secs, reads, writes, &all));
    if !arguments.json {
        let last = all.last().copied().unwrap_or_default();
        let memory = peak_memory_bytes()
            .map_or("not known here".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000));
        console.line(&format!("{}, fastest of {} runs", arguments.model, arguments.runs));
        console.line(&format!("load: {load_secs:.3} s"));
        console.line(&format!("reads {reads:.0} tokens a second ({} tokens)", last.prompt_tokens));
        console
            .line(&format!("writes {writes:.1} tokens a second ({} tokens)", last.written_tokens));
        console.line(&format!("peak memory: {memory}"));
    }
    Ok(())
}

fn in_json(
    arguments: &LlmArgs,
    load_secs: f64,
    prefill_per_second: f64,
    decode_per_second: f64,
    runs: &[WordsStats],
) -> Value {
    json!({
        "bench": "llm",
        "model": arguments.model,
        "runs": arguments.runs,
        "threads": std::thread::available_parallelism().map_or(1, usize::from),
        "load_secs": load_secs,
        "prefill_tokens_per_second": prefill_per_second,
        "decode_tokens_per_second": decode_per_second,
        "peak_memory_bytes": peak_memory_bytes(),
        "cold": runs.first(),
        "warm": runs.get(1..),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_every_number_that_is_asked_for() {
        let arguments = LlmArgs {
            model: "x".to_owned(),
            characters: 10,
            tokens: 4,
            runs: 1,
            device: DeviceChoice::Cpu,
            json: true,
            bare: bare::BareArgs::default(),
        };
        let stats = WordsStats {
            prompt_tokens: 30,
            cached_tokens: 10,
            written_tokens: 8,
            prefill_secs: 0.5,
            decode_secs: 2.0,
            ..WordsStats::default()
        };
        let value = in_json(&arguments, 0.1, prefill(&stats), decode(&stats), &[stats, stats]);
        assert_eq!(value["prefill_tokens_per_second"], 40.0);
        assert_eq!(value["decode_tokens_per_second"], 4.0);
        assert_eq!(value["warm"].as_array().map(Vec::len), Some(1));
        let WordsTask::Continue { text } = arguments.request(3).task else { return };
        assert!(text.starts_with("3. ") && text.len() == 10);
    }
}
