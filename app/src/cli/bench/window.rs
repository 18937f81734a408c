//! `atelier bench window`: how long the window's frames take while a job runs.

use std::path::PathBuf;

use atelier_engine::EngineError;
use clap::Args;
use serde_json::json;

use super::super::Console;
use crate::frame_bench::FrameJob;

/// Holds the arguments of `atelier bench window`.
#[derive(Debug, Clone, Args)]
pub struct WindowArgs {
    /// Number of pictures to paint meanwhile
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub pictures: u32,
    /// Checkpoint that paints in place of the house model
    #[arg(long, value_name = "PATH")]
    pub model: Option<PathBuf>,
    /// Number of steps, when not those that the model is given by itself
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=150))]
    pub steps: Option<u32>,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Measures and prints.
///
/// # Errors
/// [`EngineError::Model`] when the window could not be measured.
pub fn bench(arguments: &WindowArgs, console: &mut Console) -> Result<(), EngineError> {
    let folder = std::env::temp_dir().join(format!("atelier-bench-{}", std::process::id()));
    let job = FrameJob {
        pictures: arguments.pictures,
        model: arguments.model.clone(),
        steps: arguments.steps,
    };
    let measured = crate::bench_frames(&folder, &job);
    // Only pictures that nobody asked for are lost.
    let _ = std::fs::remove_dir_all(&folder);
    let report = measured.map_err(|error| EngineError::Model { reason: error.to_string() })?;
    console.event(&json!({ "bench": "window", "frames": report }));
    if !arguments.json {
        console.line(&format!(
            "{} frames while painting: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
            report.frames, report.p50_ms, report.p99_ms, report.max_ms
        ));
    }
    Ok(())
}
