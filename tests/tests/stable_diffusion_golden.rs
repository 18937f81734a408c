//! The networks of the Stable Diffusion family against diffusers and transformers, on tiny random
//! checkpoints (`golden/stable-diffusion/make.py`, `make_control.py`).

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use atelier_engine::kernels::{Level, Precision};
use atelier_engine::models::stable_diffusion::{
    Added, Conditions, ControlNet, TextEncoder, TinyAutoencoder, Unet, Vae,
};
use atelier_engine::nn::{Compute, Load};
use atelier_engine::pipelines::diffusion::load_tiny;
use atelier_engine::protocol::JobContext;
use atelier_engine::weights::names::{Named, Part};
use atelier_engine::weights::open::Checkpoint;
use atelier_engine::weights::sd_config::{
    Activation, Addition, ControlConfig, TextConfig, TinyVaeConfig, UnetConfig, UnetLevel,
    VaeConfig,
};
use atelier_engine::weights::{Weights, read_tensor};
use atelier_tests::seeded::{self, write_safetensors};
use candle_core::{Device, Tensor};

/// A file of weights, inputs and outputs.
struct Golden {
    path: PathBuf,
    bytes: Vec<u8>,
    /// The weights, where the file has none because they follow from their names.
    seeded: Option<Vec<u8>>,
}

