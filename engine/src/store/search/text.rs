//! Queries written as users type them.

use std::fmt::{self, Display, Formatter};

use super::{LibraryQuery, Named, SearchOrder, SearchPlace, Span, Term, TextPart};

impl Display for LibraryQuery {
    /// Writes what [`LibraryQuery::parse`] reads as the same query.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.terms.iter().map(term).collect();
        for rule in &self.names {
            let field = match rule.what {
                Named::Model => "model",
                Named::Tag => "tag",
                Named::Board => "board",
            };
            let (name, star) = match rule.name.strip_suffix('*') {
                Some(name) => (name, "*"),
                None => (rule.name.as_str(), ""),
            };
            // A star alone stands for any name.
            let name = if name.is_empty() { String::new() } else { quoted(name) };
            parts.push(format!("{}{field}:{name}{star}", minus(rule.is_excluded)));
        }
        parts.extend(self.kinds.iter().map(|kind| format!("kind:{}", kind.id())));
        parts.extend(span("rating", &self.rating));
        parts.extend(span("date", &self.days));
        parts.extend(span("width", &self.size.width_px));
        parts.extend(span("height", &self.size.height_px));
        parts.extend(span("pixels", &self.size.pixels));
        parts.extend(self.size.shape.map(|shape| format!("shape:{}", shape.label())));
        for rule in &self.colours {
            parts.push(format!("{}colour:{}", minus(rule.is_excluded), rule.colour));
        }
        if let Some(is_favourite) = self.is_favourite {
            parts.push(format!("{}is:favourite", minus(!is_favourite)));
        }
        if self.place == SearchPlace::Trash {
            parts.push("is:trash".to_owned());
        }
        let order = match self.order {
            SearchOrder::Newest => None,
            SearchOrder::Oldest => Some("oldest"),
            SearchOrder::Rating => Some("rating"),
            SearchOrder::Board => Some("board"),
        };
        parts.extend(order.map(|order| format!("sort:{order}")));
        f.write_str(&parts.join(" "))
    }
}

fn minus(is_excluded: bool) -> &'static str {
    if is_excluded { "-" } else { "" }
}

fn term(term: &Term) -> String {
    let field = match term.part {
        TextPart::Any => "",
        TextPart::Prompt => "prompt:",
        TextPart::Negative => "negative:",
    };
    let star = if term.is_begun { "*" } else { "" };
    format!("{}{field}{}{star}", minus(term.is_excluded), quoted(&term.text))
}

/// Puts quotation marks around what would not be read as one word.
fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty()
        && !text.starts_with('-')
        && !text.contains(|c: char| c.is_whitespace() || "\"“”„:：*".contains(c));
    if is_plain { text.to_owned() } else { format!("\"{text}\"") }
}

fn span<T: Display + PartialEq>(field: &str, span: &Span<T>) -> Option<String> {
    match (&span.from, &span.to) {
        (None, None) => None,
        (Some(from), None) => Some(format!("{field}:>={from}")),
        (None, Some(to)) => Some(format!("{field}:<={to}")),
        (Some(from), Some(to)) if from == to => Some(format!("{field}:{from}")),
        (Some(from), Some(to)) => Some(format!("{field}:{from}..{to}")),
    }
}
