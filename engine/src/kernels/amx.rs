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

/// Empties the blocks of sums.
///
/// # Safety
/// The process must be allowed to use the unit, which must be shaped.
#[inline(always)]
unsafe fn empty() {
    // SAFETY: passed on from the caller. The compiler itself never uses blocks, so what stands in them
    // stays there between this, `multiply_…` and `store_…`.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            options(nostack, nomem, preserves_flags),
        );
    }
}

/// Defines what is done with one block of rows, or with two: `$both` stands by what is there only for
/// two.
macro_rules! blocks_of_rows {
    ($load:ident, $multiply:ident, $store:ident $(, $both:literal $some:tt)?) => {
        /// Fills the blocks of sums, those of the second rows from sixteen rows on.
        ///
        /// # Safety
        /// The process must be allowed to use the unit, which must be shaped for the rows, of which
        /// there must be sums.
        #[inline(always)]
        unsafe fn $load(sums: *const f32) {
            // SAFETY: passed on from the caller.
            unsafe {
                asm!(
                    "tileloadd tmm0, [{sums} + {line}*1]",
                    "tileloadd tmm1, [{sums} + {line}*1 + 64]",
                    $(concat!($both, "tileloadd tmm2, [{sums} + {line}*1 + 2048]"),
                    "tileloadd tmm3, [{sums} + {line}*1 + 2112]",)?
                    sums = in(reg) sums,
                    line = in(reg) LINE,
                    options(nostack, readonly, preserves_flags),
                );
            }
        }

        /// Multiplies blocks of rows with as many blocks of a panel, which follow each other, and adds
        /// to the blocks of sums. `rows` are the first numbers of each block's first row, `stride` the
        /// bytes from one row to the next.
        ///
        /// # Safety
        /// The process must be allowed to use the unit, which must be shaped for the rows; all of them
        /// must lie inside the activations, and the panel must hold the blocks. There must be one.
        #[inline(always)]
        unsafe fn $multiply(
            rows: [*const bf16; 2],
            stride: usize,
            panel: *const bf16,
            blocks: usize,
        ) {
            // SAFETY: passed on from the caller.
            unsafe {
                asm!(
                    "2:",
                    "tileloadd tmm6, [{panel} + {line}*1]",
                    "tileloadd tmm4, [{first} + {stride}*1]",
                    "tileloadd tmm7, [{panel} + {line}*1 + 64]",
                    $(concat!($both, "tileloadd tmm5, [{second} + {stride}*1]"),)?
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    $(concat!($both, "tdpbf16ps tmm2, tmm5, tmm6"),
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    "add {second}, 64",)?
                    "add {first}, 64",
                    "add {panel}, 2048",
                    "dec {blocks}",
                    "jnz 2b",
                    first = inout(reg) rows[0] => _,
                    $(second = inout(reg) rows[1] => $some,)?
                    stride = in(reg) stride,
                    panel = inout(reg) panel => _,
                    line = in(reg) LINE,
                    blocks = inout(reg) blocks => _,
                    options(nostack, readonly),
                );
            }
        }

        /// Writes the blocks of sums, those of the second rows from sixteen rows on.
        ///
        /// # Safety
        /// The process must be allowed to use the unit, which must be shaped for the rows, for which
        /// there must be room.
        #[inline(always)]
        unsafe fn $store(sums: *mut f32) {
            // SAFETY: passed on from the caller.
            unsafe {
                asm!(
                    "tilestored [{sums} + {line}*1], tmm0",
                    "tilestored [{sums} + {line}*1 + 64], tmm1",
                    $(concat!($both, "tilestored [{sums} + {line}*1 + 2048], tmm2"),
                    "tilestored [{sums} + {line}*1 + 2112], tmm3",)?
                    sums = in(reg) sums,
                    line = in(reg) LINE,
                    options(nostack, preserves_flags),
                );
            }
        }
    };
}

blocks_of_rows!(load_one, multiply_one, store_one);
blocks_of_rows!(load_two, multiply_two, store_two, "" _);

/// Blocks of bf16, summed in f32.
pub(crate) struct AmxBf16;

