#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not so")]

use std::path::Path;

use proptest::prelude::*;

use super::write::{SampleFormat, flac, wav};
use super::{midi, read, recipe, recipe::Tags};
use crate::error::EngineError;
use crate::protocol::{
    DeviceChoice, Instrument, Key, Metre, Mode, ModelRef, MusicPlan, Note, Pcm, Score,
    SoundRequest, TokenSampling, Track,
};

fn request() -> SoundRequest {
    SoundRequest {
        model: ModelRef { name: "house-composer".to_owned(), sha256: "cd".repeat(32) },
        prompt: "ein ruhiger Walzer · 平静的圆舞曲".to_owned(),
        plan: MusicPlan { tempo_bpm: Some(91.3), ..MusicPlan::default() },
        given: None,
        sampling: TokenSampling::default(),
        seed: u64::MAX,
        device: DeviceChoice::Auto,
    }
}

fn score() -> Score {
    let note = |start_ticks, duration_ticks, pitch| Note {
        start_ticks,
        duration_ticks,
        pitch,
        velocity: 80,
    };
    Score {
        ticks_per_quarter: 24,
        tempo_bpm: 100.0,
        metre: Metre { beats: 3, unit: 8 },
        key: Some(Key { tonic: 9, mode: Mode::Minor }),
        tracks: vec![
            Track {
                instrument: Instrument::Flute,
                notes: vec![note(0, 12, 69), note(12, 12, 69), note(24, 48, 76)],
            },
            Track { instrument: Instrument::Drums, notes: vec![note(0, 6, 36), note(12, 6, 38)] },
            Track { instrument: Instrument::Flute, notes: vec![note(6, 90, 60), note(6, 96, 64)] },
        ],
    }
}

fn tags() -> Tags {
    Tags { score: Some(score()), ..Tags::of(&request(), "CC0-1.0") }
}

/// Makes sound whose samples 16 bits hold exactly, both ends of the scale among them.
fn pcm(channels: u16, frames: usize) -> Pcm {
    let value = |n: usize| ((n * n * 7 + n * 131) % 65_536) as f32 / 32_768.0 - 1.0;
    let samples = (0..frames * usize::from(channels)).map(value).collect();
    Pcm { sample_rate_hz: 44_100, channels, samples }
}

fn read_back(bytes: Vec<u8>, name: &str) -> Result<Pcm, EngineError> {
    read::read_bytes(bytes, Path::new(name))
}

#[test]
fn wav_and_flac_give_back_what_was_written() {
    for channels in 1..=8 {
        for frames in [1, 15, 4097, 10_000] {
            let pcm = pcm(channels, frames);
            for format in [SampleFormat::Int16, SampleFormat::Int24, SampleFormat::Float32] {
                let bytes = wav(&pcm, format, &tags()).unwrap();
                assert_eq!(read_back(bytes, "a.wav").unwrap(), pcm, "WAV {format:?} {frames}");
            }
            for format in [SampleFormat::Int16, SampleFormat::Int24] {
                let bytes = flac(&pcm, format, &tags()).unwrap();
                let back = read_back(bytes, "a.flac").unwrap();
                assert!(
                    back == pcm,
                    "FLAC {format:?} {channels} channels {frames} frames: {back:?}"
                );
            }
        }
    }
}

#[test]
fn the_same_sound_gives_the_same_bytes() {
    let pcm = pcm(2, 5000);
    assert_eq!(flac(&pcm, SampleFormat::Int16, &tags()), flac(&pcm, SampleFormat::Int16, &tags()));
    assert_eq!(wav(&pcm, SampleFormat::Int16, &tags()), wav(&pcm, SampleFormat::Int16, &tags()));
}

