//! The built-in synthesizer: notes become sound, the same bytes on every machine and for every
//! number of threads.
//!
//! Every note is rendered for itself, in parallel; then notes are added up in the order of the score,
//! so that rounding does not depend on who was first. Sines, powers and logarithms that reach the
//! samples come from the crate `libm`, not from the system.

mod drums;
mod envelope;
mod filter;
mod kit;
mod master;
mod note;
mod pluck;
mod reverb;
mod struck;
mod voices;
mod wave;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::error::EngineError;
use crate::protocol::{Instrument, Pcm, Score};

use filter::gain;
use note::{NoteSound, Stroke};
use voices::{Seat, Voice};
use wave::Waves;

/// The sample rate that is usual here, in Hz: that of most devices, so that nothing is resampled.
pub const SAMPLE_RATE_HZ: u32 = 48_000;

/// The longest piece that is rendered, in seconds.
pub const MAX_DURATION_SECS: f64 = 1200.0;

/// The most notes of a piece that is rendered.
pub const MAX_NOTES: usize = 100_000;

/// A note that is held longer is let go, in seconds: bounds the memory of one note.
const MAX_HELD_SECS: f64 = 30.0;

/// Frames of all notes of a batch together, at about which it is full: bounds memory.
const BATCH_FRAMES: usize = 8 << 20;

/// Silence before the first note, in seconds, so that players that cut the start off harm nothing.
const LEAD_SECS: f64 = 0.05;

/// How long the room rings on after the last note, in seconds.
const TAIL_SECS: f64 = 1.6;

/// Renders a piece as stereo sound of about −16 LUFS, with peaks below −1 dB of full scale. A piece
/// without notes is a moment of silence.
///
/// `report` is told `(done, total)` notes now and then, and ends the work by an error.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when the piece is too long, has too many notes or a tempo that is
/// none, or the sample rate is not from 8,000 to 192,000 Hz; whatever `report` returns.
pub fn render(
    score: &Score,
    sample_rate_hz: u32,
    report: &mut dyn FnMut(u32, u32) -> Result<(), EngineError>,
) -> Result<Pcm, EngineError> {
    check(score, sample_rate_hz)?;
    let rate_hz = f64::from(sample_rate_hz);
    let waves = waves(score, rate_hz);
    let plan = plan(score, rate_hz);
    let end_secs = score.secs(score.end_ticks()) + LEAD_SECS + TAIL_SECS;
    let mut mix = vec![[0.0_f32; 2]; (end_secs * rate_hz) as usize + 1];
    let mut send = mix.clone();
    let total = plan.len() as u32;
    let mut rest = plan.as_slice();
    report(0, total)?;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(batch_size(rest));
        let sounds: Vec<NoteSound> =
            batch.par_iter().map(|planned| planned.sound(&waves)).collect();
        for (planned, sound) in batch.iter().zip(&sounds) {
            planned.add(sound, &mut mix, &mut send);
        }
        rest = after;
        report(total - rest.len() as u32, total)?;
    }
    reverb::add_room(&send, &mut mix, rate_hz);
    drop(send);
    fade_end(&mut mix, rate_hz);
    let pcm = master::finish(mix, sample_rate_hz)?;
    report(total, total)?;
    Ok(pcm)
}

fn check(score: &Score, sample_rate_hz: u32) -> Result<(), EngineError> {
    if !(8_000..=192_000).contains(&sample_rate_hz) {
        let reason = format!("must be from 8000 to 192000 Hz, not {sample_rate_hz}");
        return Err(EngineError::invalid("sample rate", reason));
    }
    if !(1.0..=1000.0).contains(&score.tempo_bpm) {
        let reason = format!("must be from 1 to 1000, not {}", score.tempo_bpm);
        return Err(EngineError::invalid("tempo", reason));
    }
    let notes: usize = score.tracks.iter().map(|track| track.notes.len()).sum();
    if notes > MAX_NOTES {
        let reason = format!("has {notes} notes; at most {MAX_NOTES} can be rendered");
        return Err(EngineError::invalid("music", reason));
    }
    let secs = score.secs(score.end_ticks());
    if secs > MAX_DURATION_SECS {
        let reason =
            format!("lasts {secs:.0} seconds; at most {MAX_DURATION_SECS} can be rendered");
        return Err(EngineError::invalid("music", reason));
    }
    Ok(())
}

/// Holds one note with its place in time and in the mix.
struct Planned {
    instrument: Instrument,
    voice: Voice,
    stroke: Stroke,
    start: usize,
    sides: [f32; 2],
    room: f32,
}

type AllWaves = BTreeMap<(usize, u8), Waves>;

/// Makes the waves of every pitch that a sustained instrument plays.
fn waves(score: &Score, rate_hz: f64) -> AllWaves {
    let mut wanted = BTreeMap::new();
    for track in &score.tracks {
        if let Voice::Sustained(sustained) = voices::voice(track.instrument) {
            for note in &track.notes {
                wanted.insert((track.instrument as usize, note.pitch.min(127)), sustained);
            }
        }
    }
    let make = |((instrument, pitch), sustained): ((usize, u8), wave::Sustained)| {
        ((instrument, pitch), sustained.waves(pitch, rate_hz))
    };
    wanted.into_iter().collect::<Vec<_>>().into_par_iter().map(make).collect()
}

