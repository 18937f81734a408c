//! A folder of old pictures becomes part of the library: bytes, times and recipes.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use atelier_engine::EngineError;
use atelier_engine::protocol::{Pixels, Request, SamplerKind};
use atelier_engine::store::foreign::Program;
use atelier_engine::store::import::{ImportEnd, ImportReport, RecipeOrigin, SilentPictures};
use atelier_engine::store::{ResultKind, ResultRow, Store};
use atelier_tests::foreign::{exif, jpeg, png, unicode_comment, webp};
use atelier_tests::source::fixture;
use tempfile::TempDir;

const TEXT: &str = "a castle\nNegative prompt: grey\nSteps: 25, Sampler: DPM fast, CFG scale: 6.5, Seed: 7, \
    Size: 512x768, Model: dreamshaper_8";

/// 2023-05-17 12:00:00 UTC.
const MAY_2023: u64 = 1_684_324_800;

/// Writes a file with a time of its own, `days` after the day above.
fn write(folder: &Path, name: &str, bytes: &[u8], days: u64) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().context("a folder")?)?;
    fs::write(&path, bytes)?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(MAY_2023 + days * 86_400);
    fs::File::options().write(true).open(&path)?.set_modified(time)?;
    Ok(path)
}

/// Makes a folder of pictures of three programs, one that says nothing, and what is none.
fn old_pictures(folder: &Path) -> Result<()> {
    let comment = unicode_comment(&TEXT.replace("castle", "tower"), true);
    write(folder, "b/tower.JPG", &jpeg(&exif(&[(0x9286, 7, &comment)], true)), 2)?;
    write(folder, "castle.png", &png(&[("parameters", TEXT)]), 1)?;
    let swarm = r#"{"sui_image_params":{"prompt":"a boat","seed":3,"steps":20,"sampler":"euler","model":"m"}}"#;
    write(folder, "c/d/boat.webp", &webp(&exif(&[(0x0110, 2, swarm.as_bytes())], false)), 3)?;
    write(folder, "holiday.png", &png(&[]), 0)?;
    write(folder, "copy of castle.png", &png(&[("parameters", TEXT)]), 4)?;
    write(folder, "broken.png", b"\x89PNG\r\n\x1a\nnothing more", 5)?;
    write(folder, "gif.png", b"GIF89a", 5)?;
    write(folder, ".hidden.png", &png(&[("parameters", TEXT)]), 5)?;
    write(folder, "notes.txt", b"no picture", 5)?;
    Ok(())
}

fn import(store: &Store, folder: &Path, silent: SilentPictures) -> Result<ImportReport> {
    Ok(store.import_folder(folder, silent, &mut |_| ControlFlow::Continue(()))?)
}

fn prompts(store: &Store) -> Result<Vec<String>> {
    let text = |row: ResultRow| match row.request {
        Request::Picture(request) => request.prompt.text,
        _ => String::new(),
    };
    Ok(store.recent(99, None)?.into_iter().map(text).collect())
}

fn places() -> Result<(TempDir, TempDir)> {
    let (library, folder) = (tempfile::tempdir()?, tempfile::tempdir()?);
    old_pictures(folder.path())?;
    Ok((library, folder))
}

