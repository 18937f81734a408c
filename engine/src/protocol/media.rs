//! What jobs make, as plain data.

use std::fmt;

/// Holds a picture: 8-bit sRGB with straight alpha, rows from the top.
#[derive(Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Width in pixels, at least 1.
    pub width_px: u32,
    /// Height in pixels, at least 1.
    pub height_px: u32,
    /// `width_px × height_px × 4` bytes, red, green, blue, alpha.
    pub rgba: Vec<u8>,
}

impl Pixels {
    /// Makes a picture from its bytes; `None` when their number does not fit the size.
    pub fn new(width_px: u32, height_px: u32, rgba: Vec<u8>) -> Option<Self> {
        let expected = u64::from(width_px) * u64::from(height_px) * 4;
        (width_px > 0 && height_px > 0 && rgba.len() as u64 == expected).then_some(Self {
            width_px,
            height_px,
            rgba,
        })
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pixels({}×{})", self.width_px, self.height_px)
    }
}

/// Holds latents before decoding, for comparison with other implementations.
#[derive(Debug, Clone, PartialEq)]
pub struct Latents {
    /// `[batch, channels, height, width]`.
    pub shape: [usize; 4],
    /// Row-major values.
    pub values: Vec<f32>,
}
