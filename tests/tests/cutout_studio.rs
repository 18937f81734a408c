//! Cutting out: the net against PyTorch, a subject found in a picture, cancelled, refused.
//!
//! The house's net may be absent, as a model may that is still being made; what needs it then says so and
//! passes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use atelier_engine::EngineError;
use atelier_engine::kernels::{Level, Precision};
use atelier_engine::library::{Models, OpenSegmenter};
use atelier_engine::nn::Compute;
use atelier_engine::pipelines::cutout::CutOutPipeline;
use atelier_engine::pipelines::measure::by_candle;
use atelier_engine::protocol::{
    CutOutOutput, CutOutRequest, Event, JobContext, Output, Pixels, Request,
};
use atelier_engine::service::Engine;
use atelier_engine::store::{Store, png};
use atelier_engine::weights::read_tensor;
use atelier_tests::source::root;
use atelier_tests::studio::{fail, finish, studio, wait};
use candle_core::{Device, Tensor};

/// Opens the house's net where it is.
fn net() -> Result<Option<OpenSegmenter>> {
    match Models::standard().locate_segmenter() {
        Ok(located) => Ok(Some(located.open(&mut || Ok(()))?)),
        Err(error) => {
            println!("skipped: {error}");
            Ok(None)
        }
    }
}

fn request(picture: &Path) -> Request {
    Request::CutOut(Box::new(CutOutRequest::new(picture)))
}

fn cut_out(engine: &Engine, picture: &Path) -> Result<CutOutOutput> {
    match finish(engine, request(picture))? {
        Output::CutOut(output) => Ok(*output),
        other => bail!("another output: {other:?}"),
    }
}

/// Tells whether a place of a picture of this size is in a disc somewhat left of the middle.
fn is_inside(place: usize, [width, height]: [usize; 2]) -> bool {
    let (x, y) = ((place % width) as f32 + 0.5, (place / width) as f32 + 0.5);
    let [wide, high] = [width, height].map(|side| side as f32);
    (x - 0.45 * wide).hypot(y - 0.52 * high) < 0.3 * wide.min(high)
}

/// Draws a red disc on a light grey ground.
fn disc(size: [usize; 2]) -> Result<Pixels> {
    let colour =
        |place| if is_inside(place, size) { [205, 40, 45, 255] } else { [214, 218, 222, 255] };
    let rgba = (0..size[0] * size[1]).flat_map(colour).collect();
    Pixels::new(size[0] as u32, size[1] as u32, rgba).context("a picture")
}

fn write(folder: &Path, pixels: &Pixels) -> Result<PathBuf> {
    let path = folder.join("disc.png");
    std::fs::write(&path, png::encode_plain(pixels)?)?;
    Ok(path)
}

/// Returns how well a mask agrees with the disc: what both have by what either has.
fn overlap(pixels: &Pixels) -> f32 {
    let size = [pixels.width_px, pixels.height_px].map(|side| side as usize);
    let (mut both, mut either) = (0u32, 0u32);
    for (place, pixel) in pixels.rgba.chunks(4).enumerate() {
        let (found, is_disc) = (pixel[3] >= 128, is_inside(place, size));
        both += u32::from(found && is_disc);
        either += u32::from(found || is_disc);
    }
    both as f32 / either as f32
}

#[test]
fn the_net_agrees_with_pytorch_on_every_way_of_computing() -> Result<()> {
    let path = root().join("tests/golden/house-segmenter/golden.safetensors");
    let (Some(net), true) = (net()?, path.is_file()) else {
        println!("skipped: the net or its golden numbers are not here");
        return Ok(());
    };
    let note = std::fs::read_to_string(path.with_file_name("golden.json"))?;
    ensure!(note.contains(&net.sha256), "the golden numbers are those of other weights");
    let bytes = std::fs::read(&path)?;
    let tensor = |name: &str| -> Result<Tensor> {
        let (shape, values) = read_tensor(&bytes, name, &path)?;
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    };
    let (input, wanted) = (tensor("input")?, tensor("output")?);
    let exact = |level| (format!("{level:?}"), Compute::Kernels(level, Precision::Exact), 1e-3);
    let mut ways: Vec<_> = Level::available().into_iter().map(exact).collect();
    ways.push(("candle".to_owned(), by_candle(), 1e-3));
    ways.push(("fast".to_owned(), Compute::Kernels(Level::best(), Precision::Fast), 0.5));
    for (way, compute, tolerance) in ways {
        let job = JobContext::detached();
        let pipeline =
            CutOutPipeline::with_compute(&net.weights, &net.config_json, &compute, &job)?;
        let out = pipeline.model().forward(&input, &|| Ok(()))?;
        ensure!(out.dims() == wanted.dims(), "{way}: {:?}", out.dims());
        let worst: f32 = (out - &wanted)?.abs()?.flatten_all()?.max(0)?.to_scalar()?;
        println!("{way}: {worst} at most");
        ensure!(worst < tolerance, "{way}: {worst}");
    }
    Ok(())
}

