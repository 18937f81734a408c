//! What is done to numbers between tiles, a register at a time.

use super::element::Element;
use super::elementwise::{Activation, exp2};
use super::micro::Portable;

/// An instruction set's registers, for loops that the compiler does not always turn into vectors.
pub(crate) trait Registers<T: Element> {
    /// Numbers of a register.
    const LANES: usize;

    /// Adds numbers to a line of as many.
    ///
    /// # Safety
    /// The processor must have the instruction set.
    #[inline(always)]
    unsafe fn add(line: &mut [f32], numbers: &[f32]) {
        for (line, number) in line.iter_mut().zip(numbers) {
            *line += number;
        }
    }

    /// Multiplies a register with numbers.
    ///
    /// # Safety
    /// The processor must have the instruction set.
    #[inline(always)]
    unsafe fn multiply<const L: usize>(line: &mut [f32; L], factors: &[f32; L]) {
        for (line, factor) in line.iter_mut().zip(factors) {
            *line *= factor;
        }
    }

    /// Applies a function to a line of numbers.
    ///
    /// # Safety
    /// The processor must have the instruction set.
    #[inline(always)]
    unsafe fn bend(activation: Activation, line: &mut [f32]) {
        activation.apply(line);
    }

    /// Raises numbers to those of a register.
    ///
    /// # Safety
    /// The processor must have the instruction set.
    #[inline(always)]
    unsafe fn raise<const L: usize>(x: &[f32; L], most: &mut [f32; L]) {
        for (most, x) in most.iter_mut().zip(x) {
            *most = if *x > *most { *x } else { *most };
        }
    }

    /// Computes `2^(x · scale - now)` of a register and adds it to the totals.
    ///
    /// # Safety
    /// The processor must have the instruction set.
    #[inline(always)]
    unsafe fn powers<const L: usize>(
        x: &[f32; L],
        scale: f32,
        now: &[f32; L],
        totals: &mut [f32; L],
        out: &mut [f32; L],
    ) {
        for (((out, x), now), total) in out.iter_mut().zip(x).zip(now).zip(totals) {
            *out = exp2(x * scale - now, T::GROUP == 2);
            *total += *out;
        }
    }

    /// Rounds the numbers of two rows and lays them side by side, pair by pair.
    ///
    /// # Safety
    /// The processor must have the instruction set.
    #[inline(always)]
    unsafe fn weave(first: &[f32], second: &[f32], out: &mut [T]) {
        for (out, (first, second)) in out.chunks_exact_mut(2).zip(first.iter().zip(second)) {
            out[0] = T::from_f32(*first);
            out[1] = T::from_f32(*second);
        }
    }

    /// Rounds sixteen numbers.
    ///
    /// # Safety
    /// The processor must have the instruction set.
    #[inline(always)]
    unsafe fn narrow(values: &[f32; 16], out: &mut [T; 16]) {
        for (out, value) in out.iter_mut().zip(values) {
            *out = T::from_f32(*value);
        }
    }
}

