//! `atelier bench sound`: how fast music is composed and rendered.

use std::path::Path;
use std::time::Instant;

use atelier_engine::EngineError;
use atelier_engine::library::{HOUSE_COMPOSER, Models, peak_memory_bytes};
use atelier_engine::pipelines::sound::{self, SoundPipeline};
use atelier_engine::protocol::{
    DeviceChoice, JobContext, ModelRef, MusicPlan, SoundRequest, TokenSampling,
};
use clap::Args;
use serde_json::json;

use super::super::paint::parse_device;
use super::super::{Console, Interrupt};

/// Holds the arguments of `atelier bench sound`.
#[derive(Debug, Clone, Args)]
pub struct SoundArgs {
    /// Composer to measure: its name, or the path of a .gguf file
    #[arg(long, value_name = "PATH|NAME", default_value = HOUSE_COMPOSER)]
    pub model: String,
    /// What is composed
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "a song for flute and piano in C major, 96 bpm"
    )]
    pub prompt: String,
    /// Length of the piece in seconds
    #[arg(long, value_name = "N", default_value_t = 30.0)]
    pub seconds: f32,
    /// Number of runs; medians are shown
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub runs: u16,
    /// Device to compute on: auto, cpu, cuda:N or metal:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = parse_device)]
    pub device: DeviceChoice,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Holds what a run took.
#[derive(Debug, Clone, Copy)]
struct Run {
    compose_secs: f64,
    tokens_per_second: f64,
    render_secs: f64,
    music_secs: f64,
}

/// Measures and prints.
///
/// # Errors
/// Whatever kept a piece from being composed; [`EngineError::Cancelled`] after Ctrl-C.
pub fn bench(
    arguments: &SoundArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let job = JobContext::detached();
    let start = Instant::now();
    let located = Models::standard().locate_language(&arguments.model)?;
    let file = located.open(&mut || job.check())?;
    let path: &Path = &file.path;
    let mut pipeline = SoundPipeline::load(&file.weights, path, arguments.device, &job)?;
    let load_secs = start.elapsed().as_secs_f64();
    let mut runs = Vec::new();
    for run in 0..arguments.runs {
        if interrupt.is_pressed() {
            return Err(EngineError::Cancelled);
        }
        let request = SoundRequest {
            model: ModelRef::named(&arguments.model),
            prompt: arguments.prompt.clone(),
            plan: MusicPlan { duration_secs: Some(arguments.seconds), ..MusicPlan::default() },
            given: None,
            sampling: TokenSampling::for_music(),
            seed: u64::from(run) + 1,
            device: arguments.device,
        };
        let start = Instant::now();
        let composed = pipeline.compose(&request, &job)?;
        let compose_secs = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let pcm = sound::render(&composed.score, &job)?;
        runs.push(Run {
            compose_secs,
            tokens_per_second: composed.tally.written_tokens as f64 / compose_secs,
            render_secs: start.elapsed().as_secs_f64(),
            music_secs: pcm.duration_secs(),
        });
    }
    let of = |pick: fn(&Run) -> f64| median(runs.iter().map(pick).collect());
    let (compose, pace) = (of(|run| run.compose_secs), of(|run| run.tokens_per_second));
    let (render, music) = (of(|run| run.render_secs), of(|run| run.music_secs));
    console.event(&json!({
        "bench": "sound",
        "model": arguments.model,
        "runs": arguments.runs,
        "threads": std::thread::available_parallelism().map_or(1, usize::from),
        "load_secs": load_secs,
        "music_secs": music,
        "compose_secs": compose,
        "tokens_per_second": pace,
        "render_secs": render,
        "peak_memory_bytes": peak_memory_bytes(),
    }));
    if !arguments.json {
        let memory = peak_memory_bytes()
            .map_or("not known here".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000));
        console.line(&format!("{}, medians of {} runs", arguments.model, arguments.runs));
        console.line(&format!("load: {load_secs:.3} s"));
        console.line(&format!("compose: {compose:.2} s for {music:.1} s of music"));
        console.line(&format!("notes: {pace:.0} tokens a second"));
        console.line(&format!("render: {render:.2} s"));
        console.line(&format!("peak memory: {memory}"));
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
