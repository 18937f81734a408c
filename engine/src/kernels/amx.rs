//! Tiles of bf16 on the matrix unit of Intel's server processors (AMX).
//!
//! The unit multiplies blocks of 16 rows by 32 places with blocks of 32 places by 16 columns, and its
//! blocks of weights are pairs side by side, as [`super::panels`] lays them: panels are those of
//! [`Avx512Bf16`], and what is left of a depth beyond whole blocks runs there.
//!
//! # Source
//! Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18, and the
//! descriptions of `LDTILECFG`, `TILELOADD` and `TDPBF16PS` in volume 2.

use std::arch::asm;
use std::cell::Cell;
use std::ops::Range;

use half::bf16;

use super::micro::{Avx512Bf16, Isa, Rows};
use super::panels::Panels;
use super::product::{Buffer, Finish, Part, Source, Sums, task_of};

/// Rows of a block of activations and of its sums.
const BLOCK_ROWS: usize = 16;
/// Places in depth that are multiplied at once.
const BLOCK_DEPTH: usize = 32;
/// Columns of the panels that are multiplied: two registers of sums, and as many pairs of weights.
const WIDTH: usize = 32;
/// Bytes of a line of a panel, and of a row of sums; the loops count 2048 bytes for sixteen of them.
const LINE: usize = 4 * WIDTH;

/// Says how large the eight blocks are, as `LDTILECFG` reads it.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shapes {
    /// Describes blocks for activations of so many rows, 1 to 16: sums in 0 to 3, activations in 4 and
    /// 5, weights in 6 and 7.
    const fn of(rows: usize) -> Self {
        let mut shapes =
            Self { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        let mut block = 0;
        while block < 8 {
            shapes.row_bytes[block] = 64;
            shapes.rows[block] = if block < 6 { rows as u8 } else { BLOCK_ROWS as u8 };
            block += 1;
        }
        shapes
    }
}

/// Shapes for every number of rows of a block.
static SHAPES: [Shapes; BLOCK_ROWS] = {
    let mut shapes = [const { Shapes::of(1) }; BLOCK_ROWS];
    let mut rows = 1;
    while rows <= BLOCK_ROWS {
        shapes[rows - 1] = Shapes::of(rows);
        rows += 1;
    }
    shapes
};

thread_local! {
    /// The rows that this thread's blocks are shaped for; 0 where the unit is not in use.
    static SHAPED: Cell<usize> = const { Cell::new(0) };
}

/// Asks the system for the unit, which it saves for threads that may use it.
///
/// Returns whether this process may use it from now on.
#[cfg(target_os = "linux")]
pub(super) fn may_use() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    /// `ARCH_REQ_XCOMP_PERM` of Linux's `asm/prctl.h`.
    const ASK: libc::c_ulong = 0x1023;
    /// The state of the blocks, number 18 of those that the processor saves.
    const BLOCKS: libc::c_ulong = 18;
    /// Leaf 7: bf16 products and the blocks themselves.
    const NEEDED: u32 = 1 << 22 | 1 << 24;
    // Processors without a leaf 7 would answer it with something else.
    let has_leaf = __cpuid(0).eax >= 7;
    if !has_leaf || __cpuid_count(7, 0).edx & NEEDED != NEEDED {
        return false;
    }
    // SAFETY: the call only changes what this process may do; older systems refuse it.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ASK, BLOCKS) == 0 }
}

/// Tells that the unit is not used on other systems.
#[cfg(not(target_os = "linux"))]
pub(super) fn may_use() -> bool {
    false
}

/// Shapes this thread's blocks for activations of so many rows.
///
/// # Safety
/// The process must be allowed to use the unit.
#[inline]
unsafe fn shape(rows: usize) {
    if SHAPED.get() != rows {
        let shapes = &SHAPES[rows - 1];
        // SAFETY: the shapes are valid ones; the caller promises the unit.
        unsafe { asm!("ldtilecfg [{}]", in(reg) shapes, options(nostack, readonly)) };
        SHAPED.set(rows);
    }
}

