//! A tune for a picture: what was seen of the picture, and what that set.

use std::sync::Arc;

use atelier_engine::pipelines::sound::from_picture::{PictureSong, SongField, song_of_picture};
use atelier_engine::protocol::{MusicPlan, Pixels};

use super::ResultId;

/// Holds the picture that the next piece is for.
#[derive(Debug, Clone)]
pub struct TuneOrigin {
    /// The picture's number in the library.
    pub result: ResultId,
    /// The words of its recipe.
    pub words: String,
    /// The picture.
    pub pixels: Arc<Pixels>,
    /// What it sounds like.
    pub song: Arc<PictureSong>,
}

impl TuneOrigin {
    /// Looks at a picture.
    pub fn of(result: ResultId, words: String, pixels: Arc<Pixels>) -> Self {
        let song = Arc::new(song_of_picture(&pixels, &words));
        Self { result, words, pixels, song }
    }
}

/// Tells whether a plan still has what a picture set.
pub fn is_kept(field: &SongField, plan: &MusicPlan) -> bool {
    match field {
        SongField::Tonic(tonic) => plan.key.is_some_and(|key| key.tonic == *tonic),
        SongField::Mode(mode) => plan.key.is_some_and(|key| key.mode == *mode),
        SongField::TempoBpm(tempo) => plan.tempo_bpm == Some(*tempo),
        SongField::Density(density) => plan.density == Some(*density),
        SongField::Instruments(instruments) => plan.instruments == *instruments,
    }
}
