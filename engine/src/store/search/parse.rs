//! Queries as users type them.

use super::super::words::has_words;
use super::super::{Colour, ResultKind};
use super::{
    ColourRule, Day, LibraryQuery, NameRule, Named, QueryNotice, SearchOrder, SearchPlace, Shape,
    Span, Term, TextPart,
};

/// Is a field of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Prompt,
    Negative,
    Name(Named),
    Kind,
    Rating,
    Date,
    Size,
    Width,
    Height,
    Pixels,
    Shape,
    Colour,
    Is,
    Sort,
}

const FIELDS: [(Field, &[&str]); 16] = [
    (Field::Prompt, &["prompt", "提示词"]),
    (Field::Negative, &["negative", "反向"]),
    (Field::Name(Named::Model), &["model", "模型"]),
    (Field::Name(Named::Tag), &["tag", "标签"]),
    (Field::Name(Named::Board), &["board", "画板"]),
    (Field::Kind, &["kind", "类型"]),
    (Field::Rating, &["rating", "stars", "评分"]),
    (Field::Date, &["date", "日期"]),
    (Field::Size, &["size", "尺寸"]),
    (Field::Width, &["width", "宽"]),
    (Field::Height, &["height", "高"]),
    (Field::Pixels, &["pixels", "像素"]),
    (Field::Shape, &["shape", "orientation", "形状"]),
    (Field::Colour, &["colour", "color", "颜色"]),
    (Field::Is, &["is", "是"]),
    (Field::Sort, &["sort", "排序"]),
];

const KINDS: [(ResultKind, &[&str]); 2] = [
    (ResultKind::Picture, &["picture", "pictures", "image", "图片"]),
    (ResultKind::Sound, &["sound", "sounds", "music", "声音"]),
];

const ORDERS: [(SearchOrder, &[&str]); 4] = [
    (SearchOrder::Newest, &["newest", "最新"]),
    (SearchOrder::Oldest, &["oldest", "最旧"]),
    (SearchOrder::Rating, &["rating", "评分"]),
    (SearchOrder::Board, &["board", "画板"]),
];

const SHAPES: [(Shape, &[&str]); 3] = [
    (Shape::Landscape, &["landscape", "wide", "横", "横向"]),
    (Shape::Portrait, &["portrait", "tall", "竖", "竖向"]),
    (Shape::Square, &["square", "方", "方形"]),
];

/// Is a piece of a query's text.
#[derive(Debug, Default, PartialEq)]
struct Piece {
    is_excluded: bool,
    field: Option<String>,
    value: String,
    is_quoted: bool,
    is_begun: bool,
}

impl LibraryQuery {
    /// Reads a query as users type it. Whatever is not understood is told and left out; the rest is
    /// used, so this never fails.
    ///
    /// ```text
    /// fox snow          both words, in the prompt or the negative prompt
    /// fox*              words that begin with it
    /// "red fox"         these words in this order
    /// -cat              not in the prompt
    /// prompt:fox        negative:blurry
    /// model:sdxl        tag:"first try"     board:Foxes    -tag:old    tag:2026*
    /// tag:*             -board:*            any tag; no board
    /// kind:sound        is:favourite        is:trash       is:rated    -is:favourite
    /// rating:5          rating:>=4          rating:2..4
    /// date:2026         date:2026-11        date:2026-11-01..2026-11-20    date:>=2026-11
    /// size:512x768      size:>=512          width:>1000    height:..512    pixels:>=1000000
    /// shape:landscape   shape:portrait      shape:square
    /// colour:red        colour:#22c1c3      -colour:black
    /// sort:oldest       sort:rating         sort:board
    /// ```
    ///
    /// Fields have Chinese names too, and a colon may be `：`.
    pub fn parse(text: &str) -> (Self, Vec<QueryNotice>) {
        let mut notices = Vec::new();
        let mut query = Self::default();
        for piece in pieces(text, &mut notices) {
            if let Err(notice) = query.take(piece) {
                notices.push(notice);
            }
        }
        (query, notices)
    }

    /// Reads a query that is still being typed: as [`LibraryQuery::parse`], but the last word may go
    /// on when nothing follows it.
    pub fn parse_begun(text: &str) -> (Self, Vec<QueryNotice>) {
        let (mut query, notices) = Self::parse(text);
        let is_open = text.chars().next_back().is_some_and(char::is_alphanumeric);
        let mut last = Vec::new();
        let pieces = pieces(text, &mut last);
        if let Some(piece) = pieces.last().filter(|piece| is_open && piece.field.is_none())
            && let Some(term) = query.terms.last_mut().filter(|term| term.text == piece.value)
        {
            term.is_begun = true;
        }
        (query, notices)
    }

