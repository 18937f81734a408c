//! What keys, instruments and silence are called, and descriptions to begin with.

use atelier_engine::protocol::{Density, Instrument, Key, Mode};

use super::{Language, Text};
use crate::state::Silence;

/// Lists descriptions of music to begin with, in English and in 简体中文.
pub const TUNES: [[&str; 2]; 6] = [
    ["a calm waltz for piano", "一首平静的钢琴圆舞曲"],
    ["a happy march for trumpet and drums", "欢快的小号与鼓进行曲"],
    ["a sad song for cello and piano", "大提琴与钢琴的悲伤歌曲"],
    ["a bright dance for flute and guitar", "明亮的长笛与吉他舞曲"],
    ["a solemn hymn for choir and organ", "庄严的合唱与管风琴圣歌"],
    ["a sleepy lullaby for music box", "八音盒摇篮曲"],
];

/// Names of the twelve pitch classes, as most keys write them, in English and in 简体中文.
const TONICS: [[&str; 2]; 12] = [
    ["C", "C"],
    ["D flat", "降 D"],
    ["D", "D"],
    ["E flat", "降 E"],
    ["E", "E"],
    ["F", "F"],
    ["F sharp", "升 F"],
    ["G", "G"],
    ["A flat", "降 A"],
    ["A", "A"],
    ["B flat", "降 B"],
    ["B", "B"],
];

impl Language {
    /// Returns the name of a key.
    pub fn key_name(self, key: Key) -> String {
        let text = match key.mode {
            Mode::Major => Text::KeyMajor,
            Mode::Minor => Text::KeyMinor,
        };
        self.fill(text, &[&self.example(TONICS[usize::from(key.tonic % 12)])])
    }

    /// Returns the name of an instrument.
    pub fn instrument_name(self, instrument: Instrument) -> &'static str {
        let [english, chinese] = match instrument {
            Instrument::Piano => ["Piano", "钢琴"],
            Instrument::Guitar => ["Guitar", "吉他"],
            Instrument::Harp => ["Harp", "竖琴"],
            Instrument::Strings => ["Strings", "弦乐"],
            Instrument::Cello => ["Cello", "大提琴"],
            Instrument::Flute => ["Flute", "长笛"],
            Instrument::Clarinet => ["Clarinet", "单簧管"],
            Instrument::Trumpet => ["Trumpet", "小号"],
            Instrument::Choir => ["Choir", "合唱"],
            Instrument::Organ => ["Organ", "管风琴"],
            Instrument::Bells => ["Bells", "钟琴"],
            Instrument::MusicBox => ["Music box", "八音盒"],
            Instrument::Bass => ["Bass", "贝斯"],
            Instrument::Pad => ["Pad", "铺底"],
            Instrument::Lead => ["Lead", "主音"],
            Instrument::Drums => ["Drums", "鼓"],
            _ => ["Other", "其他"],
        };
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }

    /// Returns the name of a density.
    pub fn density_name(self, density: Density) -> &'static str {
        self.get(match density {
            Density::Sparse => Text::Sparse,
            Density::Medium => Text::Medium,
            Density::Dense => Text::Dense,
        })
    }

    /// Says why nothing is heard.
    pub fn silence(self, silence: &Silence) -> String {
        match silence {
            Silence::NoDevice => self.get(Text::SilentNoDevice).to_owned(),
            Silence::NotBuilt => self.get(Text::SilentNotBuilt).to_owned(),
            Silence::Format(kind) => self.fill(Text::SilentFormat, &[kind]),
            Silence::Refused(reason) => self.fill(Text::SilentRefused, &[reason]),
        }
    }
}
