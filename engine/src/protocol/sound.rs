//! What a front end asks of a composer, and what it gets.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DeviceChoice, ModelRef, Notice, Pcm, Score, TokenSampling};

/// Asks a composer for a piece of music.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SoundRequest {
    /// Which model composes.
    pub model: ModelRef,
    /// What the music is to be like; words that the composer does not know are named in a notice.
    pub prompt: String,
    /// What is settled; the rest is read from the prompt, or left to the model.
    #[serde(default)]
    pub plan: MusicPlan,
    /// Music that is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<GivenMusic>,
    /// How tokens are chosen.
    #[serde(default = "TokenSampling::for_music")]
    pub sampling: TokenSampling,
    /// The seed; the same seed gives the same bytes.
    pub seed: u64,
    /// Which device computes.
    #[serde(default)]
    pub device: DeviceChoice,
}

/// Settles features of a piece; what is `None` or empty is open.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MusicPlan {
    /// How long it is, in seconds, 1 to 600.
    pub duration_secs: Option<f32>,
    /// Tonic and mode.
    pub key: Option<Key>,
    /// Beats of a bar and their kind.
    pub metre: Option<Metre>,
    /// Quarter notes in a minute, 20 to 300.
    pub tempo_bpm: Option<f32>,
    /// Which voices play, the highest first; at most 4.
    pub instruments: Vec<Instrument>,
    /// How many notes there are.
    pub density: Option<Density>,
}

/// Holds music that a piece starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GivenMusic {
    /// The notes.
    pub score: Score,
    /// What becomes of them.
    pub usage: GivenUse,
}

/// Says what becomes of given music.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenUse {
    /// The piece begins with it and goes on.
    Continue,
    /// The piece is like it and differs.
    Vary,
}

/// Holds a key: a tonic and a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The tonic as a pitch class, 0 (C) to 11 (B).
    pub tonic: u8,
    /// The mode.
    pub mode: Mode,
}

/// Names a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Major.
    Major,
    /// Minor.
    Minor,
}

/// Holds a metre, for instance 3/4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Metre {
    /// Beats of a bar, 1 to 16.
    pub beats: u8,
    /// The note value of a beat: 2, 4, 8 or 16.
    pub unit: u8,
}

/// Names a voice of the built-in synthesizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Instrument {
    /// Struck strings.
    Piano,
    /// Plucked strings.
    Guitar,
    /// A plucked harp.
    Harp,
    /// Bowed strings, high.
    Strings,
    /// A low bowed string.
    Cello,
    /// A flute.
    Flute,
    /// A clarinet.
    Clarinet,
    /// A trumpet.
    Trumpet,
    /// A choir that sings “ah”.
    Choir,
    /// A pipe organ.
    Organ,
    /// Bells.
    Bells,
    /// A music box.
    MusicBox,
    /// A bass.
    Bass,
    /// A slow synthetic pad.
    Pad,
    /// A bright synthetic lead.
    Lead,
    /// Drums; pitches as in General MIDI's percussion.
    Drums,
}

impl Instrument {
    /// Lists every instrument, in the order in which they are offered.
    pub const ALL: [Self; 16] = [
        Self::Piano,
        Self::Guitar,
        Self::Harp,
        Self::Strings,
        Self::Cello,
        Self::Flute,
        Self::Clarinet,
        Self::Trumpet,
        Self::Choir,
        Self::Organ,
        Self::Bells,
        Self::MusicBox,
        Self::Bass,
        Self::Pad,
        Self::Lead,
        Self::Drums,
    ];

    /// Returns the name used on the command line and in recipes.
    pub fn id(self) -> &'static str {
        match self {
            Self::Piano => "piano",
            Self::Guitar => "guitar",
            Self::Harp => "harp",
            Self::Strings => "strings",
            Self::Cello => "cello",
            Self::Flute => "flute",
            Self::Clarinet => "clarinet",
            Self::Trumpet => "trumpet",
            Self::Choir => "choir",
            Self::Organ => "organ",
            Self::Bells => "bells",
            Self::MusicBox => "music_box",
            Self::Bass => "bass",
            Self::Pad => "pad",
            Self::Lead => "lead",
            Self::Drums => "drums",
        }
    }
}

/// Says how many notes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Density {
    /// Few, long notes.
    Sparse,
    /// As many as songs have.
    Medium,
    /// Many, short notes.
    Dense,
}

/// Holds a piece with the recipe that makes it again.
#[derive(Debug, Clone)]
pub struct Sound {
    /// The notes.
    pub score: Arc<Score>,
    /// What they sound like.
    pub pcm: Arc<Pcm>,
    /// The request that makes exactly this piece, the model's hash included.
    pub recipe: SoundRequest,
    /// Where it is saved, when the engine has a library.
    pub file: Option<PathBuf>,
    /// Its number in the library, when the engine has one.
    pub result_id: Option<i64>,
}

/// Holds everything that a sound job made.
#[derive(Debug, Clone)]
pub struct SoundOutput {
    /// The piece.
    pub sound: Sound,
    /// What the plan became: what was settled, what was read from words, what the model chose.
    pub plan: MusicPlan,
    /// What the user should know about the result.
    pub notices: Vec<Notice>,
}
