//! What is said about results, searched, checked and copied, when processes die under the library,
//! share it, may not write or have no room.
//!
//! The tests start this test program again as a child; variables say what the child does.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use atelier_engine::EngineError;
use atelier_engine::protocol::{
    DeviceChoice, Extras, ModelRef, NoiseSource, PictureRequest, Pixels, Precision, PreviewMode,
    Prompt, SamplerKind, Sampling, Size,
};
use atelier_engine::store::search::{LibraryQuery, Page};
use atelier_engine::store::{Store, png};

const CHILD_FOLDER: &str = "ATELIER_TEST_LIBRARY_FOLDER";
/// A file in which a child notes what it was told to be done.
const CHILD_LOG: &str = "ATELIER_TEST_LIBRARY_LOG";
const CHILD_SEED: &str = "ATELIER_TEST_LIBRARY_SEED";

/// Lets one test at a time start programs: between a start and the program's first instruction the
/// locks that this process holds are the program's too, and a library seems to be open elsewhere.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn request(seed: u64) -> PictureRequest {
    PictureRequest {
        model: ModelRef::named("house-picture"),
        prompt: Prompt { text: format!("a red fox number{seed}"), ..Prompt::default() },
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

fn save(store: &Store, seed: u64) -> Result<i64, EngineError> {
    let rgba = (0..64 * 64 * 4_u64).map(|n| (n.wrapping_mul(seed | 1) >> 3) as u8).collect();
    let Some(pixels) = Pixels::new(64, 64, rgba) else {
        return Err(EngineError::invalid("picture", "has a wrong size"));
    };
    Ok(store.save_picture(&pixels, &request(seed), "CC0-1.0")?.id)
}

fn find(store: &Store, text: &str) -> anyhow::Result<Vec<i64>> {
    let (query, notices) = LibraryQuery::parse(text);
    ensure!(notices.is_empty(), "{notices:?}");
    Ok(store.search_ids(&query)?)
}

fn start_child(name: &str, folder: &Path, log: &Path, seed: u64) -> anyhow::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["--exact", name, "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .env(CHILD_LOG, log)
        .env(CHILD_SEED, seed.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .context("the child did not start")
}

fn child_variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

/// Saves, rates, tags, puts on boards, trashes, restores and copies until it is killed; each line
/// of the log is one picture as it was told to be: seed, stars, tag, whether on the board.
#[test]
fn child_works_until_it_is_killed() -> anyhow::Result<()> {
    let (Some(folder), Some(log)) = (child_variable(CHILD_FOLDER), child_variable(CHILD_LOG))
    else {
        return Ok(());
    };
    let start: u64 = std::env::var(CHILD_SEED)?.parse()?;
    let store = Store::open(folder.join("library"))?;
    let mut log = std::fs::File::options().append(true).create(true).open(log)?;
    let boards = store.boards()?;
    let board = match boards.first() {
        Some(board) => board.id.clone(),
        None => store.add_board("Best")?,
    };
    for seed in start.. {
        let id = save(&store, seed)?;
        let stars = (seed % 5 + 1) as u8;
        store.set_rating(&[id], stars)?;
        let tag = format!("tag{}", seed % 3);
        store.add_tags(&[id], &[&tag])?;
        store.add_to_board(&board, &[id])?;
        match seed % 4 {
            0 => store.trash(id)?,
            1 => {
                store.trash(id)?;
                store.restore(id)?;
            }
            2 => drop(store.export(id, &folder.join("out"))?),
            _ => {}
        }
        // One write: a killed process leaves all of it or nothing.
        log.write_all(format!("{seed} {stars} {tag}\n").as_bytes())?;
    }
    Ok(())
}

fn told(log: &Path) -> anyhow::Result<BTreeMap<u64, (u8, String)>> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let line = |line: &str| -> anyhow::Result<_> {
        let mut words = line.split(' ');
        let mut next = || words.next().context("a short line");
        Ok((next()?.parse()?, (next()?.parse()?, next()?.to_owned())))
    };
    text.lines().map(line).collect()
}

fn parts(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            parts(&path, found)?;
        } else if name.ends_with(".part") {
            found.push(path);
        }
    }
    Ok(())
}

