//! Days of the calendar.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Is a day, as it is written in a query: `2026-11-23`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

impl Day {
    /// Names a day of the years 1970 to 9999; `None` when there is none such.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let is_day = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day);
        is_day.then_some(Self { year, month, day })
    }

    /// Reads a year, a month or a day (`2026`, `2026-11`, `2026-11-23`) and returns its first and its
    /// last day.
    pub fn span(text: &str) -> Option<(Self, Self)> {
        let mut parts = text.split('-');
        let number = |part: &str, digits: usize| {
            let is_number = part.len() <= digits && part.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| part.parse::<u16>().ok()).flatten()
        };
        let year = parts.next().filter(|year| year.len() == 4).and_then(|year| number(year, 4))?;
        let month = parts.next().map(|month| number(month, 2));
        let day = parts.next().map(|day| number(day, 2));
        if parts.next().is_some() {
            return None;
        }
        match (month, day) {
            (None, _) => Some((Self::new(year, 1, 1)?, Self::new(year, 12, 31)?)),
            (Some(month), None) => {
                let month = u8::try_from(month?).ok().filter(|month| (1..=12).contains(month))?;
                Some((Self::new(year, month, 1)?, Self::new(year, month, days_in(year, month))?))
            }
            (Some(month), Some(day)) => {
                let day = Self::new(year, u8::try_from(month?).ok()?, u8::try_from(day?).ok()?)?;
                Some((day, day))
            }
        }
    }
}

fn days_in(year: u16, month: u8) -> u8 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Self::span(&text) {
            Some((first, last)) if first == last => Ok(first),
            _ => Err(format!("{text} is not a day")),
        }
    }
}
