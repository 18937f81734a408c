#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not so")]

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::loudness;
use super::peaks::{Extent, Peaks};
use super::resample::{StereoStream, resample};
use super::spectrogram::{SpectrogramPlan, spectrogram, spectrogram_of};
use crate::error::EngineError;
use crate::protocol::Pcm;

fn sine(hz: f64, level: f64, rate_hz: u32, channels: u16, frames: usize) -> Pcm {
    let samples = (0..frames)
        .flat_map(|n| {
            let value = level * (TAU * hz * n as f64 / f64::from(rate_hz)).sin();
            std::iter::repeat_n(value as f32, usize::from(channels))
        })
        .collect();
    Pcm { sample_rate_hz: rate_hz, channels, samples }
}

proptest! {
    #[test]
    fn the_outline_is_that_of_every_sample(
        frames in 1_usize..9000,
        channels in 1_u16..3,
        seed in any::<u32>(),
        from in 0.0_f64..1.0,
        part in 0.0_f64..1.0,
        columns in 1_usize..50,
    ) {
        let mut state = seed | 1;
        let samples: Vec<f32> = (0..frames * usize::from(channels))
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                (state as i32) as f32 / 2_147_483_648.0
            })
            .collect();
        let pcm = Pcm { sample_rate_hz: 8000, channels, samples };
        let start = from * frames as f64;
        let end = start + part * (frames as f64 - start);
        let found = Peaks::of(&pcm).columns(&pcm, start, end, columns);
        let width = (end - start) / columns as f64;
        for (n, extent) in found.into_iter().enumerate() {
            let first = (start + width * n as f64).floor() as usize;
            let last = ((start + width * (n + 1) as f64).floor() as usize).max(first + 1);
            let (first, last) = (first.min(frames), last.min(frames));
            let c = usize::from(channels);
            let all = &pcm.samples[first * c..last * c];
            let expected = match all.is_empty() {
                true => Extent { low: 0.0, high: 0.0 },
                false => Extent {
                    low: all.iter().copied().fold(f32::INFINITY, f32::min),
                    high: all.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                },
            };
            prop_assert_eq!(extent, expected);
        }
    }
}

#[test]
fn a_resampled_sine_is_the_same_sine_at_the_same_time() {
    for (from, to) in [(44_100, 48_000), (48_000, 44_100), (22_050, 48_000), (96_000, 44_100)] {
        let made = resample(&sine(1000.0, 0.5, from, 2, from as usize), to).unwrap();
        let expected = sine(1000.0, 0.5, to, 2, to as usize);
        assert_eq!(made.frames(), expected.frames());
        let middle = to as usize / 4 * 2..to as usize * 3 / 4 * 2;
        let worst = made.samples[middle.clone()]
            .iter()
            .zip(&expected.samples[middle])
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst < 1e-4, "{from} to {to}: {worst}");
    }
}

#[test]
fn a_stream_is_resampled_without_gaps() {
    let pcm = sine(1000.0, 0.5, 44_100, 2, 44_100);
    let frames: Vec<[f32; 2]> = pcm.samples.chunks(2).map(|f| [f[0], f[1]]).collect();
    let mut stream = StereoStream::new(44_100, 48_000).unwrap();
    let mut out = Vec::new();
    for piece in frames.chunks(77) {
        stream.push(piece, &mut out).unwrap();
    }
    assert!(out.len().abs_diff(48_000) < 1500, "{}", out.len());
    // A sine obeys x[n+1] + x[n−1] = 2 cos(ω) x[n]: any gap would break it.
    let twice = 2.0 * (TAU * 1000.0 / 48_000.0).cos();
    let worst = out[2000..40_000]
        .windows(3)
        .map(|w| (f64::from(w[0][0]) + f64::from(w[2][0]) - twice * f64::from(w[1][0])).abs())
        .fold(0.0, f64::max);
    assert!(worst < 1e-4, "{worst}");
}

#[test]
fn a_spectrogram_shows_a_sine_where_and_as_loud_as_it_is() {
    let pcm = sine(3000.0, 1.0, 48_000, 2, 48_000);
    for is_logarithmic in [false, true] {
        let plan = SpectrogramPlan { columns: 50, rows: 200, window: 2048, is_logarithmic };
        let found = spectrogram(&pcm, plan, &mut |_, _| Ok(())).unwrap();
        let column = &found.levels_db[25 * 200..26 * 200];
        let (row, level) = column.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
        let expected = match is_logarithmic {
            true => 200.0 * (3000.0_f64 / 30.0).ln() / (24_000.0_f64 / 30.0).ln(),
            false => 200.0 * 3000.0 / 24_000.0,
        };
        assert!((row as f64 - expected).abs() < 2.0, "{row} {expected}");
        assert!(level.abs() < 0.5, "{level} dB");
        assert!(column[if is_logarithmic { 20 } else { 150 }] < -80.0);
    }
    let plan = SpectrogramPlan { columns: 500, rows: 20, window: 512, is_logarithmic: false };
    let ended = spectrogram(&pcm, plan, &mut |done, _| match done {
        0 => Ok(()),
        _ => Err(EngineError::Cancelled),
    });
    assert_eq!(ended, Err(EngineError::Cancelled));
}

