//! What the words of a prompt say of a piece, in English and Chinese.

use crate::protocol::{Density, Instrument, Key, Metre, Mode, MusicPlan};

/// Is what a word means.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Meaning {
    /// A mood: its mode, tempo in quarters a minute and density, as far as it has them.
    Mood(Option<Mode>, Option<f32>, Option<Density>),
    Tempo(f32),
    Mode(Mode),
    Instrument(&'static [Instrument]),
    Density(Density),
    Metre(u8, u8),
    Length(f32),
    Nothing,
}

use Density::{Dense, Medium, Sparse};
use Instrument as I;
use Meaning as M;
use Mode::{Major, Minor};

/// Phrases and what they mean; those in Latin letters match whole words.
#[rustfmt::skip]
const TABLE: &[(&str, Meaning)] = &[
    // Moods.
    ("happy|cheerful|joyful|joyous|bright|sunny|merry|快乐|欢快|高兴|开心|明亮|阳光|喜悦|愉快", M::Mood(Some(Major), Some(120.0), Some(Medium))),
    ("sad|sorrowful|mournful|gloomy|tearful|悲伤|忧伤|伤感|难过|哀伤|悲哀", M::Mood(Some(Minor), Some(66.0), Some(Sparse))),
    ("calm|peaceful|sleepy|gentle|quiet|relaxing|relaxed|soft|serene|tender|soothing|平静|安静|宁静|温柔|舒缓|柔和|轻柔|放松", M::Mood(None, Some(72.0), Some(Sparse))),
    ("melancholy|melancholic|wistful|nostalgic|longing|lonely|怀旧|惆怅|思念|孤独|寂寞", M::Mood(Some(Minor), Some(76.0), Some(Medium))),
    ("dark|mysterious|spooky|eerie|ominous|haunting|神秘|黑暗|诡异|阴森|恐怖", M::Mood(Some(Minor), Some(72.0), Some(Medium))),
    ("dramatic|stormy|angry|fierce|tense|passionate|戏剧性|愤怒|激烈|紧张|激动|热情", M::Mood(Some(Minor), Some(132.0), Some(Dense))),
    ("heroic|triumphant|proud|festive|majestic|noble|solemn|英雄|雄壮|胜利|庄严|节日|辉煌", M::Mood(Some(Major), Some(104.0), Some(Medium))),
    ("playful|funny|light|bouncy|cute|俏皮|活泼|可爱|有趣|轻快", M::Mood(Some(Major), Some(126.0), Some(Medium))),
    ("romantic|loving|dreamy|浪漫|梦幻|深情", M::Mood(Some(Major), Some(76.0), Some(Medium))),
    ("energetic|exciting|lively|wild|充满活力|有活力|兴奋|热烈", M::Mood(None, Some(144.0), Some(Dense))),
    ("hopeful|warm|希望|温暖", M::Mood(Some(Major), Some(88.0), Some(Medium))),
    // Kinds of music, which are moods too.
    ("lullaby|cradle song|摇篮曲", M::Mood(Some(Major), Some(66.0), Some(Sparse))),
    ("march|marching|进行曲", M::Mood(Some(Major), Some(112.0), Some(Medium))),
    ("hymn|chorale|圣歌|赞美诗|众赞歌", M::Instrument(&[I::Choir])),
    ("waltz|圆舞曲|华尔兹", M::Metre(3, 4)),
    ("ballad|叙事曲", M::Mood(None, Some(76.0), Some(Medium))),
    ("dance|舞曲", M::Mood(None, Some(126.0), Some(Medium))),
    ("night|nocturne|evening|夜曲|夜晚|夜", M::Mood(None, Some(66.0), Some(Sparse))),
    ("morning|spring|早晨|清晨|春天", M::Mood(Some(Major), Some(96.0), None)),
    ("winter|rain|rainy|autumn|冬天|下雨|雨天|雨|秋天", M::Mood(Some(Minor), Some(72.0), None)),
    ("jig|吉格", M::Metre(6, 8)),
    // Tempo words, in quarters a minute.
    ("grave|very slow|极慢|很慢", M::Tempo(46.0)), ("largo|广板", M::Tempo(52.0)), ("adagio|柔板", M::Tempo(60.0)),
    ("slow|slowly|lento|慢|缓慢|慢速|慢板", M::Tempo(60.0)), ("larghetto", M::Tempo(66.0)), ("andante|walking|行板", M::Tempo(76.0)),
    ("andantino|小行板", M::Tempo(88.0)), ("moderato|moderate|中速|中板", M::Tempo(100.0)), ("allegretto|小快板", M::Tempo(112.0)),
    ("allegro|fast|quick|quickly|快|快速|快板", M::Tempo(132.0)), ("vivace|活板", M::Tempo(150.0)),
    ("presto|very fast|急板|很快|非常快", M::Tempo(172.0)),
    // Mode; keys are read apart.
    ("major|大调", M::Mode(Major)), ("minor|小调", M::Mode(Minor)),
    // Density.
    ("sparse|sparsely|simple|few notes|minimal|稀疏|简单|简约", M::Density(Sparse)),
    ("dense|busy|rich|many notes|virtuosic|full|密集|丰富|华丽|繁复", M::Density(Dense)),
    // Instruments.
    ("piano|钢琴", M::Instrument(&[I::Piano])), ("guitar|吉他", M::Instrument(&[I::Guitar])), ("harp|竖琴", M::Instrument(&[I::Harp])),
    ("string quartet|strings|violins|弦乐四重奏|弦乐", M::Instrument(&[I::Strings, I::Cello])),
    ("violin|fiddle|小提琴", M::Instrument(&[I::Strings])), ("cello|大提琴", M::Instrument(&[I::Cello])),
    ("flute|长笛|笛子|笛", M::Instrument(&[I::Flute])), ("clarinet|单簧管", M::Instrument(&[I::Clarinet])),
    ("trumpet|小号", M::Instrument(&[I::Trumpet])), ("choir|voices|singers|合唱|人声", M::Instrument(&[I::Choir])),
    ("organ|管风琴|风琴", M::Instrument(&[I::Organ])), ("bells|bell|chimes|钟声|钟|铃", M::Instrument(&[I::Bells])),
    ("music box|celesta|八音盒|音乐盒", M::Instrument(&[I::MusicBox])), ("bass|贝斯|低音", M::Instrument(&[I::Bass])),
    ("pad|pads|synth|synthesizer|合成器", M::Instrument(&[I::Pad])), ("lead|主音", M::Instrument(&[I::Lead])),
    ("drums|drum|percussion|beat|鼓|打击乐", M::Instrument(&[I::Drums])),
    // Length, in seconds.
    ("short|短|短小", M::Length(15.0)), ("long|长", M::Length(60.0)),
    // Fillers.
    ("a|an|the|in|of|for|with|and|to|on|at|by|my|me|us|some|like|as|it|is|very|quite|rather|little|small|solo|duet|played|play|\
      music|song|tune|melody|piece|theme|score|sound|soundtrack|background|instrumental|composition|please|write|compose|make|create|give|\
      style|mood|feeling|key|tempo|metre|meter|time|bpm|beats|per|seconds|second|secs|sec|s|minutes|minute|min|long enough|about|piano piece|accompaniment|accompanied", M::Nothing),
    ("的|和|与|一首|一段|首|段|曲子|歌曲|歌|曲|音乐|旋律|乐曲|主题|背景|请|写|作|创作|一个|用|为|给|在|很|非常|有点|独奏|伴奏|风格|感觉|里|中|秒|分钟|左右|拍子|拍|速度", M::Nothing),
];

