//! How loud a piece is.
//!
//! # Source
//! ITU-R BS.1770-4 and EBU R 128, as the crate `ebur128` computes them.

use ebur128::{EbuR128, Mode};

use crate::error::EngineError;
use crate::protocol::Pcm;

/// Holds how loud a piece is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loudness {
    /// Of the whole, in LUFS; `None` for silence and for pieces below 0.4 seconds.
    pub integrated_lufs: Option<f64>,
    /// How far soft and loud parts lie apart, in LU.
    pub range_lu: f64,
    /// The highest peak, also between samples, in decibels of full scale; `None` for silence.
    pub true_peak_db: Option<f64>,
}

/// Measures how loud a piece is.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when channels or sample rate are none that can be measured.
pub fn measure(pcm: &Pcm) -> Result<Loudness, EngineError> {
    measure_reporting(pcm, &mut || Ok(()))
}

/// Measures as [`measure`] does; `report` is asked once per second of sound, and ends the work by an
/// error.
///
/// # Errors
/// As [`measure`]; whatever `report` returns.
pub fn measure_reporting(
    pcm: &Pcm,
    report: &mut dyn FnMut() -> Result<(), EngineError>,
) -> Result<Loudness, EngineError> {
    let mode = Mode::I | Mode::LRA | Mode::TRUE_PEAK;
    let mut meter =
        EbuR128::new(u32::from(pcm.channels), pcm.sample_rate_hz, mode).map_err(refused)?;
    let channels = usize::from(pcm.channels.max(1));
    let whole = &pcm.samples[..pcm.frames() * channels];
    for second in whole.chunks((pcm.sample_rate_hz as usize).max(1) * channels) {
        report()?;
        meter.add_frames_f32(second).map_err(refused)?;
    }
    let mut peak = 0.0_f64;
    for channel in 0..u32::from(pcm.channels) {
        peak = peak.max(meter.true_peak(channel).map_err(refused)?);
    }
    Ok(Loudness {
        integrated_lufs: finite(meter.loudness_global().map_err(refused)?),
        range_lu: meter.loudness_range().map_err(refused)?.max(0.0),
        true_peak_db: finite(20.0 * peak.log10()),
    })
}

/// Measures the loudness of the whole only, in LUFS; `None` for silence and for pieces below 0.4
/// seconds.
///
/// # Errors
/// As [`measure`].
pub fn integrated_lufs(pcm: &Pcm) -> Result<Option<f64>, EngineError> {
    Ok(finite(meter(pcm, Mode::I)?.loudness_global().map_err(refused)?))
}

fn meter(pcm: &Pcm, mode: Mode) -> Result<EbuR128, EngineError> {
    let mut meter =
        EbuR128::new(u32::from(pcm.channels), pcm.sample_rate_hz, mode).map_err(refused)?;
    let frames = pcm.frames() * usize::from(pcm.channels);
    meter.add_frames_f32(&pcm.samples[..frames]).map_err(refused)?;
    Ok(meter)
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn refused(error: ebur128::Error) -> EngineError {
    EngineError::invalid("sound", format!("cannot be measured: {error}"))
}
