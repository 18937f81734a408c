//! The library when processes die under it or share it.
//!
//! The tests start this test program again as a child; the variable says what the child does.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use atelier_engine::EngineError;
use atelier_engine::protocol::{
    DeviceChoice, Extras, ModelRef, NoiseSource, PictureRequest, Pixels, Precision, PreviewMode,
    Prompt, Request, SamplerKind, Sampling, Size,
};
use atelier_engine::store::{Store, png};

const CHILD_FOLDER: &str = "ATELIER_TEST_CHILD_FOLDER";

/// Lets one test at a time start programs: between a start and the program's first instruction the
/// locks that this process holds are the program's too, and a library seems to be open elsewhere.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn request(seed: u64) -> PictureRequest {
    PictureRequest {
        model: ModelRef::named("house-picture"),
        prompt: Prompt { text: "a red fox".to_owned(), ..Prompt::default() },
        size: Size { width_px: 64, height_px: 64 },
        sampling: Sampling {
            sampler: SamplerKind::Euler,
            steps: 20,
            guidance: 4.5,
            ..Sampling::default()
        },
        seed,
        count: 1,
        noise: NoiseSource::Seed,
        preview: PreviewMode::Off,
        device: DeviceChoice::Auto,
        precision: Precision::Fast,
        keep_latents: false,
        extras: Extras::default(),
    }
}

fn pixels(seed: u64, side: u32) -> anyhow::Result<Pixels> {
    // Noise, so that the file is long enough to be cut in the middle.
    let mut state = seed | 1;
    let rgba = (0..side * side * 4)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    Pixels::new(side, side, rgba).context("the size fits")
}

/// Starts this test program again to save pictures until it is killed.
fn start_child(folder: &Path) -> anyhow::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["--exact", "child_saves_until_it_is_killed"])
        .env(CHILD_FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .context("the child did not start")
}