impl Golden {
    fn open(name: &str) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/stable-diffusion");
        let path = folder.join(format!("{name}.safetensors"));
        Ok(Self { bytes: std::fs::read(&path)?, path, seeded: None })
    }

    /// Opens a file without weights; those are made of `list`.
    fn seeded(name: &str, list: Vec<(String, Vec<usize>)>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("weights.safetensors");
        write_safetensors(&file, &seeded::tensors(name, list))?;
        Ok(Self { seeded: Some(std::fs::read(file)?), ..Self::open(name)? })
    }

    fn tensor(&self, name: &str) -> Result<Tensor> {
        let (shape, values) = read_tensor(&self.bytes, name, &self.path)?;
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    fn numbers(&self, name: &str) -> Result<Vec<f32>> {
        Ok(read_tensor(&self.bytes, name, &self.path)?.1)
    }

    /// Reads what XL is told beside the text, where the net is one of XL's.
    fn added(&self, is_xl: bool) -> Result<Option<Added>> {
        if !is_xl {
            return Ok(None);
        }
        let sizes = self.numbers("in.sizes")?;
        let (sizes, _) = sizes.as_chunks::<6>();
        Ok(Some(Added { pooled: self.tensor("in.pooled")?, sizes: sizes.to_vec() }))
    }

    /// Runs `check` for every way of computing with the error that it may have: relative to the
    /// spread of what is computed.
    fn each(&self, check: impl Fn(&Load<'_>, f64) -> Result<()>) -> Result<()> {
        let job = JobContext::detached();
        let bytes = self.seeded.as_ref().unwrap_or(&self.bytes);
        let weights = Weights::open(bytes, &self.path, &job)?;
        let mut ways: Vec<(Compute, f64)> = Level::available()
            .into_iter()
            .map(|level| (Compute::Kernels(level, Precision::Exact), 1e-4))
            .collect();
        ways.push((Compute::Candle(Device::Cpu, Precision::Exact), 1e-4));
        // In bf16 it may be as far off as the reference is in bf16; see `compare`.
        ways.push((Compute::with(&Device::Cpu, Precision::Fast), 0.0));
        ways.push((Compute::Candle(Device::Cpu, Precision::Fast), 0.0));
        for (compute, tolerance) in ways {
            check(&Load::new(&weights, compute), tolerance)?;
        }
        Ok(())
    }

    /// Compares with what the reference computed.
    fn compare(&self, name: &str, got: &Tensor, tolerance: f64, load: &Load<'_>) -> Result<()> {
        let want = self.tensor(name)?;
        ensure!(got.dims() == want.dims(), "{name}: {:?} for {:?}", got.dims(), want.dims());
        let want = want.flatten_all()?.to_vec1::<f32>()?;
        let got = got.flatten_all()?.to_vec1::<f32>()?;
        let mean = |squares: f64| (squares / want.len() as f64).sqrt();
        let scale = mean(want.iter().map(|x| f64::from(*x).powi(2)).sum());
        let errors = got.iter().zip(&want).map(|(got, want)| f64::from((got - want).abs()));
        let (error, tolerance) = if tolerance > 0.0 {
            (errors.fold(0.0, f64::max) / scale, tolerance)
        } else {
            // Processors without bf16 run this in f32 and are far below.
            let reference = self.numbers(&name.replace("out.", "bf16."))?;
            (mean(errors.map(|error| error * error).sum()) / scale, f64::from(reference[0]))
        };
        println!("{} {name} {:?}: {error:.2e}", self.path.display(), load.compute());
        ensure!(error < tolerance, "{name} {:?}: off by {error:.2e}", load.compute());
        Ok(())
    }
}

fn unet(name: &str, config: &UnetConfig) -> Result<()> {
    let golden = Golden::open(name)?;
    golden.each(|load, tolerance| {
        let unet = Unet::new(config, load)?;
        let added = golden.added(config.addition.is_some())?;
        let times = golden.numbers("in.times")?;
        let (latents, text) = (golden.tensor("in.latents")?, golden.tensor("in.text")?);
        let conditions = Conditions { added: added.as_ref(), ..Conditions::text(&text) };
        let got = unet.forward(&latents, &times, &conditions, &|| Ok(()))?;
        golden.compare("out.sample", &got, tolerance, load)
    })
}

/// Describes a net of one layer a level: channels, transformer blocks and heads of each.
fn net(levels: &[(usize, usize, usize)], context: usize) -> UnetConfig {
    let level = |(channels, depth, heads): &(usize, usize, usize)| UnetLevel {
        channels: *channels,
        down: vec![*depth],
        up: vec![*depth; 2],
        heads: *heads,
        is_words_only: false,
    };
    let deepest = levels.iter().map(|(_, depth, _)| *depth).max().unwrap_or(1);
    UnetConfig {
        levels: levels.iter().map(level).collect(),
        mid: Some(vec![deepest]),
        context,
        time_width: 4 * levels[0].0,
        ..UnetConfig::sd15()
    }
}

#[test]
fn the_denoiser_of_sd1_agrees_with_diffusers() -> Result<()> {
    unet("unet-sd1", &net(&[(32, 1, 4), (32, 1, 4), (64, 0, 4)], 24))
}

#[test]
fn the_denoiser_of_sdxl_agrees_with_diffusers() -> Result<()> {
    let addition = Some(Addition { input: 20 + 6 * 256, size_width: 256 });
    let plain = net(&[(32, 0, 2), (32, 2, 4)], 24);
    unet("unet-sdxl", &UnetConfig { has_linear_projections: true, addition, ..plain })
}

#[test]
fn the_denoiser_for_inpainting_agrees_with_diffusers() -> Result<()> {
    let plain = net(&[(32, 1, 2), (32, 0, 2)], 16);
    unet("unet-inpaint", &UnetConfig { in_channels: 9, ..plain })
}

#[test]
fn the_autoencoder_agrees_with_diffusers() -> Result<()> {
    let golden = Golden::open("vae")?;
    let config = VaeConfig { channels: vec![32, 32], layers: 1, ..VaeConfig::sd() };
    golden.each(|load, tolerance| {
        let vae = Vae::new(&config, load)?;
        let picture = vae.decode(&golden.tensor("in.latents")?, &|| Ok(()))?;
        golden.compare("out.picture", &picture, tolerance, load)?;
        let moments = vae.encode(&golden.tensor("in.picture")?, &|| Ok(()))?;
        golden.compare("out.moments", &moments, tolerance, load)
    })
}

fn control(name: &str, strength: f32, net: UnetConfig) -> Result<()> {
    let config = ControlConfig { net, hint_channels: 3, embedding: vec![8, 16, 16, 32] };
    let golden = Golden::seeded(name, config.tensors())?;
    golden.each(|load, tolerance| {
        let control = ControlNet::new(&config, load)?;
        let added = golden.added(config.net.addition.is_some())?;
        let times = golden.numbers("in.times")?;
        let (latents, text) = (golden.tensor("in.latents")?, golden.tensor("in.text")?);
        let conditions = Conditions { added: added.as_ref(), ..Conditions::text(&text) };
        let hint = control.hint(&golden.tensor("in.hint")?, &|| Ok(()))?;
        let hint = (&hint, strength);
        let got = control.forward(&latents, &times, &conditions, hint, &|| Ok(()))?;
        let got = got.tensors(load.compute())?;
        ensure!(got.len() == 5, "{} residuals", got.len());
        for (name, got) in ["down0", "down1", "down2", "down3", "middle"].iter().zip(&got) {
            golden.compare(&format!("out.{name}"), got, tolerance, load)?;
        }
        Ok(())
    })
}

#[test]
fn the_residuals_of_controlnets_agree_with_diffusers() -> Result<()> {
    control("control-sd1", 1.0, net(&[(32, 1, 2), (64, 0, 2)], 24))?;
    let addition = Some(Addition { input: 20 + 6 * 16, size_width: 16 });
    let plain = net(&[(32, 0, 2), (64, 2, 4)], 24);
    let xl = UnetConfig { has_linear_projections: true, addition, ..plain };
    control("control-sdxl", 0.6, xl)
}

#[test]
fn both_halves_of_the_tiny_autoencoder_agree_with_diffusers() -> Result<()> {
    let config = TinyVaeConfig { latent_channels: 4, has_decoder: true, has_encoder: true };
    let golden = Golden::seeded("tiny-vae", config.tensors())?;
    golden.each(|load, tolerance| {
        let tiny = TinyAutoencoder::new(&config, load)?;
        let picture = tiny.decode(&golden.tensor("in.latents")?, &|| Ok(()))?;
        golden.compare("out.picture", &picture, tolerance, load)?;
        let latents = tiny.encode(&golden.tensor("in.picture")?, &|| Ok(()))?;
        golden.compare("out.latents", &latents, tolerance, load)
    })
}

fn text_encoder(name: &str, activation: Activation, projection: Option<usize>) -> Result<()> {
    let golden = Golden::open(name)?;
    let config = TextConfig {
        width: 32,
        inner: 64,
        layers: 3,
        heads: 4,
        vocabulary: 100,
        positions: 12,
        activation,
        projection,
    };
    golden.each(|load, tolerance| {
        let encoder = TextEncoder::new(&config, load)?;
        let ids: Vec<u32> = golden.numbers("in.ids")?.iter().map(|id| *id as u32).collect();
        let ends: Vec<usize> = golden.numbers("in.ends")?.iter().map(|at| *at as usize).collect();
        let embeddings = encoder.embeddings(&ids)?.reshape((2, 12, 32))?;
        let all = encoder.forward(&embeddings, &ends, 0, true, &|| Ok(()))?;
        golden.compare("out.states", &all.states, tolerance, load)?;
        golden.compare("out.pooled", &all.pooled, tolerance, load)?;
        let skipped = encoder.forward(&embeddings, &ends, 1, false, &|| Ok(()))?;
        golden.compare("out.hidden", &skipped.states, tolerance, load)
    })
}

#[test]
fn the_text_encoders_agree_with_transformers() -> Result<()> {
    text_encoder("clip-l", Activation::QuickGelu, None)?;
    text_encoder("clip-g", Activation::Gelu, Some(24))
}

#[test]
fn a_tiny_autoencoder_of_another_build_is_refused() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/fixtures/checkpoints/taef2_decoder.pth");
    if !path.is_file() {
        println!("skipped: no {}", path.display());
        return Ok(());
    }
    let compute = Compute::Kernels(Level::best(), Precision::Exact);
    match load_tiny(&path, &compute, &JobContext::detached()) {
        Ok(_) => anyhow::bail!("it was loaded, although it has layers that are not known"),
        Err(error) => {
            ensure!(error.to_string().contains("not known"), "{error}");
            Ok(())
        }
    }
}

