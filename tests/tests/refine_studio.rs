//! Enlarged pictures painted over in tiles: no tile shows, colours stay, and the recipe makes the same
//! picture again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use atelier_engine::EngineError;
use atelier_engine::canvas::seam::{delta_e, lab};
use atelier_engine::library::Models;
use atelier_engine::protocol::{
    EnlargeOutput, EnlargeRequest, Event, MemoryUse, ModelRef, Output, Pixels, Prompt, Refine,
    Request, SamplerKind, Sampling, Size, Stage,
};
use atelier_engine::service::Engine;
use atelier_engine::store::png;
use atelier_tests::edits::{BASES, house, paint, request};
use atelier_tests::studio::{fail, finish, studio, wait};
use atelier_tests::tiny_diffusion::models;

fn enlarge(engine: &Engine, request: EnlargeRequest) -> Result<EnlargeOutput> {
    match finish(engine, Request::Enlarge(Box::new(request)))? {
        Output::Enlarged(output) => Ok(*output),
        other => bail!("another output: {other:?}"),
    }
}

/// Asks for a picture to be enlarged by Lanczos's filter and painted over.
fn refined(picture: &Path, factor: f32, refine: Refine) -> EnlargeRequest {
    EnlargeRequest {
        refine: Some(Box::new(refine)),
        ..EnlargeRequest::new(picture, EnlargeRequest::LANCZOS, factor)
    }
}

/// Writes a picture of soft colours without any tile in it.
fn write(path: &Path, [width, height]: [u32; 2]) -> Result<()> {
    let rgba = (0..height).flat_map(|y| {
        (0..width).flat_map(move |x| {
            let wave =
                |a: f32, b: f32| (128.0 + 90.0 * (x as f32 / a).sin() * (y as f32 / b).cos()) as u8;
            [wave(9.0, 14.0), wave(17.0, 11.0), wave(23.0, 8.0), 255]
        })
    });
    let pixels = Pixels::new(width, height, rgba.collect()).context("a picture")?;
    Ok(std::fs::write(path, png::encode_plain(&pixels)?)?)
}

/// Returns the mean jump of luma across lines of pixels of one axis.
fn jumps(pixels: &Pixels, axis: usize, lines: &[usize]) -> f64 {
    let [width, height] = [pixels.width_px as usize, pixels.height_px as usize];
    let luma = |x: usize, y: usize| {
        let pixel = &pixels.rgba[4 * (y * width + x)..];
        0.299 * f64::from(pixel[0]) + 0.587 * f64::from(pixel[1]) + 0.114 * f64::from(pixel[2])
    };
    let (mut sum, mut count) = (0.0, 0);
    for line in lines {
        for along in 0..[height, width][axis] {
            let at = |off: usize| match axis {
                0 => luma(line + off - 2, along),
                _ => luma(along, line + off - 2),
            };
            // The second difference: how much the gradient changes from one pixel to the next.
            sum += (at(1) - at(2) - (at(2) - at(3))).abs();
            count += 1;
        }
    }
    sum / f64::from(count.max(1))
}

/// Returns the jump where windows of `window` begin and end, of which each has 70 % in common with the
/// next, over a picture's side, against elsewhere.
fn seam_ratio(pixels: &Pixels, window: usize) -> f64 {
    let sides = [pixels.width_px as usize, pixels.height_px as usize];
    let (mut at, mut off) = (0.0, 0.0);
    for (axis, side) in sides.into_iter().enumerate() {
        let step = window as f64 * 0.3;
        let count = ((side - window) as f64 / step).ceil() as usize;
        let starts = (0..=count).map(|index| index * (side - window) / count.max(1));
        let edges: Vec<usize> = starts
            .flat_map(|start| [start, start + window])
            .filter(|edge| (4..side - 4).contains(edge))
            .collect();
        let near: Vec<usize> = edges.iter().flat_map(|edge| [edge - 1, *edge, edge + 1]).collect();
        let far: Vec<usize> = (4..side - 4).filter(|line| !near.contains(line)).collect();
        at += jumps(pixels, axis, &near);
        off += jumps(pixels, axis, &far);
    }
    at / off.max(1e-9)
}