#[test]
fn recipe_licence_and_notes_are_read_back_from_every_kind_of_file() {
    let folder = tempfile::tempdir().unwrap();
    let pcm = pcm(2, 1001);
    let files = [
        ("a.wav", wav(&pcm, SampleFormat::Int24, &tags()).unwrap()),
        ("a.flac", flac(&pcm, SampleFormat::Int16, &tags()).unwrap()),
        ("a.mid", midi::encode(&score(), &tags()).unwrap()),
    ];
    for (name, bytes) in files {
        let path = folder.path().join(name);
        assert!(recipe::is_sound(&bytes));
        std::fs::write(&path, bytes).unwrap();
        let found = recipe::recipe_of(&path).unwrap();
        assert_eq!(found.request, Some(request()), "{name}");
        assert_eq!(found.licence.as_deref(), Some("CC0-1.0"), "{name}");
        assert_eq!(found.title, Some(request().prompt), "{name}");
        assert_eq!(found.score.is_some(), name != "a.mid");
        assert!(found.score.is_none_or(|found| found == score()));
    }
    let plain = folder.path().join("plain.wav");
    std::fs::write(&plain, wav(&pcm, SampleFormat::Int16, &Tags::default()).unwrap()).unwrap();
    let found = recipe::recipe_of(&plain).unwrap();
    assert_eq!((found.request, found.licence, found.text.as_str()), (None, None, ""));
}

#[test]
fn a_recipe_with_a_number_that_is_none_is_refused() {
    let mut request = request();
    request.plan.tempo_bpm = Some(f32::NAN);
    let tags = Tags::of(&request, "");
    assert!(wav(&pcm(1, 9), SampleFormat::Int16, &tags).is_err());
}

#[test]
fn samples_that_are_not_numbers_are_silence_and_loud_ones_are_clipped() {
    let loud = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 7.0, -7.0, 0.25];
    let expected = [0.0, 0.0, 0.0, 1.0, -1.0, 0.25];
    let made = Pcm { sample_rate_hz: 8000, channels: 1, samples: loud.to_vec() };
    let bytes = wav(&made, SampleFormat::Float32, &Tags::default()).unwrap();
    assert_eq!(read_back(bytes, "a.wav").unwrap().samples, expected);
    // And when a file holds them: written by hand, past our own checks.
    let mut bytes = wav(&made, SampleFormat::Float32, &Tags::default()).unwrap();
    let at = bytes.windows(4).position(|four| four == b"data").unwrap() + 8;
    for (n, sample) in loud.iter().enumerate() {
        bytes[at + 4 * n..at + 4 * n + 4].copy_from_slice(&sample.to_le_bytes());
    }
    assert_eq!(read_back(bytes, "a.wav").unwrap().samples, expected);
    let back = read_back(flac(&made, SampleFormat::Int16, &Tags::default()).unwrap(), "a.flac");
    assert_eq!(back.unwrap().samples, [0.0, 0.0, 0.0, 32_767.0 / 32_768.0, -1.0, 0.25]);
}

#[test]
fn headers_that_make_no_sense_are_refused_with_a_sentence() {
    let good = wav(&pcm(2, 100), SampleFormat::Int16, &Tags::default()).unwrap();
    // The format chunk: channels at 22, rate at 24, bytes a second at 28, bytes a frame at 32.
    let with = |channels: u16, rate: u32, bits: u16| {
        let mut bytes = good.clone();
        bytes[22..24].copy_from_slice(&channels.to_le_bytes());
        bytes[24..28].copy_from_slice(&rate.to_le_bytes());
        bytes[28..32].copy_from_slice(&rate.wrapping_mul(4).to_le_bytes());
        bytes[32..34].copy_from_slice(&(channels.wrapping_mul(bits / 8)).to_le_bytes());
        bytes[34..36].copy_from_slice(&bits.to_le_bytes());
        bytes
    };
    let cases = [
        ("400 channels", with(400, 44_100, 16)),
        ("no channels", with(0, 44_100, 16)),
        ("a rate of 0", with(2, 0, 16)),
        ("4 GHz", with(2, 4_000_000_000, 16)),
        ("1 Hz", with(2, 1, 16)),
        ("0 bits", with(2, 44_100, 0)),
        ("99 bits", with(2, 44_100, 99)),
        ("empty", Vec::new()),
        ("no sound", b"a text, and quite a long one, that holds no sound at all".to_vec()),
        ("only a header", good[..44].to_vec()),
        ("half a header", good[..20].to_vec()),
        ("zeros", vec![0; 5000]),
    ];
    for (name, bytes) in cases {
        let error = read_back(bytes, "a.wav").expect_err(name);
        let said = error.to_string();
        assert!(said.ends_with(": a.wav") && !error.hint().is_empty(), "{name}: {said}");
        assert!(matches!(error, EngineError::Damaged { .. }), "{name}: {error:?}");
        println!("{name}: {said}");
    }
}

