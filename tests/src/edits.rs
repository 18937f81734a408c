//! Fifty edits of ten pictures by the house picture model, for measuring their seams.

use std::path::Path;

use anyhow::{Context, Result};
use atelier_engine::canvas::{Area, Tiles, prepare, usual_feather};
use atelier_engine::library::{Models, PictureDefaults};
use atelier_engine::nn::Compute;
use atelier_engine::pipelines::picture::PicturePipeline;
use atelier_engine::protocol::{
    DeviceChoice, Extras, JobContext, ModelRef, NoiseSource, PictureFile, PictureRequest, Pixels,
    Precision, PreviewMode, Prompt, Region, Size, Source,
};
use candle_core::Device;

/// The side of the pictures, in pixels.
pub const SIDE: u32 = 256;

/// What is shown, on which background, and what is put into each of the masks but the border, which
/// continues the background.
pub const BASES: [[&str; 6]; 10] = [
    ["a red fox", "in the snow", "a penguin", "a snowman", "a cat", "a star"],
    ["a cat", "on a blue background", "a dog", "an apple", "a robot", "a heart"],
    ["a car", "in the city", "a bus", "a balloon", "a taxi", "a bell"],
    ["a sailboat", "on the sea", "a whale", "a duck", "a ship", "a fish"],
    ["a cactus", "in the desert", "a castle", "a snake", "a palm tree", "a sun"],
    ["a rocket", "in space", "a planet", "an alien", "a flying saucer", "a star"],
    ["a cow", "on the grass", "a pig", "a mushroom", "a sheep", "a ladybug"],
    ["a fish", "underwater", "an octopus", "a crab", "a turtle", "a snail"],
    ["a tree", "in the mountains", "a house", "a rabbit", "a tent", "a bird"],
    ["a cake", "on a yellow background", "a gift", "a banana", "a hamburger", "a cherry"],
];

/// The kinds of masks.
pub const MASKS: [&str; 5] = ["round", "box", "lasso", "border", "small"];

/// Returns a mask of a kind: which pixels may change.
pub fn mask(kind: &str) -> Vec<u8> {
    let inside = |x: f32, y: f32| match kind {
        "round" => (x - 128.0).hypot(y - 133.0) < 92.0,
        "box" => (8.0..118.0).contains(&x) && (20.0..130.0).contains(&y),
        "lasso" => {
            let (dx, dy) = (x - 132.0, y - 134.0);
            let angle = dy.atan2(dx);
            dx.hypot(dy) < 84.0 + 14.0 * (3.0 * angle + 0.7).sin() + 9.0 * (5.0 * angle).cos()
        }
        "border" => !((40.0..216.0).contains(&x) && (40.0..216.0).contains(&y)),
        _ => (176.0..232.0).contains(&x) && (24.0..80.0).contains(&y),
    };
    let side = SIDE as usize;
    (0..side * side)
        .map(|at| if inside((at % side) as f32, (at / side) as f32) { 255 } else { 0 })
        .collect()
}

/// Returns the prompt of an edit.
pub fn prompt(base: usize, kind: usize) -> String {
    let [_, place, round, square, lasso, small] = BASES[base];
    let thing = [round, square, lasso, "", small][kind];
    format!("{thing} {place}").trim().to_owned()
}

/// Loads the house model; `None` where it is not here.
///
/// # Errors
/// When it is damaged.
pub fn house() -> Result<Option<PicturePipeline>> {
    let Ok(files) = Models::standard().find("house-picture") else { return Ok(None) };
    let compute = Compute::with(&Device::Cpu, Precision::Fast);
    let job = JobContext::detached();
    let (config, lexicon) = (&files.config_json, &files.lexicon_json);
    Ok(Some(PicturePipeline::load_for(&files.weights, config, lexicon, compute, &job)?))
}

/// Asks for a picture.
pub fn request(prompt: &str, seed: u64) -> PictureRequest {
    PictureRequest {
        model: ModelRef::named("house-picture"),
        prompt: Prompt { text: prompt.to_owned(), ..Prompt::default() },
        size: Size { width_px: SIDE, height_px: SIDE },
        sampling: PictureDefaults::house().sampling,
        seed,
        count: 1,
        noise: NoiseSource::Seed,
        preview: PreviewMode::Off,
        device: DeviceChoice::Cpu,
        precision: Precision::Fast,
        keep_latents: false,
        extras: Extras::default(),
    }
}

/// Paints a request's one picture.
///
/// # Errors
/// Those of the pipeline.
pub fn paint(model: &mut PicturePipeline, request: &PictureRequest) -> Result<Pixels> {
    let output = model.run(request, &JobContext::detached(), &mut Ok)?;
    let picture = output.pictures.into_iter().next().context("no picture")?;
    Ok(std::sync::Arc::unwrap_or_clone(picture.pixels))
}

/// Writes a picture.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, pixels: &Pixels) -> Result<()> {
    let rgba = pixels.rgba.clone();
    let picture = image::RgbaImage::from_raw(pixels.width_px, pixels.height_px, rgba);
    Ok(picture.context("no picture")?.save(path)?)
}

/// Makes a grey picture of a mask.
///
/// # Errors
/// When its length is not that of a picture.
pub fn grey(mask: &[u8]) -> Result<Pixels> {
    let rgba = mask.iter().flat_map(|value| [*value, *value, *value, 255]).collect();
    Pixels::new(SIDE, SIDE, rgba).context("another size")
}

/// Asks for a picture to be changed where a mask is white.
pub fn edit(
    prompt: &str,
    seed: u64,
    picture: &Path,
    mask: &Path,
    region: Region,
) -> PictureRequest {
    let source = Source {
        mask: Some(PictureFile::at(mask)),
        region: Some(region),
        ..Source::new(picture, 1.0)
    };
    let extras = Extras { source: Some(source), ..Extras::default() };
    PictureRequest { extras, ..request(prompt, seed) }
}

/// Returns how far each pixel of a picture of [`SIDE`] may change by a mask and a region's margins.
pub fn prepared(mask: &[u8], region: Region) -> Vec<u8> {
    let area = Area::new(0, 0, SIDE, SIDE);
    let selection = Tiles::from_bytes(area, mask);
    let usual = || usual_feather(selection.bounds().unwrap_or_default());
    let feather = region.feather_px.unwrap_or_else(usual);
    prepare(&selection, area, region.grow_px.unwrap_or(0), feather).read(area)
}
