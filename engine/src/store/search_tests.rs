//! Queries as they are typed, and what they find.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not so")]

use proptest::prelude::*;

use super::search::{
    ColourRule, Day, LibraryQuery, NameRule, Named, Page, QueryNotice, SearchOrder, SearchPlace,
    Shape, SizeRule, Span, Term, TextPart,
};
use super::tests::{request, seeds};
use super::*;
use crate::protocol::{DeviceChoice, ModelRef, MusicPlan, Size, TokenSampling};

fn parsed(text: &str) -> LibraryQuery {
    let (query, notices) = LibraryQuery::parse(text);
    assert!(notices.is_empty(), "{text}: {notices:?}");
    query
}

fn painted(
    store: &Store,
    seed: u64,
    words: [&str; 2],
    size: [u32; 2],
    rgb: [u8; 3],
) -> SavedResult {
    let mut request = request(seed);
    [request.prompt.text, request.prompt.negative] = words.map(str::to_owned);
    request.size = Size { width_px: size[0], height_px: size[1] };
    request.model = ModelRef::named(if seed.is_multiple_of(2) { "SDXL base_1.0" } else { "house" });
    let [red, green, blue] = rgb;
    let picture = Pixels::new(8, 8, [red, green, blue, 255].repeat(64)).unwrap();
    store.save_picture(&picture, &request, "").unwrap()
}

/// A library of five pictures.
fn shelf(folder: &std::path::Path) -> Store {
    let store = Store::open(folder).unwrap();
    painted(&store, 1, ["a red fox in the snow", "blurry, cat"], [512, 768], [220, 30, 30]);
    painted(&store, 2, ["a fox that is red", ""], [512, 512], [30, 60, 200]);
    painted(&store, 3, ["雪地里的红狐狸, café", ""], [256, 256], [240, 240, 240]);
    painted(&store, 4, ["an owl; foxglove", "fox"], [1024, 1024], [10, 10, 10]);
    painted(&store, 5, ["<lora:fox_v2:0.8> 红色的狐狸", "16:9"], [64, 64], [220, 30, 30]);
    store
}

fn find(store: &Store, text: &str) -> Vec<u64> {
    let found = store.search(&parsed(text), &Page::first(100)).unwrap();
    assert_eq!(found.total, found.rows.len(), "{text}");
    assert_eq!(found.next, None);
    seeds(&found.rows)
}

#[test]
fn words_phrases_beginnings_and_what_is_excluded_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = shelf(folder.path());
    for (text, expected) in [
        ("", [5, 4, 3, 2, 1].as_slice()),
        ("fox", &[5, 4, 2, 1]),
        ("FOX red", &[2, 1]),
        ("\"red fox\"", &[1]),
        ("“fox that”", &[2]),
        ("fox*", &[5, 4, 2, 1]),
        ("foxg*", &[4]),
        ("\"red fo\"*", &[1]),
        ("owl -fox", &[4]),
        ("fox -foxglove", &[5, 2, 1]),
        ("-fox", &[4, 3]),
        ("-cat", &[5, 4, 3, 2, 1]),
        ("-negative:fox fox", &[5, 2, 1]),
        ("prompt:fox", &[5, 2, 1]),
        ("negative:fox", &[4]),
        ("negative:\"blurry cat\"", &[1]),
        ("cafe", &[3]),
        ("16:9", &[5]),
        ("nothing", &[]),
        ("fox NOT owl", &[]),
    ] {
        assert_eq!(find(&store, text), expected, "{text}");
    }
}

#[test]
fn chinese_is_found_by_single_characters_and_by_phrases() {
    let folder = tempfile::tempdir().unwrap();
    let store = shelf(folder.path());
    for (text, expected) in [
        ("狐狸", [5, 3].as_slice()),
        ("红狐狸", &[3]),
        ("红", &[5, 3]),
        ("红 狐", &[5, 3]),
        ("雪地里的红狐*", &[3]),
        ("狐狸 -雪", &[5]),
        ("狸狐", &[]),
    ] {
        assert_eq!(find(&store, text), expected, "{text}");
    }
}

