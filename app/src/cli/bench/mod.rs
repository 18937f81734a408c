//! `atelier bench`: how fast it is on this machine.

mod llm;
mod picture;
mod player;
mod sound;
mod timeline;
mod window;

use atelier_engine::EngineError;
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
    /// Measures how fast a language model reads and writes
    Llm(llm::LlmArgs),
    /// Measures how fast music is composed and rendered
    Sound(sound::SoundArgs),
    /// Measures whether the player keeps up while both cores are busy (Linux, two minutes)
    Player(player::PlayerArgs),
    /// Measures the window's frames while pictures are painted
    Window(window::WindowArgs),
}

impl BenchArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        let json = match &self.what {
            What::Picture(arguments) => arguments.json,
            What::Llm(arguments) => arguments.json,
            What::Sound(arguments) => arguments.json,
            What::Player(arguments) => arguments.json,
            What::Window(arguments) => arguments.json,
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
        What::Llm(arguments) => llm::bench(arguments, console, interrupt),
        What::Sound(arguments) => sound::bench(arguments, console, interrupt),
        What::Player(arguments) => player::bench(arguments, console, interrupt),
        What::Window(arguments) => window::bench(arguments, console),
    }
}
