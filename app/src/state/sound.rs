//! The sound room: what the next piece is to be like, and the piece at hand.

use atelier_engine::protocol::{
    DeviceChoice, ModelRef, MusicPlan, Sound, SoundRequest, TokenSampling,
};

use super::SeedState;

/// Holds the sound room.
#[derive(Debug, Clone, Default)]
pub struct SoundState {
    /// What the next piece is to be like.
    pub text: String,
    /// The seed.
    pub seed: SeedState,
    /// The latest piece.
    pub piece: Option<Sound>,
}

impl SoundState {
    /// Makes the request that is described, for `model` on `device`.
    pub fn request(&self, model: ModelRef, device: DeviceChoice) -> SoundRequest {
        SoundRequest {
            model,
            prompt: self.text.trim().to_owned(),
            plan: MusicPlan::default(),
            given: None,
            sampling: TokenSampling::for_music(),
            seed: self.seed.value,
            device,
        }
    }
}
