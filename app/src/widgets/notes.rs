//! Paints notes as a piano roll, and sound as a waveform.

use std::ops::RangeInclusive;

use atelier_engine::protocol::{Note, Score};
use egui::{Color32, CornerRadius, Mesh, Painter, Rect, Shape, Stroke, pos2, vec2};

use super::timeline::x_of;
use crate::state::TimeSpan;
use crate::state::notes_sketch::{GRID, NotesSketch};
use crate::theme::{Palette, voice_colour};

/// The fewest pitches that are in sight, so that a drone does not fill the strip.
const PITCHES_LEAST: u8 = 25;

/// From so many notes in sight on, they are painted with square corners, which costs far less.
const MANY_NOTES: usize = 1500;

/// Which of the twelve pitch classes are black keys.
const BLACK_KEYS: [u8; 5] = [1, 3, 6, 8, 10];

/// Returns the pitches that a piano roll of `score` shows.
pub fn pitch_range(score: &Score) -> RangeInclusive<u8> {
    let pitches = score.tracks.iter().flat_map(|track| &track.notes).map(|note| note.pitch);
    let (low, high) = pitches.fold((127, 0), |(low, high), p| (p.min(low), p.max(high)));
    if low > high {
        return 48..=48 + PITCHES_LEAST;
    }
    let (low, high) = (low.saturating_sub(2), high.saturating_add(2).min(127));
    let wanted = (high - low).max(PITCHES_LEAST);
    // The room is shared out below and above, as far as there are pitches.
    let low = low.saturating_sub((wanted - (high - low)) / 2).min(127 - wanted);
    low..=low + wanted
}

/// Paints a score as a piano roll: a row for each pitch, a colour for each voice.
pub fn paint_notes(
    painter: &Painter,
    rect: Rect,
    span: TimeSpan,
    score: &Score,
    colours: &Palette,
) {
    let range = pitch_range(score);
    let (low, high) = (*range.start(), *range.end());
    let row = rect.height() / f32::from(high - low + 1);
    let top_of = |pitch: u8| rect.top() + row * f32::from(high - pitch.clamp(low, high));
    let shade = colours.line.gamma_multiply(0.45);
    for pitch in range.filter(|pitch| BLACK_KEYS.contains(&(pitch % 12))) {
        let place = Rect::from_min_size(pos2(rect.left(), top_of(pitch)), vec2(rect.width(), row));
        painter.rect_filled(place, CornerRadius::ZERO, shade);
    }
    // Compared as ticks: a piece may have a hundred thousand notes, most of them out of sight.
    let ticks_per_sec = score.secs(1_000_000).recip() * 1_000_000.0;
    let first = (span.start_secs * ticks_per_sec).floor().max(0.0) as u64;
    let last = (span.end_secs * ticks_per_sec).ceil().max(0.0) as u64;
    let is_seen = |note: &&Note| {
        let start = u64::from(note.start_ticks);
        start <= last && start + u64::from(note.duration_ticks) >= first
    };
    let count = score.tracks.iter().flat_map(|track| &track.notes).filter(is_seen).count();
    let mut mesh = Mesh::default();
    for (voice, track) in score.tracks.iter().enumerate() {
        let colour = voice_colour(voice, colours.is_dark);
        // How far each row is painted: notes on the same pixel are painted once.
        let mut painted = [f32::NEG_INFINITY; 128];
        for note in track.notes.iter().filter(is_seen) {
            let start = score.secs(u64::from(note.start_ticks));
            let end = score.secs(u64::from(note.start_ticks) + u64::from(note.duration_ticks));
            let left = x_of(span, start, rect);
            let right = (x_of(span, end, rect) - 1.0).max(left + 2.0);
            if count > MANY_NOTES {
                let row = &mut painted[usize::from(note.pitch.min(127))];
                if right <= *row + 1.0 {
                    continue;
                }
                *row = right;
            }
            let top = top_of(note.pitch);
            let bar = Rect::from_min_max(pos2(left, top), pos2(right, top + row.max(2.0)));
            let loud = 0.55 + 0.45 * f32::from(note.velocity) / 127.0;
            let inset = bar.shrink2(vec2(0.0, (row * 0.1).min(1.0)));
            let colour = colour.gamma_multiply(loud);
            if count > MANY_NOTES {
                mesh.add_colored_rect(inset, colour);
            } else {
                painter.rect_filled(inset, CornerRadius::same(2), colour);
            }
        }
    }
    painter.add(Shape::mesh(mesh));
}

/// Paints the sketch of a piece.
pub fn paint_sketch(painter: &Painter, rect: Rect, sketch: &NotesSketch, colours: &Palette) {
    let [columns, rows] = GRID.map(|count| count as f32);
    let cell = vec2(rect.width() / columns, rect.height() / rows);
    let mut mesh = Mesh::default();
    for bar in &sketch.bars {
        let [from, to] = bar.columns.map(|column| rect.left() + cell.x * column as f32);
        let top = rect.top() + cell.y * bar.row as f32;
        let place = Rect::from_min_max(pos2(from, top), pos2(to - 0.5, top + cell.y - 0.5));
        mesh.add_colored_rect(place, voice_colour(bar.voice, colours.is_dark));
    }
    painter.add(Shape::mesh(mesh));
}

/// Paints a waveform from the least and greatest sample of each of its columns, left to right.
pub fn paint_waveform(painter: &Painter, rect: Rect, columns: &[[f32; 2]], colour: Color32) {
    if columns.is_empty() {
        return;
    }
    let middle = rect.center().y;
    let half = rect.height() / 2.0 - 2.0;
    let width = rect.width() / columns.len() as f32;
    // One mesh: a shape for each column would cost more than the frame has time for.
    let mut mesh = Mesh::default();
    for (index, [low, high]) in columns.iter().enumerate() {
        let left = rect.left() + width * index as f32;
        let top = middle - high.clamp(-1.0, 1.0) * half;
        let bottom = middle - low.clamp(-1.0, 1.0) * half;
        // Silence is a thin line, not nothing.
        let place = Rect::from_min_max(
            pos2(left, top.min(middle - 0.5)),
            pos2(left + width, bottom.max(middle + 0.5)),
        );
        mesh.add_colored_rect(place, colour);
    }
    painter.hline(rect.x_range(), middle, Stroke::new(1.0, colour.gamma_multiply(0.5)));
    painter.add(Shape::mesh(mesh));
}

#[cfg(test)]
mod tests {
    use super::*;
    use atelier_engine::protocol::{Instrument, Metre, Track};

    fn score(pitches: &[u8]) -> Score {
        let note =
            |pitch: &u8| Note { start_ticks: 0, duration_ticks: 1, pitch: *pitch, velocity: 64 };
        Score {
            ticks_per_quarter: 12,
            tempo_bpm: 90.0,
            metre: Metre { beats: 4, unit: 4 },
            key: None,
            tracks: vec![Track {
                instrument: Instrument::Piano,
                notes: pitches.iter().map(note).collect(),
            }],
        }
    }

    #[test]
    fn every_pitch_is_in_sight_and_one_pitch_does_not_fill_the_strip() {
        for pitches in [&[60][..], &[0], &[127], &[0, 127], &[], &[20, 90], &[126, 127]] {
            let range = pitch_range(&score(pitches));
            assert!(pitches.iter().all(|pitch| range.contains(pitch)), "{pitches:?} {range:?}");
            assert!(range.end() - range.start() >= PITCHES_LEAST, "{pitches:?} {range:?}");
            assert!(*range.end() <= 127);
        }
    }
}
