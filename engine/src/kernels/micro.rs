//! The innermost loops: a few rows of activations times one panel of weights.

/// Says where a tile's activations lie: row `r`, tap `t`, place `k` is at
/// `first + r · row_stride + taps[t] + k`.
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) first: usize,
    pub(crate) row_stride: usize,
    pub(crate) taps: &'a [usize],
    pub(crate) depth: usize,
}

impl Rows<'_> {
    /// Tells whether `rows` rows lie inside the values.
    pub(crate) fn fits(&self, rows: usize) -> bool {
        let far = self.taps.iter().max().copied().unwrap_or(0);
        let end = self.first + rows.saturating_sub(1) * self.row_stride + far + self.depth;
        end <= self.values.len()
    }
}

/// An instruction set's tile.
pub(crate) trait Isa {
    /// Columns of a panel.
    const WIDTH: usize;
    /// Most rows of a tile.
    const ROWS: usize;

    /// Writes `sums[r · WIDTH + c]`, the product of row `r` with the panel's column `c`.
    ///
    /// # Safety
    /// The processor must have the instruction set; `rows` must fit (see [`Rows::fits`]) and be
    /// 1..=ROWS; the panel must hold `taps · depth · WIDTH` numbers and `sums` `rows · WIDTH`.
    unsafe fn tile(source: &Rows<'_>, rows: usize, panel: &[f32], sums: &mut [f32]);
}

/// Calls `$function::<N>` with `N` equal to `$rows`.
macro_rules! by_rows {
    ($rows:expr, $function:ident($a:expr, $b:expr, $c:expr), $($n:literal)*) => {
        match $rows {
            // SAFETY: passed on from the caller, whose contract is the same.
            $($n => unsafe { $function::<$n>($a, $b, $c) },)*
            _ => unreachable!("a tile has 1 to ROWS rows"),
        }
    };
}

/// Plain Rust that the compiler may vectorise.
pub(crate) struct Portable;

impl Isa for Portable {
    const WIDTH: usize = 16;
    // Two rows of sixteen sums fill half of sixteen 128-bit registers; more would not stay in them.
    const ROWS: usize = if cfg!(target_arch = "aarch64") { 4 } else { 2 };

    #[inline(always)]
    unsafe fn tile(source: &Rows<'_>, rows: usize, panel: &[f32], sums: &mut [f32]) {
        #[inline]
        unsafe fn run<const R: usize>(source: &Rows<'_>, panel: &[f32], sums: &mut [f32]) {
            let mut acc = [[0f32; 16]; R];
            let depth = source.depth;
            for (tap, weights) in source.taps.iter().zip(panel.chunks_exact((16 * depth).max(1))) {
                let start = source.first + tap;
                let rows: [&[f32]; R] = std::array::from_fn(|r| {
                    &source.values[start + r * source.row_stride..][..depth]
                });
                for (k, weights) in weights.as_chunks::<16>().0.iter().enumerate() {
                    for (acc, row) in acc.iter_mut().zip(rows) {
                        let a = row[k];
                        for (acc, w) in acc.iter_mut().zip(weights) {
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
            sums[..R * 16].copy_from_slice(acc.as_flattened());
        }
        by_rows!(rows, run(source, panel, sums), 1 2 3 4)
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use super::{Isa, Rows};

    /// Defines an [`Isa`] whose panels are two registers wide.
    macro_rules! two_registers {
        ($name:ident, $doc:literal, $features:literal, $lanes:literal, $most:literal, [$($n:literal)*],
         $load:ident, $splat:ident, $zero:ident, $fma:ident, $store:ident) => {
            #[doc = $doc]
            pub(crate) struct $name;

            impl Isa for $name {
                const WIDTH: usize = 2 * $lanes;
                const ROWS: usize = $most;

                #[inline(always)]
                unsafe fn tile(source: &Rows<'_>, rows: usize, panel: &[f32], sums: &mut [f32]) {
                    #[target_feature(enable = $features)]
                    #[inline]
                    unsafe fn run<const R: usize>(
                        source: &Rows<'_>,
                        panel: &[f32],
                        sums: &mut [f32],
                    ) {
                        debug_assert!(source.fits(R) && sums.len() >= R * 2 * $lanes);
                        debug_assert!(
                            panel.len() >= source.taps.len() * source.depth * 2 * $lanes
                        );
                        let stride = source.row_stride;
                        let mut acc = [[$zero(); 2]; R];
                        let mut b = panel.as_ptr();
                        // SAFETY: the caller promises that all R rows with every tap, and a panel
                        // of `taps · depth` lines, lie inside their slices.
                        unsafe {
                            let base = source.values.as_ptr().add(source.first);
                            for &tap in source.taps {
                                let mut a = base.add(tap);
                                for _ in 0..source.depth {
                                    let (low, high) = ($load(b), $load(b.add($lanes)));
                                    for (r, acc) in acc.iter_mut().enumerate() {
                                        let value = $splat(*a.add(r * stride));
                                        acc[0] = $fma(value, low, acc[0]);
                                        acc[1] = $fma(value, high, acc[1]);
                                    }
                                    a = a.add(1);
                                    b = b.add(2 * $lanes);
                                }
                            }
                            let out = sums.as_mut_ptr();
                            for (r, acc) in acc.iter().enumerate() {
                                $store(out.add(r * 2 * $lanes), acc[0]);
                                $store(out.add(r * 2 * $lanes + $lanes), acc[1]);
                            }
                        }
                    }
                    by_rows!(rows, run(source, panel, sums), $($n)*)
                }
            }
        };
    }

    two_registers!(
        Avx2, "Panels of 16 columns in two 256-bit registers.", "avx2,fma", 8, 6, [1 2 3 4 5 6],
        _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_fmadd_ps, _mm256_storeu_ps
    );
    two_registers!(
        Avx512, "Panels of 32 columns in two 512-bit registers.",
        "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma", 16, 12, [1 2 3 4 5 6 7 8 9 10 11 12],
        _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_fmadd_ps, _mm512_storeu_ps
    );
}