#[test]
fn the_real_tiny_autoencoder_decodes_as_its_author_has_it() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/fixtures/checkpoints/taesd-decoder.gguf");
    if !path.is_file() {
        println!("skipped: no {}", path.display());
        return Ok(());
    }
    let golden = Golden::open("taesd")?;
    let (job, file) = (JobContext::detached(), Checkpoint::open(&path)?);
    let named = Named::of(&file, Part::TinyVae, &job)?;
    let config = TinyVaeConfig::of(named.shapes(), &path)?;
    ensure!(config == TinyVaeConfig { latent_channels: 4, has_decoder: true, has_encoder: false });
    ensure!(named.check(&config.tensors())?.is_empty(), "nothing is left over");
    for (compute, tolerance) in [
        (Compute::Kernels(Level::best(), Precision::Exact), 1e-4),
        (Compute::Candle(Device::Cpu, Precision::Exact), 1e-4),
        (Compute::Kernels(Level::best(), Precision::Fast), 0.1),
        (Compute::Candle(Device::Cpu, Precision::Fast), 0.1),
    ] {
        let load = Load::new(&named, compute);
        let tiny = TinyAutoencoder::new(&config, &load)?;
        let picture = tiny.decode(&golden.tensor("in.latents")?, &|| Ok(()))?;
        let picture = ((picture + 1.0)? * 0.5)?;
        golden.compare("out.picture", &picture, tolerance, &load)?;
    }
    Ok(())
}
