//! The instruction sets of x86-64.

use std::arch::x86_64::*;

use super::simd::Simd;

/// AVX-512 with VNNI.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Vnni;

/// AVX-512 without VNNI.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Avx512;

/// AVX2 with FMA and F16C.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Avx2;

/// Writes the methods that both kinds of AVX-512 share.
macro_rules! avx512_methods {
    () => {
        type Line = __m512i;
        type Ints = __m512i;
        type Floats = __m512;

        #[inline(always)]
        unsafe fn fetch(at: *const u8, lines: usize) {
            for line in 0..lines {
                // SAFETY: fetching what is not there does nothing.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(64 * line).cast()) };
            }
        }

        #[inline(always)]
        unsafe fn line(at: *const u8) -> __m512i {
            // SAFETY: the caller promises 64 bytes.
            unsafe { _mm512_loadu_si512(at.cast()) }
        }

        #[inline(always)]
        unsafe fn low(line: __m512i) -> __m512i {
            // SAFETY: the caller promises the instruction set, here and below.
            unsafe { _mm512_and_si512(line, _mm512_set1_epi8(0x0f)) }
        }

        #[inline(always)]
        unsafe fn high(line: __m512i) -> __m512i {
            // SAFETY: as above.
            unsafe { _mm512_and_si512(_mm512_srli_epi16::<4>(line), _mm512_set1_epi8(0x0f)) }
        }

        #[inline(always)]
        unsafe fn with_fifth<const J: usize>(line: __m512i, bits: __m512i) -> __m512i {
            // SAFETY: as above.
            unsafe {
                let moved = match J {
                    0 => _mm512_slli_epi16::<4>(bits),
                    1 => _mm512_slli_epi16::<3>(bits),
                    2 => _mm512_slli_epi16::<2>(bits),
                    3 => _mm512_slli_epi16::<1>(bits),
                    4 => bits,
                    5 => _mm512_srli_epi16::<1>(bits),
                    6 => _mm512_srli_epi16::<2>(bits),
                    _ => _mm512_srli_epi16::<3>(bits),
                };
                _mm512_or_si512(line, _mm512_and_si512(moved, _mm512_set1_epi8(0x10)))
            }
        }

        #[inline(always)]
        unsafe fn with_pair<const J: usize>(line: __m512i, pairs: __m512i) -> __m512i {
            // SAFETY: as above.
            unsafe {
                let moved = match J % 4 {
                    0 => _mm512_slli_epi16::<4>(pairs),
                    1 => _mm512_slli_epi16::<2>(pairs),
                    2 => pairs,
                    _ => _mm512_srli_epi16::<2>(pairs),
                };
                _mm512_or_si512(line, _mm512_and_si512(moved, _mm512_set1_epi8(0x30)))
            }
        }

        #[inline(always)]
        unsafe fn byte<const T: usize>(line: __m512i) -> __m512i {
            // SAFETY: as above.
            unsafe {
                let moved = match T {
                    0 => line,
                    1 => _mm512_srli_epi32::<8>(line),
                    2 => _mm512_srli_epi32::<16>(line),
                    _ => _mm512_srli_epi32::<24>(line),
                };
                _mm512_and_si512(moved, _mm512_set1_epi32(0xff))
            }
        }

        #[inline(always)]
        unsafe fn ints(at: *const u8) -> __m512i {
            // SAFETY: as above; the caller promises 4 bytes.
            unsafe { _mm512_set1_epi32(at.cast::<i32>().read_unaligned()) }
        }

        #[inline(always)]
        unsafe fn no_ints() -> __m512i {
            // SAFETY: as above.
            unsafe { _mm512_setzero_si512() }
        }

        #[inline(always)]
        unsafe fn to_floats(ints: __m512i) -> __m512 {
            // SAFETY: as above.
            unsafe { _mm512_cvtepi32_ps(ints) }
        }

        #[inline(always)]
        unsafe fn spread(at: *const u8) -> __m512 {
            // SAFETY: as above; the caller promises 4 bytes.
            unsafe { _mm512_set1_ps(at.cast::<f32>().read_unaligned()) }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m512 {
            // SAFETY: as above.
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn halves(at: *const u8) -> __m512 {
            // SAFETY: as above; the caller promises 32 bytes.
            unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())) }
        }

        #[inline(always)]
        unsafe fn upper_halves(at: *const u8) -> __m512 {
            // SAFETY: as above; the caller promises 32 bytes.
            unsafe {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(at.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            }
        }

        #[inline(always)]
        unsafe fn bytes(at: *const u8) -> __m512 {
            // SAFETY: as above; the caller promises 16 bytes.
            unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(at.cast()))) }
        }

        #[inline(always)]
        unsafe fn signed_bytes(at: *const u8) -> __m512 {
            // SAFETY: as above; the caller promises 16 bytes.
            unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast()))) }
        }

        #[inline(always)]
        unsafe fn load(at: *const f32) -> __m512 {
            // SAFETY: as above; the caller promises sixteen numbers.
            unsafe { _mm512_loadu_ps(at) }
        }

        #[inline(always)]
        unsafe fn store(at: *mut f32, value: __m512) {
            // SAFETY: as above; the caller promises room for sixteen numbers.
            unsafe { _mm512_storeu_ps(at, value) }
        }

        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            // SAFETY: as above.
            unsafe { _mm512_mul_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: as above.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            // SAFETY: as above.
            unsafe { _mm512_sub_ps(a, b) }
        }
    };
}

