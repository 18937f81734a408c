//! `atelier play`: a sound file through the speakers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use atelier_engine::EngineError;
use atelier_engine::audio::{midi, read, synth};
use clap::Args;

use super::{Console, Interrupt, Voice};
use crate::services::audio_out::Player;

/// How often the line is drawn.
const PAUSE: Duration = Duration::from_millis(100);

/// Holds the arguments of `atelier play`.
#[derive(Debug, Clone, Args)]
pub struct PlayArgs {
    /// Sound to play: WAV, FLAC, MP3, OGG, or a MIDI file for the built-in synthesizer
    pub file: PathBuf,
}

impl PlayArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        Voice::Plain
    }
}

/// Plays a file to its end, or until Ctrl-C.
///
/// # Errors
/// What [`read::read_file`] or [`midi::read_file`] say of the file; [`EngineError::Device`] when there
/// is nothing to play it on.
pub fn play(
    arguments: &PlayArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let ending = arguments.file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let sound = if matches!(ending.as_str(), "mid" | "midi") {
        let score = midi::read_file(&arguments.file)?;
        synth::render(&score, synth::SAMPLE_RATE_HZ, &mut |_, _| match interrupt.is_pressed() {
            true => Err(EngineError::Cancelled),
            false => Ok(()),
        })?
    } else {
        read::read_file(&arguments.file)?
    };
    let mut player = Player::open()
        .map_err(|error| EngineError::io("start the player", &arguments.file, &error))?;
    player.load(Arc::new(sound));
    player.play();
    loop {
        std::thread::park_timeout(PAUSE);
        let status = player.status();
        if let Some(reason) = status.silent_because {
            let (device, reason) = ("for sound".to_owned(), reason.to_string());
            return Err(EngineError::Device { device, reason });
        }
        if interrupt.is_pressed() {
            player.pause();
            // The fade is heard before the device closes.
            std::thread::sleep(PAUSE);
            return Err(EngineError::Cancelled);
        }
        console.bar(&format!("{} of {}", clock(status.position_secs), clock(status.duration_secs)));
        if !status.is_playing {
            std::thread::sleep(PAUSE);
            console.note(&format!("Played {}", clock(status.duration_secs)));
            return Ok(());
        }
    }
}

fn clock(secs: f64) -> String {
    format!("{}:{:02}", secs as u64 / 60, secs as u64 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_minutes_and_seconds() {
        assert_eq!((clock(0.0).as_str(), clock(3725.9).as_str()), ("0:00", "62:05"));
    }
}
