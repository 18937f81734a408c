//! Norms, with what follows them in the same pass.

#[cfg(target_arch = "x86_64")]
use half::bf16;
use rayon::prelude::*;

use super::element::Element;
use super::elementwise::{Activation, widen_bf16};
#[cfg(target_arch = "x86_64")]
use super::level::Level;
use super::level::{per_level, per_level_for};
use super::linear::Input;
#[cfg(target_arch = "x86_64")]
use super::micro::Avx512Bf16;
#[cfg(target_arch = "x86_64")]
use super::registers::Registers;

/// Holds numbers per sequence, for rows of several sequences one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Modulation<'a> {
    /// `[sequences, stride]`.
    pub values: &'a [f32],
    /// Numbers per sequence.
    pub stride: usize,
    /// The sequence of every row.
    pub owners: &'a [u32],
}

impl<'a> Modulation<'a> {
    /// Returns the part with this index, `width` numbers, for a row.
    ///
    /// # Panics
    /// When the row or part is not there.
    #[inline(always)]
    pub fn part(&self, row: usize, part: usize, width: usize) -> &'a [f32] {
        &self.values[self.owners[row] as usize * self.stride + part * width..][..width]
    }
}

/// Rows per task: enough that a task costs more than its start.
const TASK_NUMBERS: usize = 16 * 1024;

/// Computes `rms(x) · (1 + scale) + shift` per row, `rms` dividing by the root mean square.
///
/// `x` and `out` are `[rows, width]`; shift and scale are parts of the modulation.
///
/// # Panics
/// When a slice is not as long as the shapes say.
pub fn modulate(
    x: &[f32],
    width: usize,
    modulation: Modulation<'_>,
    (shift, scale): (usize, usize),
    eps: f32,
    out: &mut [f32],
) {
    assert_eq!(x.len(), out.len(), "a norm keeps the shape");
    let rows = (TASK_NUMBERS / width).max(1);
    let run = |(task, (x, out)): (usize, (&[f32], &mut [f32]))| {
        for (r, (x, out)) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).enumerate() {
            let row = task * rows + r;
            let shift = modulation.part(row, shift, width);
            let scale = modulation.part(row, scale, width);
            rms_row(x, eps, scale, 1.0, Some(shift), out);
        }
    };
    let size = rows * width;
    x.par_chunks(size).zip(out.par_chunks_mut(size)).enumerate().for_each(run);
}

/// Computes `rms(x) · weight` per row of `width` numbers.
///
/// # Panics
/// When a slice is not as long as the shapes say.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "a norm keeps the shape");
    let width = weight.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        rms_row(x, eps, weight, 0.0, None, out);
    }
}

per_level! {
    /// Computes `x / sqrt(mean(x²) + eps) · (scale + plus) + shift` for one row.
    fn rms_row(
        x: &[f32],
        eps: f32,
        scale: &[f32],
        plus: f32,
        shift: Option<&[f32]>,
        out: &mut [f32],
    ) {
        let factor = rms_factor(x, eps);
        let row = out.iter_mut().zip(x).zip(scale);
        if let Some(shift) = shift {
            for (((out, x), scale), shift) in row.zip(shift) {
                *out = x * factor * (scale + plus) + shift;
            }
        } else {
            for ((out, x), scale) in row {
                *out = x * factor * (scale + plus);
            }
        }
    }
}

/// Returns `1 / sqrt(mean(x²) + eps)`.
#[inline(always)]
pub(crate) fn rms_factor(x: &[f32], eps: f32) -> f32 {
    1.0 / (sum(x, |x| x * x) / x.len() as f32 + eps).sqrt()
}

/// Holds what a norm multiplies and adds per image and channel, `[images, channels]` each.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelScales {
    /// Multiplied.
    pub scale: Vec<f32>,
    /// Then added.
    pub shift: Vec<f32>,
}

/// Holds the sizes and learnt numbers of a group norm.
#[derive(Debug, Clone, Copy)]
pub struct GroupNorm<'a> {
    /// Number of groups; it divides the channels.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
    /// `[channels]`.
    pub weight: &'a [f32],
    /// `[channels]`.
    pub bias: &'a [f32],
}

/// Holds the sums that a group norm follows from, of one picture or of parts of one.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelSums {
    /// Of the numbers, then of their squares: `[2, channels]`.
    totals: Vec<f64>,
    pixels: usize,
}

impl ChannelSums {
    /// Wraps sums of numbers and then of their squares, `[2, channels]`, over so many pixels.
    pub fn new(totals: Vec<f64>, pixels: usize) -> Self {
        Self { totals, pixels }
    }

    /// Adds the sums of another part with as many channels.
    pub fn add(&mut self, other: &Self) {
        self.pixels += other.pixels;
        self.totals.iter_mut().zip(&other.totals).for_each(|(sum, other)| *sum += other);
    }

