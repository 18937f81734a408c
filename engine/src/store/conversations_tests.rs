#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not so")]

use super::*;

fn conversation(id: &str, first: &str) -> Conversation {
    let mut one = Conversation::new(id.to_owned(), WordsSettings::default());
    let asked = one.add(None, Role::User, first.to_owned());
    one.add(Some(asked), Role::Assistant, "Once upon a time.".to_owned());
    one
}

fn shelf() -> (tempfile::TempDir, ConversationShelf) {
    let folder = tempfile::tempdir().unwrap();
    let shelf = ConversationShelf::in_library(folder.path());
    (folder, shelf)
}

#[test]
fn what_is_written_is_read_and_listed() {
    let (_folder, shelf) = shelf();
    let one = conversation("a1", "Tell a story about a goat");
    let changed_ms = shelf.write(&one).unwrap();
    assert_eq!(shelf.read("a1").unwrap(), Conversation { changed_ms, ..one });
    let listed = shelf.list().unwrap().entries;
    assert_eq!(listed[0].title, "Tell a story about a goat");
    assert_eq!(shelf.list().unwrap().entries, listed, "also from the cache");
    assert_eq!(shelf.search("UPON a").unwrap(), ["a1"]);
    assert!(shelf.search("dragon").unwrap().is_empty());
}

#[test]
fn an_edit_keeps_the_earlier_version_and_branches_can_be_walked() {
    let mut one = conversation("a1", "first");
    let second = one.add(None, Role::User, "second".to_owned());
    assert_eq!(one.branch().len(), 1);
    assert_eq!(one.versions(second), [0, 2]);
    one.show_version(0);
    let texts: Vec<&str> = one.branch().iter().map(|message| message.text.as_str()).collect();
    assert_eq!(texts, ["first", "Once upon a time."]);
    assert_eq!(one.turns(Some(0)).len(), 1);
    one.remove_leaf(0);
    assert_eq!(one.messages.len(), 3, "what is answered stays");
    one.remove_leaf(1);
    assert_eq!(one.leaf, Some(0));
}

#[test]
fn the_trash_gives_back_what_it_took() {
    let (_folder, shelf) = shelf();
    shelf.write(&conversation("a1", "x")).unwrap();
    shelf.trash("a1").unwrap();
    assert!(shelf.list().unwrap().entries.is_empty());
    shelf.restore("a1").unwrap();
    assert_eq!(shelf.list().unwrap().entries.len(), 1);
    assert!(shelf.restore("a1").is_err());
}

#[test]
fn damaged_files_are_set_aside_and_the_others_are_listed() {
    let (folder, shelf) = shelf();
    shelf.write(&conversation("a1", "x")).unwrap();
    let place = folder.path().join(CONVERSATIONS);
    fs::write(place.join("b2.json"), "{\"id\":").unwrap();
    let huge = fs::File::create(place.join("c3.json")).unwrap();
    huge.set_len(MOST_BYTES + 1).unwrap();
    let list = shelf.list().unwrap();
    assert_eq!(list.entries.len(), 1);
    assert_eq!(list.set_aside.len(), 2);
    assert!(place.join("b2.json.damaged").is_file());
    assert!(shelf.list().unwrap().set_aside.is_empty());
}

#[test]
fn a_circle_of_parents_ends() {
    let mut one = conversation("a1", "x");
    one.messages[0].parent = Some(1);
    assert_eq!(one.branch().len(), 2);
    one.show_version(1);
    assert_eq!(one.leaf, Some(1));
}

#[test]
fn a_name_cannot_lead_out_of_the_folder() {
    let (_folder, shelf) = shelf();
    for name in ["", "../a", "a/b", "A", "a.b"] {
        assert!(shelf.read(name).is_err(), "{name}");
    }
}

#[test]
fn ten_thousand_conversations_are_listed_from_the_cache() {
    let (folder, shelf) = shelf();
    make_folder(&folder.path().join(CONVERSATIONS)).unwrap();
    for number in 0..10_000 {
        let one = conversation(&format!("n{number:05}"), "a story");
        let json = serde_json::to_vec(&one).unwrap();
        fs::write(shelf.path(&one.id).unwrap(), json).unwrap();
    }
    assert_eq!(shelf.list().unwrap().entries.len(), 10_000);
    let start = std::time::Instant::now();
    assert_eq!(shelf.list().unwrap().entries.len(), 10_000);
    eprintln!("10,000 conversations listed in {:?}", start.elapsed());
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn the_trash_lists_the_latest_deleted_first_and_deletes_nothing_else() {
    let (_folder, shelf) = shelf();
    assert!(shelf.trashed().unwrap().is_empty());
    for id in ["a1", "b2", "c3"] {
        shelf.write(&conversation(id, id)).unwrap();
    }
    // The one that was changed last goes first.
    for id in ["c3", "a1"] {
        shelf.trash(id).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let trashed = shelf.trashed().unwrap();
    assert_eq!(trashed.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["a1", "c3"]);
    assert!(trashed.iter().all(|one| one.bytes > 0 && one.title == one.id));
    shelf.delete_for_good("a1").unwrap();
    shelf.delete_for_good("b2").unwrap();
    assert!(shelf.read("b2").is_ok(), "what is not in the trash stays");
    assert!(shelf.delete_for_good("../b2").is_err());
    assert_eq!(shelf.empty_trash().unwrap(), 1);
    assert!(shelf.trashed().unwrap().is_empty());
    assert!(shelf.restore("c3").is_err());
}

#[test]
fn a_conversation_becomes_a_text_of_the_branch_that_is_shown() {
    let mut talk = Conversation::new("a".to_owned(), WordsSettings::default());
    talk.system = "Be brief.\nBe kind.".to_owned();
    let asked = talk.add(None, Role::User, "Tell of a fox".to_owned());
    talk.add(Some(asked), Role::Assistant, "A fox ran.".to_owned());
    let second = talk.add(Some(asked), Role::Assistant, "A fox slept.\n\nIt snowed.\n".to_owned());
    if let Some(message) = talk.message_mut(second) {
        message.model = "house-writer".to_owned();
    }
    let expected = "# Tell of a fox\n\n> Be brief.\n> Be kind.\n\n**You**\n\nTell of a fox\n\n\
        **house-writer**\n\nA fox slept.\n\nIt snowed.\n";
    assert_eq!(talk.to_markdown(), expected);
}