/// Pointers to what a tile reads and writes.
struct Place {
    /// The first numbers of the first rows of two blocks, before what a tap adds.
    rows: [*const bf16; 2],
    /// Bytes from one row to the next.
    stride: usize,
    panel: *const bf16,
    /// Sums of the first block, and those of the second sixteen rows on.
    sums: *mut f32,
    goes_on: bool,
}

/// Defines the loop over taps and blocks of depth: `$both` and `$some` stand by what is there only where
/// there are two blocks of rows. The sums stay in their blocks throughout, so it is one piece.
macro_rules! tile {
    ($name:ident $(, $both:literal $some:tt)?) => {
        /// Multiplies blocks of rows.
        ///
        /// # Safety
        /// The process must be allowed to use the unit, which must be shaped for the rows; each tap's
        /// `blocks` of all rows must lie inside the activations, the panel must hold as many, and the
        /// sums all rows. There must be a tap and a block.
        unsafe fn $name(place: &Place, taps: &[usize], blocks: usize) {
            let Place { rows, stride, panel, sums, goes_on } = *place;
            // SAFETY: passed on from the caller.
            unsafe {
                asm!(
                    "test {k}, {k}",
                    "jnz 2f",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    $(concat!($both, "tilezero tmm2"),
                    "tilezero tmm3",)?
                    "jmp 3f",
                    "2:",
                    "tileloadd tmm0, [{sums} + {line}*1]",
                    "tileloadd tmm1, [{sums} + {line}*1 + 64]",
                    $(concat!($both, "tileloadd tmm2, [{sums} + {line}*1 + 2048]"),
                    "tileloadd tmm3, [{sums} + {line}*1 + 2112]",)?
                    "3:",
                    "mov {a}, [{taps}]",
                    $(concat!($both, "lea {a2}, [{second} + {a}*2]"),)?
                    "lea {a}, [{first} + {a}*2]",
                    "mov {k}, {blocks}",
                    "4:",
                    "tileloadd tmm6, [{panel} + {line}*1]",
                    "tileloadd tmm4, [{a} + {stride}*1]",
                    "tileloadd tmm7, [{panel} + {line}*1 + 64]",
                    $(concat!($both, "tileloadd tmm5, [{a2} + {stride}*1]"),)?
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    $(concat!($both, "tdpbf16ps tmm2, tmm5, tmm6"),
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    "add {a2}, 64",)?
                    "add {a}, 64",
                    "add {panel}, 2048",
                    "dec {k}",
                    "jnz 4b",
                    "add {taps}, 8",
                    "cmp {taps}, {end}",
                    "jne 3b",
                    "tilestored [{sums} + {line}*1], tmm0",
                    "tilestored [{sums} + {line}*1 + 64], tmm1",
                    $(concat!($both, "tilestored [{sums} + {line}*1 + 2048], tmm2"),
                    "tilestored [{sums} + {line}*1 + 2112], tmm3",)?
                    k = inout(reg) usize::from(goes_on) => _,
                    a = out(reg) _,
                    $(a2 = out(reg) $some,
                    second = in(reg) rows[1],)?
                    first = in(reg) rows[0],
                    stride = in(reg) stride,
                    panel = inout(reg) panel => _,
                    line = in(reg) LINE,
                    sums = in(reg) sums,
                    taps = inout(reg) taps.as_ptr() => _,
                    end = in(reg) taps.as_ptr_range().end,
                    blocks = in(reg) blocks,
                    options(nostack),
                );
            }
        }
    };
}

tile!(one_block);
tile!(two_blocks, "" _);

/// Blocks of bf16, summed in f32.
pub(crate) struct AmxBf16;

impl Isa<bf16> for AmxBf16 {
    const LANES: usize = 16;

    fn rows(_: usize) -> usize {
        2 * BLOCK_ROWS
    }

    /// Keeps to 16 and 32 rows where there are so many, some of them done twice: shaping blocks anew
    /// takes as long as multiplying a few hundred places.
    #[inline(always)]
    fn next(done: usize, count: usize, _: usize) -> Range<usize> {
        let left = count - done;
        if left >= 2 * BLOCK_ROWS {
            done..done + 2 * BLOCK_ROWS
        } else if left > BLOCK_ROWS && count >= 2 * BLOCK_ROWS {
            count - 2 * BLOCK_ROWS..count
        } else if left > BLOCK_ROWS {
            done..done + BLOCK_ROWS
        } else {
            count.saturating_sub(BLOCK_ROWS)..count
        }
    }

