//! `atelier bench library`: opening and searching a library of many pictures, and scrolling through
//! it in the window.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use atelier_engine::EngineError;
use atelier_engine::protocol::{
    DeviceChoice, Extras, ModelRef, NoiseSource, PictureRequest, Pixels, Precision, PreviewMode,
    Prompt, SamplerKind, Sampling, Size,
};
use atelier_engine::store::search::{LibraryQuery, Page};
use atelier_engine::store::{Store, png};
use clap::Args;
use serde_json::json;

use super::super::{Console, Interrupt};

/// How many results the first screen shows.
const SCREEN: usize = 100;

/// How often what takes milliseconds is measured.
const RUNS: usize = 7;

/// How many pictures are saved on top, one by one.
const SAVED: u64 = 50;

/// How many pictures are in a month's folder.
const MONTH: u64 = 4_000;

const SUBJECTS: [&str; 8] =
    ["a fox", "an owl", "a lighthouse", "a castle", "a teapot", "a harbour", "一只狐狸", "a tram"];
const PLACES: [&str; 5] = ["in the snow", "at night", "by the sea", "在雪地里", "under old trees"];
const COLOURS: [(&str, [u8; 3]); 6] = [
    ("red", [220, 30, 30]),
    ("blue", [30, 60, 200]),
    ("white", [245, 245, 245]),
    ("green", [40, 150, 60]),
    ("black", [5, 5, 5]),
    ("orange", [250, 140, 10]),
];

/// Queries by what they ask for.
const QUERIES: [(&str, &str); 16] = [
    ("everything", ""),
    ("word in all with colour", "canvas colour:red"),
    ("word in all", "canvas"),
    ("word in all negative prompts", "blurry"),
    ("common word", "snow"),
    ("word", "fox"),
    ("rare word", "needle77"),
    ("phrase", "\"red fox in the snow\""),
    ("Chinese phrase", "狐狸"),
    ("excluded word", "snow -fox"),
    ("beginning", "light*"),
    ("colour", "colour:red"),
    ("month", "date:2025-03"),
    ("size and model", "size:>=512 model:sdxl"),
    ("stars", "rating:>=4 sort:rating"),
    ("word, colour and stars", "fox colour:white rating:<5"),
];

/// What was measured, each with its unit in its name.
type Times = Vec<(String, f64)>;

