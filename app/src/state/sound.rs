//! The sound room: the piece at hand, how it is looked at, and the player.

use std::path::PathBuf;
use std::sync::Arc;

use atelier_engine::protocol::{Pcm, Score, SoundRequest};
use serde::{Deserialize, Serialize};

use super::{MusicPrompt, PieceLook, ResultId, TimeSpan, TuneOrigin};

/// Holds the sound room.
#[derive(Debug, Clone, Default)]
pub struct SoundState {
    /// What the next piece is to be like.
    pub prompt: MusicPrompt,
    /// The picture that the next piece is for.
    pub origin: Option<TuneOrigin>,
    /// The picture that a tune is wanted for, until it has been read.
    pub awaits_picture: Option<ResultId>,
    /// The piece at hand.
    pub piece: Option<Piece>,
    /// Whether the piece that is being written is shown instead of the one at hand.
    pub watches_live: bool,
    /// How pieces are looked at.
    pub view: PieceView,
    /// What the player is doing.
    pub player: PlayerState,
    /// The file that is being opened, with the number that its answer will have.
    pub opening: Option<(u64, String)>,
    /// The piece that was at hand the last time, until the library has been read.
    pub reopen: Option<ResultId>,
    /// The number of the latest piece or file that was asked for.
    latest: u64,
}

impl SoundState {
    /// Returns a number that no piece and no file that is being opened has.
    pub fn next_number(&mut self) -> u64 {
        self.latest += 1;
        self.latest
    }

    /// Returns where the play head is, in seconds.
    pub fn head_secs(&self) -> f64 {
        self.player.head_secs
    }

    /// Returns the stretch that is played over and over: the selection, or the whole.
    pub fn loop_region(&self) -> Option<[f64; 2]> {
        let piece = self.piece.as_ref()?;
        self.player.loops.then(|| self.view.selection.unwrap_or([0.0, piece.secs()]))
    }
}

/// Holds a piece: composed, taken from the library or out of a file.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Tells it from every other piece of this run.
    pub number: u64,
    /// Its number in the library, where it has one.
    pub result: Option<ResultId>,
    /// What it is called: the words of its prompt, or its file's name.
    pub title: String,
    /// Its file.
    pub file: Option<PathBuf>,
    /// Its notes, where they are known.
    pub score: Option<Arc<Score>>,
    /// Its sound.
    pub pcm: Arc<Pcm>,
    /// The request that makes it again.
    pub recipe: Option<Arc<SoundRequest>>,
    /// What is seen and measured of it.
    pub look: PieceLook,
}

impl Piece {
    /// Returns how long it is, in seconds.
    pub fn secs(&self) -> f64 {
        self.pcm.duration_secs()
    }
}

/// Says how a piece is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// Its notes as a piano roll.
    #[default]
    Notes,
    /// Its waveform.
    Wave,
    /// Its frequencies over time.
    Spectrum,
}

impl Sight {
    /// Lists every sight, in the order of their tabs.
    pub const ALL: [Self; 3] = [Self::Notes, Self::Wave, Self::Spectrum];
}

/// Holds what is in sight; all sights share it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PieceView {
    /// How the piece is looked at.
    pub sight: Sight,
    /// Which part of it.
    pub span: TimeSpan,
    /// What is selected, in seconds.
    pub selection: Option<[f64; 2]>,
}

/// Holds what the player is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayerState {
    /// Whether it plays.
    pub is_playing: bool,
    /// Where it is, in seconds: also where it will begin.
    pub head_secs: f64,
    /// Why nothing is heard although it plays.
    pub silence: Option<Silence>,
    /// Whether it plays over and over.
    pub loops: bool,
    /// How loud, 0 to 1.
    pub gain: f32,
    /// How often the device found too few frames.
    pub underruns: u64,
}

impl Default for PlayerState {
    fn default() -> Self {
        let (is_playing, loops) = (false, false);
        Self { is_playing, head_secs: 0.0, silence: None, loops, gain: 1.0, underruns: 0 }
    }
}

/// Says why nothing is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// There is no device.
    NoDevice,
    /// The program was built without sound output.
    NotBuilt,
    /// The device wants samples of a kind that is not made here.
    Format(String),
    /// The device refused, in the system's words.
    Refused(String),
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoDevice => {
                f.write_str("There is no sound device; connect one, or save the sound to a file")
            }
            Self::NotBuilt => f.write_str("This program was built without sound output"),
            Self::Format(kind) => {
                write!(f, "The sound device wants {kind}, which is not made here")
            }
            Self::Refused(reason) => write!(f, "The sound device cannot be used: {reason}"),
        }
    }
}

/// Names a kind of file that a piece is exported as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoundFormat {
    /// Uncompressed sound.
    Wav,
    /// Sound, compressed without loss.
    Flac,
    /// Notes.
    Midi,
}

impl SoundFormat {
    /// Lists every kind.
    pub const ALL: [Self; 3] = [Self::Wav, Self::Flac, Self::Midi];

    /// Returns the ending of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Flac => "flac",
            Self::Midi => "mid",
        }
    }

    /// Returns its name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Wav => "WAV",
            Self::Flac => "FLAC",
            Self::Midi => "MIDI",
        }
    }
}

/// Holds what is remembered of the sound room from one run of the program to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedSound {
    /// The words that were being written.
    pub draft: String,
    /// How loud the player is, 0 to 1.
    pub gain: f32,
    /// How pieces are looked at.
    pub sight: Sight,
    /// The piece that was at hand, by its number in the library.
    pub open: Option<ResultId>,
}

impl Default for SavedSound {
    fn default() -> Self {
        Self { draft: String::new(), gain: 1.0, sight: Sight::default(), open: None }
    }
}