impl Isa<bf16> for AmxBf16 {
    /// Processors with the unit have AVX-512 with bf16.
    type Registers = Avx512Bf16;

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
                let rows_left = rows - done;
                let first = source.values.as_ptr().wrapping_add(source.first);
                let first = first.wrapping_add(done * source.row_stride);
                let rows = [first, first.wrapping_add(BLOCK_ROWS * source.row_stride)];
                let stride = source.row_stride * size_of::<bf16>();
                let sums = sums[done * WIDTH..].as_mut_ptr();
                let height = BLOCK_ROWS.min(rows_left);
                let is_double = rows_left >= 2 * BLOCK_ROWS;
                // SAFETY: the caller promises that all rows with every tap lie inside the activations,
                // a panel of `taps · depth` lines, room for all sums, and the unit.
                unsafe {
                    shape(height);
                    match (goes_on, is_double) {
                        (false, _) => empty(),
                        (true, false) => load_one(sums),
                        (true, true) => load_two(sums),
                    }
                    for (index, tap) in source.taps.iter().enumerate() {
                        let rows = rows.map(|row| row.wrapping_add(*tap));
                        let panel = panel.as_ptr().wrapping_add(index * whole * WIDTH);
                        if is_double {
                            multiply_two(rows, stride, panel, blocks);
                        } else {
                            multiply_one(rows, stride, panel, blocks);
                        }
                    }
                    if is_double { store_two(sums) } else { store_one(sums) }
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

/// One or two blocks of rows that are multiplied at once, of whatever groups: narrow pictures have few
/// rows in one.
struct Pair {
    first: Block,
    second: Option<Block>,
}

impl Pair {
    /// Returns the row, over all groups, whose sums stand in a line, unless it is done already.
    #[inline(always)]
    fn row(&self, line: usize) -> Option<usize> {
        let block = if line < BLOCK_ROWS { self.first } else { self.second? };
        let at = line % BLOCK_ROWS;
        (block.done..block.height).contains(&at).then_some(block.row + at)
    }
}

/// Joins blocks of one height in pairs.
fn pairs(blocks: &[Block]) -> Vec<Pair> {
    let mut pairs = Vec::with_capacity(blocks.len().div_ceil(2));
    let mut left = blocks.iter().copied().peekable();
    while let Some(first) = left.next() {
        let second = left.next_if(|second| second.height == first.height);
        pairs.push(Pair { first, second });
    }
    pairs
}

/// Runs one task as `product::task_of` does.
///
/// What happens to the sums of a pair of blocks is done line by line while the unit multiplies the next
/// pair: the processor does both at once where instructions of both stand close together. What a line
/// is finished with and written to is asked for a pair ahead: line by line, the processor would wait
/// for memory every time.
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
    let pairs = pairs(&blocks);
    let depth_blocks = depth / BLOCK_DEPTH;
    // So many blocks of depth between lines that are finished, of one tap.
    let steps = source.taps.len() * depth_blocks;
    let stretch = steps.div_ceil(2 * BLOCK_ROWS).min(depth_blocks);
    let stretches = source.taps.len() * depth_blocks.div_ceil(stretch);
    let lines = (2 * BLOCK_ROWS).div_ceil(stretches);
    let stride = source.row_stride * size_of::<bf16>();
    let columns_of = |panel: usize| {
        let column = panel * WIDTH;
        [column, WIDTH.min(panels.outputs() - column)]
    };
    let mut buffers = [Buffer([0f32; 32 * 32]), Buffer([0f32; 32 * 32])];
    // What was multiplied last: a panel and a pair.
    let mut before: Option<(usize, &Pair)> = None;
    let every = part.panels.flat_map(|panel| pairs.iter().map(move |pair| Some((panel, pair))));
    // One turn more, for the last sums.
    for (turn, now) in every.chain([None]).enumerate() {
        let [Buffer(first), Buffer(second)] = &mut buffers;
        let (sums, sums_before) = if turn % 2 == 0 { (first, second) } else { (second, first) };
        let weights = now.map_or(std::ptr::null(), |(panel, pair)| {
            // SAFETY: the caller promises the unit.
            unsafe {
                shape(pair.first.height);
                empty();
            }
            panels.panel::<bf16>(panel).as_ptr()
        });
        let (mut tap, mut done) = (0, 0);
        for stretch_index in 0..stretches {
            if let Some((_, pair)) = now {
                let second = pair.second.unwrap_or(pair.first);
                let count = stretch.min(depth_blocks - done);
                let from = source.taps[tap] + done * BLOCK_DEPTH;
                let rows = [pair.first, second]
                    .map(|block| source.values.as_ptr().wrapping_add(block.first + from));
                let panel = weights.wrapping_add((tap * depth + done * BLOCK_DEPTH) * WIDTH);
                // SAFETY: the blocks lie inside the activations with every tap (checked above), a
                // panel holds taps · depth · width numbers by construction; the caller promises the
                // unit.
                unsafe {
                    match pair.second {
                        Some(_) => multiply_two(rows, stride, panel, count),
                        None => multiply_one(rows, stride, panel, count),
                    }
                }
                done += count;
                if done == depth_blocks {
                    (tap, done) = (tap + 1, 0);
                }
            }
            let lines = stretch_index * lines..(2 * BLOCK_ROWS).min((stretch_index + 1) * lines);
            for line in lines {
                if let Some((panel, pair)) = now
                    && let Some(row) = pair.row(line)
                {
                    let [column, columns] = columns_of(panel);
                    finish.expect(row, column, columns);
                }
                if let Some((panel, pair)) = before
                    && let Some(row) = pair.row(line)
                {
                    let [column, columns] = columns_of(panel);
                    let values = &sums_before[line * WIDTH..][..columns];
                    // SAFETY: passed on from the caller.
                    unsafe { finish.finish::<bf16, Avx512Bf16>(&Sums { row, column, values }) };
                }
            }
        }
        if let Some((_, pair)) = now {
            // SAFETY: a buffer holds two blocks of sums; the caller promises the unit.
            unsafe {
                match pair.second {
                    Some(_) => store_two(sums.as_mut_ptr()),
                    None => store_one(sums.as_mut_ptr()),
                }
            }
        }
        before = now;
    }
    // SAFETY: passed on from the caller.
    unsafe { AmxBf16::leave() };
}