/// Returns the mean difference of colours in squares of 32 pixels.
fn tone_apart(a: &Pixels, b: &Pixels) -> f64 {
    let width = a.width_px as usize;
    let (columns, rows) = (width / 32, a.height_px as usize / 32);
    let mean = |pixels: &Pixels, square: usize| {
        let (left, top) = (square % columns * 32, square / columns * 32);
        let mut sums = [0f64; 3];
        for y in top..top + 32 {
            for x in left..left + 32 {
                let pixel = &pixels.rgba[4 * (y * width + x)..];
                sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += f64::from(*value));
            }
        }
        lab(sums.map(|sum| (sum / 1024.0).round() as u8))
    };
    let squares = columns * rows;
    let apart = (0..squares).map(|square| delta_e(mean(a, square), mean(b, square)));
    apart.sum::<f64>() / squares as f64
}

#[test]
fn the_house_model_leaves_no_seam_between_tiles_and_keeps_the_colours() -> Result<()> {
    let Some(mut model) = house()? else {
        println!("skipped: the house model is not here");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let engine = studio(&Models::standard(), None)?;
    let (mut ratios, mut before) = (Vec::new(), Vec::new());
    for (index, base) in BASES.iter().enumerate().take(4) {
        let recipe = request(&format!("{} {}", base[0], base[1]), 40 + index as u64);
        let picture = paint(&mut model, &recipe)?;
        let path = folder.path().join(format!("{index}.png"));
        std::fs::write(&path, png::encode(&picture, &recipe, "CC0")?)?;
        let plain = EnlargeRequest::new(&path, EnlargeRequest::LANCZOS, 2.0);
        let plain = enlarge(&engine, plain)?.enlarged.pixels;
        let made = enlarge(&engine, refined(&path, 2.0, Refine::new(0.3)))?;
        let said = made.enlarged.recipe.refine.as_ref().context("no recipe")?;
        // What the picture's own recipe says is what is painted.
        ensure!(said.prompt.as_ref() == Some(&recipe.prompt) && said.seed == Some(recipe.seed));
        let pixels = &made.enlarged.pixels;
        ensure!(pixels.rgba != plain.rgba, "nothing was painted");
        let apart = tone_apart(pixels, &plain);
        ensure!(apart < 1.5, "{}: the colours moved by ΔE {apart:.2}", base[0]);
        ratios.push(seam_ratio(pixels, 256));
        before.push(seam_ratio(&plain, 256));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (after, before) = (mean(&ratios), mean(&before));
    println!("jumps at the borders of tiles against elsewhere: {after:.3}, {before:.3} before");
    ensure!(after <= 1.10 * before.max(1.0), "{ratios:?}");
    Ok(())
}

/// Asks for three steps of a tiny model in tiles of 64 pixels.
fn tiny(model: &str) -> Result<Refine> {
    Ok(Refine {
        model: Some(ModelRef::named(models()?.join(model).to_string_lossy())),
        prompt: Some(Prompt { text: "a (red:1.2) fox".into(), ..Prompt::default() }),
        sampling: Some(Sampling {
            sampler: SamplerKind::EulerA,
            steps: 6,
            guidance: 4.0,
            ..Sampling::default()
        }),
        seed: Some(7),
        tile: Some(Size { width_px: 64, height_px: 64 }),
        ..Refine::new(0.5)
    })
}

#[test]
fn every_kind_of_diffusion_model_paints_over_and_its_recipe_does_so_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let picture = folder.path().join("a.png");
    write(&picture, [70, 52])?;
    let engine = studio(&Models::in_places([]), None)?;
    let plain = EnlargeRequest::new(&picture, EnlargeRequest::LANCZOS, 2.0);
    let plain = enlarge(&engine, plain)?.enlarged.pixels;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(models()?)? {
        let path = entry?.path();
        if path.join("model_index.json").is_file() {
            names.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    ensure!(names.len() >= 3, "{names:?}");
    for name in names {
        let made =
            enlarge(&engine, refined(&picture, 2.0, tiny(&name)?)).with_context(|| name.clone())?;
        let pixels = &made.enlarged.pixels;
        ensure!([pixels.width_px, pixels.height_px] == [140, 104], "{name}");
        ensure!(pixels.rgba != plain.rgba, "{name} painted nothing");
        let refine = made.enlarged.recipe.refine.as_ref().context("no recipe")?;
        ensure!(refine.model.as_ref().is_some_and(|model| model.sha256.len() == 64), "{name}");
        let again = enlarge(&engine, made.enlarged.recipe.clone())?;
        ensure!(again.enlarged.pixels == made.enlarged.pixels, "{name}: another picture");
        ensure!(again.enlarged.recipe == made.enlarged.recipe, "{name}: another recipe");
    }
    Ok(())
}

#[test]
fn a_model_that_saves_memory_paints_over_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let picture = folder.path().join("a.png");
    write(&picture, [70, 52])?;
    let engine = studio(&Models::in_places([]), None)?;
    let mut refine = tiny("sd1")?;
    refine.extras.memory = MemoryUse::Low;
    let lean = enlarge(&engine, refined(&picture, 2.0, refine))?;
    let ample = enlarge(&engine, refined(&picture, 2.0, tiny("sd1")?))?;
    let pairs = lean.enlarged.pixels.rgba.iter().zip(&ample.enlarged.pixels.rgba);
    let most = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or_default();
    // Weights that are packed more tightly round otherwise.
    ensure!(most <= 24, "{most} levels apart");
    Ok(())
}

#[test]
fn where_tiles_overlap_they_begin_with_the_same_noise() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let picture = folder.path().join("a.png");
    write(&picture, [96, 64])?;
    let engine = studio(&Models::in_places([]), None)?;
    // A picture of one tile, and the same in two that overlap by half of it: with noise of its own for
    // each tile, or with borders that show, the two would be far apart.
    let whole = Refine { tile: Some(Size { width_px: 192, height_px: 128 }), ..tiny("sd1")? };
    let tiles = Refine { tile: Some(Size { width_px: 128, height_px: 128 }), ..tiny("sd1")? };
    let whole = enlarge(&engine, refined(&picture, 2.0, whole))?.enlarged.pixels;
    let tiles = enlarge(&engine, refined(&picture, 2.0, tiles))?.enlarged.pixels;
    let other = Refine { seed: Some(8), ..tiny("sd1")? };
    let other = enlarge(&engine, refined(&picture, 2.0, other))?.enlarged.pixels;
    let apart = |a: &Pixels, b: &Pixels| {
        let pairs = a.rgba.iter().zip(&b.rgba);
        pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.rgba.len() as f64
    };
    let (same, another) = (apart(&whole, &tiles), apart(&whole, &other));
    println!("one tile against two: {same:.2} levels; another seed: {another:.2}");
    ensure!(same < 0.7 * another, "{same} {another}");
    Ok(())
}

#[test]
fn tiles_are_counted_a_preview_is_seen_and_a_cancel_ends_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let picture = folder.path().join("a.png");
    write(&picture, [260, 260])?;
    let engine = studio(&Models::in_places([]), None)?;
    let mut refine = tiny("sd1")?;
    refine.sampling = refine.sampling.map(|sampling| Sampling { steps: 100, ..sampling });
    let asked = Request::Enlarge(Box::new(refined(&picture, 2.0, refine)));
    let job = engine.submit(asked)?;
    let start = Instant::now();
    loop {
        let live = job.live();
        if let (Stage::Refining, Some([done, total]), Some(preview)) =
            (live.stage, live.steps, &live.preview)
        {
            ensure!(done > 0 && total > 100 * 50 && preview.width_px < 520, "{done} of {total}");
            break;
        }
        ensure!(start.elapsed() < Duration::from_secs(120), "it never began: {live:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    job.cancel();
    let end = wait(&engine, &job)?.pop();
    ensure!(matches!(end, Some(Event::Failed(_, EngineError::Cancelled))), "{end:?}");
    Ok(())
}

#[test]
fn what_cannot_be_painted_over_is_refused_before_it_is_enlarged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let picture: PathBuf = folder.path().join("a.png");
    write(&picture, [40, 40])?;
    let engine = studio(&Models::in_places([]), None)?;
    let ask =
        |refine: Refine| fail(&engine, Request::Enlarge(Box::new(refined(&picture, 2.0, refine))));
    for strength in [0.0, 1.5, f32::NAN] {
        let error = ask(Refine { strength, ..tiny("sd1")? })?.to_string();
        ensure!(error.contains("strength must be above 0"), "{error}");
    }
    let nobody = Some(ModelRef::named("nobody"));
    let error = ask(Refine { model: nobody, ..Refine::new(0.3) })?;
    ensure!(matches!(error, EngineError::ModelNotFound { .. }), "{error}");
    let large = Some(Size { width_px: 9000, height_px: 64 });
    let error = ask(Refine { tile: large, ..tiny("sd1")? })?.to_string();
    ensure!(error.contains("64 to 4096 pixels"), "{error}");
    Ok(())
}
