//! `atelier bench upscale`: how fast pictures are enlarged.

use std::path::PathBuf;
use std::time::Instant;

use atelier_engine::EngineError;
use atelier_engine::library::{HOUSE_UPSCALER, Models, peak_memory_bytes};
use atelier_engine::pipelines::enlarge::{EnlargePipeline, Tiling};
use atelier_engine::protocol::{DeviceChoice, JobContext, Pixels};
use clap::Args;
use serde_json::json;

use super::super::paint::parse_device;
use super::super::precision::PrecisionName;
use super::super::{Console, Interrupt};

/// Holds the arguments of `atelier bench upscale`.
#[derive(Debug, Clone, Args)]
pub struct UpscaleBenchArgs {
    /// Net to measure: its name, or the path of a .pth or .safetensors file
    #[arg(long, value_name = "NAME|PATH", default_value = HOUSE_UPSCALER)]
    pub model: PathBuf,
    /// Width and height of the picture that is enlarged
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=2048))]
    pub side: u32,
    /// Side of a tile; chosen for the net when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(32..=2048))]
    pub tile: Option<u16>,
    /// Number of runs after one to warm up; the median is shown
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub runs: u16,
    /// How exactly the processor computes
    #[arg(long, value_enum, default_value_t = PrecisionName::Fast)]
    pub precision: PrecisionName,
    /// Device to compute on: auto, cpu, cuda:N or metal:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = parse_device)]
    pub device: DeviceChoice,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Measures and prints.
///
/// # Errors
/// Whatever kept the net from being loaded or run; [`EngineError::Cancelled`] after Ctrl-C.
pub fn bench(
    arguments: &UpscaleBenchArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let job = JobContext::detached();
    let located = Models::standard().locate_upscaler(&arguments.model.to_string_lossy())?;
    let start = Instant::now();
    let how = (arguments.device, arguments.precision.into());
    let mut pipeline = EnlargePipeline::load(&located.open()?, how, &job)?;
    let load_secs = start.elapsed().as_secs_f64();
    let config = pipeline.model().config();
    let mut tiling = Tiling::of(&config);
    if let Some(tile) = arguments.tile {
        // Cores begin at multiples of four.
        tiling.core = usize::from(tile).next_multiple_of(4);
    }
    pipeline = pipeline.with_tiling(tiling);
    let picture = picture(arguments.side)?;
    let factor = config.scale() as f32;
    console.note(&format!("Measuring {} runs…", arguments.runs));
    let mut run_secs = Vec::new();
    for run in 0..=arguments.runs {
        if interrupt.is_pressed() {
            return Err(EngineError::Cancelled);
        }
        let start = Instant::now();
        pipeline.enlarge(&picture, factor, &job)?;
        if run > 0 {
            run_secs.push(start.elapsed().as_secs_f64());
        }
    }
    let mut sorted = run_secs.clone();
    sorted.sort_by(f64::total_cmp);
    let seconds = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    console.event(&json!({
        "bench": "upscale",
        "model": located.name(),
        "side": arguments.side,
        "factor": factor,
        "tile": tiling.core,
        "precision": atelier_engine::kernels::Precision::from(arguments.precision),
        "threads": atelier_engine::kernels::threads(),
        "seconds": seconds,
        "all_seconds": run_secs,
        "load_seconds": load_secs,
        "peak_memory_bytes": peak_memory_bytes(),
    }));
    if !arguments.json {
        let side = arguments.side;
        console.line(&format!("{seconds:.3} s for {side}×{side} times {factor}"));
        if let Some(bytes) = peak_memory_bytes() {
            console.line(&format!("at most {} MB of memory", bytes / 1_000_000));
        }
    }
    Ok(())
}

/// Makes a picture of slopes and edges.
fn picture(side: u32) -> Result<Pixels, EngineError> {
    let mut rgba = Vec::new();
    for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
        let edge = if (x / 37 + y / 23) % 2 == 0 { 90 } else { 0 };
        rgba.extend([(x % 160) as u8 + edge, (y % 150) as u8 + edge, ((x + y) % 256) as u8, 255]);
    }
    Pixels::new(side, side, rgba).ok_or_else(|| EngineError::invalid("side", "is 0"))
}
