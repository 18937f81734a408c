//! Weights in the order in which the micro-kernels read them.

use half::bf16;
use rayon::prelude::*;

use super::element::Element;
use super::level::Level;
use crate::protocol::Precision;

/// Rows of a panel that are filled together.
const BLOCK_ROWS: usize = 32;

/// One cache line of weights; its alignment spares the kernels loads across two lines.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; 16]);

/// Says which numbers panels hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// f32.
    F32,
    /// bf16 in pairs.
    Bf16,
}

impl Kind {
    /// Returns the numbers that products of this precision read at this level.
    pub fn of(level: Level, precision: Precision) -> Self {
        match precision {
            Precision::Fast if level >= Level::Avx512Bf16 => Self::Bf16,
            _ => Self::F32,
        }
    }
}

/// Is an element that panels can hold: ties it to the [`Kind`] that panels of it have.
pub trait Held: Element {
    /// The kind of panels that hold it.
    const KIND: Kind;
}

impl Held for f32 {
    const KIND: Kind = Kind::F32;
}

impl Held for bf16 {
    const KIND: Kind = Kind::Bf16;
}

/// Holds a matrix `[outputs, taps · depth]` cut into panels of some output columns each.
///
/// A panel holds, for every tap and every group of places in depth, the weights of its columns side
/// by side; the last panel and the last group are filled up with zeros. A linear layer has one tap, a
/// 3×3 convolution nine.
#[derive(Debug, Clone)]
pub struct Panels {
    level: Level,
    kind: Kind,
    registers: usize,
    outputs: usize,
    taps: usize,
    depth: usize,
    lines: Vec<Line>,
}

/// Holds the sizes of panels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PanelShape {
    pub(crate) outputs: usize,
    pub(crate) taps: usize,
    pub(crate) depth: usize,
    /// Registers of a panel, 2 or 3.
    pub(crate) registers: usize,
}

impl Panels {
    /// Packs weights given as a function of output, tap and place in depth, as f32.
    pub fn pack(
        level: Level,
        outputs: usize,
        taps: usize,
        depth: usize,
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        Self::pack_as(level, Precision::Exact, [outputs, taps, depth], weight)
    }

    /// Packs weights `[outputs, taps, depth]` given as a function of output, tap and place in depth,
    /// for products of this precision.
    pub fn pack_as(
        level: Level,
        precision: Precision,
        [outputs, taps, depth]: [usize; 3],
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let shape = PanelShape { outputs, taps, depth, registers: 2 };
        match Kind::of(level, precision) {
            Kind::F32 => Self::fill::<f32>(level, shape, weight),
            Kind::Bf16 => Self::fill::<bf16>(level, shape, weight),
        }
    }

    /// Makes panels of zeros.
    fn zeros<T: Held>(level: Level, shape: PanelShape) -> Self {
        let PanelShape { outputs, taps, depth, registers } = shape;
        let mut panels =
            Self { level, kind: T::KIND, registers, outputs, taps, depth, lines: Vec::new() };
        let bytes = panels.panel_len() * panels.count() * size_of::<T>();
        panels.lines = vec![Line([0; 16]); bytes.div_ceil(64)];
        panels
    }

    /// Packs weights as elements `T`.
    pub(crate) fn fill<T: Held>(
        level: Level,
        shape: PanelShape,
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let PanelShape { outputs, depth, .. } = shape;
        let mut panels = Self::zeros::<T>(level, shape);
        let (width, depth_full) = (panels.width(), panels.depth_full());
        let panel_len = panels.panel_len();
        if !panels.lines.is_empty() {
            let line = width * T::GROUP;
            let fill = |(panel, values): (usize, &mut [T])| {
                let columns = width.min(outputs - panel * width);
                for (tap, values) in values.chunks_exact_mut(width * depth_full).enumerate() {
                    for (block, values) in values.chunks_mut(line * BLOCK_ROWS).enumerate() {
                        // Column by column: what is read stands side by side in depth, and the
                        // lines that are written stay in the nearest cache.
                        for column in 0..columns {
                            let output = panel * width + column;
                            let mut k = block * BLOCK_ROWS * T::GROUP;
                            for values in values.chunks_exact_mut(line) {
                                for slot in &mut values[column * T::GROUP..][..T::GROUP] {
                                    if k < depth {
                                        *slot = T::from_f32(weight(output, tap, k));
                                    }
                                    k += 1;
                                }
                            }
                        }
                    }
                }
            };
            panels.values_mut::<T>().par_chunks_mut(panel_len).enumerate().for_each(fill);
        }
        panels
    }

    /// Packs a linear layer's matrix `[outputs, depth]`, row-major, as f32.
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

    /// Returns which numbers it holds.
    pub fn kind(&self) -> Kind {
        self.kind
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

    /// Returns the bytes that it takes.
    pub fn memory_bytes(&self) -> usize {
        self.lines.len() * 64
    }

    /// Returns the columns of a panel of two registers at a level.
    pub fn width_at(level: Level) -> usize {
        level.panel_width()
    }

    /// Returns the numbers that a tap's row must have: the depth, filled up to whole groups.
    pub(crate) fn depth_full(&self) -> usize {
        let group = match self.kind {
            Kind::F32 => f32::GROUP,
            Kind::Bf16 => bf16::GROUP,
        };
        self.depth.next_multiple_of(group)
    }

    /// Returns the registers of a panel.
    pub(crate) fn registers(&self) -> usize {
        self.registers
    }

    /// Returns the columns of a panel.
    pub(crate) fn width(&self) -> usize {
        self.registers * self.level.panel_width() / 2
    }

    /// Returns the number of panels.
    pub(crate) fn count(&self) -> usize {
        self.outputs.div_ceil(self.width())
    }

    /// Returns the numbers of one panel.
    pub(crate) fn panel<T: Held>(&self, index: usize) -> &[T] {
        let len = self.panel_len();
        &self.values()[index * len..(index + 1) * len]
    }

    fn panel_len(&self) -> usize {
        self.taps * self.depth_full() * self.width()
    }

    fn values<T: Held>(&self) -> &[T] {
        assert!(T::KIND == self.kind, "panels are read as what they hold");
        let len = self.panel_len() * self.count();
        assert!(len * size_of::<T>() <= self.lines.len() * 64, "the lines hold all panels");
        // SAFETY: the lines hold at least `len` numbers of `T`, for which every bit pattern is
        // valid; a line is aligned for them; the borrow is that of `self`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), len) }
    }

    fn values_mut<T: Held>(&mut self) -> &mut [T] {
        assert!(T::KIND == self.kind, "panels are written as what they hold");
        let len = self.panel_len() * self.count();
        assert!(len * size_of::<T>() <= self.lines.len() * 64, "the lines hold all panels");
        // SAFETY: as in `values`; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), len) }
    }
}