    #[inline(always)]
    unsafe fn tile(
        source: &Rows<'_, bf16>,
        rows: usize,
        registers: usize,
        panel: &[bf16],
        sums: &mut [f32],
        goes_on: bool,
    ) {
        assert!(registers == 2, "panels are as wide as two blocks");
        let whole = source.depth / BLOCK_DEPTH * BLOCK_DEPTH;
        let left = source.depth - whole;
        // What a tap has beyond whole blocks stands between them where there are several.
        let has_taps = if left == 0 { !source.taps.is_empty() } else { source.taps.len() == 1 };
        let is_split = whole > 0 && has_taps;
        if is_split {
            let blocks = whole / BLOCK_DEPTH;
            let mut done = 0;
            while done < rows {
                let first = source.values.as_ptr().wrapping_add(source.first);
                let first = first.wrapping_add(done * source.row_stride);
                let place = Place {
                    rows: [first, first.wrapping_add(BLOCK_ROWS * source.row_stride)],
                    stride: source.row_stride * size_of::<bf16>(),
                    panel: panel.as_ptr(),
                    sums: sums[done * WIDTH..].as_mut_ptr(),
                    goes_on,
                };
                let height = BLOCK_ROWS.min(rows - done);
                let is_double = rows - done >= 2 * BLOCK_ROWS;
                // SAFETY: the caller promises that all rows with every tap lie inside the activations,
                // a panel of `taps · depth` lines, room for all sums, and the unit.
                unsafe {
                    shape(height);
                    if is_double {
                        two_blocks(&place, source.taps, blocks);
                    } else {
                        one_block(&place, source.taps, blocks);
                    }
                }
                done += if is_double { 2 * BLOCK_ROWS } else { height };
            }
            if left == 0 {
                return;
            }
        }
        let from = if is_split { whole } else { 0 };
        let goes_on = goes_on || is_split;
        let (panel, depth) = (&panel[from * WIDTH..], source.depth - from);
        let most = Avx512Bf16::rows(registers);
        for row in (0..rows).step_by(most) {
            let part = Rows {
                values: source.values,
                first: source.first + row * source.row_stride + from,
                row_stride: source.row_stride,
                taps: source.taps,
                depth,
            };
            let (height, sums) = (most.min(rows - row), &mut sums[row * WIDTH..]);
            // SAFETY: these rows are some of the caller's, and processors with the unit have AVX-512
            // with bf16.
            unsafe { Avx512Bf16::tile(&part, height, registers, panel, sums, goes_on) };
        }
    }

    unsafe fn leave() {
        if SHAPED.replace(0) != 0 {
            // SAFETY: the unit was shaped on this thread, so it is there.
            unsafe { asm!("tilerelease", options(nostack, nomem)) };
        }
    }

    #[inline(always)]
    unsafe fn add(line: &mut [f32], numbers: &[f32]) {
        // SAFETY: passed on from the caller: processors with the unit have AVX-512 with bf16.
        unsafe { Avx512Bf16::add(line, numbers) };
    }

    #[inline(always)]
    unsafe fn raise<const L: usize>(x: &[f32; L], most: &mut [f32; L]) {
        // SAFETY: as above.
        unsafe { Avx512Bf16::raise(x, most) };
    }

    #[inline(always)]
    unsafe fn powers<const L: usize>(
        x: &[f32; L],
        scale: f32,
        now: &[f32; L],
        totals: &mut [f32; L],
        out: &mut [f32; L],
    ) {
        // SAFETY: as above.
        unsafe { Avx512Bf16::powers(x, scale, now, totals, out) };
    }

    #[inline(always)]
    unsafe fn weave(first: &[f32], second: &[f32], out: &mut [bf16]) {
        // SAFETY: as above.
        unsafe { Avx512Bf16::weave(first, second, out) };
    }

    #[inline(always)]
    unsafe fn narrow(values: &[f32; 16], out: &mut [bf16; 16]) {
        // SAFETY: as above.
        unsafe { Avx512Bf16::narrow(values, out) };
    }
}

