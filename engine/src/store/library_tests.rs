//! What the user says about results, and that it outlives the index; the check and copies.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not so")]

use std::fs;
use std::path::Path;

use super::boards::BoardId;
use super::search::{LibraryQuery, Page};
use super::tests::{pixels, request, save, seeds};
use super::*;

fn find(store: &Store, text: &str) -> Vec<u64> {
    let (query, notices) = LibraryQuery::parse(text);
    assert!(notices.is_empty(), "{notices:?}");
    let found = store.search(&query, &Page::first(100)).unwrap();
    assert_eq!(found.total, found.rows.len());
    seeds(&found.rows)
}

/// Says something about each of five pictures, of which the fourth is in the trash.
fn told(folder: &Path) -> (Store, BoardId) {
    let store = Store::open(folder).unwrap();
    let ids: Vec<i64> = (1..=5).map(|seed| save(&store, seed).id).collect();
    store.set_favourite(&ids[..2], true).unwrap();
    store.set_rating(&ids[1..3], 4).unwrap();
    store.add_tags(&ids[..4], &["First try", "snow"]).unwrap();
    let board = store.add_board("Foxes").unwrap();
    store.add_board("Owls").unwrap();
    store.add_to_board(&board, &[ids[4], ids[2], ids[0]]).unwrap();
    store.move_on_board(&board, &[ids[0]], Some(ids[4])).unwrap();
    store.trash(ids[3]).unwrap();
    (store, board)
}

fn check_told(store: &Store, board: &BoardId) {
    assert_eq!(find(store, "is:favourite"), [2, 1]);
    assert_eq!(find(store, "rating:>=4"), [3, 2]);
    assert_eq!(find(store, "tag:snow"), [3, 2, 1]);
    assert_eq!(find(store, "tag:SNOW is:trash"), [4]);
    assert_eq!(find(store, "board:foxes sort:board"), [1, 5, 3]);
    assert_eq!(store.tags().unwrap(), [("First try".to_owned(), 3), ("snow".to_owned(), 3)]);
    let boards = store.boards().unwrap();
    let told: Vec<_> = boards.iter().map(|board| (board.name.as_str(), board.count)).collect();
    assert_eq!(told, [("Foxes", 3), ("Owls", 0)]);
    assert_eq!(boards[0].id, *board);
}

#[test]
fn what_was_said_about_results_outlives_the_index() {
    let removed: fn(&Path) = |folder| fs::remove_file(folder.join("index.sqlite")).unwrap();
    let garbage: fn(&Path) = |folder| fs::write(folder.join("index.sqlite"), "garbage").unwrap();
    let holed: fn(&Path) = |folder| {
        let mut bytes = fs::read(folder.join("index.sqlite")).unwrap();
        bytes[4096..20_480].fill(0xff);
        fs::write(folder.join("index.sqlite"), bytes).unwrap();
    };
    let noted: fn(&Path) = |folder| fs::write(folder.join("index.sqlite.suspect"), "").unwrap();
    for damage in [removed, garbage, holed, noted] {
        let folder = tempfile::tempdir().unwrap();
        let (store, board) = told(folder.path());
        check_told(&store, &board);
        drop(store);
        damage(folder.path());
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.opening().adopted, 5);
        check_told(&store, &board);
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.opening(), &Opening::default());
        check_told(&store, &board);
    }
}

#[test]
fn what_was_said_outlives_the_journal_too() {
    let removed: fn(&Path) = |journal| fs::remove_file(journal).unwrap();
    let garbage: fn(&Path) = |journal| fs::write(journal, "garbage\n").unwrap();
    let cut: fn(&Path) = |journal| {
        let bytes = fs::read(journal).unwrap();
        fs::write(journal, &bytes[..bytes.len() / 2]).unwrap();
    };
    for damage in [removed, garbage, cut] {
        let folder = tempfile::tempdir().unwrap();
        let (store, board) = told(folder.path());
        drop(store);
        damage(&folder.path().join("marks.jsonl"));
        let store = Store::open(folder.path()).unwrap();
        check_told(&store, &board);
        drop(store);
        // The journal was written again: it alone is enough now.
        fs::remove_file(folder.path().join("index.sqlite")).unwrap();
        check_told(&Store::open(folder.path()).unwrap(), &board);
    }
}

#[test]
fn an_index_that_is_behind_its_journal_reads_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let id = save(&store, 1).id;
    store.set_rating(&[id], 2).unwrap();
    drop(store);
    let index = folder.path().join("index.sqlite");
    let before = fs::read(&index).unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.set_rating(&[id], 5).unwrap();
    store.add_tags(&[id], &["late"]).unwrap();
    drop(store);
    // A power cut took the last change of the index.
    fs::write(&index, before).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(find(&store, "rating:5 tag:late"), [1]);
}

