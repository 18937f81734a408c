//! The innermost loops: a few rows of activations times one panel of weights.

use std::ops::Range;

use super::element::Element;
use super::registers::Registers;

/// Says where a tile's activations lie: row `r`, tap `t`, place `k` is at
/// `first + r · row_stride + taps[t] + k`.
pub(crate) struct Rows<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) first: usize,
    pub(crate) row_stride: usize,
    pub(crate) taps: &'a [usize],
    /// A multiple of the element's group.
    pub(crate) depth: usize,
}

impl<T> Rows<'_, T> {
    /// Tells whether `rows` rows lie inside the values.
    pub(crate) fn fits(&self, rows: usize) -> bool {
        let far = self.taps.iter().max().copied().unwrap_or(0);
        let end = self.first + rows.saturating_sub(1) * self.row_stride + far + self.depth;
        end <= self.values.len()
    }
}

/// An instruction set's tiles.
pub(crate) trait Isa<T: Element> {
    /// What is done to numbers between tiles.
    type Registers: Registers<T>;

    /// Returns the most rows of a tile whose panel is `registers` wide.
    fn rows(registers: usize) -> usize;

    /// Returns the rows of the tile that follows when `done` of `count` rows, fewer than all, are
    /// done: it ends behind them and may begin before.
    #[inline(always)]
    fn next(done: usize, count: usize, registers: usize) -> Range<usize> {
        // Tiles of nearly equal height: a last tile of one row would cost half a full one.
        let left = count - done;
        done..done + left.div_ceil(left.div_ceil(Self::rows(registers)))
    }

    /// Writes `sums[r · width + c]`, the product of row `r` with the panel's column `c`, for panels
    /// of `width = registers · LANES` columns; adds to what is there when it `goes_on`.
    ///
    /// # Safety
    /// The processor must have the instruction set; `rows` must fit (see [`Rows::fits`]) and be
    /// 1..=`Self::rows(registers)`; `registers` must be 2 or 3; the panel must hold
    /// `taps · depth · width` numbers and `sums` `rows · width`.
    unsafe fn tile(
        source: &Rows<'_, T>,
        rows: usize,
        registers: usize,
        panel: &[T],
        sums: &mut [f32],
        goes_on: bool,
    );

    /// Leaves behind what tiles of this thread need beyond registers, at the end of a task.
    ///
    /// # Safety
    /// The processor must have the instruction set.
    #[inline(always)]
    unsafe fn leave() {}
}

/// Calls `$function::<rows, registers>` for the pair at hand.
macro_rules! by_shape {
    ($rows:expr, $registers:expr, $function:ident($a:expr, $b:expr, $c:expr, $d:expr),
     2: $($two:literal)*, 3: $($three:literal)*) => {
        match ($registers, $rows) {
            // SAFETY: passed on from the caller, whose contract is the same.
            $((2, $two) => unsafe { $function::<$two, 2>($a, $b, $c, $d) },)*
            // SAFETY: as above.
            $((3, $three) => unsafe { $function::<$three, 3>($a, $b, $c, $d) },)*
            _ => unreachable!("a tile has 1 to the most rows and 2 or 3 registers"),
        }
    };
}

/// Plain Rust that the compiler may vectorise.
pub(crate) struct Portable;

impl Isa<f32> for Portable {
    type Registers = Self;

    fn rows(registers: usize) -> usize {
        // Two rows of sixteen sums fill half of sixteen 128-bit registers; 64-bit ARM has 32.
        match (cfg!(target_arch = "aarch64"), registers) {
            (true, 2) => 5,
            (true, _) => 4,
            (false, 2) => 2,
            (false, _) => 1,
        }
    }