#[inline(always)]
unsafe fn four(x: *const i8) -> i32 {
    // SAFETY: the caller promises four activations.
    unsafe { x.cast::<i32>().read_unaligned() }
}

impl Simd for Vnni {
    avx512_methods!();

    const HEIGHTS: &'static [usize] = &[12, 8, 4, 2, 1];
    const FULL_IS_UNSIGNED: bool = true;

    #[inline(always)]
    unsafe fn dot(sums: __m512i, line: __m512i, x: *const i8) -> __m512i {
        // SAFETY: the caller promises the instruction set and four activations.
        unsafe { _mm512_dpbusd_epi32(sums, line, _mm512_set1_epi32(four(x))) }
    }

    #[inline(always)]
    unsafe fn dot_full(sums: __m512i, line: __m512i, x: *const i8) -> __m512i {
        // SAFETY: passed on from the caller.
        unsafe { Self::dot(sums, line, x) }
    }
}

impl Simd for Avx512 {
    avx512_methods!();

    const HEIGHTS: &'static [usize] = &[8, 4, 2, 1];
    const FULL_IS_UNSIGNED: bool = false;

    #[inline(always)]
    unsafe fn dot(sums: __m512i, line: __m512i, x: *const i8) -> __m512i {
        // SAFETY: the caller promises the instruction set and four activations. Two products of at
        // most 63 · 127 fit into 16 bits.
        unsafe {
            let pairs = _mm512_maddubs_epi16(line, _mm512_set1_epi32(four(x)));
            _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
        }
    }

    #[inline(always)]
    unsafe fn dot_full(sums: __m512i, line: __m512i, x: *const i8) -> __m512i {
        // SAFETY: as above. The sign goes over to the activation, so that two products of at most
        // 128 · 127 fit into 16 bits.
        unsafe {
            let signed = _mm512_xor_si512(line, _mm512_set1_epi8(-128));
            let x = _mm512_set1_epi32(four(x));
            let is_negative = _mm512_movepi8_mask(signed);
            let x = _mm512_mask_sub_epi8(x, is_negative, _mm512_setzero_si512(), x);
            let pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(signed), x);
            _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
        }
    }
}

/// Applies a function to both halves.
macro_rules! both {
    ($f:expr, $($a:expr),+) => { [$f($($a[0]),+), $f($($a[1]),+)] };
}

impl Simd for Avx2 {
    type Line = [__m256i; 2];
    type Ints = [__m256i; 2];
    type Floats = [__m256; 2];

    const HEIGHTS: &'static [usize] = &[2, 1];
    const FULL_IS_UNSIGNED: bool = false;

    #[inline(always)]
    unsafe fn fetch(at: *const u8, lines: usize) {
        for line in 0..lines {
            // SAFETY: fetching what is not there does nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(64 * line).cast()) };
        }
    }

