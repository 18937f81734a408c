//! Notes as Standard MIDI Files, and back.
//!
//! # Source
//! MIDI Manufacturers Association: Standard MIDI Files 1.0, General MIDI 1 (program and percussion
//! numbers).

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use midly::num::{u4, u7, u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Smf, Timing, TrackEvent, TrackEventKind};

use crate::error::EngineError;
use crate::protocol::{Instrument, Key, Metre, Mode, Note, Score, Track};

use super::recipe::{Tags, bounded_file};

/// The most notes that are read from a file.
pub const MAX_NOTES: usize = 200_000;

/// The largest file that is read, in bytes; a million notes fit into it many times.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// The most voices that are read from a file.
const MAX_TRACKS: usize = 256;

/// Ticks of a quarter note when a file counts in seconds, or in ticks too fine or too coarse to keep.
const USUAL_TICKS: u32 = 480;

/// The tempo of a file that names none.
const USUAL_TEMPO_BPM: f64 = 120.0;

/// The channel of drums, counted from 0.
const DRUM_CHANNEL: u8 = 9;

/// Programs of General MIDI, counted from 0, per instrument; the first is written, all are read.
const PROGRAMS: [(Instrument, &[u8]); 15] = [
    (Instrument::Piano, &[0, 1, 2, 3, 4, 5, 6, 7]),
    (Instrument::Guitar, &[24, 25, 26, 27, 28, 29, 30, 31, 15, 104, 105, 106, 107]),
    (Instrument::Harp, &[46]),
    (Instrument::Strings, &[48, 40, 41, 44, 45, 49, 50, 51, 110]),
    (Instrument::Cello, &[42, 43]),
    (Instrument::Flute, &[73, 72, 74, 75, 76, 77, 78, 79]),
    (Instrument::Clarinet, &[71, 64, 65, 66, 67, 68, 69, 70, 22, 109, 111]),
    (Instrument::Trumpet, &[56, 57, 58, 59, 60, 61, 62, 63]),
    (Instrument::Choir, &[52, 53, 54, 85]),
    (Instrument::Organ, &[19, 16, 17, 18, 20, 21, 23]),
    (Instrument::Bells, &[14, 9, 11, 12, 13, 47, 98, 108, 112, 113, 114]),
    (Instrument::MusicBox, &[10, 8]),
    (Instrument::Bass, &[32, 33, 34, 35, 36, 37, 38, 39]),
    (Instrument::Pad, &[89, 88, 90, 91, 92, 93, 94, 95]),
    (Instrument::Lead, &[80, 81, 82, 83, 84, 86, 87]),
];

/// Returns the General MIDI program that is written for an instrument, counted from 0; `None` for
/// drums, which have a channel of their own.
pub fn program_of(instrument: Instrument) -> Option<u8> {
    PROGRAMS
        .iter()
        .find(|(known, _)| *known == instrument)
        .and_then(|(_, all)| all.first().copied())
}

/// Returns the instrument that comes nearest to a General MIDI program, counted from 0.
pub fn instrument_of(program: u8) -> Instrument {
    PROGRAMS
        .iter()
        .find(|(_, all)| all.contains(&program))
        .map_or(Instrument::Piano, |(instrument, _)| *instrument)
}

/// Writes a piece as a Standard MIDI File; the same piece gives the same bytes.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when the piece has ticks, a tempo or a metre that MIDI cannot hold.
pub fn encode(score: &Score, tags: &Tags) -> Result<Vec<u8>, EngineError> {
    let ticks = u16::try_from(score.ticks_per_quarter).ok().filter(|n| (1..0x8000).contains(n));
    let Some(ticks) = ticks else {
        let reason = format!(
            "has {} ticks to the quarter note; MIDI holds 1 to 32767",
            score.ticks_per_quarter
        );
        return Err(EngineError::invalid("music", reason));
    };
    let header = Header::new(Format::Parallel, Timing::Metrical(u15::new(ticks)));
    let texts = [tags.title.clone(), tags.licence.clone(), tags.software(), tags.recipe_json()?];
    let mut smf = Smf::new(header);
    smf.tracks.push(conductor(score, &texts)?);
    let mut channels = (0..16).filter(|channel| *channel != DRUM_CHANNEL).cycle();
    for track in &score.tracks {
        let channel = match track.instrument {
            Instrument::Drums => DRUM_CHANNEL,
            _ => channels.next().unwrap_or(0),
        };
        smf.tracks.push(voice(track, u4::new(channel))?);
    }
    let mut bytes = Vec::new();
    smf.write_std(&mut bytes)
        .map_err(|error| EngineError::invalid("music", format!("cannot be written: {error}")))?;
    Ok(bytes)
}