/// Checks that all that was told is so.
fn check(store: &Store, log: &Path) -> anyhow::Result<usize> {
    let told = told(log)?;
    for (seed, (stars, tag)) in &told {
        let text = format!("number{seed} rating:{stars} tag:{tag} board:best");
        let here = find(store, &text)?;
        let trashed = find(store, &format!("{text} is:trash"))?;
        ensure!(here.len() + trashed.len() == 1, "{text}: {here:?} {trashed:?}");
        ensure!((seed % 4 == 0) == here.is_empty(), "{text}: {here:?} {trashed:?}");
    }
    Ok(told.len())
}

#[test]
fn kill_at_any_moment_loses_nothing_that_was_said_and_leaves_no_half_files() -> anyhow::Result<()> {
    let _turn = one_at_a_time();
    let base = tempfile::tempdir()?;
    let folder = base.path().canonicalize()?;
    let log = folder.join("log");
    let mut lines = 0;
    for round in 0..14_u64 {
        let mut child =
            start_child("child_works_until_it_is_killed", &folder, &log, (round + 1) * 1_000_000)?;
        let patience = Instant::now() + Duration::from_secs(60);
        while told(&log).map_or(0, |told| told.len()) < lines + 2 {
            ensure!(Instant::now() < patience, "the child says nothing");
            ensure!(child.try_wait()?.is_none(), "the child ended by itself");
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_micros(round * 37_919 % 60_000));
        child.kill()?;
        child.wait()?;
        // Each third time the index is lost too.
        let library = folder.join("library");
        if round % 3 == 2 {
            for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
                let _ = std::fs::remove_file(library.join(name));
            }
        }
        let store = Store::open(&library)?;
        ensure!(store.opening().set_aside.is_none(), "{:?}", store.opening());
        ensure!(store.opening().missing == 0, "{:?}", store.opening());
        let mut left = Vec::new();
        parts(&folder, &mut left)?;
        ensure!(left.is_empty(), "after {round} kills: {left:?}");
        let report = store.check(false, |_| true)?;
        ensure!(report.is_whole(), "after {round} kills: {report:?}");
        lines = check(&store, &log).with_context(|| format!("after {round} kills"))?;
    }
    ensure!(lines >= 28, "only {lines} pictures");
    println!("{lines} pictures after 14 kills");
    Ok(())
}

#[test]
fn two_processes_say_things_about_one_library() -> anyhow::Result<()> {
    let _turn = one_at_a_time();
    let base = tempfile::tempdir()?;
    let folder = base.path().canonicalize()?;
    let log = folder.join("log");
    let library = folder.join("library");
    let store = Store::open(&library)?;
    store.add_board("Best")?;
    let mut child = start_child("child_works_until_it_is_killed", &folder, &log, 1_000_001)?;
    let patience = Instant::now() + Duration::from_secs(60);
    let mut mine = Vec::new();
    while told(&log).map_or(0, |told| told.len()) < 12 || mine.len() < 12 {
        let id = save(&store, mine.len() as u64)?;
        store.set_rating(&[id], 3)?;
        store.add_tags(&[id], &["mine"])?;
        if mine.len() % 5 == 4 {
            store.tidy()?;
        }
        mine.push(id);
        ensure!(Instant::now() < patience, "the child says nothing");
        ensure!(child.try_wait()?.is_none(), "the child ended by itself");
    }
    child.kill()?;
    child.wait()?;
    drop(store);
    let store = Store::open(&library)?;
    check(&store, &log)?;
    ensure!(find(&store, "tag:mine rating:3")?.len() == mine.len());
    drop(store);
    std::fs::remove_file(library.join("index.sqlite"))?;
    let store = Store::open(&library)?;
    check(&store, &log)?;
    ensure!(find(&store, "tag:mine rating:3")?.len() == mine.len());
    Ok(())
}

