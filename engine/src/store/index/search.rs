//! Queries as SQL. What filters read stands in the index `results_facts`, so that no row is opened
//! before it is shown.

use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};

use crate::error::EngineError;

use super::super::search::{
    LibraryQuery, NameRule, Named, PageKey, SearchOrder, SearchPlace, Shape, Span, Term, TextPart,
};
use super::super::words::{folded, has_words, spaced};
use super::Index;

/// Looking up this many trashed and missing results one by one takes some milliseconds.
const MOST_HIDDEN: i64 = 200;

/// Holds a query that is ready to run.
#[derive(Debug, Clone)]
pub(in crate::store) struct Search {
    from: String,
    conditions: Vec<String>,
    values: Vec<Value>,
    order: SearchOrder,
    has_words: bool,
    /// What FTS5 reads, when nothing but words is asked for.
    only_words: Option<String>,
}

impl Search {
    /// Adds a value and returns how SQL names it.
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn condition(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    fn span<T: Into<i64> + Copy>(&mut self, column: &str, span: Span<T>) {
        for (sign, end) in [(">=", span.from), ("<=", span.to)] {
            if let Some(end) = end {
                let value = self.value(end.into());
                self.condition(format!("{column} {sign} {value}"));
            }
        }
    }

    fn names(&mut self, rule: &NameRule) {
        let not = if rule.is_excluded { "NOT " } else { "" };
        let pattern =
            |name: &str| name.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let sql = match rule.what {
            Named::Model => {
                let name = self.value(format!("%{}%", pattern(rule.name.trim_end_matches('*'))));
                self.condition(format!("results.model {not}LIKE {name} ESCAPE '\\'"));
                return;
            }
            Named::Tag => "SELECT result_id FROM result_tags JOIN tags ON tags.id = tag_id",
            Named::Board => {
                "SELECT result_id FROM board_results JOIN boards ON boards.id = board_id"
            }
        };
        let name = folded(&rule.name);
        let comparison = match name.strip_suffix('*') {
            Some(begun) => {
                let value = self.value(format!("{}%", pattern(begun)));
                format!("folded LIKE {value} ESCAPE '\\'")
            }
            None => format!("folded = {}", self.value(name)),
        };
        self.condition(format!("results.id {not}IN ({sql} WHERE {comparison})"));
    }
}

impl Index {
    /// Makes SQL of a query.
    pub(in crate::store) fn prepare_search(
        &self,
        query: &LibraryQuery,
    ) -> Result<Search, EngineError> {
        let mut search = Search {
            from: "results INDEXED BY results_facts".to_owned(),
            conditions: Vec::new(),
            values: Vec::new(),
            order: query.order,
            has_words: false,
            only_words: None,
        };
        let place = match query.place {
            SearchPlace::Kept => 0,
            SearchPlace::Trash => 1,
        };
        search.condition(format!("results.place = {place}"));
        let (wanted, mut excluded) = matches(&query.terms);
        if let Some(mut wanted) = wanted {
            if let Some(excluded) = excluded.take() {
                wanted = format!("({wanted}) NOT ({excluded})");
            }
            search.only_words = Some(wanted.clone());
            search.has_words = true;
            search.from = "words CROSS JOIN results INDEXED BY results_facts".to_owned();
            let value = search.value(wanted);
            search.condition(format!("words MATCH {value} AND results.id = words.rowid"));
        }
        if let Some(excluded) = excluded {
            let value = search.value(excluded);
            let found = format!("SELECT rowid FROM words WHERE words MATCH {value}");
            search.condition(format!("results.id NOT IN ({found})"));
        }
        for rule in &query.names {
            search.names(rule);
        }
        if !query.kinds.is_empty() {
            let kinds: Vec<String> =
                query.kinds.iter().map(|kind| search.value(kind.id().to_owned())).collect();
            search.condition(format!("results.kind IN ({})", kinds.join(", ")));
        }
        search.span("results.rating", query.rating);
        search.span("results.created_ms", self.moments(query)?);
        search.span("results.width_px", query.size.width_px);
        search.span("results.height_px", query.size.height_px);
        let pixels = |end: Option<u64>| end.map(|end| i64::try_from(end).unwrap_or(i64::MAX));
        let pixels =
            Span { from: pixels(query.size.pixels.from), to: pixels(query.size.pixels.to) };
        search.span("results.width_px * results.height_px", pixels);
        if let Some(shape) = query.size.shape {
            let sign = match shape {
                Shape::Landscape => ">",
                Shape::Portrait => "<",
                Shape::Square => "=",
            };
            search.condition(format!("results.width_px {sign} results.height_px"));
            search.condition("results.width_px > 0".to_owned());
        }
        if !(query.size.width_px.is_open() && query.size.height_px.is_open() && pixels.is_open()) {
            // What is no picture has no size.
            search.condition("results.width_px > 0".to_owned());
        }
        for rule in &query.colours {
            let sign = if rule.is_excluded { "=" } else { "<>" };
            search.condition(format!("results.colours & {} {sign} 0", rule.colour.bit()));
        }
        if let Some(is_favourite) = query.is_favourite {
            search.condition(format!("results.is_favourite = {}", u8::from(is_favourite)));
        }
        // The place and the words.
        if search.conditions.len() > 2 || query.place != SearchPlace::Kept {
            search.only_words = None;
        }
        if query.order == SearchOrder::Board {
            let is_board = |rule: &&NameRule| {
                rule.what == Named::Board && !rule.is_excluded && !rule.name.ends_with('*')
            };
            match query.names.iter().find(is_board) {
                Some(rule) => {
                    search.only_words = None;
                    let name = search.value(folded(&rule.name));
                    search.from += " CROSS JOIN board_results AS ordered";
                    search.condition(format!(
                        "ordered.result_id = results.id AND ordered.board_id =
                            (SELECT id FROM boards WHERE folded = {name})"
                    ));
                }
                None => search.order = SearchOrder::Newest,
            }
        }
        Ok(search)
    }

