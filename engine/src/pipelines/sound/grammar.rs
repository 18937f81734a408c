//! Which token may come next, so that every piece is well formed and ends where it should, and which
//! is wished for.

use std::collections::VecDeque;

use super::document::{Bar, GridNote};
use super::plan::Settled;
use super::tokens::{Layout, Token, VOICES, Vocabulary, bar_ticks};
use crate::protocol::{Key, Mode};

/// A bar is ended once it has this many tokens: bounds what a bar takes of the context.
pub const MAX_BAR_TOKENS: usize = 160;

/// How much less likely a note outside the key is, as a difference of logits: strongly, but a
/// passing note or a leading chord stays possible.
const OUT_OF_KEY: f32 = -2.5;
/// How much likelier the tonic and the rest of its chord are, so that a key is told from its
/// neighbours, which have nearly the same notes; in the first bar the whole chord by so much more.
const TONIC: f32 = 0.4;
const TONIC_CHORD: f32 = 0.2;
const OPENING: f32 = 0.5;
/// A voice that struck a pitch at more than [`STALE_AFTER`] of its latest [`STALE_REACH`] positions is
/// less inclined to strike it again, by so much for each time more, and at most: the network repeats
/// what it has just read, so that a drone or a chord struck again and again would never end.
const STALE: f32 = -0.7;
const STALE_AFTER: usize = 3;
const STALE_MOST: f32 = -4.0;
const STALE_REACH: usize = 8;
/// How much less likely a minor key's lowered seventh is: the dominant of its relative major.
const LOWERED_SEVENTH: f32 = -0.7;
/// How much likelier the dominant's chord is before the last bar.
const CADENCE: f32 = 0.7;
/// How much likelier the notes of a player are for every bar that it has rested beyond two, and at
/// most: who was asked for is heard.
const ENTRY: f32 = 1.0;
const ENTRY_MOST: f32 = 4.0;
/// How much likelier a variation keeps to what it varies, as differences of logits.
const SAME_POSITION: f32 = 1.0;
const SAME_NOTE: f32 = 2.0;
const SAME_DURATION: f32 = 1.0;
/// How much likelier notes are that last to the end of the piece.
const LAST_LONG: f32 = 2.0;
/// How much likelier the end is once the last bar has its chord.
const LAST_END: f32 = 2.0;

/// Says what must come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// The first bar.
    Start,
    /// A position of the bar that just began, or the next bar where this one may rest.
    Position,
    /// A note of the position.
    Note,
    /// The note's duration.
    Duration,
    /// Another note, position or bar, or the end.
    More,
    /// Nothing: the piece is over.
    Over,
}

/// Follows a piece token by token.
#[derive(Debug, Clone)]
pub struct Grammar<'a> {
    settled: &'a Settled,
    vocabulary: &'a Vocabulary,
    /// What is varied, bar by bar; empty for nothing.
    varied: &'a [Bar],
    expect: Expect,
    /// Bars that have begun.
    begun: u32,
    position: u32,
    has_position: bool,
    /// The voice and pitch of the latest note of the position.
    latest: Option<(u8, u8)>,
    notes: usize,
    tokens: usize,
    was_empty: bool,
    /// What each voice struck at its latest positions: when, in ticks of the piece, and the pitch.
    struck: [VecDeque<(u32, u8)>; VOICES as usize],
    /// What each voice played last.
    sounding: [Option<u8>; VOICES as usize],
    /// Bars that have begun since each voice was heard.
    rested: [u32; VOICES as usize],
    bar: Bar,
}

impl<'a> Grammar<'a> {
    /// Begins behind the first `done` bars.
    pub fn new(
        settled: &'a Settled,
        vocabulary: &'a Vocabulary,
        varied: &'a [Bar],
        done: u32,
    ) -> Self {
        Self {
            settled,
            vocabulary,
            varied,
            expect: if done == 0 { Expect::Start } else { Expect::More },
            begun: done,
            position: 0,
            has_position: false,
            latest: None,
            notes: usize::from(done > 0),
            tokens: 0,
            was_empty: false,
            struck: Default::default(),
            sounding: [None; VOICES as usize],
            rested: [0; VOICES as usize],
            bar: Bar::new(),
        }
    }