    /// Returns what the group norm of the picture multiplies and adds.
    ///
    /// # Panics
    /// When the norm has other channels, or its groups do not divide them.
    pub fn scales(&self, norm: GroupNorm<'_>) -> ChannelScales {
        let channels = norm.weight.len();
        assert_eq!(self.totals.len(), 2 * channels, "there are sums of every channel");
        assert_eq!(norm.bias.len(), channels, "there is one bias per channel");
        assert!(
            norm.groups > 0 && channels.is_multiple_of(norm.groups),
            "the groups divide the channels"
        );
        let width = channels / norm.groups;
        let mut scales = ChannelScales { scale: vec![0.0; channels], shift: vec![0.0; channels] };
        for group in 0..norm.groups {
            let range = group * width..(group + 1) * width;
            let count = (width * self.pixels) as f64;
            let mean = self.totals[range.clone()].iter().sum::<f64>() / count;
            let square = self.totals[channels..][range.clone()].iter().sum::<f64>() / count;
            let factor = 1.0 / ((square - mean * mean).max(0.0) + f64::from(norm.eps)).sqrt();
            for channel in range {
                let scale = factor * f64::from(norm.weight[channel]);
                scales.scale[channel] = scale as f32;
                scales.shift[channel] = (f64::from(norm.bias[channel]) - mean * scale) as f32;
            }
        }
        scales
    }
}

/// Reads pictures `[images, pixels, channels]` once and returns the sums of each.
///
/// # Panics
/// When the slice is not as long as the shapes say.
pub fn channel_totals(x: Input<'_>, images: usize, channels: usize) -> Vec<ChannelSums> {
    let pixels = x.len() / (images * channels).max(1);
    assert_eq!(x.len(), images * pixels * channels, "a picture is as long as its shape says");
    // Sums of short runs in f32, of the runs in f64: as good as f64 throughout, at f32's pace.
    let per_image = pixels.div_ceil(NORM_PIXELS);
    let runs = (0..images * per_image).into_par_iter().map(|run| {
        let (image, at) = (run / per_image, run % per_image * NORM_PIXELS);
        let places = image * pixels + at..image * pixels + pixels.min(at + NORM_PIXELS);
        let range = places.start * channels..places.end * channels;
        let mut sums = vec![0f32; 2 * channels];
        match x {
            Input::F32(x) => channel_sums(&x[range], &mut sums),
            Input::Bf16(x) => {
                let mut wide = vec![0f32; range.len()];
                widen_bf16(&x[range], &mut wide);
                channel_sums(&wide, &mut sums);
            }
        }
        sums
    });
    let sums: Vec<Vec<f32>> = runs.collect();
    let of_image = |image: usize| {
        let mut totals = vec![0f64; 2 * channels];
        for sums in &sums[image * per_image..(image + 1) * per_image] {
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total += f64::from(*sum);
            }
        }
        ChannelSums { totals, pixels }
    };
    (0..images).map(of_image).collect()
}

/// Reads pictures `[images, pixels, channels]` once and returns what their group norm multiplies and
/// adds: `x · scale + shift` is the norm of `x`.
///
/// # Panics
/// When a slice is not as long as the shapes say, or the groups do not divide the channels.
pub fn group_norm(x: Input<'_>, images: usize, norm: GroupNorm<'_>) -> ChannelScales {
    let mut scales = ChannelScales { scale: Vec::new(), shift: Vec::new() };
    for sums in channel_totals(x, images, norm.weight.len()) {
        let of_image = sums.scales(norm);
        scales.scale.extend(of_image.scale);
        scales.shift.extend(of_image.shift);
    }
    scales
}

/// Pixels that are summed in f32.
const NORM_PIXELS: usize = 64;

per_level! {
    /// Sums numbers and their squares per channel: `[2, channels]`.
    fn channel_sums(x: &[f32], sums: &mut [f32]) {
        let channels = sums.len() / 2;
        let (sums, squares) = sums.split_at_mut(channels);
        for x in x.chunks_exact(channels) {
            for ((sum, square), x) in sums.iter_mut().zip(squares.iter_mut()).zip(x) {
                *sum += x;
                *square += x * x;
            }
        }
    }
}

/// Scales pictures `[images, pixels, channels]` per image and channel and applies a function.
///
/// # Panics
/// When a slice is not as long as the shapes say.
pub fn scale_channels<O: Element>(
    x: &[f32],
    images: usize,
    scales: &ChannelScales,
    activation: Activation,
    out: &mut [O],
) {
    assert_eq!(x.len(), out.len(), "a norm keeps the shape");
    let channels = scales.scale.len() / images.max(1);
    let image_len = x.len() / images.max(1);
    let size = NORM_PIXELS * channels;
    x.par_chunks(image_len.max(1)).zip(out.par_chunks_mut(image_len.max(1))).enumerate().for_each(
        |(image, (x, out))| {
            let scale = &scales.scale[image * channels..][..channels];
            let shift = &scales.shift[image * channels..][..channels];
            x.par_chunks(size).zip(out.par_chunks_mut(size)).for_each(|(x, out)| {
                let rows = x.chunks_exact(channels).zip(out.chunks_exact_mut(channels));
                rows.for_each(|(x, out)| scaled_row(x, scale, shift, activation, out));
            });
        },
    );
}

