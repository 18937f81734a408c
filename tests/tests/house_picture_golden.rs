//! The house picture model against PyTorch: golden files made by the model's recipe (`golden.py`)
//! from the same weights, the shipped ones and tiny random ones (`tiny.py`). Skipped, with a printed line, where the weights are absent;
//! `ATELIER_TEST_MODEL` names another folder than that of the shipped ones.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use atelier_engine::EngineError;
use atelier_engine::models::house_picture::{HousePicture, Lexicon, Stir, Things};
use atelier_engine::nn::Compute;
use atelier_engine::pipelines::picture::PicturePipeline;
use atelier_engine::protocol::{
    DeviceChoice, Extras, JobContext, ModelRef, NoiseSource, PictureRequest, Precision,
    PreviewMode, Prompt, SamplerKind, Sampling, Size,
};
use atelier_engine::weights::read_tensor;
use candle_core::{Device, Tensor};

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("ATELIER_TEST_MODEL").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/models/house-picture"),
        PathBuf::from,
    );
    let is_there = folder.join("model.safetensors").is_file() && folder.join("golden").is_dir();
    if !is_there {
        println!("skipped: no weights with golden files in {}", folder.display());
    }
    is_there.then_some(folder)
}

/// The folders of both models: the shipped one where it is there, and the tiny one.
fn both_models() -> Vec<PathBuf> {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/house-picture-tiny");
    folder().into_iter().chain([tiny]).collect()
}

fn load(folder: &Path, compute: Compute) -> Result<PicturePipeline> {
    let weights = std::fs::read(folder.join("model.safetensors"))?;
    let config = std::fs::read_to_string(folder.join("config.json"))?;
    let lexicon = std::fs::read_to_string(folder.join("lexicon.json"))?;
    let job = JobContext::detached();
    Ok(PicturePipeline::load_for(&weights, &config, &lexicon, compute, &job)?)
}

/// Both ways of computing that this machine can run: the kernels, and candle as on a GPU.
fn both_ways() -> [Compute; 2] {
    [Compute::on(&Device::Cpu), Compute::Candle(Device::Cpu, Precision::Exact)]
}

struct Golden {
    path: PathBuf,
    bytes: Vec<u8>,
    note: serde_json::Value,
}

impl Golden {
    fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("golden/golden.safetensors");
        let note = std::fs::read_to_string(folder.join("golden/golden.json"))?;
        Ok(Self { bytes: std::fs::read(&path)?, path, note: serde_json::from_str(&note)? })
    }

    fn tensor(&self, name: &str) -> Result<Tensor> {
        let (shape, values) = read_tensor(&self.bytes, name, &self.path)?;
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    fn number(&self, name: &str) -> Result<f64> {
        self.note[name].as_f64().with_context(|| format!("golden.json has no number {name}"))
    }

    fn prompt(&self) -> Result<&str> {
        self.note["prompt"].as_str().context("golden.json has no prompt")
    }
}

/// Fails when a number differs by more than the tolerance; prints the largest difference.
fn agree(what: &str, got: &Tensor, want: &Tensor, tolerance: f32) -> Result<()> {
    ensure!(got.dims() == want.dims(), "{what}: {:?} for {:?}", got.dims(), want.dims());
    let largest = (got - want)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
    println!("{what}: largest difference {largest:e}");
    ensure!(largest <= tolerance, "{what} differs by {largest}, more than {tolerance}");
    Ok(())
}

fn go_on() -> Result<(), EngineError> {
    Ok(())
}

fn ids(model: &PicturePipeline, golden: &Golden) -> Result<Vec<u32>> {
    Ok(model.lexicon().tokenize(golden.prompt()?).ids)
}

#[test]
fn the_tokenizer_reads_every_text_as_the_recipe_does() -> Result<()> {
    let Some(folder) = folder() else { return Ok(()) };
    let path = folder.join("lexicon.json");
    let lexicon = Lexicon::from_json(&std::fs::read_to_string(&path)?, &path)?;
    let vectors = std::fs::read_to_string(folder.join("golden/tokens.json"))?;
    let vectors: Vec<serde_json::Value> = serde_json::from_str(&vectors)?;
    ensure!(vectors.len() > 10, "only {} texts", vectors.len());
    for vector in vectors {
        let text = vector["text"].as_str().context("no text")?;
        let tokens = lexicon.tokenize(text);
        let unknown: Vec<String> =
            tokens.unknown.into_iter().map(|range| text[range].to_lowercase()).collect();
        assert_eq!(serde_json::json!(tokens.ids), vector["ids"], "{text}");
        assert_eq!(serde_json::json!(unknown), vector["unknown"], "{text}");
    }
    Ok(())
}

#[test]
fn text_states_agree_with_pytorch() -> Result<()> {
    for folder in both_models() {
        let golden = Golden::open(&folder)?;
        for compute in both_ways() {
            let pipeline = load(&folder, compute)?;
            let text = pipeline.model().text();
            let read = text.forward(&ids(&pipeline, &golden)?)?;
            agree("text", &read.states, &golden.tensor("text")?, 1e-4)?;
            agree("empty", &text.forward(&[])?.states, &golden.tensor("empty")?, 1e-4)?;
        }
    }
    Ok(())
}

