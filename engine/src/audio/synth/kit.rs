//! The recorded strokes of an acoustic drum kit; what they are and whose stands in
//! `assets/sounds/kit/card.md`.

use std::path::Path;
use std::sync::OnceLock;

use super::note::{NoteSound, Stroke};
use crate::audio::read::read_bytes;

/// Frames of a second in the files.
const FILE_RATE_HZ: f64 = 48_000.0;

/// Below this strength a drum that has two recordings sounds softly.
const HARD_FROM: f32 = 0.5;

macro_rules! strokes {
    ($($name:ident $file:literal),* $(,)?) => {
        #[derive(Debug, Clone, Copy)]
        enum Recording { $($name),* }

        const FILES: &[(&str, &[u8])] = &[$(
            ($file, include_bytes!(concat!("../../../../assets/sounds/kit/", $file, ".flac")))
        ),*];
    };
}

strokes!(
    KickSoft "kick-soft",
    KickHard "kick-hard",
    SnareSoft "snare-soft",
    SnareHard "snare-hard",
    TomLowSoft "tom-low-soft",
    TomLowHard "tom-low-hard",
    TomMiddleSoft "tom-middle-soft",
    TomMiddleHard "tom-middle-hard",
    TomHighSoft "tom-high-soft",
    TomHighHard "tom-high-hard",
    HatClosed "hat-closed",
    HatPedal "hat-pedal",
    HatOpen "hat-open",
    CrashSoft "crash-soft",
    CrashHard "crash-hard",
    Splash "splash",
);

/// Says how a drum of General MIDI is played on the kit.
#[derive(Debug, Clone, Copy)]
struct Piece {
    soft: Recording,
    hard: Recording,
    /// Height of its peak at full strength.
    level: f32,
    /// Where it stands, −1 (left) to 1 (right).
    place: f32,
    /// How much faster it is played than recorded.
    speed: f64,
}

fn piece(pitch: u8) -> Option<Piece> {
    use Recording::*;
    let piece = |soft, hard, level, place, speed| Some(Piece { soft, hard, level, place, speed });
    match pitch {
        35 => piece(KickSoft, KickHard, 0.95, 0.0, 0.93),
        36 => piece(KickSoft, KickHard, 0.95, 0.0, 1.0),
        38 => piece(SnareSoft, SnareHard, 0.72, 0.05, 1.0),
        40 => piece(SnareSoft, SnareHard, 0.72, 0.05, 1.07),
        41 => piece(TomLowSoft, TomLowHard, 0.75, 0.45, 0.88),
        43 => piece(TomLowSoft, TomLowHard, 0.75, 0.4, 1.0),
        45 => piece(TomMiddleSoft, TomMiddleHard, 0.7, 0.2, 0.92),
        47 => piece(TomMiddleSoft, TomMiddleHard, 0.7, 0.1, 1.0),
        48 => piece(TomHighSoft, TomHighHard, 0.66, -0.2, 0.92),
        50 => piece(TomHighSoft, TomHighHard, 0.66, -0.3, 1.0),
        42 => piece(HatClosed, HatClosed, 0.3, -0.35, 1.0),
        44 => piece(HatPedal, HatPedal, 0.3, -0.35, 1.0),
        46 => piece(HatOpen, HatOpen, 0.36, -0.35, 1.0),
        49 => piece(CrashSoft, CrashHard, 0.5, 0.4, 1.0),
        57 => piece(CrashSoft, CrashHard, 0.5, -0.45, 0.94),
        55 => piece(Splash, Splash, 0.4, 0.25, 1.0),
        _ => None,
    }
}

/// Returns a recording at the files' rate; decoded when it is first asked for.
fn recording(which: Recording) -> &'static [f32] {
    static DECODED: [OnceLock<Vec<f32>>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];
    let (name, bytes) = FILES[which as usize];
    DECODED[which as usize].get_or_init(|| match read_bytes(bytes.to_vec(), Path::new(name)) {
        Ok(pcm) => pcm.samples,
        // A test opens every one.
        Err(_) => Vec::new(),
    })
}

/// Plays a drum that the kit has; how long the note is held makes no difference.
pub(super) fn render(stroke: &Stroke) -> Option<NoteSound> {
    let piece = piece(stroke.pitch)?;
    let source = recording(if stroke.strength < HARD_FROM { piece.soft } else { piece.hard });
    let step = piece.speed * FILE_RATE_HZ / stroke.rate_hz;
    let frames = (source.len() as f64 / step) as usize;
    let (left, right) = ((1.0 - 0.6 * piece.place).min(1.0), (1.0 + 0.6 * piece.place).min(1.0));
    // The files peak at -1 dB, and end in silence.
    let level = piece.level / 0.891 * stroke.strength;
    let sound = (0..frames).map(|n| {
        let value = if step == 1.0 { source[n] } else { between(source, n as f64 * step) };
        [value * level * left, value * level * right]
    });
    Some(NoteSound::Wide(sound.collect()))
}

/// Reads between frames by a cubic through the four around.
///
/// # Source
/// Catmull and Rom: A class of local interpolating splines (1974).
fn between(source: &[f32], at: f64) -> f32 {
    let index = at as usize;
    let t = (at - index as f64) as f32;
    let frame = |n: usize| source.get(n).copied().unwrap_or(0.0);
    let (a, b, c, d) =
        (frame(index.saturating_sub(1)), frame(index), frame(index + 1), frame(index + 2));
    b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stroke(pitch: u8, strength: f32, rate_hz: f64) -> Stroke {
        Stroke { pitch, strength, held: 100, rate_hz, seed: 1 }
    }

    #[test]
    fn every_recording_opens_at_the_files_rate_and_peaks_at_minus_one_decibel() {
        for (name, bytes) in FILES {
            let pcm = read_bytes(bytes.to_vec(), Path::new(name)).expect(name);
            assert_eq!((pcm.sample_rate_hz, pcm.channels), (48_000, 1), "{name}");
            let peak = pcm.samples.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
            assert!((peak - 0.891).abs() < 0.02, "{name}: {peak}");
        }
    }

    #[test]
    fn drums_of_the_kit_sound_at_their_level_and_others_are_left_to_synthesis() {
        for pitch in 35..=57 {
            let Some(piece) = piece(pitch) else { continue };
            // Below the files' rate the highest tones fold back, and a hat's peak may change.
            for (rate_hz, tolerance) in [(22_050.0, 0.5), (44_100.0, 0.2), (48_000.0, 0.1)] {
                let Some(NoteSound::Wide(sound)) = render(&stroke(pitch, 1.0, rate_hz)) else {
                    panic!("{pitch} does not sound");
                };
                let peak = sound.iter().flatten().fold(0.0_f32, |peak, s| peak.max(s.abs()));
                assert!(
                    (peak / piece.level - 1.0).abs() < tolerance,
                    "{pitch} at {rate_hz}: {peak}"
                );
            }
        }
        assert!(render(&stroke(51, 1.0, 48_000.0)).is_none());
    }

    #[test]
    fn a_cubic_goes_through_the_frames_and_straight_on_between_those_of_a_line() {
        let line = [0.0, 1.0, 2.0, 3.0, 4.0];
        assert_eq!([between(&line, 2.0), between(&line, 1.5)], [2.0, 1.5]);
    }
}
