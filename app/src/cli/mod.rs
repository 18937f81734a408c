//! The command line: the same requests as the window, without one.
//!
//! Exit codes: 0 done, 1 failure, 2 wrong input, 130 cancelled by Ctrl-C.

#[cfg(test)]
mod bare_checkpoint;
mod bench;
mod compose;
mod console;
mod cutout;
mod expand;
mod inspect;
mod interrupt;
mod job;
mod latents;
mod library;
mod machine;
mod models;
mod notices;
mod outpaint;
mod output;
mod paint;
mod paint_extras;
mod play;
mod precision;
mod progress;
mod project;
mod song_from_picture;
mod studio;
mod upscale;
mod write;

use std::ffi::OsString;
use std::process::ExitCode;

use atelier_engine::EngineError;
use clap::{Parser, Subcommand};

use console::{Console, Voice};
use interrupt::Interrupt;

/// The exit code of a job that failed.
const FAILURE: u8 = 1;
/// The exit code of input that cannot be used.
const WRONG_INPUT: u8 = 2;
/// The exit code of a job ended by Ctrl-C, as shells count it: 128 and the signal's number.
const CANCELLED: u8 = 130;

/// Says what to do instead of opening a window where there is no display.
const NO_DISPLAY: &str = "There is no display to open a window on; \
    paint without one: atelier paint \"a red fox in the snow\"";

/// Generates pictures with models on this machine; without a command, opens the window.
#[derive(Debug, Parser)]
#[command(name = "atelier", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Paints a picture from a prompt
    Paint(Box<paint::PaintArgs>),
    /// Continues a picture beyond its edges
    Outpaint(Box<outpaint::OutpaintArgs>),
    /// Makes a picture larger
    Upscale(upscale::UpscaleArgs),
    /// Cuts the subject out of a picture
    Cutout(cutout::CutoutArgs),
    /// Writes with a language model
    Write(write::WriteArgs),
    /// Composes music from words, or goes on from music
    Compose(compose::ComposeArgs),
    /// Composes music for a picture
    SongFromPicture(song_from_picture::SongArgs),
    /// Plays a sound file
    Play(play::PlayArgs),
    /// Widens a short prompt into one that the house picture model can draw, or thinks one up
    Expand(expand::ExpandArgs),
    /// Prints the recipe in a picture or a sound
    Inspect(inspect::InspectArgs),
    /// Lists projects of edited pictures and hands them on in one file
    Project(project::ProjectArgs),
    /// Works on the library of results as a whole
    Library(library::LibraryArgs),
    /// Says what a file or folder of weights is
    Models(models::ModelsArgs),
    /// Measures how fast it is on this machine
    Bench(bench::BenchArgs),
}

impl Command {
    fn voice(&self) -> Voice {
        match self {
            Self::Paint(arguments) => arguments.voice(),
            Self::Outpaint(arguments) => arguments.voice(),
            Self::Upscale(arguments) => arguments.voice(),
            Self::Cutout(arguments) => arguments.voice(),
            Self::Write(arguments) => arguments.voice(),
            Self::Compose(arguments) => arguments.making.voice(),
            Self::SongFromPicture(arguments) => arguments.making.voice(),
            Self::Play(arguments) => arguments.voice(),
            Self::Expand(arguments) => arguments.voice(),
            Self::Inspect(arguments) => arguments.voice(),
            Self::Project(arguments) => arguments.voice(),
            Self::Library(arguments) => arguments.voice(),
            Self::Models(arguments) => arguments.voice(),
            Self::Bench(arguments) => arguments.voice(),
        }
    }
}

/// Reads the process's arguments, does what they say and returns the exit code.
pub fn main() -> ExitCode {
    atelier_engine::kernels::use_cores();
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output, whose reader may have read enough.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(WRONG_INPUT));
        }
    };
    let Some(command) = cli.command else {
        return window();
    };
    let mut console = Console::standard(command.voice());
    let result = match &command {
        Command::Paint(arguments) => paint::paint(arguments, &mut console, &Interrupt::listen()),
        Command::Outpaint(arguments) => {
            outpaint::outpaint(arguments, &mut console, &Interrupt::listen())
        }
        Command::Upscale(arguments) => {
            upscale::upscale(arguments, &mut console, &Interrupt::listen())
        }
        Command::Cutout(arguments) => {
            cutout::cut_out(arguments, &mut console, &Interrupt::listen())
        }
        Command::Write(arguments) => write::write(arguments, &mut console, &Interrupt::listen()),
        Command::Compose(arguments) => {
            compose::compose(arguments, &mut console, &Interrupt::listen())
        }
        Command::SongFromPicture(arguments) => {
            song_from_picture::song_from_picture(arguments, &mut console, &Interrupt::listen())
        }
        Command::Play(arguments) => play::play(arguments, &mut console, &Interrupt::listen()),
        Command::Expand(arguments) => expand::expand(arguments, &mut console, &Interrupt::listen()),
        Command::Inspect(arguments) => inspect::inspect(arguments, &mut console),
        Command::Project(arguments) => project::project(arguments, &mut console),
        Command::Library(arguments) => {
            library::library(arguments, &mut console, &Interrupt::listen())
        }
        Command::Models(arguments) => models::models(arguments, &mut console),
        Command::Bench(arguments) => bench::bench(arguments, &mut console, &Interrupt::listen()),
    };
    finish(&mut console, result)
}

/// Opens the window, or says what works without one.
fn window() -> ExitCode {
    if !machine::has_display() {
        let mut console = Console::standard(Voice::Plain);
        console.note(NO_DISPLAY);
        return ExitCode::from(WRONG_INPUT);
    }
    match crate::open_window(crate::WindowOptions::default()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Console::standard(Voice::Plain).note(&error.to_string());
            ExitCode::from(FAILURE)
        }
    }
}

/// Shows how a command ended and returns its exit code.
fn finish(console: &mut Console, result: Result<(), EngineError>) -> ExitCode {
    let result = result.and_then(|()| console.outcome());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = exit_code(&error);
            console.error(&error, code);
            ExitCode::from(code)
        }
    }
}

/// Returns the exit code that tells a script what went wrong.
///
/// A place that cannot be read or written was named by the user, so it counts as wrong input; so
/// does a full disk, which only the user can empty.
pub fn exit_code(error: &EngineError) -> u8 {
    match error {
        EngineError::Cancelled => CANCELLED,
        EngineError::Io { .. } | EngineError::DiskFull { .. } => WRONG_INPUT,
        error if error.is_wrong_input() => WRONG_INPUT,
        _ => FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_described_without_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn exit_codes_tell_wrong_input_from_failure_and_cancelling() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(exit_code(&EngineError::EmptyPrompt), 2);
        assert_eq!(exit_code(&EngineError::invalid("width", "must be larger")), 2);
        assert_eq!(exit_code(&EngineError::io("write", "a.png", &full)), 2);
        assert_eq!(exit_code(&EngineError::Panicked { message: String::new() }), 1);
        assert_eq!(exit_code(&EngineError::NotANumber { stage: String::new() }), 1);
        assert_eq!(exit_code(&EngineError::Cancelled), 130);
    }
}
