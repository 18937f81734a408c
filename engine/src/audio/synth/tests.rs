#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not so")]

use std::f64::consts::TAU;

use super::*;
use crate::audio::loudness;
use crate::protocol::{Metre, Note, Track};

const PITCHED: [Instrument; 15] = [
    Instrument::Piano,
    Instrument::Guitar,
    Instrument::Harp,
    Instrument::Strings,
    Instrument::Cello,
    Instrument::Flute,
    Instrument::Clarinet,
    Instrument::Trumpet,
    Instrument::Choir,
    Instrument::Organ,
    Instrument::Bells,
    Instrument::MusicBox,
    Instrument::Bass,
    Instrument::Pad,
    Instrument::Lead,
];

fn one_note(instrument: Instrument, pitch: u8, secs: f32) -> Score {
    let duration_ticks = (secs * 100.0) as u32;
    let note = Note { start_ticks: 0, duration_ticks, pitch, velocity: 96 };
    Score {
        ticks_per_quarter: 100,
        tempo_bpm: 60.0,
        metre: Metre { beats: 4, unit: 4 },
        key: None,
        tracks: vec![Track { instrument, notes: vec![note] }],
    }
}

/// Makes a busy piece for four voices.
pub(super) fn piece(instruments: [Instrument; 4], secs: u32) -> Score {
    let notes = |voice: u32| -> Vec<Note> {
        (0..secs * (5 - voice))
            .map(|n| {
                let step = 100 / (5 - voice);
                let pitch = 76 - 9 * voice + [0, 4, 7, 2, 5, 9, 11, 7][(n as usize * 3) % 8];
                Note {
                    start_ticks: n * step,
                    duration_ticks: step,
                    pitch: pitch as u8,
                    velocity: 60 + (n * 7 % 50) as u8,
                }
            })
            .collect()
    };
    let tracks = instruments
        .into_iter()
        .enumerate()
        .map(|(voice, instrument)| Track { instrument, notes: notes(voice as u32) })
        .collect();
    Score { tracks, ..one_note(Instrument::Piano, 60, 1.0) }
}

fn rendered(score: &Score, rate_hz: u32) -> Pcm {
    render(score, rate_hz, &mut |_, _| Ok(())).unwrap()
}

/// Returns the mean frequency near a guess: the slope of the phase of what is left when the sound is
/// turned back by the guess and averaged, over the middle of the note.
fn measured_hz(mono: &[f64], rate_hz: f64, guess_hz: f64) -> f64 {
    let window = (rate_hz * 0.1) as usize;
    let mut phases: Vec<f64> = Vec::new();
    for block in 0..mono.len() / (window / 2) - 1 {
        let start = block * (window / 2);
        let (mut re, mut im) = (0.0, 0.0);
        for (n, value) in mono.iter().enumerate().skip(start).take(window) {
            let hann = 0.5 - 0.5 * (TAU * (n - start) as f64 / window as f64).cos();
            let turn = -TAU * guess_hz * n as f64 / rate_hz;
            re += value * hann * turn.cos();
            im += value * hann * turn.sin();
        }
        let mut phase = im.atan2(re);
        if let Some(last) = phases.last() {
            phase += TAU * ((last - phase) / TAU).round();
        }
        phases.push(phase);
    }
    let mean_at = (phases.len() - 1) as f64 / 2.0;
    let mean = phases.iter().sum::<f64>() / phases.len() as f64;
    let (mut over, mut under) = (0.0, 0.0);
    for (n, phase) in phases.iter().enumerate() {
        over += (n as f64 - mean_at) * (phase - mean);
        under += (n as f64 - mean_at) * (n as f64 - mean_at);
    }
    guess_hz + over / under / TAU * rate_hz / (window / 2) as f64
}

#[test]
fn the_a_of_every_voice_is_440_hz_within_a_tenth() {
    for instrument in PITCHED {
        for rate in [44_100, 48_000] {
            let pcm = rendered(&one_note(instrument, 69, 5.0), rate);
            let rate_hz = f64::from(rate);
            let mono: Vec<f64> =
                pcm.samples.chunks(2).map(|f| f64::from(f[0] + f[1]) / 2.0).collect();
            let middle = &mono[(0.4 * rate_hz) as usize..(2.4 * rate_hz) as usize];
            let hz = measured_hz(middle, rate_hz, 440.0);
            println!("{instrument:?} at {rate}: {hz:.4} Hz");
            assert!((hz - 440.0).abs() < 0.1, "{instrument:?} at {rate}: {hz} Hz");
        }
    }
}

#[test]
fn the_same_notes_give_the_same_bytes_with_any_number_of_threads() {
    let score =
        piece([Instrument::Strings, Instrument::Piano, Instrument::Guitar, Instrument::Drums], 4);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| rendered(&score, 44_100))
    };
    let one = with(1);
    assert!(one == with(2) && one == with(5));
}