#[test]
fn a_change_that_fails_is_in_neither_index_nor_journal() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let id = save(&store, 1).id;
    store.set_rating(&[id], 2).unwrap();
    let journal = folder.path().join("marks.jsonl");
    let before = fs::read(&journal).unwrap();
    let failed = store.home().index().together(|index| {
        index.change_marks(&[id], |_, marks| marks.rating = 5)?;
        Err::<(), _>(EngineError::EmptyPrompt)
    });
    assert_eq!(failed, Err(EngineError::EmptyPrompt));
    assert_eq!(store.marks(id).unwrap().rating, 2);
    assert_eq!(fs::read(&journal).unwrap(), before);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.home().index().together(|index| {
            index.change_marks(&[id], |_, marks| marks.rating = 5).unwrap();
            assert!(fs::read(&journal).unwrap().is_empty(), "it is not: this panics");
            Ok(())
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(fs::read(&journal).unwrap(), before);
    store.set_rating(&[id], 3).unwrap();
    drop(store);
    assert_eq!(Store::open(folder.path()).unwrap().marks(id).unwrap().rating, 3);
}

#[test]
fn favourites_of_an_older_index_are_written_into_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let ids: Vec<i64> = (1..=3).map(|seed| save(&store, seed).id).collect();
    store.set_favourite(&ids[1..2], true).unwrap();
    drop(store);
    index::make_old(folder.path(), 2);
    fs::remove_file(folder.path().join("marks.jsonl")).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(find(&store, "is:favourite fox"), [2]);
    while store.upkeep(2).unwrap().has_more {}
    let hashed = store.recent(9, None).unwrap();
    assert!(hashed.iter().all(|row| row.file_bytes.is_some()), "{hashed:?}");
    drop(store);
    fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    assert_eq!(find(&Store::open(folder.path()).unwrap(), "is:favourite fox"), [2]);
}

#[test]
fn marks_follow_files_through_trash_hands_and_other_folders() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (one, two) = (save(&store, 1), save(&store, 2));
    store.set_rating(&[one.id], 1).unwrap();
    store.set_rating(&[two.id], 2).unwrap();
    store.trash(one.id).unwrap();
    // Its name is taken meanwhile, so it comes back under another.
    save(&store, 1);
    store.restore(one.id).unwrap();
    drop(store);
    fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    // The person's own hand renames a file while there is no index at all.
    fs::create_dir_all(folder.path().join("pictures/best")).unwrap();
    fs::rename(&two.file, folder.path().join("pictures/best/two.png")).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(find(&store, "rating:2"), [2]);
    let rated = store.search(&LibraryQuery::parse("rating:1").0, &Page::first(9)).unwrap();
    assert_eq!(rated.rows.len(), 1);
    assert!(
        rated.rows[0]
            .file
            .ends_with(format!("{}-2.png", one.file.file_stem().unwrap().to_str().unwrap()))
    );
    let id = store.search_ids(&LibraryQuery::parse("rating:2").0).unwrap()[0];
    drop(store);
    // With an index the result keeps its number as well.
    let renamed = folder.path().join("pictures/best/again.png");
    fs::rename(folder.path().join("pictures/best/two.png"), &renamed).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.result(id).unwrap().unwrap().file.file_name(), renamed.file_name());
    assert_eq!(store.opening().missing, 0);
    assert_eq!(find(&store, "rating:2"), [2]);
    let new = tempfile::tempdir().unwrap();
    store.move_to(new.path().join("library")).unwrap();
    store.set_rating(&[id], 3).unwrap();
    drop(store);
    fs::remove_file(new.path().join("library/index.sqlite")).unwrap();
    assert_eq!(find(&Store::open(new.path().join("library")).unwrap(), "rating:3"), [2]);
}

#[test]
fn tags_are_one_whatever_their_case_and_can_be_renamed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (one, two) = (save(&store, 1).id, save(&store, 2).id);
    store.add_tags(&[one], &["Snow", "  red \t fox "]).unwrap();
    store.add_tags(&[two], &["snow", "冬天"]).unwrap();
    let names = |store: &Store| -> Vec<String> {
        store.tags().unwrap().into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&store), ["red fox", "Snow", "冬天"]);
    assert_eq!(store.rename_tag("snow", "SNOW").unwrap(), 2);
    assert_eq!(names(&store), ["red fox", "SNOW", "冬天"]);
    assert_eq!(store.rename_tag("snow", "冬天").unwrap(), 2);
    store.remove_tags(&[one], &["RED fox"]).unwrap();
    assert_eq!(store.tags().unwrap(), [("冬天".to_owned(), 2)]);
    for bad in ["", "  ", &"x".repeat(101), "a\u{7}b"] {
        assert!(store.add_tags(&[one], &[bad]).is_err(), "{bad:?}");
    }
    assert!(store.set_rating(&[one], 6).is_err());
    drop(store);
    fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    assert_eq!(Store::open(folder.path()).unwrap().tags().unwrap(), [("冬天".to_owned(), 2)]);
}

