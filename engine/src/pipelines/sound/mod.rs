//! Sound: a request to a composer → notes, and the notes as sound.

mod document;
mod dynamics;
pub mod from_picture;
mod grammar;
mod plan;
mod seats;
mod tokens;
mod words;
mod writer;

use std::path::Path;
use std::sync::Arc;

pub use plan::{
    DEFAULT_SECS, DURATION_SECS, MAX_GIVEN_NOTES, MAX_PROMPT_BYTES, TEMPO_BPM, length_secs,
    validate,
};
pub use words::{parse_key, parse_metre, read as read_prompt};
pub use writer::Tally;

use crate::audio::synth;
use crate::error::EngineError;
use crate::models::language::{Config, Decoder};
use crate::pipelines::device;
use crate::protocol::{
    DeviceChoice, JobContext, Live, MusicPlan, Notice, Pcm, Score, SoundRequest, Stage,
};
use crate::weights::gguf::Gguf;
use document::{Bar, Given};
use plan::Settled;
use tokens::Vocabulary;
use writer::Order;

/// Is a composer in memory.
#[derive(Debug)]
pub struct SoundPipeline {
    decoder: Decoder,
    vocabulary: Vocabulary,
    licence: String,
}

/// Holds a piece as notes and what is to be said about it.
#[derive(Debug, Clone)]
pub struct Composed {
    /// The notes.
    pub score: Arc<Score>,
    /// What the plan became.
    pub plan: MusicPlan,
    /// What the user should know.
    pub notices: Vec<Notice>,
    /// What it took.
    pub tally: Tally,
}

impl SoundPipeline {
    /// Loads a composer from the bytes of its GGUF file; `path` names the file in errors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when the file is no composer, [`EngineError::Device`] when the device
    /// cannot be used, [`EngineError::Cancelled`] when the job was cancelled.
    pub fn load(
        bytes: &[u8],
        path: &Path,
        device: DeviceChoice,
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let device = device::open(device)?;
        let gguf = Gguf::read(bytes, path)?;
        // Looked at first: a language model is told from a composer by its vocabulary.
        let vocabulary = Vocabulary::read(&gguf)?;
        let sizes = Config::read(&gguf)?.sizes;
        if vocabulary.len() > sizes.vocabulary {
            return Err(gguf.damaged("has more notes in its vocabulary than in its model"));
        }
        if sizes.context < 2 * grammar::MAX_BAR_TOKENS {
            return Err(gguf.damaged("holds too few tokens to write whole bars"));
        }
        let licence = gguf.text("general.license").unwrap_or_default().to_owned();
        let decoder = Decoder::load(&gguf, bytes, &device, job)?;
        Ok(Self { decoder, vocabulary, licence })
    }

    /// Returns the model, for comparison with another implementation.
    pub fn decoder(&mut self) -> &mut Decoder {
        &mut self.decoder
    }

    /// Returns the licence of the model, empty when its file does not say.
    pub fn licence(&self) -> &str {
        &self.licence
    }

    /// Writes the notes that a request asks for. The same request gives the same notes.
    ///
    /// # Errors
    /// As [`validate`]; [`EngineError::InvalidSetting`] when the words of the prompt say what cannot
    /// be; [`EngineError::NotANumber`] when the model is broken; [`EngineError::Cancelled`].
    pub fn compose(
        &mut self,
        request: &SoundRequest,
        job: &JobContext,
    ) -> Result<Composed, EngineError> {
        validate(request)?;
        let (wished, unknown) = plan::wishes(request)?;
        let given = match &request.given {
            Some(music) => Some(Given::read(music, &wished, &self.vocabulary)?),
            None => None,
        };
        let settled = plan::settle(&wished, given.as_ref(), request.seed, &self.vocabulary)?;
        let order = Order {
            settled: &settled,
            given: given.as_ref(),
            sampling: request.sampling,
            seed: request.seed,
        };
        let total = settled.bars;
        let mut on_bar = |bars: &[Bar]| {
            let steps = Some([bars.len() as u32, total]);
            let score = Some(Arc::new(score_of(&settled, bars)));
            job.report(Live { stage: Stage::Composing, steps, score, ..Live::default() })
        };
        on_bar(&[])?;
        let (bars, tally) =
            writer::write(&mut self.decoder, &self.vocabulary, &order, job, &mut on_bar)?;
        let mut notices = Vec::new();
        if !unknown.is_empty() {
            notices.push(Notice::UnknownWords { words: unknown });
        }
        let score = Arc::new(score_of(&settled, &bars));
        Ok(Composed { score, plan: settled.plan(), notices, tally })
    }
}

/// Makes the score of the bars so far, the drums' part as far as them too.
fn score_of(settled: &Settled, bars: &[Bar]) -> Score {
    let velocity = |bar: usize, note: &document::GridNote| dynamics::velocity(settled, bar, note);
    let mut score = document::score(
        bars,
        &settled.seating,
        settled.key,
        settled.metre,
        settled.tempo_bpm,
        &velocity,
    );
    if settled.seating.has_drums {
        let end = bars.len() as u32 * tokens::bar_ticks(settled.metre);
        let mut drums = dynamics::drums(settled);
        drums.notes.retain(|note| note.start_ticks < end);
        if !drums.notes.is_empty() {
            score.tracks.push(drums);
        }
    }
    score
}

/// Renders a piece as stereo sound and reports how far it is.
///
/// # Errors
/// As [`synth::render`]; [`EngineError::Cancelled`].
pub fn render(score: &Arc<Score>, job: &JobContext) -> Result<Pcm, EngineError> {
    synth::render(score, synth::SAMPLE_RATE_HZ, &mut |done, total| {
        let steps = Some([done, total]);
        let score = Some(score.clone());
        job.report(Live { stage: Stage::Rendering, steps, score, ..Live::default() })
    })
}
