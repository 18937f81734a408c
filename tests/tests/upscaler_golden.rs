//! Nets that enlarge, and the filter that does without one, against PyTorch and Pillow; tiles against the
//! whole picture.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use atelier_engine::kernels::{Level, Precision};
use atelier_engine::math::lanczos::lanczos;
use atelier_engine::models::upscaler::Upscaler;
use atelier_engine::nn::Compute;
use atelier_engine::pipelines::enlarge::{EnlargePipeline, Tiling};
use atelier_engine::pipelines::measure::by_candle;
use atelier_engine::protocol::{JobContext, Pixels};
use atelier_engine::weights::open::Checkpoint;
use atelier_engine::weights::read_tensor;
use atelier_engine::weights::upscaler::UpscalerWeights;
use atelier_tests::source::fixture;
use candle_core::{Device, Tensor};

/// The tiny nets, each with its factor.
const NETS: [(&str, usize); 6] = [
    ("compact-x4.safetensors", 4),
    ("compact-x2.pth", 2),
    ("rrdb-x4.safetensors", 4),
    ("rrdb-x2.safetensors", 2),
    ("rrdb-x1.safetensors", 1),
    ("rrdb-old.safetensors", 4),
];
/// The real net, see the fixtures.
const REAL: &str = "checkpoints/realesr-animevideov3.pth";

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/upscaler").join(file)
}

/// Returns a tensor of a golden file.
fn tensor(file: &str, name: &str) -> Result<Tensor> {
    let path = golden(file);
    let (shape, values) = read_tensor(&std::fs::read(&path)?, name, &path)?;
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Returns how far a net is from what PyTorch made of the same picture, at most.
fn distance(weights: &Path, case: &str, compute: &Compute) -> Result<f32> {
    let file = Checkpoint::open(weights)?;
    let job = JobContext::detached();
    let net = Upscaler::new(&UpscalerWeights::of(&file, &job)?, compute)?;
    let picture = compute.lay_out(&tensor("golden.safetensors", &format!("{case}.in"))?)?;
    let out = compute.lay_back(&net.forward(&picture, [0; 4], &|| Ok(()))?)?;
    let wanted = tensor("golden.safetensors", &format!("{case}.out"))?;
    ensure!(out.dims() == wanted.dims(), "{case}: {:?}", out.dims());
    Ok((out - wanted)?.abs()?.flatten_all()?.max(0)?.to_scalar()?)
}

/// Returns every way of computing exactly, by name.
fn exact_ways() -> Vec<(String, Compute)> {
    let kernels = Level::available().into_iter();
    let mut ways: Vec<(String, Compute)> = kernels
        .map(|level| (level.id().to_owned(), Compute::Kernels(level, Precision::Exact)))
        .collect();
    ways.push(("candle".to_owned(), by_candle()));
    ways
}

#[test]
fn tiny_nets_of_every_kind_agree_with_pytorch() -> Result<()> {
    for (file, scale) in NETS {
        let case = file.split('.').next().context("a name")?;
        for (way, compute) in exact_ways() {
            let worst = distance(&golden(file), case, &compute)?;
            println!("{case} by {way}: {worst} at most");
            ensure!(worst < 2e-5, "{case} by {way}: {worst}");
        }
        let fast = Compute::Kernels(Level::best(), Precision::Fast);
        let worst = distance(&golden(file), case, &fast)?;
        println!("{case} fast: {worst} at most");
        ensure!(worst < 0.02, "{case} fast: {worst}");
        let config =
            UpscalerWeights::of(&Checkpoint::open(&golden(file))?, &JobContext::detached())?
                .config();
        assert_eq!(config.scale(), scale, "{case}");
    }
    Ok(())
}

#[test]
fn a_real_net_agrees_with_pytorch() -> Result<()> {
    let Some(weights) = fixture(REAL) else { return Ok(()) };
    for (way, compute) in exact_ways() {
        let worst = distance(&weights, "animevideov3", &compute)?;
        println!("by {way}: {worst} at most");
        ensure!(worst < 1e-4, "{way}: {worst}");
    }
    let fast = Compute::Kernels(Level::best(), Precision::Fast);
    let worst = distance(&weights, "animevideov3", &fast)?;
    println!("fast: {worst} at most");
    ensure!(worst < 0.05, "fast: {worst}");
    Ok(())
}

/// Makes a picture with edges and slopes.
fn picture(width: u32, height: u32) -> Result<Pixels> {
    let mut rgba = Vec::new();
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
        let edge = if (x / 7 + y / 5) % 2 == 0 { 90 } else { 0 };
        rgba.extend([
            (x * 3 % 160) as u8 + edge,
            (y * 5 % 150) as u8 + edge,
            (x * y % 251) as u8,
            255,
        ]);
    }
    Pixels::new(width, height, rgba).context("a picture")
}

