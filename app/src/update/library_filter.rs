//! Filters of the library room: each changes the query, which is written into the search field, so
//! that one text says everything that is looked for.

use atelier_engine::store::search::{
    ColourRule, LibraryQuery, NameRule, Named, SearchOrder, SearchPlace, SizeRule, Span,
};

use crate::action::FilterAction;
use crate::state::library::Shelf;

/// The name of a rule that stands for any.
const ANY: &str = "*";

/// Changes a query as a menu asks.
pub fn filter(query: &mut LibraryQuery, action: FilterAction) {
    match action {
        FilterAction::Kind(kind) => query.kinds = kind.into_iter().collect(),
        FilterAction::Rating(0) => query.rating = Span::default(),
        FilterAction::Rating(stars) => {
            query.rating = Span { from: Some(stars.min(5)), to: None };
        }
        FilterAction::Favourites(only) => query.is_favourite = only.then_some(true),
        FilterAction::Model(model) => {
            query.names.retain(|rule| rule.what != Named::Model);
            query.names.extend(model.map(|name| rule(Named::Model, name)));
        }
        FilterAction::Tag(tag, is_wanted) => {
            let is_same = |rule: &NameRule| {
                rule.what == Named::Tag && rule.name.to_lowercase() == tag.to_lowercase()
            };
            query.names.retain(|rule| !is_same(rule) && !is_any(rule, Named::Tag));
            if is_wanted {
                query.names.push(rule(Named::Tag, tag));
            }
        }
        FilterAction::Untagged(only) => {
            query.names.retain(|rule| rule.what != Named::Tag);
            if only {
                query.names.push(NameRule { is_excluded: true, ..rule(Named::Tag, ANY) });
            }
        }
        FilterAction::Colour(colour, is_wanted) => {
            query.colours.retain(|rule| rule.colour != colour);
            if is_wanted {
                query.colours.push(ColourRule { colour, is_excluded: false });
            }
        }
        FilterAction::Shape(shape) => query.size.shape = shape,
        FilterAction::Side(side) => {
            let least = Span { from: side, to: None };
            let shape = query.size.shape;
            query.size =
                SizeRule { width_px: least, height_px: least, shape, ..SizeRule::default() };
        }
        FilterAction::Days(days) => query.days = days,
        FilterAction::Order(order) => query.order = order,
        FilterAction::Clear => {
            let is_board = |rule: &NameRule| rule.what == Named::Board;
            let names = query.names.iter().filter(|rule| is_board(rule)).cloned().collect();
            *query = LibraryQuery {
                terms: std::mem::take(&mut query.terms),
                names,
                order: query.order,
                ..LibraryQuery::default()
            };
        }
    }
}

fn rule(what: Named, name: impl Into<String>) -> NameRule {
    NameRule { what, name: name.into(), is_excluded: false }
}

fn is_any(rule: &NameRule, what: Named) -> bool {
    rule.what == what && rule.name == ANY
}

/// Has a query look at one part of the library.
pub(super) fn show(query: &mut LibraryQuery, shelf: Shelf) {
    query.names.retain(|rule| rule.what != Named::Board);
    query.is_favourite = None;
    query.place = SearchPlace::Kept;
    if query.order == SearchOrder::Board {
        query.order = SearchOrder::Newest;
    }
    match shelf {
        Shelf::All => {}
        Shelf::Favourites => query.is_favourite = Some(true),
        Shelf::Unboarded => {
            query.names.push(NameRule { is_excluded: true, ..rule(Named::Board, ANY) });
        }
        Shelf::Board(name) => query.names.push(rule(Named::Board, name)),
    }
}

/// Returns the part of the library that a query looks at, where it is one.
pub fn shelf_of(query: &LibraryQuery) -> Option<Shelf> {
    let mut boards = query.names.iter().filter(|rule| rule.what == Named::Board);
    if query.place != SearchPlace::Kept {
        return None;
    }
    match (boards.next(), boards.next(), query.is_favourite) {
        (None, _, None) => Some(Shelf::All),
        (None, _, Some(true)) => Some(Shelf::Favourites),
        (Some(rule), None, None) if rule.name == ANY => {
            rule.is_excluded.then_some(Shelf::Unboarded)
        }
        (Some(rule), None, None) if !rule.is_excluded => Some(Shelf::Board(rule.name.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use atelier_engine::store::search::{Day, Shape};
    use atelier_engine::store::{Colour, ResultKind};

    use super::*;

    #[test]
    fn every_filter_is_written_into_the_query_and_taken_away_again() {
        let day = Day::new(2026, 11, 23);
        let cases = [
            (FilterAction::Kind(Some(ResultKind::Sound)), "fox kind:sound"),
            (FilterAction::Kind(None), "fox"),
            (FilterAction::Rating(4), "fox rating:>=4"),
            (FilterAction::Rating(0), "fox"),
            (FilterAction::Favourites(true), "fox is:favourite"),
            (FilterAction::Favourites(false), "fox"),
            (FilterAction::Model(Some("SDXL base".to_owned())), "fox model:\"SDXL base\""),
            (FilterAction::Model(Some("other".to_owned())), "fox model:other"),
            (FilterAction::Model(None), "fox"),
            (FilterAction::Tag("winter".to_owned(), true), "fox tag:winter"),
            (FilterAction::Tag("Night".to_owned(), true), "fox tag:winter tag:Night"),
            (FilterAction::Tag("Winter".to_owned(), false), "fox tag:Night"),
            (FilterAction::Untagged(true), "fox -tag:*"),
            (FilterAction::Tag("winter".to_owned(), true), "fox tag:winter"),
            (FilterAction::Untagged(false), "fox"),
            (FilterAction::Colour(Colour::Red, true), "fox colour:red"),
            (FilterAction::Colour(Colour::Red, false), "fox"),
            (FilterAction::Shape(Some(Shape::Portrait)), "fox shape:portrait"),
            (FilterAction::Side(Some(512)), "fox width:>=512 height:>=512 shape:portrait"),
            (FilterAction::Side(None), "fox shape:portrait"),
            (
                FilterAction::Days(Span { from: day, to: None }),
                "fox date:>=2026-11-23 shape:portrait",
            ),
            (
                FilterAction::Order(SearchOrder::Oldest),
                "fox date:>=2026-11-23 shape:portrait sort:oldest",
            ),
            (FilterAction::Clear, "fox sort:oldest"),
        ];
        let mut query = LibraryQuery::parse("fox").0;
        for (action, expected) in cases {
            let said = format!("{action:?}");
            filter(&mut query, action);
            assert_eq!(query.to_string(), expected, "{said}");
            assert_eq!(LibraryQuery::parse(expected).0, query, "{said}");
        }
    }

    #[test]
    fn a_part_of_the_library_stands_in_the_query_in_the_place_of_the_last() {
        let mut query = LibraryQuery::parse("fox rating:5").0;
        for (shelf, expected) in [
            (Shelf::Favourites, "fox rating:5 is:favourite"),
            (Shelf::Unboarded, "fox -board:* rating:5"),
            (Shelf::Board("Best of".to_owned()), "fox board:\"Best of\" rating:5"),
            (Shelf::All, "fox rating:5"),
        ] {
            show(&mut query, shelf.clone());
            assert_eq!(query.to_string(), expected);
            assert_eq!(shelf_of(&query), Some(shelf));
        }
        assert_eq!(shelf_of(&LibraryQuery::parse("is:trash").0), None);
        assert_eq!(shelf_of(&LibraryQuery::parse("-board:a").0), None);
    }
}
