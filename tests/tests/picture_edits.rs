//! Pictures changed by a house picture model: what must stay stays, whatever its size.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use atelier_engine::EngineError;
use atelier_engine::library::Models;
use atelier_engine::nn::Compute;
use atelier_engine::pipelines::picture::{PicturePipeline, SIZE_RULES};
use atelier_engine::pipelines::planned_size;
use atelier_engine::protocol::{
    Borders, Event, Extras, JobContext, ModelRef, PictureFile, PictureOutput, PictureRequest,
    Pixels, Precision, Region, RegionMode, Request, SamplerKind, Sampling, Size, Source, Stage,
};
use atelier_tests::edits;
use atelier_tests::studio::{PATIENCE, finish, studio, wait};
use atelier_tests::tiny_model::TinyModel;
use candle_core::Device;

/// A tiny model, and a folder for the pictures that are to be changed.
struct Desk {
    model: PicturePipeline,
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Result<Self> {
        let TinyModel { weights, config_json, lexicon_json } = TinyModel::make(|_, _| ())?;
        let compute = Compute::on(&Device::Cpu);
        let job = JobContext::detached();
        let model =
            PicturePipeline::load_for(&weights, &config_json, &lexicon_json, compute, &job)?;
        Ok(Self { model, folder: tempfile::tempdir()? })
    }

    fn file(&self, name: &str, pixels: &Pixels) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        edits::write(&path, pixels)?;
        Ok(path)
    }

    fn output(&mut self, request: &PictureRequest) -> Result<PictureOutput, EngineError> {
        self.model.run(request, &JobContext::detached(), &mut Ok)
    }

    fn paint(&mut self, request: &PictureRequest) -> Result<Pixels> {
        edits::paint(&mut self.model, request)
    }
}

fn noise(width: u32, height: u32, seed: u64) -> Result<Pixels> {
    let mut state = seed | 1;
    let mut byte = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let rgba = (0..width * height).flat_map(|_| [byte(), byte(), byte(), 255]).collect();
    Pixels::new(width, height, rgba).context("no picture")
}

/// A mask that is white in a part of the picture.
fn mask(width: u32, height: u32, is_open: impl Fn(u32, u32) -> bool) -> Result<Pixels> {
    let pixel = |at: u32| if is_open(at % width, at / width) { 255 } else { 0 };
    let rgba = (0..width * height).flat_map(|at| [pixel(at), pixel(at), pixel(at), 255]);
    Pixels::new(width, height, rgba.collect()).context("no mask")
}

fn request(size: Size, source: Option<Source>) -> PictureRequest {
    let sampling = Sampling { sampler: SamplerKind::Euler, steps: 3, ..Sampling::default() };
    let extras = Extras { source, ..Extras::default() };
    PictureRequest {
        size,
        sampling,
        extras,
        precision: Precision::Exact,
        ..edits::request("fox", 7)
    }
}

const SQUARE: Size = Size { width_px: 256, height_px: 256 };

#[test]
fn all_of_a_picture_repainted_has_the_bits_of_a_picture_from_nothing() -> Result<()> {
    let mut desk = Desk::new()?;
    let picture = desk.file("a.png", &noise(256, 256, 1)?)?;
    let plain = desk.paint(&request(SQUARE, None))?;
    let repainted = desk.paint(&request(SQUARE, Some(Source::new(&picture, 1.0))))?;
    assert!(plain == repainted);
    let region = Some(Region::default());
    let source = Source { region, ..Source::new(&picture, 1.0) };
    assert!(plain == desk.paint(&request(SQUARE, Some(source)))?, "as a region too");
    let half = desk.paint(&request(SQUARE, Some(Source::new(&picture, 0.5))))?;
    assert!(plain != half);
    Ok(())
}

