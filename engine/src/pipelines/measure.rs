//! Measures networks of the Stable Diffusion family with random weights of the real shapes.

use std::cell::Cell;
use std::time::Instant;

use candle_core::{Device, Tensor};

use crate::error::EngineError;
use crate::kernels::{self, Epilogue, Input, Level, Panels, Precision};
use crate::models::stable_diffusion::{Conditions, TextEncoder, Unet, Vae};
use crate::nn::{Compute, Load};
use crate::weights::RandomTensors;
use crate::weights::sd_config::{TextConfig, UnetConfig, VaeConfig};

/// Names what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A step of Stable Diffusion 1.5's denoiser with guidance, 512×512: two texts at once.
    Unet,
    /// Decoding one latent to 512×512.
    Vae,
    /// Encoding two texts of 77 tokens.
    Clip,
}

impl Work {
    /// Returns its operations, a multiplication and an addition counting as two.
    ///
    /// # Source
    /// `torch.utils.flop_counter` over diffusers' networks of these sizes (`tests/peers/sd15.py
    /// --count`).
    pub fn operations(self) -> f64 {
        match self {
            Self::Unet => 1.607e12,
            Self::Vae => 2.515e12,
            Self::Clip => 2.66e10,
        }
    }
}

/// Holds what was measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Seconds for making the weights and packing them.
    pub load_secs: f64,
    /// Seconds of every run.
    pub run_secs: Vec<f64>,
    /// The longest time within a run in which nobody asked whether to go on, in seconds: how long a
    /// cancel may take to be seen.
    pub unasked_secs: f64,
    /// Some numbers of the result, spread over all of it: the same in every way of computing, within
    /// its precision.
    pub sample: Vec<f32>,
}

/// A network and what it reads.
enum Network {
    Unet(Box<Unet>, Tensor, Tensor),
    Vae(Box<Vae>, Tensor),
    Clip(Box<TextEncoder>, Vec<u32>),
}

/// Runs a network once to warm up and `runs` times more.
///
/// # Errors
/// That of `check`, which is called between layers; errors of the tensor library.
pub fn measure(
    work: Work,
    compute: Compute,
    runs: usize,
    check: &dyn Fn() -> Result<(), EngineError>,
) -> Result<Measured, EngineError> {
    let start = Instant::now();
    let load = Load::new(&RandomTensors, compute);
    let noise = |name: &str, shape: &[usize]| load.pp("input").tensor(name, shape);
    let network = match work {
        Work::Unet => {
            let config = UnetConfig::sd15();
            let unet = Unet::new(&config, &load)?;
            // One latent with two texts, as guidance has them.
            let latents = noise("latents", &[1, 4, 64, 64])?;
            let latents = Tensor::cat(&[&latents, &latents], 0)?;
            let text = noise("text", &[2, 77, config.context])?;
            Network::Unet(Box::new(unet), latents, text)
        }
        Work::Vae => {
            let vae = Vae::new(&VaeConfig::sd(), &load)?;
            Network::Vae(Box::new(vae), noise("latents", &[1, 4, 64, 64])?)
        }
        Work::Clip => {
            let config = TextConfig::clip_l();
            let words = config.vocabulary as u32;
            let tokens = (0..154).map(|i| i * 7919 % words).collect();
            Network::Clip(Box::new(TextEncoder::new(&config, &load)?), tokens)
        }
    };
    let load_secs = start.elapsed().as_secs_f64();
    let mut run_secs = Vec::new();
    let mut sample = Vec::new();
    let (asked, unasked) = (Cell::new(Instant::now()), Cell::new(0f64));
    let note = || {
        let before = asked.replace(Instant::now());
        unasked.set(unasked.get().max(before.elapsed().as_secs_f64()));
    };
    let check = &|| {
        note();
        check()
    };
    for run in 0..=runs {
        let start = Instant::now();
        asked.set(start);
        unasked.set(if run == 1 { 0.0 } else { unasked.get() });
        let result = network.run(check)?.flatten_all()?;
        note();
        let values = result.to_vec1::<f32>()?;
        if run > 0 {
            run_secs.push(start.elapsed().as_secs_f64());
        }
        sample = values.iter().step_by((values.len() / 4).max(1)).copied().take(4).collect();
    }
    Ok(Measured { load_secs, run_secs, unasked_secs: unasked.get(), sample })
}

impl Network {
    fn run(&self, check: &dyn Fn() -> Result<(), EngineError>) -> Result<Tensor, EngineError> {
        match self {
            Self::Unet(unet, latents, text) => {
                unet.forward(latents, &[500.0; 2], &Conditions::text(text), check)
            }
            Self::Vae(vae, latents) => vae.decode(latents, check),
            Self::Clip(encoder, tokens) => {
                let embeddings = encoder.embeddings(tokens)?.reshape((2, 77, ()))?;
                Ok(encoder.forward(&embeddings, &[76; 2], 0, true, check)?.states)
            }
        }
    }
}

/// Measures how many operations a second products of large matrices reach here, with this level's
/// instructions, all threads together.
pub fn matrix_rate(level: Level, precision: Precision) -> f64 {
    const SIDE: usize = 1536;
    let shape = [SIDE, 1, SIDE];
    let panels = Panels::pack_as(level, precision, shape, |o, _, k| ((o + k) % 7) as f32);
    let x = vec![1f32; SIDE * SIDE];
    let mut out = vec![0f32; SIDE * SIDE];
    let mut best = f64::MAX;
    for _ in 0..4 {
        let start = Instant::now();
        kernels::linear(Input::F32(&x), SIDE, &panels, Epilogue::default(), &mut out);
        best = best.min(start.elapsed().as_secs_f64());
    }
    2.0 * (SIDE as f64).powi(3) / best
}

/// Returns the way of computing by candle's own operations on the processor.
pub fn by_candle() -> Compute {
    Compute::Candle(Device::Cpu, Precision::Exact)
}
