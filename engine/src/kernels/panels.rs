//! Weights in the order in which the micro-kernels read them.

use rayon::prelude::*;

use super::level::Level;

/// One cache line of weights; its alignment spares the kernels loads across two lines.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Holds a matrix `[outputs, taps · depth]` cut into panels of some output columns each.
///
/// A panel holds, for every tap and every place in depth, the weights of its columns side by side;
/// the last panel is filled up with zeros. A linear layer has one tap, a 3×3 convolution nine.
#[derive(Debug, Clone)]
pub struct Panels {
    level: Level,
    outputs: usize,
    taps: usize,
    depth: usize,
    lines: Vec<Line>,
}

impl Panels {
    /// Packs weights given as a function of output, tap and place in depth.
    pub fn pack(
        level: Level,
        outputs: usize,
        taps: usize,
        depth: usize,
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let mut panels = Self { level, outputs, taps, depth, lines: Vec::new() };
        let width = level.panel_width();
        let panel_lines = panels.panel_len() / 16;
        panels.lines = vec![Line([0.0; 16]); panel_lines * panels.count()];
        if panel_lines > 0 {
            let fill = |(panel, lines): (usize, &mut [Line])| {
                let per_row = width / 16;
                for (row, lines) in lines.chunks_exact_mut(per_row).enumerate() {
                    let (tap, k) = (row / depth, row % depth);
                    for (column, slot) in lines.iter_mut().flat_map(|line| &mut line.0).enumerate()
                    {
                        let output = panel * width + column;
                        if output < outputs {
                            *slot = weight(output, tap, k);
                        }
                    }
                }
            };
            panels.lines.par_chunks_mut(panel_lines).enumerate().for_each(fill);
        }
        panels
    }

    /// Packs a linear layer's matrix `[outputs, depth]`, row-major.
    ///
    /// # Panics
    /// When `weight` is shorter than `outputs · depth`.
    pub fn linear(level: Level, outputs: usize, depth: usize, weight: &[f32]) -> Self {
        assert!(weight.len() >= outputs * depth, "a matrix is as long as its shape says");
        Self::pack(level, outputs, 1, depth, |output, _, k| weight[output * depth + k])
    }

    /// Returns the instruction set that it is packed for.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Returns the number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns the number of taps.
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// Returns how many numbers each tap reads.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Returns the number of panels.
    pub(crate) fn count(&self) -> usize {
        self.outputs.div_ceil(self.level.panel_width())
    }

    /// Returns the numbers of one panel.
    pub(crate) fn panel(&self, index: usize) -> &[f32] {
        let len = self.panel_len();
        &self.values()[index * len..(index + 1) * len]
    }

    fn panel_len(&self) -> usize {
        self.taps * self.depth * self.level.panel_width()
    }

    fn values(&self) -> &[f32] {
        // SAFETY: a `Line` is sixteen f32 with no padding (its alignment equals its size), so the
        // vector's memory is 16 times as many initialised f32, borrowed for as long as `self` is.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * 16) }
    }
}