#[test]
fn a_file_that_ends_too_early_gives_what_it_holds() {
    let pcm = pcm(2, 20_000);
    for (name, bytes) in [
        ("a.wav", wav(&pcm, SampleFormat::Int16, &Tags::default()).unwrap()),
        ("a.flac", flac(&pcm, SampleFormat::Int16, &Tags::default()).unwrap()),
    ] {
        let half = read_back(bytes[..bytes.len() / 2].to_vec(), name).unwrap();
        assert!(half.frames() > 4000 && half.frames() < 12_000, "{name}: {half:?}");
        assert_eq!(half.samples, pcm.samples[..half.samples.len()], "{name}");
    }
}

#[test]
fn a_length_that_the_file_does_not_have_takes_no_memory() {
    let mut bytes = wav(&pcm(2, 100), SampleFormat::Int16, &Tags::default()).unwrap();
    let at = bytes.windows(4).position(|four| four == b"data").unwrap() + 4;
    bytes[4..8].fill(0xFF);
    bytes[at..at + 4].fill(0xFF);
    // Four billion bytes are announced, as of a stream: too much, or just what is there.
    match read_back(bytes, "a.wav") {
        Ok(pcm) => assert!(pcm.frames() < 1000, "{pcm:?}"),
        Err(error) => assert!(error.to_string().contains("longer than"), "{error}"),
    }
}

#[test]
fn music_survives_the_way_through_midi() {
    let bytes = midi::encode(&score(), &tags()).unwrap();
    assert_eq!(midi::decode(&bytes, Path::new("a.mid")).unwrap(), score());
    for tonic in 0..12 {
        for mode in [Mode::Major, Mode::Minor] {
            let score = Score { key: Some(Key { tonic, mode }), ..score() };
            let bytes = midi::encode(&score, &Tags::default()).unwrap();
            assert_eq!(midi::decode(&bytes, Path::new("a.mid")).unwrap().key, score.key);
        }
    }
}

#[test]
fn every_program_has_an_instrument_and_every_instrument_its_program() {
    for program in 0..128 {
        let instrument = midi::instrument_of(program);
        assert_eq!(midi::instrument_of(midi::program_of(instrument).unwrap()), instrument);
    }
    assert_eq!(midi::instrument_of(40), Instrument::Strings);
    assert_eq!(midi::program_of(Instrument::Drums), None);
}

/// Makes a MIDI file of one track from its events.
fn midi_file(timing: [u8; 2], events: &[u8]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06\0\x01\0\x01".to_vec();
    bytes.extend(timing);
    bytes.extend(b"MTrk");
    bytes.extend((events.len() as u32).to_be_bytes());
    bytes.extend(events);
    bytes
}

#[test]
fn running_status_open_notes_and_changes_of_tempo_are_understood() {
    // 96 ticks; two notes by running status, the second never ended; tempo from 120 to 60 halfway.
    let events = [
        &[0, 0xFF, 0x58, 4, 6, 3, 24, 8][..],
        &[0, 0xFF, 0x59, 2, 0xFD, 0],
        &[0, 0xC0, 73],
        &[0, 0x90, 60, 100, 48, 60, 0],
        &[0, 62, 90],
        &[48, 0xFF, 0x51, 3, 0x0F, 0x42, 0x40],
        &[96, 0xFF, 0x2F, 0],
    ]
    .concat();
    let score = midi::decode(&midi_file([0, 96], &events), Path::new("a.mid")).unwrap();
    assert_eq!(score.metre, Metre { beats: 6, unit: 8 });
    assert_eq!(score.key, Some(Key { tonic: 3, mode: Mode::Major }));
    assert_eq!(score.tracks.len(), 1);
    assert_eq!(score.tracks[0].instrument, Instrument::Flute);
    let notes = &score.tracks[0].notes;
    assert_eq!((notes[0].pitch, notes[0].duration_ticks, notes[0].velocity), (60, 48, 100));
    assert_eq!((notes[1].start_ticks, notes[1].duration_ticks), (48, 144));
    // One quarter at 120 and one at 60 last 1.5 seconds.
    assert!((score.secs(192) - 1.5).abs() < 1e-6, "{}", score.tempo_bpm);
}

