//! `atelier bench`: how fast it is on this machine.

mod canvas;
mod library;
mod llm;
mod network;
mod peers;
mod picture;
mod player;
mod sound;
mod timeline;
mod upscale;
mod window;

use atelier_engine::EngineError;
use atelier_engine::pipelines::measure::Work;
use clap::{Args, Subcommand};

use super::{Console, Interrupt, Voice};

/// Holds the arguments of `atelier bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Measures loading, sampling and decoding a picture, cold and warm
    Picture(picture::PictureArgs),
    /// Measures a step of a Stable Diffusion 1.5 denoiser with random weights
    Unet(network::NetworkArgs),
    /// Measures decoding to 512×512 by a Stable Diffusion autoencoder with random weights
    Vae(network::NetworkArgs),
    /// Measures encoding two texts by Stable Diffusion 1.5's text encoder with random weights
    Clip(network::NetworkArgs),
    /// Measures how fast a picture is enlarged
    Upscale(upscale::UpscaleBenchArgs),
    /// Measures how fast a language model reads and writes
    Llm(llm::LlmArgs),
    /// Measures how fast music is composed and rendered
    Sound(sound::SoundArgs),
    /// Measures opening and searching a library of many pictures, and making its index
    Library(library::LibraryArgs),
    /// Measures whether the player keeps up while both cores are busy (Linux, two minutes)
    Player(player::PlayerArgs),
    /// Measures the window's frames while pictures are painted
    Window(window::WindowArgs),
    /// Measures the window's frames while a large document is moved, zoomed and painted on
    Canvas(canvas::CanvasArgs),
    /// Says how to run the same work in PyTorch, OpenVINO, diffusers and llama.cpp
    Peers,
}

impl BenchArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        let json = match &self.what {
            What::Picture(arguments) => arguments.json,
            What::Unet(arguments) | What::Vae(arguments) | What::Clip(arguments) => arguments.json,
            What::Upscale(arguments) => arguments.json,
            What::Llm(arguments) => arguments.json,
            What::Sound(arguments) => arguments.json,
            What::Library(arguments) => arguments.json,
            What::Player(arguments) => arguments.json,
            What::Window(arguments) => arguments.json,
            What::Canvas(arguments) => arguments.json,
            What::Peers => false,
        };
        if json { Voice::Json } else { Voice::Plain }
    }
}

/// Measures and prints.
///
/// # Errors
/// Whatever kept the measured work from being done.
pub fn bench(
    arguments: &BenchArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    match &arguments.what {
        What::Picture(arguments) => picture::bench(arguments, console, interrupt),
        What::Unet(arguments) => network::bench(Work::Unet, arguments, console, interrupt),
        What::Vae(arguments) => network::bench(Work::Vae, arguments, console, interrupt),
        What::Clip(arguments) => network::bench(Work::Clip, arguments, console, interrupt),
        What::Upscale(arguments) => upscale::bench(arguments, console, interrupt),
        What::Llm(arguments) => llm::bench(arguments, console, interrupt),
        What::Library(arguments) => library::bench(arguments, console, interrupt),
        What::Sound(arguments) => sound::bench(arguments, console, interrupt),
        What::Player(arguments) => player::bench(arguments, console, interrupt),
        What::Window(arguments) => window::bench(arguments, console),
        What::Canvas(arguments) => canvas::bench(arguments, console),
        What::Peers => {
            peers::tell(console);
            Ok(())
        }
    }
}
