//! How texts are cut into words for searching.
//!
//! SQLite's `unicode61` cuts at spaces and punctuation, which scripts without spaces do not have. So
//! each Han character and each Japanese syllable becomes a word of its own, in what is stored as in
//! what is looked for: 红狐 then finds every text in which 红 stands right before 狐.

/// Puts spaces around characters that are words of their own.
pub(super) fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for letter in text.chars() {
        if stands_alone(letter) {
            out.push(' ');
            out.push(letter);
            out.push(' ');
        } else {
            out.push(letter);
        }
    }
    out
}

/// Tells whether there is anything to look for in a text.
pub(super) fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// Folds a name so that those which differ by case only are the same.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}

fn stands_alone(letter: char) -> bool {
    matches!(letter,
        '\u{3005}'..='\u{3007}'
            | '\u{3040}'..='\u{30ff}'
            | '\u{31f0}'..='\u{31ff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{ff66}'..='\u{ff9f}'
            | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_scripts_without_spaces_stand_alone() {
        assert_eq!(spaced("a red fox"), "a red fox");
        let words = |text: &str| spaced(text).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words("雪地里的red狐狸"), "雪 地 里 的 red 狐 狸");
        assert_eq!(words("きつねと한국 여우"), "き つ ね と 한국 여우");
        assert!(has_words("狐") && has_words("a!") && !has_words("…*\"'"));
    }
}
