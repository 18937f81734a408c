//! The innermost loops: a few rows of activations times one panel of packed weights.

use super::form::{BLOCK, PANEL};
use super::formats::{Format, Place};
use super::rounded::{self, Plane};
use super::simd::Simd;

/// How far ahead of the kernel weights are fetched, in bytes: the processor's own fetching stops at
/// the end of every page.
const AHEAD: usize = 4096;

/// Runs a body for J = 0..8 with J known to the compiler.
macro_rules! eight_lines {
    ($body:ident!($($j:literal)*)) => { $($body!($j);)* };
}

/// Writes `sums[row · 16 + output]` for `R` rows of rounded activations.
///
/// # Safety
/// As [`Format`]; `x` must be a tile of `R` rows and `blocks` blocks, `sums` have room for `16 R`.
#[inline(always)]
pub(super) unsafe fn rounded<S: Simd, F: Format, const R: usize>(
    place: Place,
    blocks: usize,
    x: *const u8,
    sums: *mut f32,
) {
    // SAFETY: the caller promises the instruction set, the panel and the tile; all offsets below lie
    // within a block of the tile.
    unsafe {
        let mut out = [S::splat(0.0); R];
        let mut x = x;
        for block in 0..blocks {
            let plane =
                |plane: Plane, row: usize| x.add(R * BLOCK + (plane as usize * R + row) * 4);
            let begin = |half: usize| -> [S::Ints; R] {
                std::array::from_fn(|row| match (F::OFFSET, half) {
                    (8, _) => S::ints(plane(Plane::Eight, row)),
                    (16, _) => S::ints(plane(Plane::Sixteen, row)),
                    (32, 0) => S::ints(plane(Plane::FirstHalf, row)),
                    (32, _) => S::ints(plane(Plane::SecondHalf, row)),
                    (128, _) if S::FULL_IS_UNSIGNED => S::ints(plane(Plane::Full, row)),
                    _ => S::no_ints(),
                })
            };
            let mut ints = begin(0);
            if R == 1 {
                S::fetch(place.low.wrapping_add(block * F::LOW + AHEAD), F::LOW / 64);
            }
            macro_rules! line {
                ($j:literal) => {
                    let weights = F::weights::<S, $j>(place, block);
                    for (row, ints) in ints.iter_mut().enumerate() {
                        let x = x.add(row * BLOCK + 4 * $j).cast();
                        *ints = if F::IS_FULL {
                            S::dot_full(*ints, weights, x)
                        } else {
                            S::dot(*ints, weights, x)
                        };
                    }
                };
            }
            macro_rules! add {
                ($half:literal) => {
                    let scale = F::scale::<S, $half>(place, block);
                    for (row, (out, ints)) in out.iter_mut().zip(ints).enumerate() {
                        let scale = S::mul(scale, S::spread(plane(Plane::Scale, row)));
                        *out = S::mul_add(S::to_floats(ints), scale, *out);
                    }
                };
            }
            eight_lines!(line!(0 1 2 3));
            if F::HAS_HALVES {
                add!(0);
                ints = begin(1);
            }
            eight_lines!(line!(4 5 6 7));
            if F::HAS_HALVES {
                add!(1);
            } else {
                add!(0);
            }
            if F::HAS_MINIMUM {
                let minimum = F::minimum::<S>(place, block);
                for (row, out) in out.iter_mut().enumerate() {
                    *out = S::mul_add(minimum, S::spread(plane(Plane::Sum, row)), *out);
                }
            }
            x = x.add(R * rounded::ROW_BYTES);
        }
        for (row, out) in out.into_iter().enumerate() {
            S::store(sums.add(row * PANEL), out);
        }
    }
}

/// Widens blocks of a panel to f32: `out[(k - 32 first) · 16 + output]`.
///
/// # Safety
/// As [`Format`]; `out` must have room for `512` numbers a block.
#[inline(always)]
pub(super) unsafe fn widen<S: Simd, F: Format>(
    place: Place,
    blocks: std::ops::Range<usize>,
    out: *mut f32,
) {
    // SAFETY: the caller promises the instruction set, the panel and the room.
    unsafe {
        let first = blocks.start;
        for block in blocks {
            let out = out.add((block - first) * BLOCK * PANEL);
            let offset = S::splat(F::OFFSET as f32);
            let scales = [F::scale::<S, 0>(place, block), F::scale::<S, 1>(place, block)];
            let minimum =
                if F::HAS_MINIMUM { F::minimum::<S>(place, block) } else { S::splat(0.0) };
            macro_rules! line {
                ($j:literal) => {
                    let weights = F::weights::<S, $j>(place, block);
                    let scale = scales[if F::HAS_HALVES { $j / 4 } else { 0 }];
                    let quants = [
                        S::byte::<0>(weights),
                        S::byte::<1>(weights),
                        S::byte::<2>(weights),
                        S::byte::<3>(weights),
                    ];
                    for (t, quant) in quants.into_iter().enumerate() {
                        let quant = S::to_floats(quant);
                        let value = if F::HAS_MINIMUM {
                            S::mul_add(scale, quant, minimum)
                        } else {
                            S::mul(scale, S::sub(quant, offset))
                        };
                        S::store(out.add((4 * $j + t) * PANEL), value);
                    }
                };
            }
            eight_lines!(line!(0 1 2 3 4 5 6 7));
        }
    }
}

/// Widens lines of sixteen numbers of 16 bits to f32.
///
/// # Safety
/// The processor must have the instruction set; `at` and `out` must have that many lines.
#[inline(always)]
pub(super) unsafe fn widen_halves<S: Simd>(
    at: *const u8,
    is_bf16: bool,
    lines: usize,
    out: *mut f32,
) {
    for line in 0..lines {
        // SAFETY: the caller promises all of this.
        unsafe {
            let at = at.add(line * 2 * PANEL);
            let values = if is_bf16 { S::upper_halves(at) } else { S::halves(at) };
            S::store(out.add(line * PANEL), values);
        }
    }
}

/// Adds the products of `R` rows of f32 with `depth` lines of sixteen f32 to `sums`, a line a row.
///
/// # Safety
/// The processor must have the instruction set; `R` rows of `depth` numbers must stand at `x`,
/// `strides[0]` apart, `16 depth` numbers at `weights`, and `R` lines at `sums`, `strides[1]` apart.
#[inline(always)]
pub(super) unsafe fn plain<S: Simd, const R: usize>(
    x: *const f32,
    weights: *const f32,
    depth: usize,
    sums: *mut f32,
    [stride, sums_stride]: [usize; 2],
) {
    // SAFETY: the caller promises all of this.
    unsafe {
        let mut out: [S::Floats; R] =
            std::array::from_fn(|row| S::load(sums.add(row * sums_stride)));
        for k in 0..depth {
            let weights = S::load(weights.add(k * PANEL));
            for (row, out) in out.iter_mut().enumerate() {
                *out = S::mul_add(S::spread(x.add(row * stride + k).cast()), weights, *out);
            }
        }
        for (row, out) in out.into_iter().enumerate() {
            S::store(sums.add(row * sums_stride), out);
        }
    }
}