/// Computes `activation(x · scale + shift)` for the channels of one pixel.
pub(crate) fn scaled_row<O: Element>(
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    activation: Activation,
    out: &mut [O],
) {
    scaled_rows(x, scale, shift, activation, out);
}

/// Computes `activation(x · scale + shift)` for pixels one after the other.
pub(crate) fn scaled_rows<O: Element>(
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    activation: Activation,
    out: &mut [O],
) {
    #[cfg(target_arch = "x86_64")]
    if O::GROUP == 2 && Level::best() >= Level::Avx512Bf16 {
        // SAFETY: only bf16 stands in pairs, so `O` is bf16; the level's instructions are there.
        return unsafe {
            let out = std::slice::from_raw_parts_mut(out.as_mut_ptr().cast(), out.len());
            scaled_rows_bf16(x, scale, shift, activation, out);
        };
    }
    scaled_rows_of(x, scale, shift, activation, out);
}

/// Does so with the instructions of AVX-512 with bf16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
fn scaled_rows_bf16(
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    activation: Activation,
    out: &mut [bf16],
) {
    let channels = scale.len();
    let (scales, scale_rest) = scale.as_chunks::<16>();
    let (shifts, shift_rest) = shift.as_chunks::<16>();
    for (x, out) in x.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
        let (x, x_rest) = x.as_chunks::<16>();
        let (out, out_rest) = out.as_chunks_mut::<16>();
        for (((x, out), scale), shift) in x.iter().zip(out).zip(scales).zip(shifts) {
            let mut line: [f32; 16] = std::array::from_fn(|i| x[i].mul_add(scale[i], shift[i]));
            // SAFETY: this function may only be called where its features are.
            unsafe {
                Avx512Bf16::bend(activation, &mut line);
                Avx512Bf16::narrow(&line, out);
            }
        }
        if !x_rest.is_empty() {
            scaled_rows_of(x_rest, scale_rest, shift_rest, activation, out_rest);
        }
    }
}

per_level_for! {
    fn scaled_rows_of<O>(
        x: &[f32],
        scale: &[f32],
        shift: &[f32],
        activation: Activation,
        out: &mut [O],
    ) {
        // A piece at a time, so that the function runs over a buffer in the nearest cache.
        const PIECE: usize = 64;
        let channels = scale.len();
        for (x, out) in x.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            let pieces = x.chunks(PIECE).zip(out.chunks_mut(PIECE));
            for ((x, out), (scale, shift)) in
                pieces.zip(scale.chunks(PIECE).zip(shift.chunks(PIECE)))
            {
                let mut line = [0f32; PIECE];
                let line = &mut line[..x.len()];
                for (((line, x), scale), shift) in line.iter_mut().zip(x).zip(scale).zip(shift) {
                    *line = x * scale + shift;
                }
                activation.apply(line);
                for (out, line) in out.iter_mut().zip(line) {
                    *out = O::from_f32(*line);
                }
            }
        }
    }
}

/// Computes `(x - mean) / sqrt(variance + eps) · weight + bias` per row of `width` numbers.
///
/// # Panics
/// When a slice is not as long as the shapes say.
pub fn layer_norm<O: Element>(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [O]) {
    assert_eq!(x.len(), out.len(), "a norm keeps the shape");
    assert_eq!(weight.len(), bias.len(), "there is one bias per number");
    let width = weight.len();
    let size = (TASK_NUMBERS / width).max(1) * width;
    x.par_chunks(size)
        .zip(out.par_chunks_mut(size))
        .for_each(|(x, out)| layer_norm_rows(x, weight, bias, eps, out));
}

per_level_for! {
    fn layer_norm_rows<O>(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [O]) {
        let width = weight.len();
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let mean = sum(x, |x| x) / width as f32;
            let variance = sum(x, |x| (x - mean) * (x - mean)) / width as f32;
            let factor = 1.0 / (variance + eps).sqrt();
            for (((out, x), weight), bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                *out = O::from_f32((x - mean) * factor * weight + bias);
            }
        }
    }
}

/// Sums a function of numbers in an order that the length alone fixes.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    // Sixteen sums side by side, so that the compiler may vectorise.
    let mut sums = [0f32; 16];
    let chunks = x.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().map(|x| f(*x)).sum();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += f(*x);
        }
    }
    sums.iter().sum::<f32>() + rest
}
