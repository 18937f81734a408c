//! Which instruments play which voices, and how high and low they go.

use std::ops::RangeInclusive;

use super::tokens::{Layout, VOICES};
use crate::protocol::Instrument;

/// Says who plays a voice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The instrument.
    pub instrument: Instrument,
    /// Its pitches in this voice, as MIDI numbers.
    pub range: RangeInclusive<u8>,
    /// Whether it plays one note at a time.
    pub is_single: bool,
}

/// Says how a piece is laid out and who plays each of its voices; `None` rests throughout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seating {
    /// The layout that the composer is told.
    pub layout: Layout,
    /// Its voices, the highest first.
    pub voices: [Option<Seat>; VOICES as usize],
    /// Whether drums play too.
    pub has_drums: bool,
}

/// Says what part an instrument takes by nature.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// One note at a time: a melody.
    Line,
    /// Two hands.
    Hands,
    /// A group of voices.
    Group,
    /// The lowest line.
    Low,
}

fn part(instrument: Instrument) -> Part {
    match instrument {
        Instrument::Flute | Instrument::Clarinet | Instrument::Trumpet | Instrument::Lead => {
            Part::Line
        }
        Instrument::Choir | Instrument::Organ | Instrument::Strings | Instrument::Pad => {
            Part::Group
        }
        Instrument::Cello | Instrument::Bass => Part::Low,
        _ => Part::Hands,
    }
}

/// Returns the pitches that an instrument plays, as MIDI numbers.
pub fn range(instrument: Instrument) -> RangeInclusive<u8> {
    match instrument {
        Instrument::Piano | Instrument::Harp => 28..=95,
        Instrument::Guitar => 40..=83,
        Instrument::Strings => 55..=93,
        Instrument::Cello => 36..=76,
        Instrument::Flute => 60..=93,
        Instrument::Clarinet => 50..=89,
        Instrument::Trumpet => 54..=82,
        Instrument::Choir => 40..=81,
        Instrument::Organ => 36..=93,
        Instrument::Bells | Instrument::MusicBox => 60..=95,
        Instrument::Bass => 28..=55,
        Instrument::Pad => 40..=84,
        Instrument::Lead => 55..=88,
        Instrument::Drums => 35..=81,
    }
}

/// Ranges of soprano, alto, tenor and bass.
const SINGERS: [RangeInclusive<u8>; 4] = [60..=81, 53..=74, 48..=69, 40..=64];

/// Returns the overlap of two ranges, or the second where they hardly meet.
fn within(a: &RangeInclusive<u8>, b: &RangeInclusive<u8>) -> RangeInclusive<u8> {
    let (low, high) = (*a.start().max(b.start()), *a.end().min(b.end()));
    if low + 12 <= high { low..=high } else { b.clone() }
}

/// Seats instruments, the highest first. Nobody named is a piano; drums are a part of their own.
pub fn seat(instruments: &[Instrument]) -> Seating {
    let has_drums = instruments.contains(&Instrument::Drums);
    let mut players: Vec<Instrument> =
        instruments.iter().copied().filter(|player| *player != Instrument::Drums).collect();
    players.truncate(usize::from(VOICES));
    if players.is_empty() {
        players.push(Instrument::Piano);
    }
    let line = |instrument| Some(Seat { instrument, range: range(instrument), is_single: true });
    let hand = |instrument: Instrument, is_right: bool| {
        let part = if is_right { 50..=95 } else { 28..=72 };
        Some(Seat { instrument, range: within(&part, &range(instrument)), is_single: false })
    };
    let singer = |instrument: Instrument, voice: usize| {
        let range = within(&SINGERS[voice], &range(instrument));
        Some(Seat { instrument, range, is_single: true })
    };
    let choir = |players: [Instrument; 4]| {
        let voices = std::array::from_fn(|voice| singer(players[voice], voice));
        (Layout::Chorale, voices)
    };
    let (layout, voices) = match (players.as_slice(), players.first().map(|first| part(*first))) {
        ([one], Some(Part::Hands)) => {
            (Layout::Piano, [None, hand(*one, true), hand(*one, false), None])
        }
        ([one], Some(Part::Group)) => choir([*one; 4]),
        ([one], _) => (Layout::Song, [line(*one), None, None, None]),
        // Strings with a cello are a quartet.
        ([high, low], Some(Part::Group)) if part(*low) == Part::Low => {
            choir([*high, *high, *high, *low])
        }
        ([high, low], Some(Part::Hands)) if part(*low) == Part::Low => {
            (Layout::Piano, [None, hand(*high, true), line(*low), None])
        }
        // The one that carries a melody does, wherever it was named.
        ([a, b], _) => {
            let (melody, below) =
                if part(*a) == Part::Hands && part(*b) != Part::Hands { (b, a) } else { (a, b) };
            (Layout::Song, [line(*melody), hand(*below, true), hand(*below, false), None])
        }
        ([a, b, c], _) => (Layout::Song, [line(*a), hand(*b, true), hand(*c, false), None]),
        ([a, b, c, d, ..], _) => choir([*a, *b, *c, *d]),
        ([], _) => (Layout::Piano, [None, None, None, None]),
    };
    Seating { layout, voices, has_drums }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instruments(seating: &Seating) -> Vec<Option<Instrument>> {
        seating.voices.iter().map(|seat| seat.as_ref().map(|seat| seat.instrument)).collect()
    }

    #[test]
    fn everyone_who_was_named_plays_and_nobody_else() {
        use Instrument::*;
        let all = [
            Piano, Guitar, Harp, Strings, Cello, Flute, Clarinet, Trumpet, Choir, Organ, Bells,
            MusicBox, Bass, Pad, Lead,
        ];
        let mut asked: Vec<Vec<Instrument>> = all.iter().map(|one| vec![*one]).collect();
        for a in all {
            asked.extend(all.iter().filter(|b| **b != a).map(|b| vec![a, *b]));
        }
        asked.push(vec![Flute, Clarinet, Cello]);
        asked.push(vec![Flute, Clarinet, Trumpet, Cello]);
        for players in asked {
            let seating = seat(&players);
            let seated: Vec<Instrument> = instruments(&seating).into_iter().flatten().collect();
            for player in &players {
                assert!(seated.contains(player), "{players:?}: {seated:?}");
            }
            assert!(seated.iter().all(|player| players.contains(player)), "{players:?}");
            for seat in seating.voices.iter().flatten() {
                assert!(seat.range.start() + 12 <= *seat.range.end(), "{seat:?}");
            }
        }
    }

    #[test]
    fn a_melody_sits_above_a_keyboard_in_whatever_order_they_were_named() {
        use Instrument::{Flute, Piano};
        let expected = [Some(Flute), Some(Piano), Some(Piano), None];
        assert_eq!(instruments(&seat(&[Flute, Piano])), expected);
        assert_eq!(instruments(&seat(&[Piano, Flute])), expected);
        assert_eq!(seat(&[Piano, Flute]).layout, Layout::Song);
    }

    #[test]
    fn drums_are_no_voice() {
        let seating = seat(&[Instrument::Drums]);
        assert!(seating.has_drums);
        assert_eq!(instruments(&seating)[1], Some(Instrument::Piano));
    }
}