/// Returns what a prompt settles, and the words of it that mean nothing here, as they were written.
pub fn read(prompt: &str) -> (MusicPlan, Vec<String>) {
    let mut plan = MusicPlan::default();
    let mut unknown = Vec::new();
    let mut mood = (None, None, None);
    let mut mode = None;
    let text = prompt.to_lowercase();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        if !first.is_alphanumeric() {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        if let Some(after) = read_key(rest, &mut plan, &mut mode)
            .or_else(|| read_metre(rest, &mut plan))
            .or_else(|| read_number(rest, &mut plan))
        {
            rest = after;
            continue;
        }
        let Some((meaning, length)) = longest(rest) else {
            let word = word_of(rest);
            unknown.push(word.to_owned());
            rest = &rest[word.len()..];
            continue;
        };
        rest = &rest[length..];
        match meaning {
            Meaning::Mood(mood_mode, tempo, density) => {
                mood.0 = mood.0.or(mood_mode);
                mood.1 = mood.1.or(tempo);
                mood.2 = mood.2.or(density);
            }
            Meaning::Tempo(tempo) => plan.tempo_bpm = plan.tempo_bpm.or(Some(tempo)),
            Meaning::Mode(named) => mode = mode.or(Some(named)),
            Meaning::Density(density) => plan.density = plan.density.or(Some(density)),
            Meaning::Metre(beats, unit) => {
                plan.metre = plan.metre.or(Some(Metre { beats, unit }));
            }
            Meaning::Length(secs) => plan.duration_secs = plan.duration_secs.or(Some(secs)),
            Meaning::Instrument(named) => {
                for instrument in named {
                    if !plan.instruments.contains(instrument) {
                        plan.instruments.push(*instrument);
                    }
                }
            }
            Meaning::Nothing => {}
        }
    }
    // What a word says outright counts more than what a mood brings along.
    plan.tempo_bpm = plan.tempo_bpm.or(mood.1);
    plan.density = plan.density.or(mood.2);
    let mode = mode.or(mood.0);
    if let (None, Some(mode)) = (plan.key, mode) {
        // A tonic that lies well under the hands and voices.
        let tonic = if mode == Mode::Major { 0 } else { 9 };
        plan.key = Some(Key { tonic, mode });
    }
    (plan, unknown)
}