fn conductor<'a>(
    score: &Score,
    texts: &'a [String; 4],
) -> Result<Vec<TrackEvent<'a>>, EngineError> {
    let tempo = f64::from(score.tempo_bpm);
    let micros = 60e6 / tempo;
    if !(1.0..16_777_216.0).contains(&micros) {
        let reason = format!("is {tempo}, which MIDI cannot hold");
        return Err(EngineError::invalid("tempo", reason));
    }
    let Metre { beats, unit } = score.metre;
    if beats == 0 || !unit.is_power_of_two() {
        return Err(EngineError::invalid("metre", format!("cannot be {beats}/{unit}")));
    }
    let [title, licence, software, recipe] = texts;
    let mut metas = Vec::new();
    if !title.is_empty() {
        metas.push(MetaMessage::TrackName(title.as_bytes()));
    }
    if !licence.is_empty() {
        metas.push(MetaMessage::Copyright(licence.as_bytes()));
    }
    metas.push(MetaMessage::Text(software.as_bytes()));
    if !recipe.is_empty() {
        metas.push(MetaMessage::Text(recipe.as_bytes()));
    }
    metas.push(MetaMessage::Tempo(u24::new(micros.round() as u32)));
    metas.push(MetaMessage::TimeSignature(beats, unit.trailing_zeros() as u8, 24, 8));
    if let Some(key) = score.key {
        metas.push(MetaMessage::KeySignature(fifths_of(key), key.mode == Mode::Minor));
    }
    metas.push(MetaMessage::EndOfTrack);
    let event = |meta| TrackEvent { delta: u28::new(0), kind: TrackEventKind::Meta(meta) };
    Ok(metas.into_iter().map(event).collect())
}

fn voice(track: &Track, channel: u4) -> Result<Vec<TrackEvent<'static>>, EngineError> {
    // Ends before starts at the same moment, so that a repeated note is struck again.
    let mut moments: Vec<(u64, bool, u8, u8)> = Vec::with_capacity(2 * track.notes.len());
    for note in &track.notes {
        let start = u64::from(note.start_ticks);
        let end = start + u64::from(note.duration_ticks.max(1));
        moments.push((start, true, note.pitch.min(127), note.velocity.clamp(1, 127)));
        moments.push((end, false, note.pitch.min(127), 0));
    }
    moments.sort_unstable();
    let midi = |message| TrackEventKind::Midi { channel, message };
    let mut events = Vec::with_capacity(moments.len() + 2);
    if let Some(program) = program_of(track.instrument) {
        let message = MidiMessage::ProgramChange { program: u7::new(program) };
        events.push(TrackEvent { delta: u28::new(0), kind: midi(message) });
    }
    let mut now = 0;
    for (at, starts, pitch, velocity) in moments {
        let delta = u32::try_from(at - now).ok().filter(|delta| *delta < 1 << 28);
        let Some(delta) = delta else {
            return Err(EngineError::invalid("music", "has a pause longer than MIDI can hold"));
        };
        now = at;
        let (key, vel) = (u7::new(pitch), u7::new(velocity));
        let message = match starts {
            true => MidiMessage::NoteOn { key, vel },
            false => MidiMessage::NoteOff { key, vel },
        };
        events.push(TrackEvent { delta: u28::new(delta), kind: midi(message) });
    }
    let end = TrackEventKind::Meta(MetaMessage::EndOfTrack);
    events.push(TrackEvent { delta: u28::new(0), kind: end });
    Ok(events)
}

/// Reads a Standard MIDI File, as [`decode`] does.
///
/// # Errors
/// [`EngineError::Io`] when it cannot be read, else as [`decode`].
pub fn read_file(path: &Path) -> Result<Score, EngineError> {
    decode(&bounded_file(path, MAX_FILE_BYTES, "a MIDI file")?, path)
}

