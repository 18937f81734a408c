//! The composer's tokens, as the vocabulary in its file names them.
//!
//! A document is conditions, then bars, then the end:
//! `kind? key? metre tempo? density?  bar(left) { position { note duration }* }*  end`.
//!
//! # Source
//! `assets/models/house-composer/recipe/tokens.py`.

use std::collections::HashMap;

use serde::Deserialize;

use crate::error::EngineError;
use crate::protocol::{Density, Key, Metre, Mode};
use crate::weights::gguf::Gguf;

/// Ticks of a quarter note on the composer's grid.
pub const TICKS: u32 = 12;
/// The most voices of a piece.
pub const VOICES: u8 = 4;
/// The longest bar, in ticks.
pub const BAR_TICKS: u32 = 72;

/// The most entries of a vocabulary; far more than any composer has.
const MAX_TOKENS: usize = 1 << 14;

/// Says how a piece is laid out in voices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// A melody (voice 0) over two hands at a keyboard (voices 1 and 2).
    Song,
    /// Four voices of one note each.
    Chorale,
    /// Two hands at a keyboard (voices 1 and 2).
    Piano,
}

/// Is one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Token {
    /// The piece is over.
    End,
    /// How it is laid out.
    Layout(Layout),
    /// Its key.
    Key(Key),
    /// Its metre.
    Metre(Metre),
    /// Its tempo, as a range of [`Vocabulary::tempo`].
    Tempo(u8),
    /// How many notes it has, as a range of [`Vocabulary::density`].
    Density(u8),
    /// A bar begins, and about this many are left behind it.
    Bar(u32),
    /// What follows starts this many ticks after the bar's beginning.
    Position(u32),
    /// A voice plays a pitch.
    Note {
        /// The voice, 0 is the highest.
        voice: u8,
        /// The pitch as a MIDI number.
        pitch: u8,
    },
    /// How long it is held, in ticks.
    Duration(u32),
}

/// Holds the tokens of a composer, both ways.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    tokens: Vec<Token>,
    ids: HashMap<Token, u32>,
    tempo_edges: Vec<f32>,
    density_edges: Vec<f32>,
    bars: Vec<u32>,
    durations: Vec<u32>,
    metres: Vec<Metre>,
}

#[derive(Deserialize)]
struct Written {
    version: u32,
    ticks_per_quarter: u32,
    tempo_edges: Vec<f32>,
    density_edges: Vec<f32>,
    tokens: Vec<String>,
}

impl Vocabulary {
    /// Reads the vocabulary of a composer's file.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when the file has none, or one that a composer of this kind cannot have.
    pub fn read(gguf: &Gguf) -> Result<Self, EngineError> {
        let Some(text) = gguf.text("atelier.music.vocabulary") else {
            return Err(gguf.damaged("has no vocabulary of notes, so it is no composer"));
        };
        Self::parse(text).map_err(|reason| gguf.damaged(&reason))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(text)
            .map_err(|error| format!("has a vocabulary of notes that cannot be read ({error})"))?;
        if written.version != 1 || written.ticks_per_quarter != TICKS {
            return Err("has a vocabulary of notes of another version".to_owned());
        }
        let edges = written.tempo_edges.iter().chain(&written.density_edges);
        if written.tokens.len() > MAX_TOKENS || edges.clone().any(|edge| !edge.is_finite()) {
            return Err("has a vocabulary of notes with absurd numbers".to_owned());
        }
        let mut tokens = Vec::with_capacity(written.tokens.len());
        let mut ids = HashMap::new();
        for name in &written.tokens {
            let token = parse_token(name)
                .ok_or_else(|| format!("has a token of notes that is not known: {name:?}"))?;
            ids.insert(token, tokens.len() as u32);
            tokens.push(token);
        }
        if ids.len() != tokens.len() {
            return Err("has a vocabulary of notes that names a token twice".to_owned());
        }
        let sorted = |pick: fn(&Token) -> Option<u32>| {
            let mut values: Vec<u32> = tokens.iter().filter_map(pick).collect();
            values.sort_unstable();
            values
        };
        let bars = sorted(|token| if let Token::Bar(left) = token { Some(*left) } else { None });
        let durations = sorted(|token| match token {
            Token::Duration(ticks) => Some(*ticks),
            _ => None,
        });
        let metres = tokens.iter().filter_map(|token| match token {
            Token::Metre(metre) => Some(*metre),
            _ => None,
        });
        let metres: Vec<Metre> = metres.collect();
        if bars.first() != Some(&0)
            || durations.first() != Some(&1)
            || metres.is_empty()
            || !ids.contains_key(&Token::End)
        {
            return Err("has a vocabulary of notes that lacks bars, durations or metres".to_owned());
        }
        Ok(Self {
            tempo_edges: written.tempo_edges,
            density_edges: written.density_edges,
            tokens,
            ids,
            bars,
            durations,
            metres,
        })
    }

