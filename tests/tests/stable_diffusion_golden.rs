//! The networks of the Stable Diffusion family against diffusers and transformers, on tiny random
//! checkpoints (`golden/stable-diffusion/make.py`).

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use atelier_engine::kernels::{Activation, Level, Precision};
use atelier_engine::models::stable_diffusion::{
    Added, TextConfig, TextEncoder, Unet, UnetConfig, Vae, VaeConfig,
};
use atelier_engine::nn::{Compute, Load};
use atelier_engine::protocol::JobContext;
use atelier_engine::weights::{Weights, read_tensor};
use candle_core::{Device, Tensor};

/// A file of weights, inputs and outputs.
struct Golden {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Golden {
    fn open(name: &str) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/stable-diffusion");
        let path = folder.join(format!("{name}.safetensors"));
        Ok(Self { bytes: std::fs::read(&path)?, path })
    }

    fn tensor(&self, name: &str) -> Result<Tensor> {
        let (shape, values) = read_tensor(&self.bytes, name, &self.path)?;
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    fn numbers(&self, name: &str) -> Result<Vec<f32>> {
        Ok(read_tensor(&self.bytes, name, &self.path)?.1)
    }

    /// Runs `check` for every way of computing with the error that it may have: relative to the
    /// spread of what is computed.
    fn each(&self, check: impl Fn(&Load<'_>, f64) -> Result<()>) -> Result<()> {
        let job = JobContext::detached();
        let weights = Weights::open(&self.bytes, &self.path, &job)?;
        let mut ways: Vec<(Compute, f64)> = Level::available()
            .into_iter()
            .map(|level| (Compute::Kernels(level, Precision::Exact), 1e-4))
            .collect();
        ways.push((Compute::Candle(Device::Cpu), 1e-4));
        // In bf16 it may be as far off as the reference is in bf16; see `compare`.
        ways.push((Compute::with(&Device::Cpu, Precision::Fast), 0.0));
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
        let added = if config.added_width > 0 {
            let sizes = golden.numbers("in.sizes")?;
            let (sizes, _) = sizes.as_chunks::<6>();
            Some(Added { pooled: golden.tensor("in.pooled")?, sizes: sizes.to_vec() })
        } else {
            None
        };
        let times = golden.numbers("in.times")?;
        let (latents, text) = (golden.tensor("in.latents")?, golden.tensor("in.text")?);
        let got = unet.forward(&latents, &times, &text, added.as_ref(), &|| Ok(()))?;
        golden.compare("out.sample", &got, tolerance, load)
    })
}

#[test]
fn the_denoiser_of_sd1_agrees_with_diffusers() -> Result<()> {
    unet(
        "unet-sd1",
        &UnetConfig {
            in_channels: 4,
            out_channels: 4,
            channels: vec![32, 32, 64],
            layers: 1,
            depths: vec![1, 1, 0],
            mid_depth: 1,
            heads: vec![4; 3],
            context_width: 24,
            has_linear_projection: false,
            added_width: 0,
        },
    )
}

#[test]
fn the_denoiser_of_sdxl_agrees_with_diffusers() -> Result<()> {
    unet(
        "unet-sdxl",
        &UnetConfig {
            in_channels: 4,
            out_channels: 4,
            channels: vec![32, 32],
            layers: 1,
            depths: vec![0, 2],
            mid_depth: 2,
            heads: vec![2, 4],
            context_width: 24,
            has_linear_projection: true,
            added_width: 20 + 6 * 256,
        },
    )
}

#[test]
fn the_denoiser_for_inpainting_agrees_with_diffusers() -> Result<()> {
    unet(
        "unet-inpaint",
        &UnetConfig {
            in_channels: 9,
            out_channels: 4,
            channels: vec![32, 32],
            layers: 1,
            depths: vec![1, 0],
            mid_depth: 1,
            heads: vec![2; 2],
            context_width: 16,
            has_linear_projection: false,
            added_width: 0,
        },
    )
}

#[test]
fn the_autoencoder_agrees_with_diffusers() -> Result<()> {
    let golden = Golden::open("vae")?;
    let config = VaeConfig { channels: vec![32, 32], layers: 1, latent_channels: 4 };
    golden.each(|load, tolerance| {
        let vae = Vae::new(&config, load)?;
        let picture = vae.decode(&golden.tensor("in.latents")?, &|| Ok(()))?;
        golden.compare("out.picture", &picture, tolerance, load)?;
        let moments = vae.encode(&golden.tensor("in.picture")?, &|| Ok(()))?;
        golden.compare("out.moments", &moments, tolerance, load)
    })
}

fn text_encoder(name: &str, activation: Activation, projection: usize) -> Result<()> {
    let golden = Golden::open(name)?;
    let config = TextConfig {
        width: 32,
        inner: 64,
        layers: 3,
        heads: 4,
        vocabulary: 100,
        length: 12,
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
    text_encoder("clip-l", Activation::QuickGelu, 0)?;
    text_encoder("clip-g", Activation::Gelu, 24)
}
