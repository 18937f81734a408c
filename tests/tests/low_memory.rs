//! Painting where memory is short: parts of a model one after the other, weights packed tightly, large
//! pictures decoded in tiles.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use atelier_engine::EngineError;
use atelier_engine::kernels::Level;
use atelier_engine::library::Models;
use atelier_engine::models::stable_diffusion::Vae;
use atelier_engine::nn::{Compute, Load};
use atelier_engine::pipelines::diffusion::{Companions, DiffusionPipeline, ModelPlan, Thrift};
use atelier_engine::protocol::{
    DeviceChoice, JobContext, MemoryUse, Notice, PictureRequest, Pixels, Precision, Size, Source,
};
use atelier_engine::service::{Engine, Studio};
use atelier_engine::store::Store;
use atelier_engine::weights::RandomTensors;
use atelier_engine::weights::sd_config::VaeConfig;
use atelier_tests::painting::{engine, request, run};
use atelier_tests::tiny_diffusion::{copy_folder, models};
use candle_core::{Device, Tensor};

/// How far a picture may be from the whole one whose finest level alone was decoded in tiles: the root
/// of the mean square by the spread of the whole. Measured: 0.15 with weights by chance, whose norms see
/// other statistics in each tile than trained ones do.
const FINEST_OFF: f64 = 0.2;
/// The same where all levels behind the first were in tiles. Measured: up to 0.63 with weights by chance.
const ALL_OFF: f64 = 0.7;

fn low(model: &str) -> Result<PictureRequest> {
    let mut request = request(&models()?.join(model));
    request.precision = Precision::Exact;
    request.extras.memory = MemoryUse::Low;
    Ok(request)
}

fn worst(one: &Pixels, other: &Pixels) -> u8 {
    one.rgba.iter().zip(&other.rgba).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(u8::MAX)
}

#[test]
fn little_memory_makes_the_same_pictures_and_its_recipes_say_so() -> Result<()> {
    let engine = engine(&[]);
    for model in ["sd1", "sd2", "sdxl", "inpaint"] {
        let mut low = low(model)?;
        low.count = 2;
        if model != "inpaint" {
            low.extras.source = Some(Source::new(models()?.join("init.png"), 0.7));
        }
        let mut high = low.clone();
        high.extras.memory = MemoryUse::High;
        let made = run(&engine, low)?.pictures;
        let wanted = run(&engine, high)?.pictures;
        for (made, wanted) in made.iter().zip(&wanted) {
            let off = worst(&made.pixels, &wanted.pixels);
            ensure!(off <= 1, "{model}: bytes differ by {off}");
            ensure!(made.recipe.extras.memory == MemoryUse::Low);
            ensure!(wanted.recipe.extras.memory == MemoryUse::High);
        }
        let again = run(&engine, made[1].recipe.clone())?.pictures;
        ensure!(again[0].pixels == made[1].pixels, "{model}: the recipe makes another picture");
    }
    Ok(())
}

#[test]
fn memory_is_saved_where_the_model_would_not_fit_otherwise_and_that_is_said() -> Result<()> {
    // More than a tiny model takes where memory is saved, less than it takes otherwise.
    let studio = Studio::new(None, Models::in_places([])).with_free_memory(|| Some(250_000_000));
    let engine = Engine::inline(studio);
    let mut wish = low("sd1")?;
    wish.extras.memory = MemoryUse::Automatic;
    let made = run(&engine, wish.clone())?;
    let is_told = |notice: &Notice| matches!(notice, Notice::SavedMemory { .. });
    ensure!(made.notices.iter().any(is_told), "{:?}", made.notices);
    ensure!(made.pictures[0].recipe.extras.memory == MemoryUse::Low);
    wish.extras.memory = MemoryUse::High;
    match run(&engine, wish) {
        Err(EngineError::TooLarge { .. }) => Ok(()),
        Err(error) => bail!("{error}"),
        Ok(_) => bail!("it was painted with more memory than there is"),
    }
}