    /// Tells whether the piece is over.
    pub fn is_over(&self) -> bool {
        self.expect == Expect::Over
    }

    fn is_last(&self) -> bool {
        self.begun == self.settled.bars
    }

    fn size(&self) -> u32 {
        bar_ticks(self.settled.metre)
    }

    /// Tells whether a token may come next.
    pub fn allows(&self, token: Token) -> bool {
        match token {
            Token::End => self.is_last() && self.notes > 0 && self.expect == Expect::More,
            Token::Bar(_) => self.allows_bar() && token == self.next_bar(),
            Token::Position(ticks) => self.allows_position(ticks),
            Token::Note { voice, pitch } => self.allows_note(voice, pitch),
            Token::Duration(ticks) => {
                self.expect == Expect::Duration && self.allows_duration(ticks)
            }
            Token::Layout(_)
            | Token::Key(_)
            | Token::Metre(_)
            | Token::Tempo(_)
            | Token::Density(_) => false,
        }
    }

    fn next_bar(&self) -> Token {
        self.vocabulary.bar((self.settled.bars - 1).saturating_sub(self.begun))
    }

    fn allows_bar(&self) -> bool {
        if self.begun >= self.settled.bars {
            return false;
        }
        match self.expect {
            Expect::Start | Expect::More => true,
            // One bar may rest between others that do not, but not the first one.
            Expect::Position => self.begun > 1 && !self.was_empty,
            _ => false,
        }
    }

    fn allows_position(&self, ticks: u32) -> bool {
        let fits = match self.expect {
            Expect::Position => true,
            Expect::More => self.begun > 0 && ticks > self.position && self.has_position,
            _ => false,
        };
        let size = self.size();
        let in_bar = if self.is_last() {
            // The last bar has its chord on the first beat and comes to rest soon.
            if self.has_position { ticks <= size / 2 } else { ticks == 0 }
        } else {
            ticks < size
        };
        fits && in_bar && (self.tokens < MAX_BAR_TOKENS || !self.has_position)
    }

    /// Notes end with the piece; those of its last bar are half a bar long or longer, so that it
    /// does not break off.
    fn allows_duration(&self, ticks: u32) -> bool {
        ticks <= self.room() && (!self.is_last() || ticks * 2 >= self.size())
    }

    fn allows_note(&self, voice: u8, pitch: u8) -> bool {
        let Some(seat) =
            self.settled.seating.voices.get(usize::from(voice)).and_then(Option::as_ref)
        else {
            return false;
        };
        let in_order = match (self.expect, self.latest) {
            (Expect::Note, _) => true,
            (Expect::More, Some((last, above))) => {
                self.has_position
                    && self.tokens < MAX_BAR_TOKENS
                    && (voice > last || (voice == last && pitch < above && !seat.is_single))
            }
            _ => false,
        };
        in_order
            && seat.range.contains(&pitch)
            && self.keeps_below(voice, pitch)
            && (!self.is_last() || self.closes(voice, pitch))
    }

    /// Voices of a choir hardly cross.
    fn keeps_below(&self, voice: u8, pitch: u8) -> bool {
        let above = voice.checked_sub(1).and_then(|above| self.sounding[usize::from(above)]);
        match (self.settled.seating.layout, above) {
            (Layout::Chorale, Some(above)) => pitch <= above.saturating_add(2),
            _ => true,
        }
    }

    /// The last bar is the tonic chord over the tonic.
    fn closes(&self, voice: u8, pitch: u8) -> bool {
        let Key { tonic, mode } = self.settled.key;
        let degree = (pitch + 12 - tonic) % 12;
        let third = if mode == Mode::Major { 4 } else { 3 };
        let lowest = self.settled.seating.voices.iter().rposition(Option::is_some);
        match lowest == Some(usize::from(voice)) {
            true => degree == 0,
            false => [0, third, 7].contains(&degree),
        }
    }

