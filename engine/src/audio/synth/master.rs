//! The last step: the piece as loud as others are, and never over the ceiling.

use crate::audio::loudness;
use crate::error::EngineError;
use crate::protocol::Pcm;

use super::filter::gain;

/// The loudness that is aimed at, in LUFS.
const TARGET_LUFS: f64 = -16.0;

/// The ceiling of peaks, in decibels below full scale.
const CEILING_DB: f64 = -1.0;

/// A lone soft note is not to be blown up: the most gain, in decibels.
const MOST_GAIN_DB: f64 = 15.0;

/// Gain moves in these steps, in decibels, so that the last bits of a system's logarithm have no part
/// in the samples.
const STEP_DB: f64 = 1.0 / 16.0;

/// How long before a peak the level begins to give way, in seconds.
const AHEAD_SECS: f64 = 0.004;

/// Interpolates at ¼, ½ and ¾ between samples, to see peaks that lie there: tap `k` is
/// `sinc(x)·cos²(πx/8)` for `x = k − 3 − t`, scaled to a sum of 1.
const BETWEEN: [[f32; 8]; 3] = [
    [-0.005_83, 0.040_19, -0.139_82, 0.890_23, 0.274_37, -0.076_73, 0.018_16, -0.000_58],
    [-0.003_45, 0.039_18, -0.146_26, 0.610_53, 0.610_53, -0.146_26, 0.039_18, -0.003_45],
    [-0.000_58, 0.018_16, -0.076_73, 0.274_37, 0.890_23, -0.139_82, 0.040_19, -0.005_83],
];

/// Makes a mix as loud as is usual and holds it under the ceiling.
pub(super) fn finish(mix: Vec<[f32; 2]>, sample_rate_hz: u32) -> Result<Pcm, EngineError> {
    let mut pcm = Pcm { sample_rate_hz, channels: 2, samples: mix.into_flattened() };
    let lufs = loudness::integrated_lufs(&pcm)?;
    let wanted_db = match lufs {
        Some(lufs) => TARGET_LUFS - lufs,
        None => CEILING_DB - 5.0 - peak_db(&pcm.samples),
    };
    let wanted_db = (wanted_db.min(MOST_GAIN_DB) / STEP_DB).round() * STEP_DB;
    let factor = gain(wanted_db) as f32;
    pcm.samples.iter_mut().for_each(|sample| *sample *= factor);
    limit(&mut pcm.samples, sample_rate_hz);
    Ok(pcm)
}

fn peak_db(samples: &[f32]) -> f64 {
    let peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    if peak > 1e-6 { 20.0 * libm::log10(f64::from(peak)) } else { 0.0 }
}

/// Turns interleaved stereo down round every peak above the ceiling, both channels alike: the least
/// gain of the frames ahead, smoothed over as many, is never above what a peak needs.
fn limit(samples: &mut [f32], sample_rate_hz: u32) {
    let ceiling = gain(CEILING_DB) as f32;
    let ahead = ((AHEAD_SECS * f64::from(sample_rate_hz)) as usize).max(1);
    let needed: Vec<f32> =
        peaks(samples).into_iter().map(|peak| (ceiling / peak.max(1e-9)).min(1.0)).collect();
    if needed.iter().all(|gain| *gain >= 1.0) {
        return;
    }
    let least = sliding_least(&needed, ahead);
    // A mean over `ahead + 1` values, each the least of those ahead of and behind it.
    let width = ahead + 1;
    let at = |n: Option<usize>| f64::from(n.and_then(|n| least.get(n)).copied().unwrap_or(1.0));
    let mut sum: f64 = (0..width).map(|n| at((n + width / 2).checked_sub(width))).sum();
    for n in 0..needed.len() {
        sum += at(Some(n + width / 2)) - at((n + width / 2).checked_sub(width));
        let level = (sum / width as f64) as f32;
        for sample in &mut samples[2 * n..2 * n + 2] {
            // Rounding alone could stand a hair above.
            *sample = (*sample * level.min(1.0)).clamp(-ceiling, ceiling);
        }
    }
}

/// Returns the largest magnitude of each frame: of both channels, also between this and the next.
fn peaks(samples: &[f32]) -> Vec<f32> {
    let frames = samples.len() / 2;
    let at = |n: isize, channel: usize| {
        usize::try_from(n).ok().and_then(|n| samples.get(2 * n + channel)).copied().unwrap_or(0.0)
    };
    let mut peaks = vec![0.0_f32; frames];
    for n in 0..frames {
        for channel in 0..2 {
            let here = samples[2 * n + channel].abs();
            peaks[n] = peaks[n].max(here);
            // Only between loud samples can a peak above the ceiling hide.
            if here < 0.6 {
                continue;
            }
            for taps in &BETWEEN {
                let hidden: f32 = taps
                    .iter()
                    .enumerate()
                    .map(|(k, tap)| tap * at(n as isize + k as isize - 3, channel))
                    .sum();
                peaks[n] = peaks[n].max(hidden.abs());
            }
        }
    }
    peaks
}

/// Returns the least of the values from `reach` before to `reach` after each.
fn sliding_least(values: &[f32], reach: usize) -> Vec<f32> {
    // The candidates in rising order of their values: the front is the least of the window.
    let mut window = std::collections::VecDeque::<usize>::new();
    let mut least = Vec::with_capacity(values.len());
    for n in 0..values.len() + reach {
        if let Some(value) = values.get(n) {
            while window.back().is_some_and(|last| values[*last] >= *value) {
                window.pop_back();
            }
            window.push_back(n);
        }
        if n >= reach {
            while window.front().is_some_and(|first| first + 2 * reach < n) {
                window.pop_front();
            }
            least.push(window.front().map_or(1.0, |first| values[*first]));
        }
    }
    least
}