#[test]
fn what_results_are_and_what_was_said_of_them_narrows_the_search() {
    let folder = tempfile::tempdir().unwrap();
    let store = shelf(folder.path());
    let sound = SoundRequest {
        model: ModelRef::named("house-composer"),
        prompt: "a fox's waltz".to_owned(),
        plan: MusicPlan::default(),
        given: None,
        sampling: TokenSampling::default(),
        seed: 6,
        device: DeviceChoice::Auto,
    };
    let pcm = Pcm { sample_rate_hz: 48_000, channels: 1, samples: vec![0.1; 4800] };
    let score = Score {
        ticks_per_quarter: 4,
        tempo_bpm: 90.0,
        metre: crate::protocol::Metre { beats: 3, unit: 4 },
        key: None,
        tracks: Vec::new(),
    };
    store.save_sound(&pcm, &score, &sound, "").unwrap();
    store.set_rating(&[1], 5).unwrap();
    store.set_rating(&[3], 2).unwrap();
    store.set_favourite(&[2, 3], true).unwrap();
    store.add_tags(&[1, 2], &["winter", "100%"]).unwrap();
    store.add_tags(&[3], &["winter night"]).unwrap();
    let board = store.add_board("Best of").unwrap();
    store.add_to_board(&board, &[4, 1]).unwrap();
    store.trash(5).unwrap();
    let today = store.home().index().local_date(recovery::now_ms()).unwrap();
    let (month, year) = (&today[..7], &today[..4]);
    for (text, expected) in [
        ("kind:sound", [6].as_slice()),
        ("-kind:sound fox", &[4, 2, 1]),
        ("kind:picture kind:sound fox", &[6, 4, 2, 1]),
        ("类型：图片 颜色：红色", &[1]),
        ("model:sdxl", &[4, 2]),
        ("model:E_1", &[4, 2]),
        ("-model:house", &[4, 2]),
        ("rating:>=3", &[1]),
        ("rating:1..4", &[3]),
        ("rating:<1 kind:picture", &[4, 2]),
        ("is:rated", &[3, 1]),
        ("-is:rated", &[6, 4, 2]),
        ("is:favourite", &[3, 2]),
        ("-is:favourite", &[6, 4, 1]),
        ("tag:winter", &[2, 1]),
        ("tag:winter*", &[3, 2, 1]),
        ("tag:\"winter night\"", &[3]),
        ("tag:100%", &[2, 1]),
        ("tag:1%", &[]),
        ("-tag:winter", &[6, 4, 3]),
        ("board:\"best of\"", &[4, 1]),
        ("board:\"best of\" sort:board", &[4, 1]),
        ("board:best* sort:board", &[4, 1]),
        ("board:*", &[4, 1]),
        ("-board:*", &[6, 3, 2]),
        ("-tag:* kind:picture", &[4]),
        ("标签：*", &[3, 2, 1]),
        ("is:trash", &[5]),
        ("is:trash fox", &[5]),
        ("size:>=512", &[4, 2, 1]),
        ("size:512x768", &[1]),
        ("size:<512", &[3]),
        ("width:512 height:>512", &[1]),
        ("pixels:>=393216", &[4, 1]),
        ("shape:portrait", &[1]),
        ("shape:landscape", &[]),
        ("形状：方形", &[4, 3, 2]),
        ("colour:red", &[1]),
        ("color:#2040d0", &[2]),
        ("-colour:red kind:picture", &[4, 3, 2]),
        ("sort:oldest fox", &[1, 2, 4, 6]),
        ("sort:rating", &[1, 3, 6, 4, 2]),
        (&format!("date:{today}"), &[6, 4, 3, 2, 1]),
        (&format!("date:{month} fox"), &[6, 4, 2, 1]),
        (&format!("date:{year}..{today} owl"), &[4]),
        (&format!("date:>={today} owl"), &[4]),
        ("date:..2001-02-03", &[]),
        ("date:2001", &[]),
    ] {
        assert_eq!(find(&store, text), expected, "{text}");
        let query = parsed(text);
        assert_eq!(parsed(&query.to_string()), query, "{text}");
    }
    let models = store.models().unwrap();
    let expected = [("SDXL base_1.0", 2), ("house", 2), ("house-composer", 1)];
    assert_eq!(models, expected.map(|(name, count)| (name.to_owned(), count)));
    assert!(!LibraryQuery::parse("model:*").1.is_empty());
}