#[test]
fn pictures_are_taken_with_their_bytes_their_times_and_their_recipes() -> Result<()> {
    let (library, folder) = places()?;
    let store = Store::open(library.path())?;
    let report = import(&store, folder.path(), SilentPictures::Take)?;
    assert_eq!(report.end, ImportEnd::Complete);
    let origins: Vec<RecipeOrigin> = report.imported.iter().map(|picture| picture.origin).collect();
    let other = RecipeOrigin::Other;
    assert_eq!(
        origins,
        [
            RecipeOrigin::Nobody,
            other(Program::Automatic1111),
            other(Program::Automatic1111),
            other(Program::SwarmUi)
        ]
    );
    assert_eq!((report.already_there.len(), report.silent.len(), report.passed_over), (1, 1, 1));
    assert_eq!(report.already_there[0].id, report.imported[1].id);
    let refused: Vec<String> =
        report.refused.iter().map(|refused| refused.error.to_string()).collect();
    ensure!(
        refused.len() == 2 && refused[0].contains("broken.png") && refused[1].contains("gif.png"),
        "{refused:?}"
    );
    // Newest first, as everything in the library.
    assert_eq!(prompts(&store)?, ["a boat", "a tower", "a castle", ""]);
    for picture in &report.imported {
        assert_eq!(
            fs::read(&picture.from)?,
            fs::read(&picture.file)?,
            "{}",
            picture.from.display()
        );
        let times =
            [fs::metadata(&picture.from)?.modified()?, fs::metadata(&picture.file)?.modified()?];
        assert_eq!(times[0], times[1]);
        let row = store.result(picture.id)?.context("a row")?;
        assert_eq!(
            row.created_ms as u128,
            times[0].duration_since(SystemTime::UNIX_EPOCH)?.as_millis()
        );
        let small = store.thumbnail(picture.id)?;
        assert_eq!((small.width_px, small.height_px), (48, 48));
    }
    let names: Vec<String> = report
        .imported
        .iter()
        .map(|picture| {
            picture.file.strip_prefix(store.folder()).map(|file| file.display().to_string())
        })
        .collect::<Result<_, _>>()?;
    assert_eq!(names[1], "pictures/imported-2023-05/2023-05-18-a-castle-7.png");
    assert_eq!(names[2], "pictures/imported-2023-05/2023-05-19-a-tower-7.jpg");
    assert_eq!(names[0], "pictures/imported-2023-05/2023-05-17-holiday-0.png");
    let castle = store.result(report.imported[1].id)?.context("a row")?;
    let Request::Picture(request) = castle.request else { anyhow::bail!("it is no picture") };
    assert_eq!(
        (request.seed, request.sampling.steps, request.sampling.sampler),
        (7, 25, SamplerKind::Euler)
    );
    assert_eq!(
        (request.prompt.negative.as_str(), request.model.name.as_str()),
        ("grey", "dreamshaper_8")
    );
    let unhonoured = report.unhonoured();
    ensure!(
        unhonoured.iter().any(|(said, count)| said.contains("“DPM fast”") && *count == 2),
        "{unhonoured:?}"
    );
    Ok(())
}

#[test]
fn nothing_is_taken_twice_also_when_it_was_made_here() -> Result<()> {
    let (library, folder) = places()?;
    let store = Store::open(library.path())?;
    let own = atelier_tests::painting::request(Path::new("house-picture"));
    let pixels = Pixels::new(8, 8, vec![200; 256]).context("pixels")?;
    let saved = store.save_picture(&pixels, &own, "CC0-1.0")?;
    fs::copy(&saved.file, folder.path().join("mine.png"))?;
    let first = import(&store, folder.path(), SilentPictures::Take)?;
    assert_eq!((first.imported.len(), first.already_there.len()), (4, 2));
    ensure!(first.already_there.iter().any(|there| there.id == saved.id));
    let second = import(&store, folder.path(), SilentPictures::Take)?;
    assert_eq!((second.imported.len(), second.already_there.len()), (0, 6));
    // In the trash it is there still; deleted for good it can come again.
    store.trash(first.imported[1].id)?;
    assert_eq!(import(&store, folder.path(), SilentPictures::Take)?.imported.len(), 0);
    store.empty_trash()?;
    assert_eq!(import(&store, folder.path(), SilentPictures::Take)?.imported.len(), 1);
    // A picture of ours that comes from another library keeps its recipe.
    let elsewhere = tempfile::tempdir()?;
    let other = Store::open(elsewhere.path())?;
    let report = import(&other, folder.path(), SilentPictures::Leave)?;
    let mine = report.imported.iter().find(|picture| picture.origin == RecipeOrigin::Atelier);
    let row = other.result(mine.context("mine")?.id)?.context("a row")?;
    assert_eq!(row.request, Request::Picture(Box::new(own)));
    Ok(())
}