    /// Returns the moments between which the days of a query lie, in milliseconds since 1970.
    fn moments(&self, query: &LibraryQuery) -> Result<Span<i64>, EngineError> {
        let moment = |day: String, later: &str| -> Result<i64, EngineError> {
            let sql = "SELECT CAST(strftime('%s', ?1, ?2, 'utc') AS INTEGER) * 1000";
            let found = self.rows(sql, params![day, later], |row| row.get(0))?;
            Ok(found.first().copied().unwrap_or(0))
        };
        let from = query.days.from.map(|day| moment(day.to_string(), "+0 days")).transpose()?;
        let to = query.days.to.map(|day| moment(day.to_string(), "+1 day")).transpose()?;
        Ok(Span { from, to: to.map(|end| end - 1) })
    }

    /// Counts what a query finds.
    pub(in crate::store) fn count_found(&self, search: &Search) -> Result<usize, EngineError> {
        if let Some(words) = &search.only_words
            && let Some(count) = self.count_words(words)?
        {
            return Ok(count);
        }
        let Search { from, conditions, values, .. } = search;
        let sql = format!("SELECT count(*) FROM {from} WHERE {}", conditions.join(" AND "));
        let found = self.rows(&sql, params_from_iter(values), |row| row.get::<_, i64>(0))?;
        Ok(found.first().and_then(|count| usize::try_from(*count).ok()).unwrap_or(0))
    }

