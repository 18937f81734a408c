#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not so")]

use std::fs;

use super::*;
use crate::protocol::{
    DeviceChoice, Extras, ModelRef, NoiseSource, Precision, PreviewMode, Prompt, SamplerKind,
    Sampling, Size,
};

pub(super) fn request(seed: u64) -> PictureRequest {
    PictureRequest {
        model: ModelRef { name: "house-picture".to_owned(), sha256: "ab".repeat(32) },
        prompt: Prompt { text: "a red fox".to_owned(), ..Prompt::default() },
        size: Size { width_px: 300, height_px: 30 },
        sampling: Sampling {
            sampler: SamplerKind::Euler,
            steps: 20,
            guidance: 4.5,
            ..Sampling::default()
        },
        seed,
        count: 1,
        noise: NoiseSource::Seed,
        preview: PreviewMode::Off,
        device: DeviceChoice::Auto,
        precision: Precision::Fast,
        keep_latents: false,
        extras: Extras::default(),
    }
}

pub(super) fn pixels(seed: u64) -> Pixels {
    let rgba = (0..300 * 30).flat_map(|i| [i as u8, (i >> 8) as u8, seed as u8, 255]).collect();
    Pixels::new(300, 30, rgba).unwrap()
}

pub(super) fn save(store: &Store, seed: u64) -> SavedResult {
    store.save_picture(&pixels(seed), &request(seed), "CC0-1.0").unwrap()
}

pub(super) fn seeds(rows: &[ResultRow]) -> Vec<u64> {
    let seed = |row: &ResultRow| match &row.request {
        Request::Picture(request) => request.seed,
        Request::Sound(request) => request.seed,
        Request::Enlarge(request) => request.seed(),
        other => panic!("{other:?}"),
    };
    rows.iter().map(seed).collect()
}

#[test]
fn a_saved_picture_is_listed_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let saved: Vec<_> = [1, 2, u64::MAX].map(|seed| save(&store, seed)).into();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.opening(), &Opening::default());
    let rows = store.recent(10, None).unwrap();
    assert_eq!(seeds(&rows), [u64::MAX, 2, 1]);
    assert_eq!(rows[0].request, Request::Picture(Box::new(request(u64::MAX))));
    assert_eq!((rows[0].id, &rows[0].file), (saved[2].id, &saved[2].file));
    assert_eq!(seeds(&store.recent(1, Some(rows[0].id)).unwrap()), [2]);
    let bytes = fs::read(&rows[1].file).unwrap();
    assert_eq!(png::decode(&bytes).unwrap(), pixels(2));
    assert_eq!(png::read_recipe(&bytes).unwrap().request, Some(request(2)));
    let name = rows[1].file.file_name().unwrap().to_str().unwrap();
    assert!(name.ends_with("-a-red-fox-2.png"), "{name}");
}

#[test]
fn the_same_picture_twice_is_two_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (first, second) = (save(&store, 1), save(&store, 1));
    assert_ne!(first.file, second.file);
    assert_ne!(first.id, second.id);
    assert!(first.file.exists() && second.file.exists());
}

#[test]
fn trash_moves_files_and_gives_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (one, two) = (save(&store, 1), save(&store, 2));
    store.trash(one.id).unwrap();
    store.trash(one.id).unwrap();
    assert!(!one.file.exists());
    assert_eq!(seeds(&store.recent(10, None).unwrap()), [2]);
    let trashed = store.trashed().unwrap();
    assert_eq!(seeds(&trashed), [1]);
    assert!(trashed[0].file.exists() && trashed[0].trashed_ms.is_some());
    // A picture of the same name made meanwhile must survive the restoring.
    let again = save(&store, 1);
    assert_eq!(again.file, one.file);
    store.restore(one.id).unwrap();
    let rows = store.recent(10, None).unwrap();
    assert_eq!(seeds(&rows), [1, 2, 1]);
    assert!(rows.iter().all(|row| row.file.exists() && row.trashed_ms.is_none()));
    assert!(matches!(store.trash(99), Err(EngineError::InvalidSetting { .. })));
    store.trash(two.id).unwrap();
    assert_eq!(store.empty_trash().unwrap(), 1);
    assert_eq!(store.result(two.id).unwrap(), None);
    assert!(store.trashed().unwrap().is_empty());
    drop(store);
    assert_eq!(Store::open(folder.path()).unwrap().opening(), &Opening::default());
}