/// Holds the arguments of `atelier bench library`.
#[derive(Debug, Clone, Args)]
pub struct LibraryArgs {
    /// Number of pictures: real files of 16×16 pixels with recipes, in folders of 4,000
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub pictures: u64,
    /// Puts all of them into one folder, the worst case for opening
    #[arg(long)]
    pub one_folder: bool,
    /// Leaves the window's frames out
    #[arg(long)]
    pub no_window: bool,
    /// Folder for the library; a temporary one when it is not given
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Makes a library of small pictures, and measures opening, searching, saving, the frames of the
/// library room, and making the index again. It is removed afterwards.
///
/// # Errors
/// [`EngineError::Io`] or [`EngineError::DiskFull`] when the files cannot be written,
/// [`EngineError::Cancelled`].
pub fn bench(
    arguments: &LibraryArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let parent = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = parent.join(format!("atelier-bench-library-{}", std::process::id()));
    let measured = measure(&folder, arguments, console, interrupt);
    if let Ok(times) = &measured {
        let name = format!("library of {} pictures", arguments.pictures);
        let by_name: serde_json::Map<_, _> =
            times.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        console.event(&json!({ "bench": name, "times": by_name }));
        if !arguments.json {
            for (name, value) in times {
                console.line(&format!("{name:<56} {value:>8.1}"));
            }
        }
        console.note("Removing the files…");
    }
    let _ = fs::remove_dir_all(&folder);
    measured.map(drop)
}

fn measure(
    folder: &Path,
    arguments: &LibraryArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<Times, EngineError> {
    let mut times = Times::new();
    console.note(&format!("Writing {} pictures…", arguments.pictures));
    let began = Instant::now();
    write_pictures(folder, arguments, interrupt)?;
    put(&mut times, "write the files (s)", began.elapsed().as_secs_f64());
    console.note("Making the index…");
    let began = Instant::now();
    let store = Store::open(folder)?;
    let took = began.elapsed().as_secs_f64();
    put(&mut times, "make the index from the files (s)", took);
    put(
        &mut times,
        "insertion, without marks (µs a picture)",
        took * 1e6 / arguments.pictures as f64,
    );
    console.note("Finding colours…");
    let began = Instant::now();
    while store.upkeep(500)?.has_more {
        if interrupt.is_pressed() {
            return Err(EngineError::Cancelled);
        }
    }
    put(&mut times, "find colours, make thumbnails (s)", began.elapsed().as_secs_f64());
    let began = Instant::now();
    let ids = store.search_ids(&LibraryQuery::default())?;
    for (stars, some) in ids.chunks(ids.len() / 10 + 1).enumerate() {
        store.set_rating(some, (stars % 6) as u8)?;
    }
    put(&mut times, "rate all, in ten changes (s)", began.elapsed().as_secs_f64());
    let saved = save_some(&store, arguments.pictures)?;
    put(&mut times, "save one more, flushed to the disk (ms)", saved);
    store.tidy()?;
    drop(store);
    settle(folder)?;
    drop(Store::open(folder)?);
    openings(folder, &mut times)?;
    searches(folder, &mut times)?;
    // As after a session: something came into one folder.
    let month = folder.join("pictures").join(month_of(0, arguments));
    let mut changed = Vec::new();
    for turn in 0..RUNS {
        fs::write(month.join(format!("note-{turn}.txt")), "")
            .map_err(|error| EngineError::io("write the file", &month, &error))?;
        changed.push(open_and_list(folder)?);
    }
    put(&mut times, "open and first screen, one folder changed (ms)", median(&mut changed));
    if !arguments.no_window {
        console.note("Scrolling…");
        frames(folder, &mut times)?;
    }
    let began = Instant::now();
    fs::remove_file(folder.join("index.sqlite"))
        .map_err(|error| EngineError::io("remove the index", folder, &error))?;
    drop(Store::open(folder)?);
    put(&mut times, "make the index again, with marks (s)", began.elapsed().as_secs_f64());
    Ok(times)
}

/// Measures the frames of the window while its grid is scrolled.
fn frames(folder: &Path, times: &mut Times) -> Result<(), EngineError> {
    let report = crate::bench_library(folder)
        .map_err(|error| EngineError::Model { reason: error.to_string() })?;
    put(times, "library room, all thumbnails in sight (ms)", report.opening_ms);
    put(times, "library room, results at hand at most", report.most_cards as f64);
    for (name, frames) in [
        ("slow wheel", report.slowly),
        ("fast wheel", report.fast),
        ("leaping", report.leaping),
        ("typing a search", report.typing),
    ] {
        put(times, &format!("frames, {name}: p50 (ms)"), frames.p50_ms);
        put(times, &format!("frames, {name}: p99 (ms)"), frames.p99_ms);
        put(times, &format!("frames, {name}: longest (ms)"), frames.max_ms);
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn put(times: &mut Times, name: &str, value: f64) {
    times.push((name.to_owned(), value));
}

fn openings(folder: &Path, times: &mut Times) -> Result<(), EngineError> {
    let first = open_and_list(folder)?;
    let mut runs = (0..RUNS).map(|_| open_and_list(folder)).collect::<Result<Vec<_>, _>>()?;
    put(times, "open and first screen, first time (ms)", first);
    put(times, "open and first screen (ms)", median(&mut runs));
    Ok(())
}

/// Opens the library, reads the first screen and returns the milliseconds.
fn open_and_list(folder: &Path) -> Result<f64, EngineError> {
    let began = Instant::now();
    let store = Store::open(folder)?;
    let found = store.search(&LibraryQuery::default(), &Page::first(SCREEN))?;
    let took = began.elapsed().as_secs_f64() * 1000.0;
    drop(found);
    Ok(took)
}

fn searches(folder: &Path, times: &mut Times) -> Result<(), EngineError> {
    let store = Store::open(folder)?;
    for (name, text) in QUERIES {
        let (query, _) = LibraryQuery::parse(text);
        let mut runs = Vec::new();
        let mut total = 0;
        for _ in 0..RUNS {
            let began = Instant::now();
            total = store.search(&query, &Page::first(SCREEN))?.total;
            runs.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        put(times, &format!("search, {name}: {total} found (ms)"), median(&mut runs));
    }
    Ok(())
}

fn save_some(store: &Store, first: u64) -> Result<f64, EngineError> {
    let mut runs = Vec::new();
    for number in first..first + SAVED {
        let (request, pixels) = picture(number)?;
        let began = Instant::now();
        store.save_picture(&pixels, &request, "CC0-1.0")?;
        runs.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(median(&mut runs))
}

/// Lets the folders look as if nothing had come for a while.
fn settle(folder: &Path) -> Result<(), EngineError> {
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    let months = fs::read_dir(folder.join("pictures"));
    let refused = |error: std::io::Error| EngineError::io("read the folder", folder, &error);
    for month in months.map_err(refused)? {
        let month = month.map_err(refused)?.path();
        fs::File::open(&month).and_then(|file| file.set_modified(long_ago)).map_err(refused)?;
    }
    Ok(())
}

fn month_of(number: u64, arguments: &LibraryArgs) -> String {
    if arguments.one_folder {
        return "2024-01".to_owned();
    }
    let month = number / MONTH;
    format!("{}-{:02}", 2024 + month / 12, month % 12 + 1)
}

fn write_pictures(
    folder: &Path,
    arguments: &LibraryArgs,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let start = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_704_110_400);
    for number in 0..arguments.pictures {
        if interrupt.is_pressed() {
            return Err(EngineError::Cancelled);
        }
        let month = folder.join("pictures").join(month_of(number, arguments));
        let file = month.join(format!("bench-{number}.png"));
        let refused = |error: std::io::Error| EngineError::io("write the picture", &file, &error);
        if number.is_multiple_of(MONTH) {
            fs::create_dir_all(&month).map_err(refused)?;
        }
        let (request, pixels) = picture(number)?;
        fs::write(&file, png::encode(&pixels, &request, "CC0-1.0")?).map_err(refused)?;
        // A picture every eleven minutes: a hundred thousand are two years.
        let saved = start + std::time::Duration::from_secs(number * 660);
        let opened = fs::File::options().write(true).open(&file).map_err(refused)?;
        opened.set_modified(saved).map_err(refused)?;
    }
    Ok(())
}

/// Makes the n-th picture. Numbers that share no factor make all combinations come.
fn picture(number: u64) -> Result<(PictureRequest, Pixels), EngineError> {
    let pick = |of: usize, step: u64| ((number * step) % of as u64) as usize;
    let (colour, rgb) = COLOURS[pick(COLOURS.len(), 5)];
    let subject = SUBJECTS[pick(SUBJECTS.len(), 3)].replacen(' ', &format!(" {colour} "), 1);
    let place = PLACES[pick(PLACES.len(), 3)];
    let needle = if number.is_multiple_of(10_000) { "needle77" } else { "" };
    let text = format!(
        "{subject} {place}, style{}, oil on canvas, detail{} {needle}",
        number % 97,
        number % 9973
    );
    let side = [256, 512, 768, 1024][pick(4, 1)];
    let [red, green, blue] = rgb;
    let shade = (number % 7) as u8;
    let rgba = [red.saturating_sub(shade), green, blue, 255].repeat(256);
    let pixels = Pixels::new(16, 16, rgba)
        .ok_or_else(|| EngineError::invalid("picture", "has not the bytes of its size"))?;
    let request = PictureRequest {
        model: ModelRef::named(["house-picture", "sdxl-base", "dreamer-8"][pick(3, 1)]),
        prompt: Prompt { text, negative: "blurry, low quality".to_owned(), styles: Vec::new() },
        size: Size { width_px: side, height_px: side },
        sampling: Sampling {
            sampler: SamplerKind::Euler,
            steps: 20,
            guidance: 4.5,
            ..Sampling::default()
        },
        seed: number,
        count: 1,
        noise: NoiseSource::Seed,
        preview: PreviewMode::Off,
        device: DeviceChoice::Auto,
        precision: Precision::Fast,
        keep_latents: false,
        extras: Extras::default(),
    };
    Ok((request, pixels))
}