/// Reads the bytes of a Standard MIDI File; `path` is named in errors.
///
/// One voice is made of each channel of each track. A piece whose tempo changes gets the one tempo in
/// which it lasts as long; notes that are never ended last to the end of their track.
///
/// # Errors
/// [`EngineError::Damaged`] when it is none, holds no notes or more than [`MAX_NOTES`].
pub fn decode(bytes: &[u8], path: &Path) -> Result<Score, EngineError> {
    let damaged = |reason: &str| EngineError::damaged(path, reason);
    let (header, tracks) =
        midly::parse(bytes).map_err(|_| damaged("is no MIDI file, or is damaged"))?;
    let mut reading = Reading::default();
    let mut offset = 0;
    for events in tracks {
        // A broken track ends the piece there; what was read before it counts.
        let Ok(events) = events else { break };
        let length = reading.track(events, offset, path)?;
        if header.format == Format::Sequential {
            offset += length;
        }
    }
    reading.score(header.timing).ok_or_else(|| damaged("holds no notes"))
}

/// A note: from which tick to which, its pitch, how hard.
type Span = (u64, u64, u8, u8);

/// A note that was started and not yet ended: when, how hard.
type Open = BTreeMap<(u8, u8), VecDeque<(u64, u8)>>;

/// Collects what the tracks of a file hold.
#[derive(Default)]
struct Reading {
    voices: Vec<(Instrument, Vec<Span>)>,
    notes: usize,
    /// Microseconds of a quarter note, by the tick from which they count.
    tempos: BTreeMap<u64, u32>,
    metre: Option<Metre>,
    key: Option<Key>,
}

