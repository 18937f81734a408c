//! A matrix of weights in the order in which the kernels read them.

use rayon::prelude::*;

use super::form::{BLOCK, Form, PANEL, Unpacked};
use super::formats::{self, Place};
use super::isa::{Isa, with_isa};
use super::room::{LINE, Room, Shelf};
use crate::error::EngineError;
use crate::kernels::level::Level;

/// Holds a matrix `[outputs, depth]` in panels of sixteen outputs.
///
/// A panel of a quantized form holds blocks of 32 places in depth. First come the lower bits of all
/// blocks, in lines of 64 bytes: four consecutive places of each output side by side, two lines in
/// one where four bits are enough. Then the upper bits, the scales of the blocks, sixteen side by
/// side, and the scales of the scales. So a matrix takes what it takes in the file, but for the
/// outputs that fill the last panel and two or four bytes in 256 weights. Forms that are plain
/// numbers stand as they are, sixteen outputs side by side.
#[derive(Debug)]
pub struct Packed {
    form: Form,
    outputs: usize,
    depth: usize,
    room: Room,
}

/// Where the parts of a panel begin and where it ends.
#[derive(Debug, Clone, Copy)]
struct Offsets {
    high: usize,
    scales: usize,
    wide: usize,
    end: usize,
}

fn offsets(form: Form, depth: usize) -> Option<Offsets> {
    let round = |bytes: usize| bytes.checked_next_multiple_of(LINE);
    if !form.is_quantized() {
        let end = round(depth.checked_mul(PANEL * form.block_bytes())?)?;
        return Some(Offsets { high: end, scales: end, wide: end, end });
    }
    let areas = form.areas();
    let blocks = depth / BLOCK;
    let high = blocks.checked_mul(areas.low)?;
    let scales = high.checked_add(blocks * areas.high)?;
    let wide = round(scales + blocks * areas.scales)?;
    let end = round(wide + blocks.div_ceil(8) * areas.wide)?;
    Some(Offsets { high, scales, wide, end })
}

impl Packed {
    /// Packs the matrix `[outputs, depth]` that stands in `bytes` as GGUF files have it.
    ///
    /// # Errors
    /// [`EngineError::Model`] when `bytes` is not as long as the shape says, `depth` is not a
    /// multiple of the form's block, or there is no memory.
    pub fn new(
        form: Form,
        outputs: usize,
        depth: usize,
        bytes: &[u8],
        shelf: &mut Shelf,
    ) -> Result<Self, EngineError> {
        let wrong = |what: &str| EngineError::Model {
            reason: format!("a matrix of {outputs} × {depth} as {form:?} {what}"),
        };
        if outputs == 0 || depth == 0 || !depth.is_multiple_of(form.block_len()) {
            return Err(wrong("does not divide into whole blocks"));
        }
        let row_bytes = depth / form.block_len() * form.block_bytes();
        if row_bytes.checked_mul(outputs) != Some(bytes.len()) {
            return Err(wrong(&format!("does not have {} bytes", bytes.len())));
        }
        let too_large = || wrong("is larger than this machine's memory");
        let offsets = offsets(form, depth).ok_or_else(too_large)?;
        let length = offsets.end.checked_mul(outputs.div_ceil(PANEL)).ok_or_else(too_large)?;
        let mut room = shelf.take(length)?;
        let rows = |panel: usize| {
            let first = panel * PANEL;
            let rows = PANEL.min(outputs - first);
            &bytes[first * row_bytes..(first + rows) * row_bytes]
        };
        room.bytes_mut().par_chunks_exact_mut(offsets.end).enumerate().for_each(
            |(index, panel)| {
                for (output, row) in rows(index).chunks_exact(row_bytes).enumerate() {
                    if form.is_quantized() {
                        pack_row(form, output, row, panel, offsets);
                    } else {
                        let size = form.block_bytes();
                        for (k, number) in row.chunks_exact(size).enumerate() {
                            panel[(k * PANEL + output) * size..][..size].copy_from_slice(number);
                        }
                    }
                }
            },
        );
        Ok(Self { form, outputs, depth, room })
    }