    #[inline(always)]
    unsafe fn line(at: *const u8) -> [__m256i; 2] {
        // SAFETY: the caller promises 64 bytes.
        unsafe { [_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(32).cast())] }
    }

    #[inline(always)]
    unsafe fn low(line: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: the caller promises the instruction set, here and below.
        unsafe { line.map(|half| _mm256_and_si256(half, _mm256_set1_epi8(0x0f))) }
    }

    #[inline(always)]
    unsafe fn high(line: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: as above.
        unsafe {
            line.map(|half| _mm256_and_si256(_mm256_srli_epi16::<4>(half), _mm256_set1_epi8(0x0f)))
        }
    }

    #[inline(always)]
    unsafe fn with_fifth<const J: usize>(line: [__m256i; 2], bits: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: as above.
        unsafe {
            let join = |line: __m256i, bits: __m256i| {
                let moved = match J {
                    0 => _mm256_slli_epi16::<4>(bits),
                    1 => _mm256_slli_epi16::<3>(bits),
                    2 => _mm256_slli_epi16::<2>(bits),
                    3 => _mm256_slli_epi16::<1>(bits),
                    4 => bits,
                    5 => _mm256_srli_epi16::<1>(bits),
                    6 => _mm256_srli_epi16::<2>(bits),
                    _ => _mm256_srli_epi16::<3>(bits),
                };
                _mm256_or_si256(line, _mm256_and_si256(moved, _mm256_set1_epi8(0x10)))
            };
            both!(join, line, bits)
        }
    }

    #[inline(always)]
    unsafe fn with_pair<const J: usize>(line: [__m256i; 2], pairs: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: as above.
        unsafe {
            let join = |line: __m256i, pairs: __m256i| {
                let moved = match J % 4 {
                    0 => _mm256_slli_epi16::<4>(pairs),
                    1 => _mm256_slli_epi16::<2>(pairs),
                    2 => pairs,
                    _ => _mm256_srli_epi16::<2>(pairs),
                };
                _mm256_or_si256(line, _mm256_and_si256(moved, _mm256_set1_epi8(0x30)))
            };
            both!(join, line, pairs)
        }
    }

    #[inline(always)]
    unsafe fn dot(sums: [__m256i; 2], line: [__m256i; 2], x: *const i8) -> [__m256i; 2] {
        // SAFETY: as above, and the caller promises four activations. Two products of at most
        // 63 · 127 fit into 16 bits.
        unsafe {
            let x = _mm256_set1_epi32(four(x));
            let add = |sums: __m256i, line: __m256i| {
                let pairs = _mm256_maddubs_epi16(line, x);
                _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
            };
            both!(add, sums, line)
        }
    }

    #[inline(always)]
    unsafe fn dot_full(sums: [__m256i; 2], line: [__m256i; 2], x: *const i8) -> [__m256i; 2] {
        // SAFETY: as above. The sign goes over to the activation, so that two products of at most
        // 128 · 127 fit into 16 bits.
        unsafe {
            let x = _mm256_set1_epi32(four(x));
            let add = |sums: __m256i, line: __m256i| {
                let signed = _mm256_xor_si256(line, _mm256_set1_epi8(-128));
                let x = _mm256_sign_epi8(x, signed);
                let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(signed), x);
                _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
            };
            both!(add, sums, line)
        }
    }

    #[inline(always)]
    unsafe fn byte<const T: usize>(line: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: as above.
        unsafe {
            line.map(|half| {
                let moved = match T {
                    0 => half,
                    1 => _mm256_srli_epi32::<8>(half),
                    2 => _mm256_srli_epi32::<16>(half),
                    _ => _mm256_srli_epi32::<24>(half),
                };
                _mm256_and_si256(moved, _mm256_set1_epi32(0xff))
            })
        }
    }

    #[inline(always)]
    unsafe fn ints(at: *const u8) -> [__m256i; 2] {
        // SAFETY: as above; the caller promises 4 bytes.
        unsafe { [_mm256_set1_epi32(at.cast::<i32>().read_unaligned()); 2] }
    }

    #[inline(always)]
    unsafe fn no_ints() -> [__m256i; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    unsafe fn to_floats(ints: [__m256i; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { ints.map(|half| _mm256_cvtepi32_ps(half)) }
    }

    #[inline(always)]
    unsafe fn spread(at: *const u8) -> [__m256; 2] {
        // SAFETY: as above; the caller promises 4 bytes.
        unsafe { [_mm256_set1_ps(at.cast::<f32>().read_unaligned()); 2] }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_set1_ps(value); 2] }
    }

    #[inline(always)]
    unsafe fn halves(at: *const u8) -> [__m256; 2] {
        // SAFETY: as above; the caller promises 32 bytes.
        unsafe { [0, 16].map(|offset| _mm256_cvtph_ps(_mm_loadu_si128(at.add(offset).cast()))) }
    }

    #[inline(always)]
    unsafe fn upper_halves(at: *const u8) -> [__m256; 2] {
        // SAFETY: as above; the caller promises 32 bytes.
        unsafe {
            [0, 16].map(|offset| {
                let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(at.add(offset).cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
            })
        }
    }

    #[inline(always)]
    unsafe fn bytes(at: *const u8) -> [__m256; 2] {
        // SAFETY: as above; the caller promises 16 bytes.
        unsafe {
            [0, 8].map(|offset| {
                let eight = _mm_loadl_epi64(at.add(offset).cast());
                _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(eight))
            })
        }
    }

    #[inline(always)]
    unsafe fn signed_bytes(at: *const u8) -> [__m256; 2] {
        // SAFETY: as above; the caller promises 16 bytes.
        unsafe {
            [0, 8].map(|offset| {
                let eight = _mm_loadl_epi64(at.add(offset).cast());
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight))
            })
        }
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> [__m256; 2] {
        // SAFETY: as above; the caller promises sixteen numbers.
        unsafe { [_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))] }
    }

    #[inline(always)]
    unsafe fn store(at: *mut f32, value: [__m256; 2]) {
        // SAFETY: as above; the caller promises room for sixteen numbers.
        unsafe {
            _mm256_storeu_ps(at, value[0]);
            _mm256_storeu_ps(at.add(8), value[1]);
        }
    }

    #[inline(always)]
    unsafe fn mul(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { both!(_mm256_mul_ps, a, b) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { both!(_mm256_fmadd_ps, a, b, c) }
    }

    #[inline(always)]
    unsafe fn sub(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { both!(_mm256_sub_ps, a, b) }
    }
}