/// Opens and changes a library as somebody who may not write.
#[cfg(unix)]
#[test]
fn child_may_not_write() -> anyhow::Result<()> {
    let Some(folder) = child_variable(CHILD_FOLDER) else { return Ok(()) };
    let Some(error) = Store::open(&folder).err() else { bail!("it was opened") };
    ensure!(matches!(error, EngineError::Io { .. }), "{error}");
    ensure!(!error.hint().is_empty());
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_library_that_may_not_be_written_is_an_error_and_stays_as_it_is() -> anyhow::Result<()> {
    let _turn = one_at_a_time();
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;

    let base = tempfile::tempdir()?;
    let folder = base.path().canonicalize()?;
    let library = folder.join("library");
    let store = Store::open(&library)?;
    let id = save(&store, 1)?;
    store.set_rating(&[id], 4)?;
    drop(store);
    let list = |folder: &Path| -> anyhow::Result<Vec<_>> {
        let mut names: Vec<_> = std::fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()?;
        names.sort();
        Ok(names)
    };
    let before = list(&library)?;
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755))?;
    for name in &before {
        let path = library.join(name);
        let mode = if path.is_dir() { 0o555 } else { 0o444 };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
    }
    std::fs::set_permissions(&library, PermissionsExt::from_mode(0o555))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", "child_may_not_write"]).env(CHILD_FOLDER, &library);
    if std::fs::metadata(&folder)?.uid() == 0 {
        // Permissions do not hold an administrator up.
        command.uid(65_534).current_dir("/");
    }
    let ended = match command.output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: another user may not start this program ({error})");
            return Ok(());
        }
    };
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    ensure!(String::from_utf8_lossy(&ended.stdout).contains("1 passed"), "the child did nothing");
    std::fs::set_permissions(&library, PermissionsExt::from_mode(0o755))?;
    for name in &before {
        std::fs::set_permissions(library.join(name), PermissionsExt::from_mode(0o755))?;
    }
    ensure!(list(&library)? == before);
    let store = Store::open(&library)?;
    ensure!(find(&store, "rating:4")? == [id]);
    Ok(())
}

/// Mounts a small disk in memory; taken away when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_loses_nothing_that_was_said() -> anyhow::Result<()> {
    let _turn = one_at_a_time();
    let base = tempfile::tempdir()?;
    let folder = base.path().canonicalize()?;
    let Some(disk) = SmallDisk::mount(&folder, "3m") else {
        println!("skipped: only an administrator can make a small disk");
        return Ok(());
    };
    let library = folder.join("library");
    let store = Store::open(&library)?;
    let mut said = Vec::new();
    let error = loop {
        let seed = said.len() as u64;
        let done = save(&store, seed).and_then(|id| {
            store.set_rating(&[id], 5)?;
            store.add_tags(&[id], &[format!("tag{seed}")])?;
            Ok(id)
        });
        match done {
            Ok(id) => said.push(id),
            Err(error) => break error,
        }
        ensure!(said.len() < 10_000, "the disk is not small");
    };
    ensure!(matches!(error, EngineError::DiskFull { .. }), "{error:?}");
    // What can still be done is done, what cannot says so; nothing in between.
    let mut refused = 0;
    for (number, id) in said.iter().enumerate().cycle().take(4000) {
        match store.add_tags(&[*id], &[format!("late{number}{}", "x".repeat(80))]) {
            Ok(()) => {}
            Err(EngineError::DiskFull { .. }) => refused += 1,
            Err(error) => bail!("{error:?}"),
        }
        if refused > 3 {
            break;
        }
    }
    println!("{} pictures, {refused} tags refused", said.len());
    let shown: Vec<_> = said.iter().map(|id| store.marks(*id)).collect::<Result<_, _>>()?;
    let export = store.export(said[0], &folder.join("out"));
    drop(store);
    // Room is made outside, as a person would: the cache is what nobody misses.
    std::fs::remove_dir_all(library.join("thumbnails"))?;
    let store = Store::open(&library)?;
    for (id, marks) in said.iter().zip(&shown) {
        ensure!(store.marks(*id)? == *marks, "{marks:?} became {:?}", store.marks(*id)?);
    }
    ensure!(find(&store, "rating:5")?.len() == said.len());
    let mut left = Vec::new();
    parts(&folder, &mut left)?;
    ensure!(left.is_empty(), "{left:?}");
    if let Ok(copy) = export {
        png::decode_file(&copy.file)?;
        std::fs::remove_file(copy.file)?;
    }
    store.set_rating(&said, 1)?;
    ensure!(store.search(&LibraryQuery::parse("rating:1").0, &Page::first(1))?.total == said.len());
    drop((store, disk));
    Ok(())
}

