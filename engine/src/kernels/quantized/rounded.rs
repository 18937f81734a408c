//! Activations rounded to 8 bits, in the order in which the kernels read them.

use crate::kernels::level::per_level;

use super::form::BLOCK;

/// What stands behind the rounded numbers of a block: a plane has four bytes for every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plane {
    /// What a rounded number is multiplied by, f32.
    Scale,
    /// The sum of the numbers as they were rounded, f32.
    Sum,
    /// The sum of the whole numbers times -8.
    Eight,
    /// The sum of the whole numbers times -16.
    Sixteen,
    /// The sum of the whole numbers times -128.
    Full,
    /// The sum of the first half of the whole numbers times -32.
    FirstHalf,
    /// The sum of the second half of the whole numbers times -32.
    SecondHalf,
}

const PLANES: usize = 7;
/// Numbers that are worked on side by side.
const LANES: usize = BLOCK / 2;

/// Bytes of a row's part of a block.
pub(super) const ROW_BYTES: usize = BLOCK + 4 * PLANES;

/// A few rows that are multiplied together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) first_row: usize,
    pub(super) rows: usize,
}

/// Cuts rows into tiles of the heights that a kernel has, the highest first.
pub(super) fn tiles(heights: &[usize], rows: usize) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut first_row = 0;
    for height in heights {
        while rows - first_row >= *height {
            tiles.push(Tile { first_row, rows: *height });
            first_row += height;
        }
    }
    tiles
}

per_level! {
    /// Rounds one row of a tile of `rows`; `tile` is as long as the tile.
    pub(super) fn round_row(x: &[f32], row: usize, rows: usize, tile: &mut [u8]) {
        for (x, block) in x.as_chunks::<BLOCK>().0.iter().zip(tile.chunks_exact_mut(rows * ROW_BYTES)) {
            // Compared as whole numbers, so that what is not a number counts as the largest. Sixteen
            // side by side, here and below, are what the compiler makes vectors of.
            let (first, second) = x.split_at(LANES);
            let mut most = [0_u32; LANES];
            for (i, most) in most.iter_mut().enumerate() {
                let (a, b) = (first[i].to_bits() & 0x7fff_ffff, second[i].to_bits() & 0x7fff_ffff);
                *most = if a > b { a } else { b };
            }
            let most = most.iter().fold(0, |most, one| if *one > most { *one } else { most });
            let scale = f32::from_bits(most) / 127.0;
            let inverse = if scale < f32::MIN_POSITIVE { 0.0 } else { 1.0 / scale };
            let mut quants = [0_u8; BLOCK];
            let mut halves = [0_i32; 2];
            let (quants_of, sums) = (quants.as_chunks_mut::<LANES>().0, halves.iter_mut());
            for ((x, quants), sum) in x.as_chunks::<LANES>().0.iter().zip(quants_of).zip(sums) {
                let mut whole = [0_i32; LANES];
                for (whole, x) in whole.iter_mut().zip(x) {
                    // Adding 1.5 · 2^23 rounds to the nearest whole number and leaves it in the low
                    // bits. Only a block with an infinity or NaN goes beyond 127; its scale makes
                    // the result not a number, too.
                    const ROUND: f32 = 12_582_912.0;
                    let bits = (x * inverse + ROUND).to_bits();
                    *whole = (bits.wrapping_sub(ROUND.to_bits()) as i32).clamp(-127, 127);
                }
                for (quant, whole) in quants.iter_mut().zip(&whole) {
                    *quant = *whole as u8;
                }
                *sum = whole.iter().fold(0, |sum: i32, whole| sum.wrapping_add(*whole));
            }
            let sum = halves[0] + halves[1];
            let (numbers, planes) = block.split_at_mut(rows * BLOCK);
            numbers[row * BLOCK..][..BLOCK].copy_from_slice(&quants);
            let mut put = |plane: Plane, bytes: [u8; 4]| {
                planes[(plane as usize * rows + row) * 4..][..4].copy_from_slice(&bytes);
            };
            put(Plane::Scale, scale.to_le_bytes());
            put(Plane::Sum, (scale * sum as f32).to_le_bytes());
            put(Plane::Eight, (-8 * sum).to_le_bytes());
            put(Plane::Sixteen, (-16 * sum).to_le_bytes());
            put(Plane::Full, (-128 * sum).to_le_bytes());
            put(Plane::FirstHalf, (-32 * halves[0]).to_le_bytes());
            put(Plane::SecondHalf, (-32 * halves[1]).to_le_bytes());
        }
    }
}