impl Reading {
    /// Reads a track that begins at a tick and returns how long it is.
    fn track(
        &mut self,
        events: midly::EventIter<'_>,
        offset: u64,
        path: &Path,
    ) -> Result<u64, EngineError> {
        let mut now = 0_u64;
        let mut programs = [0_u8; 16];
        let mut open = Open::new();
        let mut voices: BTreeMap<(u8, u8), usize> = BTreeMap::new();
        for event in events {
            let Ok(event) = event else { break };
            now += u64::from(event.delta.as_int());
            match event.kind {
                TrackEventKind::Meta(meta) => self.meta(&meta, offset + now),
                TrackEventKind::Midi { channel, message } => {
                    let channel = channel.as_int();
                    match message {
                        MidiMessage::ProgramChange { program } => {
                            programs[usize::from(channel)] = program.as_int();
                        }
                        MidiMessage::NoteOn { key, vel } if vel.as_int() > 0 => {
                            self.notes += 1;
                            if self.notes > MAX_NOTES {
                                let reason = format!("holds more than {MAX_NOTES} notes");
                                return Err(EngineError::damaged(path, reason));
                            }
                            let program = programs[usize::from(channel)];
                            self.voice(&mut voices, channel, program);
                            let starts = open.entry((channel, key.as_int())).or_default();
                            starts.push_back((now, vel.as_int()));
                        }
                        MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
                            let starts = open.get_mut(&(channel, key.as_int()));
                            if let Some((start, velocity)) = starts.and_then(VecDeque::pop_front) {
                                let at = self.voice(
                                    &mut voices,
                                    channel,
                                    programs[usize::from(channel)],
                                );
                                let note = (offset + start, offset + now, key.as_int(), velocity);
                                self.add(at, note);
                            }
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        for ((channel, pitch), starts) in open {
            let program = programs[usize::from(channel)];
            for (start, velocity) in starts {
                let at = self.voice(&mut voices, channel, program);
                self.add(at, (offset + start, offset + now, pitch, velocity));
            }
        }
        Ok(now)
    }

    fn add(&mut self, voice: usize, note: Span) {
        if let Some((_, notes)) = self.voices.get_mut(voice) {
            notes.push(note);
        }
    }

    /// Returns the voice of a channel with a program in this track.
    fn voice(&mut self, voices: &mut BTreeMap<(u8, u8), usize>, channel: u8, program: u8) -> usize {
        *voices.entry((channel, program)).or_insert_with(|| {
            let instrument = match channel {
                DRUM_CHANNEL => Instrument::Drums,
                _ => instrument_of(program),
            };
            // Beyond the bound, voices join one of their instrument, or the last.
            if self.voices.len() >= MAX_TRACKS {
                let alike = self.voices.iter().position(|(known, _)| *known == instrument);
                return alike.unwrap_or(MAX_TRACKS - 1);
            }
            self.voices.push((instrument, Vec::new()));
            self.voices.len() - 1
        })
    }

    fn meta(&mut self, meta: &MetaMessage<'_>, now: u64) {
        match *meta {
            MetaMessage::Tempo(micros) if micros.as_int() > 0 && self.tempos.len() < MAX_NOTES => {
                self.tempos.insert(now, micros.as_int());
            }
            MetaMessage::TimeSignature(beats, power, ..) => {
                let is_usual = (1..=16).contains(&beats) && (1..=4).contains(&power);
                if self.metre.is_none() && is_usual {
                    self.metre = Some(Metre { beats, unit: 1 << power });
                }
            }
            MetaMessage::KeySignature(fifths, is_minor)
                if self.key.is_none() && (-7..=7).contains(&fifths) =>
            {
                self.key = Some(key_of(fifths, is_minor));
            }
            _ => {}
        }
    }

    fn score(self, timing: Timing) -> Option<Score> {
        let end = self.voices.iter().flat_map(|(_, notes)| notes).map(|note| note.1).max()?;
        let (mut ticks, mut tempo_bpm, mut scale) = match timing {
            Timing::Metrical(ticks) => {
                let ticks = u32::from(ticks.as_int()).max(1);
                (ticks, self.mean_tempo(end), 1.0)
            }
            Timing::Timecode(fps, parts) => {
                let per_sec = f64::from(fps.as_f32()) * f64::from(parts.max(1));
                (USUAL_TICKS, USUAL_TEMPO_BPM, f64::from(USUAL_TICKS) * 2.0 / per_sec)
            }
        };
        tempo_bpm = tempo_bpm.clamp(4.0, 1000.0);
        if !(4..=USUAL_TICKS * 4).contains(&ticks) {
            scale *= f64::from(USUAL_TICKS) / f64::from(ticks);
            ticks = USUAL_TICKS;
        }
        let place = |tick: u64| (tick as f64 * scale).round().min(f64::from(u32::MAX)) as u32;
        let mut tracks: Vec<Track> = Vec::new();
        for (instrument, notes) in self.voices {
            let note = |(start, end, pitch, velocity)| {
                let start_ticks = place(start);
                let duration_ticks = place(end).saturating_sub(start_ticks).max(1);
                Note { start_ticks, duration_ticks, pitch, velocity }
            };
            let mut notes: Vec<Note> = notes.into_iter().map(note).collect();
            notes.sort_unstable_by_key(|n| (n.start_ticks, n.pitch, n.duration_ticks, n.velocity));
            if !notes.is_empty() {
                tracks.push(Track { instrument, notes });
            }
        }
        Some(Score {
            ticks_per_quarter: ticks,
            tempo_bpm: tempo_bpm as f32,
            metre: self.metre.unwrap_or(Metre { beats: 4, unit: 4 }),
            key: self.key,
            tracks,
        })
    }

    /// Returns the one tempo in which the piece lasts as long as in all of its own.
    fn mean_tempo(&self, end: u64) -> f64 {
        let mut now = (0_u64, 60e6 / USUAL_TEMPO_BPM);
        let mut micro_ticks = 0.0;
        for (at, micros) in self.tempos.range(..end) {
            micro_ticks += (at - now.0) as f64 * now.1;
            now = (*at, f64::from(*micros));
        }
        micro_ticks += (end - now.0.min(end)) as f64 * now.1;
        if micro_ticks > 0.0 { 60e6 * end as f64 / micro_ticks } else { USUAL_TEMPO_BPM }
    }
}

/// Returns how many sharps (above 0) or flats (below) a key has, −5 to 6.
fn fifths_of(key: Key) -> i8 {
    let major = match key.mode {
        Mode::Major => i32::from(key.tonic),
        Mode::Minor => i32::from(key.tonic) + 3,
    };
    // Seven fifths are a semitone, so a pitch class times seven counts fifths.
    let fifths = (major * 7).rem_euclid(12);
    if fifths > 6 { (fifths - 12) as i8 } else { fifths as i8 }
}

fn key_of(fifths: i8, is_minor: bool) -> Key {
    let major = (i32::from(fifths) * 7).rem_euclid(12);
    match is_minor {
        true => Key { tonic: (major + 9).rem_euclid(12) as u8, mode: Mode::Minor },
        false => Key { tonic: major as u8, mode: Mode::Major },
    }
}