#[test]
fn every_voice_is_heard_never_too_loud_and_ends_in_silence() {
    for instrument in PITCHED.into_iter().chain([Instrument::Drums]) {
        for pitch in [0, 24, 36, 60, 84, 108, 127] {
            let pcm = rendered(&one_note(instrument, pitch, 0.8), 44_100);
            let peak = pcm.samples.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
            let name = format!("{instrument:?} {pitch}");
            assert!(pcm.samples.iter().all(|s| s.is_finite()), "{name}");
            assert!(peak > 0.01 && peak < 0.892, "{name}: {peak}");
            let last = pcm.samples.len() - 20;
            assert!(pcm.samples[last..].iter().all(|s| s.abs() < 1e-4), "{name}");
        }
    }
}

#[test]
fn a_busy_piece_is_about_as_loud_as_others_and_below_full_scale() {
    for instruments in [
        [Instrument::Piano, Instrument::Strings, Instrument::Cello, Instrument::Bass],
        [Instrument::Trumpet, Instrument::Lead, Instrument::Organ, Instrument::Drums],
        [Instrument::MusicBox, Instrument::Harp, Instrument::Guitar, Instrument::Pad],
    ] {
        let pcm = rendered(&piece(instruments, 8), 48_000);
        let found = loudness::measure(&pcm).unwrap();
        println!("{instruments:?}: {found:?}");
        assert!((found.integrated_lufs.unwrap() + 16.0).abs() < 1.0, "{found:?}");
        assert!(found.true_peak_db.unwrap() < -0.5, "{found:?}");
    }
}

#[test]
fn music_that_makes_no_sense_is_refused_with_a_sentence() {
    let good = one_note(Instrument::Piano, 60, 1.0);
    let refused = |score: &Score, rate| render(score, rate, &mut |_, _| Ok(())).is_err();
    assert!(refused(&good, 7999) && refused(&good, 200_000));
    for tempo_bpm in [f32::NAN, f32::INFINITY, 0.0, -3.0] {
        assert!(refused(&Score { tempo_bpm, ..good.clone() }, 48_000));
    }
    assert!(refused(&one_note(Instrument::Piano, 60, 1300.0), 48_000));
    let mut many = good.clone();
    many.tracks[0].notes = vec![many.tracks[0].notes[0]; MAX_NOTES + 1];
    assert!(refused(&many, 48_000));
    let empty = Score { tracks: Vec::new(), ..good };
    let silence = rendered(&empty, 48_000);
    assert!(silence.frames() > 0 && silence.samples.iter().all(|sample| sample.abs() < 1e-4));
}

#[test]
fn a_cancelled_rendering_stops() {
    let score = piece([Instrument::Piano; 4], 2);
    let ended = render(&score, 44_100, &mut |done, _| {
        if done > 0 { Err(EngineError::Cancelled) } else { Ok(()) }
    });
    assert_eq!(ended, Err(EngineError::Cancelled));
}

#[test]
#[ignore = "writes files for listening and prints times; needs ATELIER_LISTEN to name a folder"]
fn voices_for_listening() {
    let folder = std::path::PathBuf::from(std::env::var_os("ATELIER_LISTEN").unwrap());
    let save = |name: &str, score: &Score| {
        let begun = std::time::Instant::now();
        let pcm = rendered(score, 48_000);
        println!("{name}: {:.2} s for {:.1} s", begun.elapsed().as_secs_f64(), pcm.duration_secs());
        let tags = crate::audio::recipe::Tags::default();
        let format = crate::audio::write::SampleFormat::Int16;
        let bytes = crate::audio::write::wav(&pcm, format, &tags).unwrap();
        std::fs::write(folder.join(format!("{name}.wav")), bytes).unwrap();
    };
    for instrument in PITCHED {
        let mut score = one_note(instrument, 48, 1.0);
        score.tracks[0].notes = [48, 55, 60, 64, 67, 72, 79, 84]
            .into_iter()
            .enumerate()
            .map(|(n, pitch)| Note {
                start_ticks: n as u32 * 60,
                duration_ticks: 50,
                pitch,
                velocity: 40 + 11 * n as u8,
            })
            .collect();
        save(&format!("{instrument:?}"), &score);
    }
    let mut drums = one_note(Instrument::Drums, 36, 1.0);
    let first = drums.tracks[0].notes[0];
    drums.tracks[0].notes = [36, 38, 42, 46, 49, 51, 45, 41, 39, 37, 54, 60]
        .into_iter()
        .enumerate()
        .map(|(n, pitch)| Note { start_ticks: n as u32 * 60, pitch, ..first })
        .collect();
    save("Drums", &drums);
    let voices = [Instrument::Piano, Instrument::Strings, Instrument::Choir, Instrument::Drums];
    save("piece", &piece(voices, 30));
    save("strings", &piece([Instrument::Strings; 4], 30));
    save("pianos", &piece([Instrument::Piano; 4], 30));
}
