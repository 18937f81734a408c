//! `atelier bench canvas`: how long the window's frames take while a large document is edited.

use atelier_engine::EngineError;
use clap::Args;
use serde_json::json;

use super::super::Console;

/// Holds the arguments of `atelier bench canvas`.
#[derive(Debug, Clone, Args)]
pub struct CanvasArgs {
    /// Side of the document in pixels
    #[arg(long, value_name = "PX", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(256..=16_384))]
    pub side: u32,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Measures and prints.
///
/// # Errors
/// [`EngineError::Model`] when the window could not be measured.
pub fn bench(arguments: &CanvasArgs, console: &mut Console) -> Result<(), EngineError> {
    let folder = std::env::temp_dir().join(format!("atelier-bench-{}", std::process::id()));
    let measured = crate::bench_canvas(&folder, arguments.side);
    // Only a project that nobody asked for is lost.
    let _ = std::fs::remove_dir_all(&folder);
    let report = measured.map_err(|error| EngineError::Model { reason: error.to_string() })?;
    console.event(&json!({ "bench": "canvas", "side_px": arguments.side, "frames": report }));
    if arguments.json {
        return Ok(());
    }
    console.line(&format!("whole document in sight after {:.0} ms", report.opening_ms));
    for (name, frames) in [
        ("panning at 100 %", &report.panning),
        ("zooming", &report.zooming),
        ("brush of 60 px, whole document", &report.painting_small),
        ("brush of 200 px at 100 %", &report.painting_large),
    ] {
        console.line(&format!(
            "{name}: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
            frames.p50_ms, frames.p99_ms, frames.max_ms
        ));
    }
    Ok(())
}