#[test]
fn loudness_is_that_of_the_standard_s_own_test_signals() {
    // EBU Tech 3341: a stereo sine of 1000 Hz at −23 dBFS measures −23.0 LUFS, at −33 dBFS −33.0.
    for db in [-23.0, -33.0] {
        let pcm = sine(1000.0, 10_f64.powf(db / 20.0), 48_000, 2, 48_000 * 20);
        let lufs = loudness::integrated_lufs(&pcm).unwrap().unwrap();
        assert!((lufs - db).abs() < 0.1, "{lufs}");
    }
    let silence = Pcm { sample_rate_hz: 48_000, channels: 2, samples: vec![0.0; 96_000] };
    assert_eq!(loudness::integrated_lufs(&silence), Ok(None));
}

/// Numbers of pyloudnorm 0.2.0 (numpy 2.4.6, scipy 1.17.1) for the signals below, which it can make too:
/// tests/golden/loudness/make.py.
const REFERENCE: [(u32, f64); 3] =
    [(44_100, -11.334_788), (48_000, -11.335_354), (96_000, -11.337_673)];

/// Makes a signal with soft and loud stretches of several sines, for the meters to disagree about.
fn uneven(rate_hz: u32) -> Pcm {
    let rate = f64::from(rate_hz);
    let samples = (0..rate_hz as usize * 12)
        .flat_map(|n| {
            let t = n as f64 / rate;
            let level = [0.5, 0.02, 0.2, 0.0][(t as usize) / 3 % 4];
            let left = 0.6 * (TAU * 80.0 * t).sin() + 0.4 * (TAU * 2500.0 * t).sin();
            let right = 0.7 * (TAU * 330.0 * t).sin() + 0.3 * (TAU * 6000.0 * t).sin();
            [(level * left) as f32, (level * right) as f32]
        })
        .collect();
    Pcm { sample_rate_hz: rate_hz, channels: 2, samples }
}

#[test]
fn loudness_is_within_a_tenth_of_an_independent_meter() {
    for (rate_hz, expected) in REFERENCE {
        let lufs = loudness::integrated_lufs(&uneven(rate_hz)).unwrap().unwrap();
        println!("{rate_hz} Hz: {lufs:.4} LUFS, pyloudnorm {expected:.4}");
        assert!((lufs - expected).abs() < 0.1, "{rate_hz} Hz: {lufs} LUFS, not {expected}");
    }
}

#[test]
fn a_sketch_shows_the_same_as_the_outline_where_a_sound_is_even() {
    let mut pcm = sine(440.0, 0.5, 44_100, 2, 44_100 * 20);
    let half = pcm.samples.len() / 2;
    pcm.samples[half..].iter_mut().for_each(|sample| *sample *= 0.1);
    let (sketch, exact) = (Peaks::sketch(&pcm), Peaks::of(&pcm));
    assert!(sketch.is_sketch() && !exact.is_sketch());
    let columns = |peaks: &Peaks| peaks.columns(&pcm, 0.0, pcm.frames() as f64, 100);
    for (n, (sketch, exact)) in columns(&sketch).iter().zip(columns(&exact)).enumerate() {
        // The column in the middle has both levels.
        if n != 49 && n != 50 {
            assert!((sketch.high - exact.high).abs() < 0.01, "{n}: {sketch:?} {exact:?}");
            assert!((sketch.low - exact.low).abs() < 0.01, "{n}: {sketch:?} {exact:?}");
        }
    }
    for frames in [0, 1, 255, 256, 257, 4096, 4097] {
        let short = sine(440.0, 0.5, 44_100, 2, frames);
        assert_eq!(Peaks::sketch(&short).columns(&short, 0.0, 10.0, 10).len(), 10);
    }
}

#[test]
fn a_stretch_of_a_spectrogram_is_that_part_of_the_whole() {
    let mut pcm = sine(500.0, 0.5, 48_000, 1, 96_000);
    let later = sine(5000.0, 0.5, 48_000, 1, 96_000);
    pcm.samples[48_000..].copy_from_slice(&later.samples[48_000..]);
    let plan = |columns| SpectrogramPlan { columns, rows: 64, window: 1024, is_logarithmic: true };
    let whole = spectrogram(&pcm, plan(40), &mut |_, _| Ok(())).unwrap();
    let part = spectrogram_of(&pcm, 48_000..96_000, plan(20), &mut |_, _| Ok(())).unwrap();
    assert_eq!(part.levels_db[..], whole.levels_db[20 * 64..]);
}

/// Takes 1.3 GB, so it is asked for: `cargo test --workspace --lib an_hour -- --ignored --nocapture`.
#[test]
#[ignore = "takes 1.3 GB of memory"]
fn an_hour_is_first_seen_within_a_fifth_of_a_second() {
    let rate_hz = 44_100;
    let samples = (0..rate_hz as usize * 3600 * 2).map(|n| (n % 997) as f32 / 1994.0).collect();
    let pcm = Pcm { sample_rate_hz: rate_hz, channels: 2, samples };
    let timed = |make: fn(&Pcm) -> Peaks| {
        let begun = std::time::Instant::now();
        let peaks = make(&pcm);
        let columns = peaks.columns(&pcm, 0.0, pcm.frames() as f64, 2000).len();
        (begun.elapsed(), columns)
    };
    let (sketch, _) = timed(Peaks::sketch);
    let (exact, _) = timed(Peaks::of);
    println!(
        "an hour of stereo at 44,100 Hz: sketch {sketch:?}, exact {exact:?}, 2000 columns each"
    );
    assert!(sketch.as_millis() < 200, "{sketch:?}");
}
