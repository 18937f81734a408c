//! Projects when processes die while they write, or share one.
//!
//! The tests start this test program again as a child; the variable says where the child works.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use atelier_engine::canvas::{Area, Brush, Document, Stroke};
use atelier_engine::math::rng::philox4x32;
use atelier_engine::protocol::{Pixels, Size};
use atelier_engine::store::projects::archive::{import, sweep};
use atelier_engine::store::projects::{EditKind, NewNode, Project, list};

const CHILD_FOLDER: &str = "ATELIER_TEST_PROJECT_FOLDER";
const COPYING_FOLDER: &str = "ATELIER_TEST_COPYING_FOLDER";

/// How often a process is killed.
const KILLS: u32 = 200;

/// How often a process is killed that copies projects.
const COPYING_KILLS: u32 = 60;

/// Is held by the test that starts programs: between a start and the program's first instruction the
/// locks that this process holds are the program's too.
static STARTING: Mutex<()> = Mutex::new(());

fn first_document() -> anyhow::Result<Document> {
    let picture = Pixels::new(300, 200, vec![90; 300 * 200 * 4]).context("the size fits")?;
    Ok(Document::of_picture(&picture, "Picture")?)
}

/// Does the n-th edit: strokes, and now and then another size.
fn edit(document: &mut Document, number: u32) -> anyhow::Result<()> {
    let [a, b, c, d] = philox4x32([number, 0, 0, 0], [6, 9]);
    if number.is_multiple_of(7) {
        let Size { width_px, height_px } = document.size;
        let (width, height) = (200 + a % 200, 150 + b % 200);
        ensure!(width_px > 0 && height_px > 0);
        document.set_area(Area::new(0, 0, width, height))?;
        return Ok(());
    }
    let area = document.area();
    let active = document.active.context("a layer")?;
    let layer = document.layer_mut(active).context("the layer")?;
    let [red, green, blue, _] = c.to_le_bytes();
    let brush = Brush { size_px: 12.0, colour: [red, green, blue, 255], ..Brush::default() };
    let mut stroke = Stroke::new(brush, layer.pixels.clone(), None, area);
    stroke.add([(a % 300) as f32, (b % 200) as f32], 1.0);
    stroke.add([(d % 300) as f32, (c % 200) as f32], 0.5);
    layer.pixels = stroke.into_result();
    Ok(())
}

#[test]
fn child_edits_until_it_is_killed() -> anyhow::Result<()> {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return Ok(()) };
    let folder = PathBuf::from(folder);
    let mut project = match list(&folder)?.first() {
        Some(path) => Project::open(path)?,
        None => Project::create(&folder, "project")?,
    };
    ensure!(project.is_writable(), "a dead process still has the project");
    let mut trail = project.trail()?;
    let mut document = match trail.head() {
        Some(head) => project.document(head)?,
        None => first_document()?,
    };
    loop {
        let id = trail.next_id();
        let is_first = trail.is_empty();
        if !is_first {
            edit(&mut document, u32::try_from(id.0)?)?;
        }
        let kind = if is_first { EditKind::Begun } else { EditKind::Painted };
        let node = NewNode {
            id,
            parent: trail.head(),
            kind,
            detail: String::new(),
            document: document.clone(),
            recipe: None,
        };
        trail.add(project.add(&node)?);
        println!("saved {}", id.0);
    }
}

/// Has a child edit for a while, kills it, and returns the last edit that it said was saved.
fn run_and_kill(folder: &Path, after: Duration) -> anyhow::Result<i64> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "child_edits_until_it_is_killed", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("its output")?);
    let mut last = 0;
    // Wait until it works, then some more, and kill it whatever it does.
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        if let Some(number) = line.trim().split("saved ").nth(1) {
            last = number.parse()?;
            break;
        }
        line.clear();
    }
    std::thread::sleep(after);
    child.kill()?;
    child.wait()?;
    let mut rest = String::new();
    lines.read_to_string(&mut rest)?;
    // A line that was cut off says nothing.
    let whole = rest.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for number in whole.lines().filter_map(|line| line.split("saved ").nth(1)) {
        last = number.trim().parse()?;
    }
    Ok(last)
}

