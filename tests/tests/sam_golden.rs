//! Segment Anything and MobileSAM against PyTorch: embeddings, masks and foretold qualities; what stands
//! around the nets against the reference's own resizing.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use atelier_engine::EngineError;
use atelier_engine::kernels::{Level, Precision};
use atelier_engine::models::segment_anything::{Masks, Prompt, PromptPoint, SegmentAnything};
use atelier_engine::nn::Compute;
use atelier_engine::pipelines::measure::by_candle;
use atelier_engine::pipelines::object::{Frame, FullMask};
use atelier_engine::protocol::{JobContext, Pixels};
use atelier_engine::weights::open::Checkpoint;
use atelier_engine::weights::read_tensor;
use atelier_engine::weights::segment_anything::{SamConfig, SamEncoder, SamWeights};
use atelier_tests::seeded::seeded;
use atelier_tests::source::root;
use atelier_tests::tiny_sam;
use candle_core::{Device, Tensor};
use serde_json::Value;

struct Golden {
    path: PathBuf,
    bytes: Vec<u8>,
    note: Value,
}

impl Golden {
    fn open() -> Result<Self> {
        let path = root().join("tests/golden/sam/golden.safetensors");
        Ok(Self { bytes: std::fs::read(&path)?, path, note: tiny_sam::note()? })
    }

    fn numbers(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        Ok(read_tensor(&self.bytes, name, &self.path)?)
    }

    fn side(&self, case: &str) -> Result<[usize; 2]> {
        let of = |key: &str| self.note["cases"][case][key].as_u64().context("no size");
        Ok([of("side")? as usize, of("step")? as usize])
    }

    /// Returns the prompts of a case, in pixels of its square.
    fn prompts(&self, side: usize) -> Result<Vec<Prompt>> {
        let scale = side as f32 / 128.0;
        let numbers = |value: &Value| -> Vec<f32> {
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_f64)
                .map(|x| x as f32)
                .collect()
        };
        let prompt = |value: &Value| {
            let points = value["points"].as_array().into_iter().flatten().map(numbers);
            let points = points.map(|one| PromptPoint {
                at: [one[0] * scale, one[1] * scale],
                is_inside: one[2] > 0.5,
            });
            let area = numbers(&value["box"]);
            let around = <[f32; 4]>::try_from(area).ok().map(|sides| sides.map(|x| x * scale));
            Prompt { points: points.collect(), around }
        };
        Ok(self.note["prompts"].as_array().context("no prompts")?.iter().map(prompt).collect())
    }
}

/// Keeps every `step`-th number each way of a square.
fn thinned(values: &[f32], side: usize, step: usize) -> Vec<f32> {
    let places = (0..side).step_by(step);
    places.clone().flat_map(|y| places.clone().map(move |x| values[y * side + x])).collect()
}

fn worst(got: &[f32], wanted: &[f32]) -> Result<f32> {
    ensure!(got.len() == wanted.len(), "{} numbers for {}", got.len(), wanted.len());
    Ok(got.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max))
}

/// Returns how far masks and qualities are from what PyTorch made.
fn mask_distance(golden: &Golden, name: &str, masks: &Masks, step: usize) -> Result<f32> {
    let (shape, wanted) = golden.numbers(&format!("{name}.masks"))?;
    ensure!(shape[0] == masks.logits.len(), "{name}: {} masks", masks.logits.len());
    let thin = |one: &Vec<f32>| thinned(one, masks.side, step);
    let got: Vec<f32> = masks.logits.iter().flat_map(thin).collect();
    let (_, qualities) = golden.numbers(&format!("{name}.quality"))?;
    Ok(worst(&got, &wanted)?.max(worst(&masks.qualities, &qualities)?))
}

/// Runs a case in one way of computing; returns how far embedding and masks are off at most.
fn distances(golden: &Golden, case: &str, compute: &Compute) -> Result<[f32; 2]> {
    let folder = tempfile::tempdir()?;
    let file = Checkpoint::open(&tiny_sam::write(folder.path(), case)?)?;
    let [side, step] = golden.side(case)?;
    let config = SamConfig { side, ..SamConfig::of(&file)? };
    let job = JobContext::detached();
    let net = SegmentAnything::new(config, &SamWeights::of(&file, &job), compute)?;
    let numbers = seeded(&format!("{case}/picture"), &[1, 3, side, side]);
    let picture: Vec<f32> =
        numbers.iter().map(|value| value.to_f32() * 2.0 * side as f32).collect();
    let picture = Tensor::from_vec(picture, (1, 3, side, side), &Device::Cpu)?;
    let start = Instant::now();
    let embedding = net.encode(&picture, &|| Ok(()))?;
    let encoded = start.elapsed().as_secs_f32();
    let (shape, wanted) = golden.numbers(&format!("{case}.embedding"))?;
    let grid = side / 16;
    let rows: Vec<Vec<f32>> = embedding.rows().to_vec2()?;
    ensure!(rows.len() == grid * grid && rows[0].len() == shape[1], "{case}: an odd embedding");
    let channel = |at: usize| -> Vec<f32> { rows.iter().map(|row| row[at]).collect() };
    let got: Vec<f32> = (0..shape[1]).flat_map(|at| thinned(&channel(at), grid, step)).collect();
    let mut found = [worst(&got, &wanted)?, 0.0];
    let start = Instant::now();
    let prompts = golden.prompts(side)?;
    for (index, prompt) in prompts.iter().enumerate() {
        let masks = net.find(&embedding, prompt, &|| Ok(()))?;
        ensure!(masks.side == side / 4, "{case}: masks of {}", masks.side);
        let off = mask_distance(golden, &format!("{case}.{index}"), &masks, step)?;
        found[1] = found[1].max(off);
    }
    let each = start.elapsed().as_secs_f32() / prompts.len() as f32;
    println!("{case}: encoded in {encoded} s, a prompt in {} ms, off by {found:?}", each * 1e3);
    Ok(found)
}