#[test]
fn boards_are_ordered_renamed_and_removed_without_their_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let ids: Vec<i64> = (1..=4).map(|seed| save(&store, seed).id).collect();
    let (a, b) = (store.add_board("A").unwrap(), store.add_board("B").unwrap());
    let c = store.add_board("C").unwrap();
    store.move_board(&c, Some(&a)).unwrap();
    store.rename_board(&b, "Best").unwrap();
    assert!(store.rename_board(&a, "best").is_err() && store.add_board("BEST").is_err());
    store.rename_board(&b, "best").unwrap();
    let names = |store: &Store| -> Vec<String> {
        store.boards().unwrap().into_iter().map(|board| board.name).collect()
    };
    assert_eq!(names(&store), ["C", "A", "best"]);
    store.add_to_board(&a, &ids).unwrap();
    store.add_to_board(&b, &ids[..1]).unwrap();
    // Again and again between the same two, until there is no room between their positions.
    for turn in 0..100 {
        let moved = ids[1 + turn % 2];
        store.move_on_board(&a, &[moved], Some(ids[3])).unwrap();
        let order = store.search_ids(&LibraryQuery::parse("board:a sort:board").0).unwrap();
        assert_eq!((order[0], order[2], order[3]), (ids[0], moved, ids[3]), "turn {turn}");
    }
    store.move_on_board(&a, &[ids[3], ids[0]], Some(ids[3])).unwrap();
    assert_eq!(find(&store, "board:a sort:board"), [2, 3, 4, 1]);
    store.move_on_board(&a, &[ids[3], ids[0]], Some(ids[1])).unwrap();
    assert_eq!(find(&store, "board:a sort:board"), [4, 1, 2, 3]);
    store.remove_from_board(&a, &ids[1..2]).unwrap();
    assert_eq!(find(&store, "board:a sort:board"), [4, 1, 3]);
    assert!(store.move_on_board(&a, &ids[1..2], None).is_err());
    store.remove_board(&a).unwrap();
    assert!(store.remove_board(&a).is_err());
    assert_eq!(names(&store), ["C", "best"]);
    assert_eq!(store.recent(9, None).unwrap().len(), 4);
    assert_eq!(store.marks(ids[0]).unwrap().boards.len(), 1);
}

#[test]
fn folders_in_which_nothing_changed_are_not_listed_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let saved = save(&store, 1);
    drop(store);
    let month = saved.file.parent().unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let touch = || fs::File::open(month).unwrap().set_modified(long_ago).unwrap();
    touch();
    drop(Store::open(folder.path()).unwrap());
    // It is gone, but the folder says that nothing happened: only a check finds that.
    fs::remove_file(&saved.file).unwrap();
    touch();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.opening().missing, 0);
    assert_eq!(store.check(false, |_| true).unwrap().missing, std::slice::from_ref(&saved.file));
    drop(store);
    fs::write(month.join("other.txt"), "x").unwrap();
    assert_eq!(Store::open(folder.path()).unwrap().opening().missing, 1);
    fs::remove_dir_all(month).unwrap();
    assert_eq!(Store::open(folder.path()).unwrap().opening().missing, 1);
}