impl Registers<f32> for Portable {
    const LANES: usize = 8;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_cvtneps_pbh, _mm512_loadu_epi16,
        _mm512_loadu_ps, _mm512_permutexvar_epi16,
    };

    use half::bf16;

    use super::{Activation, Registers};
    use crate::kernels::micro::{Avx2, Avx512, Avx512Bf16};

    /// Defines a function that puts a register's numbers and others together, in its place.
    macro_rules! in_place {
        ($doc:literal, $name:ident, $operation:ident, $lanes:literal, $features:literal,
         $load:ident, $store:ident) => {
            #[doc = $doc]
            #[target_feature(enable = $features)]
            #[inline]
            pub(super) fn $name(line: &mut [f32; $lanes], numbers: &[f32; $lanes]) {
                // SAFETY: both arrays fill a register.
                unsafe {
                    let made = $operation($load(numbers.as_ptr()), $load(line.as_ptr()));
                    $store(line.as_mut_ptr(), made);
                }
            }
        };
    }

    /// Defines a module of functions over registers of so many numbers, by their intrinsics.
    macro_rules! functions {
        ($module:ident, $lanes:literal, $features:literal;
         $load:ident, $store:ident, $splat:ident, $add:ident, $subtract:ident, $multiply:ident,
         $largest:ident, $multiply_add:ident, $multiply_subtract:ident,
         $bits:ident, $number:ident, $shift:ident, $add_bits:ident) => {
            mod $module {
                use std::arch::x86_64::{
                    $add, $add_bits, $bits, $largest, $load, $multiply, $multiply_add,
                    $multiply_subtract, $number, $shift, $splat, $store, $subtract,
                };

                use crate::kernels::elementwise::{EXP2_COARSE, EXP2_FINE, EXP2_ROUND};

                in_place!(
                    "Adds numbers to a register.",
                    add,
                    $add,
                    $lanes,
                    $features,
                    $load,
                    $store
                );
                in_place!(
                    "Multiplies a register with numbers.",
                    multiply,
                    $multiply,
                    $lanes,
                    $features,
                    $load,
                    $store
                );
                in_place!(
                    "Raises a register to numbers.",
                    raise,
                    $largest,
                    $lanes,
                    $features,
                    $load,
                    $store
                );

                /// Computes `2^(x · scale - now)` of a register and adds it to the totals; see
                /// [`crate::kernels::elementwise::exp2`] for the way.
                #[target_feature(enable = $features)]
                #[inline]
                pub(super) fn powers<const IS_COARSE: bool>(
                    x: &[f32; $lanes],
                    scale: f32,
                    now: &[f32; $lanes],
                    totals: &mut [f32; $lanes],
                    out: &mut [f32; $lanes],
                ) {
                    // SAFETY: all arrays fill a register.
                    unsafe {
                        let now = $load(now.as_ptr());
                        let x = $multiply_subtract($load(x.as_ptr()), $splat(scale), now);
                        let x = $largest(x, $splat(-126.0));
                        let round = $splat(EXP2_ROUND);
                        let shifted = $add(x, round);
                        let r = $subtract(x, $subtract(shifted, round));
                        let factors: &[f32] = if IS_COARSE { &EXP2_COARSE } else { &EXP2_FINE };
                        let mut p = $splat(factors[0]);
                        for factor in &factors[1..] {
                            p = $multiply_add(p, r, $splat(*factor));
                        }
                        let exponent = $shift::<23>($bits(shifted));
                        let y = $number($add_bits($bits(p), exponent));
                        $store(out.as_mut_ptr(), y);
                        $store(totals.as_mut_ptr(), $add($load(totals.as_ptr()), y));
                    }
                }
            }
        };
    }

    functions!(
        eight, 8, "avx2,fma";
        _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_add_ps, _mm256_sub_ps,
        _mm256_mul_ps, _mm256_max_ps, _mm256_fmadd_ps, _mm256_fmsub_ps,
        _mm256_castps_si256, _mm256_castsi256_ps, _mm256_slli_epi32, _mm256_add_epi32
    );
    functions!(
        sixteen, 16, "avx512f";
        _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_add_ps, _mm512_sub_ps,
        _mm512_mul_ps, _mm512_max_ps, _mm512_fmadd_ps, _mm512_fmsub_ps,
        _mm512_castps_si512, _mm512_castsi512_ps, _mm512_slli_epi32, _mm512_add_epi32
    );

    /// Functions with instructions of AVX-512 in place of divisions and of products that are then
    /// added to.
    mod bent {
        use std::arch::x86_64::{
            __m512, _CMP_LT_OQ, _mm512_abs_ps, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_fmadd_ps,
            _mm512_fnmadd_ps, _mm512_loadu_ps, _mm512_mask_sub_ps, _mm512_max_ps, _mm512_min_ps,
            _mm512_mul_ps, _mm512_rcp14_ps, _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_ps,
            _mm512_storeu_ps, _mm512_sub_ps,
        };
        use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

        use crate::kernels::elementwise::{Activation, ERF, ERF_NEAR, EXP2_FINE};

        /// Applies a function to a line, sixteen numbers at a time where there is a way of its own.
        ///
        /// # Safety
        /// The processor must have AVX-512.
        #[inline(always)]
        pub(super) unsafe fn bend(activation: Activation, line: &mut [f32]) {
            let (lines, rest) = line.as_chunks_mut::<16>();
            match activation {
                // Plain loops: a closure would not be compiled for these instructions.
                Activation::Silu => {
                    for line in lines {
                        // SAFETY: passed on from the caller.
                        unsafe { silu(line) };
                    }
                }
                Activation::Gelu => {
                    for line in lines {
                        // SAFETY: as above.
                        unsafe { gelu(line) };
                    }
                }
                _ => activation.apply(lines.as_flattened_mut()),
            }
            activation.apply(rest);
        }

        /// Computes [`crate::kernels::silu`] of sixteen numbers.
        #[target_feature(enable = "avx512f")]
        #[inline]
        fn silu(line: &mut [f32; 16]) {
            // SAFETY: the array fills a register.
            let x = unsafe { _mm512_loadu_ps(line.as_ptr()) };
            let power = exp2(_mm512_mul_ps(x, _mm512_set1_ps(-LOG2_E)));
            let y = _mm512_mul_ps(x, inverse(_mm512_add_ps(power, _mm512_set1_ps(1.0))));
            // SAFETY: as above.
            unsafe { _mm512_storeu_ps(line.as_mut_ptr(), y) };
        }

        /// Computes `crate::kernels::elementwise::gelu` of sixteen numbers.
        #[target_feature(enable = "avx512f")]
        #[inline]
        fn gelu(line: &mut [f32; 16]) {
            // SAFETY: the array fills a register.
            let x = unsafe { _mm512_loadu_ps(line.as_ptr()) };
            let z = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(FRAC_1_SQRT_2));
            let t = _mm512_fmadd_ps(z, _mm512_set1_ps(ERF_NEAR), _mm512_set1_ps(1.0));
            let t = inverse(t);
            let mut p = _mm512_set1_ps(ERF[0]);
            for factor in &ERF[1..] {
                p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(*factor));
            }
            let power = exp2(_mm512_mul_ps(_mm512_mul_ps(z, z), _mm512_set1_ps(-LOG2_E)));
            let p = _mm512_mul_ps(_mm512_mul_ps(p, t), _mm512_set1_ps(0.5));
            let tail = _mm512_mul_ps(_mm512_mul_ps(p, power), x);
            let below = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_set1_ps(0.0));
            // What lies above 0 is the rest to x.
            let y = _mm512_mask_sub_ps(tail, !below, x, tail);
            // SAFETY: as above.
            unsafe { _mm512_storeu_ps(line.as_mut_ptr(), y) };
        }

        /// Returns 2^x, to 2e-7; beyond ±126 that of ±126. NaN stays NaN.
        #[target_feature(enable = "avx512f")]
        #[inline]
        fn exp2(x: __m512) -> __m512 {
            // Of two numbers one of which is NaN, these return the second.
            let x = _mm512_min_ps(_mm512_set1_ps(126.0), x);
            let x = _mm512_max_ps(_mm512_set1_ps(-126.0), x);
            let whole = _mm512_roundscale_ps::<0>(x);
            let r = _mm512_sub_ps(x, whole);
            let mut p = _mm512_set1_ps(EXP2_FINE[0]);
            for factor in &EXP2_FINE[1..] {
                p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(*factor));
            }
            _mm512_scalef_ps(p, whole)
        }

        /// Returns 1 / x for x from 1 to 2^126: fourteen bits, then as many again by a step of Newton's.
        #[target_feature(enable = "avx512f")]
        #[inline]
        fn inverse(x: __m512) -> __m512 {
            let y = _mm512_rcp14_ps(x);
            _mm512_mul_ps(y, _mm512_fnmadd_ps(x, y, _mm512_set1_ps(2.0)))
        }
    }

    /// Takes an array of any length as one of the register's.
    #[inline(always)]
    fn whole<const L: usize, const LANES: usize>(numbers: &[f32; L]) -> &[f32; LANES] {
        let Some(numbers) = numbers.first_chunk() else { unreachable!("{}", WRONG_LANES) };
        numbers
    }

    /// Takes an array of any length as one of the register's.
    #[inline(always)]
    fn whole_mut<const L: usize, const LANES: usize>(numbers: &mut [f32; L]) -> &mut [f32; LANES] {
        let Some(numbers) = numbers.first_chunk_mut() else { unreachable!("{}", WRONG_LANES) };
        numbers
    }

    const WRONG_LANES: &str = "registers are as long as the level's";

    /// Implements [`Registers`] by a module of [`functions!`].
    macro_rules! registers {
        ($isa:ty, $element:ty, $lanes:literal, $module:ident, $is_coarse:literal; $($more:item)*) => {
            impl Registers<$element> for $isa {
                const LANES: usize = $lanes;

                #[inline(always)]
                unsafe fn add(line: &mut [f32], numbers: &[f32]) {
                    let (lines, line) = line.as_chunks_mut::<$lanes>();
                    let (numbers, rest) = numbers.as_chunks::<$lanes>();
                    for (line, numbers) in lines.iter_mut().zip(numbers) {
                        // SAFETY: the caller promises the instructions.
                        unsafe { $module::add(line, numbers) };
                    }
                    for (line, number) in line.iter_mut().zip(rest) {
                        *line += number;
                    }
                }

                #[inline(always)]
                unsafe fn multiply<const L: usize>(line: &mut [f32; L], factors: &[f32; L]) {
                    // SAFETY: the caller promises the instructions.
                    unsafe { $module::multiply(whole_mut(line), whole(factors)) };
                }

                #[inline(always)]
                unsafe fn raise<const L: usize>(x: &[f32; L], most: &mut [f32; L]) {
                    // SAFETY: the caller promises the instructions.
                    unsafe { $module::raise(whole_mut(most), whole(x)) };
                }

                #[inline(always)]
                unsafe fn powers<const L: usize>(
                    x: &[f32; L],
                    scale: f32,
                    now: &[f32; L],
                    totals: &mut [f32; L],
                    out: &mut [f32; L],
                ) {
                    let (totals, out) = (whole_mut(totals), whole_mut(out));
                    // SAFETY: the caller promises the instructions.
                    unsafe {
                        $module::powers::<$is_coarse>(whole(x), scale, whole(now), totals, out);
                    }
                }

                $($more)*
            }
        };
    }

    registers!(Avx2, f32, 8, eight, false;);
    registers!(
        Avx512, f32, 16, sixteen, false;

        #[inline(always)]
        unsafe fn bend(activation: Activation, line: &mut [f32]) {
            // SAFETY: passed on from the caller.
            unsafe { bent::bend(activation, line) };
        }
    );
    registers!(
        Avx512Bf16, bf16, 16, sixteen, true;

        #[inline(always)]
        unsafe fn bend(activation: Activation, line: &mut [f32]) {
            // SAFETY: passed on from the caller.
            unsafe { bent::bend(activation, line) };
        }

        #[inline(always)]
        unsafe fn weave(first: &[f32], second: &[f32], out: &mut [bf16]) {
            /// Numbers of the first row and of the second in turn.
            static TURNS: [u16; 32] = {
                let mut turns = [0; 32];
                let mut i = 0;
                while i < 32 {
                    turns[i] = (i / 2 + i % 2 * 16) as u16;
                    i += 1;
                }
                turns
            };
            #[target_feature(enable = "avx512bf16,avx512bw,avx512f")]
            #[inline]
            fn run(first: &[f32; 16], second: &[f32; 16], out: &mut [bf16; 32]) {
                // SAFETY: all arrays are as long as the registers, and bf16 may be any bits.
                unsafe {
                    let (first, second) =
                        (_mm512_loadu_ps(first.as_ptr()), _mm512_loadu_ps(second.as_ptr()));
                    let both: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(second, first));
                    let turns = _mm512_loadu_epi16(TURNS.as_ptr().cast());
                    let woven = _mm512_permutexvar_epi16(turns, both);
                    *out = std::mem::transmute::<__m512i, [bf16; 32]>(woven);
                }
            }
            let (Ok(first), Ok(second), Ok(out)) =
                (first.try_into(), second.try_into(), out.try_into())
            else {
                unreachable!("registers of this level hold sixteen numbers");
            };
            // SAFETY: the caller promises the instructions.
            unsafe { run(first, second, out) }
        }

        #[inline(always)]
        unsafe fn narrow(values: &[f32; 16], out: &mut [bf16; 16]) {
            #[target_feature(enable = "avx512bf16,avx512f")]
            #[inline]
            fn run(values: &[f32; 16], out: &mut [bf16; 16]) {
                // SAFETY: both arrays are as long as the registers, and bf16 may be any bits.
                unsafe {
                    let narrow = _mm512_cvtneps_pbh(_mm512_loadu_ps(values.as_ptr()));
                    *out = std::mem::transmute::<__m256bh, [bf16; 16]>(narrow);
                }
            }
            // SAFETY: the caller promises the instructions.
            unsafe { run(values, out) }
        }
    );
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use half::bf16;

    use super::Registers;
    use crate::kernels::elementwise::Activation;
    use crate::kernels::level::Level;
    use crate::kernels::micro::{Avx512, Avx512Bf16};

    #[test]
    fn functions_of_a_register_are_those_of_one_number() {
        if Level::best() < Level::Avx512 {
            println!("skipped: the processor has no AVX-512");
            return;
        }
        let special = [0.0, -0.0, 1e-30, -1e-30, 87.5, -87.5, 200.0, -200.0, 1e30, -1e30];
        let values: Vec<f32> = (-4000..4000).map(|i| i as f32 * 0.004_321).chain(special).collect();
        for activation in [Activation::Silu, Activation::Gelu, Activation::Relu] {
            let mut expected = values.clone();
            activation.apply(&mut expected);
            let (mut found, mut paired) = (values.clone(), values.clone());
            // SAFETY: the processor has the instructions, as was just asked; those for pairs of bf16
            // are not used.
            unsafe {
                <Avx512 as Registers<f32>>::bend(activation, &mut found);
                <Avx512Bf16 as Registers<bf16>>::bend(activation, &mut paired);
            }
            assert_eq!(found, paired);
            for ((x, expected), found) in values.iter().zip(expected).zip(found) {
                let far = (expected - found).abs();
                assert!(
                    far <= 4e-7 * expected.abs().max(1.0).min(x.abs().max(1e-3)),
                    "{activation:?} of {x}: {found}, not {expected}"
                );
            }
        }
        let mut nothing = [f32::NAN; 17];
        // SAFETY: as above.
        unsafe { <Avx512 as Registers<f32>>::bend(Activation::Silu, &mut nothing) };
        assert!(nothing.iter().all(|x| x.is_nan()));
    }
}
