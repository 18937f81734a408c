//! What a picture sounds like: its colours and words set key, tempo, players and density, by rules
//! that can be shown and changed.

use serde::{Deserialize, Serialize};

use super::words;
use crate::protocol::{Density, Instrument, Key, Mode, MusicPlan, Pixels};

/// Samples of a picture along its longer side: more would say no more.
const SAMPLES: u32 = 160;
/// Mean chroma below which a picture has no hue, 0 to 1.
const GREY_BELOW: f32 = 0.06;
/// How long a piece for a picture is, in seconds.
const DURATION_SECS: f32 = 30.0;

/// Names a hue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hue {
    /// About 0°.
    Red,
    /// About 30°.
    Orange,
    /// About 60°.
    Yellow,
    /// About 120°.
    Green,
    /// About 180°.
    Cyan,
    /// About 225°.
    Blue,
    /// About 275°.
    Purple,
    /// About 325°.
    Pink,
    /// None.
    Grey,
}

/// Hues with their angles in degrees, and the tonic that each one gives.
///
/// # Source
/// The tonics are those of A. Scriabin's keyboard of colours (Prometheus, 1910), moved to keys of few
/// accidentals where he has many.
const HUES: [(Hue, f32, u8); 8] = [
    (Hue::Red, 0.0, 0),
    (Hue::Orange, 30.0, 7),
    (Hue::Yellow, 57.0, 2),
    (Hue::Green, 120.0, 9),
    (Hue::Cyan, 180.0, 4),
    (Hue::Blue, 225.0, 11),
    (Hue::Purple, 275.0, 10),
    (Hue::Pink, 325.0, 5),
];

/// Holds what is seen of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PictureTraits {
    /// The hue that most of the colour has.
    pub hue: Hue,
    /// 0 is all blue, 1 all orange; 0.5 is neither.
    pub warmth: f32,
    /// Mean lightness, 0 to 1.
    pub brightness: f32,
    /// Spread of lightness, 0 to 1: 1 is half black and half white.
    pub contrast: f32,
    /// Mean chroma, 0 to 1.
    pub saturation: f32,
}

/// Names a trait of a picture, or its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureTrait {
    /// [`PictureTraits::hue`].
    Hue,
    /// [`PictureTraits::warmth`].
    Warmth,
    /// [`PictureTraits::brightness`].
    Brightness,
    /// [`PictureTraits::contrast`].
    Contrast,
    /// [`PictureTraits::saturation`].
    Saturation,
    /// The words of the picture's recipe.
    Words,
}

/// Says what of the plan a trait set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "field", content = "value", rename_all = "snake_case")]
pub enum SongField {
    /// The tonic, as a pitch class.
    Tonic(u8),
    /// The mode.
    Mode(Mode),
    /// The tempo, in quarters a minute.
    TempoBpm(f32),
    /// How many notes there are.
    Density(Density),
    /// Who plays.
    Instruments(Vec<Instrument>),
}

/// Says which trait set what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SongLink {
    /// The trait.
    pub by: PictureTrait,
    /// What it set.
    pub sets: SongField,
}

/// Holds what a picture sounds like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureSong {
    /// A prompt in the composer's words that says about the same.
    pub prompt: String,
    /// The plan: it settles everything that [`PictureSong::links`] names.
    pub plan: MusicPlan,
    /// What was seen.
    pub traits: PictureTraits,
    /// Which trait set what.
    pub links: Vec<SongLink>,
}

/// Words of pictures that bring players of their own: English and Chinese, then who plays.
#[rustfmt::skip]
const PLACES: &[(&str, &[Instrument])] = &[
    ("snow|winter|snowman|star|stars|christmas|雪|冬|星|圣诞", &[Instrument::MusicBox]),
    ("night|moon|ghost|夜|月|鬼", &[Instrument::Harp]),
    ("sea|ocean|underwater|fish|beach|river|rain|海|水|鱼|河|雨", &[Instrument::Flute, Instrument::Harp]),
    ("forest|meadow|bird|tree|garden|flower|森林|草地|鸟|树|花", &[Instrument::Flute, Instrument::Guitar]),
    ("space|rocket|planet|alien|robot|太空|火箭|行星|外星|机器人", &[Instrument::Lead, Instrument::Pad]),
    ("castle|church|temple|dragon|城堡|教堂|寺|龙", &[Instrument::Organ]),
    ("city|car|street|train|城市|车|街", &[Instrument::Clarinet, Instrument::Piano]),
    ("desert|cactus|camel|沙漠|仙人掌|骆驼", &[Instrument::Guitar]),
    ("crown|king|king's|trophy|fire|皇冠|国王|奖杯|火", &[Instrument::Trumpet, Instrument::Piano]),
];

