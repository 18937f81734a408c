//! The decoder alone, without sampler, vocabulary and engine thread.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use atelier_engine::EngineError;
use atelier_engine::kernels::quantized::matrix_rate;
use atelier_engine::kernels::{LEVEL_VARIABLE, Level, Precision};
use atelier_engine::library::{held_memory_bytes, peak_memory_bytes};
use atelier_engine::models::language::{Decoder, Means};
use atelier_engine::protocol::JobContext;
use atelier_engine::weights::gguf::Gguf;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::super::super::{Console, Interrupt};
use super::LlmArgs;
use super::shape::{self, Quant, Shape};

/// Holds the arguments of a measurement of the decoder alone.
#[derive(Debug, Clone, Args)]
pub struct BareArgs {
    /// Measures the decoder alone, on random tokens; --model must be the path of a .gguf file
    #[arg(long)]
    bare: bool,
    /// Measures the decoder alone, with random weights of this shape
    #[arg(long, value_name = "SHAPE", conflicts_with = "model")]
    shape: Option<Shape>,
    /// What random weights are stored as
    #[arg(long, value_name = "QUANT", default_value_t = Quant::Q8)]
    quant: Quant,
    /// Only writes the random model into a file, to be measured elsewhere
    #[arg(long, value_name = "FILE", requires = "shape")]
    write: Option<PathBuf>,
    /// Tokens that the decoder alone reads
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=32_768))]
    read: u32,
    /// Which products the decoder computes with
    #[arg(long, value_name = "PRODUCTS", default_value_t = On::Both, value_enum)]
    on: On,
    /// How exactly the kernels compute
    #[arg(long, value_name = "PRECISION", default_value = "fast", value_parser = parse_precision)]
    precision: Precision,
    /// The most that the kernels may use of the processor: portable or neon, avx2, avx512,
    /// avx512_vnni, avx512_bf16, amx_bf16
    #[arg(long, value_name = "ISA", value_parser = parse_level)]
    isa: Option<Level>,
    /// The most threads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl Default for BareArgs {
    fn default() -> Self {
        Self {
            bare: false,
            shape: None,
            quant: Quant::Q8,
            write: None,
            read: 512,
            on: On::Both,
            precision: Precision::Fast,
            isa: None,
            threads: None,
        }
    }
}

/// Names whose products are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum On {
    /// Those of Atelier's kernels
    Kernels,
    /// candle's, on the processor
    Candle,
    /// Both in turn
    Both,
}

fn parse_precision(text: &str) -> Result<Precision, String> {
    match text {
        "fast" => Ok(Precision::Fast),
        "exact" => Ok(Precision::Exact),
        _ => Err("write fast or exact".to_owned()),
    }
}

fn parse_level(text: &str) -> Result<Level, String> {
    let names: Vec<&str> = Level::ALL.into_iter().map(Level::id).collect();
    Level::named(text).ok_or_else(|| format!("write one of {}", names.join(", ")))
}

impl BareArgs {
    /// Tells whether the decoder alone is to be measured.
    pub fn is_wanted(&self) -> bool {
        self.bare || self.shape.is_some()
    }
}

/// Seconds of one run.
#[derive(Debug, Clone, Copy)]
struct Run {
    read_secs: f64,
    write_secs: f64,
}

/// What was measured of one kind of products.
#[derive(Debug)]
struct Measured {
    name: &'static str,
    load_secs: f64,
    runs: Vec<Run>,
}