    /// Returns how many tokens there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Returns the token of an id.
    pub fn token(&self, id: u32) -> Option<Token> {
        self.tokens.get(id as usize).copied()
    }

    /// Returns the id of a token.
    pub fn id(&self, token: Token) -> Option<u32> {
        self.ids.get(&token).copied()
    }

    /// Returns all tokens in the order of their ids.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Returns the metres that the composer knows.
    pub fn metres(&self) -> &[Metre] {
        &self.metres
    }

    /// Returns the token of a tempo.
    pub fn tempo(&self, tempo_bpm: f32) -> Token {
        Token::Tempo(self.tempo_edges.iter().filter(|edge| tempo_bpm >= **edge).count() as u8)
    }

    /// Returns how dense so many notes in four quarters are, all voices together.
    pub fn density(&self, notes: f32) -> Density {
        match self.density_edges.iter().filter(|edge| notes >= **edge).count() {
            0 => Density::Sparse,
            1 => Density::Medium,
            _ => Density::Dense,
        }
    }

    /// Returns the token of a bar with so many bars behind it.
    pub fn bar(&self, left: u32) -> Token {
        Token::Bar(self.bars.iter().copied().rfind(|low| *low <= left).unwrap_or(0))
    }

    /// Returns the duration nearest to a number of ticks, the shorter of two that are as near.
    pub fn duration(&self, ticks: u32) -> u32 {
        let near = |duration: &u32| (duration.abs_diff(ticks), *duration);
        self.durations.iter().copied().min_by_key(near).unwrap_or(1)
    }
}

/// Returns the length of a bar, in ticks.
pub fn bar_ticks(metre: Metre) -> u32 {
    u32::from(metre.beats) * 4 * TICKS / u32::from(metre.unit.max(1))
}

/// Returns the density range that a request means.
pub fn density_index(density: Density) -> u8 {
    match density {
        Density::Sparse => 0,
        Density::Medium => 1,
        Density::Dense => 2,
    }
}

fn parse_token(name: &str) -> Option<Token> {
    let mut parts = name.split('_');
    let head = parts.next()?;
    let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok());
    let token = match head {
        "END" => Token::End,
        "KIND" => Token::Layout(match parts.next()? {
            "song" => Layout::Song,
            "chorale" => Layout::Chorale,
            "piano" => Layout::Piano,
            _ => return None,
        }),
        "KEY" => {
            let tonic = u8::try_from(number()?).ok().filter(|tonic| *tonic < 12)?;
            let mode = match parts.next()? {
                "major" => Mode::Major,
                "minor" => Mode::Minor,
                _ => return None,
            };
            Token::Key(Key { tonic, mode })
        }
        "METRE" => {
            let beats = u8::try_from(number()?).ok().filter(|beats| (1..=16).contains(beats))?;
            let unit = u8::try_from(number()?).ok().filter(|unit| [2, 4, 8, 16].contains(unit))?;
            let metre = Metre { beats, unit };
            Token::Metre(Some(metre).filter(|metre| bar_ticks(*metre) <= BAR_TICKS)?)
        }
        "TEMPO" => Token::Tempo(u8::try_from(number()?).ok()?),
        "DENSITY" => Token::Density(u8::try_from(number()?).ok()?),
        "BAR" => Token::Bar(number()?),
        "POS" => Token::Position(Some(number()?).filter(|ticks| *ticks < BAR_TICKS)?),
        "NOTE" => {
            let voice = u8::try_from(number()?).ok().filter(|voice| *voice < VOICES)?;
            let pitch = u8::try_from(number()?).ok().filter(|pitch| *pitch < 128)?;
            Token::Note { voice, pitch }
        }
        "DUR" => Token::Duration(Some(number()?).filter(|ticks| (1..=4096).contains(ticks))?),
        _ => return None,
    };
    parts.next().is_none().then_some(token)
}