    /// Ticks from the position to the end of the piece.
    fn room(&self) -> u32 {
        (self.settled.bars - (self.begun - 1)) * self.size() - self.position
    }

    /// Returns what is added to a token's logit.
    pub fn wish(&self, token: Token) -> f32 {
        let varied = self.varied.get((self.begun as usize).wrapping_sub(1));
        let has = |test: &dyn Fn(&GridNote) -> bool| varied.is_some_and(|bar| bar.iter().any(test));
        match token {
            Token::Note { voice, pitch } => {
                let own = has(&|note| {
                    (note.position, note.voice, note.pitch) == (self.position, voice, pitch)
                });
                let key = self.wish_in_key(pitch);
                let rested = self.rested[usize::from(voice)].saturating_sub(3) as f32;
                let entry = (rested * ENTRY).min(ENTRY_MOST);
                entry + if own { key.max(0.0) + SAME_NOTE } else { key + self.stale(voice, pitch) }
            }
            Token::Position(ticks) if has(&|note| note.position == ticks) => SAME_POSITION,
            Token::Duration(ticks) => {
                let own = has(&|note| {
                    (note.position, note.duration) == (self.position, ticks)
                        && Some((note.voice, note.pitch)) == self.latest
                });
                let long = self.is_last() && ticks == self.room();
                f32::from(u8::from(own)) * SAME_DURATION + f32::from(u8::from(long)) * LAST_LONG
            }
            Token::End => LAST_END,
            _ => 0.0,
        }
    }

    /// Returns what a note's place in the key adds to its logit.
    fn wish_in_key(&self, pitch: u8) -> f32 {
        let key = self.settled.key;
        if !in_key(key, pitch) {
            return OUT_OF_KEY;
        }
        let degree = (pitch + 12 - key.tonic) % 12;
        let third = if key.mode == Mode::Major { 4 } else { 3 };
        let opening = if self.begun == 1 { OPENING } else { 0.0 };
        let is_cadence = self.begun + 1 == self.settled.bars
            && self.begun > 1
            && self.position * 2 >= self.size();
        let cadence = if is_cadence && [7, 11, 2].contains(&degree) { CADENCE } else { 0.0 };
        let chord = match degree {
            0 => TONIC + opening,
            7 => TONIC_CHORD + opening,
            degree if degree == third => TONIC_CHORD + opening,
            10 => LOWERED_SEVENTH,
            _ => 0.0,
        };
        chord + cadence
    }

    /// Ticks from the beginning of the piece to the position.
    fn now(&self) -> u32 {
        self.begun * self.size() + self.position
    }

    fn strike(&mut self, voice: u8, pitch: u8) {
        let now = self.now();
        let struck = &mut self.struck[usize::from(voice)];
        struck.push_back((now, pitch));
        let positions = |struck: &VecDeque<(u32, u8)>| {
            1 + struck.iter().zip(struck.iter().skip(1)).filter(|(a, b)| a.0 != b.0).count()
        };
        while positions(struck) > STALE_REACH {
            struck.pop_front();
        }
    }

    /// Returns what it counts against a pitch that its voice has struck again and again.
    fn stale(&self, voice: u8, pitch: u8) -> f32 {
        let latest = &self.struck[usize::from(voice)];
        let now = self.now();
        let times = latest.iter().filter(|(at, struck)| *struck == pitch && *at != now).count();
        (STALE * times.saturating_sub(STALE_AFTER) as f32).max(STALE_MOST)
    }

    /// Notes that a voice is heard, and with it the others of its player; those of a choir each
    /// count for themselves.
    fn hear(&mut self, voice: u8) {
        let seats = &self.settled.seating.voices;
        let player = |voice: usize| seats[voice].as_ref().map(|seat| seat.instrument);
        let is_choir = self.settled.seating.layout == Layout::Chorale;
        for other in 0..usize::from(VOICES) {
            let is_one = other == usize::from(voice);
            if is_one || (!is_choir && player(other) == player(usize::from(voice))) {
                self.rested[other] = 0;
            }
        }
    }

