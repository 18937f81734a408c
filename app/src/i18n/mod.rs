//! What the window says, in English and 简体中文. Both come from one table, so that a sentence that
//! lacks a translation does not compile.

mod errors;
mod examples;
mod library;
mod models;
mod music;
mod starts;
mod texts;

use atelier_engine::protocol::{HintKind, PromptIssue};
use serde::{Deserialize, Serialize};

pub use errors::{error_hint, error_sentence};
pub use examples::EXAMPLES;
pub use library::grouped;
pub use music::TUNES;
pub use starts::STARTS;
pub use texts::Text;

/// Names a language of the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    English,
    /// 简体中文.
    Chinese,
}

impl Language {
    /// Lists every language, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// Returns the language's name in itself.
    pub fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "简体中文",
        }
    }

    /// Guesses the language from a locale such as `zh_CN.UTF-8`.
    pub fn from_locale(locale: &str) -> Self {
        if locale.to_ascii_lowercase().starts_with("zh") { Self::Chinese } else { Self::English }
    }

    /// Returns a text in this language.
    pub fn get(self, text: Text) -> &'static str {
        let [english, chinese] = text.both();
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }

    /// Returns a text with each `{}` replaced by the next of `values`.
    pub fn fill(self, text: Text, values: &[&dyn std::fmt::Display]) -> String {
        use std::fmt::Write as _;

        let mut parts = self.get(text).split("{}");
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for (index, part) in parts.enumerate() {
            if let Some(value) = values.get(index) {
                // Writing into a String cannot fail.
                let _infallible = write!(filled, "{value}");
            }
            filled.push_str(part);
        }
        filled
    }

    /// Says what there is to know about words of a prompt.
    pub fn issue(self, issue: &PromptIssue, words: &str) -> String {
        let text = match issue {
            PromptIssue::And => Text::IssueAnd,
            PromptIssue::SeveralChoices => Text::IssueSeveralChoices,
            PromptIssue::Network => Text::IssueNetwork,
            PromptIssue::UnknownLora => Text::IssueUnknownLora,
            PromptIssue::UnknownWildcard => Text::IssueUnknownWildcard,
            PromptIssue::TooDeep => Text::IssueTooDeep,
            _ => Text::IssueClipped,
        };
        self.fill(text, &[&words])
    }

    /// Returns what a preprocessor of ControlNets is called.
    pub fn hint_name(self, kind: HintKind) -> &'static str {
        self.get(match kind {
            HintKind::Canny => Text::HintCanny,
            HintKind::Scribble => Text::HintScribble,
            HintKind::Tile => Text::HintTile,
            HintKind::Invert => Text::HintInvert,
            _ => Text::HintNone,
        })
    }

    /// Returns what a style, in the model's words, is called.
    pub fn style_name(self, style: &str) -> &str {
        match style {
            "3d style" => self.get(Text::StyleVolume),
            "flat style" => self.get(Text::StyleFlat),
            "glossy style" => self.get(Text::StyleGlossy),
            "line art" => self.get(Text::StyleLine),
            other => other,
        }
    }

    /// Returns a stretch of time as a person would say it: `4 s`, `2 min 10 s`.
    pub fn duration(self, secs: f64) -> String {
        let secs = secs.clamp(0.0, 359_999.0);
        if secs < 9.95 {
            return self.fill(Text::Seconds, &[&format!("{secs:.1}")]);
        }
        let whole = secs.round() as u64;
        if whole < 60 {
            self.fill(Text::Seconds, &[&whole])
        } else {
            self.fill(Text::MinutesSeconds, &[&(whole / 60), &(whole % 60)])
        }
    }
}

impl Language {
    /// Returns how long ago something was, in whole minutes, hours or days.
    pub fn age(self, secs: u64) -> String {
        match secs {
            0..60 => self.get(Text::AgeNow).to_owned(),
            60..3_600 => self.fill(Text::AgeMinutes, &[&(secs / 60)]),
            3_600..172_800 => self.fill(Text::AgeHours, &[&(secs / 3_600)]),
            _ => self.fill(Text::AgeDays, &[&(secs / 86_400)]),
        }
    }
}

/// Returns a size as a person would say it: `3.4 MB`.
pub fn size_of(bytes: u64) -> String {
    let (value, unit) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..1_000_000 => (bytes as f64 / 1e3, "kB"),
        1_000_000..1_000_000_000 => (bytes as f64 / 1e6, "MB"),
        _ => (bytes as f64 / 1e9, "GB"),
    };
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_the_same_number_of_blanks_in_both_languages() {
        for text in Text::ALL {
            let [english, chinese] = text.both();
            assert_eq!(
                english.matches("{}").count(),
                chinese.matches("{}").count(),
                "{english} / {chinese}"
            );
        }
    }

    #[test]
    fn sizes_and_ages_are_said_as_people_say_them() {
        let sizes = [0, 999, 1_200, 48_000, 3_440_000, 12_000_000, 4_200_000_000].map(size_of);
        assert_eq!(sizes, ["0 B", "999 B", "1.2 kB", "48 kB", "3.4 MB", "12 MB", "4.2 GB"]);
        let ages = [3, 130, 7_300, 180_000].map(|secs| Language::English.age(secs));
        assert_eq!(ages, ["just now", "2 min ago", "2 h ago", "2 days ago"]);
    }

    #[test]
    fn blanks_are_filled_in_order() {
        let text = Language::English.fill(Text::MinutesSeconds, &[&2, &5]);
        assert_eq!(text, "2 min 5 s");
    }

    #[test]
    fn one_sentence_has_no_final_full_stop() {
        for text in Text::ALL {
            for sentence in text.both() {
                assert!(!sentence.ends_with(['.', '。']), "{sentence}");
            }
        }
    }
}