/// Looks at a picture and the words of its recipe, and says what it sounds like.
pub fn song_of_picture(picture: &Pixels, words: &str) -> PictureSong {
    let traits = look(picture);
    let (said, _) = words::read(words);
    let mut links = Vec::new();
    let mut link = |by, sets| links.push(SongLink { by, sets });

    let tonic = HUES.iter().find(|(hue, ..)| *hue == traits.hue).map_or(0, |(_, _, tonic)| *tonic);
    link(PictureTrait::Hue, SongField::Tonic(tonic));
    let mode = match said.key {
        Some(key) => {
            link(PictureTrait::Words, SongField::Mode(key.mode));
            key.mode
        }
        None => {
            let light = traits.brightness + 0.4 * (traits.warmth - 0.5);
            let mode = if light >= 0.42 { Mode::Major } else { Mode::Minor };
            link(PictureTrait::Brightness, SongField::Mode(mode));
            mode
        }
    };
    let tempo_bpm = match said.tempo_bpm {
        Some(tempo) => {
            link(PictureTrait::Words, SongField::TempoBpm(tempo));
            tempo
        }
        None => {
            // Even numbers, as on a metronome.
            let tempo = 2.0 * (30.0 + 36.0 * traits.saturation.min(1.0)).round();
            link(PictureTrait::Saturation, SongField::TempoBpm(tempo));
            tempo
        }
    };
    let density = match traits.contrast {
        low if low < 0.25 => Density::Sparse,
        some if some < 0.55 => Density::Medium,
        _ => Density::Dense,
    };
    link(PictureTrait::Contrast, SongField::Density(density));
    let lower = words.to_lowercase();
    let named = PLACES.iter().find(|(places, _)| places.split('|').any(|place| has(&lower, place)));
    let (by, instruments) = match (said.instruments.is_empty(), named) {
        (false, _) => (PictureTrait::Words, said.instruments),
        (true, Some((_, players))) => (PictureTrait::Words, players.to_vec()),
        (true, None) => (PictureTrait::Warmth, players(&traits)),
    };
    link(by, SongField::Instruments(instruments.clone()));

    let prompt = match (mode, tempo_bpm >= 96.0) {
        (Mode::Major, true) => "cheerful tune",
        (Mode::Major, false) => "calm tune",
        (Mode::Minor, true) => "dramatic tune",
        (Mode::Minor, false) => "melancholy tune",
    };
    let plan = MusicPlan {
        duration_secs: Some(said.duration_secs.unwrap_or(DURATION_SECS)),
        key: Some(Key { tonic, mode }),
        metre: said.metre,
        tempo_bpm: Some(tempo_bpm),
        instruments,
        density: Some(density),
    };
    PictureSong { prompt: prompt.to_owned(), plan, traits, links }
}

/// Tells whether a text has a word; Chinese words stand anywhere.
fn has(text: &str, word: &str) -> bool {
    let joins = |letter: char| letter.is_alphanumeric() && u32::from(letter) < 0x2E80;
    text.match_indices(word).any(|(at, _)| {
        !word.is_ascii()
            || !text[..at].chars().next_back().is_some_and(joins)
                && !text[at + word.len()..].chars().next().is_some_and(joins)
    })
}

/// Who plays by colour alone.
fn players(traits: &PictureTraits) -> Vec<Instrument> {
    match (traits.hue == Hue::Grey, traits.warmth >= 0.5, traits.brightness >= 0.5) {
        (true, ..) => vec![Instrument::Piano],
        (false, true, true) => vec![Instrument::Clarinet, Instrument::Guitar],
        (false, true, false) => vec![Instrument::Cello, Instrument::Piano],
        (false, false, true) => vec![Instrument::Flute, Instrument::Harp],
        (false, false, false) => vec![Instrument::Strings, Instrument::Cello],
    }
}

/// Measures a picture; what is transparent counts as little as it shows.
fn look(picture: &Pixels) -> PictureTraits {
    let step = (picture.width_px.max(picture.height_px).div_ceil(SAMPLES)).max(1) as usize;
    let (width, height) = (picture.width_px as usize, picture.height_px as usize);
    let (mut all, mut light, mut square, mut colour, mut warm) = (0.0_f64, 0.0, 0.0, 0.0, 0.0);
    let mut hues = [0.0_f64; HUES.len()];
    for y in (step / 2..height.max(step / 2 + 1)).step_by(step) {
        for x in (step / 2..width.max(step / 2 + 1)).step_by(step) {
            let at = (y.min(height - 1) * width + x.min(width - 1)) * 4;
            let Some([r, g, b, alpha]) = picture.rgba.get(at..at + 4) else { continue };
            let [r, g, b] = [r, g, b].map(|value| f64::from(*value) / 255.0);
            let weight = f64::from(*alpha) / 255.0;
            // ITU-R BT.709.
            let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
            let (high, low) = (r.max(g).max(b), r.min(g).min(b));
            let chroma = high - low;
            all += weight;
            light += weight * luma;
            square += weight * luma * luma;
            colour += weight * chroma;
            if chroma > 0.0 {
                let angle = hue_degrees([r, g, b], high, chroma);
                hues[nearest(angle)] += weight * chroma;
                warm += weight * chroma * (1.0 + (angle - 30.0).to_radians().cos()) / 2.0;
            }
        }
    }
    if all == 0.0 {
        let nothing = PictureTraits {
            hue: Hue::Grey,
            warmth: 0.5,
            brightness: 0.5,
            contrast: 0.0,
            saturation: 0.0,
        };
        return nothing;
    }
    let (light, square, mean) = (light / all, square / all, colour / all);
    let strongest = (0..HUES.len()).max_by(|a, b| hues[*a].total_cmp(&hues[*b])).unwrap_or(0);
    let is_grey = (mean as f32) < GREY_BELOW;
    PictureTraits {
        hue: if is_grey { Hue::Grey } else { HUES[strongest].0 },
        warmth: if colour > 0.0 { (warm / colour) as f32 } else { 0.5 },
        brightness: light as f32,
        contrast: (2.0 * (square - light * light).max(0.0).sqrt()).min(1.0) as f32,
        saturation: mean as f32,
    }
}

