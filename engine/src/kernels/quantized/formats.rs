//! How the kernels read each form.

use super::simd::Simd;

/// Where the parts of a panel begin.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Place {
    pub(super) low: *const u8,
    pub(super) high: *const u8,
    pub(super) scales: *const u8,
    pub(super) wide: *const u8,
}

/// A quantized form: a weight is `scale · (whole number - OFFSET) + minimum`.
///
/// # Safety
/// As [`Simd`]; the place must be that of a panel of this form with more blocks than `block`.
pub(in crate::kernels) trait Format {
    /// What is taken off the whole numbers.
    const OFFSET: i32;
    /// Whether a block has a minimum.
    const HAS_MINIMUM: bool = false;
    /// Whether each half of a block has a scale of its own.
    const HAS_HALVES: bool = false;
    /// Whether whole numbers have eight bits.
    const IS_FULL: bool = false;
    /// Bytes of the lower bits of a block.
    const LOW: usize = if Self::IS_FULL { 512 } else { 256 };

    /// Reads line `J` of eight: weights `4 J .. 4 J + 4` of every output.
    unsafe fn weights<S: Simd, const J: usize>(place: Place, block: usize) -> S::Line;
    /// Reads the scale of half `HALF` of the block, the first where there is one for both.
    unsafe fn scale<S: Simd, const HALF: usize>(place: Place, block: usize) -> S::Floats;
    /// Reads the minimum, where there is one.
    unsafe fn minimum<S: Simd>(place: Place, block: usize) -> S::Floats;
}

/// Reads a line of eight bits.
#[inline(always)]
unsafe fn eight<S: Simd, const J: usize>(place: Place, block: usize) -> S::Line {
    // SAFETY: passed on from the caller; a block has eight lines.
    unsafe { S::line(place.low.add(block * 512 + J * 64)) }
}

/// Reads a line of four bits.
#[inline(always)]
unsafe fn four<S: Simd, const J: usize>(place: Place, block: usize) -> S::Line {
    // SAFETY: passed on from the caller; a block has four lines of two halves.
    unsafe {
        let line = S::line(place.low.add(block * 256 + J / 2 * 64));
        if J.is_multiple_of(2) { S::low(line) } else { S::high(line) }
    }
}

/// Reads a line of five bits.
#[inline(always)]
unsafe fn five<S: Simd, const J: usize>(place: Place, block: usize) -> S::Line {
    // SAFETY: passed on from the caller; a block has one line of fifth bits.
    unsafe { S::with_fifth::<J>(four::<S, J>(place, block), S::line(place.high.add(block * 64))) }
}

/// Reads a line of six bits.
#[inline(always)]
unsafe fn six<S: Simd, const J: usize>(place: Place, block: usize) -> S::Line {
    // SAFETY: passed on from the caller; a block has two lines of pairs of bits.
    unsafe {
        let pairs = S::line(place.high.add(block * 128 + J / 4 * 64));
        S::with_pair::<J>(four::<S, J>(place, block), pairs)
    }
}

/// Defines a form whose block has a scale and perhaps a minimum, both of 16 bits.
macro_rules! own_scale {
    ($name:ident, $weights:ident, offset $offset:literal, minimum $has_minimum:literal) => {
        #[derive(Debug)]
        pub(in crate::kernels) struct $name;

        impl Format for $name {
            const OFFSET: i32 = $offset;
            const HAS_MINIMUM: bool = $has_minimum;
            const IS_FULL: bool = $offset == 128;

            #[inline(always)]
            unsafe fn weights<S: Simd, const J: usize>(place: Place, block: usize) -> S::Line {
                // SAFETY: passed on from the caller.
                unsafe { $weights::<S, J>(place, block) }
            }

            #[inline(always)]
            unsafe fn scale<S: Simd, const HALF: usize>(place: Place, block: usize) -> S::Floats {
                // SAFETY: passed on from the caller.
                unsafe { S::halves(place.scales.add(block * if $has_minimum { 64 } else { 32 })) }
            }

            #[inline(always)]
            unsafe fn minimum<S: Simd>(place: Place, block: usize) -> S::Floats {
                // SAFETY: passed on from the caller; asked for only where there is one.
                unsafe { S::halves(place.scales.add(block * 64 + 32)) }
            }
        }
    };
}

own_scale!(Q8_0, eight, offset 128, minimum false);
own_scale!(Q4_0, four, offset 8, minimum false);
own_scale!(Q4_1, four, offset 0, minimum true);
own_scale!(Q5_0, five, offset 16, minimum false);
own_scale!(Q5_1, five, offset 0, minimum true);

/// Defines a form whose scales and minima have scales themselves, one for 256 weights.
macro_rules! scaled_scales {
    ($name:ident, $weights:ident) => {
        #[derive(Debug)]
        pub(in crate::kernels) struct $name;

        impl Format for $name {
            const OFFSET: i32 = 0;
            const HAS_MINIMUM: bool = true;

            #[inline(always)]
            unsafe fn weights<S: Simd, const J: usize>(place: Place, block: usize) -> S::Line {
                // SAFETY: passed on from the caller.
                unsafe { $weights::<S, J>(place, block) }
            }

            #[inline(always)]
            unsafe fn scale<S: Simd, const HALF: usize>(place: Place, block: usize) -> S::Floats {
                // SAFETY: passed on from the caller.
                unsafe {
                    let narrow = S::bytes(place.scales.add(block * 32));
                    S::mul(S::halves(place.wide.add(block / 8 * 64)), narrow)
                }
            }

            #[inline(always)]
            unsafe fn minimum<S: Simd>(place: Place, block: usize) -> S::Floats {
                // SAFETY: passed on from the caller.
                unsafe {
                    let narrow = S::bytes(place.scales.add(block * 32 + 16));
                    S::mul(S::halves(place.wide.add(block / 8 * 64 + 32)), narrow)
                }
            }
        }
    };
}

scaled_scales!(Q4K, four);
scaled_scales!(Q5K, five);

#[derive(Debug)]
pub(in crate::kernels) struct Q6K;

impl Format for Q6K {
    const OFFSET: i32 = 32;
    const HAS_HALVES: bool = true;

    #[inline(always)]
    unsafe fn weights<S: Simd, const J: usize>(place: Place, block: usize) -> S::Line {
        // SAFETY: passed on from the caller.
        unsafe { six::<S, J>(place, block) }
    }

    #[inline(always)]
    unsafe fn scale<S: Simd, const HALF: usize>(place: Place, block: usize) -> S::Floats {
        // SAFETY: passed on from the caller.
        unsafe {
            let narrow = S::signed_bytes(place.scales.add(block * 32 + HALF * 16));
            S::mul(S::halves(place.wide.add(block / 8 * 32)), narrow)
        }
    }

    #[inline(always)]
    unsafe fn minimum<S: Simd>(_place: Place, _block: usize) -> S::Floats {
        // SAFETY: passed on from the caller.
        unsafe { S::splat(0.0) }
    }
}
