//! Enlarging in tiles that leave no seams.
//!
//! Each tile sees a margin beyond what is taken of it. Where the margin is as wide as a net can look, the
//! result has the same bits as that of the whole picture at once. `RRDBNet` looks farther than any margin
//! that could be paid for, though what is far away hardly counts; there, tiles overlap and one passes
//! over into the next.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::error::EngineError;
use crate::models::upscaler::{Check, Upscaler};
use crate::nn::Compute;
use crate::weights::upscaler::UpscalerConfig;

/// The most memory that a net may take for a tile.
const TILE_MAX_BYTES: usize = 768 << 20;
/// The widest tile: what is done between two reports takes a second or two.
const CORE_MAX: usize = 512;
/// The narrowest tile.
const CORE_MIN: usize = 32;
/// The widest margin that is taken for the sake of equal bits.
const EXACT_MARGIN_MAX: usize = 48;
/// The margin of nets that look farther, and half the width over which tiles pass into each other.
const BLENDED: [usize; 2] = [32, 8];
/// Cores begin at multiples of this: what nets fold, and an even number, on which the squares of the
/// kernels' convolutions stand.
const GRID: usize = 4;

/// Says how a picture is divided; all in pixels of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    /// The side of a tile without what it shares with others.
    pub core: usize,
    /// How far a tile sees beyond what is taken of it.
    pub margin: usize,
    /// Half the width over which two tiles pass into each other, 0 where they meet.
    pub ramp: usize,
}

impl Tiling {
    /// Chooses a division for a net.
    pub fn of(config: &UpscalerConfig) -> Self {
        let radius = config.radius().next_multiple_of(GRID);
        let fold = config.multiple();
        let [margin, ramp] = match radius <= EXACT_MARGIN_MAX * fold {
            true => [radius, 0],
            false => BLENDED.map(|pixels| pixels * fold),
        };
        let mut tiling = Self { core: CORE_MAX, margin, ramp };
        while tiling.core > CORE_MIN && tiling.memory_bytes(config) > TILE_MAX_BYTES {
            tiling.core -= CORE_MIN;
        }
        tiling
    }

    /// Returns what a net takes for a tile, about.
    pub fn memory_bytes(&self, config: &UpscalerConfig) -> usize {
        let [seen, wanted] = config.numbers_per_pixel();
        let wide = self.core + 2 * (self.margin + self.ramp);
        let taken = self.core + 2 * self.ramp + 2 * GRID;
        4 * (seen * wide * wide).max(wanted * taken * taken)
    }

    /// Divides a side: where each core begins and ends.
    fn spans(&self, side: usize) -> Vec<[usize; 2]> {
        let count = side.div_ceil(self.core.max(GRID)).max(1);
        let place = |index: usize| match index == count {
            true => side,
            false => side * index / count / GRID * GRID,
        };
        (0..count).map(|index| [place(index), place(index + 1)]).collect()
    }

    /// Returns how many tiles a picture `[width, height]` has.
    pub fn count(&self, size: [usize; 2]) -> usize {
        self.spans(size[0]).len() * self.spans(size[1]).len()
    }
}

