//! Finding results: by words, by what they are, by what the user said about them.

mod day;
mod parse;
mod text;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::EngineError;

use super::{Colour, ResultKind, ResultRow, Store};
pub use day::Day;

/// Says what to look for; as plain data, so that it can be kept. Everything asked for must hold.
///
/// As users type it, see [`LibraryQuery::parse`]; [`fmt::Display`] writes it the same way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LibraryQuery {
    /// Words and phrases.
    pub terms: Vec<Term>,
    /// Models, tags and boards.
    pub names: Vec<NameRule>,
    /// Kinds of results; empty for all.
    pub kinds: Vec<ResultKind>,
    /// Stars, 0 to 5.
    pub rating: Span<u8>,
    /// Days on which results were saved, where the user is.
    pub days: Span<Day>,
    /// Sizes of pictures; sounds have none.
    pub size: SizeRule,
    /// Colours that a picture mostly has, or has not.
    pub colours: Vec<ColourRule>,
    /// Whether results are favourites; `None` for all.
    pub is_favourite: Option<bool>,
    /// Where results are.
    pub place: SearchPlace,
    /// In which order they are listed.
    pub order: SearchOrder,
}

/// Is a word or several in a row that the texts of a result have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// The words; they stand in this order. Case and accents make no difference.
    pub text: String,
    /// Whether the last word may go on.
    #[serde(default)]
    pub is_begun: bool,
    /// Whether results that have it are left out.
    #[serde(default)]
    pub is_excluded: bool,
    /// In which text it is looked for.
    #[serde(default)]
    pub part: TextPart,
}

/// Says in which text a term is looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextPart {
    /// In the prompt and the negative prompt. One that is excluded is looked for in the prompt only,
    /// since negative prompts name what is not in the picture.
    #[default]
    Any,
    /// In the prompt, with its styles.
    Prompt,
    /// In the negative prompt.
    Negative,
}

/// Asks for a model, a tag or a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRule {
    /// What is named.
    pub what: Named,
    /// The name, in any case: a part of it for a model; for a tag or a board all of it, or its
    /// beginning and `*`, which alone stands for any.
    pub name: String,
    /// Whether results that have it are left out.
    #[serde(default)]
    pub is_excluded: bool,
}

/// Says what a name in a query names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    /// A model.
    Model,
    /// A tag.
    Tag,
    /// A board.
    Board,
}

/// Asks for a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColourRule {
    /// The colour.
    pub colour: Colour,
    /// Whether pictures that have it are left out.
    #[serde(default)]
    pub is_excluded: bool,
}

/// Is a range with both ends in it; an end that is `None` is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span<T> {
    /// The least value.
    pub from: Option<T>,
    /// The greatest value.
    pub to: Option<T>,
}

impl<T> Default for Span<T> {
    fn default() -> Self {
        Self { from: None, to: None }
    }
}

impl<T: Ord + Copy> Span<T> {
    /// Narrows the range to what is in another one too.
    pub fn narrow(&mut self, other: Self) {
        self.from = self.from.max(other.from);
        self.to = match (self.to, other.to) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// Tells whether the range holds everything.
    pub fn is_open(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }
}

/// Asks for sizes of pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SizeRule {
    /// Width in pixels.
    pub width_px: Span<u32>,
    /// Height in pixels.
    pub height_px: Span<u32>,
    /// Width times height.
    pub pixels: Span<u64>,
    /// Which side is the longer one; `None` for all.
    pub shape: Option<Shape>,
}

/// Says which side of a picture is the longer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// The picture is wider than high.
    Landscape,
    /// The picture is higher than wide.
    Portrait,
    /// Both are as long.
    Square,
}

impl Shape {
    /// Lists every shape.
    pub const ALL: [Self; 3] = [Self::Landscape, Self::Portrait, Self::Square];

    /// Returns its English name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Landscape => "landscape",
            Self::Portrait => "portrait",
            Self::Square => "square",
        }
    }
}