    /// Takes a token in; returns the bar that it completed.
    pub fn accept(&mut self, token: Token) -> Option<Bar> {
        self.tokens += 1;
        match token {
            Token::Bar(_) => {
                let is_first = self.expect == Expect::Start || self.tokens == 1 && self.begun > 0;
                let done = (!is_first).then(|| std::mem::take(&mut self.bar));
                self.was_empty = self.begun > 0 && self.notes == 0;
                self.begun += 1;
                for rested in &mut self.rested {
                    *rested += 1;
                }
                (self.tokens, self.notes) = (1, 0);
                (self.position, self.has_position, self.latest) = (0, false, None);
                self.expect = Expect::Position;
                return done;
            }
            Token::Position(ticks) => {
                (self.position, self.has_position, self.latest) = (ticks, true, None);
                self.expect = Expect::Note;
            }
            Token::Note { voice, pitch } => {
                self.latest = Some((voice, pitch));
                self.sounding[usize::from(voice)] = Some(pitch);
                self.strike(voice, pitch);
                self.notes += 1;
                self.hear(voice);
                self.expect = Expect::Duration;
            }
            Token::Duration(duration) => {
                if let Some((voice, pitch)) = self.latest {
                    self.bar.push(GridNote { position: self.position, voice, pitch, duration });
                }
                self.expect = Expect::More;
            }
            Token::End => {
                self.expect = Expect::Over;
                return Some(std::mem::take(&mut self.bar));
            }
            _ => {}
        }
        None
    }
}