#[test]
fn pages_go_on_where_the_last_ended_whatever_comes_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for seed in 1..=9 {
        let id = painted(&store, seed, ["a fox", ""], [64, 64], [0, 0, 0]).id;
        store.set_rating(&[id], (seed % 3) as u8).unwrap();
    }
    let board = store.add_board("b").unwrap();
    store.add_to_board(&board, &[3, 1, 2, 9, 5]).unwrap();
    for (text, expected) in [
        ("", [9, 8, 7, 6, 5, 4, 3, 2, 1].as_slice()),
        ("fox sort:oldest", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("sort:rating", &[8, 5, 2, 7, 4, 1, 9, 6, 3]),
        ("fox sort:rating", &[8, 5, 2, 7, 4, 1, 9, 6, 3]),
        ("board:b sort:board fox", &[3, 1, 2, 9, 5]),
    ] {
        let query = parsed(text);
        assert_eq!(store.search_ids(&query).unwrap().len(), expected.len());
        for limit in [1, 2, 4, 100] {
            let mut page = Page::first(limit);
            let mut got = Vec::new();
            loop {
                let found = store.search(&query, &page).unwrap();
                assert_eq!(found.total, expected.len());
                assert!(found.rows.len() <= limit);
                got.extend(seeds(&found.rows));
                page.after = found.next;
                if page.after.is_none() {
                    break;
                }
            }
            assert_eq!(got, expected, "{text} by {limit}");
        }
    }
    let first = store.search(&parsed("fox"), &Page::first(3)).unwrap();
    painted(&store, 10, ["a fox", ""], [64, 64], [0, 0, 0]);
    store.trash(first.rows[2].id).unwrap();
    let second = store.search(&parsed("fox"), &Page { limit: 2, after: first.next }).unwrap();
    assert_eq!(seeds(&second.rows), [6, 5]);
    assert!(store.search(&parsed("fox"), &Page::first(0)).unwrap().rows.is_empty());
}

#[test]
fn a_query_is_read_field_by_field() {
    let query = parsed("fox -\"two words\" model:sd* rating:3 date:2024-02 is:fav sort:rating");
    let day = |text: &str| Day::span(text).map(|(first, _)| first);
    let term = |text: &str, is_excluded| Term {
        text: text.to_owned(),
        is_begun: false,
        is_excluded,
        part: TextPart::Any,
    };
    assert_eq!(query.terms, [term("fox", false), term("two words", true)]);
    let model = NameRule { what: Named::Model, name: "sd*".to_owned(), is_excluded: false };
    assert_eq!(query.names, [model]);
    assert_eq!(query.rating, Span { from: Some(3), to: Some(3) });
    assert_eq!(query.days, Span { from: day("2024-02-01"), to: day("2024-02-29") });
    assert_eq!((query.is_favourite, query.order), (Some(true), SearchOrder::Rating));
    let narrowed = parsed("rating:>=2 rating:<5 rating:1..4").rating;
    assert_eq!(narrowed, Span { from: Some(2), to: Some(4) });
    let (begun, _) = LibraryQuery::parse_begun("red fo");
    assert_eq!(begun.terms.iter().map(|term| term.is_begun).collect::<Vec<_>>(), [false, true]);
    assert!(!LibraryQuery::parse_begun("fo ").0.terms[0].is_begun);
    assert!(!LibraryQuery::parse_begun("fo tag:x").0.terms[0].is_begun);
}

#[test]
fn what_is_not_understood_is_told_and_the_rest_is_used() {
    let (query, notices) = LibraryQuery::parse(
        "fox artist:someone rating:9 date:2026-13 -size:3 colour:loud !!! is:odd tag: owl \"end",
    );
    let words: Vec<&str> = query.terms.iter().map(|term| term.text.as_str()).collect();
    assert_eq!(words, ["fox", "owl", "end"]);
    assert_eq!(LibraryQuery { terms: Vec::new(), ..query }, LibraryQuery::default());
    let bad = |field: &str, value: &str| QueryNotice::BadValue {
        field: field.to_owned(),
        value: value.to_owned(),
    };
    let expected = [
        QueryNotice::OpenQuote,
        QueryNotice::UnknownField { field: "artist".to_owned() },
        bad("rating", "9"),
        bad("date", "2026-13"),
        QueryNotice::NotExcludable { field: "size".to_owned() },
        bad("colour", "loud"),
        QueryNotice::NoWords { text: "!!!".to_owned() },
        bad("is", "odd"),
        bad("tag", ""),
    ];
    assert_eq!(notices, expected);
    assert!(notices.iter().all(|notice| !notice.to_string().is_empty()));
}

