//! Activations times packed weights, cut into tasks for the threads.

use std::ops::Range;

use half::bf16;
use rayon::prelude::*;

use super::element::Element;
use super::level::Level;
use super::micro::{Isa, Portable, Rows};
use super::panels::{Held, Panels};
use super::registers::Registers;

/// Says how rows of activations lie in groups (an image row is a group), and what each tap adds.
pub(crate) struct Source<'a, T, B> {
    pub(crate) values: &'a [T],
    /// All rows, over all groups.
    pub(crate) rows: usize,
    /// Rows of a group; the last group may be shorter.
    pub(crate) group_rows: usize,
    /// Where a group's first row begins.
    pub(crate) group_start: B,
    pub(crate) row_stride: usize,
    pub(crate) taps: &'a [usize],
}

/// What an epilogue is given: the sums of one row with the columns of one panel.
pub(crate) struct Sums<'a> {
    /// The row, over all groups.
    pub(crate) row: usize,
    /// The first column.
    pub(crate) column: usize,
    /// One number per column.
    pub(crate) values: &'a [f32],
}

/// What is done with sums. A trait and no closure, so that it is compiled into the task with the
/// instructions that the task may use.
pub(crate) trait Finish: Sync {
    /// Takes the sums of one row and panel.
    ///
    /// # Safety
    /// The processor must have the instruction set of `R`.
    unsafe fn finish<T: Element, R: Registers<T>>(&self, sums: &Sums<'_>);

    /// Asks the processor to fetch what the sums of a row and of `columns` columns from `column` on
    /// will be finished with and written to.
    #[inline(always)]
    fn expect(&self, row: usize, column: usize, columns: usize) {
        let _ = (row, column, columns);
    }
}

/// Writes numbers as elements `O`, with the instructions of `R` where it has some for that.
///
/// # Safety
/// The processor must have the instruction set of `R`.
#[inline(always)]
pub(crate) unsafe fn write_line<T: Element, R: Registers<T>, O: Element>(
    line: &[f32],
    out: &mut [O],
) {
    let (chunks, rest) = line.as_chunks::<16>();
    let (out, out_rest) = out[..line.len()].as_chunks_mut::<16>();
    for (out, chunk) in out.iter_mut().zip(chunks) {
        if O::GROUP == 2 && T::GROUP == 2 {
            // SAFETY: only bf16 stands in pairs, so `O` is `T`; the caller promises the rest.
            unsafe { R::narrow(chunk, &mut *std::ptr::from_mut(out).cast::<[T; 16]>()) };
        } else {
            for (out, number) in out.iter_mut().zip(chunk) {
                *out = O::from_f32(*number);
            }
        }
    }
    for (out, number) in out_rest.iter_mut().zip(rest) {
        *out = O::from_f32(*number);
    }
}

/// Rows of a task: its activations pass through the cache once per panel, so many are good, but every
/// thread should get several tasks.
const TASK_ROWS: usize = 1024;

/// Multiplies every row with every column and hands the sums, a row and panel at a time, to
/// `finish`, from several threads at once but every pair of row and column once.
///
/// # Panics
/// When a row does not lie inside the source.
pub(crate) fn product<T, B, F>(panels: &Panels, source: &Source<'_, T, B>, finish: F)
where
    T: Held + Dispatch,
    B: Fn(usize) -> usize + Sync,
    F: Finish,
{
    assert_eq!(source.taps.len(), panels.taps(), "the taps are those of the weights");
    if source.rows == 0 || panels.outputs() == 0 {
        return;
    }
    let groups = source.rows.div_ceil(source.group_rows);
    // Several tasks per thread even out interruptions.
    let wanted = 4 * rayon::current_num_threads();
    let task_groups =
        groups.div_ceil(wanted).max(1).clamp(1, TASK_ROWS.div_ceil(source.group_rows));
    // Where activations are few, panels are shared out instead, so that each is read only once.
    let is_wide = source.rows * T::GROUP < panels.width() * panels.count() && source.rows <= 512;
    let task_groups = if is_wide { groups } else { task_groups };
    let row_tasks = groups.div_ceil(task_groups);
    let column_tasks = wanted.div_ceil(row_tasks).min(panels.count());
    let task_panels =
        if row_tasks >= wanted { panels.count() } else { panels.count().div_ceil(column_tasks) };
    let column_tasks = panels.count().div_ceil(task_panels);
    let run = |task: usize| {
        let (row_task, column_task) = (task / column_tasks, task % column_tasks);
        let part = Part {
            groups: row_task * task_groups..groups.min((row_task + 1) * task_groups),
            panels: column_task * task_panels..panels.count().min((column_task + 1) * task_panels),
        };
        T::run(panels, source, part, &finish);
    };
    let tasks = row_tasks * column_tasks;
    if tasks == 1 {
        run(0);
    } else {
        (0..tasks).into_par_iter().with_max_len(1).for_each(run);
    }
}

/// Multiplies as [`product`] does, on this thread alone.
pub(crate) fn product_here<T, B, F>(panels: &Panels, source: &Source<'_, T, B>, finish: F)
where
    T: Held + Dispatch,
    B: Fn(usize) -> usize + Sync,
    F: Finish,
{
    assert_eq!(source.taps.len(), panels.taps(), "the taps are those of the weights");
    if source.rows > 0 {
        let groups = 0..source.rows.div_ceil(source.group_rows);
        T::run(panels, source, Part { groups, panels: 0..panels.count() }, &finish);
    }
}

/// What one task does.
pub(crate) struct Part {
    pub(super) groups: Range<usize>,
    pub(super) panels: Range<usize>,
}

/// Runs a task with the instructions that the panels are packed for.
pub(crate) trait Dispatch: Element {
    /// Runs one task.
    fn run<B, F>(panels: &Panels, source: &Source<'_, Self, B>, part: Part, finish: &F)
    where
        B: Fn(usize) -> usize,
        F: Finish;
}

impl Dispatch for f32 {
    fn run<B, F>(panels: &Panels, source: &Source<'_, Self, B>, part: Part, finish: &F)
    where
        B: Fn(usize) -> usize,
        F: Finish,
    {
        match panels.level() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: panels are only packed for a level that the processor was found to have.
            level if level >= Level::Avx512 => unsafe { avx512(panels, source, part, finish) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Level::Avx2 => unsafe { avx2(panels, source, part, finish) },
            // SAFETY: the portable tile needs nothing of the processor.
            _ => unsafe { task_of::<Self, Portable, _, _>(panels, source, part, finish) },
        }
    }
}

impl Dispatch for bf16 {
    fn run<B, F>(panels: &Panels, source: &Source<'_, Self, B>, part: Part, finish: &F)
    where
        B: Fn(usize) -> usize,
        F: Finish,
    {
        #[cfg(target_arch = "x86_64")]
        match panels.level() {
            // SAFETY: panels are only packed for a level that the processor was found to have.
            Level::AmxBf16 => unsafe { amx_bf16(panels, source, part, finish) },
            // SAFETY: panels of bf16 are only packed at levels whose processors multiply it.
            _ => unsafe { avx512_bf16(panels, source, part, finish) },
        }
        #[cfg(not(target_arch = "x86_64"))]
        unreachable!("panels of bf16 are only packed where they can be multiplied")
    }
}

/// Defines a task compiled for an instruction set.
#[cfg(target_arch = "x86_64")]
macro_rules! task_for {
    ($name:ident, $element:ty, $isa:ty, $features:literal) => {
        #[target_feature(enable = $features)]
        fn $name<B, F>(panels: &Panels, source: &Source<'_, $element, B>, part: Part, finish: &F)
        where
            B: Fn(usize) -> usize,
            F: Finish,
        {
            // SAFETY: this function may only be called where its features are.
            unsafe { task_of::<$element, $isa, B, F>(panels, source, part, finish) }
        }
    };
}
#[cfg(target_arch = "x86_64")]
task_for!(avx2, f32, super::micro::Avx2, "avx2,fma,f16c");
#[cfg(target_arch = "x86_64")]
task_for!(avx512, f32, super::micro::Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c");
#[cfg(target_arch = "x86_64")]
task_for!(
    avx512_bf16,
    bf16,
    super::micro::Avx512Bf16,
    "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"
);

/// Runs one task on the matrix unit.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
fn amx_bf16<B, F>(panels: &Panels, source: &Source<'_, bf16, B>, part: Part, finish: &F)
where
    B: Fn(usize) -> usize,
    F: Finish,
{
    // SAFETY: this function may only be called where its features and the unit are.
    unsafe { super::amx::task(panels, source, part, finish) }
}

/// The sums of the largest tile of any level, none of which lies across two cache lines.
#[repr(align(64))]
pub(super) struct Buffer(pub(super) [f32; 32 * 32]);

/// Runs one task: each panel over all its rows, so that the panel is read from the near cache.
///
/// # Safety
/// The processor must have the instruction set `I`.
#[inline(always)]
pub(super) unsafe fn task_of<T, I, B, F>(
    panels: &Panels,
    source: &Source<'_, T, B>,
    part: Part,
    finish: &F,
) where
    T: Held,
    I: Isa<T>,
    B: Fn(usize) -> usize,
    F: Finish,
{
    let Buffer(buffer) = &mut Buffer([0f32; 32 * 32]);
    let (registers, depth) = (panels.registers(), panels.depth_full());
    let width = registers * I::Registers::LANES;
    assert_eq!(width, panels.width(), "panels are as wide as the level's tiles");
    for index in part.panels {
        let panel = panels.panel::<T>(index);
        let column = index * width;
        let columns = width.min(panels.outputs() - column);
        for group in part.groups.clone() {
            let group_row = group * source.group_rows;
            let count = source.group_rows.min(source.rows - group_row);
            let mut rows = Rows {
                values: source.values,
                first: (source.group_start)(group),
                row_stride: source.row_stride,
                taps: source.taps,
                depth,
            };
            assert!(rows.fits(count), "a group lies inside its activations");
            let (first, mut done) = (rows.first, 0);
            while done < count {
                let tile = I::next(done, count, registers);
                rows.first = first + tile.start * source.row_stride;
                // SAFETY: the caller promises the instruction set; the group fits (checked above),
                // a panel holds taps · depth · width numbers by construction, the buffer any tile.
                unsafe { I::tile(&rows, tile.len(), registers, panel, buffer, false) };
                let lines = tile.clone().zip(buffer.chunks_exact(width)).skip(done - tile.start);
                for (row, sums) in lines {
                    let row = group_row + row;
                    let sums = Sums { row, column, values: &sums[..columns] };
                    // SAFETY: passed on from the caller.
                    unsafe { finish.finish::<T, I::Registers>(&sums) };
                }
                done = tile.end;
            }
        }
    }
    // SAFETY: passed on from the caller.
    unsafe { I::leave() };
}
