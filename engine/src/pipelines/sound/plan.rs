//! From what is asked to what is settled: nothing is open once the first note is chosen.

use super::document::Given;
use super::seats::{Seating, seat};
use super::tokens::{VOICES, Vocabulary};
use super::words;
use crate::audio::synth::MAX_DURATION_SECS;
use crate::error::EngineError;
use crate::math::rng::philox4x32;
use crate::protocol::{Density, Instrument, Key, Metre, Mode, MusicPlan, SoundRequest};
use crate::sampling::TokenSampler;

/// The longest prompt, in bytes.
pub const MAX_PROMPT_BYTES: usize = 64 << 10;
/// The most notes that given music may have.
pub const MAX_GIVEN_NOTES: usize = 20_000;
/// The range of lengths, in seconds.
pub const DURATION_SECS: [f32; 2] = [1.0, 600.0];
/// The range of tempos, in quarters a minute.
pub const TEMPO_BPM: [f32; 2] = [20.0, 300.0];
/// How long a piece is where nobody says, in seconds.
pub const DEFAULT_SECS: f32 = 30.0;
/// How many bars follow given music at least.
const LEAST_NEW_BARS: u32 = 4;

/// Holds everything about a piece but its notes.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// Tonic and mode.
    pub key: Key,
    /// Beats of a bar and their kind: one that the composer knows.
    pub metre: Metre,
    /// Quarters in a minute.
    pub tempo_bpm: f32,
    /// How many notes there are.
    pub density: Density,
    /// How many bars there are.
    pub bars: u32,
    /// Who plays what.
    pub seating: Seating,
    /// The instruments as they were asked for.
    pub instruments: Vec<Instrument>,
}

impl Settled {
    /// Returns the plan as it became, for the recipe's reader.
    pub fn plan(&self) -> MusicPlan {
        MusicPlan {
            duration_secs: Some(self.duration_secs()),
            key: Some(self.key),
            metre: Some(self.metre),
            tempo_bpm: Some(self.tempo_bpm),
            instruments: self.instruments.clone(),
            density: Some(self.density),
        }
    }

    /// Returns how long the piece is, in seconds, without what rings on.
    pub fn duration_secs(&self) -> f32 {
        self.bars as f32 * bar_secs(self.metre, self.tempo_bpm)
    }
}

/// Returns how long a bar is, in seconds.
fn bar_secs(metre: Metre, tempo_bpm: f32) -> f32 {
    f32::from(metre.beats) * 4.0 / f32::from(metre.unit) * 60.0 / tempo_bpm
}

/// Checks a request before a model is loaded for it.
///
/// # Errors
/// [`EngineError::InvalidSetting`] with what may be asked; [`EngineError::EmptyPrompt`] when there
/// is neither a prompt, nor a plan, nor music to start from.
pub fn validate(request: &SoundRequest) -> Result<(), EngineError> {
    TokenSampler::validate(&request.sampling)?;
    let plan = &request.plan;
    if request.prompt.trim().is_empty() && *plan == MusicPlan::default() && request.given.is_none()
    {
        return Err(EngineError::EmptyPrompt);
    }
    if request.prompt.len() > MAX_PROMPT_BYTES {
        let reason = format!("is longer than {} KiB", MAX_PROMPT_BYTES >> 10);
        return Err(EngineError::invalid("prompt", reason));
    }
    validate_plan(plan)?;
    if let Some(given) = &request.given {
        let notes: usize = given.score.tracks.iter().map(|track| track.notes.len()).sum();
        if notes == 0 {
            return Err(EngineError::invalid("given music", "has no notes to start from"));
        }
        if notes > MAX_GIVEN_NOTES {
            let reason = format!("has {notes} notes; at most {MAX_GIVEN_NOTES} can be read");
            return Err(EngineError::invalid("given music", reason));
        }
        if given.score.ticks_per_quarter == 0 {
            return Err(EngineError::invalid("given music", "has no ticks in a quarter note"));
        }
    }
    Ok(())
}

fn validate_plan(plan: &MusicPlan) -> Result<(), EngineError> {
    for (name, value, [low, high]) in [
        ("length in seconds", plan.duration_secs, DURATION_SECS),
        ("tempo", plan.tempo_bpm, TEMPO_BPM),
    ] {
        if let Some(value) = value
            && !(low..=high).contains(&value)
        {
            let reason = format!("must lie between {low} and {high}, not {value}");
            return Err(EngineError::invalid(name, reason));
        }
    }
    if plan.key.is_some_and(|key| key.tonic > 11) {
        return Err(EngineError::invalid("key", "has a tonic that is none of the twelve"));
    }
    if let Some(metre) = plan.metre
        && !((1..=16).contains(&metre.beats) && [2, 4, 8, 16].contains(&metre.unit))
    {
        return Err(EngineError::invalid(
            "metre",
            "must be 1 to 16 beats of 1/2, 1/4, 1/8 or 1/16",
        ));
    }
    let voices = plan.instruments.iter().filter(|one| **one != Instrument::Drums).count();
    if voices > 4 {
        let reason = format!("are {voices}; at most 4 can play, and drums beside them");
        return Err(EngineError::invalid("instruments", reason));
    }
    Ok(())
}