/// Says where results are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchPlace {
    /// Outside the trash.
    #[default]
    Kept,
    /// In the trash.
    Trash,
}

/// Says in which order results are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchOrder {
    /// Those that came into the library last first.
    #[default]
    Newest,
    /// Those that came into the library first first.
    Oldest,
    /// Those with most stars first, then the newest.
    Rating,
    /// As they are on the first board that the query names in full; without one, the newest first.
    Board,
}

/// Says what of a query's text was not understood; the rest is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum QueryNotice {
    /// There is no field of this name.
    UnknownField {
        /// The name before the colon.
        field: String,
    },
    /// A field cannot have this value.
    BadValue {
        /// The field.
        field: String,
        /// What stands after its colon.
        value: String,
    },
    /// A field cannot be excluded.
    NotExcludable {
        /// The field.
        field: String,
    },
    /// A quotation mark has no partner; the phrase ends with the text.
    OpenQuote,
    /// There is no letter and no digit to look for.
    NoWords {
        /// What stands there.
        text: String,
    },
}

impl fmt::Display for QueryNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownField { field } => {
                write!(f, "There is no field “{field}”; it is left out")
            }
            Self::BadValue { field, value } => {
                write!(f, "The field “{field}” cannot be “{value}”; it is left out")
            }
            Self::NotExcludable { field } => {
                write!(f, "The field “{field}” cannot be excluded; it is left out")
            }
            Self::OpenQuote => f.write_str("A quotation mark has no partner"),
            Self::NoWords { text } => write!(f, "There is nothing to look for in “{text}”"),
        }
    }
}

/// Says which part of the results is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// How many at most.
    pub limit: usize,
    /// Where the part before ended; `None` for the first.
    pub after: Option<PageKey>,
}

impl Page {
    /// Asks for the first results.
    pub fn first(limit: usize) -> Self {
        Self { limit, after: None }
    }
}

/// Says where a part of the results ended. It stays right when results come and go meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PageKey {
    /// What the order goes by: stars, or the position on a board.
    pub(super) value: f64,
    /// The last result.
    pub(super) id: i64,
}

/// Holds a part of what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The results.
    pub rows: Vec<ResultRow>,
    /// How many there are in all parts together.
    pub total: usize,
    /// Where this part ended; `None` when it was the last.
    pub next: Option<PageKey>,
}

impl Store {
    /// Finds results and lists a part of them.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn search(&self, query: &LibraryQuery, page: &Page) -> Result<Found, EngineError> {
        let home = self.home();
        let index = home.index();
        let search = index.prepare_search(query)?;
        let total = index.count_found(&search)?;
        // One more shows whether there is another part.
        let mut keys = index.find(&search, page.limit.saturating_add(1), page.after)?;
        let is_last = keys.len() <= page.limit;
        keys.truncate(page.limit);
        let next = keys.last().filter(|_| !is_last).copied();
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            rows.extend(index.result(key.id)?.and_then(|row| home.row(row)));
        }
        Ok(Found { rows, total, next })
    }

    /// Returns the numbers of all results that a query finds, in its order.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn search_ids(&self, query: &LibraryQuery) -> Result<Vec<i64>, EngineError> {
        let home = self.home();
        let index = home.index();
        let search = index.prepare_search(query)?;
        let keys = index.find(&search, usize::MAX, None)?;
        Ok(keys.into_iter().map(|key| key.id).collect())
    }

    /// Lists the models that results outside the trash were made with, each with their number, the
    /// one with most results first.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn models(&self) -> Result<Vec<(String, usize)>, EngineError> {
        self.home().index().models()
    }

    /// Returns the day on which a moment lies, where the user is: milliseconds since 1970.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn day_of(&self, moment_ms: i64) -> Result<Option<Day>, EngineError> {
        let date = self.home().index().local_date(moment_ms)?;
        Ok(Day::span(&date).map(|(day, _)| day))
    }
}
