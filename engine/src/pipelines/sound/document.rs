//! Between scores and the composer's grid: given music into bars, bars into tokens, notes into a
//! score.

use super::seats::{Seat, Seating};
use super::tokens::{Layout, TICKS, Token, VOICES, Vocabulary, bar_ticks};
use crate::error::EngineError;
use crate::protocol::{
    Density, GivenMusic, GivenUse, Instrument, Key, Metre, Mode, MusicPlan, Note, Score, Track,
};

/// Is a note on the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GridNote {
    /// When it starts, in ticks from the bar's beginning.
    pub position: u32,
    /// The voice, 0 is the highest.
    pub voice: u8,
    /// The pitch as a MIDI number.
    pub pitch: u8,
    /// How long it is held, in ticks.
    pub duration: u32,
}

/// Is a bar of notes in the order in which they are written: by position, voice, then from the
/// highest pitch.
pub type Bar = Vec<GridNote>;

/// Holds given music on the grid.
#[derive(Debug, Clone)]
pub struct Given {
    /// What becomes of it.
    pub usage: GivenUse,
    /// Its bars.
    pub bars: Vec<Bar>,
    /// The key that its notes are in, as far as can be told.
    pub key: Key,
    /// Its metre: 4/4 where it has one that the composer does not know.
    pub metre: Metre,
    /// Quarters in a minute.
    pub tempo_bpm: f32,
    /// How many notes there are.
    pub density: Density,
    /// Who plays it, the highest first.
    pub instruments: Vec<Instrument>,
}

/// The most bars that are read of given music.
const MAX_BARS: u32 = 400;

impl Given {
    /// Reads given music. `wished` is what is asked for: bars are those of its metre, and its players
    /// take the music over where it names some.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when it has no notes but drums, or more bars than are read.
    pub fn read(
        music: &GivenMusic,
        wished: &MusicPlan,
        vocabulary: &Vocabulary,
    ) -> Result<Self, EngineError> {
        let score = &music.score;
        let metre = wished
            .metre
            .or(Some(score.metre))
            .filter(|metre| vocabulary.metres().contains(metre))
            .unwrap_or(Metre { beats: 4, unit: 4 });
        let tracks: Vec<_> = score
            .tracks
            .iter()
            .filter(|track| track.instrument != Instrument::Drums && !track.notes.is_empty())
            .collect();
        let instruments = players(&tracks, &wished.instruments);
        let seating = super::seats::seat(&instruments);
        let size = bar_ticks(metre);
        let per_quarter = u64::from(score.ticks_per_quarter.max(1));
        let grid = |ticks: u32| {
            let scaled = u64::from(ticks) * u64::from(TICKS) + per_quarter / 2;
            u32::try_from(scaled / per_quarter).unwrap_or(u32::MAX)
        };
        let mut bars: Vec<Bar> = Vec::new();
        for (number, track) in tracks.iter().enumerate() {
            for note in &track.notes {
                let start = grid(note.start_ticks);
                let bar = start / size;
                if bar >= MAX_BARS {
                    let reason = format!("goes on beyond bar {MAX_BARS}, the last that is read");
                    return Err(EngineError::invalid("given music", reason));
                }
                if bars.len() <= bar as usize {
                    bars.resize_with(bar as usize + 1, Vec::new);
                }
                let voice = seating.voice_of(track.instrument, number, note.pitch);
                // Pitches beyond the composer's are moved by octaves.
                let pitch = fold(note.pitch, 24, 95);
                let duration = vocabulary.duration(grid(note.duration_ticks).max(1));
                bars[bar as usize].push(GridNote {
                    position: start % size,
                    voice,
                    pitch,
                    duration,
                });
            }
        }
        if bars.is_empty() {
            return Err(EngineError::invalid("given music", "has no notes to start from"));
        }
        for bar in &mut bars {
            order(bar);
        }
        let key = score.key.unwrap_or_else(|| find_key(bars.iter().flatten()));
        let tempo_bpm =
            if (20.0..=300.0).contains(&score.tempo_bpm) { score.tempo_bpm } else { 96.0 };
        let notes: usize = bars.iter().map(Vec::len).sum();
        let quarters = bars.len() as f32 * size as f32 / TICKS as f32;
        let density = vocabulary.density(notes as f32 * 4.0 / quarters);
        Ok(Self { usage: music.usage, bars, key, metre, tempo_bpm, density, instruments })
    }

