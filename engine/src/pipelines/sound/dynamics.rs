//! How hard notes are struck, by rule: metre, phrase and part. And the drums' plain pattern.

use super::document::GridNote;
use super::plan::Settled;
use super::tokens::{TICKS, bar_ticks};
use crate::protocol::{Density, Instrument, Note, Track};

/// Bars of a phrase, over which loudness swells and falls.
const PHRASE_BARS: f32 = 4.0;

/// Returns how hard a note is struck, 1 to 127.
pub fn velocity(settled: &Settled, bar: usize, note: &GridNote) -> u8 {
    let size = bar_ticks(settled.metre);
    let top = settled.seating.voices.iter().position(Option::is_some).unwrap_or(0);
    let part = if usize::from(note.voice) == top { 84.0 } else { 68.0 };
    let accent = match note.position {
        0 => 9.0,
        ticks if size.is_multiple_of(2) && ticks == size / 2 => 4.0,
        ticks if ticks.is_multiple_of(TICKS) => 1.0,
        _ => -4.0,
    };
    let within = (bar as f32 % PHRASE_BARS + note.position as f32 / size as f32) / PHRASE_BARS;
    let phrase = 10.0 * (libm::sinf(within * std::f32::consts::PI) - 0.5);
    let left = settled.bars.saturating_sub(bar as u32);
    let ending = match left {
        0 | 1 => -8.0,
        2 => -4.0,
        _ => 0.0,
    };
    (part + accent + phrase + ending).clamp(1.0, 127.0) as u8
}

/// General MIDI's percussion.
const KICK: u8 = 36;
const SNARE: u8 = 38;
const HAT: u8 = 42;
const CRASH: u8 = 49;

/// Returns the drums' part: a plain pattern of the metre, fuller where the piece is denser.
pub fn drums(settled: &Settled) -> Track {
    let size = bar_ticks(settled.metre);
    let is_compound = settled.metre.unit == 8 && settled.metre.beats.is_multiple_of(3);
    let beat = if is_compound { TICKS * 3 / 2 } else { TICKS * 4 / u32::from(settled.metre.unit) };
    let hat = match settled.density {
        Density::Sparse => beat,
        Density::Medium => (beat / if is_compound { 3 } else { 2 }).max(3),
        Density::Dense => (beat / if is_compound { 3 } else { 4 }).max(3),
    };
    let mut notes = Vec::new();
    let mut strike = |start: u32, pitch: u8, velocity: u8| {
        notes.push(Note { start_ticks: start, duration_ticks: 3, pitch, velocity });
    };
    for bar in 0..settled.bars {
        let begin = bar * size;
        if bar + 1 == settled.bars {
            strike(begin, KICK, 96);
            strike(begin, CRASH, 84);
            break;
        }
        for (number, start) in (0..size).step_by(beat.max(1) as usize).enumerate() {
            let is_back = match size / beat.max(1) {
                1 => bar % 2 == 1,
                3 => number > 0,
                _ => number % 2 == 1,
            };
            let (pitch, velocity) =
                if is_back { (SNARE, 76) } else { (KICK, if number == 0 { 98 } else { 86 }) };
            strike(begin + start, pitch, velocity);
        }
        for start in (0..size).step_by(hat.max(1) as usize) {
            strike(begin + start, HAT, if start.is_multiple_of(beat.max(1)) { 60 } else { 46 });
        }
    }
    notes.sort_by_key(|note| (note.start_ticks, note.pitch));
    Track { instrument: Instrument::Drums, notes }
}

#[cfg(test)]
mod tests {
    use super::super::seats::seat;
    use super::*;
    use crate::protocol::{Key, Metre, Mode};

    fn settled(beats: u8, unit: u8) -> Settled {
        Settled {
            key: Key { tonic: 0, mode: Mode::Major },
            metre: Metre { beats, unit },
            tempo_bpm: 100.0,
            density: Density::Medium,
            bars: 4,
            seating: seat(&[Instrument::Flute, Instrument::Piano]),
            instruments: Vec::new(),
        }
    }

    #[test]
    fn the_first_beat_is_stronger_than_what_lies_between_and_the_melody_than_what_carries_it() {
        let settled = settled(4, 4);
        let at = |position, voice| {
            velocity(&settled, 1, &GridNote { position, voice, pitch: 60, duration: 12 })
        };
        assert!(at(0, 0) > at(6, 0));
        assert!(at(0, 0) > at(0, 2));
    }

    #[test]
    fn drums_keep_within_the_piece_in_every_metre() {
        for (beats, unit) in
            [(2, 4), (3, 4), (4, 4), (6, 8), (3, 8), (9, 8), (12, 8), (2, 2), (5, 4)]
        {
            let settled = settled(beats, unit);
            let track = drums(&settled);
            let end = settled.bars * bar_ticks(settled.metre);
            assert!(track.notes.iter().all(|note| note.start_ticks < end), "{beats}/{unit}");
            assert!(track.notes.iter().any(|note| note.pitch == SNARE), "{beats}/{unit}");
            assert!(track.notes.is_sorted_by_key(|note| note.start_ticks), "{beats}/{unit}");
        }
    }
}
