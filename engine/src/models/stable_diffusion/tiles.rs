//! Tiles of a picture within the autoencoder, and norms that go by the whole of it.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::Tensor;

use crate::error::EngineError;
use crate::kernels::{ChannelScales, ChannelSums};
use crate::nn::GroupNorm;

/// Is a part of a picture, in latents, with what its places read around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tile {
    /// The rows that are computed.
    pub(super) rows: Range<usize>,
    /// The columns that are computed.
    pub(super) columns: Range<usize>,
    /// The rows and columns that are kept.
    kept: [Range<usize>; 2],
}

impl Tile {
    /// Returns the rows and columns of the tile that are kept, where it is so many times larger.
    pub(super) fn core(&self, scale: usize) -> [Range<usize>; 2] {
        let of = |kept: &Range<usize>, whole: &Range<usize>| {
            (kept.start - whole.start) * scale..(kept.end - whole.start) * scale
        };
        [of(&self.kept[0], &self.rows), of(&self.kept[1], &self.columns)]
    }
}

/// Divides a picture into tiles.
#[derive(Debug, Clone)]
pub(super) struct Tiles {
    rows: Vec<[Range<usize>; 2]>,
    columns: Vec<[Range<usize>; 2]>,
}

impl Tiles {
    /// Divides latents of a height and width into tiles of at most `side` each way, of which each
    /// reads `reach` beyond what it keeps. A tile keeps at least one latent.
    pub(super) fn new([height, width]: [usize; 2], side: usize, reach: usize) -> Self {
        let divide = |whole: usize| {
            // The first and the last read beyond themselves on one side only, but tiles of one size
            // share blocks of memory.
            let most = side.saturating_sub(2 * reach).max(1);
            let count = if whole <= side { 1 } else { whole.div_ceil(most) };
            let at = |index: usize| index * whole / count;
            let part = |index: usize| {
                let kept = at(index)..at(index + 1);
                [kept.start.saturating_sub(reach)..(kept.end + reach).min(whole), kept]
            };
            (0..count).map(part).collect()
        };
        Self { rows: divide(height), columns: divide(width) }
    }

    /// Returns the tiles row by row.
    pub(super) fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = Tile>> {
        self.rows.iter().map(|[rows, kept]| {
            self.columns.iter().map(|[columns, across]| Tile {
                rows: rows.clone(),
                columns: columns.clone(),
                kept: [kept.clone(), across.clone()],
            })
        })
    }

    /// Returns all tiles.
    pub(super) fn all(&self) -> impl Iterator<Item = Tile> {
        self.rows().flatten()
    }
}

/// Holds the sums of every norm of a picture, in the order in which the norms come.
#[derive(Debug, Default)]
pub(super) struct Book {
    sums: Vec<ChannelSums>,
    at: usize,
}

impl Book {
    /// Goes back to the first norm.
    pub(super) fn turn_back(&mut self) {
        self.at = 0;
    }

    fn add(&mut self, sums: ChannelSums) {
        match self.sums.get_mut(self.at) {
            Some(known) => known.add(&sums),
            None => self.sums.push(sums),
        }
        self.at += 1;
    }

    fn next(&mut self) -> Option<&ChannelSums> {
        self.at += 1;
        self.sums.get(self.at - 1)
    }
}

/// Says what the norms of a pass go by.
pub(super) enum Norms<'a> {
    /// By what they read.
    Own,
    /// By what they read; what a tile keeps is added to the book.
    Measured {
        /// Where the sums are kept.
        book: &'a RefCell<Book>,
        /// The tile that is computed.
        tile: &'a Tile,
    },
    /// By the sums of the whole picture.
    Whole {
        /// Where the sums are kept.
        book: &'a RefCell<Book>,
    },
}

impl Norms<'_> {
    /// Returns what a norm multiplies and adds in a picture of a height and width, of whose parts `sums`
    /// gives the sums.
    pub(super) fn scales_by(
        &self,
        norm: &GroupNorm,
        [height, width]: [usize; 2],
        sums: impl Fn([Range<usize>; 2]) -> Result<ChannelSums, EngineError>,
    ) -> Result<ChannelScales, EngineError> {
        match self {
            Self::Whole { book } => Ok(norm.scales_of(known(&mut book.borrow_mut())?)),
            Self::Own => Ok(norm.scales_of(&sums([0..height, 0..width])?)),
            Self::Measured { book, tile } => {
                let core = tile.core(height / tile.rows.len().max(1));
                let own = sums([0..height, 0..width])?;
                let is_all = core == [0..height, 0..width];
                book.borrow_mut().add(if is_all { own.clone() } else { sums(core)? });
                Ok(norm.scales_of(&own))
            }
        }
    }

    /// Returns what a norm multiplies and adds, unless it goes by what it reads.
    pub(super) fn scales(
        &self,
        norm: &GroupNorm,
        x: &Tensor,
    ) -> Result<Option<ChannelScales>, EngineError> {
        match self {
            Self::Own => Ok(None),
            Self::Measured { book, tile } => {
                let [_, height, _, _] = norm.sizes(x)?;
                let core = tile.core(height / tile.rows.len().max(1));
                book.borrow_mut().add(norm.sums(x, core)?);
                Ok(None)
            }
            Self::Whole { book } => Ok(Some(norm.scales_of(known(&mut book.borrow_mut())?))),
        }
    }
}

/// Returns the sums of the next norm.
fn known(book: &mut Book) -> Result<&ChannelSums, EngineError> {
    let lacks = || EngineError::Model { reason: "a norm was not measured".to_owned() };
    book.next().ok_or_else(lacks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tiles_keep_covers_a_picture_once_and_each_reads_as_far_as_it_must() {
        for (height, width, side, reach) in
            [(64, 64, 64, 7), (64, 96, 64, 7), (20, 33, 16, 7), (5, 40, 9, 4), (30, 30, 4, 7)]
        {
            let tiles = Tiles::new([height, width], side, reach);
            let mut times = vec![0; height * width];
            for tile in tiles.all() {
                let [down, across] = tile.core(1);
                for y in down.clone() {
                    for x in across.clone() {
                        times[(tile.rows.start + y) * width + tile.columns.start + x] += 1;
                    }
                }
                let is_far = |core: &Range<usize>, whole: &Range<usize>, end: usize| {
                    (core.start >= reach || whole.start == 0)
                        && (whole.len() - core.end >= reach || whole.end == end)
                };
                assert!(is_far(&down, &tile.rows, height) && is_far(&across, &tile.columns, width));
                let most = side.max(2 * reach + 1);
                assert!(tile.rows.len() <= most && tile.columns.len() <= most);
            }
            assert!(times.iter().all(|times| *times == 1), "{height}×{width} by {side}");
        }
        assert_eq!(Tiles::new([64, 64], 64, 7).all().count(), 1);
    }
}