#[test]
fn one_result_of_the_trash_is_deleted_for_good_and_a_kept_one_never_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (kept, lost, gone) = (save(&store, 1), save(&store, 2), save(&store, 3));
    store.trash(lost.id).unwrap();
    store.trash(gone.id).unwrap();
    assert!(matches!(store.delete_for_good(kept.id), Err(EngineError::InvalidSetting { .. })));
    assert!(kept.file.exists());
    let file = store.result(lost.id).unwrap().unwrap().file;
    store.delete_for_good(lost.id).unwrap();
    assert!(!file.exists() && store.result(lost.id).unwrap().is_none());
    // Somebody else deleted the file: the trash can be emptied all the same.
    fs::remove_file(store.result(gone.id).unwrap().unwrap().file).unwrap();
    assert_eq!(store.empty_trash().unwrap(), 1);
    assert_eq!(seeds(&store.recent(9, None).unwrap()), [1]);
}

#[test]
fn a_missing_index_is_made_again_from_the_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for seed in 1..=3 {
        save(&store, seed);
    }
    store.trash(2).unwrap();
    drop(store);
    fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.opening().adopted, 3);
    assert_eq!(seeds(&store.recent(9, None).unwrap()), [3, 1]);
    assert_eq!(seeds(&store.trashed().unwrap()), [2]);
}

#[test]
fn a_damaged_index_is_set_aside_and_made_again() {
    let garbage: fn(&mut Vec<u8>) = |bytes| bytes.fill(b'x');
    let broken_page: fn(&mut Vec<u8>) = |bytes| bytes[4096..12288].fill(0xff);
    let cut: fn(&mut Vec<u8>) = |bytes| bytes.truncate(5000);
    for damage in [garbage, broken_page, cut] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        save(&store, 1);
        save(&store, 2);
        drop(store);
        let path = folder.path().join("index.sqlite");
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let store = Store::open(folder.path()).unwrap();
        let aside = store.opening().set_aside.clone().unwrap();
        assert_eq!(fs::read(aside).unwrap(), bytes);
        assert_eq!(store.opening().adopted, 2);
        assert_eq!(seeds(&store.recent(9, None).unwrap()), [2, 1]);
        // Numbers were given anew; a thumbnail of before must not show under one of them.
        assert_eq!(store.thumbnail(1).unwrap().height_px, 19);
    }
}

#[test]
fn an_index_without_its_tables_is_set_aside_and_one_of_a_newer_program_is_not() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let path = folder.path().join("index.sqlite");
    let change = |sql: &str| rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    change("DROP TABLE pending");
    let store = Store::open(folder.path()).unwrap();
    assert!(store.opening().set_aside.is_some());
    save(&store, 1);
    drop(store);
    change("PRAGMA user_version = 999");
    let error = Store::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("newer Atelier"), "{error}");
    change("PRAGMA user_version = 3");
    assert_eq!(seeds(&Store::open(folder.path()).unwrap().recent(9, None).unwrap()), [1]);
}

#[test]
fn what_a_crash_leaves_between_file_and_row_is_put_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let saved: Vec<_> = (1..=4).map(|seed| save(&store, seed)).collect();
    let month = saved[0].file.parent().unwrap().to_owned();
    drop(store);
    // A picture without a row, a file moved without saying so, one deleted by hand, one of a
    // stranger, and leftovers.
    let orphan = png::encode(&pixels(9), &request(9), "").unwrap();
    fs::write(month.join("orphan.png"), orphan).unwrap();
    let trash = folder.path().join("trash").join(month.file_name().unwrap());
    fs::create_dir_all(&trash).unwrap();
    fs::rename(&saved[1].file, trash.join(saved[1].file.file_name().unwrap())).unwrap();
    let kept_elsewhere = folder.path().join("elsewhere.png");
    fs::rename(&saved[2].file, &kept_elsewhere).unwrap();
    fs::write(month.join("stranger.png"), b"not a picture").unwrap();
    fs::write(month.join(".atelier-1-1.part"), b"half").unwrap();
    fs::write(month.join("reserved.png"), b"").unwrap();

    let store = Store::open(folder.path()).unwrap();
    let expected = Opening {
        adopted: 1,
        missing: 1,
        swept: 2,
        unreadable: vec![month.join("stranger.png")],
        ..Opening::default()
    };
    assert_eq!(store.opening(), &expected);
    assert_eq!(seeds(&store.recent(9, None).unwrap()), [9, 4, 1]);
    assert_eq!(seeds(&store.trashed().unwrap()), [2]);
    drop(store);
    fs::rename(&kept_elsewhere, &saved[2].file).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(seeds(&store.recent(9, None).unwrap()), [9, 4, 3, 1]);
}

