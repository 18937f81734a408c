//! `atelier bench picture`: a process of its own for the cold start, then runs in this one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use atelier_engine::EngineError;
use atelier_engine::library::{HOUSE_PICTURE, Models};
use atelier_engine::protocol::{PictureRequest, PreviewMode, Request};
use atelier_engine::service::Engine;
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::job::{self, Report};
use super::super::{Console, Interrupt, paint, studio};
use super::timeline::{Timeline, Times, median};

/// How often progress is looked at. The mailbox keeps the latest report only, so this bounds how
/// exactly the parts of a job are told apart.
const LOOK: Duration = Duration::from_micros(500);

const PROMPT: &str = "a red fox in the snow";

/// Holds the arguments of `atelier bench picture`.
#[derive(Debug, Clone, Args)]
pub struct PictureArgs {
    /// Number of warm runs; the median is shown
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub runs: u16,
    /// Model to measure: its name, or the path of its folder
    #[arg(long, value_name = "NAME|PATH", default_value = HOUSE_PICTURE)]
    pub model: String,
    /// Width in pixels
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub width: u32,
    /// Height in pixels
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub height: u32,
    /// Sampling steps
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub steps: u32,
    /// Device to compute on: auto, cpu, cuda:N or metal:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
}

impl PictureArgs {
    /// Returns the command line that paints what is measured.
    fn paint_words(&self, output: &Path) -> Vec<String> {
        let mut words: Vec<String> =
            ["paint", PROMPT, "--json", "--seed", "1"].map(str::to_owned).into();
        let numbers = [("--width", self.width), ("--height", self.height), ("--steps", self.steps)];
        for (name, number) in numbers {
            words.extend([name.to_owned(), number.to_string()]);
        }
        let texts = [("--model", self.model.clone()), ("--device", self.device.clone())];
        for (name, text) in texts {
            words.extend([name.to_owned(), text]);
        }
        words.extend(["--output".to_owned(), output.to_string_lossy().into_owned()]);
        words
    }

    fn request(&self) -> Result<PictureRequest, EngineError> {
        let mut request = paint::example_request(PROMPT);
        request.model.name.clone_from(&self.model);
        request.size.width_px = self.width;
        request.size.height_px = self.height;
        request.sampling.steps = self.steps;
        request.device = paint::parse_device(&self.device)
            .map_err(|reason| EngineError::invalid("device", format!("is not known: {reason}")))?;
        Ok(request)
    }
}

/// Holds what was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Measured {
    /// From starting a process to the whole file, and the most memory that process used.
    process_secs: f64,
    peak_memory_bytes: Option<u64>,
    /// The first run in a process: the model is loaded.
    cold: Times,
    /// The median of the later runs.
    warm: Times,
    /// The same with a preview after each step.
    with_preview: Times,
    /// How much longer a job takes with previews, in percent; below 0 when noise is larger.
    preview_percent: f64,
}

/// Compares the fastest runs: what else the machine does slows runs down and never speeds one up.
fn percent_longer(runs: &[Times], than: &[Times]) -> f64 {
    let fastest =
        |runs: &[Times]| runs.iter().map(|times| times.total_secs).fold(f64::MAX, f64::min);
    (fastest(runs) / fastest(than) - 1.0) * 100.0
}

/// Measures and prints.
///
/// # Errors
/// Whatever kept a picture from being painted.
pub fn bench(
    arguments: &PictureArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let request = arguments.request()?;
    console.note("Measuring the cold start in a process of its own…");
    let (process_secs, peak_memory_bytes) = cold_process(arguments)?;
    let engine = studio::engine(Models::standard())?;
    console.note(&format!("Measuring {} runs, and as many with previews…", arguments.runs));
    let cold = run_once(&engine, &request, interrupt)?;
    let previewed = PictureRequest { preview: PreviewMode::EveryStep, ..request.clone() };
    let (mut warm, mut with_preview) = (Vec::new(), Vec::new());
    // In turns, so that what else the machine does meanwhile burdens both alike.
    for _ in 0..arguments.runs {
        warm.push(run_once(&engine, &request, interrupt)?);
        with_preview.push(run_once(&engine, &previewed, interrupt)?);
    }
    let preview_percent = percent_longer(&with_preview, &warm);
    let (warm, with_preview) = (median(&warm), median(&with_preview));
    let measured =
        Measured { process_secs, peak_memory_bytes, cold, warm, with_preview, preview_percent };
    console.event(&in_json(arguments, &measured));
    if !arguments.json {
        for line in in_words(arguments, &measured) {
            console.line(&line);
        }
    }
    Ok(())
}