#[test]
fn tiny_nets_of_both_kinds_agree_with_pytorch_on_every_way_of_computing() -> Result<()> {
    let golden = Golden::open()?;
    let exact = |level: Level| (format!("{level:?}"), Compute::Kernels(level, Precision::Exact));
    let mut ways: Vec<_> = Level::available().into_iter().map(exact).collect();
    ways.push(("candle".to_owned(), by_candle()));
    for (way, compute) in ways {
        for case in ["tiny", "plain"] {
            let found = distances(&golden, case, &compute)?;
            ensure!(found.iter().all(|off| *off < 1e-4), "{way}, {case}: {found:?}");
        }
    }
    let fast = Compute::Kernels(Level::best(), Precision::Fast);
    for case in ["tiny", "plain"] {
        let found = distances(&golden, case, &fast)?;
        ensure!(found.iter().all(|off| *off < 0.15), "fast, {case}: {found:?}");
    }
    Ok(())
}

#[test]
fn a_net_of_mobile_sams_own_size_agrees_with_pytorch() -> Result<()> {
    let golden = Golden::open()?;
    let compute = Compute::Kernels(Level::best(), Precision::Exact);
    let found = distances(&golden, "mobile", &compute)?;
    ensure!(found.iter().all(|off| *off < 1e-3), "{found:?}");
    Ok(())
}

#[test]
fn sizes_are_read_from_shapes_and_what_is_something_else_is_refused_by_its_kind() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mobile = SamConfig::of(&Checkpoint::open(&tiny_sam::write(folder.path(), "mobile")?)?)?;
    let SamEncoder::TinyVit(sizes) = &mobile.encoder else { anyhow::bail!("{mobile:?}") };
    let of = |stage: usize| {
        let stage = sizes.stages[stage];
        [stage.width, stage.depth, stage.heads, stage.window]
    };
    let wanted = [[64, 2, 0, 0], [128, 2, 4, 7], [160, 6, 5, 14], [320, 2, 10, 7]];
    assert_eq!([of(0), of(1), of(2), of(3)], wanted);
    assert_eq!((mobile.side, mobile.width, mobile.grid()), (1024, 256, 64));
    let plain = SamConfig::of(&Checkpoint::open(&tiny_sam::write(folder.path(), "plain")?)?)?;
    let SamEncoder::Vit(sizes) = &plain.encoder else { anyhow::bail!("{plain:?}") };
    assert_eq!((plain.side, sizes.head_width, sizes.windows.as_slice()), (128, 8, &[3, 8, 3][..]));
    let other = Checkpoint::open(&root().join("tests/golden/upscaler/rrdb-x4.safetensors"))?;
    let error = SamConfig::of(&other).err().context("another net was taken")?;
    assert!(matches!(error, EngineError::InvalidSetting { .. }), "{error}");
    assert!(error.to_string().contains("upscaler"), "{error}");
    Ok(())
}

#[test]
fn pictures_are_shrunk_and_masks_enlarged_as_the_reference_does() -> Result<()> {
    let golden = Golden::open()?;
    let bytes = |name: &str| -> Result<Vec<u8>> {
        let (_, values) = golden.numbers(name)?;
        Ok(values.into_iter().map(|value| value as u8).collect())
    };
    let rgba =
        bytes("around.rgb")?.chunks(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255]).collect();
    let pixels = Pixels::new(200, 150, rgba).context("a picture")?;
    let frame = Frame::of(&pixels, 128);
    assert_eq!(frame.seen, [128, 96]);
    let shrunk = frame.shrunk(&pixels, &JobContext::detached())?;
    let wanted = bytes("around.resized")?;
    assert_eq!(shrunk.len(), wanted.len());
    let off = shrunk.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b)).max();
    // Pillow rounds to bytes between the two ways.
    assert!(off.is_some_and(|off| off <= 1), "{off:?}");
    let masks: Vec<f32> = seeded("around/masks", &[1, 1, 32, 32])
        .iter()
        .map(|value| value.to_f32() * 128.0)
        .collect();
    let full = FullMask::new(&masks, 32, frame);
    let mut row = vec![0f32; 200];
    let mut got = Vec::new();
    for y in (0..150).step_by(3) {
        full.row(y, &mut row);
        got.extend(row.iter().step_by(3));
    }
    let off = worst(&got, &golden.numbers("around.full")?.1)?;
    println!("masks are off by {off} at most");
    assert!(off < 1e-4, "{off}");
    Ok(())
}