fn span<T: Clone + std::fmt::Debug + Ord>(
    value: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Span<T>> {
    (proptest::option::of(value.clone()), proptest::option::of(value)).prop_map(|(one, other)| {
        match (one, other) {
            (Some(one), Some(other)) if one > other => Span { from: Some(other), to: Some(one) },
            (from, to) => Span { from, to },
        }
    })
}

fn any_query() -> impl Strategy<Value = LibraryQuery> {
    let part = prop_oneof![Just(TextPart::Any), Just(TextPart::Prompt), Just(TextPart::Negative),];
    let term = ("[a-z狐]{1,4}( [a-z:-]{0,3}[a-z])?", any::<[bool; 2]>(), part).prop_map(
        |(text, [is_begun, is_excluded], part)| Term { text, is_begun, is_excluded, part },
    );
    let what = prop_oneof![Just(Named::Model), Just(Named::Tag), Just(Named::Board)];
    let name = (what, "[a-z狐]{1,3}[ :.-]?[a-z]\\*?", any::<bool>())
        .prop_map(|(what, name, is_excluded)| NameRule { what, name, is_excluded });
    let day = (1970_u16..2100, 1_u8..=12, 1_u8..=28)
        .prop_map(|(year, month, day)| Day::new(year, month, day).unwrap());
    let colour = (prop_oneof![Just(Colour::Red), Just(Colour::Grey)], any::<bool>())
        .prop_map(|(colour, is_excluded)| ColourRule { colour, is_excluded });
    let shape = proptest::option::of(proptest::sample::select(Shape::ALL.to_vec()));
    let size = (span(1_u32..5000), span(1_u32..5000), span(1_u64..9_000_000), shape).prop_map(
        |(width_px, height_px, pixels, shape)| SizeRule { width_px, height_px, pixels, shape },
    );
    let kinds = proptest::sample::subsequence(ResultKind::ALL.to_vec(), 0..=2);
    let order = prop_oneof![
        Just(SearchOrder::Newest),
        Just(SearchOrder::Oldest),
        Just(SearchOrder::Rating),
        Just(SearchOrder::Board),
    ];
    let place = prop_oneof![Just(SearchPlace::Kept), Just(SearchPlace::Trash)];
    (
        proptest::collection::vec(term, 0..4),
        proptest::collection::vec(name, 0..3),
        kinds,
        span(0_u8..=5),
        span(day),
        size,
        proptest::collection::vec(colour, 0..3),
        any::<Option<bool>>(),
        place,
        order,
    )
        .prop_map(|(terms, names, kinds, rating, days, size, colours, fav, place, order)| {
            LibraryQuery {
                terms,
                names,
                kinds,
                rating,
                days,
                size,
                colours,
                is_favourite: fav,
                place,
                order,
            }
        })
}

proptest! {
    #[test]
    fn a_query_that_is_written_is_read_as_the_same(query in any_query()) {
        let text = query.to_string();
        let (again, notices) = LibraryQuery::parse(&text);
        prop_assert_eq!(&notices, &Vec::new(), "{}", text);
        prop_assert_eq!(again, query, "{}", text);
    }

    #[test]
    fn any_text_is_read_and_run_without_failing(
        text in "([a-z狐]{0,6}|[-:\"*.>=<x0-9()^'%_ ]{0,5}|tag:|date:|NEAR|AND|OR| ){0,8}"
    ) {
        thread_local! {
            static STORE: (tempfile::TempDir, Store) = {
                let folder = tempfile::tempdir().unwrap();
                let store = shelf(folder.path());
                (folder, store)
            };
        }
        let (query, _) = LibraryQuery::parse(&text);
        let found = STORE.with(|(_, store)| store.search(&query, &Page::first(3)));
        prop_assert!(found.is_ok(), "{}: {:?}", text, found);
        let (query, _) = LibraryQuery::parse_begun(&text);
        prop_assert!(STORE.with(|(_, store)| store.search_ids(&query)).is_ok(), "{}", text);
    }
}