/// Enlarges the colours of a picture `[width, height]` by a net's own factor and gives away its rows, from
/// the top, some at a time. `done` is called behind every tile.
///
/// # Errors
/// Those of `check` and `done`; [`EngineError::NotANumber`]; errors of the tensor library.
pub(super) fn enlarge(
    model: &Upscaler,
    tiling: Tiling,
    (rgb, size): (&[u8], [usize; 2]),
    (check, done): (&Check<'_>, &mut dyn FnMut() -> Result<(), EngineError>),
    give: &mut dyn FnMut(&[u8]),
) -> Result<(), EngineError> {
    let scale = model.config().scale();
    let ramp = tiling.ramp;
    let line = 3 * scale * size[0];
    let columns = tiling.spans(size[0]);
    // The last rows of the band before, over which it passes into the next.
    let mut kept: Vec<u8> = Vec::new();
    for [top, bottom] in tiling.spans(size[1]) {
        let above = if top > 0 { ramp } else { 0 };
        let below = if bottom < size[1] { ramp } else { 0 };
        let rows = [top - above, bottom + below];
        let mut band = vec![0u8; (rows[1] - rows[0]) * scale * line];
        for [left, right] in &columns {
            let before = if *left > 0 { ramp } else { 0 };
            let behind = if *right < size[0] { ramp } else { 0 };
            let wanted = [left - before, right + behind];
            let tile = tile(model, tiling.margin, (rgb, size), (rows, wanted), check)?;
            let width = 3 * scale * (wanted[1] - wanted[0]);
            let lines = band.chunks_exact_mut(line).zip(tile.chunks_exact(width));
            for (band, tile) in lines {
                let band = &mut band[3 * scale * wanted[0]..][..width];
                let shared = 3 * scale * 2 * before;
                let share = |byte: usize| (byte / 3) as f32 + 0.5;
                for (byte, (old, new)) in band[..shared].iter_mut().zip(tile).enumerate() {
                    *old = mixed(*old, *new, share(byte) / (shared / 3) as f32);
                }
                band[shared..].copy_from_slice(&tile[shared..]);
            }
            done()?;
        }
        let shared = 2 * above * scale;
        for (row, (new, old)) in
            band.chunks_exact_mut(line).zip(kept.chunks_exact(line)).take(shared).enumerate()
        {
            let share = (row as f32 + 0.5) / shared as f32;
            new.iter_mut().zip(old).for_each(|(new, old)| *new = mixed(*old, *new, share));
        }
        let end = band.len() - 2 * below * scale * line;
        give(&band[..end]);
        kept = band.split_off(end);
    }
    Ok(())
}

fn mixed(old: u8, new: u8, share: f32) -> u8 {
    let (old, new) = (f32::from(old), f32::from(new));
    (old + (new - old) * share).round() as u8
}

/// Enlarges the part `(rows, columns)` of a picture, seeing a margin around it.
fn tile(
    model: &Upscaler,
    margin: usize,
    (rgb, size): (&[u8], [usize; 2]),
    (rows, columns): ([usize; 2], [usize; 2]),
    check: &Check<'_>,
) -> Result<Vec<u8>, EngineError> {
    let (scale, multiple) = (model.config().scale(), model.config().multiple());
    // What is seen of a side, filled up to what can be folded.
    let seen = |[start, end]: [usize; 2], side: usize| {
        let first = start.saturating_sub(margin);
        [first, first + ((end + margin).min(side) - first).next_multiple_of(multiple)]
    };
    let down = seen(rows, size[1]);
    let across = seen(columns, size[0]);
    let [height, width] = [down[1] - down[0], across[1] - across[0]];
    let mut values = Vec::with_capacity(3 * height * width);
    for y in (down[0]..down[1]).map(|y| mirrored(y, size[1])) {
        for x in (across[0]..across[1]).map(|x| mirrored(x, size[0])) {
            let pixel = &rgb[3 * (y * size[0] + x)..][..3];
            values.extend(pixel.iter().map(|byte| f32::from(*byte) / 255.0));
        }
    }
    let picture = Tensor::from_vec(values, (1, height, width, 3), &Device::Cpu)?;
    let picture = match model.compute() {
        Compute::Kernels(..) => picture,
        Compute::Candle(device, _) => {
            picture.permute((0, 3, 1, 2))?.contiguous()?.to_device(device)? // [1, 3, h, w]
        }
    };
    let whole = |pixels: usize| pixels / multiple * multiple;
    let cut = [
        whole(rows[0] - down[0]),
        whole(down[1] - rows[1]),
        whole(columns[0] - across[0]),
        whole(across[1] - columns[1]),
    ];
    let out = model.forward(&picture, cut, check)?;
    let out = match model.compute() {
        Compute::Kernels(..) => out,
        Compute::Candle(..) => out.permute((0, 2, 3, 1))?.contiguous()?, // [1, h, w, 3]
    };
    let (_, tall, wide, _) = out.dims4()?;
    let values: Vec<f32> = out.flatten_all()?.to_vec1()?;
    if !values.par_iter().all(|value| value.is_finite()) {
        return Err(EngineError::NotANumber { stage: "upscaler".to_owned() });
    }
    // What was filled up stands at the end.
    let [rows, columns] = [rows, columns].map(|[start, end]| scale * (end - start));
    if tall < rows || wide < columns {
        return Err(EngineError::Model { reason: "a tile came out too small".to_owned() });
    }
    let mut bytes = vec![0u8; 3 * rows * columns];
    bytes.par_chunks_exact_mut(3 * columns).zip(values.par_chunks_exact(3 * wide)).for_each(
        |(bytes, values)| {
            for (byte, value) in bytes.iter_mut().zip(values) {
                *byte = (value * 255.0).round().clamp(0.0, 255.0) as u8;
            }
        },
    );
    Ok(bytes)
}

/// Returns the place that stands for one beyond the end of a side.
fn mirrored(place: usize, side: usize) -> usize {
    if place < side { place } else { (2 * side).saturating_sub(2 + place).min(side - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::upscaler::{CompactConfig, RrdbConfig};

    #[test]
    fn cores_cover_a_side_once_and_none_is_narrow() {
        for core in [32, 64, 256] {
            let tiling = Tiling { core, margin: 0, ramp: 0 };
            for side in [1, 3, 31, 32, 33, 65, 255, 257, 400, 513, 6401] {
                let spans = tiling.spans(side);
                assert_eq!((spans[0][0], spans[spans.len() - 1][1]), (0, side));
                assert!(spans.windows(2).all(|pair| pair[0][1] == pair[1][0]));
                assert!(spans.iter().all(|[start, _]| start % GRID == 0));
                let narrow = |[start, end]: &[usize; 2]| end - start + GRID < (core / 2).min(side);
                assert!(!spans.iter().any(narrow), "{side} by {core}: {spans:?}");
                let wide = |[start, end]: &[usize; 2]| end - start > core + GRID;
                assert!(!spans.iter().any(wide), "{side} by {core}: {spans:?}");
            }
        }
    }

    #[test]
    fn margins_are_exact_where_that_can_be_paid_for_and_tiles_fit_the_memory() {
        let compact = CompactConfig { features: 64, convolutions: 16, scale: 4 };
        let compact = UpscalerConfig::Compact(compact);
        assert_eq!(Tiling::of(&compact), Tiling { core: 512, margin: 20, ramp: 0 });
        for (fold, margin) in [(1, 32), (2, 64), (4, 128)] {
            let config = RrdbConfig { features: 64, growth: 32, blocks: 23, doublings: 2, fold };
            let config = UpscalerConfig::Rrdb(config);
            let tiling = Tiling::of(&config);
            assert_eq!((tiling.margin, tiling.ramp), (margin, margin / 4));
            assert!(tiling.memory_bytes(&config) <= TILE_MAX_BYTES, "{tiling:?}");
            assert!(tiling.core >= 2 * tiling.ramp, "{tiling:?}");
        }
    }

    #[test]
    fn places_beyond_the_end_are_mirrored() {
        assert_eq!([4, 5, 6, 7].map(|place| mirrored(place, 5)), [4, 3, 2, 1]);
        assert_eq!([0, 1, 2, 3].map(|place| mirrored(place, 1)), [0, 0, 0, 0]);
    }
}