    /// Returns the form.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Returns the number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns how many numbers an output is the sum of.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Returns how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.room.bytes().len()
    }

    /// Widens row `output` to f32: `depth` numbers.
    ///
    /// # Panics
    /// When there is no such row or `out` is not as long.
    pub fn row(&self, level: Level, output: usize, out: &mut [f32]) {
        assert!(output < self.outputs && out.len() == self.depth, "the row is there and fits");
        let mut lines = vec![0.0; self.depth.min(STRETCH) * PANEL];
        for (n, out) in out.chunks_mut(STRETCH).enumerate() {
            self.widen(level, output / PANEL, n * STRETCH, out.len(), &mut lines);
            for (out, line) in out.iter_mut().zip(lines.as_chunks::<PANEL>().0) {
                *out = line[output % PANEL];
            }
        }
    }

    /// Returns the number of panels.
    pub(super) fn panels(&self) -> usize {
        self.outputs.div_ceil(PANEL)
    }

    /// Returns the bytes of one panel.
    pub(super) fn panel_bytes(&self) -> usize {
        self.room.bytes().len() / self.panels()
    }

    /// Returns where a panel's parts begin; each is as long as the form's areas say.
    pub(super) fn place(&self, panel: usize) -> Place {
        let bytes = self.panel_bytes();
        let panel = &self.room.bytes()[panel * bytes..][..bytes];
        let Some(offsets) = offsets(self.form, self.depth) else {
            unreachable!("the offsets were found when it was packed")
        };
        Place {
            low: panel.as_ptr(),
            high: panel[offsets.high..].as_ptr(),
            scales: panel[offsets.scales..].as_ptr(),
            wide: panel[offsets.wide..].as_ptr(),
        }
    }

    /// Widens `depth` lines of a panel from line `start` on, both multiples of 32 for a quantized
    /// form.
    ///
    /// # Panics
    /// When the panel has fewer lines or `out` is shorter.
    pub(super) fn widen(
        &self,
        level: Level,
        panel: usize,
        start: usize,
        depth: usize,
        out: &mut [f32],
    ) {
        assert!(panel < self.panels(), "there is such a panel");
        assert!(start + depth <= self.depth && out.len() >= depth * PANEL, "the lines are there");
        let is_whole =
            !self.form.is_quantized() || start.is_multiple_of(BLOCK) && depth.is_multiple_of(BLOCK);
        assert!(is_whole, "blocks are widened whole");
        let place = self.place(panel);
        // SAFETY: levels are those of this processor; the lines lie within the panel and `out`
        // (checked above).
        with_isa!(level, widen_lines(self.form, place, start, depth, out.as_mut_ptr()));
    }
}

#[cfg(test)]
impl Packed {
    /// Moves it to other memory, as long as [`Packed::bytes`] says.
    pub(super) fn moved_to(self, memory: &'static mut [u8]) -> Self {
        memory.copy_from_slice(self.room.bytes());
        Self { room: Room::of(memory), ..self }
    }
}

/// How many lines are widened at once: they stay in the near cache.
pub(super) const STRETCH: usize = 256;

/// Widens lines of a panel.
///
/// # Safety
/// As [`Isa`]; the panel must have the lines and `out` room for them.
unsafe fn widen_lines<I: Isa>(form: Form, place: Place, start: usize, depth: usize, out: *mut f32) {
    let blocks = start / BLOCK..(start + depth) / BLOCK;
    // SAFETY: passed on from the caller.
    unsafe {
        match form {
            Form::F32 => {
                let from = place.low.add(start * PANEL * 4);
                std::ptr::copy_nonoverlapping(from, out.cast(), depth * PANEL * 4);
            }
            Form::F16 => I::widen_halves(place.low.add(start * PANEL * 2), false, depth, out),
            Form::BF16 => I::widen_halves(place.low.add(start * PANEL * 2), true, depth, out),
            Form::Q8_0 => I::widen::<formats::Q8_0>(place, blocks, out),
            Form::Q4_0 => I::widen::<formats::Q4_0>(place, blocks, out),
            Form::Q4_1 => I::widen::<formats::Q4_1>(place, blocks, out),
            Form::Q5_0 => I::widen::<formats::Q5_0>(place, blocks, out),
            Form::Q5_1 => I::widen::<formats::Q5_1>(place, blocks, out),
            Form::Q4K => I::widen::<formats::Q4K>(place, blocks, out),
            Form::Q5K => I::widen::<formats::Q5K>(place, blocks, out),
            Form::Q6K => I::widen::<formats::Q6K>(place, blocks, out),
        }
    }
}

