//! Small filters and noise, the same bits everywhere.

use std::f64::consts::PI;

/// Holds a state variable filter with two integrators; low, band and high pass at once.
///
/// # Source
/// Andrew Simper: Solving the continuous SVF equations using trapezoidal integration and equivalent
/// currents (2013).
#[derive(Debug, Clone)]
pub(super) struct StateVariable {
    a1: f32,
    a2: f32,
    a3: f32,
    k: f32,
    first: f32,
    second: f32,
}

/// Holds the three outputs of a [`StateVariable`] filter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passes {
    pub low: f32,
    /// Unity gain at the centre.
    pub band: f32,
    pub high: f32,
}

impl StateVariable {
    /// Makes a filter with its cut-off or centre in Hz and its quality, above 0.
    pub fn new(cutoff_hz: f64, quality: f64, rate_hz: f64) -> Self {
        let g = libm::tan(PI * (cutoff_hz / rate_hz).clamp(1e-5, 0.49));
        let k = 1.0 / quality;
        let a1 = 1.0 / (1.0 + g * (g + k));
        let (a2, a3) = (g * a1, g * g * a1);
        Self { a1: a1 as f32, a2: a2 as f32, a3: a3 as f32, k: k as f32, first: 0.0, second: 0.0 }
    }

    /// Filters one sample.
    pub fn next(&mut self, input: f32) -> Passes {
        let v3 = input - self.second;
        let v1 = self.a1 * self.first + self.a2 * v3;
        let v2 = self.second + self.a2 * self.first + self.a3 * v3;
        self.first = 2.0 * v1 - self.first;
        self.second = 2.0 * v2 - self.second;
        let band = self.k * v1;
        Passes { low: v2, band, high: input - band - v2 }
    }
}

/// Gives white noise from a seed.
///
/// # Source
/// Marsaglia: Xorshift RNGs (Journal of Statistical Software, 2003), the 32-bit triple 13, 17, 5.
#[derive(Debug, Clone)]
pub(super) struct Noise(u32);

impl Noise {
    /// Starts the noise of a seed.
    pub fn new(seed: u32) -> Self {
        // Neighbouring seeds must not give similar noise, and 0 gives none.
        let mixed = (seed ^ 0x9E37_79B9).wrapping_mul(0x85EB_CA6B);
        Self((mixed ^ (mixed >> 13)).max(1))
    }

    /// Returns the next value, −1 to 1, evenly spread.
    pub fn next(&mut self) -> f32 {
        let mut x = self.0;
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.0 = x;
        (x as i32) as f32 * (1.0 / 2_147_483_648.0)
    }
}

/// Turns a pitch as a MIDI number into Hz; 69 is 440 Hz.
pub(super) fn pitch_hz(pitch: f64) -> f64 {
    440.0 * libm::exp2((pitch - 69.0) / 12.0)
}

/// Returns the factor of a level in decibels.
pub(super) fn gain(db: f64) -> f64 {
    libm::pow(10.0, db / 20.0)
}