fn hue_degrees([r, g, b]: [f64; 3], high: f64, chroma: f64) -> f64 {
    let sixth = if high == r {
        ((g - b) / chroma).rem_euclid(6.0)
    } else if high == g {
        (b - r) / chroma + 2.0
    } else {
        (r - g) / chroma + 4.0
    };
    sixth * 60.0
}

fn nearest(angle: f64) -> usize {
    let far = |hue: usize| {
        let apart = (angle - f64::from(HUES[hue].1)).rem_euclid(360.0);
        apart.min(360.0 - apart)
    };
    (0..HUES.len()).min_by(|a, b| far(*a).total_cmp(&far(*b))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn plain(rgb: [u8; 3]) -> Pixels {
        let pixel = [rgb[0], rgb[1], rgb[2], 255];
        Pixels::new(64, 48, pixel.repeat(64 * 48)).unwrap()
    }

    #[test]
    fn a_plain_colour_is_seen_as_what_it_is() {
        for (rgb, hue) in [
            ([230, 30, 30], Hue::Red),
            ([250, 140, 20], Hue::Orange),
            ([250, 230, 40], Hue::Yellow),
            ([40, 180, 60], Hue::Green),
            ([30, 70, 220], Hue::Blue),
            ([128, 128, 128], Hue::Grey),
        ] {
            assert_eq!(look(&plain(rgb)).hue, hue, "{rgb:?}");
        }
        assert!(look(&plain([250, 140, 20])).warmth > 0.9);
        assert!(look(&plain([30, 110, 230])).warmth < 0.15);
        assert!(look(&plain([9, 9, 9])).contrast < 0.01);
    }

    #[test]
    fn half_black_and_half_white_is_all_the_contrast_there_is() {
        let rgba: Vec<u8> = (0..64 * 64)
            .flat_map(|n| [if n % 64 < 32 { 0 } else { 255 }; 3].into_iter().chain([255]))
            .collect();
        let song = song_of_picture(&Pixels::new(64, 64, rgba).unwrap(), "");
        assert!(song.traits.contrast > 0.99);
        assert_eq!(song.plan.density, Some(Density::Dense));
    }

    #[test]
    fn dark_pictures_are_minor_and_bright_ones_major_and_words_count_more() {
        let mode = |rgb, words| song_of_picture(&plain(rgb), words).plan.key.unwrap().mode;
        assert_eq!(mode([20, 20, 60], ""), Mode::Minor);
        assert_eq!(mode([250, 230, 140], ""), Mode::Major);
        assert_eq!(mode([20, 20, 60], "a happy fox"), Mode::Major);
        let players = |words| song_of_picture(&plain([90, 90, 200]), words).plan.instruments;
        assert_eq!(players("a red fox in the snow"), [Instrument::MusicBox]);
        assert_eq!(players("雪地里的红狐狸"), [Instrument::MusicBox]);
        assert_eq!(players("a starfish"), players(""));
    }

    #[test]
    fn every_link_says_what_the_plan_has() {
        let song = song_of_picture(&plain([200, 90, 40]), "a cactus in the desert");
        assert_eq!(song.links.len(), 5);
        for link in &song.links {
            match &link.sets {
                SongField::Tonic(tonic) => assert_eq!(*tonic, song.plan.key.unwrap().tonic),
                SongField::Mode(mode) => assert_eq!(*mode, song.plan.key.unwrap().mode),
                SongField::TempoBpm(tempo) => assert_eq!(Some(*tempo), song.plan.tempo_bpm),
                SongField::Density(density) => assert_eq!(Some(*density), song.plan.density),
                SongField::Instruments(players) => assert_eq!(*players, song.plan.instruments),
            }
        }
        let (_, unknown) = words::read(&song.prompt);
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn a_picture_that_shows_nothing_and_one_of_a_single_pixel_have_a_song_too() {
        let clear = Pixels::new(3, 5, vec![0; 60]).unwrap();
        assert_eq!(song_of_picture(&clear, "").traits.hue, Hue::Grey);
        let one = Pixels::new(1, 1, vec![255, 0, 0, 255]).unwrap();
        assert_eq!(song_of_picture(&one, "").traits.hue, Hue::Red);
    }
}