#[test]
fn a_drive_that_goes_away_is_told_and_everything_is_there_when_it_is_back() -> anyhow::Result<()> {
    let base = tempfile::tempdir()?;
    let folder = base.path().canonicalize()?;
    let (here, away) = (folder.join("drive/library"), folder.join("away"));
    let store = Store::open(&here)?;
    let first = save(&store, 1)?;
    store.set_rating(&[first], 5)?;
    // The place where a drive was mounted stays, empty.
    std::fs::rename(&here, &away)?;
    std::fs::create_dir(&here)?;
    for error in [save(&store, 2).map(drop), store.trash(first)] {
        let Err(error) = error else { bail!("something was written to the empty place") };
        ensure!(matches!(error, EngineError::Io { .. }) && !error.hint().is_empty(), "{error}");
    }
    ensure!(std::fs::read_dir(&here)?.next().is_none(), "something was written there");
    std::fs::remove_dir(&here)?;
    std::fs::rename(&away, &here)?;
    save(&store, 3)?;
    drop(store);
    let store = Store::open(&here)?;
    ensure!(store.search_ids(&LibraryQuery::default())?.len() == 2);
    ensure!(find(&store, "rating:5")? == [first]);
    ensure!(store.check(false, |_| true)?.is_whole());
    Ok(())
}

#[test]
fn results_keep_their_order_when_the_clock_jumps_back() -> anyhow::Result<()> {
    let base = tempfile::tempdir()?;
    let library = base.path().canonicalize()?;
    let store = Store::open(&library)?;
    let ids: Vec<i64> = (1..=4).map(|seed| save(&store, seed)).collect::<Result<_, _>>()?;
    let rows = store.recent(10, None)?;
    // Two days ahead for the files of the first two, as a wrong clock dates them.
    let ahead = std::time::SystemTime::now() + Duration::from_secs(172_800);
    for row in rows.iter().filter(|row| row.id <= ids[1]) {
        std::fs::File::options().write(true).open(&row.file)?.set_modified(ahead)?;
    }
    for row in &rows {
        let month = row.file.parent().context("a folder")?;
        std::fs::File::open(month)?.set_modified(ahead)?;
    }
    drop(store);
    let store = Store::open(&library)?;
    ensure!(store.opening().missing == 0 && store.opening().adopted == 0);
    let listed: Vec<i64> = store.recent(10, None)?.iter().map(|row| row.id).collect();
    ensure!(listed == [ids[3], ids[2], ids[1], ids[0]], "{listed:?}");
    // What comes while the folder is dated ahead is seen all the same.
    let fifth = save(&store, 5)?;
    let stray = rows[0].file.with_file_name("copied-by-hand.png");
    std::fs::copy(&rows[0].file, &stray)?;
    drop(store);
    let store = Store::open(&library)?;
    ensure!(store.opening().adopted == 1, "{:?}", store.opening());
    ensure!(store.recent(10, None)?.iter().any(|row| row.id == fifth));
    ensure!(store.check(false, |_| true)?.is_whole());
    Ok(())
}