#[test]
fn a_mask_without_white_returns_the_picture_bit_for_bit() -> Result<()> {
    let mut desk = Desk::new()?;
    for (width, height) in [(256, 256), (301, 190)] {
        let picture = noise(width, height, 2)?;
        let file = desk.file("a.png", &picture)?;
        let black = desk.file("black.png", &mask(width, height, |_, _| false)?)?;
        let source = Source {
            mask: Some(PictureFile::at(&black)),
            region: Some(Region::default()),
            ..Source::new(&file, 1.0)
        };
        let size = planned_size(&source, &SIZE_RULES)?;
        let output = desk.output(&request(size, Some(source.clone())))?;
        assert!(*output.pictures[0].pixels == picture, "{width} × {height}");
        assert!(format!("{:?}", output.notices).contains("nothing changes"));
        if width == 256 {
            let plain = Source { region: None, ..source };
            assert!(desk.paint(&request(SQUARE, Some(plain)))? == picture);
        }
    }
    Ok(())
}

#[test]
fn pixels_outside_of_the_mask_keep_their_bits_in_pictures_of_any_size() -> Result<()> {
    let mut desk = Desk::new()?;
    for (width, height, mode) in [
        (256, 256, RegionMode::Fill),
        (90, 61, RegionMode::Seamless),
        (701, 333, RegionMode::Focus),
        (640, 1100, RegionMode::Seamless),
        (1500, 40, RegionMode::Fill),
    ] {
        let picture = noise(width, height, 3)?;
        let file = desk.file("a.png", &picture)?;
        let open = |x: u32, y: u32| x > width / 3 && x < width / 2 && y > height / 4;
        let mask = mask(width, height, open)?;
        let mask_file = desk.file("mask.png", &mask)?;
        let region = Region { mode, ..Region::default() };
        let source = Source {
            mask: Some(PictureFile::at(&mask_file)),
            region: Some(region),
            ..Source::new(&file, 0.8)
        };
        let size = planned_size(&source, &SIZE_RULES)?;
        let made = desk.paint(&request(size, Some(source)))?;
        assert_eq!((made.width_px, made.height_px), (width, height));
        let mut changed = 0;
        let pairs = picture.rgba.chunks_exact(4).zip(made.rgba.chunks_exact(4));
        for ((old, new), mask) in pairs.zip(mask.rgba.chunks_exact(4)) {
            ensure!(mask[0] > 0 || old == new, "{width} × {height}");
            changed += u32::from(old != new);
        }
        assert!(changed > width * height / 20, "{width} × {height}: {changed}");
    }
    Ok(())
}

#[test]
fn a_picture_that_is_continued_keeps_its_pixels_and_gets_its_borders() -> Result<()> {
    let mut desk = Desk::new()?;
    let picture = noise(200, 150, 4)?;
    let file = desk.file("a.png", &picture)?;
    let added = Borders { left_px: 40, top_px: 0, right_px: 16, bottom_px: 50 };
    let region = Region { mode: RegionMode::Fill, added, ..Region::default() };
    let source = Source { region: Some(region), ..Source::new(&file, 1.0) };
    let size = planned_size(&source, &SIZE_RULES)?;
    let mut request = request(size, Some(source));
    // A picture is continued without words too.
    request.prompt.text.clear();
    let made = desk.paint(&request)?;
    assert_eq!((made.width_px, made.height_px), (256, 200));
    let whole = made.rgba.chunks_exact(4).all(|pixel| pixel[3] == 255);
    assert!(whole, "what was added is opaque");
    for (y, row) in picture.rgba.chunks_exact(200 * 4).enumerate() {
        let start = (y * 256 + 40) * 4;
        ensure!(made.rgba[start..start + 800] == *row, "row {y}");
    }
    Ok(())
}

#[test]
fn a_mask_of_another_size_is_scaled_and_told() -> Result<()> {
    let mut desk = Desk::new()?;
    let file = desk.file("a.png", &noise(256, 256, 5)?)?;
    let small = desk.file("mask.png", &mask(32, 64, |x, _| x < 16)?)?;
    for region in [None, Some(Region::default())] {
        let source =
            Source { mask: Some(PictureFile::at(&small)), region, ..Source::new(&file, 1.0) };
        let output = desk.output(&request(SQUARE, Some(source)))?;
        let said = format!("{:?}", output.notices);
        assert!(said.contains("mask.png is 32 × 64 pixels and was scaled"), "{said}");
    }
    Ok(())
}