#[test]
fn what_was_imported_is_known_again_after_the_index_is_lost() -> Result<()> {
    let (library, folder) = places()?;
    let store = Store::open(library.path())?;
    import(&store, folder.path(), SilentPictures::Take)?;
    let before: Vec<_> = store
        .recent(99, None)?
        .into_iter()
        .map(|row| (row.file, row.created_ms, row.request))
        .collect();
    drop(store);
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = fs::remove_file(library.path().join(name));
    }
    let store = Store::open(library.path())?;
    assert_eq!((store.opening().adopted, store.opening().unreadable.len()), (4, 0));
    let after: Vec<_> = store
        .recent(99, None)?
        .into_iter()
        .map(|row| (row.file, row.created_ms, row.request))
        .collect();
    assert_eq!(after, before);
    assert_eq!(import(&store, folder.path(), SilentPictures::Take)?.already_there.len(), 5);
    Ok(())
}

#[test]
fn trash_and_restore_move_imported_pictures_of_every_kind() -> Result<()> {
    let (library, folder) = places()?;
    let store = Store::open(library.path())?;
    for picture in import(&store, folder.path(), SilentPictures::Take)?.imported {
        store.trash(picture.id)?;
        ensure!(!picture.file.exists());
        store.restore(picture.id)?;
        assert_eq!(store.result(picture.id)?.context("a row")?.file, picture.file);
    }
    assert_eq!(store.recent_of(ResultKind::Picture, 99, None)?.len(), 4);
    Ok(())
}