/// Tells whether a pitch belongs to a key; a minor key has both its sixths and sevenths.
pub fn in_key(key: Key, pitch: u8) -> bool {
    let degree = (pitch + 12 - key.tonic) % 12;
    match key.mode {
        Mode::Major => [0, 2, 4, 5, 7, 9, 11].contains(&degree),
        Mode::Minor => [0, 2, 3, 5, 7, 8, 9, 10, 11].contains(&degree),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::super::document::bar_tokens;
    use super::super::seats::seat;
    use super::super::tokens::tests::recipe_vocabulary;
    use super::*;
    use crate::protocol::{Density, Instrument, Metre};

    fn settled(bars: u32, metre: Metre, instruments: &[Instrument], key: Key) -> Settled {
        Settled {
            key,
            metre,
            tempo_bpm: 100.0,
            density: Density::Medium,
            bars,
            seating: seat(instruments),
            instruments: instruments.to_vec(),
        }
    }

    /// Walks at random, as `choices` say, and returns the bars.
    fn walk(settled: &Settled, vocabulary: &Vocabulary, choices: &[u16]) -> Vec<Bar> {
        let mut grammar = Grammar::new(settled, vocabulary, &[], 0);
        let mut bars = Vec::new();
        let mut turn = 0;
        while !grammar.is_over() {
            let allowed: Vec<Token> = vocabulary
                .tokens()
                .iter()
                .copied()
                .filter(|token| grammar.allows(*token))
                .collect();
            assert!(!allowed.is_empty(), "a dead end after {turn} tokens: {grammar:?}");
            // Often the last one, which ends bars; else any.
            let choice = usize::from(choices[turn % choices.len()]);
            let ends: Vec<Token> = allowed
                .iter()
                .copied()
                .filter(|token| matches!(token, Token::Bar(_) | Token::End))
                .collect();
            let token = match ends.first() {
                Some(end) if choice % 5 == 0 => *end,
                _ => allowed[choice % allowed.len()],
            };
            bars.extend(grammar.accept(token));
            turn += 1;
            assert!(turn < 40_000, "no end");
        }
        bars
    }

    fn any_instruments() -> impl Strategy<Value = Vec<Instrument>> {
        use Instrument::*;
        let all = vec![
            Piano, Guitar, Harp, Strings, Cello, Flute, Clarinet, Trumpet, Choir, Organ, Bells,
            MusicBox, Bass, Pad, Lead, Drums,
        ];
        proptest::sample::subsequence(all, 0..=4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn whatever_is_chosen_the_piece_is_well_formed_and_closes(
            bars in 1_u32..12,
            metre in 0_usize..12,
            tonic in 0_u8..12,
            minor: bool,
            instruments in any_instruments(),
            choices in proptest::collection::vec(0_u16..1000, 1..60),
        ) {
            let vocabulary = recipe_vocabulary();
            let metre = vocabulary.metres()[metre];
            let key = Key { tonic, mode: if minor { Mode::Minor } else { Mode::Major } };
            let settled = settled(bars, metre, &instruments, key);
            let made = walk(&settled, &vocabulary, &choices);
            prop_assert_eq!(made.len() as u32, bars);
            let size = bar_ticks(metre);
            for (number, bar) in made.iter().enumerate() {
                let mut sorted = bar.clone();
                sorted.sort_by_key(|note| (note.position, note.voice, std::cmp::Reverse(note.pitch)));
                prop_assert_eq!(&sorted, bar);
                for note in bar {
                    prop_assert!(note.position < size);
                    let seat = settled.seating.voices[usize::from(note.voice)].as_ref().unwrap();
                    prop_assert!(seat.range.contains(&note.pitch));
                    let end = number as u32 * size + note.position + note.duration;
                    prop_assert!(end <= bars * size, "a note outlasts the piece");
                }
                let tokens = bar_tokens(bar, bars - 1 - number as u32, &vocabulary);
                prop_assert!(tokens.len() <= MAX_BAR_TOKENS + 8);
            }
            let last = made.last().unwrap();
            prop_assert!(!last.is_empty() && last[0].position == 0);
            let lowest = settled.seating.voices.iter().rposition(Option::is_some).unwrap();
            for note in last {
                let degree = (note.pitch + 12 - tonic) % 12;
                let third = if minor { 3 } else { 4 };
                prop_assert!([0, third, 7].contains(&degree));
                prop_assert!(note.duration * 2 >= size, "the piece breaks off");
                prop_assert!(usize::from(note.voice) != lowest || degree == 0);
            }
        }
    }

    #[test]
    fn a_variation_wishes_for_what_it_varies() {
        let vocabulary = recipe_vocabulary();
        let key = Key { tonic: 0, mode: Mode::Major };
        let settled = settled(2, Metre { beats: 4, unit: 4 }, &[Instrument::Flute], key);
        let note = GridNote { position: 12, voice: 0, pitch: 61, duration: 6 };
        let varied = vec![vec![note], Vec::new()];
        let mut grammar = Grammar::new(&settled, &vocabulary, &varied, 0);
        grammar.accept(vocabulary.bar(1));
        assert!(grammar.wish(Token::Position(12)) > grammar.wish(Token::Position(13)));
        grammar.accept(Token::Position(12));
        let wish = |pitch| grammar.wish(Token::Note { voice: 0, pitch });
        assert!(wish(61) > wish(60) && wish(60) > wish(63));
        grammar.accept(Token::Note { voice: 0, pitch: 61 });
        assert!(grammar.wish(Token::Duration(6)) > grammar.wish(Token::Duration(12)));
    }

    #[test]
    fn who_has_rested_long_is_wished_for_until_heard() {
        let vocabulary = recipe_vocabulary();
        let key = Key { tonic: 0, mode: Mode::Major };
        let players = [Instrument::Flute, Instrument::Piano];
        let settled = settled(12, Metre { beats: 4, unit: 4 }, &players, key);
        let mut grammar = Grammar::new(&settled, &vocabulary, &[], 0);
        let flute = |grammar: &Grammar<'_>| grammar.wish(Token::Note { voice: 0, pitch: 74 });
        let mut wishes = Vec::new();
        for left in (5..12).rev() {
            grammar.accept(vocabulary.bar(left));
            grammar.accept(Token::Position(0));
            wishes.push(flute(&grammar));
            // One hand of the piano stands for both.
            grammar.accept(Token::Note { voice: 1, pitch: 64 });
            assert_eq!(grammar.wish(Token::Note { voice: 2, pitch: 50 }), 0.0);
            grammar.accept(Token::Duration(48));
        }
        assert_eq!(wishes, [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
        grammar.accept(Token::Note { voice: 0, pitch: 74 });
        assert_eq!(flute(&grammar), 0.0);
    }

    #[test]
    fn the_key_is_told_from_its_neighbours_by_its_own_chord_and_by_a_cadence() {
        let vocabulary = recipe_vocabulary();
        let key = Key { tonic: 9, mode: Mode::Minor };
        let settled = settled(3, Metre { beats: 4, unit: 4 }, &[Instrument::Piano], key);
        let mut grammar = Grammar::new(&settled, &vocabulary, &[], 0);
        let wish = |grammar: &Grammar<'_>, pitch| grammar.wish(Token::Note { voice: 1, pitch });
        grammar.accept(vocabulary.bar(2));
        grammar.accept(Token::Position(0));
        // A, then E, then G, then B flat.
        let first = [69, 76, 67, 70].map(|pitch| wish(&grammar, pitch));
        assert!(first.is_sorted_by(|a, b| a > b), "{first:?}");
        grammar.accept(Token::Note { voice: 1, pitch: 69 });
        grammar.accept(Token::Duration(48));
        grammar.accept(vocabulary.bar(1));
        grammar.accept(Token::Position(0));
        let before = wish(&grammar, 68);
        grammar.accept(Token::Note { voice: 1, pitch: 69 });
        grammar.accept(Token::Duration(24));
        grammar.accept(Token::Position(24));
        assert!(wish(&grammar, 68) > before);
    }

    #[test]
    fn a_pitch_that_is_struck_again_and_again_becomes_less_likely() {
        let vocabulary = recipe_vocabulary();
        let key = Key { tonic: 0, mode: Mode::Major };
        let settled = settled(2, Metre { beats: 4, unit: 4 }, &[Instrument::Flute], key);
        let mut grammar = Grammar::new(&settled, &vocabulary, &[], 0);
        grammar.accept(vocabulary.bar(1));
        let mut wishes = Vec::new();
        for ticks in 0..14 {
            grammar.accept(Token::Position(ticks));
            wishes.push(grammar.wish(Token::Note { voice: 0, pitch: 72 }));
            grammar.accept(Token::Note { voice: 0, pitch: 72 });
            grammar.accept(Token::Duration(1));
        }
        assert_eq!(wishes[0], wishes[3]);
        assert!(wishes[4] < wishes[3] && wishes[6] < wishes[5], "{wishes:?}");
        assert!(wishes[13] - wishes[0] >= STALE_MOST, "{wishes:?}");
        // Another pitch for a while, and it may come again.
        for ticks in 14..24 {
            grammar.accept(Token::Position(ticks));
            grammar.accept(Token::Note { voice: 0, pitch: 74 });
            grammar.accept(Token::Duration(1));
        }
        grammar.accept(Token::Position(30));
        assert_eq!(grammar.wish(Token::Note { voice: 0, pitch: 72 }), wishes[0]);
    }

    #[test]
    fn a_piece_goes_on_behind_given_bars() {
        let vocabulary = recipe_vocabulary();
        let key = Key { tonic: 0, mode: Mode::Major };
        let settled = settled(6, Metre { beats: 4, unit: 4 }, &[Instrument::Flute], key);
        let mut grammar = Grammar::new(&settled, &vocabulary, &[], 4);
        assert!(!grammar.allows(Token::Position(3)));
        assert!(grammar.allows(vocabulary.bar(1)) && !grammar.allows(vocabulary.bar(0)));
        assert_eq!(grammar.accept(vocabulary.bar(1)), None);
        assert!(grammar.allows(Token::Position(3)));
    }
}