/// Puts one output's row into its column of a panel.
fn pack_row(form: Form, output: usize, row: &[u8], panel: &mut [u8], offsets: Offsets) {
    let areas = form.areas();
    let blocks_each = form.block_len() / BLOCK;
    let is_full = form == Form::Q8_0;
    let mut unpacked = Unpacked::new();
    for (n, bytes) in row.chunks_exact(form.block_bytes()).enumerate() {
        unpacked.read(form, bytes);
        let half = |which: usize| unpacked.wide[which].to_le_bytes();
        for (b, quants) in unpacked.quants[..form.block_len()].chunks_exact(BLOCK).enumerate() {
            let block = n * blocks_each + b;
            let fours = quants.as_chunks::<4>().0;
            let low = &mut panel[block * areas.low..][..areas.low];
            if is_full {
                for (j, four) in fours.iter().enumerate() {
                    low[j * 64 + output * 4..][..4].copy_from_slice(four);
                }
            } else {
                for (j, pair) in fours.as_chunks::<2>().0.iter().enumerate() {
                    for (t, slot) in low[j * 64 + output * 4..][..4].iter_mut().enumerate() {
                        *slot = pair[0][t] & 15 | pair[1][t] << 4;
                    }
                }
            }
            let high = &mut panel[offsets.high + block * areas.high..][..areas.high];
            let bits = areas.high / 64;
            if bits > 0 {
                for (j, four) in fours.iter().enumerate() {
                    let line = j * bits / 8;
                    for (t, quant) in four.iter().enumerate() {
                        high[line * 64 + output * 4 + t] |= quant >> 4 << (j * bits % 8);
                    }
                }
            }
            let scales = &mut panel[offsets.scales + block * areas.scales..][..areas.scales];
            if areas.wide == 0 {
                scales[output * 2..][..2].copy_from_slice(&half(0));
                if areas.scales == 64 {
                    scales[32 + output * 2..][..2].copy_from_slice(&half(1));
                }
            } else {
                [scales[output], scales[16 + output]] = unpacked.narrow[b];
            }
        }
        if areas.wide > 0 {
            let wide = &mut panel[offsets.wide + n * areas.wide..][..areas.wide];
            wide[output * 2..][..2].copy_from_slice(&half(0));
            if areas.wide == 64 {
                // Minima are taken off in the file and added here.
                let negative = unpacked.wide[1] ^ 0x8000;
                wide[32 + output * 2..][..2].copy_from_slice(&negative.to_le_bytes());
            }
        }
    }
}

/// Calls `$run::<F>` with the format of a quantized form.
macro_rules! with_format {
    ($form:expr, $run:ident) => {
        match $form {
            Form::Q8_0 => $run!(Q8_0),
            Form::Q4_0 => $run!(Q4_0),
            Form::Q4_1 => $run!(Q4_1),
            Form::Q5_0 => $run!(Q5_0),
            Form::Q5_1 => $run!(Q5_1),
            Form::Q4K => $run!(Q4K),
            Form::Q5K => $run!(Q5K),
            Form::Q6K => $run!(Q6K),
            Form::F32 | Form::F16 | Form::BF16 => {
                unreachable!("plain numbers are not multiplied rounded")
            }
        }
    };
}
pub(super) use with_format;