#[test]
fn a_file_that_counts_in_frames_of_film_lasts_as_long() {
    // 25 frames a second, 40 parts: a tick is a millisecond.
    let events = [&[0, 0x90, 60, 100][..], &[0x87, 0x68, 0x80, 60, 0, 0, 0xFF, 0x2F, 0]].concat();
    let score = midi::decode(&midi_file([0xE7, 40], &events), Path::new("a.mid")).unwrap();
    assert!((score.secs(score.end_ticks()) - 1.0).abs() < 0.002, "{score:?}");
}

#[test]
fn a_midi_file_with_a_million_notes_is_refused_with_a_sentence() {
    let mut events = vec![0, 0x90, 60, 100];
    for _ in 0..1_000_000 {
        events.extend([1, 60, 0, 0, 60, 100]);
    }
    let error = midi::decode(&midi_file([0, 96], &events), Path::new("a.mid")).unwrap_err();
    assert!(error.to_string().contains("more than 200000 notes"), "{error}");
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("text", b"no music".to_vec()),
        ("no notes", midi_file([0, 96], &[0, 0xFF, 0x2F, 0])),
    ] {
        let error = midi::decode(&bytes, Path::new("a.mid")).expect_err(name);
        assert!(matches!(error, EngineError::Damaged { .. }), "{name}: {error}");
    }
}

/// Changes, cuts and lengthens bytes.
fn damaged(bytes: &[u8], changes: &[(usize, u8)], keep: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let length = bytes.len();
    for (at, value) in changes {
        // The first bytes say what it is: damage gathers there.
        bytes[(at * at) % length.max(1)] = *value;
    }
    bytes.truncate(length.min(keep + 16));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn damaged_sound_files_are_read_or_refused_and_never_end_the_program(
        changes in prop::collection::vec((0_usize..300, any::<u8>()), 0..12),
        keep in 0_usize..30_000,
        kind in 0..4,
    ) {
        let pcm = pcm(2, 3000);
        let (name, bytes) = match kind {
            0 => ("a.wav", wav(&pcm, SampleFormat::Int16, &tags()).unwrap()),
            1 => ("a.wav", wav(&pcm, SampleFormat::Float32, &tags()).unwrap()),
            _ => ("a.flac", flac(&pcm, SampleFormat::Int16, &tags()).unwrap()),
        };
        let bytes = damaged(&bytes, &changes, keep);
        let length = bytes.len();
        if let Ok(read) = read_back(bytes.clone(), name) {
            prop_assert!(read.samples.iter().all(|sample| (-1.0..=1.0).contains(sample)));
            prop_assert!((1..=8).contains(&read.channels) && read.frames() > 0);
            // Eight bits a sample at the least, but for blocks of one value in FLAC.
            prop_assert!(read.samples.len() <= length * 70_000);
        }
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), bytes).unwrap();
        let _ = recipe::recipe_of(path.path());
    }

    #[test]
    fn damaged_midi_files_are_read_or_refused_and_never_end_the_program(
        changes in prop::collection::vec((0_usize..40, any::<u8>()), 0..20),
        keep in 0_usize..2000,
    ) {
        let bytes = midi::encode(&score(), &tags()).unwrap();
        if let Ok(score) = midi::decode(&damaged(&bytes, &changes, keep), Path::new("a.mid")) {
            prop_assert!(score.ticks_per_quarter > 0 && score.tempo_bpm.is_finite());
            prop_assert!(score.tracks.iter().flat_map(|t| &t.notes).all(|n| n.duration_ticks > 0));
        }
    }
}