#[cfg(test)]
pub(super) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// Makes the vocabulary that the recipe writes.
    pub fn recipe_vocabulary() -> Vocabulary {
        let mut names = vec!["END".to_owned()];
        names.extend(["song", "chorale", "piano"].map(|kind| format!("KIND_{kind}")));
        for mode in ["major", "minor"] {
            names.extend((0..12).map(|tonic| format!("KEY_{tonic}_{mode}")));
        }
        let metres = [
            (2, 4),
            (3, 4),
            (4, 4),
            (6, 8),
            (3, 8),
            (9, 8),
            (12, 8),
            (2, 2),
            (6, 4),
            (5, 4),
            (3, 2),
            (4, 8),
        ];
        names.extend(metres.map(|(beats, unit)| format!("METRE_{beats}_{unit}")));
        names.extend((0..8).map(|index| format!("TEMPO_{index}")));
        names.extend((0..3).map(|index| format!("DENSITY_{index}")));
        names.extend([0, 1, 2, 3, 4, 8, 16].map(|left| format!("BAR_{left}")));
        names.extend((0..72).map(|ticks| format!("POS_{ticks}")));
        for voice in 0..4 {
            names.extend((24..96).map(|pitch| format!("NOTE_{voice}_{pitch}")));
        }
        let durations = [
            1, 2, 3, 4, 6, 8, 9, 12, 15, 16, 18, 20, 21, 24, 27, 30, 36, 42, 48, 54, 60, 72, 96,
            144,
        ];
        names.extend(durations.map(|ticks| format!("DUR_{ticks}")));
        let json = serde_json::json!({
            "version": 1, "ticks_per_quarter": 12, "tokens": names,
            "tempo_edges": [50, 66, 80, 96, 112, 132, 160], "density_edges": [4.0, 9.0],
        });
        Vocabulary::parse(&json.to_string()).unwrap()
    }

    #[test]
    fn ids_are_those_of_the_recipe() {
        let vocabulary = recipe_vocabulary();
        assert_eq!(vocabulary.len(), 442);
        // Printed by `tokens.ID` of the recipe.
        let minor = Key { tonic: 9, mode: Mode::Minor };
        assert_eq!(vocabulary.id(Token::Key(minor)), Some(25));
        assert_eq!(vocabulary.id(Token::Position(0)), Some(58));
        assert_eq!(vocabulary.id(Token::Note { voice: 0, pitch: 24 }), Some(130));
        assert_eq!(vocabulary.id(Token::Duration(1)), Some(418));
    }

    #[test]
    fn numbers_fall_into_the_ranges_of_the_recipe() {
        let vocabulary = recipe_vocabulary();
        assert_eq!(vocabulary.tempo(49.9), Token::Tempo(0));
        assert_eq!(vocabulary.tempo(50.0), Token::Tempo(1));
        assert_eq!(vocabulary.tempo(200.0), Token::Tempo(7));
        assert_eq!(vocabulary.density(8.9), Density::Medium);
        assert_eq!(vocabulary.bar(7), Token::Bar(4));
        assert_eq!(vocabulary.bar(400), Token::Bar(16));
        assert_eq!(vocabulary.duration(5), 4);
        assert_eq!(vocabulary.duration(1000), 144);
    }

    #[test]
    fn a_vocabulary_that_no_composer_has_is_refused_with_a_reason() {
        for (text, part) in [
            ("{}", "cannot be read"),
            (
                r#"{"version":2,"ticks_per_quarter":12,"tempo_edges":[],"density_edges":[],"tokens":[]}"#,
                "another version",
            ),
            (
                r#"{"version":1,"ticks_per_quarter":12,"tempo_edges":[],"density_edges":[],"tokens":["NOTE_9_60"]}"#,
                "NOTE_9_60",
            ),
            (
                r#"{"version":1,"ticks_per_quarter":12,"tempo_edges":[],"density_edges":[],"tokens":["END","END"]}"#,
                "twice",
            ),
            (
                r#"{"version":1,"ticks_per_quarter":12,"tempo_edges":[],"density_edges":[],"tokens":["END"]}"#,
                "lacks bars",
            ),
        ] {
            let reason = Vocabulary::parse(text).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }
}