    #[inline(always)]
    unsafe fn tile(
        source: &Rows<'_, f32>,
        rows: usize,
        registers: usize,
        panel: &[f32],
        sums: &mut [f32],
        goes_on: bool,
    ) {
        #[inline]
        unsafe fn run<const R: usize, const C: usize>(
            source: &Rows<'_, f32>,
            panel: &[f32],
            sums: &mut [f32],
            goes_on: bool,
        ) {
            let mut acc = [[[0f32; 8]; C]; R];
            if goes_on {
                acc.as_flattened_mut().as_flattened_mut().copy_from_slice(&sums[..R * 8 * C]);
            }
            let depth = source.depth;
            for (tap, weights) in source.taps.iter().zip(panel.chunks_exact((8 * C * depth).max(1)))
            {
                let start = source.first + tap;
                let rows: [&[f32]; R] = std::array::from_fn(|r| {
                    &source.values[start + r * source.row_stride..][..depth]
                });
                for (k, weights) in weights.as_chunks::<8>().0.as_chunks::<C>().0.iter().enumerate()
                {
                    for (acc, row) in acc.iter_mut().zip(rows) {
                        let a = row[k];
                        for (acc, w) in
                            acc.as_flattened_mut().iter_mut().zip(weights.as_flattened())
                        {
                            // Fused where every processor of the target can; a call elsewhere.
                            *acc = if cfg!(target_arch = "aarch64") {
                                a.mul_add(*w, *acc)
                            } else {
                                a * w + *acc
                            };
                        }
                    }
                }
            }
            sums[..R * 8 * C].copy_from_slice(acc.as_flattened().as_flattened());
        }
        by_shape!(rows, registers, run(source, panel, sums, goes_on), 2: 1 2 3 4 5, 3: 1 2 3 4)
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512, Avx512Bf16};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m512, __m512bh, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
        _mm256_storeu_ps, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_epi32, _mm512_loadu_ps,
        _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use half::bf16;

    use super::{Isa, Rows};
    use crate::kernels::element::Element;

    /// Adds the products of one group of places, `step` groups on, to the sums of `R` rows and `C`
    /// registers. A macro, because a function with instructions of its own is not always inlined, and
    /// plain loops, because iterators are not either: the sums would not stay in registers.
    macro_rules! add_group {
        ($load:ident $splat:ident $fma:ident $group:ty,
         $acc:ident $rows:ident $stride:ident $panel:ident, $step:literal, $width:expr) => {
            let line = $panel.wrapping_add($step * C * $width);
            let first = $load(line);
            let second = $load(line.wrapping_add($width));
            let third = if C == 3 { $load(line.wrapping_add(2 * $width)) } else { second };
            let weights = [first, second, third];
            let mut row = $rows;
            let mut r = 0;
            while r < R {
                let place = row.wrapping_add($step * GROUP);
                let value = $splat(place.cast::<$group>().read_unaligned());
                row = row.wrapping_add($stride);
                let mut c = 0;
                while c < C {
                    $acc[r][c] = $fma(value, weights[c], $acc[r][c]);
                    c += 1;
                }
                r += 1;
            }
        };
    }