/// Tells whether a character belongs to a word of letters that stand together; Chinese does not
/// part its words.
fn joins(letter: char) -> bool {
    letter.is_alphanumeric() && u32::from(letter) < 0x2E80
}

/// The word that a text begins with: a run of letters, or one character of Chinese.
fn word_of(text: &str) -> &str {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let run = text.find(|letter| !joins(letter)).unwrap_or(text.len());
    &text[..run.max(first)]
}

/// Tells whether `phrase` stands at the beginning of `text` and no word goes on behind it.
fn stands(text: &str, phrase: &str) -> bool {
    text.strip_prefix(phrase).is_some_and(|rest| {
        let last = phrase.chars().next_back().is_some_and(joins);
        !(last && rest.chars().next().is_some_and(joins))
    })
}

/// Finds the longest phrase of the table that a text begins with.
fn longest(text: &str) -> Option<(Meaning, usize)> {
    let all = TABLE.iter().flat_map(|(phrases, meaning)| {
        phrases.split('|').map(move |phrase| (phrase.trim(), *meaning))
    });
    all.filter(|(phrase, _)| !phrase.is_empty() && stands(text, phrase))
        .map(|(phrase, meaning)| (meaning, phrase.len()))
        .max_by_key(|(_, length)| *length)
}

/// Reads a key: `C# minor`, `e-flat major`, `F sharp`, `bb major`, `C大调`, `降E大调`.
fn read_key<'a>(text: &'a str, plan: &mut MusicPlan, mode: &mut Option<Mode>) -> Option<&'a str> {
    let (key, rest) = parse_key_head(text)?;
    plan.key = plan.key.or(Some(key));
    *mode = mode.or(Some(key.mode));
    Some(rest)
}

/// Reads a key that stands alone.
///
/// # Errors
/// The text does not name a key.
pub fn parse_key(text: &str) -> Option<Key> {
    let text = text.trim().to_lowercase();
    if let Some((key, rest)) = parse_key_head(&text) {
        return rest.trim().is_empty().then_some(key);
    }
    // A tonic alone is major, and `Am` is a minor.
    let (text, mode) = match text.strip_suffix('m') {
        Some(text) => (text, Mode::Minor),
        None => (text.as_str(), Mode::Major),
    };
    let (tonic, rest) = tonic(text)?;
    rest.trim().is_empty().then_some(Key { tonic, mode })
}

