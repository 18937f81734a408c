//! Whole pipelines against diffusers, from a prompt to a picture, with tiny models of every kind
//! (`golden/pipelines/make.py`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use atelier_engine::kernels::{Level, Precision as KernelPrecision};
use atelier_engine::nn::Compute;
use atelier_engine::pipelines::diffusion::{
    Companions, DiffusionPipeline, ModelPlan, load_control,
};
use atelier_engine::protocol::{
    ControlUse, DeviceChoice, Extras, HintKind, JobContext, ModelRef, NoiseSource, PictureFile,
    PictureOutput, PictureRequest, Precision, PreviewMode, Prompt, SamplerKind, Sampling,
    ScheduleKind, Size, Source,
};
use atelier_tests::tiny_diffusion::{bytes_of, golden, golden_tensor, models};
use candle_core::Device;
use serde_json::{Value, json};

/// How far latents may be off, relative to their spread.
const TOLERANCE: f64 = 1e-3;

/// Makes the request of a case.
fn request(name: &str, case: &Value, noise: &Path) -> Result<PictureRequest> {
    let top = models()?;
    let number = |key: &str, usual: f64| case[key].as_f64().unwrap_or(usual) as f32;
    let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
    let model = text("model");
    let source = (case["init"] == true).then(|| {
        let mask = (case["mask"] == true).then(|| PictureFile::at(top.join("mask.png")));
        let source = Source::new(top.join("init.png"), number("strength", 1.0));
        let image_guidance = number("image_guidance", 1.5);
        Source { mask, image_guidance, ..source }
    });
    let mut controls = Vec::new();
    if case["control"] == true {
        controls.push(ControlUse {
            model: ModelRef::named(top.join(format!("control-{model}")).to_string_lossy()),
            picture: PictureFile::at(top.join("init.png")),
            over_source: false,
            hint: HintKind::None,
            strength: number("control_strength", 1.0),
            between: serde_json::from_value(case["between"].clone())?,
        });
    }
    let mut embeddings = Vec::new();
    if case["embedding"] == true {
        let file = top.join("glimmerwort.safetensors");
        embeddings.push(ModelRef::named(file.to_string_lossy()));
    }
    let sampler = SamplerKind::from_id(&text("sampler")).context(name.to_owned())?;
    Ok(PictureRequest {
        model: ModelRef::named(top.join(&model).to_string_lossy()),
        prompt: Prompt { text: text("prompt"), negative: text("negative"), styles: Vec::new() },
        size: Size { width_px: 64, height_px: 64 },
        sampling: Sampling {
            sampler,
            steps: number("steps", 6.0) as u32,
            guidance: number("guidance", 1.0),
            schedule: ScheduleKind::from_id(case["schedule"].as_str().unwrap_or("automatic"))
                .context("a schedule")?,
            cfg_rescale: number("cfg_rescale", 0.0),
            ..Sampling::default()
        },
        seed: 1,
        count: 1,
        noise: NoiseSource::File(noise.to_owned()),
        preview: PreviewMode::EveryStep,
        device: DeviceChoice::Cpu,
        precision: Precision::Exact,
        keep_latents: true,
        extras: Extras {
            source,
            controls,
            embeddings,
            clip_skip: case["clip_skip"].as_u64().map(|skip| skip as u32),
            ..Extras::default()
        },
    })
}

/// Runs a case with its own noise.
fn run(name: &str, case: &Value, bytes: &[u8], compute: Compute) -> Result<PictureOutput> {
    let work = tempfile::tempdir()?;
    let noise = work.path().join("noise.safetensors");
    let (shape, values) = golden_tensor(bytes, &format!("{name}.noise"))?;
    let header = json!({ "noise": {
        "dtype": "F32", "shape": shape, "data_offsets": [0, 4 * values.len()],
    }});
    let header = serde_json::to_vec(&header)?;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    std::fs::write(&noise, file)?;
    let request = request(name, case, &noise)?;
    let job = JobContext::detached();
    let plan = ModelPlan {
        model: PathBuf::from(&request.model.name),
        loras: Vec::new(),
        prediction: None,
    };
    let mut pipeline = DiffusionPipeline::load_for(&plan, compute.clone(), &job)?;
    let mut companions = Companions::default();
    for control in &request.extras.controls {
        let net = load_control(Path::new(&control.model.name), &compute, &job)?;
        companions.controls.push(Arc::new(net));
    }
    companions.embeddings =
        request.extras.embeddings.iter().map(|file| PathBuf::from(&file.name)).collect();
    Ok(pipeline.run(&request, &companions, &job, &mut Ok)?)
}

