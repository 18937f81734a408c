//! A piece so small that it fits on a thumbnail.

use atelier_engine::protocol::Score;

/// Columns and rows of the grid that notes are drawn on.
pub const GRID: [usize; 2] = [44, 22];

/// Holds the notes of a piece on a grid of [`GRID`] cells, however many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotesSketch {
    /// Stretches of equal cells.
    pub bars: Vec<Bar>,
}

/// Holds a stretch of cells that one voice fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// Its row, 0 at the top.
    pub row: usize,
    /// Its columns, from the first to below the last.
    pub columns: [usize; 2],
    /// Which voice it is.
    pub voice: usize,
}

impl NotesSketch {
    /// Makes the sketch of a piece.
    pub fn of(score: &Score) -> Self {
        let [columns, rows] = GRID;
        let notes = || score.tracks.iter().flat_map(|track| &track.notes);
        let low = notes().map(|note| note.pitch).min().unwrap_or(0);
        let high = notes().map(|note| note.pitch).max().unwrap_or(0);
        let end = score.end_ticks().max(1) as f64;
        // A drone lies in the middle, a wide piece uses every row.
        let range = f64::from(high - low).max(12.0);
        let middle = (f64::from(high) + f64::from(low)) / 2.0;
        let mut cells = vec![None; columns * rows];
        for (voice, track) in score.tracks.iter().enumerate() {
            for note in &track.notes {
                let height = 0.5 - (f64::from(note.pitch) - middle) / range;
                let row = ((height * rows as f64) as usize).min(rows - 1);
                let from = f64::from(note.start_ticks) / end * columns as f64;
                let to = from + f64::from(note.duration_ticks) / end * columns as f64;
                let from = (from as usize).min(columns - 1);
                let to = (to.round() as usize).clamp(from + 1, columns);
                cells[row * columns..][from..to].fill(Some(voice));
            }
        }
        let mut bars = Vec::new();
        for (row, cells) in cells.chunks(columns).enumerate() {
            let mut column = 0;
            for run in cells.chunk_by(|a, b| a == b) {
                if let Some(voice) = run[0] {
                    bars.push(Bar { row, columns: [column, column + run.len()], voice });
                }
                column += run.len();
            }
        }
        Self { bars }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atelier_engine::protocol::{Instrument, Metre, Note, Track};

    fn score(notes: Vec<Note>) -> Score {
        Score {
            ticks_per_quarter: 12,
            tempo_bpm: 90.0,
            metre: Metre { beats: 4, unit: 4 },
            key: None,
            tracks: vec![Track { instrument: Instrument::Piano, notes }],
        }
    }

    #[test]
    fn a_sketch_stays_on_its_grid_whatever_the_piece() {
        let note = |start_ticks, duration_ticks, pitch| Note {
            start_ticks,
            duration_ticks,
            pitch,
            velocity: 64,
        };
        let many = (0..5000).map(|n| note(n, 7, (n % 128) as u8)).collect();
        for notes in [vec![], vec![note(0, 1, 127)], vec![note(u32::MAX, u32::MAX, 0)], many] {
            let sketch = NotesSketch::of(&score(notes.clone()));
            assert_eq!(sketch.bars.is_empty(), notes.is_empty());
            assert!(sketch.bars.len() <= GRID[0] * GRID[1]);
            for bar in &sketch.bars {
                assert!(bar.row < GRID[1] && bar.columns[0] < bar.columns[1]);
                assert!(bar.columns[1] <= GRID[0]);
            }
        }
    }
}
