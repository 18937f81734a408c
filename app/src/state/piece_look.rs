//! What is seen and measured of a piece; made by a worker and never on the frame.

use std::sync::Arc;

use atelier_engine::audio::loudness::Loudness;
use atelier_engine::audio::peaks::Peaks;
use atelier_engine::protocol::Pixels;

use super::TimeSpan;

/// Holds what was computed of a piece so far.
#[derive(Debug, Clone, Default)]
pub struct PieceLook {
    /// The outline: a sketch first, then the exact one.
    pub outline: Option<Arc<Peaks>>,
    /// How loud it is.
    pub loudness: Option<Loudness>,
    /// The spectrogram of the whole, to be shown until a part is there.
    pub whole: Option<SpectrumPart>,
    /// The spectrogram of what was in sight last.
    pub part: Option<SpectrumPart>,
    /// The spectrogram that was asked for and has not come.
    pub awaited: Option<SpectrumAsk>,
}

/// Says which spectrogram is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpectrumAsk {
    /// Which part of the piece.
    pub span: TimeSpan,
    /// Whether it is drawn for dark surfaces.
    pub is_dark: bool,
}

/// Holds the spectrogram of a part of a piece as a picture, the lowest frequency at the bottom.
#[derive(Debug, Clone)]
pub struct SpectrumPart {
    /// What it shows.
    pub ask: SpectrumAsk,
    /// The picture.
    pub pixels: Arc<Pixels>,
}

impl PieceLook {
    /// Tells whether a spectrogram must be asked for: it is not at hand and nothing is awaited.
    pub fn wants(&self, ask: SpectrumAsk) -> bool {
        let is_here = |part: &Option<SpectrumPart>| part.as_ref().is_some_and(|p| p.ask == ask);
        self.awaited.is_none() && !is_here(&self.whole) && !is_here(&self.part)
    }
}
