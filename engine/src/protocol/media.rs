//! What jobs make, as plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Instrument, Key, Metre};

/// Holds a picture: 8-bit sRGB with straight alpha, rows from the top.
#[derive(Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Width in pixels, at least 1.
    pub width_px: u32,
    /// Height in pixels, at least 1.
    pub height_px: u32,
    /// `width_px × height_px × 4` bytes, red, green, blue, alpha.
    pub rgba: Vec<u8>,
}

impl Pixels {
    /// Makes a picture from its bytes; `None` when their number does not fit the size.
    pub fn new(width_px: u32, height_px: u32, rgba: Vec<u8>) -> Option<Self> {
        let expected = u64::from(width_px) * u64::from(height_px) * 4;
        (width_px > 0 && height_px > 0 && rgba.len() as u64 == expected).then_some(Self {
            width_px,
            height_px,
            rgba,
        })
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pixels({}×{})", self.width_px, self.height_px)
    }
}

/// Holds latents before decoding, for comparison with other implementations.
#[derive(Debug, Clone, PartialEq)]
pub struct Latents {
    /// `[batch, channels, height, width]`.
    pub shape: [usize; 4],
    /// Row-major values.
    pub values: Vec<f32>,
}

/// Holds sound: interleaved samples, full scale at −1 and 1.
#[derive(Clone, PartialEq)]
pub struct Pcm {
    /// Samples of one channel in a second, 8,000 to 384,000.
    pub sample_rate_hz: u32,
    /// Channels, 1 (mono) to 8; 2 is stereo, left first.
    pub channels: u16,
    /// `frames × channels` samples.
    pub samples: Vec<f32>,
}

impl Pcm {
    /// Returns how many samples each channel has.
    pub fn frames(&self) -> usize {
        self.samples.len() / usize::from(self.channels.max(1))
    }

    /// Returns how long it is, in seconds.
    pub fn duration_secs(&self) -> f64 {
        self.frames() as f64 / f64::from(self.sample_rate_hz.max(1))
    }
}

impl fmt::Debug for Pcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sample_rate_hz, channels, .. } = self;
        write!(f, "Pcm({} frames, {channels} channels, {sample_rate_hz} Hz)", self.frames())
    }
}

/// Holds music as notes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Ticks of a quarter note, at least 1.
    pub ticks_per_quarter: u32,
    /// Quarter notes in a minute.
    pub tempo_bpm: f32,
    /// Beats of a bar and their kind.
    pub metre: Metre,
    /// Tonic and mode, where they are known.
    pub key: Option<Key>,
    /// The voices, the highest first.
    pub tracks: Vec<Track>,
}

/// Holds one voice of a [`Score`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// What plays it.
    pub instrument: Instrument,
    /// Its notes by the time of their start.
    pub notes: Vec<Note>,
}

/// Holds one note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When it starts, in ticks from the beginning.
    pub start_ticks: u32,
    /// How long it is held, in ticks, at least 1.
    pub duration_ticks: u32,
    /// Its pitch as a MIDI number, 0 to 127; 69 is the A of 440 Hz.
    pub pitch: u8,
    /// How hard it is struck, 1 to 127.
    pub velocity: u8,
}

impl Score {
    /// Returns when the last note ends, in ticks.
    pub fn end_ticks(&self) -> u64 {
        let notes = self.tracks.iter().flat_map(|track| &track.notes);
        notes.map(|n| u64::from(n.start_ticks) + u64::from(n.duration_ticks)).max().unwrap_or(0)
    }

    /// Returns how long a number of ticks is, in seconds.
    pub fn secs(&self, ticks: u64) -> f64 {
        let quarters = ticks as f64 / f64::from(self.ticks_per_quarter.max(1));
        quarters * 60.0 / f64::from(self.tempo_bpm.max(1.0))
    }
}