    fn take(&mut self, piece: Piece) -> Result<(), QueryNotice> {
        let Some(name) = piece.field.clone() else {
            return self.take_term(piece, TextPart::Any);
        };
        let lower = name.to_lowercase();
        let field = FIELDS.iter().find(|(_, names)| names.contains(&lower.as_str()));
        let Some((field, _)) = field else {
            return Err(QueryNotice::UnknownField { field: name });
        };
        let bad = QueryNotice::BadValue { field: name.clone(), value: piece.value.clone() };
        let value = piece.value.trim();
        let fixed = matches!(
            field,
            Field::Rating
                | Field::Date
                | Field::Size
                | Field::Width
                | Field::Height
                | Field::Pixels
                | Field::Shape
                | Field::Sort
        );
        if piece.is_excluded && fixed {
            return Err(QueryNotice::NotExcludable { field: name });
        }
        match field {
            Field::Prompt => return self.take_term(piece, TextPart::Prompt),
            Field::Negative => return self.take_term(piece, TextPart::Negative),
            Field::Name(what) => {
                // `tag:*` stands for any tag, so `-board:*` finds what is on no board.
                let is_any = piece.is_begun && value.is_empty() && *what != Named::Model;
                if value.trim_end_matches('*').is_empty() && !is_any {
                    return Err(bad);
                }
                let name = format!("{value}{}", if piece.is_begun { "*" } else { "" });
                let is_excluded = piece.is_excluded;
                self.names.push(NameRule { what: *what, name, is_excluded });
            }
            Field::Kind => self.take_kind(one_of(&KINDS, value).ok_or(bad)?, piece.is_excluded),
            Field::Rating => {
                let span = span(value, |text| whole(text).filter(|stars| *stars <= 5_u8));
                self.rating.narrow(span.ok_or(bad)?);
            }
            Field::Date => self.days.narrow(days(value).ok_or(bad)?),
            Field::Size => {
                let (width, height) = size(value).ok_or(bad)?;
                self.size.width_px.narrow(width);
                self.size.height_px.narrow(height);
            }
            Field::Width => self.size.width_px.narrow(span(value, whole).ok_or(bad)?),
            Field::Height => self.size.height_px.narrow(span(value, whole).ok_or(bad)?),
            Field::Pixels => self.size.pixels.narrow(span(value, whole).ok_or(bad)?),
            Field::Shape => self.size.shape = Some(one_of(&SHAPES, value).ok_or(bad)?),
            Field::Colour => {
                let colour = Colour::named(value).ok_or(bad)?;
                self.colours.push(ColourRule { colour, is_excluded: piece.is_excluded });
            }
            Field::Is => return self.take_state(value, piece.is_excluded).ok_or(bad),
            Field::Sort => self.order = one_of(&ORDERS, value).ok_or(bad)?,
        }
        Ok(())
    }

    fn take_term(&mut self, piece: Piece, part: TextPart) -> Result<(), QueryNotice> {
        let Piece { is_excluded, value: text, is_begun, .. } = piece;
        if !has_words(&text) {
            return Err(QueryNotice::NoWords { text });
        }
        self.terms.push(Term { text, is_begun, is_excluded, part });
        Ok(())
    }

    fn take_kind(&mut self, kind: ResultKind, is_excluded: bool) {
        if is_excluded {
            if self.kinds.is_empty() {
                self.kinds = ResultKind::ALL.to_vec();
            }
            self.kinds.retain(|other| *other != kind);
        } else if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
        self.kinds.sort_unstable();
    }

    fn take_state(&mut self, value: &str, is_excluded: bool) -> Option<()> {
        match value.to_lowercase().as_str() {
            "favourite" | "favorite" | "fav" | "收藏" => self.is_favourite = Some(!is_excluded),
            "trash" | "trashed" | "回收站" if !is_excluded => self.place = SearchPlace::Trash,
            "trash" | "trashed" | "回收站" => self.place = SearchPlace::Kept,
            "rated" | "已评分" if !is_excluded => {
                self.rating.narrow(Span { from: Some(1), to: None });
            }
            "rated" | "已评分" => self.rating.narrow(Span { from: None, to: Some(0) }),
            _ => return None,
        }
        Some(())
    }
}

fn one_of<T: Copy>(table: &[(T, &[&str])], value: &str) -> Option<T> {
    let value = value.to_lowercase();
    table.iter().find(|(_, names)| names.contains(&value.as_str())).map(|(found, _)| *found)
}