#[test]
fn a_prompt_that_was_read_before_needs_no_text_encoder() -> Result<()> {
    let home = tempfile::tempdir()?;
    let model = home.path().join("model");
    copy_folder(&models()?.join("sd1"), &model)?;
    let plan = ModelPlan { model: model.clone(), loras: Vec::new(), prediction: None };
    let (job, companions) = (JobContext::detached(), Companions::default());
    let way = (DeviceChoice::Cpu, Precision::Exact);
    let mut pipeline = DiffusionPipeline::load(&plan, way, Thrift::Lean, &job)?;
    let mut first = request(&model);
    pipeline.run(&first, &companions, &job, &mut Ok)?;
    std::fs::remove_file(model.join("text_encoder/model.safetensors"))?;
    first.seed += 1;
    let made = pipeline.run(&first, &companions, &job, &mut Ok)?.pictures.remove(0);
    let plan = ModelPlan { model: models()?.join("sd1"), ..plan };
    let mut whole = DiffusionPipeline::load(&plan, way, Thrift::Lean, &job)?;
    let wanted = whole.run(&first, &companions, &job, &mut Ok)?.pictures.remove(0);
    ensure!(made.pixels == wanted.pixels);
    first.prompt.text.push_str(" and a bear");
    ensure!(pipeline.run(&first, &companions, &job, &mut Ok).is_err(), "it reads without a reader");
    Ok(())
}

thread_local! {
    /// How often it was asked how much memory is free.
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

/// Says that memory is free when a model is chosen and loaded, and none when its picture is decoded.
fn free_at_first() -> Option<u64> {
    ASKED.set(ASKED.get() + 1);
    Some(if ASKED.get() < 3 { 1 << 40 } else { 1000 })
}

#[test]
fn a_picture_that_does_not_fit_is_decoded_in_tiles_and_its_latents_go_when_it_is_saved()
-> Result<()> {
    let home = tempfile::tempdir()?;
    let store = Arc::new(Store::open(home.path())?);
    let studio = Studio::new(Some(store.clone()), Models::in_places([]));
    let engine = Engine::inline(studio.with_free_memory(free_at_first));
    let mut wish = low("sd1")?;
    wish.sampling.steps = 1;
    wish.size = Size { width_px: 192, height_px: 64 };
    let made = run(&engine, wish.clone())?;
    let told = Notice::DecodedInTiles { reason: None };
    ensure!(made.notices.contains(&told), "{:?}", made.notices);
    ensure!(store.kept_latents()?.is_empty(), "latents are left of a picture that is saved");
    let plenty = Studio::new(None, Models::in_places([])).with_free_memory(|| None);
    let wanted = run(&Engine::inline(plenty), wish)?;
    ensure!(!wanted.notices.contains(&told), "{:?}", wanted.notices);
    let off = worst(&made.pictures[0].pixels, &wanted.pictures[0].pixels);
    println!("bytes of the picture in tiles differ by at most {off}");
    ensure!(off <= 8, "bytes differ by {off}");
    Ok(())
}

#[test]
fn latents_are_on_the_disk_with_their_recipe_before_tiles_are_decoded() -> Result<()> {
    let plan = ModelPlan { model: models()?.join("sd1"), loras: Vec::new(), prediction: None };
    let job = JobContext::detached();
    let way = (DeviceChoice::Cpu, Precision::Exact);
    let mut pipeline = DiffusionPipeline::load(&plan, way, Thrift::Lean, &job)?;
    let home = tempfile::tempdir()?;
    let store = Arc::new(Store::open(home.path())?);
    let keeper = store.clone();
    let companions = Companions {
        free_memory: Some(|| Some(1000)),
        keeper: Some(Box::new(move |latents, recipe| keeper.keep_latents(latents, recipe))),
        ..Companions::default()
    };
    let mut wish = low("sd1")?;
    wish.sampling.steps = 1;
    wish.size = Size { width_px: 192, height_px: 64 };
    wish.keep_latents = true;
    let found: RefCell<Option<PathBuf>> = RefCell::default();
    let made = pipeline.run(&wish, &companions, &job, &mut |picture| {
        *found.borrow_mut() = store.kept_latents()?.pop();
        Ok(picture)
    })?;
    let path = found.into_inner().context("nothing was kept")?;
    let bytes = std::fs::read(&path)?;
    let (shape, values) = atelier_engine::weights::read_tensor(&bytes, "latents", &path)?;
    let latents = made.latents.context("no latents")?;
    ensure!(shape == latents.shape && values == latents.values);
    let text = String::from_utf8_lossy(&bytes);
    ensure!(text.contains("recipe") && text.contains("red:1.2"), "the recipe is not with them");
    store.forget_latents(&path)?;
    ensure!(store.kept_latents()?.is_empty());
    ensure!(store.forget_latents(&home.path().join("lock")).is_err(), "any file can be removed");
    Ok(())
}

/// A small autoencoder of the real depth with weights by chance.
fn small_vae() -> Result<Vae> {
    let config = VaeConfig { channels: vec![32, 64, 64, 64], ..VaeConfig::sd() };
    let compute = Compute::Kernels(Level::best(), Precision::Exact);
    Ok(Vae::new(&config, &Load::new(&RandomTensors, compute))?)
}

/// Latents whose left is faint and whose right is strong, as norms of single tiles would see them.
fn latents([height, width]: [usize; 2]) -> Result<Tensor> {
    let mut state = 1u64;
    let mut chance = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..4 * height * width)
        .map(|at| {
            let across = (at % width) as f32 / width as f32;
            (chance() + across - 0.5) * (0.3 + 2.0 * across)
        })
        .collect();
    Ok(Tensor::from_vec(values, (1, 4, height, width), &Device::Cpu)?)
}

