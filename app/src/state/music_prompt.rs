//! What the next piece is to be like.

use atelier_engine::pipelines::sound::{DEFAULT_SECS, read_prompt};
use atelier_engine::protocol::{
    DeviceChoice, GivenMusic, GivenUse, Instrument, ModelRef, MusicPlan, Score, SoundRequest,
    TokenSampling,
};

use super::SeedState;

/// How many voices a piece has at most.
pub const VOICES_MAX: usize = 4;

/// Lists the instruments that are offered, the highest first.
pub const INSTRUMENTS: [Instrument; 16] = [
    Instrument::Flute,
    Instrument::Trumpet,
    Instrument::Clarinet,
    Instrument::Lead,
    Instrument::Bells,
    Instrument::MusicBox,
    Instrument::Strings,
    Instrument::Choir,
    Instrument::Piano,
    Instrument::Guitar,
    Instrument::Harp,
    Instrument::Organ,
    Instrument::Pad,
    Instrument::Cello,
    Instrument::Bass,
    Instrument::Drums,
];

/// Holds what is written on the left of the sound room.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MusicPrompt {
    /// The words.
    pub text: String,
    /// The words that the composer did not know.
    pub unknown: Vec<String>,
    /// The length that the words ask for, in seconds; they are read when they change, not on a frame.
    pub said_secs: Option<f32>,
    /// What is settled beside the words.
    pub plan: MusicPlan,
    /// The seed.
    pub seed: SeedState,
    /// Music that the next piece starts from; a recipe brings it along.
    pub given: Option<GivenMusic>,
}

impl MusicPrompt {
    /// Tells whether nothing at all is said of the next piece.
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty() && self.given.is_none() && self.plan == MusicPlan::default()
    }

    /// Changes the words; those that the composer does not know are named.
    pub fn set_text(&mut self, text: String) {
        let (plan, unknown) = read_prompt(&text);
        (self.said_secs, self.unknown) = (plan.duration_secs, unknown);
        self.text = text;
    }

    /// Returns how long the next piece will be, in seconds; given music apart.
    pub fn length_secs(&self) -> f64 {
        f64::from(self.plan.duration_secs.or(self.said_secs).unwrap_or(DEFAULT_SECS))
    }

    /// Makes the request that is described, for `model` on `device`.
    pub fn request(&self, model: ModelRef, device: DeviceChoice) -> SoundRequest {
        SoundRequest {
            model,
            prompt: self.text.trim().to_owned(),
            plan: self.plan.clone(),
            given: self.given.clone(),
            sampling: TokenSampling::for_music(),
            seed: self.seed.value,
            device,
        }
    }

    /// Returns the request with other given music.
    #[must_use]
    pub fn starting_from(&self, score: &Score, usage: GivenUse) -> Self {
        Self { given: Some(GivenMusic { score: score.clone(), usage }), ..self.clone() }
    }

    /// Takes every setting of a recipe; the seed is locked, so that the same piece comes again.
    pub fn take_recipe(&mut self, recipe: &SoundRequest) {
        self.set_text(recipe.prompt.clone());
        self.plan = recipe.plan.clone();
        self.given.clone_from(&recipe.given);
        self.seed.set(recipe.seed);
        self.seed.locked = true;
    }

    /// Adds an instrument, or lets it go; a fifth takes the place of none.
    pub fn toggle_instrument(&mut self, instrument: Instrument) {
        let chosen = &mut self.plan.instruments;
        if chosen.contains(&instrument) {
            chosen.retain(|other| *other != instrument);
        } else if chosen.len() < VOICES_MAX {
            chosen.push(instrument);
            // The highest voice comes first.
            chosen.sort_by_key(|one| INSTRUMENTS.iter().position(|other| other == one));
        }
    }
}
