//! Rows of activations, as they are and rounded.

use super::form::BLOCK;
use super::isa::heights;
use super::rounded::{ROW_BYTES, Tile, round_row, tiles};
use crate::kernels::level::Level;
use crate::kernels::norm::rms_norm;
use crate::kernels::team::Team;
use crate::protocol::Precision;

/// Holds rows `[rows, width]` that matrices are multiplied with. Its memory is used again for other
/// rows.
#[derive(Debug)]
pub struct Activations {
    level: Level,
    precision: Precision,
    rows: usize,
    width: usize,
    plain: Vec<f32>,
    /// Tile after tile, in words so that they are aligned.
    rounded: Vec<u32>,
    tiles: Vec<Tile>,
}

impl Activations {
    /// Makes room for none.
    pub fn new(level: Level, precision: Precision) -> Self {
        let empty = (Vec::new(), Vec::new(), Vec::new());
        let (plain, rounded, tiles) = empty;
        Self { level, precision, rows: 0, width: 0, plain, rounded, tiles }
    }

    /// Gives the shape `[rows, width]`; what the numbers are is not defined before
    /// [`Activations::plain_mut`] or [`Activations::set_norm`] sets them.
    pub fn reshape(&mut self, rows: usize, width: usize) {
        if self.rows != rows {
            self.tiles = tiles(heights(self.level), rows);
        }
        (self.rows, self.width) = (rows, width);
        if self.plain.len() < rows * width {
            self.plain.resize(rows * width, 0.0);
        }
        let words = rows * width / BLOCK * ROW_BYTES / 4;
        if self.is_rounded() && self.rounded.len() < words {
            self.rounded.resize(words, 0);
        }
    }

    /// Returns the instruction set that it is for.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the numbers of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the rows as they are: `[rows, width]`.
    pub fn plain(&self) -> &[f32] {
        &self.plain[..self.rows * self.width]
    }

    /// Returns the rows to be written. [`Activations::round`] must follow.
    pub fn plain_mut(&mut self) -> &mut [f32] {
        &mut self.plain[..self.rows * self.width]
    }

    /// Tells whether the rows are rounded for quantized matrices.
    pub(super) fn is_rounded(&self) -> bool {
        self.precision == Precision::Fast && self.width.is_multiple_of(BLOCK)
    }

    /// Rounds what was written, where that is wanted.
    pub fn round(&mut self, team: &mut Team) {
        self.prepare(team, &|_, _| {});
    }

    /// Sets the rows to those of `x` divided by their root mean square, times `weight`, and rounds
    /// them. `x` is `[rows, width]`.
    ///
    /// # Panics
    /// When a slice is not as long as the shape says.
    pub fn set_norm(&mut self, team: &mut Team, x: &[f32], weight: &[f32], eps: f32) {
        let width = self.width;
        assert_eq!(x.len(), self.rows * width, "there is a row for each");
        assert_eq!(weight.len(), width, "every place has its weight");
        self.prepare(team, &|row, out| {
            rms_norm(&x[row * width..][..width], weight, eps, out);
        });
    }

    /// Sets every row by `set` and rounds it, tile by tile.
    fn prepare(&mut self, team: &mut Team, set: &(dyn Fn(usize, &mut [f32]) + Sync)) {
        let width = self.width;
        if width == 0 {
            return;
        }
        let is_rounded = self.is_rounded();
        let plain = Parts { start: self.plain.as_mut_ptr() };
        let rounded = Parts { start: self.rounded.as_mut_ptr().cast::<u8>() };
        let (rows, words) = (self.rows, self.rounded.len());
        let work = |chunk: usize| {
            let Tile { first_row, rows: height } = self.tiles[chunk];
            assert!(first_row + height <= rows, "the tile lies within the rows");
            // SAFETY: tiles do not overlap, so this chunk alone has these rows; `plain` holds all.
            let plain = unsafe { plain.slice(first_row * width, height * width) };
            for (row, out) in plain.chunks_exact_mut(width).enumerate() {
                set(first_row + row, out);
            }
            if is_rounded {
                let bytes_per_row = width / BLOCK * ROW_BYTES;
                assert!(rows * bytes_per_row <= words * 4, "there is room for all tiles");
                // SAFETY: as above; `rounded` holds all tiles.
                let tile =
                    unsafe { rounded.slice(first_row * bytes_per_row, height * bytes_per_row) };
                for (row, plain) in plain.chunks_exact(width).enumerate() {
                    round_row(plain, row, height, tile);
                }
            }
        };
        // A few rows are done before a helper would have noticed.
        const LEAST: usize = 32 * 1024;
        if rows * width < LEAST {
            (0..self.tiles.len()).for_each(work);
        } else {
            team.run(self.tiles.len(), &work);
        }
    }

    /// Returns the tiles and where each begins.
    pub(super) fn tiles(&self) -> impl Iterator<Item = (Tile, *const u8)> {
        let bytes_per_row = self.width / BLOCK * ROW_BYTES;
        let bytes = self.rounded.as_ptr().cast::<u8>();
        let length = self.rounded.len() * 4;
        self.tiles.iter().map(move |tile| {
            let end = (tile.first_row + tile.rows) * bytes_per_row;
            assert!(end <= length, "the tile lies within the rounded rows");
            // SAFETY: the tile lies within the vector (checked above).
            (*tile, unsafe { bytes.add(tile.first_row * bytes_per_row) })
        })
    }
}

/// A slice that several threads write to, each its own part.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Parts<T> {
    pub(in crate::kernels) start: *mut T,
}

// SAFETY: the parts that are handed out do not overlap, which `slice` asks of its callers.
unsafe impl<T: Send> Sync for Parts<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Parts<T> {}

impl<T> Parts<T> {
    /// Returns a part.
    ///
    /// # Safety
    /// The part must lie within the slice, nobody else may have one that overlaps, and it must not
    /// be used longer than the slice is borrowed.
    pub(in crate::kernels) unsafe fn slice<'a>(&self, start: usize, length: usize) -> &'a mut [T] {
        // SAFETY: the caller promises all of this.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), length) }
    }
}