#[test]
fn other_extras_and_wrong_strengths_are_refused_with_a_sentence() -> Result<()> {
    let mut desk = Desk::new()?;
    let file = desk.file("a.png", &noise(64, 64, 6)?)?;
    let mut said = |change: &dyn Fn(&mut PictureRequest)| {
        let mut request = request(SQUARE, Some(Source::new(&file, 0.5)));
        change(&mut request);
        desk.output(&request).map_or_else(|error| error.to_string(), |_| "painted".to_owned())
    };
    assert_eq!(said(&|_| ()), "painted");
    assert!(said(&|r| r.extras.clip_skip = Some(2)).contains("takes a picture to change alone"));
    for strength in [0.0, -1.0, 1.5, f32::NAN] {
        let change = |r: &mut PictureRequest| {
            r.extras.source.iter_mut().for_each(|source| source.strength = strength);
        };
        assert!(said(&change).contains("must be above 0 and at most 1"), "{strength}");
    }
    Ok(())
}

/// The first bytes of a PNG of a size that is not there.
fn png_of(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 6, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    file.extend(&header);
    file.extend(crc.sum().to_be_bytes());
    file.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82");
    file
}

#[test]
fn pictures_without_or_with_too_many_pixels_and_cut_ones_are_refused_with_a_sentence() -> Result<()>
{
    let mut desk = Desk::new()?;
    let whole = desk.file("a.png", &noise(64, 64, 6)?)?;
    let bytes = std::fs::read(&whole)?;
    let bad = desk.folder.path().join("bad.png");
    for (content, wanted) in [
        (png_of(0, 0), ""),
        (png_of(60_000, 60_000), "60000 × 60000 pixels"),
        (png_of(60_000, 1), "60000 × 1"),
        (bytes[..bytes.len() / 2].to_vec(), "is no whole picture"),
        (b"no picture".to_vec(), "The file is "),
        (Vec::new(), "The file is "),
    ] {
        std::fs::write(&bad, content)?;
        let mask = Some(PictureFile::at(&bad));
        for source in [Source::new(&bad, 0.5), Source { mask, ..Source::new(&whole, 0.5) }] {
            for region in [None, Some(Region::default())] {
                let source = Source { region, ..source.clone() };
                let Err(error) = desk.output(&request(SQUARE, Some(source))) else {
                    anyhow::bail!("{wanted} was opened");
                };
                let is_refused =
                    matches!(error, EngineError::Damaged { .. } | EngineError::OtherPicture { .. });
                assert!(is_refused && error.to_string().contains(wanted), "{wanted}: {error}");
                assert!(!error.hint().is_empty());
            }
        }
    }
    Ok(())
}

/// Writes a tiny model to a folder, where a studio finds it.
fn model_in(folder: &Path) -> Result<ModelRef> {
    let TinyModel { weights, config_json, lexicon_json } = TinyModel::make(|_, _| ())?;
    std::fs::write(folder.join("model.safetensors"), weights)?;
    std::fs::write(folder.join("config.json"), config_json)?;
    std::fs::write(folder.join("lexicon.json"), lexicon_json)?;
    Ok(ModelRef::named(folder.to_str().context("a strange folder")?))
}

#[test]
fn the_recipe_of_an_edit_has_all_hashes_and_makes_the_same_bits_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let model = model_in(folder.path())?;
    let (picture, white) = (folder.path().join("a.png"), folder.path().join("mask.png"));
    edits::write(&picture, &noise(300, 200, 8)?)?;
    edits::write(&white, &mask(300, 200, |x, y| x > 100 && x < 200 && y > 50 && y < 150)?)?;
    let source = Source {
        mask: Some(PictureFile::at(&white)),
        region: Some(Region::default()),
        ..Source::new(&picture, 0.7)
    };
    let size = planned_size(&source, &SIZE_RULES)?;
    let request = PictureRequest { model, ..request(size, Some(source)) };
    let paint = |request: &PictureRequest| -> Result<PictureOutput> {
        let engine = studio(&Models::standard(), None)?;
        match finish(&engine, Request::Picture(Box::new(request.clone())))? {
            atelier_engine::protocol::Output::Picture(output) => Ok(output),
            other => anyhow::bail!("{other:?}"),
        }
    };
    let first = paint(&request)?.pictures.remove(0);
    let recipe = serde_json::to_string(&first.recipe)?;
    let again = paint(&serde_json::from_str(&recipe)?)?.pictures.remove(0);
    assert!(first.pixels == again.pixels && first.recipe == again.recipe);
    let source = first.recipe.extras.source.context("no source")?;
    let mask = source.mask.context("no mask")?;
    assert!([source.picture.sha256, mask.sha256].iter().all(|hash| hash.len() == 64));
    assert!(!first.recipe.model.sha256.is_empty());
    Ok(())
}