/// Compares the latents and the picture of a case; returns how far the latents are off.
fn compare(name: &str, output: &PictureOutput, bytes: &[u8]) -> Result<f64> {
    let latents = output.latents.as_ref().context("no latents")?;
    let (shape, want) = golden_tensor(bytes, &format!("{name}.latents"))?;
    ensure!(latents.shape.as_slice() == shape, "{name}: {:?}", latents.shape);
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let off = square(&mut latents.values.iter().zip(&want).map(|(a, b)| f64::from(a - b)));
    let spread = square(&mut want.iter().map(|value| f64::from(*value)));
    let off = (off / spread).sqrt();
    if let Ok((shape, want)) = bytes_of(bytes, &format!("{name}.picture")) {
        let pixels = &output.pictures[0].pixels;
        ensure!([pixels.height_px as usize, pixels.width_px as usize, 3] == shape[..]);
        let got = pixels.rgba.chunks_exact(4).flat_map(|pixel| &pixel[..3]);
        let worst = got.zip(&want).map(|(a, b)| a.abs_diff(*b)).max();
        println!("{name}: bytes of the picture differ by at most {worst:?}");
        ensure!(worst <= Some(2), "{name}: bytes of the picture differ by {worst:?}");
    }
    Ok(off)
}

#[test]
fn every_case_ends_at_the_latents_of_diffusers() -> Result<()> {
    let (golden, bytes) = golden()?;
    let cases = golden["cases"].as_object().context("no cases")?;
    ensure!(cases.len() >= 27, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for (name, case) in cases {
        let compute = Compute::Kernels(Level::best(), KernelPrecision::Exact);
        let output = run(name, case, &bytes, compute);
        match output.and_then(|output| compare(name, &output, &bytes)) {
            Ok(off) if off <= TOLERANCE => println!("{name}: latents differ by {off:.1e}"),
            Ok(off) => wrong.push(format!("{name}: latents differ by {off:.1e}")),
            Err(error) => wrong.push(format!("{name}: {error:#}")),
        }
    }
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn candle_and_every_level_of_kernels_make_the_same_picture() -> Result<()> {
    let (golden, bytes) = golden()?;
    let mut ways: Vec<Compute> = Level::available()
        .into_iter()
        .map(|level| Compute::Kernels(level, KernelPrecision::Exact))
        .collect();
    ways.push(Compute::Candle(Device::Cpu, Precision::Exact));
    for name in ["sd1-euler", "sdxl-control"] {
        for compute in &ways {
            let output = run(name, &golden["cases"][name], &bytes, compute.clone())?;
            let off = compare(name, &output, &bytes)?;
            ensure!(off <= TOLERANCE, "{name} on {compute:?}: latents differ by {off:.1e}");
        }
    }
    Ok(())
}

#[test]
fn what_a_mask_protects_has_the_same_bits_as_before() -> Result<()> {
    let (golden, bytes) = golden()?;
    let (_, before) = bytes_of(&bytes, "init")?;
    let (_, mask) = bytes_of(&bytes, "mask")?;
    for name in ["sd1-blend", "inpaint"] {
        let compute = Compute::Kernels(Level::best(), KernelPrecision::Fast);
        let output = run(name, &golden["cases"][name], &bytes, compute)?;
        let after = &output.pictures[0].pixels.rgba;
        let mut changed = 0;
        for ((pixel, old), mask) in after.chunks_exact(4).zip(before.chunks_exact(3)).zip(&mask) {
            ensure!(*mask != 0 || pixel[..3] == *old, "{name} changed what it must not");
            changed += usize::from(pixel[..3] != *old);
        }
        ensure!(changed > 500, "{name} changed {changed} pixels only");
    }
    Ok(())
}
