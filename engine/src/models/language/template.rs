//! Chat templates: programs in Jinja that a model's file holds. They get no file, no network and
//! only so many steps.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, context};
use serde::Serialize;

use crate::error::EngineError;

/// The most steps that a template may take: thousands of times what real ones take.
const FUEL: u64 = 5_000_000;
/// The most bytes that a template may write.
const MOST_BYTES: usize = 64 << 20;

/// Holds one message as templates see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: &'static str,
    /// What is said.
    pub content: String,
}

impl Message {
    fn value(&self) -> Value {
        context! { role => self.role, content => self.content.as_str() }
    }
}

/// Turns a conversation into the text that a model was trained on.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    texts: [String; 2],
}

const NAME: &str = "chat";

impl ChatTemplate {
    /// Reads a template; `texts` are those of the tokens that begin and end a text.
    ///
    /// # Errors
    /// [`EngineError::Template`] when it is no template.
    pub fn new(source: &str, texts: [String; 2]) -> Result<Self, EngineError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| failed(&error))?);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", |format: &str| date(format, now()));
        environment.add_filter("tojson", to_json);
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| failed(&error))?;
        Ok(Self { environment, texts })
    }

    /// Writes the conversation, and behind it what begins the assistant's turn.
    ///
    /// # Errors
    /// [`EngineError::Template`] when the template refuses it, fails or does not come to an end.
    pub fn render(&self, messages: &[Message]) -> Result<String, EngineError> {
        let template = self.environment.get_template(NAME).map_err(|error| failed(&error))?;
        let [begin, end] = &self.texts;
        let mut out = Limited(Vec::new());
        let state = context! {
            messages => messages.iter().map(Message::value).collect::<Vec<Value>>(),
            add_generation_prompt => true,
            bos_token => begin,
            eos_token => end,
        };
        template.render_captured_to(state, &mut out).map_err(|error| failed(&error))?;
        Ok(String::from_utf8_lossy(&out.0).into_owned())
    }
}

struct Limited(Vec<u8>);

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            return Err(io::Error::other("it writes without end"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed(error: &Error) -> EngineError {
    let reason = match error.kind() {
        ErrorKind::OutOfFuel => "it does not come to an end".to_owned(),
        ErrorKind::WriteFailure => "it writes without end".to_owned(),
        kind => error.detail().map_or_else(|| kind.to_string(), str::to_owned),
    };
    EngineError::Template { reason: reason.lines().next().unwrap_or_default().to_owned() }
}

/// Writes JSON as Python does by default, which templates are written for: nothing is escaped for
/// HTML, and a space follows each comma and colon.
fn to_json(value: Value, options: Kwargs) -> Result<String, Error> {
    let wrong =
        |error: &dyn std::fmt::Display| Error::new(ErrorKind::BadSerialization, error.to_string());
    let indent: Option<usize> = options.get("indent")?;
    let mut out = Vec::new();
    let written = match indent {
        Some(width) => {
            let spaces = " ".repeat(width.min(16));
            let style = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, style))
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced)),
    };
    written.map_err(|error| wrong(&error))?;
    String::from_utf8(out).map_err(|error| wrong(&error))
}

struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Writes a moment, in seconds since 1970, as `strftime` does, in universal time.
///
/// # Source
/// The calendar: Howard Hinnant, “chrono-compatible low-level date algorithms”, `civil_from_days`.
fn date(format: &str, seconds: u64) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] =
        ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let days = seconds / 86_400;
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let month_name = MONTHS[(month - 1) as usize];
    let day_name = DAYS[(days % 7) as usize];
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('Y') => out.push_str(&year.to_string()),
            Some('m') => out.push_str(&format!("{month:02}")),
            Some('d') => out.push_str(&format!("{day:02}")),
            Some('B') => out.push_str(month_name),
            Some('b') => out.push_str(&month_name[..3]),
            Some('A') => out.push_str(day_name),
            Some('a') => out.push_str(&day_name[..3]),
            Some('H') => out.push_str(&format!("{hour:02}")),
            Some('M') => out.push_str(&format!("{minute:02}")),
            Some('S') => out.push_str(&format!("{second:02}")),
            Some('y') => out.push_str(&format!("{:02}", year % 100)),
            Some(other) if other != '%' => out.extend(['%', other]),
            _ => out.push('%'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn render(source: &str) -> Result<String, EngineError> {
        let messages = [
            Message { role: "system", content: "Be brief".to_owned() },
            Message { role: "user", content: " <Hi> ".to_owned() },
        ];
        ChatTemplate::new(source, ["<s>".to_owned(), "</s>".to_owned()])?.render(&messages)
    }

    #[test]
    fn a_template_in_the_manner_of_real_ones_is_written_out() {
        let source = "{{ bos_token }}{% for m in messages %}\n  {% if m['role'] == 'user' %}\n\
            U:{{ m.content.strip() }}{{ m.content.strip().split('H')[1] }}\n  {% else %}\n\
            S:{{ m | tojson }}\n  {% endif %}\n{% endfor %}{% if add_generation_prompt %}A:{% endif %}";
        let text = render(source).unwrap();
        assert_eq!(text, "<s>S:{\"role\": \"system\", \"content\": \"Be brief\"}\nU:<Hi>i>\nA:");
    }

    #[test]
    fn a_template_that_refuses_loops_or_is_broken_is_an_error_with_its_reason() {
        for (source, reason) in [
            ("{{ raise_exception('no system here') }}", "no system here"),
            (
                "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}",
                "it does not come to an end",
            ),
            ("{% if %}", "unexpected"),
            ("{{ messages[0].content.fly() }}", "fly"),
        ] {
            let error = render(source).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn dates_are_written_as_strftime_does() {
        assert_eq!(date("%d %b %Y", 0), "01 Jan 1970");
        assert_eq!(
            date("%A %d %B %y %H:%M:%S 100%%", 951_827_696),
            "Tuesday 29 February 00 12:34:56 100%"
        );
        assert_eq!(date("%Y-%m-%d %a", 1_798_675_200), "2026-12-31 Thu");
    }
}