#[test]
fn a_disc_on_a_plain_ground_is_cut_out_with_its_colours_and_kept_nowhere() -> Result<()> {
    if net()?.is_none() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let library = folder.path().join("library");
    let engine = studio(&Models::standard(), Some(&library))?;
    for size in [[256, 256], [900, 600], [120, 150]] {
        let picture = disc(size)?;
        let path = write(folder.path(), &picture)?;
        let start = Instant::now();
        let made = cut_out(&engine, &path)?;
        let seconds = start.elapsed().as_secs_f32();
        let overlap = overlap(&made.pixels);
        println!("{size:?}: IoU {overlap}, share {}, {seconds} s", made.subject_share);
        ensure!(overlap > 0.8, "{size:?}: {overlap}");
        ensure!((0.1..0.5).contains(&made.subject_share), "{}", made.subject_share);
        let colours = |pixels: &Pixels| -> Vec<u8> {
            pixels.rgba.chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect()
        };
        ensure!(colours(&made.pixels) == colours(&picture), "{size:?}: colours changed");
    }
    drop(engine);
    assert_eq!(Store::open(&library)?.recent(9, None)?.len(), 0);
    Ok(())
}

#[test]
fn pictures_and_nets_that_cannot_be_used_are_refused_with_their_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = write(folder.path(), &disc([40, 30])?)?;
    let none = studio(&Models::in_places([]), None)?;
    assert!(matches!(fail(&none, request(&path))?, EngineError::ModelNotFound { .. }));
    // Weights without a configuration, then with one that is none.
    let place = folder.path().join("house-segmenter");
    std::fs::create_dir(&place)?;
    std::fs::write(place.join("model.safetensors"), b"\x02\0\0\0\0\0\0\0{}")?;
    let broken = studio(&Models::in_places([folder.path().to_owned()]), None)?;
    assert!(matches!(fail(&broken, request(&path))?, EngineError::Io { .. }));
    std::fs::write(place.join("config.json"), "{}")?;
    assert!(matches!(fail(&broken, request(&path))?, EngineError::Damaged { .. }));
    std::fs::write(place.join("config.json"), r#"{"channels": [4, 4], "side": 16}"#)?;
    let error = fail(&broken, request(&path))?;
    assert!(matches!(error, EngineError::Damaged { .. }), "{error}");
    if net()?.is_some() {
        let engine = studio(&Models::standard(), None)?;
        let error = fail(&engine, request(&folder.path().join("gone.png")))?;
        assert!(matches!(error, EngineError::Io { .. }), "{error}");
        let error = fail(&engine, request(&place.join("config.json")))?;
        assert!(matches!(error, EngineError::Damaged { .. }), "{error}");
    }
    Ok(())
}

#[test]
fn a_cancel_ends_a_cut_out_at_once() -> Result<()> {
    if net()?.is_none() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let path = write(folder.path(), &disc([3000, 2400])?)?;
    let engine = studio(&Models::standard(), None)?;
    let job = engine.submit(request(&path))?;
    std::thread::sleep(Duration::from_millis(20));
    let cancelled = Instant::now();
    job.cancel();
    let end = wait(&engine, &job)?.pop();
    ensure!(matches!(end, Some(Event::Failed(_, EngineError::Cancelled))), "{end:?}");
    let waited = cancelled.elapsed();
    println!("the cancel was seen after {} ms", waited.as_millis());
    // 200 ms on a quiet machine; tests run beside others.
    ensure!(waited < Duration::from_secs(3), "{waited:?}");
    Ok(())
}
