//! The innermost loops, compiled once for every instruction set.

use super::formats::{Format, Place};
use super::simd::{Portable, Simd};
use super::{rate, tile};
use crate::kernels::level::Level;

/// Compiles the innermost loops for an instruction set.
///
/// # Safety
/// The processor must have the instruction set; otherwise as the functions of [`tile`].
pub(in crate::kernels) trait Isa {
    type S: Simd;

    unsafe fn rounded<F: Format, const R: usize>(
        place: Place,
        blocks: usize,
        x: *const u8,
        sums: *mut f32,
    );
    unsafe fn widen<F: Format>(place: Place, blocks: std::ops::Range<usize>, out: *mut f32);
    unsafe fn widen_halves(at: *const u8, is_bf16: bool, lines: usize, out: *mut f32);
    unsafe fn multiply(lines: *const u8, x: *const i8, rounds: usize) -> f32;
    unsafe fn plain<const R: usize>(
        x: *const f32,
        weights: *const f32,
        depth: usize,
        sums: *mut f32,
        strides: [usize; 2],
    );
}

macro_rules! isa {
    ($name:ident, $simd:ty, $(#[$feature:meta])?) => {
        #[derive(Debug)]
        pub(in crate::kernels) struct $name;

        impl Isa for $name {
            type S = $simd;

            unsafe fn rounded<F: Format, const R: usize>(
                place: Place,
                blocks: usize,
                x: *const u8,
                sums: *mut f32,
            ) {
                $(#[$feature])?
                unsafe fn run<F: Format, const R: usize>(
                    place: Place,
                    blocks: usize,
                    x: *const u8,
                    sums: *mut f32,
                ) {
                    // SAFETY: passed on from the caller.
                    unsafe { tile::rounded::<$simd, F, R>(place, blocks, x, sums) }
                }
                // SAFETY: passed on from the caller, here and below.
                unsafe { run::<F, R>(place, blocks, x, sums) }
            }

            unsafe fn widen<F: Format>(
                place: Place,
                blocks: std::ops::Range<usize>,
                out: *mut f32,
            ) {
                $(#[$feature])?
                unsafe fn run<F: Format>(
                    place: Place,
                    blocks: std::ops::Range<usize>,
                    out: *mut f32,
                ) {
                    // SAFETY: passed on from the caller.
                    unsafe { tile::widen::<$simd, F>(place, blocks, out) }
                }
                // SAFETY: as above.
                unsafe { run::<F>(place, blocks, out) }
            }

            unsafe fn widen_halves(at: *const u8, is_bf16: bool, lines: usize, out: *mut f32) {
                $(#[$feature])?
                unsafe fn run(at: *const u8, is_bf16: bool, lines: usize, out: *mut f32) {
                    // SAFETY: passed on from the caller.
                    unsafe { tile::widen_halves::<$simd>(at, is_bf16, lines, out) }
                }
                // SAFETY: as above.
                unsafe { run(at, is_bf16, lines, out) }
            }

            unsafe fn multiply(lines: *const u8, x: *const i8, rounds: usize) -> f32 {
                $(#[$feature])?
                unsafe fn run(lines: *const u8, x: *const i8, rounds: usize) -> f32 {
                    // SAFETY: passed on from the caller.
                    unsafe { rate::multiply::<$simd>(lines, x, rounds) }
                }
                // SAFETY: as above.
                unsafe { run(lines, x, rounds) }
            }

            unsafe fn plain<const R: usize>(
                x: *const f32,
                weights: *const f32,
                depth: usize,
                sums: *mut f32,
                strides: [usize; 2],
            ) {
                $(#[$feature])?
                unsafe fn run<const R: usize>(
                    x: *const f32,
                    weights: *const f32,
                    depth: usize,
                    sums: *mut f32,
                    strides: [usize; 2],
                ) {
                    // SAFETY: passed on from the caller.
                    unsafe { tile::plain::<$simd, R>(x, weights, depth, sums, strides) }
                }
                // SAFETY: as above.
                unsafe { run::<R>(x, weights, depth, sums, strides) }
            }
        }
    };
}

isa!(OnAny, Portable,);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::simd_x86::{Avx2, Avx512, Vnni};
    use super::{Format, Isa, Place, rate, tile};

    isa!(
        OnVnni,
        Vnni,
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
    );
    isa!(
        OnAvx512,
        Avx512,
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
    );
    isa!(OnAvx2, Avx2, #[target_feature(enable = "avx2,fma,f16c")]);
}

#[cfg(target_arch = "x86_64")]
pub(in crate::kernels) use x86::{OnAvx2, OnAvx512, OnVnni};

/// Calls a function that is generic over the instruction set, for a level.
///
/// Levels come from [`Level::available`] or below [`Level::best`] only, so the processor has what
/// they name.
macro_rules! with_isa {
    ($level:expr, $function:ident($($argument:expr),*)) => {
        match $level {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is one of this processor's; the rest is said where the macro is used.
            level if level >= Level::Avx512Vnni => unsafe {
                $function::<$crate::kernels::quantized::isa::OnVnni>($($argument),*)
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Level::Avx512 => unsafe {
                $function::<$crate::kernels::quantized::isa::OnAvx512>($($argument),*)
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Level::Avx2 => unsafe {
                $function::<$crate::kernels::quantized::isa::OnAvx2>($($argument),*)
            },
            // SAFETY: as above.
            _ => unsafe { $function::<$crate::kernels::quantized::isa::OnAny>($($argument),*) },
        }
    };
}
pub(in crate::kernels) use with_isa;

/// Returns the heights of tiles at a level.
pub(super) fn heights(level: Level) -> &'static [usize] {
    fn of<I: Isa>() -> &'static [usize] {
        I::S::HEIGHTS
    }
    match level {
        #[cfg(target_arch = "x86_64")]
        level if level >= Level::Avx512Vnni => of::<OnVnni>(),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => of::<OnAvx512>(),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => of::<OnAvx2>(),
        _ => of::<OnAny>(),
    }
}

/// Adds the products of rows with lines to `sums`, tile by tile.
///
/// # Safety
/// As [`Isa::plain`], for all rows.
pub(in crate::kernels) unsafe fn plain_rows<I: Isa>(
    x: *const f32,
    lines: *const f32,
    depth: usize,
    rows: usize,
    sums: *mut f32,
    strides: [usize; 2],
) {
    let mut row = 0;
    for height in I::S::HEIGHTS {
        while rows - row >= *height {
            // SAFETY: passed on from the caller.
            unsafe {
                let (x, sums) = (x.add(row * strides[0]), sums.add(row * strides[1]));
                match height {
                    1 => I::plain::<1>(x, lines, depth, sums, strides),
                    2 => I::plain::<2>(x, lines, depth, sums, strides),
                    3 => I::plain::<3>(x, lines, depth, sums, strides),
                    4 => I::plain::<4>(x, lines, depth, sums, strides),
                    8 => I::plain::<8>(x, lines, depth, sums, strides),
                    12 => I::plain::<12>(x, lines, depth, sums, strides),
                    _ => unreachable!("a tile has one of the heights of its level"),
                }
            }
            row += height;
        }
    }
}