#[test]
fn a_project_keeps_every_edit_that_was_saved_when_its_process_is_killed_again_and_again()
-> anyhow::Result<()> {
    let _turn = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir()?;
    let mut most = 0;
    for kill in 0..KILLS {
        let [random, ..] = philox4x32([kill, 1, 0, 0], [20_261_126, 0]);
        let after = Duration::from_micros(u64::from(random % 30_000));
        let said = run_and_kill(folder.path(), after)?;
        let path = list(folder.path())?.into_iter().next().context("the project is there")?;
        let mut project = Project::open(&path)?;
        let trail = project.trail()?;
        let head = trail.head().context("an edit")?;
        ensure!(head.0 >= said, "edit {said} was said to be saved, and {} is the last", head.0);
        ensure!(said > most, "nothing was done before kill {kill}");
        most = said;
        project.document(head)?;
        ensure!(i64::try_from(trail.len())? == head.0, "edits are missing in between");
    }
    // Every edit, replayed without a disk, is the one that is kept.
    let path = list(folder.path())?.into_iter().next().context("the project is there")?;
    let mut project = Project::open(&path)?;
    let trail = project.trail()?;
    let mut document = first_document()?;
    for node in trail.iter() {
        if node.parent.is_some() {
            edit(&mut document, u32::try_from(node.id.0)?)?;
        }
        let is_sample = node.id.0 % 50 == 0 || Some(node.id) == trail.head();
        ensure!(!is_sample || project.document(node.id)? == document, "edit {}", node.id.0);
    }
    println!("{} edits over {KILLS} kills", trail.len());
    drop(project);
    let left: Vec<_> = std::fs::read_dir(folder.path())?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, _>>()?;
    let strange: Vec<_> =
        left.iter().filter(|name| !name.starts_with("project.atelier-project")).collect();
    ensure!(strange.is_empty(), "files stay: {strange:?}");
    Ok(())
}

/// Exports the project of a folder elsewhere and takes it in again, until it is killed.
#[test]
fn child_copies_until_it_is_killed() -> anyhow::Result<()> {
    let Some(folder) = std::env::var_os(COPYING_FOLDER).map(PathBuf::from) else { return Ok(()) };
    let (projects, sources) = (folder.join("projects"), folder.join("sources"));
    sweep(&projects)?;
    let file = folder.join("out/fox.atelier");
    println!("begun");
    loop {
        Project::open(&projects.join("project.atelier-project"))?.export(&file)?;
        let made = import(&file, &projects, &sources)?;
        println!("made {}", made.file.display());
    }
}

#[test]
fn killed_exports_and_imports_leave_whole_projects_and_no_half_files() -> anyhow::Result<()> {
    let _turn = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir()?;
    let (projects, out) = (folder.path().join("projects"), folder.path().join("out"));
    std::fs::create_dir_all(&out)?;
    let mut project = Project::create(&projects, "project")?;
    let mut document = first_document()?;
    for number in 1..=30 {
        if number > 1 {
            edit(&mut document, number)?;
        }
        let trail = project.trail()?;
        let kind = EditKind::Painted;
        let document = document.clone();
        let (id, parent, detail) = (trail.next_id(), trail.head(), String::new());
        project.add(&NewNode { id, parent, kind, detail, document, recipe: None })?;
    }
    // How long it takes here says when to kill.
    let begin = Instant::now();
    project.export(&out.join("fox.atelier"))?;
    let elsewhere = tempfile::tempdir()?;
    import(&out.join("fox.atelier"), &elsewhere.path().join("a"), &elsewhere.path().join("b"))?;
    let once = begin.elapsed();
    drop(project);
    let mut made = 0;
    for kill in 0..COPYING_KILLS {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "child_copies_until_it_is_killed", "--nocapture"])
            .env(COPYING_FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 && !line.contains("begun") {
            line.clear();
        }
        let [random, ..] = philox4x32([kill, 2, 0, 0], [20_261_126, 0]);
        std::thread::sleep(once * 3 * (random % 1000) / 1000);
        child.kill()?;
        child.wait()?;
        sweep(&projects)?;
        for entry in std::fs::read_dir(&projects)?.chain(std::fs::read_dir(&out)?) {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let is_whole = name.contains(".atelier") && !name.ends_with(".part");
            ensure!(is_whole || name == "copying-lock", "{name} stays after {kill} kills");
        }
        let all = list(&projects)?;
        for path in &all {
            let mut project = Project::open(path)?;
            let trail = project.trail()?;
            ensure!(trail.len() == 30, "{} has {} edits", path.display(), trail.len());
            ensure!(project.document(trail.head().context("an edit")?)? == document);
            drop(project);
            if !path.ends_with("project.atelier-project") {
                made += 1;
                for ending in ["", "-lock", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(format!("{}{ending}", path.display()));
                }
            }
        }
        if out.join("fox.atelier").exists() {
            let elsewhere = tempfile::tempdir()?;
            let [a, b] = ["a", "b"].map(|name| elsewhere.path().join(name));
            ensure!(import(&out.join("fox.atelier"), &a, &b)?.edits == 30);
        }
    }
    ensure!(made > 10, "only {made} projects were taken in");
    println!("{made} projects taken in over {COPYING_KILLS} kills");
    Ok(())
}
