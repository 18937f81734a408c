//! What the kernels need of an instruction set: lines of 64 packed weights against activations.
//!
//! A line holds four consecutive weights of each of sixteen outputs, side by side, as unsigned bytes.

/// An instruction set. Everything is inlined into functions that are compiled for it.
///
/// # Safety
/// All methods are unsafe for two reasons: the processor must have the instruction set, and a place
/// that is read or written must have as many bytes as the method says.
pub(in crate::kernels) trait Simd: Copy {
    /// 64 bytes.
    type Line: Copy;
    /// Sixteen whole numbers.
    type Ints: Copy;
    /// Sixteen numbers.
    type Floats: Copy;

    /// The heights of tiles, highest first; the last is 1.
    const HEIGHTS: &'static [usize];
    /// Whether [`Simd::dot_full`] takes its weights as unsigned, 128 too large.
    const FULL_IS_UNSIGNED: bool;

    /// Asks for cache lines that will be read soon; the place need not exist.
    unsafe fn fetch(at: *const u8, lines: usize);
    /// Reads a line, 64 bytes.
    unsafe fn line(at: *const u8) -> Self::Line;
    /// Returns the lower halves of all bytes.
    unsafe fn low(line: Self::Line) -> Self::Line;
    /// Returns the upper halves of all bytes.
    unsafe fn high(line: Self::Line) -> Self::Line;
    /// Puts bit `J` of each byte of `bits` into bit 4.
    unsafe fn with_fifth<const J: usize>(line: Self::Line, bits: Self::Line) -> Self::Line;
    /// Puts the `J`-th pair of bits of each byte of `pairs` into bits 4 and 5.
    unsafe fn with_pair<const J: usize>(line: Self::Line, pairs: Self::Line) -> Self::Line;
    /// Adds the products with four activations at `x`; no byte of the line is above 63.
    unsafe fn dot(sums: Self::Ints, line: Self::Line, x: *const i8) -> Self::Ints;
    /// Adds the products with four activations at `x`, none of which is -128. The bytes of the line
    /// are weights plus 128; unless [`Simd::FULL_IS_UNSIGNED`] this is taken off.
    unsafe fn dot_full(sums: Self::Ints, line: Self::Line, x: *const i8) -> Self::Ints;
    /// Returns byte `T` of the four of every output.
    unsafe fn byte<const T: usize>(line: Self::Line) -> Self::Ints;

    /// Spreads the whole number at `at`, 4 bytes.
    unsafe fn ints(at: *const u8) -> Self::Ints;
    /// Returns zeros.
    unsafe fn no_ints() -> Self::Ints;
    /// Converts whole numbers.
    unsafe fn to_floats(ints: Self::Ints) -> Self::Floats;

    /// Spreads the number at `at`, 4 bytes.
    unsafe fn spread(at: *const u8) -> Self::Floats;
    /// Spreads a number.
    unsafe fn splat(value: f32) -> Self::Floats;
    /// Reads sixteen numbers of 16 bits, 32 bytes.
    unsafe fn halves(at: *const u8) -> Self::Floats;
    /// Reads sixteen numbers that are the upper halves of f32, 32 bytes.
    unsafe fn upper_halves(at: *const u8) -> Self::Floats;
    /// Reads sixteen unsigned bytes.
    unsafe fn bytes(at: *const u8) -> Self::Floats;
    /// Reads sixteen signed bytes.
    unsafe fn signed_bytes(at: *const u8) -> Self::Floats;
    /// Reads sixteen numbers, 64 bytes.
    unsafe fn load(at: *const f32) -> Self::Floats;
    /// Writes sixteen numbers, 64 bytes.
    unsafe fn store(at: *mut f32, value: Self::Floats);
    /// Multiplies.
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// Returns a · b + c.
    unsafe fn mul_add(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// Returns a - b.
    unsafe fn sub(a: Self::Floats, b: Self::Floats) -> Self::Floats;
}

/// Plain Rust that the compiler may vectorise.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Portable;

#[inline(always)]
fn each<T: Copy, U>(values: [T; 16], f: impl Fn(T) -> U) -> [U; 16] {
    values.map(f)
}

impl Simd for Portable {
    type Line = [u8; 64];
    type Ints = [i32; 16];
    type Floats = [f32; 16];

    const HEIGHTS: &'static [usize] = if cfg!(target_arch = "aarch64") { &[3, 2, 1] } else { &[1] };
    const FULL_IS_UNSIGNED: bool = false;

    #[inline(always)]
    unsafe fn fetch(_at: *const u8, _lines: usize) {}