#[test]
fn an_import_can_be_broken_off_and_what_was_taken_stays() -> Result<()> {
    let (library, folder) = places()?;
    let store = Store::open(library.path())?;
    let mut told = Vec::new();
    let report = store.import_folder(folder.path(), SilentPictures::Take, &mut |progress| {
        told.push((progress.done, progress.total));
        if progress.done == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    assert_eq!((report.end, report.imported.len()), (ImportEnd::Cancelled, 2));
    assert_eq!(told.last(), Some(&(2, 7)));
    assert_eq!(prompts(&store)?.len(), 2);
    let before = store
        .import_folder(folder.path(), SilentPictures::Take, &mut |_| ControlFlow::Break(()))?;
    assert_eq!((before.end, before.imported.len()), (ImportEnd::Cancelled, 0));
    assert_eq!(import(&store, folder.path(), SilentPictures::Take)?.imported.len(), 2);
    Ok(())
}

#[test]
fn silent_pictures_can_be_left() -> Result<()> {
    let (library, folder) = places()?;
    let store = Store::open(library.path())?;
    let report = import(&store, folder.path(), SilentPictures::Leave)?;
    assert_eq!((report.imported.len(), report.silent.len()), (3, 1));
    assert_eq!(prompts(&store)?, ["a boat", "a tower", "a castle"]);
    Ok(())
}

#[test]
fn folders_that_cannot_be_imported_are_refused() -> Result<()> {
    let (library, folder) = places()?;
    let store = Store::open(library.path())?;
    let refusal = |path: &Path| {
        store.import_folder(path, SilentPictures::Take, &mut |_| ControlFlow::Continue(()))
    };
    let within = refusal(&library.path().join("pictures"));
    ensure!(matches!(within, Err(EngineError::InvalidSetting { .. })), "{within:?}");
    for path in [folder.path().join("not there"), folder.path().join("notes.txt")] {
        let refused = refusal(&path);
        ensure!(matches!(refused, Err(EngineError::Io { .. })), "{refused:?}");
    }
    // A folder around the library gives what is beside the library.
    let around = tempfile::tempdir()?;
    write(around.path(), "castle.png", &png(&[("parameters", TEXT)]), 0)?;
    let store = Store::open(around.path().join("library"))?;
    assert_eq!(import(&store, around.path(), SilentPictures::Take)?.imported.len(), 1);
    assert_eq!(import(&store, around.path(), SilentPictures::Take)?.already_there.len(), 1);
    Ok(())
}

#[cfg(unix)]
#[test]
fn rings_of_links_end_and_pipes_are_not_waited_for() -> Result<()> {
    use std::os::unix::fs::symlink;
    let (library, folder) = places()?;
    symlink(folder.path(), folder.path().join("b/ring"))?;
    symlink(folder.path().join("c"), folder.path().join("c/d/ring"))?;
    symlink(library.path(), folder.path().join("library"))?;
    symlink(folder.path().join("gone.png"), folder.path().join("dangling.png"))?;
    let pipe = folder.path().join("pipe.png");
    ensure!(std::process::Command::new("mkfifo").arg(&pipe).status()?.success());
    let store = Store::open(library.path())?;
    let report = import(&store, folder.path(), SilentPictures::Take)?;
    assert_eq!(
        (report.imported.len(), report.already_there.len(), report.refused.len()),
        (4, 1, 3)
    );
    Ok(())
}

#[test]
fn real_pictures_are_taken_as_they_are() -> Result<()> {
    let Some(path) = fixture("pictures/a1111.png") else { return Ok(()) };
    let library = tempfile::tempdir()?;
    let store = Store::open(library.path())?;
    let report = import(&store, path.parent().context("a folder")?, SilentPictures::Leave)?;
    assert_eq!(
        (report.imported.len(), report.silent.len(), report.refused.len()),
        (8, 0, 0),
        "{report:#?}"
    );
    for picture in &report.imported {
        assert_eq!(fs::read(&picture.from)?, fs::read(&picture.file)?);
        store.thumbnail(picture.id)?;
    }
    Ok(())
}

const CHILD_FOLDER: &str = "ATELIER_TEST_IMPORT_FOLDER";

/// Takes a folder into a library, until it is killed or done.
#[test]
fn child_imports_until_it_is_killed() -> Result<()> {
    let Some(base) = std::env::var_os(CHILD_FOLDER).map(PathBuf::from) else { return Ok(()) };
    let store = Store::open(base.join("library"))?;
    println!("begun");
    import(&store, &base.join("old"), SilentPictures::Take)?;
    println!("done");
    Ok(())
}

#[test]
fn imports_that_are_killed_leave_no_half_files_and_go_on_without_doubles() -> Result<()> {
    const PICTURES: usize = 400;
    let base = tempfile::tempdir()?;
    let (library, old) = (base.path().join("library"), base.path().join("old"));
    for number in 0..PICTURES {
        let text = TEXT.replace("Seed: 7", &format!("Seed: {number}"));
        write(&old, &format!("{number}.png"), &png(&[("parameters", &text)]), number as u64 % 90)?;
    }
    let (mut kills, mut before) = (0_u64, 0);
    loop {
        let mut child = std::process::Command::new(std::env::current_exe()?)
            .args(["--exact", "child_imports_until_it_is_killed", "--nocapture"])
            .env(CHILD_FOLDER, base.path())
            .stdout(std::process::Stdio::piped())
            .spawn()?;
        let mut lines = std::io::BufReader::new(child.stdout.take().context("the child's output")?);
        let mut line = String::new();
        while std::io::BufRead::read_line(&mut lines, &mut line)? > 0 && !line.contains("begun") {
            line.clear();
        }
        std::thread::sleep(Duration::from_micros(5_000 + kills * 37_919 % 60_000));
        child.kill()?;
        child.wait()?;
        kills += 1;
        let store = Store::open(&library)?;
        let mut files = Vec::new();
        list_files(&library.join("pictures"), &mut files)?;
        let part = files.iter().find(|file| file.to_string_lossy().ends_with(".part"));
        ensure!(part.is_none(), "{part:?} stays after {kills} kills");
        let rows = store.recent(usize::MAX, None)?;
        ensure!(rows.len() == files.len(), "{} rows, {} files", rows.len(), files.len());
        ensure!(rows.len() >= before, "{before} pictures became {}", rows.len());
        ensure!(store.check(false, |_| true)?.is_whole(), "after {kills} kills");
        before = rows.len();
        if before == PICTURES || kills >= 60 {
            break;
        }
    }
    let store = Store::open(&library)?;
    let report = import(&store, &old, SilentPictures::Take)?;
    assert_eq!((report.imported.len(), report.already_there.len()), (PICTURES - before, before));
    assert_eq!(store.recent(usize::MAX, None)?.len(), PICTURES);
    ensure!(kills >= 5, "only {kills} kills");
    println!("{before} pictures were there after {kills} kills");
    Ok(())
}

fn list_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { list_files(&path, found)? } else { found.push(path) }
    }
    Ok(())
}