/// Returns the root of the mean square and the largest difference, by the spread of `wanted`.
fn off(made: &Tensor, wanted: &Tensor) -> Result<[f64; 2]> {
    let (made, wanted) =
        (made.flatten_all()?.to_vec1::<f32>()?, wanted.flatten_all()?.to_vec1::<f32>()?);
    ensure!(made.len() == wanted.len() && !made.is_empty());
    let mean = wanted.iter().map(|v| f64::from(*v)).sum::<f64>() / wanted.len() as f64;
    let spread = wanted.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>();
    let apart = |(a, b): (&f32, &f32)| f64::from(a - b).abs();
    let square = made.iter().zip(&wanted).map(apart).map(|d| d * d).sum::<f64>();
    let most = made.iter().zip(&wanted).map(apart).fold(0.0, f64::max);
    let unit = (spread / wanted.len() as f64).sqrt();
    Ok([(square / spread).sqrt(), most / unit])
}

#[test]
fn tiles_of_an_autoencoder_come_close_to_the_whole_also_where_they_show_unlike_things() -> Result<()>
{
    let vae = small_vae()?;
    let check = || Ok(());
    for (size, side) in [([64, 64], 32), ([40, 88], 40), ([96, 33], 24)] {
        let latents = latents(size)?;
        let whole = vae.decode(&latents, &check)?;
        for (whole_bytes, most) in [(usize::MAX, FINEST_OFF), (0, ALL_OFF)] {
            let tiles = vae.decode_tiles(&latents, (side, whole_bytes), &check)?;
            ensure!(tiles.dims() == whole.dims());
            let [rms, worst] = off(&tiles, &whole)?;
            println!(
                "{size:?} in tiles of {side}, {whole_bytes}: {rms:.1e} of the spread, at most {worst:.1e}"
            );
            ensure!(rms <= most, "{size:?}: {rms:.2e}");
        }
    }
    Ok(())
}