/// Some rows of a group, as a block.
#[derive(Clone, Copy)]
struct Block {
    /// Where the first row begins.
    first: usize,
    /// The first row, over all groups.
    row: usize,
    /// Rows, 1 to 16.
    height: usize,
    /// Rows that the block before has done.
    done: usize,
}

/// Cuts groups into blocks, the last of a group with rows of the one before where it has too few.
fn blocks<B: Fn(usize) -> usize>(source: &Source<'_, bf16, B>, groups: Range<usize>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for group in groups {
        let row = group * source.group_rows;
        let count = source.group_rows.min(source.rows - row);
        let first = (source.group_start)(group);
        let mut end = 0;
        while end < count {
            let start =
                if end + BLOCK_ROWS <= count { end } else { count.saturating_sub(BLOCK_ROWS) };
            blocks.push(Block {
                first: first + start * source.row_stride,
                row: row + start,
                height: BLOCK_ROWS.min(count),
                done: end - start,
            });
            end = count.min(start + BLOCK_ROWS);
        }
    }
    blocks
}

/// Runs one task as `product::task_of` does, two blocks of rows at a time, of whatever groups: narrow
/// pictures have few rows in one.
///
/// # Safety
/// The process must be allowed to use the unit, and the processor must have AVX-512 with bf16.
#[inline(always)]
pub(super) unsafe fn task<B, F>(
    panels: &Panels,
    source: &Source<'_, bf16, B>,
    part: Part,
    finish: &F,
) where
    B: Fn(usize) -> usize,
    F: Finish,
{
    let depth = panels.depth_full();
    if !depth.is_multiple_of(BLOCK_DEPTH) || depth == 0 || source.taps.is_empty() {
        // SAFETY: passed on from the caller.
        return unsafe { task_of::<bf16, AmxBf16, B, F>(panels, source, part, finish) };
    }
    let blocks = blocks(source, part.groups);
    for block in &blocks {
        let rows = Rows {
            values: source.values,
            first: block.first,
            row_stride: source.row_stride,
            taps: source.taps,
            depth,
        };
        assert!(rows.fits(block.height), "a block lies inside its activations");
    }
    assert_eq!(panels.width(), WIDTH, "panels are as wide as two blocks");
    let Buffer(buffer) = &mut Buffer([0f32; 32 * 32]);
    let values = source.values.as_ptr();
    for index in part.panels {
        let panel = panels.panel::<bf16>(index);
        let column = index * WIDTH;
        let columns = WIDTH.min(panels.outputs() - column);
        let mut left = &blocks[..];
        while let Some((first, rest)) = left.split_first() {
            let second = rest.first().filter(|second| second.height == first.height);
            let pair = [Some(first), second];
            let place = Place {
                rows: [first, second.unwrap_or(first)].map(|at| values.wrapping_add(at.first)),
                stride: source.row_stride * size_of::<bf16>(),
                panel: panel.as_ptr(),
                sums: buffer.as_mut_ptr(),
                goes_on: false,
            };
            // SAFETY: the blocks lie inside the activations with every tap (checked above), a panel
            // holds taps · depth · width numbers by construction, the buffer two blocks of sums; the
            // caller promises the unit.
            unsafe {
                shape(first.height);
                match second {
                    Some(_) => two_blocks(&place, source.taps, depth / BLOCK_DEPTH),
                    None => one_block(&place, source.taps, depth / BLOCK_DEPTH),
                }
            }
            for (block, lines) in pair.into_iter().zip(buffer.chunks_exact(BLOCK_ROWS * WIDTH)) {
                let Some(block) = block else { continue };
                for (at, line) in
                    lines.chunks_exact(WIDTH).enumerate().take(block.height).skip(block.done)
                {
                    let sums = Sums { row: block.row + at, column, values: &line[..columns] };
                    // SAFETY: passed on from the caller.
                    unsafe { finish.finish::<bf16, AmxBf16>(&sums) };
                }
            }
            left = if second.is_some() { &rest[1..] } else { rest };
        }
    }
    // SAFETY: passed on from the caller.
    unsafe { AmxBf16::leave() };
}