#[test]
fn thumbnails_are_small_and_made_again_when_missing_or_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let id = save(&store, 1).id;
    let kept = folder.path().join(format!("thumbnails/{id}.png"));
    let first = store.thumbnail(id).unwrap();
    assert_eq!((first.width_px, first.height_px), (192, 19));
    assert_eq!(png::decode_file(&kept).unwrap(), first);
    fs::write(&kept, b"broken").unwrap();
    assert_eq!(store.thumbnail(id).unwrap(), first);
    fs::remove_dir_all(folder.path().join("thumbnails")).unwrap();
    assert_eq!(store.thumbnail(id).unwrap(), first);
    assert!(kept.exists());
    store.trash(id).unwrap();
    assert_eq!(store.thumbnail(id).unwrap(), first);
}

#[test]
fn unfinished_jobs_are_offered_by_the_next_session_only() {
    let folder = tempfile::tempdir().unwrap();
    let job = |seed| Request::Picture(Box::new(request(seed)));
    let store = Store::open(folder.path()).unwrap();
    let done = store.add_pending(&job(1)).unwrap();
    store.add_pending(&job(2)).unwrap();
    store.remove_pending(done).unwrap();
    assert!(store.pending().unwrap().is_empty(), "they still run");
    let second = Store::open(folder.path()).unwrap();
    assert!(second.opening().is_shared);
    assert!(second.pending().unwrap().is_empty(), "another process runs them");
    drop((store, second));
    let store = Store::open(folder.path()).unwrap();
    let pending = store.pending().unwrap();
    assert_eq!(pending.iter().map(|job| job.request.clone()).collect::<Vec<_>>(), [job(2)]);
    store.remove_pending(pending[0].id).unwrap();
    assert!(store.pending().unwrap().is_empty());
}

#[test]
fn times_are_learned_and_settings_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.step_seconds("a").unwrap(), None);
    for seconds in [1.0, f64::NAN, f64::INFINITY, -1.0, 0.0, 2.0] {
        store.learn_step_seconds("a", seconds).unwrap();
    }
    assert!((store.step_seconds("a").unwrap().unwrap() - 1.3).abs() < 1e-9);
    store.set_setting("language", "en").unwrap();
    store.set_setting("language", "zh").unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.setting("language").unwrap().as_deref(), Some("zh"));
    assert_eq!(store.setting("other").unwrap(), None);
}

#[test]
fn a_library_moves_whole_and_its_old_folder_leads_to_it() {
    let base = tempfile::tempdir().unwrap();
    let base = base.path().canonicalize().unwrap();
    let (old, new) = (base.join("old"), base.join("new/place"));
    let store = Store::open(&old).unwrap();
    save(&store, 1);
    let trashed = save(&store, 2).id;
    store.trash(trashed).unwrap();
    store.set_setting("k", "v").unwrap();
    let mine = store.recent(1, None).unwrap()[0].file.with_file_name("mine.txt");
    fs::write(&mine, b"a note of mine").unwrap();
    store.move_to(&new).unwrap();
    assert_eq!(store.folder(), new);
    save(&store, 3);
    assert_eq!(seeds(&store.recent(9, None).unwrap()), [3, 1]);
    let moved_note = new.join(mine.strip_prefix(&old).unwrap());
    assert_eq!(fs::read(moved_note).unwrap(), b"a note of mine");
    let left: Vec<_> = fs::read_dir(&old).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "lock" || name == "moved-to"), "{left:?}");
    drop(store);

    let store = Store::open(&old).unwrap();
    assert_eq!((store.folder(), store.opening()), (new.clone(), &Opening::default()));
    assert_eq!(seeds(&store.trashed().unwrap()), [2]);
    assert_eq!(store.setting("k").unwrap().as_deref(), Some("v"));
    store.move_to(&old).unwrap();
    assert_eq!(store.folder(), old);
    drop(store);
    for folder in [&old, &new] {
        let store = Store::open(folder).unwrap();
        assert_eq!(store.folder(), old);
        assert_eq!(seeds(&store.recent(9, None).unwrap()), [3, 1]);
    }
}

