//! Copies of pictures in a border, as convolutions read them: all at once, or part by part.

use rayon::prelude::*;

use super::conv::{Before, ConvShape};
use super::elementwise::widen_bf16;
use super::linear::Input;
use super::norm::scaled_rows;
use super::panels::Held;
use super::scratch::Scratch;

/// The most bytes of a copy that is worked on at once, in f32: what the caches of a processor hold.
/// Small in tests, so that small pictures have parts too.
const PART_BYTES: usize = if cfg!(test) { 4 << 10 } else { 20 << 20 };

/// Places of bf16 that are widened at once: they stay in the nearest cache.
const PIECE_PLACES: usize = 8;

/// Says which pictures, and which rows of them, are worked on at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// All pictures.
    pub(super) whole: ConvShape,
    /// The first picture, and how many.
    pub(super) images: [usize; 2],
    /// The first row of each, and how many.
    pub(super) rows: [usize; 2],
}

impl Part {
    /// Makes the part that is everything.
    pub(super) fn whole(whole: ConvShape) -> Self {
        Self { whole, images: [0, whole.images], rows: [0, whole.height] }
    }

    /// Divides pictures into parts whose copies stay small: all at once, or some rows, an even number,
    /// of one picture after the other.
    pub(super) fn all(whole: ConvShape) -> impl Iterator<Item = Self> {
        let line = whole.width.max(1) * whole.channels.max(1) * size_of::<f32>();
        let fits = whole.images * whole.height * line <= PART_BYTES;
        let images = if fits { whole.images.max(1) } else { 1 };
        let rows = if fits { whole.height } else { (PART_BYTES / line).max(4) / 2 * 2 };
        let rows = rows.max(1);
        (0..whole.images).step_by(images).flat_map(move |image| {
            (0..whole.height).step_by(rows).map(move |row| Self {
                whole,
                images: [image, images.min(whole.images - image)],
                rows: [row, rows.min(whole.height - row)],
            })
        })
    }

    /// Returns the shape of the part.
    pub(super) fn shape(&self) -> ConvShape {
        ConvShape { images: self.images[1], height: self.rows[1], ..self.whole }
    }
}

/// Copies a part of pictures into a border, doing what stands before the convolution: the rows beside
/// the part where there are some, else zeros.
pub(super) fn bordered<T: Held>(
    x: Input<'_>,
    part: Part,
    before: Before<'_>,
    [top, bottom, left, right]: [usize; 4],
) -> Scratch<T> {
    let whole = part.whole.height;
    let ConvShape { images, height, width, channels } = part.shape();
    let line = (width + left + right) * channels;
    let rows = height + top + bottom;
    let len = images * rows * line;
    // One number more than there are: the last pair of an odd depth reads it.
    let mut copy = Scratch::<T>::take(len + T::GROUP - 1);
    copy[len..].fill(T::default());
    // What a norm that is not there would multiply and add.
    let (ones, zeros) = (vec![1f32; channels], vec![0f32; channels]);
    let row_len = width * channels;
    copy[..len].par_chunks_mut(line.max(1)).enumerate().for_each(|(row, out)| {
        let (image, y) = (part.images[0] + row / rows, part.rows[0] + row % rows);
        if y < top || y - top >= whole {
            out.fill(T::default());
            return;
        }
        let from = (image * whole + y - top) * row_len;
        let (before_row, out) = out.split_at_mut(left * channels);
        let (out, after_row) = out.split_at_mut(row_len);
        before_row.fill(T::default());
        after_row.fill(T::default());
        let (scale, shift) = match before.scales {
            Some(scales) => (
                &scales.scale[image * channels..][..channels],
                &scales.shift[image * channels..][..channels],
            ),
            None => (&ones[..], &zeros[..]),
        };
        match x {
            Input::F32(x) => {
                scaled_rows(&x[from..][..row_len], scale, shift, before.activation, out);
            }
            Input::Bf16(x) => {
                let piece = PIECE_PLACES * channels;
                let mut wide = vec![0f32; piece];
                for (x, out) in x[from..][..row_len].chunks(piece).zip(out.chunks_mut(piece)) {
                    let wide = &mut wide[..x.len()];
                    widen_bf16(x, wide);
                    scaled_rows(wide, scale, shift, before.activation, out);
                }
            }
        }
    });
    copy
}
