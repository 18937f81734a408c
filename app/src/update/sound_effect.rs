//! What `update` asks the services to do with sound, and what they answer.

use std::path::PathBuf;
use std::sync::Arc;

use atelier_engine::EngineError;
use atelier_engine::audio::loudness::Loudness;
use atelier_engine::audio::peaks::Peaks;
use atelier_engine::protocol::{Pcm, Score, SoundRequest};

use crate::state::{ResultId, Silence, SoundFormat, SpectrumAsk, SpectrumPart};

/// Tells the player what to do. It is opened when it is first told to play.
#[derive(Debug, Clone, PartialEq)]
pub enum PlayerOrder {
    /// Plays a sound.
    Play {
        /// The sound.
        pcm: Arc<Pcm>,
        /// Where it begins, in seconds.
        from_secs: f64,
        /// What is played over and over, in seconds.
        region: Option<[f64; 2]>,
        /// How loud, 0 to 1.
        gain: f32,
    },
    /// Halts where it is.
    Pause,
    /// Goes to a moment, in seconds.
    Seek(f64),
    /// Plays a stretch over and over, in seconds; `None` plays on.
    Loop(Option<[f64; 2]>),
    /// Sets how loud, 0 to 1.
    Gain(f32),
    /// Stops and lets the sound go.
    Eject,
}

/// Says what the player is doing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlayerReport {
    /// Whether it plays.
    pub is_playing: bool,
    /// Where it is, in seconds.
    pub head_secs: f64,
    /// Why nothing is heard although it plays.
    pub silence: Option<Silence>,
    /// How often the device found too few frames.
    pub underruns: u64,
}

/// Asks for work on sound, each done on a thread of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum SoundTask {
    /// Reads a sound or a MIDI file.
    Open {
        /// The number that the answer will have.
        number: u64,
        /// The file.
        file: PathBuf,
        /// Its number in the library.
        result: Option<ResultId>,
    },
    /// Makes the outline and measures the loudness.
    Look {
        /// The piece.
        number: u64,
        /// Its sound.
        pcm: Arc<Pcm>,
    },
    /// Makes a spectrogram.
    Spectrum {
        /// The piece.
        number: u64,
        /// Its sound.
        pcm: Arc<Pcm>,
        /// Which part.
        ask: SpectrumAsk,
    },
    /// Writes a piece into a file.
    Export {
        /// What is written.
        export: Box<SoundExport>,
        /// Where to.
        to: PathBuf,
    },
}

/// Holds what is written into a file.
#[derive(Debug, Clone, PartialEq)]
pub struct SoundExport {
    /// The kind of file.
    pub format: SoundFormat,
    /// What the piece is called.
    pub title: String,
    /// The sound.
    pub pcm: Arc<Pcm>,
    /// The notes.
    pub score: Option<Arc<Score>>,
    /// The request that makes it again.
    pub recipe: Option<Arc<SoundRequest>>,
    /// Its file, which knows the licence.
    pub file: Option<PathBuf>,
}

/// Holds a file that was opened.
#[derive(Debug, Clone)]
pub struct OpenedSound {
    /// The file.
    pub file: PathBuf,
    /// Its number in the library.
    pub result: Option<ResultId>,
    /// What it is called.
    pub title: String,
    /// The sound; of a MIDI file as the synthesizer plays it.
    pub pcm: Arc<Pcm>,
    /// The notes, where the file has them.
    pub score: Option<Arc<Score>>,
    /// The recipe, where the file has one.
    pub recipe: Option<Arc<SoundRequest>>,
}

/// Is what comes of a [`SoundTask`].
#[derive(Debug, Clone)]
pub enum SoundNews {
    /// A file was opened.
    Opened(u64, Box<OpenedSound>),
    /// A file could not be opened.
    NotOpened(u64, EngineError),
    /// The outline of a piece, a sketch or the exact one.
    Outline(u64, Arc<Peaks>),
    /// How loud a piece is.
    Loudness(u64, Loudness),
    /// A spectrogram.
    Spectrum(u64, Box<SpectrumPart>),
    /// A spectrogram could not be made.
    NoSpectrum(u64),
    /// A piece was exported.
    Exported(PathBuf),
    /// Something went wrong.
    Failed(EngineError),
}
