//! What frequencies a sound has over time, as a picture. For a worker: an hour takes a while.

use std::ops::Range;

use realfft::RealFftPlanner;

use crate::error::EngineError;
use crate::protocol::Pcm;

/// Says what a spectrogram shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpectrogramPlan {
    /// Columns, spread evenly over the sound, 1 to 16,384.
    pub columns: usize,
    /// Rows, 1 to 4,096; the first is the lowest.
    pub rows: usize,
    /// Samples of a window, a power of two from 256 to 32,768.
    pub window: usize,
    /// Whether each octave is as high, or each Hz.
    pub is_logarithmic: bool,
}

/// The lowest frequency of a logarithmic spectrogram, in Hz.
pub const LOWEST_HZ: f64 = 30.0;

/// What stands for silence, in decibels.
pub const FLOOR_DB: f32 = -120.0;

/// Holds levels over time and frequency.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrogram {
    /// How many columns there are.
    pub columns: usize,
    /// How many rows there are.
    pub rows: usize,
    /// `columns × rows` levels in decibels of a full-scale sine, column by column, lowest row first.
    pub levels_db: Vec<f32>,
}

/// Computes the spectrogram of a sound, its channels added up.
///
/// `report` is told `(done, total)` columns and ends the work by an error.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when the plan is out of its ranges; whatever `report` returns.
pub fn spectrogram(
    pcm: &Pcm,
    plan: SpectrogramPlan,
    report: &mut dyn FnMut(u32, u32) -> Result<(), EngineError>,
) -> Result<Spectrogram, EngineError> {
    spectrogram_of(pcm, 0..pcm.frames(), plan, report)
}

/// Computes the spectrogram of a stretch of frames, as [`spectrogram`] does of all: its columns are
/// spread evenly over the stretch, and their windows reach beyond its edges.
///
/// # Errors
/// As [`spectrogram`].
pub fn spectrogram_of(
    pcm: &Pcm,
    stretch: Range<usize>,
    plan: SpectrogramPlan,
    report: &mut dyn FnMut(u32, u32) -> Result<(), EngineError>,
) -> Result<Spectrogram, EngineError> {
    let SpectrogramPlan { columns, rows, window, is_logarithmic } = plan;
    let is_sane = (1..=16_384).contains(&columns)
        && (1..=4096).contains(&rows)
        && (256..=32_768).contains(&window)
        && window.is_power_of_two();
    if !is_sane {
        return Err(EngineError::invalid("spectrogram", "has a size that cannot be drawn"));
    }
    let channels = usize::from(pcm.channels.max(1));
    let frames = stretch.len();
    let fft = RealFftPlanner::<f32>::new().plan_fft_forward(window);
    let hann: Vec<f32> = (0..window)
        .map(|n| {
            let turn = std::f64::consts::TAU * n as f64 / window as f64;
            (0.5 - 0.5 * turn.cos()) as f32
        })
        .collect();
    // A full-scale sine at the middle of a bin gives a quarter of the window's length, per channel.
    let scale = 4.0 / (window as f32 * channels as f32);
    let bins = row_bins(rows, window, f64::from(pcm.sample_rate_hz), is_logarithmic);
    let (mut input, mut output) = (fft.make_input_vec(), fft.make_output_vec());
    let mut scratch = fft.make_scratch_vec();
    let mut levels_db = Vec::with_capacity(columns * rows);
    for column in 0..columns {
        if column % 64 == 0 {
            report(column as u32, columns as u32)?;
        }
        let middle = (column as f64 + 0.5) * frames as f64 / columns as f64;
        let middle = stretch.start + middle as usize;
        for (n, value) in input.iter_mut().enumerate() {
            let frame = (middle + n).checked_sub(window / 2);
            let samples = frame.and_then(|f| pcm.samples.get(f * channels..(f + 1) * channels));
            *value = samples.map_or(0.0, |samples| samples.iter().sum::<f32>()) * hann[n];
        }
        fft.process_with_scratch(&mut input, &mut output, &mut scratch)
            .map_err(|error| EngineError::invalid("spectrogram", format!("failed: {error}")))?;
        for &(from, to) in &bins {
            let power = output[from..to].iter().map(|bin| bin.norm_sqr()).fold(0.0, f32::max);
            let level = 10.0 * (power * scale * scale).max(1e-20).log10();
            levels_db.push(level.max(FLOOR_DB));
        }
    }
    report(columns as u32, columns as u32)?;
    Ok(Spectrogram { columns, rows, levels_db })
}

/// Returns the bins that each row shows, at least one.
fn row_bins(rows: usize, window: usize, rate_hz: f64, is_logarithmic: bool) -> Vec<(usize, usize)> {
    let (count, top_hz) = (window / 2 + 1, rate_hz / 2.0);
    let edge = |row: usize| {
        let part = row as f64 / rows as f64;
        let hz = match is_logarithmic {
            true => LOWEST_HZ * (top_hz / LOWEST_HZ).powf(part),
            false => top_hz * part,
        };
        ((hz / rate_hz * window as f64).round() as usize).min(count - 1)
    };
    (0..rows).map(|row| (edge(row), edge(row + 1).max(edge(row) + 1).min(count))).collect()
}