    /// Defines an [`Isa`] by its registers' loads and fused products, and by the groups of places
    /// that its loop takes at once.
    macro_rules! isa {
        ($name:ident, $element:ty, $group:ty, $doc:literal, $features:literal, $lanes:literal,
         $($step:literal)*,
         2: $($two:literal)*, 3: $($three:literal)*; $most_two:literal, $most_three:literal;
         $load:ident, $splat:ident, $zero:ident, $fma:ident, $load_sums:ident,
         $store:ident) => {
            #[doc = $doc]
            pub(crate) struct $name;

            impl Isa<$element> for $name {
                type Registers = Self;

                fn rows(registers: usize) -> usize {
                    if registers == 2 { $most_two } else { $most_three }
                }

                #[inline(always)]
                unsafe fn tile(
                    source: &Rows<'_, $element>,
                    rows: usize,
                    registers: usize,
                    panel: &[$element],
                    sums: &mut [f32],
                    goes_on: bool,
                ) {
                    #[target_feature(enable = $features)]
                    #[inline]
                    unsafe fn run<const R: usize, const C: usize>(
                        source: &Rows<'_, $element>,
                        panel: &[$element],
                        sums: &mut [f32],
                        goes_on: bool,
                    ) {
                        // Pointers wrap: the checks of development builds would cost more than
                        // the products.
                        const GROUP: usize = <$element as Element>::GROUP;
                        const STEPS: usize = [$($step),*].len();
                        let stride = source.row_stride;
                        // SAFETY: the caller promises the instructions, that all R rows with every
                        // tap lie inside their slice, and a panel of `taps · depth` lines.
                        unsafe {
                            let mut acc = [[$zero(); C]; R];
                            let out = sums.as_mut_ptr();
                            if goes_on {
                                let mut r = 0;
                                while r < R {
                                    let mut c = 0;
                                    while c < C {
                                        let from = out.wrapping_add((r * C + c) * $lanes);
                                        acc[r][c] = $load_sums(from);
                                        c += 1;
                                    }
                                    r += 1;
                                }
                            }
                            let mut b = panel.as_ptr();
                            let base = source.values.as_ptr().wrapping_add(source.first);
                            let groups = source.depth / GROUP;
                            for &tap in source.taps {
                                let mut rows = base.wrapping_add(tap);
                                let mut left = groups;
                                while left >= STEPS {
                                    $(add_group!($load $splat $fma $group, acc rows stride b,
                                                 $step, $lanes * GROUP);)*
                                    rows = rows.wrapping_add(STEPS * GROUP);
                                    b = b.wrapping_add(STEPS * C * $lanes * GROUP);
                                    left -= STEPS;
                                }
                                while left > 0 {
                                    add_group!($load $splat $fma $group, acc rows stride b,
                                               0, $lanes * GROUP);
                                    rows = rows.wrapping_add(GROUP);
                                    b = b.wrapping_add(C * $lanes * GROUP);
                                    left -= 1;
                                }
                            }
                            let mut r = 0;
                            while r < R {
                                let mut c = 0;
                                while c < C {
                                    $store(out.wrapping_add((r * C + c) * $lanes), acc[r][c]);
                                    c += 1;
                                }
                                r += 1;
                            }
                        }
                    }
                    by_shape!(rows, registers, run(source, panel, sums, goes_on),
                              2: $($two)*, 3: $($three)*)
                }
            }
        };
    }

    /// Loads sixteen pairs.
    #[target_feature(enable = "avx512bf16,avx512f")]
    #[inline]
    unsafe fn load_pairs(pairs: *const bf16) -> __m512bh {
        // SAFETY: the caller promises 32 numbers; both types are 512 bits of anything.
        unsafe { std::mem::transmute(_mm512_loadu_epi32(pairs.cast())) }
    }

    /// Repeats a pair sixteen times.
    #[target_feature(enable = "avx512bf16,avx512f")]
    #[inline]
    fn splat_pair(pair: i32) -> __m512bh {
        // SAFETY: both types are 512 bits of anything.
        unsafe { std::mem::transmute(_mm512_set1_epi32(pair)) }
    }

    /// Adds the products of pairs to sums.
    #[target_feature(enable = "avx512bf16,avx512f")]
    #[inline]
    fn add_pairs(a: __m512bh, b: __m512bh, sums: __m512) -> __m512 {
        _mm512_dpbf16_ps(sums, a, b)
    }

    isa!(
        Avx2, f32, f32, "Registers of eight f32.", "avx2,fma", 8, 0 1 2 3,
        2: 1 2 3 4 5 6, 3: 1 2 3 4; 6, 4;
        _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
        _mm256_storeu_ps
    );
    isa!(
        Avx512, f32, f32, "Registers of sixteen f32.",
        "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma", 16, 0,
        2: 1 2 3 4 5 6 7 8 9 10 11 12, 3: 1 2 3 4 5 6 7 8; 12, 8;
        _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
        _mm512_storeu_ps
    );
    isa!(
        Avx512Bf16, bf16, i32, "Registers of sixteen pairs of bf16, summed in f32.",
        "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma", 16, 0,
        2: 1 2 3 4 5 6 7 8 9 10 11 12, 3: 1 2 3 4 5 6 7 8; 12, 8;
        load_pairs, splat_pair, _mm512_setzero_ps, add_pairs, _mm512_loadu_ps, _mm512_storeu_ps
    );
}