fn pipeline(weights: &Path, precision: Precision) -> Result<EnlargePipeline> {
    let compute = Compute::Kernels(Level::best(), precision);
    Ok(EnlargePipeline::with_compute(
        &Checkpoint::open(weights)?,
        &compute,
        &JobContext::detached(),
    )?)
}

/// Returns how many levels of grey two pictures differ by, at most.
fn levels(a: &Pixels, b: &Pixels) -> u8 {
    assert_eq!((a.width_px, a.height_px), (b.width_px, b.height_px));
    a.rgba.iter().zip(&b.rgba).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[test]
fn tiles_give_the_same_bits_as_the_whole_picture() -> Result<()> {
    let picture = picture(101, 75)?;
    let job = JobContext::detached();
    for (file, _) in NETS {
        let real = fixture(REAL).filter(|_| file == NETS[0].0);
        for weights in [Some(golden(file)), real].into_iter().flatten() {
            for precision in [Precision::Exact, Precision::Fast] {
                let net = pipeline(&weights, precision)?;
                let own = Tiling::of(&net.model().config());
                assert_eq!(own.ramp, 0, "{file}");
                let factor = net.model().config().scale() as f32;
                let whole = net.enlarge(&picture, factor, &job)?;
                let tiled = net.with_tiling(Tiling { core: 32, ..own });
                let tiled = tiled.enlarge(&picture, factor, &job)?;
                assert_eq!(levels(&whole, &tiled), 0, "{} {precision:?}", weights.display());
            }
        }
    }
    Ok(())
}

#[test]
fn tiles_that_see_too_little_pass_into_each_other_without_a_seam() -> Result<()> {
    let picture = picture(120, 90)?;
    let job = JobContext::detached();
    let net = pipeline(&golden("rrdb-x4.safetensors"), Precision::Exact)?;
    let whole = net.enlarge(&picture, 4.0, &job)?;
    // The net looks 34 pixels far.
    let tiled = net.with_tiling(Tiling { core: 48, margin: 8, ramp: 4 });
    let tiled = tiled.enlarge(&picture, 4.0, &job)?;
    let worst = levels(&whole, &tiled);
    println!("differs by {worst} levels at most");
    ensure!(worst <= 1, "{worst}");
    Ok(())
}

#[test]
fn every_factor_goes_with_every_net_and_transparency_stays() -> Result<()> {
    let mut picture = picture(20, 14)?;
    picture.rgba[3] = 0;
    picture.rgba[7] = 128;
    let job = JobContext::detached();
    for (file, factor, size) in [
        ("compact-x4.safetensors", 2.0, (40, 28)),
        ("compact-x2.pth", 4.0, (80, 56)),
        ("compact-x2.pth", 2.55, (51, 36)),
        ("rrdb-x1.safetensors", 1.0, (20, 14)),
        ("rrdb-x1.safetensors", 1.5, (30, 21)),
    ] {
        let net = pipeline(&golden(file), Precision::Exact)?;
        let out = net.enlarge(&picture, factor, &job)?;
        assert_eq!((out.width_px, out.height_px), size, "{file}");
        assert_eq!(out.rgba[3], 0, "{file}");
        assert_eq!(out.rgba.last(), Some(&255), "{file}");
    }
    // Shrunk from four times, in parts or at once.
    let net = pipeline(&golden("compact-x4.safetensors"), Precision::Exact)?;
    let four = net.enlarge(&picture, 4.0, &job)?;
    let two =
        net.with_tiling(Tiling { core: 32, margin: 8, ramp: 0 }).enlarge(&picture, 2.0, &job)?;
    let rgb = |pixels: &Pixels| -> Vec<u8> {
        pixels.rgba.chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect()
    };
    assert_eq!(rgb(&two), lanczos(&rgb(&four), [80, 56], [40, 28], 3));
    Ok(())
}

#[test]
fn lanczos_agrees_with_pillow_within_one_level() -> Result<()> {
    let bytes = |name: &str| -> Result<(Vec<usize>, Vec<u8>)> {
        let tensor = tensor("lanczos.safetensors", name)?;
        let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
        Ok((tensor.dims().to_vec(), values.into_iter().map(|value| value as u8).collect()))
    };
    let (shape, picture) = bytes("in")?;
    let from = [shape[1], shape[0]];
    for to in [[34, 26], [68, 52], [41, 20], [7, 5], [17, 40], [9, 13]] {
        let (_, wanted) = bytes(&format!("{}x{}", to[0], to[1]))?;
        let got = lanczos(&picture, from, to, 3);
        ensure!(got.len() == wanted.len(), "{to:?}");
        let worst = got.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b)).max();
        let off = got.iter().zip(&wanted).filter(|(a, b)| a != b).count();
        println!("{to:?}: {worst:?} at most, {off} of {} bytes differ", got.len());
        ensure!(worst <= Some(1), "{to:?}: {worst:?}");
    }
    Ok(())
}
