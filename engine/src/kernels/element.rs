//! The numbers that products read.

use half::bf16;

/// Is a number that products read: f32, or bf16 in pairs.
pub trait Element: Copy + Default + Send + Sync + 'static {
    /// How many numbers of one row and column are multiplied at once; depths are filled up to a
    /// multiple of it.
    const GROUP: usize;

    /// Rounds to the nearest number, ties to even.
    fn from_f32(value: f32) -> Self;

    /// Widens.
    fn to_f32(self) -> f32;
}

impl Element for f32 {
    const GROUP: usize = 1;

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

impl Element for bf16 {
    const GROUP: usize = 2;

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        // Written so that a loop over it becomes vectors; NaN would be carried into infinity.
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
        let nan = bits >> 16 | 0x40;
        Self::from_bits(if bits & 0x7fff_ffff > 0x7f80_0000 { nan } else { rounded } as u16)
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}
