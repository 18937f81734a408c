//! Pictures of one size → pictures of another.

use crate::math::lanczos::lanczos3;

/// Holds which samples make one of the result, and how much of each.
pub(super) struct Taps {
    pub(super) first: usize,
    pub(super) weights: Vec<f32>,
}

/// Lanczos's window in samples, each way.
const REACH: f64 = 3.0;

/// Returns what `count` samples are made of, that lie evenly over the stretch of `length` samples
/// from `from` on, out of `size` samples. Sampled down, each is the mean over a window as wide as it
/// is; samples on samples are those themselves.
///
/// # Source
/// Duchon, Lanczos filtering in one and two dimensions; widened for sampling down as in Pillow.
pub(super) fn taps(size: usize, from: f64, length: f64, count: usize) -> Vec<Taps> {
    let scale = length / count as f64;
    let wide = scale.max(1.0);
    let last = size.saturating_sub(1);
    (0..count)
        .map(|at| {
            let centre = from + (at as f64 + 0.5) * scale - 0.5;
            let nearest = centre.round().clamp(0.0, last as f64);
            if scale == 1.0 && (centre - nearest).abs() < 1e-9 {
                return Taps { first: nearest as usize, weights: vec![1.0] };
            }
            let first = ((centre - REACH * wide).ceil().max(0.0) as usize).min(last);
            let end = ((centre + REACH * wide).floor().max(0.0) as usize).clamp(first, last);
            let weigh = |sample: usize| lanczos3((sample as f64 - centre) / wide);
            let mut weights: Vec<f64> = (first..=end).map(weigh).collect();
            let sum: f64 = weights.iter().sum();
            if sum.abs() < 1e-6 {
                let even = 1.0 / weights.len() as f64;
                weights.fill(even);
            } else {
                weights.iter_mut().for_each(|weight| *weight /= sum);
            }
            Taps { first, weights: weights.into_iter().map(|weight| weight as f32).collect() }
        })
        .collect()
}

/// Resamples a row of `N` numbers a sample.
pub(super) fn along<const N: usize>(row: &[[f32; N]], taps: &[Taps], out: &mut [[f32; N]]) {
    for (out, taps) in out.iter_mut().zip(taps) {
        let mut sum = [0.0; N];
        for (weight, sample) in taps.weights.iter().zip(&row[taps.first..]) {
            sum.iter_mut().zip(sample).for_each(|(sum, value)| *sum += weight * value);
        }
        *out = sum;
    }
}

/// Adds a row, `weight` of it, to another.
pub(super) fn add<const N: usize>(to: &mut [[f32; N]], row: &[[f32; N]], weight: f32) {
    for (to, from) in to.iter_mut().zip(row) {
        to.iter_mut().zip(from).for_each(|(to, value)| *to += weight * value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_size_is_the_same_samples_and_a_level_row_stays_level() {
        let row: Vec<[f32; 1]> = (0..9).map(|at| [(at * at) as f32]).collect();
        let mut out = vec![[0.0]; 4];
        along(&row, &taps(9, 3.0, 4.0, 4), &mut out);
        assert_eq!(out, row[3..7]);
        for (from, length, count) in
            [(0.0, 9.0, 3), (0.0, 9.0, 40), (1.5, 4.25, 7), (-3.0, 15.0, 5)]
        {
            let mut out = vec![[0.0]; count];
            along(&[[7.0]; 9], &taps(9, from, length, count), &mut out);
            assert!(out.iter().all(|[value]| (value - 7.0).abs() < 1e-4), "{out:?}");
        }
    }

    #[test]
    fn a_slope_stays_a_slope_when_it_is_enlarged() {
        let row: Vec<[f32; 1]> = (0..32).map(|at| [at as f32]).collect();
        let mut out = vec![[0.0]; 20];
        along(&row, &taps(32, 10.0, 10.0, 20), &mut out);
        for (at, [value]) in out.iter().enumerate() {
            let wanted = 10.0 + (at as f32 + 0.5) / 2.0 - 0.5;
            assert!((value - wanted).abs() < 0.05, "{at}: {value} {wanted}");
        }
    }
}