fn parse_key_head(text: &str) -> Option<(Key, &str)> {
    let (shift, after) = match text.chars().next()? {
        '降' => (11, &text['降'.len_utf8()..]),
        '升' => (1, &text['升'.len_utf8()..]),
        _ => (0, text),
    };
    let (tonic, rest) = tonic(after)?;
    let tonic = (tonic + shift) % 12;
    let rest = rest.trim_start_matches([' ', '-']);
    for (name, mode) in [
        ("major", Mode::Major),
        ("minor", Mode::Minor),
        ("maj", Mode::Major),
        ("min", Mode::Minor),
        ("大调", Mode::Major),
        ("小调", Mode::Minor),
    ] {
        if stands(rest, name) {
            return Some((Key { tonic, mode }, &rest[name.len()..]));
        }
    }
    None
}

/// Reads a tonic with its accidental as a pitch class.
fn tonic(text: &str) -> Option<(u8, &str)> {
    let letter = text.chars().next()?;
    let class = match letter {
        'c' => 0,
        'd' => 2,
        'e' => 4,
        'f' => 5,
        'g' => 7,
        'a' => 9,
        'b' | 'h' => 11,
        _ => return None,
    };
    let rest = &text[1..];
    for (name, shift) in
        [("#", 1), ("♯", 1), ("♭", 11), ("-sharp", 1), (" sharp", 1), ("-flat", 11), (" flat", 11)]
    {
        if let Some(rest) = rest.strip_prefix(name) {
            return Some(((class + shift) % 12, rest));
        }
    }
    match rest.strip_prefix('b') {
        // `bb` and `eb`, but not the beginning of a word.
        Some(after) if !after.chars().next().is_some_and(joins) => Some(((class + 11) % 12, after)),
        _ => Some((class, rest)),
    }
}

/// Reads a metre: `3/4`, `6/8拍`, `四三拍` is not read.
fn read_metre<'a>(text: &'a str, plan: &mut MusicPlan) -> Option<&'a str> {
    let (beats, rest) = number(text)?;
    let (unit, rest) = number(rest.strip_prefix('/')?)?;
    let metre = metre_of(beats, unit)?;
    plan.metre = plan.metre.or(Some(metre));
    Some(rest)
}

/// Reads a metre that stands alone.
pub fn parse_metre(text: &str) -> Option<Metre> {
    let (beats, rest) = number(text.trim())?;
    let (unit, rest) = number(rest.strip_prefix('/')?)?;
    rest.is_empty().then(|| metre_of(beats, unit))?
}

fn metre_of(beats: f32, unit: f32) -> Option<Metre> {
    let is_one = (1.0..=16.0).contains(&beats) && [2.0, 4.0, 8.0, 16.0].contains(&unit);
    (is_one && beats.fract() == 0.0).then_some(Metre { beats: beats as u8, unit: unit as u8 })
}

/// Reads a number with its unit: `120 bpm`, `30 seconds`, `1 minute`, `每分钟120拍`, `30秒`.
fn read_number<'a>(text: &'a str, plan: &mut MusicPlan) -> Option<&'a str> {
    let (text, per_minute) = match text.strip_prefix("每分钟") {
        Some(rest) => (rest.trim_start(), true),
        None => (text, false),
    };
    let (value, rest) = number(text)?;
    let rest = rest.trim_start_matches([' ', '-']);
    for (names, factor) in [
        (&["seconds", "second", "secs", "sec", "s", "秒钟", "秒"][..], 1.0),
        (&["minutes", "minute", "mins", "min", "分钟"][..], 60.0),
    ] {
        if let Some(name) = names.iter().find(|name| stands(rest, name)) {
            plan.duration_secs = plan.duration_secs.or(Some(value * factor));
            return Some(&rest[name.len()..]);
        }
    }
    let unit = ["bpm", "beats per minute", "拍"].into_iter().find(|name| stands(rest, name));
    if unit.is_some() || per_minute {
        plan.tempo_bpm = plan.tempo_bpm.or(Some(value));
        return Some(&rest[unit.map_or(0, str::len)..]);
    }
    None
}

