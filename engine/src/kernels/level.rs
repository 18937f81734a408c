//! Which instructions the processor has.

use std::sync::OnceLock;

/// Names the instruction set that the micro-kernels use; each level has all that stands above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Whatever the compiler may assume of every processor of the target; on 64-bit ARM that
    /// includes NEON.
    Portable,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// x86-64 with AVX-512 (F, BW, DQ, VL).
    Avx512,
    /// AVX-512 with VNNI: sums of products of 8-bit integers.
    Avx512Vnni,
    /// AVX-512 with BF16: sums of products of bf16 numbers in f32.
    Avx512Bf16,
    /// The same with AMX: blocks of bf16 numbers.
    AmxBf16,
}

/// The variable of the environment that holds the level down, for tests and comparisons.
pub const LEVEL_VARIABLE: &str = "ATELIER_ISA";

/// The level in use, once it has been asked for.
static BEST: OnceLock<Level> = OnceLock::new();

impl Level {
    /// Lists every level, the plainest first.
    pub const ALL: [Self; 6] = [
        Self::Portable,
        Self::Avx2,
        Self::Avx512,
        Self::Avx512Vnni,
        Self::Avx512Bf16,
        Self::AmxBf16,
    ];

    /// Returns the name used in `ATELIER_ISA` and on the command line.
    pub fn id(self) -> &'static str {
        match self {
            Self::Portable if cfg!(target_arch = "aarch64") => "neon",
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512_vnni",
            Self::Avx512Bf16 => "avx512_bf16",
            Self::AmxBf16 => "amx_bf16",
        }
    }

    /// Returns the level of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.id() == name)
    }

    /// Returns the best level that this processor has and `ATELIER_ISA` allows.
    ///
    /// A name in `ATELIER_ISA` that is none of [`Level::id`] allows all. The variable is read once.
    pub fn best() -> Self {
        *BEST.get_or_init(|| {
            let found = Self::detect();
            let name = std::env::var(LEVEL_VARIABLE).ok();
            name.and_then(|name| Self::named(&name)).map_or(found, |most| most.min(found))
        })
    }

    /// Holds [`Level::best`] down to `most`, as `ATELIER_ISA` does.
    ///
    /// Returns whether that is so now: it is not when the level was asked for before.
    pub fn hold(most: Self) -> bool {
        let held = most.min(Self::detect());
        *BEST.get_or_init(|| held) == held
    }

    /// Returns the best level that this processor has.
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            let vnni = avx512 && is_x86_feature_detected!("avx512vnni");
            let bf16 = vnni && is_x86_feature_detected!("avx512bf16");
            if bf16 && super::amx::may_use() {
                Self::AmxBf16
            } else if bf16 {
                Self::Avx512Bf16
            } else if vnni {
                Self::Avx512Vnni
            } else if avx512 {
                Self::Avx512
            } else if avx2 {
                Self::Avx2
            } else {
                Self::Portable
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self::Portable
    }

    /// Lists every level up to [`Level::best`], the portable one first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|level| *level <= Self::best()).collect()
    }

    /// Returns how many output columns one panel of packed f32 weights holds.
    pub(crate) fn panel_width(self) -> usize {
        if self >= Self::Avx512 { 32 } else { 16 }
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
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
                fn avx512($($arg: $ty),*) { body($($arg),*) }
                #[target_feature(enable = "avx2,fma,f16c")]
                fn avx2($($arg: $ty),*) { body($($arg),*) }
                let level = $crate::kernels::Level::best();
                if level >= $crate::kernels::Level::Avx512 {
                    // SAFETY: `Level::best` has found these features on this processor.
                    return unsafe { avx512($($arg),*) };
                }
                if level >= $crate::kernels::Level::Avx2 {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use per_level;

/// Defines a function over outputs of one type of element, as [`per_level`] does.
macro_rules! per_level_for {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$of:ident>($($arg:ident: $ty:ty),* $(,)?) $body:block)
    => {
        $(#[$meta])*
        $vis fn $name<$of: $crate::kernels::element::Element>($($arg: $ty),*) {
            #[inline(always)]
            fn body<$of: $crate::kernels::element::Element>($($arg: $ty),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
                fn avx512<$of: $crate::kernels::element::Element>($($arg: $ty),*) {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma,f16c")]
                fn avx2<$of: $crate::kernels::element::Element>($($arg: $ty),*) {
                    body($($arg),*)
                }
                let level = $crate::kernels::Level::best();
                if level >= $crate::kernels::Level::Avx512 {
                    // SAFETY: `Level::best` has found these features on this processor.
                    return unsafe { avx512($($arg),*) };
                }
                if level >= $crate::kernels::Level::Avx2 {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use per_level_for;