    /// Returns how many bars a piece has at least that begins with this and goes on for `more`.
    pub fn bars_after(&self, more: u32) -> u32 {
        match self.usage {
            GivenUse::Continue => self.bars.len() as u32 + more,
            GivenUse::Vary => 2,
        }
    }

    /// Returns how many bars a piece has where nobody says: twice as many when it goes on.
    pub fn default_bars(&self) -> u32 {
        let bars = self.bars.len() as u32;
        match self.usage {
            GivenUse::Continue => bars + bars.clamp(8, 32),
            GivenUse::Vary => bars.max(2),
        }
    }
}

/// Returns who plays given music: those who are asked for, else those it has. Drums that are asked
/// for alone play beside those it has.
fn players(tracks: &[&Track], wished: &[Instrument]) -> Vec<Instrument> {
    if wished.iter().any(|one| *one != Instrument::Drums) {
        return wished.to_vec();
    }
    let mut instruments: Vec<Instrument> = Vec::new();
    for track in tracks {
        if !instruments.contains(&track.instrument) && instruments.len() < usize::from(VOICES) {
            instruments.push(track.instrument);
        }
    }
    instruments.extend(wished);
    instruments
}

impl Seating {
    /// Returns the seated voice that a note of a given track gets: one of the same instrument where
    /// it has a seat.
    fn voice_of(&self, instrument: Instrument, track: usize, pitch: u8) -> u8 {
        let seated = || (0..VOICES).filter_map(|voice| Some((voice, self.seat(voice)?)));
        let mut own: Vec<u8> = seated()
            .filter(|(_, seat)| seat.instrument == instrument)
            .map(|(voice, _)| voice)
            .collect();
        if own.is_empty() {
            own = seated().map(|(voice, _)| voice).collect();
        }
        match own.as_slice() {
            [] => 0,
            // Two hands part at the middle C.
            [right, left] if self.layout != Layout::Chorale => {
                if pitch >= 60 {
                    *right
                } else {
                    *left
                }
            }
            many => many[track.min(many.len() - 1)],
        }
    }

    fn seat(&self, voice: u8) -> Option<&Seat> {
        self.voices.get(usize::from(voice)).and_then(Option::as_ref)
    }
}

/// Moves a pitch by octaves into a range of at least an octave.
fn fold(pitch: u8, low: u8, high: u8) -> u8 {
    let mut pitch = pitch;
    while pitch < low {
        pitch += 12;
    }
    while pitch > high {
        pitch -= 12;
    }
    pitch
}

fn order(bar: &mut Bar) {
    bar.sort_by_key(|note| (note.position, note.voice, std::cmp::Reverse(note.pitch)));
    bar.dedup_by_key(|note| (note.position, note.voice, note.pitch));
}

/// Writes a bar as tokens; `left` bars follow it.
pub fn bar_tokens(bar: &Bar, left: u32, vocabulary: &Vocabulary) -> Vec<u32> {
    let mut tokens = vec![vocabulary.bar(left)];
    let mut position = None;
    for note in bar {
        if position != Some(note.position) {
            position = Some(note.position);
            tokens.push(Token::Position(note.position));
        }
        tokens.push(Token::Note { voice: note.voice, pitch: note.pitch });
        tokens.push(Token::Duration(vocabulary.duration(note.duration)));
    }
    tokens.into_iter().filter_map(|token| vocabulary.id(token)).collect()
}

