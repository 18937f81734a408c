//! As much XML as `stack.xml` needs: tags and their attributes.

use std::fmt::Write as _;

/// The most attributes of a tag, and the most tags of a file.
const MAX_ATTRIBUTES: usize = 64;
const MAX_TAGS: usize = 100_000;

/// Is one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tag {
    /// Begins an element; `is_empty` when it ends there as well.
    Open { name: String, attributes: Vec<(String, String)>, is_empty: bool },
    /// Ends an element.
    Close,
}

impl Tag {
    /// Returns an attribute's value.
    pub(super) fn attribute(&self, wanted: &str) -> Option<&str> {
        let Self::Open { attributes, .. } = self else { return None };
        attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }
}

/// Lists the tags of a text. What stands between them, comments and instructions are passed over; a
/// document type, which could define texts that grow without end, is refused.
pub(super) fn tags(text: &str) -> Result<Vec<Tag>, String> {
    let broken = || "has a list of layers that is not well formed".to_owned();
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        let after = |end: &str| rest.split_once(end).map(|(_, after)| after).ok_or_else(broken);
        if rest.starts_with("<!--") {
            rest = after("-->")?;
        } else if rest.starts_with("<?") {
            rest = after("?>")?;
        } else if rest.starts_with("<![CDATA[") {
            rest = after("]]>")?;
        } else if rest.starts_with("<!") {
            return Err("has a list of layers with definitions, which are not read".to_owned());
        } else {
            let end = end_of_tag(rest).ok_or_else(broken)?;
            found.push(tag(&rest[1..end]).ok_or_else(broken)?);
            rest = &rest[end + 1..];
        }
        if found.len() > MAX_TAGS {
            return Err("has more tags than any list of layers".to_owned());
        }
    }
    Ok(found)
}

/// Returns where the `>` is that ends a tag; those in quotes do not count.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    text.bytes().position(|byte| {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
        byte == b'>' && quote.is_none()
    })
}

/// Reads what stands between `<` and `>`.
fn tag(inside: &str) -> Option<Tag> {
    if inside.starts_with('/') {
        return Some(Tag::Close);
    }
    let (inside, is_empty) = match inside.strip_suffix('/') {
        Some(inside) => (inside, true),
        None => (inside, false),
    };
    let name_end = inside.find(char::is_whitespace).unwrap_or(inside.len());
    let (name, mut rest) = inside.split_at(name_end);
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let (value, after) = after[1..].split_once(quote)?;
        if attributes.len() == MAX_ATTRIBUTES {
            return None;
        }
        attributes.push((key.trim_end().to_owned(), plain(value)?));
        rest = after;
    }
    (!name.is_empty()).then(|| Tag::Open { name: name.to_owned(), attributes, is_empty })
}

/// Puts characters in the place of their names; `None` for a name that XML does not have itself.
fn plain(value: &str) -> Option<String> {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        let (name, after) = after.split_once(';')?;
        text.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

/// Returns a text as it may stand in an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                // Writing into a text cannot fail.
                let _ = write!(out, "&#{};", u32::from(c));
            }
            // XML 1.0 has no other control characters, and not these two.
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_attributes_are_read_in_any_quotes() {
        let text = "<?xml version='1.0'?><!-- <a> --><image w = \"3\"\n h='4'><layer name='a \"&lt;&#65;&#x42;>' /></image>";
        let found = tags(text).expect("it is well formed");
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].attribute("w"), found[0].attribute("h")), (Some("3"), Some("4")));
        assert_eq!(found[1].attribute("name"), Some("a \"<AB>"));
        assert!(matches!(&found[1], Tag::Open { name, is_empty: true, .. } if name == "layer"));
        assert_eq!(found[2], Tag::Close);
    }

    #[test]
    fn whatever_is_written_is_read_back() {
        for name in ["<&>\"'", "line\nbreak\ttab", "图层 1", "]]>", ""] {
            let text = format!("<layer name=\"{}\"/>", escaped(name));
            let found = tags(&text).expect("it is well formed");
            assert_eq!(found[0].attribute("name"), Some(name));
        }
    }

    #[test]
    fn definitions_and_broken_tags_are_refused() {
        for text in [
            "<!DOCTYPE a [<!ENTITY b \"bbbb\">]><a/>",
            "<a b=\"c",
            "<a b=c/>",
            "<a b=\"&nbsp;\"/>",
            "<a b=\"&#xd800;\"/>",
            "< a/>",
            "<!-- a",
        ] {
            assert!(tags(text).is_err(), "{text}");
        }
        let deep = "<a>".repeat(MAX_TAGS + 2);
        assert!(tags(&deep).is_err());
    }
}