fn plan(score: &Score, rate_hz: f64) -> Vec<Planned> {
    let mut plan = Vec::new();
    let tracks = score.tracks.len();
    for (number, track) in score.tracks.iter().enumerate() {
        let (voice, seat) = (voices::voice(track.instrument), voices::seat(track.instrument));
        let place = place(number, tracks, track.instrument);
        for (index, note) in track.notes.iter().enumerate() {
            let start_secs = LEAD_SECS + score.secs(u64::from(note.start_ticks));
            let held_secs = score.secs(u64::from(note.duration_ticks)).min(MAX_HELD_SECS);
            let strength = f32::from(note.velocity.clamp(1, 127)) / 127.0;
            let pitch = note.pitch.min(127);
            let stroke = Stroke {
                pitch,
                strength,
                held: ((held_secs * rate_hz) as usize).max(1),
                rate_hz,
                seed: (number as u32) << 20 ^ (index as u32) << 7 ^ u32::from(pitch),
            };
            let sides = sides(&seat, place, pitch, strength);
            let start = (start_secs * rate_hz).round() as usize;
            plan.push(Planned {
                instrument: track.instrument,
                voice,
                stroke,
                start,
                sides,
                room: seat.room,
            });
        }
    }
    plan
}

/// Seats the players: the first in the middle, the next ones left and right of it in turn; bass and
/// drums in the middle, where they belong.
fn place(number: usize, tracks: usize, instrument: Instrument) -> f64 {
    if tracks < 2 || matches!(instrument, Instrument::Bass | Instrument::Drums) {
        return 0.0;
    }
    let steps = number.div_ceil(2) as f64 / (tracks / 2).max(1) as f64;
    let side = if number % 2 == 1 { -1.0 } else { 1.0 };
    0.45 * side * steps.min(1.0)
}

/// Returns the levels left and right: of equal power wherever a note sits.
fn sides(seat: &Seat, place: f64, pitch: u8, strength: f32) -> [f32; 2] {
    let by_pitch = f64::from(seat.spread) * (f64::from(pitch) - 62.0) / 60.0;
    let angle = ((place + by_pitch).clamp(-0.9, 0.9) + 1.0) * std::f64::consts::FRAC_PI_4;
    let level = gain(seat.level_db) * libm::pow(f64::from(strength), 1.3);
    [(level * libm::cos(angle)) as f32, (level * libm::sin(angle)) as f32]
}

fn batch_size(rest: &[Planned]) -> usize {
    let mut frames = 0;
    for (count, planned) in rest.iter().enumerate() {
        // A guess will do: every voice rings on for some seconds at most.
        frames += planned.stroke.held + (2.0 * planned.stroke.rate_hz) as usize;
        if frames > BATCH_FRAMES && count > 0 {
            return count;
        }
    }
    rest.len()
}

impl Planned {
    fn sound(&self, waves: &AllWaves) -> NoteSound {
        match self.voice {
            Voice::Piano => struck::piano(&self.stroke),
            Voice::MusicBox => struck::music_box(&self.stroke),
            Voice::Bell => struck::bell(&self.stroke),
            Voice::Drums => {
                kit::render(&self.stroke).unwrap_or_else(|| drums::render(&self.stroke))
            }
            Voice::Plucked(pluck) => pluck.render(&self.stroke),
            Voice::Sustained(sustained) => {
                match waves.get(&(self.instrument as usize, self.stroke.pitch)) {
                    Some(waves) => sustained.render(waves, &self.stroke),
                    None => NoteSound::Mono(Vec::new()),
                }
            }
        }
    }

    /// Adds the note to the mix and, weaker, to what goes into the room.
    fn add(&self, sound: &NoteSound, mix: &mut [[f32; 2]], send: &mut [[f32; 2]]) {
        let start = self.start.min(mix.len());
        let end = mix.len().min(start + sound.frames());
        let (mix, send) = (&mut mix[start..end], &mut send[start..end]);
        let mut add = |n: usize, left: f32, right: f32| {
            mix[n][0] += left;
            mix[n][1] += right;
            send[n][0] += left * self.room;
            send[n][1] += right * self.room;
        };
        let [left, right] = self.sides;
        match sound {
            NoteSound::Mono(sound) => {
                for (n, value) in sound.iter().take(end - start).enumerate() {
                    add(n, value * left, value * right);
                }
            }
            NoteSound::Wide(sound) => {
                for (n, [a, b]) in sound.iter().take(end - start).enumerate() {
                    add(n, a * left, b * right);
                }
            }
        }
    }
}

/// Bends the last moment to silence: the room rings on for longer than the file does.
fn fade_end(mix: &mut [[f32; 2]], rate_hz: f64) {
    let length = ((0.6 * rate_hz) as usize).min(mix.len());
    let from = mix.len() - length;
    for (n, frame) in mix[from..].iter_mut().enumerate() {
        let left = 1.0 - (n + 1) as f32 / length as f32;
        *frame = frame.map(|value| value * left * left);
    }
}