/// How often each pitch class belongs to a key, from its tonic: major, then minor.
///
/// # Source
/// C. L. Krumhansl and E. J. Kessler, 1982: probe-tone profiles.
const PROFILES: [(Mode, [f32; 12]); 2] = [
    (Mode::Major, [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88]),
    (Mode::Minor, [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17]),
];

/// Finds the key whose profile fits notes best, weighed by their lengths; C major without notes.
pub fn find_key<'a>(notes: impl IntoIterator<Item = &'a GridNote>) -> Key {
    let mut held = [0.0_f32; 12];
    for note in notes {
        held[usize::from(note.pitch % 12)] += note.duration as f32;
    }
    let mean = held.iter().sum::<f32>() / 12.0;
    let mut best = (0.0, Key { tonic: 0, mode: Mode::Major });
    for (mode, profile) in PROFILES {
        let middle = profile.iter().sum::<f32>() / 12.0;
        for tonic in 0..12_u8 {
            let pairs =
                (0..12).map(|i| (held[(usize::from(tonic) + i) % 12] - mean, profile[i] - middle));
            let (mut both, mut a2, mut b2) = (0.0, 0.0, 0.0);
            for (a, b) in pairs {
                both += a * b;
                a2 += a * a;
                b2 += b * b;
            }
            let fit = if a2 > 0.0 { both / (a2 * b2).sqrt() } else { 0.0 };
            if fit > best.0 {
                best = (fit, Key { tonic, mode });
            }
        }
    }
    best.1
}

/// Makes a score of bars: one track for each instrument, the highest first.
pub fn score(
    bars: &[Bar],
    seating: &Seating,
    key: Key,
    metre: Metre,
    tempo_bpm: f32,
    velocity: &dyn Fn(usize, &GridNote) -> u8,
) -> Score {
    let size = bar_ticks(metre);
    let mut tracks: Vec<Track> = Vec::new();
    for (voice, seat) in seating.voices.iter().enumerate() {
        let Some(seat) = seat else { continue };
        let mut notes: Vec<Note> = Vec::new();
        for (number, bar) in bars.iter().enumerate() {
            for note in bar.iter().filter(|note| usize::from(note.voice) == voice) {
                notes.push(Note {
                    start_ticks: number as u32 * size + note.position,
                    duration_ticks: note.duration.max(1),
                    pitch: note.pitch,
                    velocity: velocity(number, note),
                });
            }
        }
        let end = bars.len() as u32 * size;
        tidy(&mut notes, seat.is_single, end);
        match tracks.iter_mut().find(|track| track.instrument == seat.instrument) {
            Some(track) => track.notes.extend(notes),
            None => {
                tracks.push(Track { instrument: seat.instrument, notes });
            }
        }
    }
    for track in &mut tracks {
        track.notes.sort_by_key(|note| (note.start_ticks, std::cmp::Reverse(note.pitch)));
        track.notes.dedup_by_key(|note| (note.start_ticks, note.pitch));
    }
    tracks.retain(|track| !track.notes.is_empty());
    Score { ticks_per_quarter: TICKS, tempo_bpm, metre, key: Some(key), tracks }
}

/// Ends notes where the next one of a single voice, or the same pitch, begins, and at the end of
/// the piece.
fn tidy(notes: &mut [Note], is_single: bool, end: u32) {
    notes.sort_by_key(|note| (note.start_ticks, std::cmp::Reverse(note.pitch)));
    for index in 0..notes.len() {
        let (start, pitch) = (notes[index].start_ticks, notes[index].pitch);
        let next = notes[index + 1..]
            .iter()
            .find(|next| next.start_ticks > start && (is_single || next.pitch == pitch))
            .map_or(end, |next| next.start_ticks.min(end));
        let note = &mut notes[index];
        note.duration_ticks = note.duration_ticks.min(next.saturating_sub(start)).max(1);
    }
}