    #[inline(always)]
    unsafe fn line(at: *const u8) -> [u8; 64] {
        // SAFETY: the caller promises 64 bytes.
        unsafe { at.cast::<[u8; 64]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn low(line: [u8; 64]) -> [u8; 64] {
        line.map(|byte| byte & 0x0f)
    }

    #[inline(always)]
    unsafe fn high(line: [u8; 64]) -> [u8; 64] {
        line.map(|byte| byte >> 4)
    }

    #[inline(always)]
    unsafe fn with_fifth<const J: usize>(line: [u8; 64], bits: [u8; 64]) -> [u8; 64] {
        std::array::from_fn(|i| line[i] | (bits[i] >> J & 1) << 4)
    }

    #[inline(always)]
    unsafe fn with_pair<const J: usize>(line: [u8; 64], pairs: [u8; 64]) -> [u8; 64] {
        std::array::from_fn(|i| line[i] | (pairs[i] >> (2 * (J % 4)) & 3) << 4)
    }

    #[inline(always)]
    unsafe fn dot(sums: [i32; 16], line: [u8; 64], x: *const i8) -> [i32; 16] {
        // SAFETY: the caller promises four activations.
        let x = unsafe { x.cast::<[i8; 4]>().read_unaligned() }.map(i32::from);
        std::array::from_fn(|i| {
            let w = |t: usize| i32::from(line[4 * i + t]);
            sums[i] + w(0) * x[0] + w(1) * x[1] + w(2) * x[2] + w(3) * x[3]
        })
    }

    #[inline(always)]
    unsafe fn dot_full(sums: [i32; 16], line: [u8; 64], x: *const i8) -> [i32; 16] {
        // SAFETY: the caller promises four activations.
        let x = unsafe { x.cast::<[i8; 4]>().read_unaligned() }.map(i32::from);
        std::array::from_fn(|i| {
            let w = |t: usize| i32::from((line[4 * i + t] ^ 0x80) as i8);
            sums[i] + w(0) * x[0] + w(1) * x[1] + w(2) * x[2] + w(3) * x[3]
        })
    }

    #[inline(always)]
    unsafe fn byte<const T: usize>(line: [u8; 64]) -> [i32; 16] {
        std::array::from_fn(|i| i32::from(line[4 * i + T]))
    }

    #[inline(always)]
    unsafe fn ints(at: *const u8) -> [i32; 16] {
        // SAFETY: the caller promises 4 bytes.
        [unsafe { at.cast::<i32>().read_unaligned() }; 16]
    }

    #[inline(always)]
    unsafe fn no_ints() -> [i32; 16] {
        [0; 16]
    }

    #[inline(always)]
    unsafe fn to_floats(ints: [i32; 16]) -> [f32; 16] {
        each(ints, |value| value as f32)
    }

    #[inline(always)]
    unsafe fn spread(at: *const u8) -> [f32; 16] {
        // SAFETY: the caller promises 4 bytes.
        [unsafe { at.cast::<f32>().read_unaligned() }; 16]
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 16] {
        [value; 16]
    }

    #[inline(always)]
    unsafe fn halves(at: *const u8) -> [f32; 16] {
        // SAFETY: the caller promises 32 bytes.
        let bits = unsafe { at.cast::<[u16; 16]>().read_unaligned() };
        each(bits, |bits| half::f16::from_bits(bits).to_f32())
    }

    #[inline(always)]
    unsafe fn upper_halves(at: *const u8) -> [f32; 16] {
        // SAFETY: the caller promises 32 bytes.
        let bits = unsafe { at.cast::<[u16; 16]>().read_unaligned() };
        each(bits, |bits| f32::from_bits(u32::from(bits) << 16))
    }

    #[inline(always)]
    unsafe fn bytes(at: *const u8) -> [f32; 16] {
        // SAFETY: the caller promises 16 bytes.
        each(unsafe { at.cast::<[u8; 16]>().read_unaligned() }, f32::from)
    }

    #[inline(always)]
    unsafe fn signed_bytes(at: *const u8) -> [f32; 16] {
        // SAFETY: the caller promises 16 bytes.
        each(unsafe { at.cast::<[i8; 16]>().read_unaligned() }, f32::from)
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> [f32; 16] {
        // SAFETY: the caller promises sixteen numbers.
        unsafe { at.cast::<[f32; 16]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(at: *mut f32, value: [f32; 16]) {
        // SAFETY: the caller promises room for sixteen numbers.
        unsafe { at.cast::<[f32; 16]>().write_unaligned(value) }
    }

    #[inline(always)]
    unsafe fn mul(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    unsafe fn mul_add(a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        // Fused where every processor of the target can; a call elsewhere.
        std::array::from_fn(|i| {
            if cfg!(target_arch = "aarch64") {
                a[i].mul_add(b[i], c[i])
            } else {
                a[i] * b[i] + c[i]
            }
        })
    }

    #[inline(always)]
    unsafe fn sub(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        std::array::from_fn(|i| a[i] - b[i])
    }
}