#[test]
fn a_check_finds_what_is_wrong_and_a_repair_mends_what_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let saved: Vec<_> = (1..=5).map(|seed| save(&store, seed)).collect();
    let twin = save(&store, 5);
    assert!(store.check(false, |_| true).unwrap().is_whole());
    let month = saved[0].file.parent().unwrap().to_owned();
    fs::remove_file(&saved[0].file).unwrap();
    fs::write(&saved[1].file, png::encode(&pixels(77), &request(77), "").unwrap()).unwrap();
    fs::write(&saved[2].file, "no picture").unwrap();
    let orphan = month.join("orphan.png");
    fs::write(&orphan, png::encode(&pixels(9), &request(9), "").unwrap()).unwrap();
    fs::write(month.join("stranger.png"), "no picture").unwrap();
    fs::write(month.join(".atelier-1-1.part"), "half").unwrap();
    fs::write(month.join("empty.png"), "").unwrap();
    fs::write(folder.path().join("thumbnails/999.png"), "x").unwrap();

    let report = store.check(false, |_| true).unwrap();
    assert!(!report.is_whole());
    assert_eq!(report.checked, 6);
    assert_eq!(report.missing, [saved[0].file.clone()]);
    assert_eq!(report.changed, [saved[1].file.clone()]);
    assert_eq!(report.damaged, [saved[2].file.clone()]);
    assert_eq!(report.unknown, std::slice::from_ref(&orphan));
    assert_eq!(report.strangers, [month.join("stranger.png")]);
    assert_eq!(report.leftovers, [month.join(".atelier-1-1.part"), month.join("empty.png")]);
    assert_eq!(report.stray_thumbnails, 1);
    assert_eq!(report.duplicates, [vec![saved[4].file.clone(), twin.file.clone()]]);
    assert!(report.repairs.is_empty());
    assert_eq!(store.check(false, |_| true).unwrap(), report, "a check changes nothing");

    let repaired = store.check(true, |_| true).unwrap();
    assert_eq!(repaired.repairs.len(), 6, "{:?}", repaired.repairs);
    assert_eq!(seeds(&store.recent(9, None).unwrap()), [9, 5, 5, 4, 3, 77]);
    assert_eq!(find(&store, "fox").len(), 6);
    let left = store.check(false, |_| true).unwrap();
    assert_eq!((left.missing.len(), left.damaged.len()), (1, 1));
    assert!(left.changed.is_empty() && left.unknown.is_empty() && left.leftovers.is_empty());
    assert_eq!(store.check(false, |_| false), Err(EngineError::Cancelled));
}

#[test]
fn results_are_copied_with_their_recipes_and_never_over_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("library")).unwrap();
    let saved = save(&store, 1);
    let to = folder.path().join("out/of the house");
    let first = store.export(saved.id, &to).unwrap();
    let second = store.export(saved.id, &to).unwrap();
    assert_ne!(first.file, second.file);
    assert!(!first.is_changed);
    for copy in [&first, &second] {
        assert_eq!(fs::read(&copy.file).unwrap(), fs::read(&saved.file).unwrap());
        assert_eq!(png::read_recipe_file(&copy.file).unwrap().request, Some(request(1)));
    }
    fs::write(&saved.file, "something else").unwrap();
    assert!(store.export(saved.id, &to).unwrap().is_changed);
    assert!(store.export(99, &to).is_err());
    assert!(store.export(saved.id, &store.folder().join("pictures")).is_err());
    drop(store);
    // A killed process leaves its note and half a copy; the next start removes both.
    let store = Store::open(folder.path().join("library")).unwrap();
    let whole = to.canonicalize().unwrap();
    let note = folder.path().join("library/copying-to-1-1.txt");
    fs::write(&note, whole.to_str().unwrap()).unwrap();
    drop(store);
    fs::write(to.join(".atelier-1-1.part"), "half").unwrap();
    let store = Store::open(folder.path().join("library")).unwrap();
    assert_eq!(store.opening().swept, 1);
    assert!(!to.join(".atelier-1-1.part").exists());
    assert!(!note.exists());
}

#[test]
fn two_stores_on_one_folder_see_what_the_other_said() {
    let folder = tempfile::tempdir().unwrap();
    let one = Store::open(folder.path()).unwrap();
    let other = Store::open(folder.path()).unwrap();
    let id = save(&one, 1).id;
    one.set_rating(&[id], 2).unwrap();
    other.add_tags(&[id], &["theirs"]).unwrap();
    one.add_tags(&[id], &["mine"]).unwrap();
    let board = other.add_board("Shared").unwrap();
    one.add_to_board(&board, &[id]).unwrap();
    let marks = other.marks(id).unwrap();
    assert_eq!(
        (marks.rating, marks.tags.as_slice()),
        (2, ["mine".into(), "theirs".into()].as_slice())
    );
    assert!(marks.boards.contains_key(&board.0));
    drop((one, other));
    fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    assert_eq!(find(&Store::open(folder.path()).unwrap(), "tag:mine tag:theirs board:shared"), [1]);
}

#[test]
fn a_long_journal_is_made_short_and_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (store, board) = told(folder.path());
    let id = store.search_ids(&LibraryQuery::parse("rating:4 is:favourite").0).unwrap();
    let journal = folder.path().join("marks.jsonl");
    let long = "x".repeat(90);
    for turn in 0..2200 {
        let tags = [format!("{long}{turn}"), format!("{long}-{turn}")];
        store.home().index().change_marks(&id, |_, marks| marks.tags.extend(tags.clone())).unwrap();
        store.remove_tags(&id, &tags).unwrap();
        if fs::metadata(&journal).unwrap().len() > 1_100_000 {
            break;
        }
    }
    store.tidy().unwrap();
    assert!(fs::metadata(&journal).unwrap().len() < 10_000);
    store.set_rating(&id, 4).unwrap();
    check_told(&store, &board);
    drop(store);
    fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    check_told(&Store::open(folder.path()).unwrap(), &board);
}