impl Measured {
    fn median(&self, pick: fn(&Run) -> f64) -> f64 {
        let mut secs: Vec<f64> = self.runs.iter().map(pick).collect();
        secs.sort_by(f64::total_cmp);
        secs.get(secs.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Measures and prints.
///
/// # Errors
/// [`EngineError::Io`] when a file cannot be read or written, [`EngineError::Cancelled`] when the
/// person interrupts; whatever keeps the model from being loaded.
pub fn bench(
    arguments: &LlmArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let bare = &arguments.bare;
    if bare.isa.is_some_and(|most| most < Level::best()) {
        return again(bare.isa);
    }
    let (name, bytes) = match bare.shape {
        Some(shape) => (format!("{shape}, {}", bare.quant), shape::file(shape, bare.quant)),
        None => {
            let path = Path::new(&arguments.model);
            let bytes = std::fs::read(path).map_err(|error| EngineError::Io {
                action: "read the model".to_owned(),
                reason: error.to_string(),
                path: path.to_owned(),
            })?;
            (arguments.model.clone(), bytes)
        }
    };
    if let Some(path) = &bare.write {
        std::fs::write(path, &bytes).map_err(|error| EngineError::Io {
            action: "write the model".to_owned(),
            reason: error.to_string(),
            path: path.clone(),
        })?;
        console.line(&format!("{}: {} MB", path.display(), bytes.len() / 1_000_000));
        return Ok(());
    }
    let gguf = Gguf::read(&bytes, Path::new(&name))?;
    let multiplications = multiplications(&gguf);
    let weight_bytes = gguf.all_bytes();
    let threads = bare.threads.map_or(usize::MAX, usize::from);
    let mut means = Means::kernels(bare.precision);
    means.threads = bare.threads.map(usize::from);
    let mut all = Vec::new();
    let mut decoders = Vec::new();
    let mut memory = None;
    for (name, is_wanted) in
        [("kernels", bare.on != On::Candle), ("candle", bare.on != On::Kernels)]
    {
        if !is_wanted {
            continue;
        }
        if name == "candle" {
            means = Means::candle();
        }
        let start = Instant::now();
        let mut decoder = Decoder::load_by(&gguf, &bytes, &means, &JobContext::detached())?;
        let load_secs = start.elapsed().as_secs_f64();
        // The first run makes room that later runs find.
        run(&mut decoder, arguments)?;
        memory = memory.or(held_memory_bytes());
        all.push(Measured { name, load_secs, runs: Vec::new() });
        decoders.push(decoder);
    }
    let memory = memory.map(|held| held.saturating_sub(bytes.len() as u64));
    drop(bytes);
    // In turn, so that what else the machine does meets both alike.
    for _ in 0..arguments.runs {
        for (measured, decoder) in all.iter_mut().zip(&mut decoders) {
            if interrupt.is_pressed() {
                return Err(EngineError::Cancelled);
            }
            measured.runs.push(run(decoder, arguments)?);
        }
    }
    let rate = matrix_rate(Level::best(), threads);
    let facts = Facts { name, multiplications, weight_bytes, rate, memory };
    tell(arguments, console, &facts, &all);
    Ok(())
}

/// Runs the same command with less of the processor. The level is found once in the life of a
/// program, so this takes another one.
fn again(isa: Option<Level>) -> Result<(), EngineError> {
    let failed = |reason: String| EngineError::Io {
        action: "start another measurement".to_owned(),
        reason,
        path: PathBuf::new(),
    };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let isa = isa.map_or("", Level::id);
    let mut rest = std::env::args_os().skip(1);
    let mut arguments = Vec::new();
    while let Some(argument) = rest.next() {
        if argument == "--isa" {
            rest.next();
        } else if !argument.to_string_lossy().starts_with("--isa=") {
            arguments.push(argument);
        }
    }
    let status = Command::new(program)
        .args(arguments)
        .env(LEVEL_VARIABLE, isa)
        .status()
        .map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}

/// Counts the multiplications of a token that is read: one for every weight of a layer's matrices.
fn multiplications(gguf: &Gguf) -> u64 {
    gguf.tensors()
        .filter(|(name, info, _)| name.starts_with("blk.") && info.shape.len() == 2)
        .map(|(_, info, _)| info.shape.iter().map(|side| *side as u64).product::<u64>())
        .sum()
}

/// Reads and writes once, from an empty cache.
fn run(decoder: &mut Decoder, arguments: &LlmArgs) -> Result<Run, EngineError> {
    let job = JobContext::detached();
    let vocabulary = decoder.config().sizes.vocabulary as u64;
    let mut state = 1_u64;
    let mut token = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % vocabulary) as u32
    };
    let prompt: Vec<u32> = (0..arguments.bare.read).map(|_| token()).collect();
    decoder.truncate(0);
    let start = Instant::now();
    let mut logits = decoder.forward(&prompt, &job)?;
    let read_secs = start.elapsed().as_secs_f64();
    let start = Instant::now();
    for _ in 0..arguments.tokens {
        logits = decoder.forward(&[token()], &job)?;
    }
    let write_secs = start.elapsed().as_secs_f64();
    if logits.iter().any(|logit| !logit.is_finite()) {
        return Err(EngineError::NotANumber { stage: "model".to_owned() });
    }
    Ok(Run { read_secs, write_secs })
}

/// What is known beside the times.
struct Facts {
    name: String,
    multiplications: u64,
    weight_bytes: u64,
    /// Operations a second that the processor does at best.
    rate: f64,
    /// Memory with the first model loaded and its file given back, in bytes.
    memory: Option<u64>,
}

fn tell(arguments: &LlmArgs, console: &mut Console, facts: &Facts, all: &[Measured]) {
    let (read, written) = (f64::from(arguments.bare.read), f64::from(arguments.tokens));
    let told: Vec<Value> = all
        .iter()
        .map(|measured| {
            let read_secs = measured.median(|run| run.read_secs);
            let write_secs = measured.median(|run| run.write_secs);
            let operations = 2.0 * facts.multiplications as f64 * read / read_secs;
            json!({
                "products": measured.name,
                "load_secs": measured.load_secs,
                "prefill_tokens_per_second": read / read_secs,
                "decode_tokens_per_second": written / write_secs,
                "share_of_matrix_rate": operations / facts.rate,
                "weight_gb_per_second": facts.weight_bytes as f64 * written / write_secs / 1e9,
                "prefill_secs": measured.runs.iter().map(|run| run.read_secs).collect::<Vec<_>>(),
                "decode_secs": measured.runs.iter().map(|run| run.write_secs).collect::<Vec<_>>(),
            })
        })
        .collect();
    console.event(&json!({
        "bench": "llm",
        "model": facts.name,
        "isa": Level::best().id(),
        "precision": if arguments.bare.precision == Precision::Fast { "fast" } else { "exact" },
        "threads": arguments.bare.threads,
        "prefill_tokens": arguments.bare.read,
        "decode_tokens": arguments.tokens,
        "matrix_rate_gops": facts.rate / 1e9,
        "weight_bytes": facts.weight_bytes,
        "held_memory_bytes": facts.memory,
        "peak_memory_bytes": peak_memory_bytes(),
        "measured": told,
    }));
    if arguments.json {
        return;
    }
    let megabytes = |bytes: Option<u64>| {
        bytes.map_or("not known here".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000))
    };
    console.line(&format!(
        "{}, {}, median of {} runs",
        facts.name,
        Level::best().id(),
        arguments.runs
    ));
    for (measured, told) in all.iter().zip(&told) {
        console.line(&format!(
            "{}: reads {:.1} tokens a second ({read} tokens, {:.0} % of the matrix rate), writes {:.1} \
             ({written} tokens, {:.1} GB of weights a second), load {:.2} s",
            measured.name,
            told["prefill_tokens_per_second"].as_f64().unwrap_or(f64::NAN),
            100.0 * told["share_of_matrix_rate"].as_f64().unwrap_or(f64::NAN),
            told["decode_tokens_per_second"].as_f64().unwrap_or(f64::NAN),
            told["weight_gb_per_second"].as_f64().unwrap_or(f64::NAN),
            measured.load_secs,
        ));
    }
    console.line(&format!("matrix rate: {:.0} GOP/s", facts.rate / 1e9));
    console.line(&format!(
        "weights: {} MB, held after loading: {}, peak memory: {}",
        facts.weight_bytes / 1_000_000,
        megabytes(facts.memory),
        megabytes(peak_memory_bytes())
    ));
}