#[test]
fn child_saves_until_it_is_killed() -> anyhow::Result<()> {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return Ok(()) };
    let store = Store::open(PathBuf::from(folder))?;
    let start = u64::from(std::process::id()) << 32;
    for seed in start.. {
        let saved = store.save_picture(&pixels(seed, 64)?, &request(seed), "CC0-1.0")?;
        match seed % 4 {
            0 => store.trash(saved.id)?,
            1 => {
                store.trash(saved.id)?;
                store.restore(saved.id)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn pngs(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            pngs(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Checks that every file is whole, every row has its file and every file its row.
fn check(folder: &Path) -> anyhow::Result<usize> {
    let store = Store::open(folder)?;
    let opening = store.opening();
    ensure!(opening.unreadable.is_empty(), "broken pictures: {opening:?}");
    ensure!(opening.set_aside.is_none() && opening.missing == 0, "{opening:?}");
    let mut files = Vec::new();
    pngs(&folder.join("pictures"), &mut files)?;
    pngs(&folder.join("trash"), &mut files)?;
    for file in &files {
        png::decode_file(file)?;
    }
    let rows = [store.recent(usize::MAX, None)?, store.trashed()?].concat();
    let named: HashSet<_> = rows.iter().map(|row| row.file.clone()).collect();
    let found: HashSet<_> = files.into_iter().collect();
    ensure!(named == found, "rows and files differ: {:?}", named.symmetric_difference(&found));
    ensure!(named.len() == rows.len(), "two rows have one file");
    for row in &rows {
        let Request::Picture(request) = &row.request else { bail!("{row:?}") };
        ensure!(pixels(request.seed, 64)? == png::decode_file(&row.file)?, "{row:?}");
    }
    Ok(rows.len())
}

#[test]
fn kill_at_any_moment_loses_no_finished_picture() -> anyhow::Result<()> {
    let _turn = one_at_a_time();
    let base = tempfile::tempdir()?;
    let folder = base.path().canonicalize()?;
    let mut saved = 0;
    for round in 0..16_u64 {
        let mut child = start_child(&folder)?;
        // Wait until it is at work, then a little longer, another time in each round.
        let patience = Instant::now() + Duration::from_secs(30);
        loop {
            let mut files = Vec::new();
            // While the child works, a file may go between listing and looking.
            let _ = pngs(&folder, &mut files);
            if files.iter().filter(|path| path.extension().is_some_and(|e| e == "png")).count()
                > saved * 2
            {
                break;
            }
            ensure!(Instant::now() < patience, "the child saves nothing");
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_micros(round * 37_919 % 150_000));
        child.kill()?;
        child.wait()?;
        let now = check(&folder).with_context(|| format!("after {round} kills"))?;
        ensure!(now >= saved, "{saved} pictures became {now}");
        saved = now;
    }
    ensure!(saved >= 16, "only {saved} pictures");
    println!("{saved} pictures after 16 kills");
    Ok(())
}

#[test]
fn two_processes_save_into_one_library() -> anyhow::Result<()> {
    let _turn = one_at_a_time();
    let base = tempfile::tempdir()?;
    let folder = base.path().canonicalize()?;
    let store = Store::open(&folder)?;
    let mut child = start_child(&folder)?;
    let patience = Instant::now() + Duration::from_secs(30);
    let mut seed = 0;
    // Until both have saved at least twenty.
    while store.recent(usize::MAX, None)?.len() < seed + 20 || seed < 20 {
        store.save_picture(&pixels(seed as u64, 64)?, &request(seed as u64), "CC0-1.0")?;
        seed += 1;
        ensure!(Instant::now() < patience, "the child saves nothing");
        ensure!(child.try_wait()?.is_none(), "the child ended by itself");
    }
    child.kill()?;
    child.wait()?;
    drop(store);
    ensure!(check(&folder)? >= 40);
    Ok(())
}

/// Needs a disk of a few MiB, for instance `mount -t tmpfs -o size=2m tmpfs FOLDER`; run with
/// `--ignored` and the folder in `ATELIER_TEST_SMALL_DISK`.
#[test]
#[ignore = "needs a small disk, which only an administrator can make"]
fn a_full_disk_loses_nothing_and_saving_goes_on_when_there_is_room() -> anyhow::Result<()> {
    let disk = std::env::var_os("ATELIER_TEST_SMALL_DISK").context("no small disk was given")?;
    let folder = PathBuf::from(disk).canonicalize()?.join("library");
    let store = Store::open(&folder)?;
    let save = |seed| {
        store
            .save_picture(&pixels(seed, 64)?, &request(seed), "CC0-1.0")
            .map_err(anyhow::Error::from)
    };
    let mut saved = Vec::new();
    let error = loop {
        match save(saved.len() as u64) {
            Ok(result) => saved.push(result.id),
            Err(error) => break error.downcast::<EngineError>()?,
        }
        ensure!(saved.len() < 10_000, "the disk is not small");
    };
    ensure!(matches!(error, EngineError::DiskFull { .. }), "{error}");
    println!("{} pictures, then: {error}", saved.len());
    ensure!(!store.recent(usize::MAX, None)?.is_empty());
    // Room is made outside, as a person would: the cache is what nobody misses.
    std::fs::remove_dir_all(folder.join("thumbnails"))?;
    let again = save(99_999)?;
    ensure!(again.file.exists());
    store.trash(again.id)?;
    drop(store);
    ensure!(check(&folder)? > saved.len());
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Prints what the README states; run with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn time_saving_and_opening_a_large_library() -> anyhow::Result<()> {
    let base = tempfile::tempdir()?;
    let folder = base.path().canonicalize()?;
    let store = Store::open(&folder)?;
    let large = pixels(7, 256)?;
    let mut times: Vec<f64> = (0..30)
        .map(|seed| {
            let start = Instant::now();
            store.save_picture(&large, &request(seed), "CC0-1.0")?;
            Ok(start.elapsed().as_secs_f64() * 1000.0)
        })
        .collect::<anyhow::Result<_>>()?;
    times.sort_by(f64::total_cmp);
    println!("save 256×256 noise: median {:.1} ms, slowest {:.1} ms", times[15], times[29]);
    // Copies beside each other: saving ten thousand would mostly time the disk's flushing.
    let first = store.recent(1, None)?[0].file.clone();
    let small = png::encode(&pixels(1, 64)?, &request(1), "CC0-1.0")?;
    for number in 0..10_000 {
        std::fs::write(first.with_file_name(format!("copy-{number}.png")), &small)?;
    }
    drop(store);
    for what in ["adopt 10,000", "open 10,000"] {
        let start = Instant::now();
        let store = Store::open(&folder)?;
        let opened = start.elapsed();
        let start = Instant::now();
        let rows = store.recent(100, None)?.len();
        println!("{what}: {opened:.1?}; list {rows}: {:.1?}", start.elapsed());
    }
    std::fs::write(folder.join("index.sqlite"), b"damaged")?;
    let start = Instant::now();
    let store = Store::open(&folder)?;
    println!("rebuild from {}: {:.1?}", store.opening().adopted, start.elapsed());
    Ok(())
}