/// One guess at a latent of the golden file, for a prompt.
fn guess(pipeline: &PicturePipeline, prompt: &str, latent: &Tensor, time: f64) -> Result<Tensor> {
    let model: &HousePicture = pipeline.model();
    let text = model.text().forward(&pipeline.lexicon().tokenize(prompt).ids)?;
    let (_, _, height, width) = latent.dims4()?;
    let conditioning =
        model.transformer().condition(&[text], Things::Free(Stir::of(latent)?), height, width)?;
    Ok(model.transformer().forward(latent, time, &conditioning)?)
}

#[test]
fn one_guess_at_a_wide_latent_agrees_with_pytorch() -> Result<()> {
    for folder in both_models() {
        let golden = Golden::open(&folder)?;
        let (input, time) = (golden.tensor("wide_in")?, golden.number("wide_time")?);
        for compute in both_ways() {
            let guess = guess(&load(&folder, compute)?, golden.prompt()?, &input, time)?;
            agree("guess", &guess, &golden.tensor("wide_out")?, 2e-4)?;
        }
    }
    Ok(())
}

#[test]
fn guesses_with_relations_counts_and_sizes_agree_with_pytorch() -> Result<()> {
    let mut compared = 0;
    for folder in both_models() {
        let golden = Golden::open(&folder)?;
        let prompts = golden.note["guesses"].as_array().context("no guesses")?;
        for compute in both_ways() {
            let pipeline = load(&folder, compute)?;
            for (index, prompt) in prompts.iter().enumerate() {
                let prompt = prompt.as_str().context("a prompt is no text")?;
                let (input, time) = (golden.tensor("guess_in")?, golden.number("wide_time")?);
                let guess = guess(&pipeline, prompt, &input, time)?;
                agree(prompt, &guess, &golden.tensor(&format!("guess.{index}"))?, 2e-4)?;
                compared += 1;
            }
        }
    }
    ensure!(compared >= 10, "only {compared} guesses were compared");
    Ok(())
}

#[test]
fn sampled_latents_and_their_picture_agree_with_pytorch() -> Result<()> {
    for folder in both_models() {
        let golden = Golden::open(&folder)?;
        let scratch = tempfile::tempdir()?;
        let noise = scratch.path().join("noise.safetensors");
        std::fs::write(&noise, noise_file(&golden.tensor("noise")?)?)?;
        let request = PictureRequest {
            model: ModelRef::named("house-picture"),
            prompt: Prompt { text: golden.prompt()?.to_owned(), ..Prompt::default() },
            size: Size { width_px: 256, height_px: 256 },
            sampling: Sampling {
                sampler: SamplerKind::Euler,
                steps: golden.number("steps")? as u32,
                guidance: golden.number("guidance")? as f32,
                ..Sampling::default()
            },
            seed: 1,
            count: 1,
            noise: NoiseSource::File(noise),
            preview: PreviewMode::Off,
            device: DeviceChoice::Cpu,
            precision: Precision::Exact,
            keep_latents: true,
            extras: Extras::default(),
        };
        for compute in both_ways() {
            let mut pipeline = load(&folder, compute)?;
            let output = pipeline.run(&request, &JobContext::detached(), &mut Ok)?;
            let latents = output.latents.context("no latents were kept")?;
            let latents = Tensor::from_vec(latents.values, latents.shape.to_vec(), &Device::Cpu)?;
            agree("latents", &latents, &golden.tensor("latent")?, 1e-3)?;
            // The tiny model's golden files leave out the decoder.
            if let Ok(crop) = golden.tensor("crop") {
                let picture = pipeline.model().decode(&golden.tensor("latent")?, &go_on)?;
                let picture = picture.squeeze(0)?.narrow(1, 96, 64)?.narrow(2, 96, 64)?;
                agree("decoded picture", &picture, &crop, 1e-3)?;
            }
        }
    }
    Ok(())
}

#[test]
fn encoded_pictures_and_the_way_back_agree_with_pytorch() -> Result<()> {
    let Some(folder) = folder() else { return Ok(()) };
    let golden = Golden::open(&folder)?;
    for compute in both_ways() {
        let pipeline = load(&folder, compute)?;
        let model = pipeline.model();
        let latents = model.encode(&golden.tensor("picture")?)?;
        agree("encoded picture", &latents, &golden.tensor("mean")?, 1e-5)?;
        let back = model.decode(&latents, &go_on)?.squeeze(0)?;
        let back = back.narrow(1, 32, 64)?.narrow(2, 32, 64)?;
        agree("round trip", &back, &golden.tensor("round_trip")?, 1e-3)?;
    }
    Ok(())
}

/// Writes the tensor `noise` as safetensors.
fn noise_file(noise: &Tensor) -> Result<Vec<u8>> {
    let values: Vec<f32> = noise.flatten_all()?.to_vec1()?;
    let header = serde_json::json!({"noise": {
        "dtype": "F32", "shape": noise.dims(), "data_offsets": [0, 4 * values.len()],
    }});
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    Ok(bytes)
}