/// Removes the cold start's picture however the measuring ends.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn cold_process(arguments: &PictureArgs) -> Result<(f64, Option<u64>), EngineError> {
    let program = std::env::current_exe()
        .map_err(|error| EngineError::io("find the program", "atelier", &error))?;
    let file = std::env::temp_dir().join(format!("atelier-bench-{}.png", std::process::id()));
    let file = Removed(file);
    let start = Instant::now();
    let output = Command::new(&program)
        .args(arguments.paint_words(&file.0))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| EngineError::io("start the program", &program, &error))?;
    let seconds = start.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stdout);
    let last: Value =
        text.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    match last["event"].as_str() {
        Some("finished") => Ok((seconds, last["peak_memory_bytes"].as_u64())),
        Some("cancelled") => Err(EngineError::Cancelled),
        _ => Err(serde_json::from_value(last["error"].clone()).unwrap_or_else(|_| {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or("nothing");
            EngineError::Model { reason: format!("the cold start ended saying {said}") }
        })),
    }
}

fn run_once(
    engine: &Engine,
    request: &PictureRequest,
    interrupt: &Interrupt,
) -> Result<Times, EngineError> {
    let mut timeline = Timeline::default();
    let start = Instant::now();
    let request = Request::Picture(Box::new(request.clone()));
    job::run(engine, request, interrupt, LOOK, &mut |report| {
        if let Report::Progress(live) = report {
            timeline.note(start.elapsed(), live);
        }
        Ok(())
    })?;
    Ok(timeline.times(start.elapsed()))
}

fn in_json(arguments: &PictureArgs, measured: &Measured) -> Value {
    json!({
        "bench": "picture",
        "model": arguments.model,
        "device": arguments.device,
        "width_px": arguments.width,
        "height_px": arguments.height,
        "steps": arguments.steps,
        "runs": arguments.runs,
        "threads": std::thread::available_parallelism().map_or(1, usize::from),
        "process_secs": measured.process_secs,
        "peak_memory_bytes": measured.peak_memory_bytes,
        "cold": measured.cold,
        "warm": measured.warm,
        "with_preview": measured.with_preview,
        "preview_percent": measured.preview_percent,
    })
}

fn in_words(arguments: &PictureArgs, measured: &Measured) -> Vec<String> {
    let PictureArgs { model, device, width, height, steps, runs, .. } = arguments;
    let (cold, warm, preview) = (&measured.cold, &measured.warm, &measured.with_preview);
    let row = |name: &str, pick: fn(&Times) -> f64| {
        format!("{name:<12} {:>9.3} {:>9.3} {:>13.3}", pick(cold), pick(warm), pick(preview))
    };
    let memory = measured
        .peak_memory_bytes
        .map_or("not known here".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000));
    vec![
        format!("{model}, {width}×{height}, {steps} steps, device {device}, median of {runs}"),
        format!("{:<12} {:>9} {:>9} {:>13}", "seconds", "cold", "warm", "with preview"),
        row("load", |times| times.load_secs),
        row("first step", |times| times.first_step_secs),
        row("per step", |times| times.per_step_secs),
        row("decode", |times| times.decode_secs),
        row("total", |times| times.total_secs),
        format!("from process start to file: {:.3} s", measured.process_secs),
        format!("peak memory: {memory}"),
        format!("previews cost: {:.1} %", measured.preview_percent),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let times = |total_secs| Times { total_secs, ..Times::default() };
        Measured {
            process_secs: 2.5,
            peak_memory_bytes: Some(400_000_000),
            cold: times(2.0),
            warm: times(1.0),
            with_preview: times(1.03),
            preview_percent: 3.0,
        }
    }

    fn arguments() -> PictureArgs {
        PictureArgs {
            runs: 3,
            model: "house-picture".to_owned(),
            width: 256,
            height: 256,
            steps: 20,
            device: "cpu".to_owned(),
            json: true,
        }
    }

    #[test]
    fn json_has_every_number_that_is_asked_for() {
        let value = in_json(&arguments(), &measured());
        for part in ["cold", "warm", "with_preview"] {
            for name in
                ["load_secs", "first_step_secs", "per_step_secs", "decode_secs", "total_secs"]
            {
                assert!(value[part][name].is_number(), "{part}.{name} in {value}");
            }
        }
        assert_eq!(value["peak_memory_bytes"], 400_000_000);
        assert!((value["preview_percent"].as_f64().unwrap_or_default() - 3.0).abs() < 1e-6);
    }

    #[test]
    fn the_table_names_what_it_measured() {
        let text = in_words(&arguments(), &measured()).join("\n");
        for expected in ["256×256", "per step", "2.500 s", "400 MB", "3.0 %"] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }

    #[test]
    fn previews_are_judged_by_the_runs_that_nothing_disturbed() {
        let times = |total_secs| Times { total_secs, ..Times::default() };
        let percent = percent_longer(&[times(3.0), times(1.1)], &[times(1.0), times(9.0)]);
        assert!((percent - 10.0).abs() < 1e-6, "{percent}");
    }

    #[test]
    fn an_unknown_device_is_wrong_input() {
        let arguments = PictureArgs { device: "tpu".to_owned(), ..arguments() };
        assert!(arguments.request().is_err_and(|error| error.is_wrong_input()));
    }
}