/// Returns what is asked for: by settings, else by the words of the prompt. Also returns the words
/// that mean nothing here.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when what the words say is out of range.
pub fn wishes(request: &SoundRequest) -> Result<(MusicPlan, Vec<String>), EngineError> {
    let (mut said, unknown) = words::read(&request.prompt);
    let mut voices = 0;
    // Words may name any number of players; the first ones are seated.
    said.instruments.retain(|one| {
        voices += usize::from(*one != Instrument::Drums);
        *one == Instrument::Drums || voices <= usize::from(VOICES)
    });
    validate_plan(&said)?;
    let asked = request.plan.clone();
    let instruments =
        if asked.instruments.is_empty() { said.instruments } else { asked.instruments };
    let wished = MusicPlan {
        duration_secs: asked.duration_secs.or(said.duration_secs),
        key: asked.key.or(said.key),
        metre: asked.metre.or(said.metre),
        tempo_bpm: asked.tempo_bpm.or(said.tempo_bpm),
        instruments,
        density: asked.density.or(said.density),
    };
    Ok((wished, unknown))
}

/// Returns how long a piece will be, in seconds, by what is asked for; given music apart.
pub fn length_secs(prompt: &str, plan: &MusicPlan) -> f64 {
    let said = plan.duration_secs.or_else(|| super::words::read(prompt).0.duration_secs);
    f64::from(said.unwrap_or(DEFAULT_SECS))
}

/// Settles what wishes leave open: by the music that is given, then by the seed.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when the composer does not know the metre, or the piece would be
/// longer than can be rendered.
pub fn settle(
    wished: &MusicPlan,
    given: Option<&Given>,
    seed: u64,
    vocabulary: &Vocabulary,
) -> Result<Settled, EngineError> {
    let choose = |index: u32, count: u32| {
        let seed = [seed as u32, (seed >> 32) as u32];
        // The third word sets these numbers apart from those that choose tokens and make noise.
        philox4x32([index, 0, 2, 0], seed)[0] % count
    };
    let key = wished.key.or(given.map(|given| given.key)).unwrap_or_else(|| {
        const TONICS: [(u8, Mode); 8] = [
            (0, Mode::Major),
            (7, Mode::Major),
            (5, Mode::Major),
            (2, Mode::Major),
            (10, Mode::Major),
            (9, Mode::Minor),
            (2, Mode::Minor),
            (4, Mode::Minor),
        ];
        let (tonic, mode) = TONICS[choose(0, 8) as usize];
        Key { tonic, mode }
    });
    let metre = wished.metre.or(given.map(|given| given.metre));
    let metre = metre.unwrap_or(Metre { beats: 4, unit: 4 });
    if !vocabulary.metres().contains(&metre) {
        let known: Vec<String> =
            vocabulary.metres().iter().map(|one| format!("{}/{}", one.beats, one.unit)).collect();
        let reason = format!("{}/{} is none of {}", metre.beats, metre.unit, known.join(", "));
        return Err(EngineError::invalid("metre", reason));
    }
    let tempo_bpm = wished
        .tempo_bpm
        .or(given.map(|given| given.tempo_bpm))
        .unwrap_or_else(|| [88.0, 96.0, 104.0, 112.0][choose(1, 4) as usize]);
    let density = wished.density.or(given.map(|given| given.density)).unwrap_or(Density::Medium);
    let instruments = match given {
        Some(given) => given.instruments.clone(),
        None if wished.instruments.is_empty() => vec![Instrument::Piano],
        None => wished.instruments.clone(),
    };
    let bars = |secs: f32| (secs / bar_secs(metre, tempo_bpm)).round().max(1.0) as u32;
    let bars = match (given, wished.duration_secs) {
        (None, secs) => bars(secs.unwrap_or(DEFAULT_SECS)).max(2),
        (Some(given), Some(secs)) => bars(secs).max(given.bars_after(LEAST_NEW_BARS)),
        (Some(given), None) => given.default_bars(),
    };
    let seating = seat(&instruments);
    let settled = Settled { key, metre, tempo_bpm, density, bars, seating, instruments };
    let secs = settled.duration_secs();
    if f64::from(secs) > MAX_DURATION_SECS {
        let reason = format!(
            "would be {secs:.0} seconds with the given music; at most {MAX_DURATION_SECS:.0} can be rendered"
        );
        return Err(EngineError::invalid("length", reason));
    }
    Ok(settled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_piece_is_that_of_its_plan_else_of_its_words() {
        let of = |prompt: &str, duration_secs| {
            length_secs(prompt, &MusicPlan { duration_secs, ..MusicPlan::default() })
        };
        assert_eq!(of("a waltz", None), f64::from(DEFAULT_SECS));
        assert_eq!(of("a waltz, 20 seconds", None), 20.0);
        assert_eq!(of("a waltz, 20 seconds", Some(8.0)), 8.0);
    }
}
