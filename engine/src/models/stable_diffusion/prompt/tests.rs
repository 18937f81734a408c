use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

static CLIP: LazyLock<ClipTokenizer> = LazyLock::new(|| ClipTokenizer::new().expect("a tokenizer"));

fn read_with(prompt: &str, change: impl FnOnce(&mut PromptSettings<'_>)) -> ReadPrompt {
    read_named(prompt, &[], change)
}

fn read_named(
    prompt: &str,
    embeddings: &[EmbeddingName],
    change: impl FnOnce(&mut PromptSettings<'_>),
) -> ReadPrompt {
    let lists = [("colour".to_owned(), vec!["dark red".to_owned(), "blue".to_owned()])];
    let wildcards = lists.into_iter().collect();
    let mut settings = PromptSettings::new(10, 7, &wildcards);
    settings.knows_lora = &|name| name == "known";
    settings.embeddings = embeddings;
    change(&mut settings);
    read_prompt(prompt, &CLIP, &settings).expect("a prompt")
}

fn read(prompt: &str) -> ReadPrompt {
    read_with(prompt, |_| ())
}

fn kinds(read: &ReadPrompt) -> Vec<NoticeKind> {
    read.notices.iter().map(|notice| notice.kind.clone()).collect()
}

#[test]
fn a_prompt_is_shown_token_by_token_with_places_weights_and_chunks() {
    let prompt = "a (red:1.3) fox BREAK __colour__ hat <lora:known:0.5>";
    let read = read(prompt);
    let pieces = &read.stretches[0].pieces;
    let shown: Vec<_> =
        pieces.iter().map(|p| (&prompt[p.source.clone()], p.weight, p.chunk)).collect();
    assert_eq!(shown[..3], [("a", 1.0, 0), ("red", 1.3, 0), ("fox", 1.0, 0)]);
    assert_eq!(shown.last(), Some(&("hat", 1.0, 1)));
    let chosen = &pieces[3..pieces.len() - 1];
    assert!(chosen.iter().all(|p| &prompt[p.source.clone()] == "__colour__" && p.chunk == 1));
    assert_eq!(read.loras.len(), 1);
    assert_eq!((read.loras[0].name.as_str(), read.loras[0].unet_weight), ("known", 0.5));
    assert_eq!(&prompt[read.loras[0].source.clone()], "<lora:known:0.5>");
    assert_eq!(read.notices, []);
}

#[test]
fn what_has_no_effect_is_told_with_its_place() {
    let prompt = "a AND b <lora:other:1> <hypernet:h:1> __none__ {2$$x|x}";
    let read = read(prompt);
    let told: Vec<_> =
        read.notices.iter().map(|n| (n.kind.clone(), &prompt[n.source.clone()])).collect();
    assert_eq!(
        told,
        [
            (NoticeKind::UnsupportedAnd, "AND"),
            (NoticeKind::UnknownLora("other".into()), "<lora:other:1>"),
            (NoticeKind::UnsupportedNetwork("hypernet".into()), "<hypernet:h:1>"),
            (NoticeKind::UnknownWildcard("none".into()), "__none__"),
            (NoticeKind::UnsupportedChoice, "2$$"),
        ]
    );
    assert_eq!(kinds(&self::read("BRAND ANDY")), []);
}

#[test]
fn steps_are_counted_from_nought_when_asked_for() {
    let read = read("[cat:dog:0.3]");
    let word = |step| read.at_step(step).map(|stretch| stretch.pieces[0].text.clone());
    for step in 0..3 {
        assert_eq!(word(step).as_deref(), Some("cat"), "{step}");
    }
    for step in [3, 9, 10, 1000] {
        assert_eq!(word(step).as_deref(), Some("dog"), "{step}");
    }
}

#[test]
fn a_textual_inversion_takes_as_many_places_as_it_has_vectors() {
    let names = [
        EmbeddingName { name: "bad hands".into(), vectors: 3 },
        EmbeddingName { name: "bad".into(), vectors: 1 },
        EmbeddingName { name: "bad hands v5".into(), vectors: 75 },
    ];
    let read = |prompt: &str| read_named(prompt, &names, |_| ());
    let found = read("a (Bad Hands:1.5) b bad c");
    let chunk = &found.stretches[0].chunks[0];
    assert_eq!(
        chunk.reserved,
        [
            Reserved { at: 2, embedding: 0, vectors: 3 },
            Reserved { at: 6, embedding: 1, vectors: 1 }
        ]
    );
    assert_eq!(chunk.ids[2..5], [0; 3]);
    assert_eq!(chunk.weights[1..6], [1.0, 1.5, 1.5, 1.5, 1.0]);
    let pieces = &found.stretches[0].pieces;
    assert_eq!((pieces.len(), pieces[1].text.as_str()), (5, "Bad Hands"));
    // What does not fit goes into the next chunk whole.
    let whole = read("a bad hands v5 b");
    let chunks = &whole.stretches[0].chunks;
    assert_eq!(chunks.len(), 3);
    assert_eq!(chunks[1].reserved, [Reserved { at: 1, embedding: 2, vectors: 75 }]);
    // Places move with the words after a comma.
    let moved = read(&format!("{}, x x bad hands {}", "w ".repeat(66), "y ".repeat(9)));
    let chunks = &moved.stretches[0].chunks;
    assert_eq!((chunks.len(), chunks[0].reserved.len()), (2, 0));
    assert_eq!(chunks[1].reserved, [Reserved { at: 3, embedding: 0, vectors: 3 }]);
    assert!(
        read_prompt(
            "a",
            &CLIP,
            &PromptSettings {
                embeddings: &[EmbeddingName { name: "x".into(), vectors: 76 }],
                ..PromptSettings::new(10, 1, &Wildcards::default())
            }
        )
        .is_err()
    );
}

#[test]
fn padding_is_the_mark_of_the_end_or_nought_after_one_mark() {
    let end = read("fox").stretches[0].chunks[0].ids.clone();
    assert_eq!((end[0], end[2], end[76]), (START_ID, END_ID, END_ID));
    let zero = read_with("fox", |settings| settings.padding = Padding::Zero);
    let zero = &zero.stretches[0].chunks[0].ids;
    assert_eq!((zero[1], zero[2], zero[3], zero[76], zero.len()), (end[1], END_ID, 0, 0, 77));
    let full = read_with(&"fox ".repeat(75), |settings| settings.padding = Padding::Zero);
    assert_eq!(full.stretches[0].chunks[0].ids[76], END_ID);
}

#[test]
fn a_prompt_that_is_too_long_is_clipped_and_told_where() {
    let prompt = "fox ".repeat(160);
    let short = |most| read_with(&prompt, |settings| settings.max_chunks = most);
    let read = short(2);
    assert_eq!(read.stretches[0].chunks.len(), 2);
    assert_eq!(read.stretches[0].pieces.len(), 150);
    assert_eq!(kinds(&read), [NoticeKind::Clipped { chunks: 2 }]);
    assert_eq!(read.notices[0].source, 600..603);
    assert_eq!(kinds(&short(3)), []);
    let one_more = "fox ".repeat(76);
    let read = read_with(&one_more, |settings| settings.max_chunks = 1);
    assert_eq!((read.notices.len(), read.stretches[0].pieces.len()), (1, 75));
}

#[test]
fn a_prompt_of_a_million_bytes_is_read_in_less_than_a_second() {
    // The vocabulary is not part of the reading.
    read("warm");
    let million = |piece: &str| piece.repeat(1_000_000 / piece.len());
    for (name, prompt) in [
        ("words", million("red fox, ")),
        ("one word", million("a")),
        ("opening", million("(")),
        ("opening words", million("(a ")),
        ("pairs", format!("{}{}", million("("), million(")"))),
        ("square", million("[a:")),
        ("nested editing", format!("{}{}", "[a:".repeat(200_000), ":2]".repeat(130_000))),
        ("turns", million("[a|b]")),
        ("one turn", format!("[{}]", million("a|"))),
        ("braces", million("{a|")),
        ("choices", million("{a|b}")),
        ("lists", million("__colour__")),
        ("tags", million("<lora:")),
        ("loras", million("<lora:x:1>")),
        ("breaks", million("BREAK ")),
        ("backslashes", million("\\")),
        ("underscores", million("_")),
        ("angles", million("<")),
        ("chinese", million("猫")),
        ("spaces", million(" ")),
    ] {
        let begun = Instant::now();
        read(&prompt);
        let taken = begun.elapsed();
        println!("{name}: {} ms", taken.as_millis());
        assert!(taken < Duration::from_secs(1), "{name} took {taken:?}");
    }
}

#[test]
fn steps_out_of_range_are_refused() {
    for steps in [0, 1001, usize::MAX] {
        let wildcards = Wildcards::default();
        let settings = PromptSettings::new(steps, 1, &wildcards);
        let error = read_prompt("a", &CLIP, &settings).expect_err("an error");
        assert!(error.is_wrong_input(), "{error}");
    }
}

/// Text of what the grammar is made of, and any text.
fn prompt() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z ,]{1,6}",
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(":".to_owned()),
        Just("|".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("\\".to_owned()),
        Just(":1.2)".to_owned()),
        Just(":0.5]".to_owned()),
        Just(":3]".to_owned()),
        Just("__colour__".to_owned()),
        Just("<lora:x:1>".to_owned()),
        Just(" BREAK ".to_owned()),
        Just("猫".to_owned()),
        Just("🦊\u{fe0f}".to_owned()),
        Just("e\u{301}".to_owned()),
        Just("İ".to_owned()),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_a_prompt_whose_tokens_stand_in_it(prompt in prompt(), seed: u64) {
        let read = read_with(&prompt, |settings| settings.seed = seed);
        prop_assert!(read.stretches.windows(2).all(|pair| pair[0].last_step < pair[1].last_step));
        prop_assert_eq!(read.stretches.last().map(|stretch| stretch.last_step), Some(10));
        for stretch in &read.stretches {
            prop_assert!(!stretch.chunks.is_empty());
            for chunk in &stretch.chunks {
                prop_assert_eq!((chunk.ids.len(), chunk.weights.len()), (77, 77));
                prop_assert_eq!((chunk.ids[0], chunk.ids[76]), (START_ID, END_ID));
            }
            for piece in &stretch.pieces {
                let source = prompt.get(piece.source.clone());
                prop_assert!(source.is_some(), "{:?}", piece);
                prop_assert!(piece.chunk < stretch.chunks.len() && piece.weight.is_finite());
                // What holds no grammar is read as it stands.
                let source = source.unwrap_or_default();
                if !source.contains(['\\', '<', '(', ')', '[', ']', '{', '}', '|', ':'])
                    && !source.contains("__")
                {
                    prop_assert_eq!(source, piece.text.as_str());
                }
            }
        }
        for notice in &read.notices {
            prop_assert!(prompt.get(notice.source.clone()).is_some(), "{:?}", notice);
        }
        let again = read_with(&prompt, |settings| settings.seed = seed);
        prop_assert_eq!(read, again);
    }

    #[test]
    fn words_without_grammar_keep_their_ids(words in "[a-z]{1,8}( [a-z]{1,8}){0,12}") {
        let tokens = CLIP.encode(&words).expect("tokens");
        let read = read(&words);
        let ids = &read.stretches[0].chunks[0].ids;
        for (token, id) in tokens.iter().zip(&ids[1..]).take(CHUNK_TOKENS) {
            prop_assert_eq!(token.id, *id);
        }
    }
}
