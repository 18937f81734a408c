//! Which instructions the processor has.

/// Names the instruction set that the micro-kernels use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Whatever the compiler may assume of every processor of the target.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 (F, BW, DQ, VL) and FMA.
    Avx512,
}

impl Level {
    /// Returns the best level that this processor has.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if fma
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                return Self::Avx512;
            }
            if fma {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// Lists every level that this processor has, the portable one first.
    pub fn available() -> Vec<Self> {
        let all = [Self::Portable, Self::Avx2, Self::Avx512];
        let best = Self::best() as usize;
        all.into_iter().filter(|level| *level as usize <= best).collect()
    }

    /// Returns how many output columns one panel of packed weights holds.
    pub(crate) fn panel_width(self) -> usize {
        match self {
            Self::Portable | Self::Avx2 => 16,
            Self::Avx512 => 32,
        }
    }
}

/// Defines a function whose body is compiled once per level and chosen at run time.
macro_rules! per_level {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) {
            #[inline(always)]
            fn body($($arg: $ty),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($arg: $ty),*) { body($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) { body($($arg),*) }
                match $crate::kernels::Level::best() {
                    // SAFETY: `Level::best` has just found these features on this processor.
                    $crate::kernels::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::kernels::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::kernels::Level::Portable => {}
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use per_level;