#[test]
fn cancelling_an_edit_ends_it_with_one_terminal_event() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let model = model_in(folder.path())?;
    let picture = folder.path().join("a.png");
    edits::write(&picture, &noise(256, 256, 8)?)?;
    let source = Source { region: Some(Region::default()), ..Source::new(&picture, 1.0) };
    let mut request = PictureRequest { model, count: 64, ..request(SQUARE, Some(source)) };
    request.sampling.steps = 150;
    let engine = studio(&Models::standard(), None)?;
    let job = engine.submit(Request::Picture(Box::new(request)))?;
    let begun = std::time::Instant::now();
    while job.live().stage != Stage::Sampling {
        ensure!(begun.elapsed() < PATIENCE, "it does not begin");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    job.cancel();
    let events = wait(&engine, &job)?;
    assert_eq!(events.iter().filter(|event| event.is_terminal()).count(), 1);
    assert!(matches!(events.last(), Some(Event::Failed(_, EngineError::Cancelled))));
    Ok(())
}

#[test]
fn a_little_strength_keeps_the_picture_and_a_thing_comes_where_the_mask_is() -> Result<()> {
    let Some(model) = edits::house()? else {
        println!("The house model is not here: nothing to check");
        return Ok(());
    };
    let mut desk = Desk { model, folder: tempfile::tempdir()? };
    let base = desk.paint(&edits::request("a red fox in the snow", 40))?;
    let file = desk.file("fox.png", &base)?;
    // One number beside the other: how near a repainted picture comes is the decoder's doing.
    let mut at = |strength: f32| -> Result<f64> {
        let extras = Extras { source: Some(Source::new(&file, strength)), ..Extras::default() };
        let kept =
            desk.paint(&PictureRequest { extras, ..edits::request("a red fox in the snow", 3) })?;
        let off = base.rgba.iter().zip(&kept.rgba).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
        let error = off.sum::<f64>() / base.rgba.len() as f64 * 4.0 / 3.0;
        Ok(10.0 * (255.0f64.powi(2) / error).log10())
    };
    let [little, much] = [at(0.05)?, at(0.95)?];
    println!("PSNR at strength 0.05: {little:.1} dB, at 0.95: {much:.1} dB");
    assert!(little > 20.0 && little > much + 5.0, "{little} {much}");

    // A yellow thing in the upper left corner of the snow.
    let open = |x: u32, y: u32| (10..100).contains(&x) && (10..100).contains(&y);
    let mask = desk.file("mask.png", &mask(256, 256, open)?)?;
    let region = Region { mode: RegionMode::Fill, ..Region::default() };
    let made = desk.paint(&edits::edit("a lemon in the snow", 5, &file, &mask, region))?;
    let is_yellow = |at: &usize| {
        let pixel = &made.rgba[4 * at..];
        pixel[0] > 180 && pixel[1] > 140 && pixel[2] < 110
    };
    let found: Vec<usize> = (0..256 * 256)
        .filter(|at| open((at % 256) as u32, (at / 256) as u32))
        .filter(is_yellow)
        .collect();
    // It stands within what changes altogether: 58 of the 90 pixels that are selected.
    assert!(found.len() > 800, "{} yellow pixels", found.len());
    let mean = |side: &dyn Fn(usize) -> usize| {
        found.iter().map(|at| side(*at) as f64).sum::<f64>() / found.len() as f64
    };
    let middle = [mean(&|at| at % 256), mean(&|at| at / 256)];
    assert!(middle.iter().all(|side| (side - 55.0).abs() < 12.0), "{middle:?}");
    Ok(())
}
