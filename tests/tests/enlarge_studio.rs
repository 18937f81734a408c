//! Enlarging through the engine: saved with the recipe it came from, seen while it runs, cancelled.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use atelier_engine::EngineError;
use atelier_engine::library::Models;
use atelier_engine::protocol::{
    EnlargeOutput, EnlargeRequest, Event, Partial, Pixels, Request, Stage,
};
use atelier_engine::service::Engine;
use atelier_engine::store::{Store, png};
use atelier_tests::source::root;
use atelier_tests::studio::{fail, finish, studio, wait};

fn net(name: &str) -> String {
    root().join("tests/golden/upscaler").join(name).to_string_lossy().into_owned()
}

fn enlarge(engine: &Engine, request: EnlargeRequest) -> Result<EnlargeOutput> {
    match finish(engine, Request::Enlarge(Box::new(request)))? {
        atelier_engine::protocol::Output::Enlarged(output) => Ok(*output),
        other => bail!("another output: {other:?}"),
    }
}

/// Writes a grey picture with a hole in it.
fn write(path: &Path, side: u32) -> Result<()> {
    let mut rgba = vec![120; (side * side * 4) as usize];
    rgba.chunks_exact_mut(4).for_each(|pixel| pixel[3] = 255);
    rgba[3] = 0;
    let pixels = Pixels::new(side, side, rgba).context("a picture")?;
    Ok(std::fs::write(path, png::encode_plain(&pixels)?)?)
}

#[test]
fn what_is_enlarged_is_on_the_disk_before_it_is_told_and_can_be_enlarged_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let picture = folder.path().join("hole.png");
    write(&picture, 20)?;
    let library = folder.path().join("library");
    let engine = studio(&Models::in_places([]), Some(&library))?;
    let request = EnlargeRequest::new(&picture, net("compact-x2.pth"), 2.0);
    let job = engine.submit(Request::Enlarge(Box::new(request)))?;
    let mut told = None;
    for event in wait(&engine, &job)? {
        match event {
            Event::Partial(_, Partial::Enlarged(enlarged)) => {
                let file = enlarged.file.clone().context("a file")?;
                let found = png::read_recipe_file(&file)?;
                assert_eq!(found.enlargement.as_ref(), Some(&enlarged.recipe));
                told = Some(*enlarged);
            }
            Event::Failed(_, error) => bail!("{error}"),
            _ => {}
        }
    }
    let first = told.context("nothing was told")?;
    assert_eq!((first.pixels.width_px, first.recipe.model.sha256.len()), (40, 64));
    assert_eq!((first.pixels.rgba[3], first.pixels.rgba[4 * 40 * 40 - 1]), (0, 255));
    let file = first.file.context("a file")?;
    let again = enlarge(&engine, EnlargeRequest::new(file, net("rrdb-x4.safetensors"), 2.0))?;
    assert_eq!(again.enlarged.recipe.depth(), 2);
    assert_eq!(again.enlarged.pixels.width_px, 80);
    drop(engine);
    let rows = Store::open(&library)?.recent(9, None)?;
    ensure!(rows.iter().all(|row| matches!(row.request, Request::Enlarge(_))) && rows.len() == 2);
    Ok(())
}

#[test]
fn a_recipe_enlarges_again_to_the_same_picture_and_another_net_of_its_name_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let picture = folder.path().join("a.png");
    write(&picture, 16)?;
    let engine = studio(&Models::in_places([]), None)?;
    let first =
        enlarge(&engine, EnlargeRequest::new(&picture, net("compact-x4.safetensors"), 3.0))?;
    let mut recipe = first.enlarged.recipe.clone();
    let again = enlarge(&engine, recipe.clone())?;
    assert_eq!(again.enlarged.pixels, first.enlarged.pixels);
    assert!(again.notices.is_empty(), "{:?}", again.notices);
    recipe.model.sha256 = "ab".repeat(32);
    assert_eq!(enlarge(&engine, recipe)?.notices.len(), 1);
    Ok(())
}

#[test]
fn what_cannot_be_enlarged_fails_with_its_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let picture = folder.path().join("a.png");
    write(&picture, 2000)?;
    let engine = studio(&Models::in_places([]), None)?;
    let ask = |model: &str, factor| {
        let request = EnlargeRequest::new(&picture, model, factor);
        fail(&engine, Request::Enlarge(Box::new(request)))
    };
    let error = ask("lanczos", 16.0)?.to_string();
    assert!(error.contains("32000 × 32000") && error.contains("4 times"), "{error}");
    assert!(matches!(ask("nothing", 2.0)?, EngineError::ModelNotFound { .. }));
    assert!(matches!(ask("lanczos", -1.0)?, EngineError::InvalidSetting { .. }));
    Ok(())
}

#[test]
fn tiles_are_counted_and_a_cancel_is_seen_within_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let picture = folder.path().join("a.png");
    write(&picture, 1500)?;
    let engine = studio(&Models::in_places([]), None)?;
    let request = EnlargeRequest::new(&picture, net("rrdb-x4.safetensors"), 4.0);
    let job = engine.submit(Request::Enlarge(Box::new(request)))?;
    let start = Instant::now();
    loop {
        let live = job.live();
        if let (Stage::Enlarging, Some([done, total])) = (live.stage, live.steps)
            && done > 0
        {
            ensure!(total >= 9, "{total} tiles");
            break;
        }
        ensure!(start.elapsed() < Duration::from_secs(120), "it never began: {live:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    let cancelled = Instant::now();
    job.cancel();
    let end = wait(&engine, &job)?.pop();
    ensure!(matches!(end, Some(Event::Failed(_, EngineError::Cancelled))), "{end:?}");
    let waited = cancelled.elapsed();
    println!("the cancel was seen after {} ms", waited.as_millis());
    // 200 ms on a quiet machine; tests run beside others.
    ensure!(waited < Duration::from_secs(2), "{waited:?}");
    Ok(())
}