    /// Counts kept results that have words, without looking at each; `None` when so many are not kept
    /// that looking at each is faster.
    fn count_words(&self, words: &str) -> Result<Option<usize>, EngineError> {
        let sql = "SELECT id FROM results INDEXED BY results_facts WHERE place > 0 LIMIT ?1";
        let hidden: Vec<i64> = self.rows(sql, [MOST_HIDDEN + 1], |row| row.get(0))?;
        if hidden.len() as i64 > MOST_HIDDEN {
            return Ok(None);
        }
        let sql = "SELECT count(*) FROM words WHERE words MATCH ?1";
        let mut count = self.rows(sql, [words], |row| row.get::<_, i64>(0))?.pop().unwrap_or(0);
        for id in hidden {
            let sql = "SELECT 1 FROM words WHERE words MATCH ?1 AND rowid = ?2";
            count -= self.rows(sql, params![words, id], |_| Ok(()))?.len() as i64;
        }
        Ok(Some(usize::try_from(count).unwrap_or(0)))
    }

    /// Lists models of kept results with their numbers, the most frequent first.
    pub(in crate::store) fn models(&self) -> Result<Vec<(String, usize)>, EngineError> {
        let sql = "SELECT model, count(*) FROM results INDEXED BY results_facts
            WHERE place = 0 AND model <> '' GROUP BY model ORDER BY count(*) DESC, model";
        let rows = self.rows(sql, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
        Ok(rows.into_iter().map(|(name, n)| (name, usize::try_from(n).unwrap_or(0))).collect())
    }

    /// Lists what a query finds after a key.
    pub(in crate::store) fn find(
        &self,
        search: &Search,
        limit: usize,
        after: Option<PageKey>,
    ) -> Result<Vec<PageKey>, EngineError> {
        let mut search = search.clone();
        // Full-text search lists by itself in the order of its own numbers.
        let id = if search.has_words { "words.rowid" } else { "results.id" };
        let (value, order, is_after) = match search.order {
            SearchOrder::Newest => ("0.0", format!("{id} DESC"), format!("{id} < {{id}}")),
            SearchOrder::Oldest => ("0.0", id.to_owned(), format!("{id} > {{id}}")),
            SearchOrder::Rating => (
                "results.rating",
                "results.rating DESC, results.id DESC".to_owned(),
                "(results.rating, results.id) < ({value}, {id})".to_owned(),
            ),
            SearchOrder::Board => (
                "ordered.position",
                "ordered.position, results.id".to_owned(),
                "(ordered.position, results.id) > ({value}, {id})".to_owned(),
            ),
        };
        if let Some(key) = after {
            let (last, last_id) = (search.value(key.value), search.value(key.id));
            search.condition(is_after.replace("{value}", &last).replace("{id}", &last_id));
            // Both are bound, used or not.
            search.condition(format!("{last} IS NOT NULL"));
        }
        let limit = search.value(i64::try_from(limit).unwrap_or(i64::MAX));
        let Search { from, conditions, values, .. } = search;
        let conditions = conditions.join(" AND ");
        let sql = format!(
            "SELECT CAST({value} AS REAL), results.id FROM {from} WHERE {conditions}
             ORDER BY {order} LIMIT {limit}"
        );
        self.rows(&sql, params_from_iter(values), |row| {
            Ok(PageKey { value: row.get(0)?, id: row.get(1)? })
        })
    }
}

/// Makes what FTS5 reads of terms: of those that are wanted and of those that are not.
fn matches(terms: &[Term]) -> (Option<String>, Option<String>) {
    let expression = |term: &Term| {
        let part = match (term.part, term.is_excluded) {
            (TextPart::Any, false) => "",
            (TextPart::Any, true) | (TextPart::Prompt, _) => "prompt : ",
            (TextPart::Negative, _) => "negative : ",
        };
        let star = if term.is_begun { " *" } else { "" };
        format!("{part}\"{}\"{star}", spaced(&term.text).replace('"', "\"\""))
    };
    let joined = |is_excluded: bool, by: &str| {
        let chosen =
            terms.iter().filter(|term| term.is_excluded == is_excluded && has_words(&term.text));
        let parts: Vec<String> = chosen.map(expression).collect();
        (!parts.is_empty()).then(|| parts.join(by))
    };
    (joined(false, " AND "), joined(true, " OR "))
}