#[test]
fn a_move_that_cannot_be_made_changes_nothing() {
    let base = tempfile::tempdir().unwrap();
    let (old, full) = (base.path().join("old"), base.path().join("full"));
    let store = Store::open(&old).unwrap();
    let saved = save(&store, 1);
    fs::create_dir(&full).unwrap();
    fs::write(full.join("theirs"), b"x").unwrap();
    assert!(matches!(store.move_to(&full), Err(EngineError::InvalidSetting { .. })));
    for inside in [old.clone(), old.join("inside")] {
        assert!(matches!(store.move_to(&inside), Err(EngineError::InvalidSetting { .. })));
    }
    assert!(matches!(store.move_to(full.join("theirs")), Err(EngineError::Io { .. })));
    let second = Store::open(&old).unwrap();
    let error = store.move_to(base.path().join("new")).unwrap_err();
    assert!(error.to_string().contains("another Atelier"), "{error}");
    drop(second);
    // What cannot be copied stops the move before anything is switched.
    #[cfg(unix)]
    {
        let dangling = saved.file.with_file_name("dangling.png");
        std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
        let new = base.path().join("new");
        assert!(store.move_to(&new).is_err());
        assert!(!new.join("pictures").exists() && !old.join("moved-to").exists());
        fs::remove_file(dangling).unwrap();
    }
    assert_eq!(seeds(&store.recent(9, None).unwrap()), [1]);
    assert!(saved.file.exists());
    save(&store, 2);
}

#[test]
fn a_library_on_a_disk_that_is_not_there_is_an_error_and_no_empty_library() {
    let base = tempfile::tempdir().unwrap();
    let base = base.path().canonicalize().unwrap();
    let (old, new) = (base.join("old"), base.join("new"));
    let store = Store::open(&old).unwrap();
    save(&store, 1);
    store.move_to(&new).unwrap();
    drop(store);
    fs::rename(&new, base.join("unplugged")).unwrap();
    let error = Store::open(&old).unwrap_err();
    assert!(error.to_string().contains("not there now"), "{error}");
    assert!(!new.exists());
    fs::rename(base.join("unplugged"), &new).unwrap();
    assert_eq!(seeds(&Store::open(&old).unwrap().recent(9, None).unwrap()), [1]);
}

#[test]
fn a_place_where_nothing_can_be_written_is_an_error_with_a_hint() {
    let base = tempfile::tempdir().unwrap();
    let blocker = base.path().join("file");
    fs::write(&blocker, b"x").unwrap();
    let error = Store::open(blocker.join("library")).unwrap_err();
    assert!(matches!(error, EngineError::Io { .. }), "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn many_threads_share_a_library() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    is_shared(&store);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for turn in 0..5 {
                    let id = save(store, turn).id;
                    if thread % 2 == 0 {
                        store.trash(id).unwrap();
                    }
                    store.recent(5, None).unwrap();
                }
            });
        }
    });
    assert_eq!(store.recent(99, None).unwrap().len(), 10);
    assert_eq!(store.trashed().unwrap().len(), 10);
    assert!(store.trashed().unwrap().iter().all(|row| row.file.exists()));
}

#[test]
fn an_enlarged_picture_keeps_the_recipe_it_came_from_also_when_the_index_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let source = Some(Box::new(Request::Picture(Box::new(request(7)))));
    let recipe = EnlargeRequest { source, ..EnlargeRequest::new("fox.png", "lanczos", 2.0) };
    save(&store, 1);
    let saved = store.save_enlarged(&pixels(7), &recipe, "CC0-1.0").unwrap();
    let wanted = Request::Enlarge(Box::new(recipe.clone()));
    assert_eq!(store.result(saved.id).unwrap().unwrap().request, wanted);
    assert!(saved.file.to_string_lossy().ends_with("-a-red-fox-x2-7.png"), "{saved:?}");
    assert_eq!(store.thumbnail(saved.id).unwrap().height_px, 19);
    let found = png::read_recipe_file(&saved.file).unwrap();
    assert_eq!((found.request, found.enlargement), (Some(request(7)), Some(recipe)));
    assert!(found.text.contains("Postprocess upscale by: 2"), "{}", found.text);
    drop(store);
    fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    let rows = Store::open(folder.path()).unwrap().recent(9, None).unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().any(|row| row.request == wanted), "{rows:?}");
}

#[test]
fn recipes_of_strangers_within_recipes_are_checked_too() {
    let mut painted = request(1);
    painted.size.width_px = 99_999;
    let source = Some(Box::new(Request::Picture(Box::new(painted))));
    let recipe = EnlargeRequest { source, ..EnlargeRequest::new("a.png", "lanczos", 2.0) };
    assert!(png::encode_enlarged(&pixels(1), &recipe, "").is_err());
    let recipe = EnlargeRequest::new("a.png", "lanczos", f32::NAN);
    assert!(png::encode_enlarged(&pixels(1), &recipe, "").is_err());
}
