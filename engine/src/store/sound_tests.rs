#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not so")]

use std::fs;

use super::*;
use crate::audio::read;
use crate::audio::recipe::recipe_of;
use crate::protocol::{
    DeviceChoice, Extras, Instrument, Metre, ModelRef, MusicPlan, NoiseSource, Note, Precision,
    PreviewMode, Prompt, SamplerKind, Sampling, Size, TokenSampling, Track,
};

fn sound_request(seed: u64) -> SoundRequest {
    SoundRequest {
        model: ModelRef { name: "house-composer".to_owned(), sha256: "ab".repeat(32) },
        prompt: "a calm waltz".to_owned(),
        plan: MusicPlan { duration_secs: Some(30.0), ..MusicPlan::default() },
        given: None,
        sampling: TokenSampling::default(),
        seed,
        device: DeviceChoice::Auto,
    }
}

fn score() -> Score {
    let note = Note { start_ticks: 0, duration_ticks: 2, pitch: 69, velocity: 80 };
    Score {
        ticks_per_quarter: 4,
        tempo_bpm: 90.0,
        metre: Metre { beats: 3, unit: 4 },
        key: None,
        tracks: vec![Track { instrument: Instrument::Harp, notes: vec![note] }],
    }
}

fn pcm(seed: u64) -> Pcm {
    let samples = (0..9000).map(|n| ((n * seed as i32) % 200 - 100) as f32 / 32768.0).collect();
    Pcm { sample_rate_hz: 48_000, channels: 2, samples }
}

fn save_sound(store: &Store, seed: u64) -> SavedResult {
    store.save_sound(&pcm(seed), &score(), &sound_request(seed), "CC0-1.0").unwrap()
}

fn save_picture(store: &Store, seed: u64) -> SavedResult {
    let request = PictureRequest {
        model: ModelRef::named("house-picture"),
        prompt: Prompt { text: "a red fox".to_owned(), ..Prompt::default() },
        size: Size { width_px: 8, height_px: 8 },
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
    };
    let pixels = Pixels::new(8, 8, vec![7; 256]).unwrap();
    store.save_picture(&pixels, &request, "CC0-1.0").unwrap()
}

fn ids(rows: &[ResultRow]) -> Vec<i64> {
    rows.iter().map(|row| row.id).collect()
}

#[test]
fn pictures_and_sounds_share_one_library() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (one, two, three) =
        (save_picture(&store, 1), save_sound(&store, 2), save_picture(&store, 3));
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.opening(), &Opening::default());
    assert_eq!(ids(&store.recent(9, None).unwrap()), [three.id, two.id, one.id]);
    let sounds = store.recent_of(ResultKind::Sound, 9, None).unwrap();
    assert_eq!(ids(&sounds), [two.id]);
    assert_eq!(sounds[0].request, Request::Sound(Box::new(sound_request(2))));
    assert_eq!(ids(&store.recent_of(ResultKind::Picture, 9, None).unwrap()), [three.id, one.id]);
    assert!(two.file.starts_with(folder.path().join("sounds")), "{two:?}");
    assert!(two.file.to_str().unwrap().ends_with("-a-calm-waltz-2.flac"), "{two:?}");
    assert_eq!(read::read_file(&two.file).unwrap(), pcm(2));
    let found = recipe_of(&two.file).unwrap();
    assert_eq!((found.request, found.score), (Some(sound_request(2)), Some(score())));
    assert_eq!(found.licence.as_deref(), Some("CC0-1.0"));
    assert!(matches!(store.thumbnail(two.id), Err(EngineError::InvalidSetting { .. })));
}

#[test]
fn a_sound_goes_to_the_trash_and_comes_back_to_the_sounds() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let saved = save_sound(&store, 1);
    store.trash(saved.id).unwrap();
    assert!(!saved.file.exists());
    let trashed = store.trashed().unwrap();
    assert!(trashed[0].file.starts_with(folder.path().join("trash")));
    store.restore(saved.id).unwrap();
    assert_eq!(store.result(saved.id).unwrap().unwrap().file, saved.file);
    assert!(saved.file.exists());
    store.trash(saved.id).unwrap();
    assert_eq!(store.empty_trash().unwrap(), 1);
    assert!(store.recent(9, None).unwrap().is_empty());
}

#[test]
fn a_missing_index_is_made_again_from_the_sounds_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    save_sound(&store, 1);
    save_picture(&store, 2);
    let trashed = save_sound(&store, 3);
    store.trash(trashed.id).unwrap();
    drop(store);
    fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.opening().adopted, 3);
    let requests =
        |rows: Vec<ResultRow>| rows.into_iter().map(|row| row.request).collect::<Vec<_>>();
    assert_eq!(requests(store.trashed().unwrap()), [Request::Sound(Box::new(sound_request(3)))]);
    let sounds = store.recent_of(ResultKind::Sound, 9, None).unwrap();
    assert_eq!(requests(sounds), [Request::Sound(Box::new(sound_request(1)))]);
    assert_eq!(store.recent_of(ResultKind::Picture, 9, None).unwrap().len(), 1);
}

#[test]
fn a_library_of_the_first_version_is_brought_up_to_date_and_keeps_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let picture = save_picture(&store, 1);
    drop(store);
    index::make_old(folder.path(), 1);
    fs::remove_dir_all(folder.path().join("sounds")).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.opening(), &Opening::default());
    let sound = save_sound(&store, 2);
    assert_eq!(ids(&store.recent(9, None).unwrap()), [sound.id, picture.id]);
    assert_eq!(ids(&store.recent_of(ResultKind::Picture, 9, None).unwrap()), [picture.id]);
    drop(store);
    let again = Store::open(folder.path()).unwrap();
    assert_eq!(again.opening(), &Opening::default());
}

#[test]
fn sounds_move_with_their_library() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(base.path().join("old")).unwrap();
    let saved = save_sound(&store, 1);
    store.move_to(base.path().join("new")).unwrap();
    let row = store.result(saved.id).unwrap().unwrap();
    assert_eq!(read::read_file(&row.file).unwrap(), pcm(1));
    assert!(!saved.file.exists());
}