/// Reads a number of at most seven digits.
fn number(text: &str) -> Option<(f32, &str)> {
    let is_part = |letter: char| letter.is_ascii_digit() || letter == '.';
    let end = text.find(|letter| !is_part(letter)).unwrap_or(text.len());
    let digits = text[..end].trim_end_matches('.');
    if digits.is_empty() || digits.len() > 7 {
        return None;
    }
    digits.parse().ok().map(|value| (value, &text[digits.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const C_MINOR: Key = Key { tonic: 0, mode: Mode::Minor };

    #[test]
    fn a_prompt_settles_what_it_names() {
        let (plan, unknown) =
            read("A sad waltz in C minor for flute and piano, 80 bpm, 45 seconds, dense");
        assert!(unknown.is_empty(), "{unknown:?}");
        assert_eq!(plan.key, Some(C_MINOR));
        assert_eq!(plan.metre, Some(Metre { beats: 3, unit: 4 }));
        assert_eq!(plan.tempo_bpm, Some(80.0));
        assert_eq!(plan.duration_secs, Some(45.0));
        assert_eq!(plan.instruments, [Instrument::Flute, Instrument::Piano]);
        assert_eq!(plan.density, Some(Density::Dense));
    }

    #[test]
    fn chinese_says_the_same() {
        let (plan, unknown) = read("一首悲伤的c小调圆舞曲，长笛和钢琴，每分钟80拍，45秒，密集");
        assert!(unknown.is_empty(), "{unknown:?}");
        assert_eq!(plan.key, Some(C_MINOR));
        assert_eq!(plan.metre, Some(Metre { beats: 3, unit: 4 }));
        assert_eq!((plan.tempo_bpm, plan.duration_secs), (Some(80.0), Some(45.0)));
        assert_eq!(plan.instruments, [Instrument::Flute, Instrument::Piano]);
        assert_eq!(plan.density, Some(Density::Dense));
    }

    #[test]
    fn keys_are_read_in_every_common_spelling() {
        for (text, tonic, mode) in [
            ("C# minor", 1, Mode::Minor),
            ("Bb major", 10, Mode::Major),
            ("e-flat major", 3, Mode::Major),
            ("F sharp minor", 6, Mode::Minor),
            ("降E大调", 3, Mode::Major),
            ("升F小调", 6, Mode::Minor),
            ("A", 9, Mode::Major),
            ("Am", 9, Mode::Minor),
            ("Ab", 8, Mode::Major),
            ("b", 11, Mode::Major),
        ] {
            assert_eq!(parse_key(text), Some(Key { tonic, mode }), "{text}");
        }
        for text in ["", "H2", "minor", "C minor please", "X major"] {
            assert_eq!(parse_key(text), None, "{text}");
        }
    }

    #[test]
    fn a_mood_brings_mode_tempo_and_density_but_yields_to_what_is_said() {
        let (plan, _) = read("sad");
        assert_eq!(plan.key.map(|key| key.mode), Some(Mode::Minor));
        assert_eq!(plan.tempo_bpm, Some(66.0));
        let (plan, _) = read("sad but fast, major");
        assert_eq!(plan.key.map(|key| key.mode), Some(Mode::Major));
        assert_eq!(plan.tempo_bpm, Some(132.0));
    }

    #[test]
    fn words_that_mean_nothing_are_named_as_they_were_written() {
        let (_, unknown) = read("a happy zxcv tune 龘 2/7");
        assert_eq!(unknown, ["zxcv", "龘", "2", "7"]);
        assert_eq!(read("").1, Vec::<String>::new());
        assert_eq!(read(&"9".repeat(400)).1.len(), 1);
    }

    #[test]
    fn no_phrase_has_two_meanings() {
        let mut seen = std::collections::HashSet::new();
        for (phrases, _) in TABLE {
            for phrase in phrases.split('|').map(str::trim) {
                assert!(seen.insert(phrase), "{phrase} stands twice");
            }
        }
    }
}
