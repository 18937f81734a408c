//! Convolutions over large pictures some rows at a time, so that what stands between two of them never
//! is there whole.

use std::ops::Range;

use candle_core::Tensor;

use super::blocks::Check;
use crate::error::EngineError;
use crate::kernels::{ChannelScales, ChannelSums};
use crate::nn::{Adding, Compute, Conv, GroupNorm, Leading, Linear};

/// The most bytes of a band of rows that a convolution writes. Few in tests, whose pictures are small.
const BAND_BYTES: usize = if cfg!(test) { 64 << 10 } else { 16 << 20 };
/// Rows beside a band that a convolution of three rows reads: one would do, but squares of Winograd's
/// kernels begin at even rows, and whole and band have the same bits only where theirs agree.
const BESIDE: usize = 2;

/// Gives rows of a laid-out picture, which may be doubled first, as they are asked for.
pub(super) struct Rows<'a> {
    pub(super) compute: &'a Compute,
    pub(super) picture: &'a Tensor,
    /// The convolution behind a doubling, whose rows are computed whenever they are asked for.
    pub(super) doubling: Option<&'a Conv>,
    pub(super) check: &'a Check<'a>,
}

impl Rows<'_> {
    /// Returns the dimension of rows in laid-out pictures.
    fn axis(&self) -> usize {
        if matches!(self.compute, Compute::Candle(..)) { 2 } else { 1 }
    }

    fn cut(&self, x: &Tensor, rows: &Range<usize>) -> Result<Tensor, EngineError> {
        Ok(x.narrow(self.axis(), rows.start, rows.len())?.contiguous()?)
    }

    /// Returns the height and width.
    pub(super) fn size(&self) -> Result<[usize; 2], EngineError> {
        let [_, height, width, _] = self.compute.sizes(self.picture)?;
        let times = if self.doubling.is_some() { 2 } else { 1 };
        Ok([times * height, times * width])
    }

    /// Returns some rows.
    fn get(&self, rows: Range<usize>) -> Result<Tensor, EngineError> {
        let Some(doubling) = self.doubling else { return self.cut(self.picture, &rows) };
        let [height, _] = self.size()?;
        let from = (rows.start / 2).saturating_sub(1);
        let to = (rows.end.div_ceil(2) + 1).min(height / 2);
        let part = self.cut(self.picture, &(from..to))?;
        let part = convolve(doubling, &part, Leading::default(), None, self.check)?;
        self.cut(&part, &(rows.start - 2 * from..rows.end - 2 * from))
    }

    /// Divides the rows into bands, each of an even number of rows but the last.
    fn bands(&self, channels: usize) -> Result<Vec<Range<usize>>, EngineError> {
        let [height, width] = self.size()?;
        let line = width.max(1) * channels.max(1) * size_of::<f32>();
        let most = (BAND_BYTES / line).max(8) / 2 * 2;
        let end = |start: usize| (start + most).min(height);
        Ok((0..height).step_by(most).map(|start| start..end(start)).collect())
    }

    /// Returns the sums that a norm of the picture follows from, of some rows and columns.
    pub(super) fn sums(
        &self,
        norm: &GroupNorm,
        [down, across]: [Range<usize>; 2],
    ) -> Result<ChannelSums, EngineError> {
        if self.doubling.is_none() {
            return Ok(norm.sums(self.picture, [down, across])?);
        }
        let mut sums: Option<ChannelSums> = None;
        for band in self.bands(self.compute.sizes(self.picture)?[3])? {
            let rows = band.start.max(down.start)..band.end.min(down.end);
            if rows.is_empty() {
                continue;
            }
            let part = self.get(rows)?;
            let height = self.compute.sizes(&part)?[1];
            let more = norm.sums(&part, [0..height, across.clone()])?;
            match &mut sums {
                Some(sums) => sums.add(&more),
                None => sums = Some(more),
            }
        }
        sums.ok_or_else(|| EngineError::Model { reason: "a picture has no rows".to_owned() })
    }

    /// Computes `conv(silu(x · scale + shift))` for a convolution to read, and beside it the short cut
    /// of `x` where there is one.
    pub(super) fn first(
        &self,
        conv: &Conv,
        scales: &ChannelScales,
        shortcut: Option<&Linear>,
    ) -> Result<(Tensor, Option<Tensor>), EngineError> {
        let (mut made, mut short) = (None, None);
        for band in self.bands(self.compute.sizes(self.picture)?[3])? {
            let (rows, inner) = self.around(&band)?;
            let x = self.get(rows)?;
            let stop = || (self.check)().is_err();
            let leading = Leading { scales: Some(scales), stop: Some(&stop), ..Leading::SILU };
            let part = conv.forward_for_products(&x, leading)?;
            (self.check)()?;
            self.put(&mut made, &band, &self.cut(&part, &inner)?)?;
            if let Some(shortcut) = shortcut {
                let x = self.cut(&x, &inner)?;
                let [batch, height, width, _] = self.compute.sizes(&x)?;
                let rows = shortcut.forward(&self.compute.rows(&x)?)?;
                let part = self.compute.pictures(&rows, [batch, height, width])?;
                self.put(&mut short, &band, &part)?;
            }
        }
        Ok((made.ok_or_else(nothing)?, short))
    }

    /// Computes `conv(silu(x · scale + shift)) + residual`, writing over the residual, which nobody
    /// else may hold.
    pub(super) fn second(
        &self,
        conv: &Conv,
        scales: &ChannelScales,
        residual: Tensor,
    ) -> Result<Tensor, EngineError> {
        let mut made = Some(residual);
        for band in self.bands(self.compute.sizes(self.picture)?[3])? {
            let (rows, inner) = self.around(&band)?;
            let x = self.get(rows.clone())?;
            let leading = Leading { scales: Some(scales), ..Leading::SILU };
            // Rows beside the band that are written over already are cut off again.
            let beside = made.as_ref().map(|made| self.cut(made, &rows)).transpose()?;
            let part = convolve(conv, &x, leading, beside.as_ref(), self.check)?;
            drop(beside);
            self.put(&mut made, &band, &self.cut(&part, &inner)?)?;
        }
        made.ok_or_else(nothing)
    }

    /// Returns the rows that a band reads, and where the band stands among them.
    fn around(&self, band: &Range<usize>) -> Result<(Range<usize>, Range<usize>), EngineError> {
        let [height, _] = self.size()?;
        let rows = band.start.saturating_sub(BESIDE)..(band.end + BESIDE).min(height);
        let inner = band.start - rows.start..band.end - rows.start;
        Ok((rows, inner))
    }

    /// Writes a band into a picture, which is made with the first one.
    fn put(
        &self,
        into: &mut Option<Tensor>,
        band: &Range<usize>,
        part: &Tensor,
    ) -> Result<(), EngineError> {
        if into.is_none() {
            let mut shape = part.dims().to_vec();
            shape[self.axis()] = self.size()?[0];
            *into = Some(Tensor::zeros(shape, part.dtype(), part.device())?);
        }
        if let Some(into) = into {
            into.slice_set(part, self.axis(), band.start)?;
        }
        Ok(())
    }
}

fn nothing() -> EngineError {
    EngineError::Model { reason: "a picture has no rows".to_owned() }
}

/// Computes a convolution and asks behind it whether to go on.
fn convolve(
    conv: &Conv,
    x: &Tensor,
    leading: Leading<'_>,
    residual: Option<&Tensor>,
    check: &Check<'_>,
) -> Result<Tensor, EngineError> {
    let stop = || check().is_err();
    let leading = Leading { stop: Some(&stop), ..leading };
    let x = conv.forward(x, leading, Adding { per_image: None, residual })?;
    check()?;
    Ok(x)
}
