//! 3×3 convolutions with what stands before and behind them.

use rayon::prelude::*;

use super::elementwise::silu;
use super::level::per_level;
use super::panels::Panels;
use super::product::{Source, Sums, product};

/// Says what is done to a picture before it is convolved.
#[derive(Debug, Clone, Copy)]
pub enum Prologue {
    /// Nothing.
    Nothing,
    /// SiLU.
    Silu,
}

/// Holds the sizes of a convolution's input, `[images, height, width, channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Number of images.
    pub images: usize,
    /// Rows of an image.
    pub height: usize,
    /// Places of a row.
    pub width: usize,
    /// Numbers of a place.
    pub channels: usize,
}

impl ConvShape {
    fn len(&self) -> usize {
        self.images * self.height * self.width * self.channels
    }
}

/// Says how a convolution's output is laid out.
#[derive(Debug, Clone, Copy)]
pub enum ConvOutput<'a> {
    /// `[images, height, width, outputs]`, with this picture of the same shape added.
    Plain(Option<&'a [f32]>),
    /// `[images, 2·height, 2·width, outputs / 4]`: the outputs, ordered (row, column, channel), are
    /// dealt out to the four places of a cell.
    Shuffled,
}

/// Convolves with 3×3 taps and a border of zeros: `out = conv(before(x)) + bias (+ residual)`.
///
/// The panels have nine taps, rows of the kernel first.
///
/// # Panics
/// When a slice is not as long as the shapes say.
pub fn conv3x3(
    x: &[f32],
    shape: ConvShape,
    before: Prologue,
    panels: &Panels,
    bias: &[f32],
    output: ConvOutput<'_>,
    out: &mut [f32],
) {
    let ConvShape { images, height, width, channels } = shape;
    assert_eq!(channels, panels.depth(), "the picture has the channels that the weights read");
    assert_eq!(bias.len(), panels.outputs(), "there is one bias per output");
    let padded = pad(x, shape, before);
    let line = (width + 2) * channels;
    let taps: Vec<usize> = (0..9).map(|tap| tap / 3 * line + tap % 3 * channels).collect();
    let source = Source {
        values: &padded,
        rows: images * height * width,
        group_rows: width,
        // The corner of a row's first window is the border's corner, one up and one to the left.
        group_start: |row: usize| (row / height * (height + 2) + row % height) * line,
        row_stride: channels,
        taps: &taps,
    };
    let outputs = panels.outputs();
    match output {
        ConvOutput::Plain(residual) => {
            if let Some(residual) = residual {
                assert_eq!(residual.len(), source.rows * outputs, "the residual fits the output");
            }
            product(panels, &source, out, outputs, |sums, out| {
                let bias = &bias[sums.column..][..sums.values.len()];
                let start = (sums.row - sums.first_row) * outputs + sums.column;
                let out = out[start..][..sums.values.len()].iter_mut().zip(sums.values).zip(bias);
                if let Some(residual) = residual {
                    let residual = &residual[sums.row * outputs + sums.column..];
                    for (((out, sum), bias), residual) in out.zip(residual) {
                        *out = sum + bias + residual;
                    }
                } else {
                    for ((out, sum), bias) in out {
                        *out = sum + bias;
                    }
                }
            });
        }
        ConvOutput::Shuffled => {
            assert_eq!(outputs % 4, 0, "a shuffle deals the outputs out to four places");
            product(panels, &source, out, outputs, |sums, out| {
                deal_out(&sums, bias, width, outputs / 4, out);
            });
        }
    }
}

/// Writes the sums of one place to the cells of twice the size.
#[inline(always)]
fn deal_out(sums: &Sums<'_>, bias: &[f32], width: usize, depth: usize, out: &mut [f32]) {
    // A task's rows are whole image rows, so that its output is whole rows of twice the size.
    let row = sums.row - sums.first_row;
    let (y, x) = (row / width, row % width);
    let mut done = 0;
    while done < sums.values.len() {
        let output = sums.column + done;
        let (cell, channel) = (output / depth, output % depth);
        let run = (depth - channel).min(sums.values.len() - done);
        let place = (2 * y + cell / 2) * 2 * width + 2 * x + cell % 2;
        let out = &mut out[place * depth + channel..][..run];
        let bias = &bias[output..][..run];
        for ((out, sum), bias) in out.iter_mut().zip(&sums.values[done..]).zip(bias) {
            *out = sum + bias;
        }
        done += run;
    }
}

/// Copies a picture into a border of zeros, one wide, doing what stands before the convolution.
fn pad(x: &[f32], shape: ConvShape, before: Prologue) -> Vec<f32> {
    let ConvShape { images, height, width, channels } = shape;
    assert_eq!(x.len(), shape.len(), "the picture is as long as its shape says");
    let line = (width + 2) * channels;
    let mut padded = vec![0f32; images * (height + 2) * line];
    padded.par_chunks_mut(line).enumerate().for_each(|(row, out)| {
        let (image, y) = (row / (height + 2), row % (height + 2));
        if y == 0 || y > height {
            return;
        }
        let from = (image * height + y - 1) * width * channels;
        let x = &x[from..][..width * channels];
        let out = &mut out[channels..][..width * channels];
        match before {
            Prologue::Nothing => out.copy_from_slice(x),
            Prologue::Silu => silu_line(x, out),
        }
    });
    padded
}

per_level! {
    fn silu_line(x: &[f32], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = silu(*x);
        }
    }
}
