//! What keys, instruments and silence are called, and descriptions to begin with.

use atelier_engine::pipelines::sound::from_picture::{Hue, PictureTrait, PictureTraits, SongField};
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

fn hue_names(hue: Hue) -> [&'static str; 2] {
    match hue {
        Hue::Red => ["red", "红"],
        Hue::Orange => ["orange", "橙"],
        Hue::Yellow => ["yellow", "黄"],
        Hue::Green => ["green", "绿"],
        Hue::Cyan => ["cyan", "青"],
        Hue::Blue => ["blue", "蓝"],
        Hue::Purple => ["purple", "紫"],
        Hue::Pink => ["pink", "粉红"],
        Hue::Grey => ["grey", "灰"],
    }
}

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

    /// Returns the words of a tune for a picture in this language.
    pub fn tune_prompt(self, english: &str) -> String {
        let chinese = match english {
            "cheerful tune" => "欢快的曲子",
            "calm tune" => "平静的曲子",
            "dramatic tune" => "激烈的曲子",
            "melancholy tune" => "忧伤的曲子",
            other => other,
        };
        match self {
            Self::English => english.to_owned(),
            Self::Chinese => chinese.to_owned(),
        }
    }

    /// Says what a picture has of a trait; nothing where that is its words.
    pub fn trait_value(self, by: PictureTrait, traits: &PictureTraits) -> (Text, String) {
        let percent = |share: f32| format!("{:.0} %", share * 100.0);
        match by {
            PictureTrait::Hue => (Text::TraitHue, self.example(hue_names(traits.hue)).to_owned()),
            PictureTrait::Warmth => (Text::TraitWarmth, percent(traits.warmth)),
            PictureTrait::Brightness => (Text::TraitBrightness, percent(traits.brightness)),
            PictureTrait::Contrast => (Text::TraitContrast, percent(traits.contrast)),
            PictureTrait::Saturation => (Text::TraitSaturation, percent(traits.saturation)),
            PictureTrait::Words => (Text::TraitWords, String::new()),
        }
    }

    /// Says what a trait of a picture set.
    pub fn song_field(self, field: &SongField) -> String {
        match field {
            SongField::Tonic(tonic) => self.example(TONICS[usize::from(tonic % 12)]).to_owned(),
            SongField::Mode(mode) => {
                let text = match mode {
                    Mode::Major => Text::KeyMajor,
                    Mode::Minor => Text::KeyMinor,
                };
                self.fill(text, &[&""]).trim().to_owned()
            }
            SongField::TempoBpm(tempo) => self.fill(Text::TempoValue, &[tempo]),
            SongField::Density(density) => self.density_name(*density).to_owned(),
            SongField::Instruments(instruments) => {
                let names = instruments.iter().map(|one| self.instrument_name(*one));
                names.collect::<Vec<_>>().join(", ")
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use atelier_engine::pipelines::sound::read_prompt;

    #[test]
    fn the_composer_knows_every_word_of_what_is_proposed() {
        let tunes = ["cheerful tune", "calm tune", "dramatic tune", "melancholy tune"];
        let both = tunes.map(|tune| Language::ALL.map(|language| language.tune_prompt(tune)));
        let proposed = TUNES.map(|pair| pair.map(str::to_owned)).into_iter().chain(both);
        for text in proposed.flatten() {
            let (_, unknown) = read_prompt(&text);
            assert!(unknown.is_empty(), "{text}: {unknown:?}");
        }
    }
}
