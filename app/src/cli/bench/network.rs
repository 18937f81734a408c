//! `atelier bench unet`, `vae` and `clip`: networks of the real shapes with random weights.

use atelier_engine::EngineError;
use atelier_engine::kernels::{Level, Precision};
use atelier_engine::library::peak_memory_bytes;
use atelier_engine::nn::Compute;
use atelier_engine::pipelines::measure::{Work, by_candle, matrix_rate, measure};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::super::precision::PrecisionName;
use super::super::{Console, Interrupt};

/// Says whose operations compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Operations {
    /// Our kernels
    Kernels,
    /// candle's own
    Candle,
    /// One after the other, with the ratio
    Both,
}

/// Holds the arguments of `atelier bench unet`, `vae` and `clip`.
#[derive(Debug, Clone, Args)]
pub struct NetworkArgs {
    /// Number of runs after one to warm up; the median is shown
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub runs: u16,
    /// How exactly products are computed
    #[arg(long, value_enum, default_value_t = PrecisionName::Fast)]
    pub precision: PrecisionName,
    /// Holds the instructions down: portable, neon, avx2, avx512, avx512_vnni, avx512_bf16 or
    /// amx_bf16
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    pub isa: Option<Level>,
    /// Whose operations compute
    #[arg(long, value_enum, default_value_t = Operations::Kernels)]
    pub on: Operations,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Reads the name of a level.
///
/// # Errors
/// A sentence when there is none of this name.
pub fn parse_level(name: &str) -> Result<Level, String> {
    Level::named(name).ok_or_else(|| {
        let names: Vec<_> = Level::ALL.iter().map(|level| level.id()).collect();
        format!("the levels are {}", names.join(", "))
    })
}

/// Measures and prints.
///
/// # Errors
/// [`EngineError::Cancelled`] when interrupted; errors of the tensor library.
pub fn bench(
    work: Work,
    arguments: &NetworkArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    if let Some(level) = arguments.isa
        && !Level::hold(level)
    {
        return Err(EngineError::invalid("isa", "was chosen before"));
    }
    let level = Level::best();
    let precision = Precision::from(arguments.precision);
    let check = || if interrupt.is_pressed() { Err(EngineError::Cancelled) } else { Ok(()) };
    let runs = usize::from(arguments.runs);
    let rate = matrix_rate(level, precision);
    let mut results = Vec::new();
    for (name, compute) in
        [("kernels", Compute::Kernels(level, precision)), ("candle", by_candle())]
    {
        let is_wanted = match arguments.on {
            Operations::Both => true,
            Operations::Kernels => name == "kernels",
            Operations::Candle => name == "candle",
        };
        if !is_wanted {
            continue;
        }
        console.note(&format!("Measuring {runs} runs on {name}…"));
        let measured = measure(work, compute, runs, &check)?;
        let mut sorted = measured.run_secs.clone();
        sorted.sort_by(f64::total_cmp);
        let seconds = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        results.push((name, seconds, measured, peak_memory_bytes()));
    }
    let Some((name, seconds, first, memory)) = results.first() else { return Ok(()) };
    let per_second = work.operations() / seconds;
    let ratio = results.get(1).map(|(_, candle, ..)| candle / seconds);
    console.event(&json!({
        "bench": format!("{work:?}").to_lowercase(),
        "on": name,
        "isa": level.id(),
        "precision": precision,
        "threads": atelier_engine::kernels::threads(),
        "seconds": seconds,
        "all_seconds": first.run_secs,
        "load_seconds": first.load_secs,
        "unasked_seconds": first.unasked_secs,
        "gflop_per_second": per_second / 1e9,
        "matrix_gflop_per_second": rate / 1e9,
        "share_of_matrix_rate": per_second / rate,
        "peak_memory_bytes": memory,
        "candle_seconds": results.get(1).map(|(_, seconds, ..)| seconds),
        "times_as_fast_as_candle": ratio,
        "sample": first.sample,
    }));
    if !arguments.json {
        console.line(&format!("{seconds:.3} s on {name} ({}, {:?})", level.id(), precision));
        console.line(&format!(
            "{:.0} GFLOP/s, {:.0} % of the {:.0} that large products reach here",
            per_second / 1e9,
            100.0 * per_second / rate,
            rate / 1e9
        ));
        if let Some(ratio) = ratio {
            console.line(&format!("{ratio:.1} times as fast as candle's own operations"));
        }
        let unasked = 1000.0 * first.unasked_secs;
        console.line(&format!("a cancel is seen within {unasked:.0} ms"));
        if let Some(bytes) = memory {
            console.line(&format!("at most {} MB of memory", bytes / 1_000_000));
        }
    }
    Ok(())
}