/// Cuts a query's text at spaces outside quotation marks.
fn pieces(text: &str, notices: &mut Vec<QueryNotice>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut piece = Piece::default();
        // A hyphen alone, or two, excludes nothing.
        if let Some(after) = rest.strip_prefix('-')
            && after.chars().next().is_some_and(|next| next != '-' && !next.is_whitespace())
        {
            piece.is_excluded = true;
            rest = after;
        }
        if let Some((field, after)) = field_of(rest) {
            piece.field = Some(field.to_owned());
            rest = after;
        }
        let end;
        if let Some(after) = rest.strip_prefix(is_quote) {
            piece.is_quoted = true;
            if let Some(at) = after.find(is_quote) {
                let quote = after[at..].chars().next().map_or(1, char::len_utf8);
                after[..at].clone_into(&mut piece.value);
                rest = &after[at + quote..];
            } else {
                notices.push(QueryNotice::OpenQuote);
                after.clone_into(&mut piece.value);
                rest = "";
            }
            end = usize::from(rest.starts_with('*'));
            piece.is_begun = end == 1;
        } else {
            end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let word = &rest[..end];
            let begun = word.trim_end_matches('*');
            piece.is_begun = begun.len() < word.len();
            begun.clone_into(&mut piece.value);
        }
        rest = rest[end..].trim_start();
        pieces.push(piece);
    }
    pieces
}

fn is_quote(letter: char) -> bool {
    matches!(letter, '"' | '“' | '”' | '„')
}

/// Parts a field's name from what follows; a time of day or a proportion is no field.
fn field_of(text: &str) -> Option<(&str, &str)> {
    let at = text.find([':', '：'])?;
    let name = &text[..at];
    if name.is_empty() || !name.chars().all(char::is_alphabetic) {
        return None;
    }
    let colon = text[at..].chars().next().map_or(1, char::len_utf8);
    let after = &text[at + colon..];
    // An address is a word.
    (!after.starts_with("//")).then_some((name, after))
}

/// Reads one value, a comparison or a range.
fn span<T: Copy + Ord + Step>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Span<T>> {
    let open = Span::default();
    let after = |signs: [&str; 2]| {
        signs.into_iter().find_map(|sign| text.strip_prefix(sign)).map(str::trim)
    };
    let found = if let Some(rest) = after([">=", "≥"]) {
        Span { from: Some(read(rest)?), ..open }
    } else if let Some(rest) = after(["<=", "≤"]) {
        Span { to: Some(read(rest)?), ..open }
    } else if let Some(rest) = after([">", "＞"]) {
        Span { from: Some(read(rest)?.next()?), ..open }
    } else if let Some(rest) = after(["<", "＜"]) {
        Span { to: Some(read(rest)?.previous()?), ..open }
    } else if let Some((from, to)) = text.split_once("..") {
        let end = |text: &str| match text.trim() {
            "" => Some(None),
            text => read(text).map(Some),
        };
        let span = Span { from: end(from)?, to: end(to)? };
        return (!span.is_open()).then_some(span);
    } else {
        let value = read(text.strip_prefix('=').unwrap_or(text))?;
        Span { from: Some(value), to: Some(value) }
    };
    Some(found)
}

/// Is a number that has neighbours.
trait Step: Sized {
    fn next(self) -> Option<Self>;
    fn previous(self) -> Option<Self>;
}

macro_rules! step {
    ($($number:ty),*) => {$(
        impl Step for $number {
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }
        }
    )*};
}
step!(u8, u32, u64);

fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Reads `512x768`, or one span for both sides.
fn size(text: &str) -> Option<(Span<u32>, Span<u32>)> {
    let exactly = |side: u32| Span { from: Some(side), to: Some(side) };
    if let Some((width, height)) = text.split_once(['x', 'X', '×', '*']) {
        return Some((exactly(whole(width)?), exactly(whole(height)?)));
    }
    let span = span(text, whole)?;
    Some((span, span))
}

/// Reads a day, a month, a year, a comparison with one or a range of them.
fn days(text: &str) -> Option<Span<Day>> {
    let first = |text: &str| Day::span(text).map(|(first, _)| first);
    let last = |text: &str| Day::span(text).map(|(_, last)| last);
    let open = Span::default();
    if let Some(rest) = text.strip_prefix(">=").or_else(|| text.strip_prefix('≥')) {
        return Some(Span { from: Some(first(rest.trim())?), ..open });
    }
    if let Some(rest) = text.strip_prefix("<=").or_else(|| text.strip_prefix('≤')) {
        return Some(Span { to: Some(last(rest.trim())?), ..open });
    }
    if let Some((from, to)) = text.split_once("..") {
        let from = Some(from.trim()).filter(|text| !text.is_empty());
        let to = Some(to.trim()).filter(|text| !text.is_empty());
        if from.is_none() && to.is_none() {
            return None;
        }
        let span = Span {
            from: from.map(|text| first(text).ok_or(())).transpose().ok()?,
            to: to.map(|text| last(text).ok_or(())).transpose().ok()?,
        };
        return Some(span);
    }
    let (from, to) = Day::span(text)?;
    Some(Span { from: Some(from), to: Some(to) })
}
