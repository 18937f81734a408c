//! What a voice is told of a note, and what it gives.

/// Tells a voice what to play.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    /// The pitch as a MIDI number.
    pub pitch: u8,
    /// How hard, 0 to 1.
    pub strength: f32,
    /// How long the note is held, in frames.
    pub held: usize,
    /// Frames of a second.
    pub rate_hz: f64,
    /// The seed of its noise.
    pub seed: u32,
}

/// Holds the sound of one note from its start.
#[derive(Debug, Clone)]
pub(super) enum NoteSound {
    /// One channel.
    Mono(Vec<f32>),
    /// Two channels.
    Wide(Vec<[f32; 2]>),
}

impl NoteSound {
    /// Returns how many frames it has.
    pub fn frames(&self) -> usize {
        match self {
            Self::Mono(sound) => sound.len(),
            Self::Wide(sound) => sound.len(),
        }
    }
}
