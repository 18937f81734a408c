//! Attention over rows of any layout: blocks of queries, blocks of keys, softmax as it goes along.

use half::bf16;
use rayon::prelude::*;

use super::element::Element;
use super::elementwise::exp2;
use super::level::Level;
use super::micro::{Isa, Portable, Rows};
use super::panels::{Held, Kind};
use super::registers::Registers;
use super::scratch::Scratch;
use super::shared::Shared;
use crate::protocol::Precision;

/// Says where vectors lie: head `h` of row `r` of sequence `s` is
/// `values[(s · rows + r) · stride + first + h · head_width ..][.. head_width]`.
#[derive(Debug, Clone, Copy)]
pub struct Vectors<'a, T> {
    /// All numbers.
    pub values: &'a [T],
    /// Rows of a sequence.
    pub rows: usize,
    /// Numbers from one row to the next.
    pub stride: usize,
    /// Where the first head begins.
    pub first: usize,
    /// Number of heads.
    pub heads: usize,
}

impl<'a, T: Copy> Vectors<'a, T> {
    #[inline(always)]
    fn at(&self, sequence: usize, row: usize, head: usize, width: usize) -> &'a [T] {
        let start = (sequence * self.rows + row) * self.stride + self.first + head * width;
        &self.values[start..][..width]
    }

    fn check(&self, sequences: usize, width: usize) {
        let end = self.first + self.heads * width;
        assert!(end <= self.stride, "the heads lie inside a row");
        let len = sequences * self.rows * self.stride;
        assert!(len <= self.values.len(), "every row lies inside the numbers");
    }
}

/// Holds the settings of an attention.
#[derive(Debug, Clone, Copy)]
pub struct Attend {
    /// Sequences, each of which sees only itself.
    pub sequences: usize,
    /// Numbers of a head.
    pub head_width: usize,
    /// Multiplied with the scores.
    pub scale: f32,
    /// Whether query `i` sees keys up to `i + (keys - queries)` only.
    pub is_causal: bool,
}

/// Says what is added to scores, after they were scaled and before the softmax.
#[derive(Debug, Clone, Copy)]
pub enum ScoreBias<'a> {
    /// A number per head, key and query, the same for every sequence: `[heads, keys, queries]`.
    Table(&'a [f32]),
    /// Keys stand in rows of so many on a grid: what each query adds to all keys of a row, then to all
    /// of a column, `[sequences · queries, heads, rows + columns]`.
    Grid {
        /// Keys of a row.
        columns: usize,
        /// The numbers.
        terms: &'a [f32],
    },
}

impl ScoreBias<'_> {
    fn check(&self, sequences: usize, queries: [usize; 2], keys: usize) {
        let [rows, heads] = queries;
        match self {
            Self::Table(values) => {
                assert_eq!(values.len(), heads * keys * rows, "every score has its number");
            }
            Self::Grid { columns, terms } => {
                assert!(*columns > 0 && keys.is_multiple_of(*columns), "the keys fill a grid");
                let terms_each = keys / columns + columns;
                let wanted = sequences * rows * heads * terms_each;
                assert_eq!(terms.len(), wanted, "every query has its numbers");
            }
        }
    }
}

/// What lines of values are filled up to a multiple of where tiles want whole blocks.
const LINES: usize = 16;

/// Keys of a block: their scores stay in the nearest cache.
const KEYS: usize = 128;

/// The most queries of a block, at any level.
const MOST_QUERIES: usize = 3 * 16;

/// Returns the registers of queries that are worked on together. Of AVX2's sixteen registers, sums of
/// four rows by three leave too few for what is multiplied; AMX has blocks for two.
fn registers_at(level: Level, kind: Kind) -> usize {
    match (level, kind) {
        (Level::Avx2, _) | (Level::AmxBf16, Kind::Bf16) => 2,
        _ => 3,
    }
}

/// Returns what depths are filled up to a multiple of with zeros.
fn group_at<T: Held>(level: Level) -> usize {
    match (level, T::KIND) {
        (Level::AmxBf16, Kind::Bf16) => 32,
        _ => T::GROUP,
    }
}

/// Multiplications between two questions whether to go on: some 30 ms on two cores in f32.
/// Few in tests, whose shapes are small.
const ROUND: usize = if cfg!(test) { 20_000 } else { 2_000_000_000 };

/// Computes softmax(scale · q kᵀ) v for each sequence and head: `out[sequence · queries, heads,
/// head_width]`.
///
/// Heads of queries share those of keys and values in runs where there are fewer of these. The
/// products are those of `T`: bf16 needs [`Level::Avx512Bf16`].
///
/// # Panics
/// When vectors do not lie inside their slices, `out` is not as long as the shapes say, the heads of
/// keys do not divide those of queries, or the processor cannot multiply `T`.
pub fn attend<T: Held, O: Element>(
    level: Level,
    settings: Attend,
    vectors: [Vectors<'_, T>; 3],
    out: &mut [O],
) {
    attend_until(level, settings, vectors, out, None);
}

/// Computes as [`attend`] does, and asks `stop` from time to time whether to stop; what is not yet
/// written then stays as it was.
///
/// # Panics
/// As [`attend`].
pub fn attend_until<T: Held, O: Element>(
    level: Level,
    settings: Attend,
    vectors: [Vectors<'_, T>; 3],
    out: &mut [O],
    stop: Option<&dyn Fn() -> bool>,
) {
    attend_biased(level, settings, vectors, None, out, stop);
}

/// Computes as [`attend_until`] does, with a bias on the scores.
///
/// # Panics
/// As [`attend`], and when the bias is not as long as the shapes say.
pub fn attend_biased<T: Held, O: Element>(
    level: Level,
    settings: Attend,
    [q, k, v]: [Vectors<'_, T>; 3],
    bias: Option<ScoreBias<'_>>,
    out: &mut [O],
    stop: Option<&dyn Fn() -> bool>,
) {
    let Attend { sequences, head_width, is_causal, .. } = settings;
    q.check(sequences, head_width);
    k.check(sequences, head_width);
    v.check(sequences, head_width);
    assert!(k.rows == v.rows && k.heads == v.heads, "every key has its value");
    assert!(k.heads > 0 && q.heads % k.heads == 0, "heads of queries share heads of keys");
    assert_eq!(out.len(), sequences * q.rows * q.heads * head_width, "every query has its output");
    assert!(!is_causal || q.rows <= k.rows, "a query that sees keys up to itself is one of them");
    if let Some(bias) = bias {
        bias.check(sequences, [q.rows, q.heads], k.rows);
    }
    let kind = Kind::of(level, Precision::Fast);
    assert!(T::KIND == Kind::F32 || T::KIND == kind, "the processor multiplies such numbers");
    if out.is_empty() {
        return;
    }
    let (shared, group) = (q.heads / k.heads, group_at::<T>(level));
    let packed: Vec<Keys<T>> = (0..sequences * k.heads)
        .into_par_iter()
        .map(|index| Keys::pack(&k, &v, [index / k.heads, index % k.heads], [head_width, group]))
        .collect();
    let block_rows = registers_at(level, T::KIND) * level.panel_width() / 2;
    let blocks = q.rows.div_ceil(block_rows);
    let out = Shared::new(out);
    let work = |task: usize| {
        let (index, block) = (task / blocks, task % blocks);
        let (sequence, head) = (index / q.heads, index % q.heads);
        let rows = block * block_rows..q.rows.min((block + 1) * block_rows);
        let keys = &packed[sequence * k.heads + head / shared];
        let head = Head { q, sequence, head, rows, keys, settings, bias };
        match (T::KIND, level) {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level's instructions are there, as was found (see above).
            (Kind::Bf16, Level::AmxBf16) => unsafe { amx_bf16(&head, &out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            (Kind::Bf16, _) => unsafe { avx512_bf16(&head, &out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            (_, level) if level >= Level::Avx512 => unsafe { avx512(&head, &out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            (_, Level::Avx2) => unsafe { avx2(&head, &out) },
            // SAFETY: the portable tiles need nothing of the processor.
            _ => unsafe { block_of::<f32, Portable, T, O, 3>(&head, &out) },
        }
    };
    let tasks = sequences * q.heads * blocks;
    let together = match stop {
        Some(_) => (ROUND / (2 * block_rows * k.rows * head_width).max(1)).max(4),
        None => tasks,
    };
    for from in (0..tasks).step_by(together) {
        if stop.is_some_and(|stop| stop()) {
            return;
        }
        let round = from..tasks.min(from + together);
        round.into_par_iter().with_max_len(1).for_each(work);
    }
}

/// The keys and values of one head.
struct Keys<T> {
    /// `[keys, stride]`, of which `full` are numbers, filled up with zeros.
    keys: Scratch<T>,
    full: usize,
    stride: usize,
    /// Turned, block by block: `[blocks, lines, KEYS]`. Rows as long as all keys would often lie
    /// a power of two apart and push each other out of the cache.
    values: Scratch<T>,
    /// Numbers of a value, filled up with zeros where tiles want whole blocks of them.
    lines: usize,
    count: usize,
    /// What depths are filled up to a multiple of.
    group: usize,
}

impl<T: Held> Keys<T> {
    fn pack(
        k: &Vectors<'_, T>,
        v: &Vectors<'_, T>,
        [sequence, head]: [usize; 2],
        [width, group]: [usize; 2],
    ) -> Self {
        let count = k.rows;
        let full = width.next_multiple_of(group);
        // Rows that lie a power of two apart push each other out of the cache.
        let odd = if (full * size_of::<T>()).is_multiple_of(512) { 64 / size_of::<T>() } else { 0 };
        let stride = full + odd;
        let lines = if group > T::GROUP { width.next_multiple_of(LINES) } else { width };
        let zeros = |len: usize| {
            let mut zeros = Scratch::take(len);
            zeros.fill(T::default());
            zeros
        };
        let mut keys = zeros(count.next_multiple_of(group) * stride);
        let mut values = zeros(count.div_ceil(KEYS) * lines * KEYS);
        for (row, line) in keys.chunks_exact_mut(stride).take(count).enumerate() {
            line[..width].copy_from_slice(k.at(sequence, row, head, width));
        }
        for (block, values) in values.chunks_exact_mut(lines * KEYS).enumerate() {
            for (place, row) in (block * KEYS..count.min((block + 1) * KEYS)).enumerate() {
                let numbers = v.at(sequence, row, head, width);
                for (line, number) in values.chunks_exact_mut(KEYS).zip(numbers) {
                    line[place] = *number;
                }
            }
        }
        Self { keys, full, stride, values, lines, count, group }
    }
}

/// A block of queries of one head.
struct Head<'a, T> {
    q: Vectors<'a, T>,
    sequence: usize,
    head: usize,
    rows: std::ops::Range<usize>,
    keys: &'a Keys<T>,
    settings: Attend,
    bias: Option<ScoreBias<'a>>,
}

impl<T> Head<'_, T> {
    /// Turns what the queries of the block add to rows and columns of keys, so that those of all
    /// queries stand side by side: `[rows + columns, width]`. Nothing without such a bias.
    fn terms(&self, width: usize) -> Scratch<f32> {
        let Some(ScoreBias::Grid { columns, terms }) = self.bias else { return Scratch::take(0) };
        let each = self.keys.count / columns + columns;
        let mut turned = Scratch::<f32>::take(each * width);
        turned.fill(0.0);
        let unscaled = 1.0 / self.settings.scale;
        for (query, row) in self.rows.clone().enumerate() {
            let row = self.sequence * self.q.rows + row;
            let numbers = &terms[(row * self.q.heads + self.head) * each..][..each];
            for (line, number) in turned.chunks_exact_mut(width).zip(numbers) {
                line[query] = number * unscaled;
            }
        }
        turned
    }

    /// Adds the bias to unscaled scores of keys from `start` on, `[keys, width]`.
    #[inline(always)]
    fn add_bias(&self, start: usize, scores: &mut [f32], terms: &[f32], width: usize) {
        match self.bias {
            None => {}
            Some(ScoreBias::Table(values)) => {
                let unscaled = 1.0 / self.settings.scale;
                for (key, line) in scores.chunks_exact_mut(width).enumerate() {
                    let first = (self.head * self.keys.count + start + key) * self.q.rows;
                    let numbers = &values[first + self.rows.start..first + self.rows.end];
                    for (score, number) in line.iter_mut().zip(numbers) {
                        *score += number * unscaled;
                    }
                }
            }
            Some(ScoreBias::Grid { columns, .. }) => {
                let rows = self.keys.count / columns;
                for (key, line) in scores.chunks_exact_mut(width).enumerate() {
                    let [row, column] = [(start + key) / columns, (start + key) % columns];
                    let of_row = &terms[row * width..][..width];
                    let of_column = &terms[(rows + column) * width..][..width];
                    for ((score, row), column) in line.iter_mut().zip(of_row).zip(of_column) {
                        *score += row + column;
                    }
                }
            }
        }
    }
}

/// Defines a block compiled for an instruction set.
#[cfg(target_arch = "x86_64")]
macro_rules! block_for {
    ($name:ident, $element:ty, $isa:ty, $registers:literal, $features:literal) => {
        #[target_feature(enable = $features)]
        fn $name<T: Held, O: Element>(head: &Head<'_, T>, out: &Shared<'_, O>) {
            // SAFETY: this function may only be called where its features are.
            unsafe { block_of::<$element, $isa, T, O, $registers>(head, out) }
        }
    };
}
#[cfg(target_arch = "x86_64")]
block_for!(avx2, f32, super::micro::Avx2, 2, "avx2,fma,f16c");
#[cfg(target_arch = "x86_64")]
block_for!(
    avx512,
    f32,
    super::micro::Avx512,
    3,
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"
);
#[cfg(target_arch = "x86_64")]
block_for!(
    avx512_bf16,
    bf16,
    super::micro::Avx512Bf16,
    3,
    "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"
);
#[cfg(target_arch = "x86_64")]
block_for!(
    amx_bf16,
    bf16,
    super::amx::AmxBf16,
    2,
    "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"
);

/// Computes one block with tiles of `E`, which `T` is.
///
/// All is turned: rows are keys, then numbers of the values; columns are queries. So what a query's
/// softmax adds up lies in one lane, and heads of any width fill whole tiles.
///
/// # Safety
/// The processor must have the instruction set `I`.
#[inline(always)]
unsafe fn block_of<E: Held, I: Isa<E>, T: Held, O: Element, const REGISTERS: usize>(
    head: &Head<'_, T>,
    out: &Shared<'_, O>,
) {
    let Attend { head_width, scale, is_causal, .. } = head.settings;
    let Keys { full, stride, lines: value_lines, count: all_keys, group, .. } = *head.keys;
    let (keys, values) = (same::<T, E>(&head.keys.keys), same::<T, E>(&head.keys.values));
    let width = REGISTERS * I::Registers::LANES;
    assert!(head.rows.len() <= width, "a block's queries fit into its registers");
    // Scores are taken to base two, so that e^x becomes a shift of the exponent.
    let scale = scale * std::f32::consts::LOG2_E;
    // The queries one after the other, then as a panel: [group of places, query, place of the group].
    let mut lines = Scratch::<E>::take(width * full);
    lines.fill(E::default());
    for (line, row) in lines.chunks_exact_mut(full).zip(head.rows.clone()) {
        let x = head.q.at(head.sequence, row, head.head, head_width);
        line[..head_width].copy_from_slice(same::<T, E>(x));
    }
    let mut queries = Scratch::<E>::take(full * width);
    let panel = queries.chunks_exact_mut(width * E::GROUP);
    for (group, places) in panel.enumerate() {
        for (query, places) in places.chunks_exact_mut(E::GROUP).enumerate() {
            for (place, number) in places.iter_mut().enumerate() {
                *number = lines[query * full + group * E::GROUP + place];
            }
        }
    }
    let terms = head.terms(width);
    let mut sums = Scratch::<f32>::take(value_lines * width);
    sums.fill(0.0);
    let mut scores = Scratch::<f32>::take(KEYS * width);
    let mut weights = Scratch::<E>::take(KEYS * width);
    let mut largest = [f32::NEG_INFINITY; MOST_QUERIES];
    let mut totals = [0f32; MOST_QUERIES];
    let hidden = if is_causal { all_keys - head.q.rows } else { 0 };
    let end = if is_causal { hidden + head.rows.end } else { all_keys };
    for start in (0..end).step_by(KEYS) {
        let count = KEYS.min(end - start);
        let padded = count.next_multiple_of(group);
        let (rows, mut done) = (if group > E::GROUP { padded } else { count }, 0);
        while done < rows {
            let tile = I::next(done, rows, REGISTERS);
            let source = Rows {
                values: keys,
                first: (start + tile.start) * stride,
                row_stride: stride,
                taps: &[0],
                depth: full,
            };
            let scores = &mut scores[tile.start * width..][..tile.len() * width];
            // SAFETY: the keys hold all rows of this tile, the queries `depth · width` numbers, the
            // scores the tile.
            unsafe { I::tile(&source, tile.len(), REGISTERS, &queries, scores, false) };
            done = tile.end;
        }
        head.add_bias(start, &mut scores[..count * width], &terms, width);
        if is_causal {
            for (row, line) in scores.chunks_exact_mut(width).take(count).enumerate() {
                // The first query that sees this key.
                let first = (start + row).saturating_sub(hidden + head.rows.start).min(width);
                line[..first].fill(f32::NEG_INFINITY);
            }
        }
        scores[count * width..padded * width].fill(f32::NEG_INFINITY);
        let mut lanes = Lanes {
            scores: &scores,
            rows: padded,
            width,
            scale,
            weights: &mut weights,
            largest: &mut largest,
            totals: &mut totals,
            sums: &mut sums,
        };
        for lane in (0..width).step_by(I::Registers::LANES) {
            // SAFETY: passed on from the caller.
            unsafe {
                if I::Registers::LANES == 16 {
                    lanes.soften::<I::Registers, 16>(lane);
                } else {
                    lanes.soften::<I::Registers, 8>(lane);
                }
            }
        }
        let mut done = 0;
        while done < value_lines {
            let tile = I::next(done, value_lines, REGISTERS);
            assert_eq!(tile.start, done, "what is added up is added once");
            let source = Rows {
                values,
                first: start * value_lines + tile.start * KEYS,
                row_stride: KEYS,
                taps: &[0],
                depth: padded,
            };
            let sums = &mut sums[tile.start * width..][..tile.len() * width];
            // SAFETY: the values hold these keys of all rows, filled up to whole groups; the weights
            // `padded · width` numbers; the sums the tile.
            unsafe { I::tile(&source, tile.len(), REGISTERS, &weights, sums, true) };
            done = tile.end;
        }
    }
    // Back to one query after the other.
    let mut turned = Scratch::<f32>::take(width * head_width);
    for (row, line) in sums.chunks_exact(width).take(head_width).enumerate() {
        for (column, sum) in line.iter().enumerate() {
            turned[column * head_width + row] = *sum;
        }
    }
    for (column, row) in head.rows.clone().enumerate() {
        let start = ((head.sequence * head.q.rows + row) * head.q.heads + head.head) * head_width;
        // SAFETY: every row of every head is written once, by one task.
        let out = unsafe { out.part(start, head_width) };
        let factor = 1.0 / totals[column];
        for (out, sum) in out.iter_mut().zip(&turned[column * head_width..]) {
            *out = O::from_f32(sum * factor);
        }
    }
    // SAFETY: passed on from the caller.
    unsafe { I::leave() };
}

/// What the softmax of a block reads and writes: scores and sums lie `width` numbers apart, weights
/// in groups of keys.
struct Lanes<'a, E> {
    scores: &'a [f32],
    rows: usize,
    width: usize,
    scale: f32,
    weights: &'a mut [E],
    largest: &'a mut [f32; MOST_QUERIES],
    totals: &'a mut [f32; MOST_QUERIES],
    sums: &'a mut [f32],
}

impl<E: Held> Lanes<'_, E> {
    /// Turns the scores of `L` queries from `lane` on into weights, lowers what was added up before to
    /// the new largest scores, and adds the weights up.
    ///
    /// # Safety
    /// The processor must have the instruction set of `R`.
    #[inline(always)]
    unsafe fn soften<R: Registers<E>, const L: usize>(&mut self, lane: usize) {
        let (width, scale) = (self.width, self.scale);
        let line = |row: usize| -> &[f32; L] {
            let line = self.scores[row * width + lane..].first_chunk::<L>();
            // A row has `width` numbers, whole registers.
            line.unwrap_or(&[0.0; L])
        };
        // Four at a time, so that one does not wait for the other.
        let mut each = [[f32::NEG_INFINITY; L]; 4];
        let whole = self.rows / 4 * 4;
        for row in (0..whole).step_by(4) {
            for (next, most) in each.iter_mut().enumerate() {
                // SAFETY: passed on from the caller.
                unsafe { R::raise(line(row + next), most) };
            }
        }
        let [mut most, rest @ ..] = each;
        for numbers in rest.iter().chain((whole..self.rows).map(line)) {
            // SAFETY: as above.
            unsafe { R::raise(numbers, &mut most) };
        }
        let mut now = [0f32; L];
        let mut factors = [0f32; L];
        let mut totals = [0f32; L];
        for i in 0..L {
            let before = self.largest[lane + i];
            now[i] = before.max(most[i] * scale);
            // Nothing was added up before the first block, so its factor does not matter.
            factors[i] = exp2(before - now[i], false);
            totals[i] = self.totals[lane + i] * factors[i];
            self.largest[lane + i] = now[i];
        }
        if factors != [1.0; L] {
            for line in self.sums.chunks_exact_mut(width) {
                let Some(sums) = line[lane..].first_chunk_mut() else { continue };
                // SAFETY: as above.
                unsafe { R::multiply(sums, &factors) };
            }
        }
        for row in (0..self.rows).step_by(E::GROUP) {
            let out = &mut self.weights[row * width + lane * E::GROUP..][..L * E::GROUP];
            let mut first = [0f32; L];
            // SAFETY: passed on from the caller.
            unsafe { R::powers(line(row), scale, &now, &mut totals, &mut first) };
            if E::GROUP == 2 {
                let mut second = [0f32; L];
                // SAFETY: as above.
                unsafe {
                    R::powers(line(row + 1), scale, &now, &mut totals, &mut second);
                    R::weave(&first, &second, out);
                }
            } else {
                for (out, power) in out.iter_mut().zip(first) {
                    *out = E::from_f32(power);
                }
            }
        }
        self.totals[lane..][..L].copy_from_slice(&totals);
    }
}

/// Reads numbers as the element that they are.
#[inline(always)]
fn same<T: Held, E: Held>(values: &[T]) -> &[E] {
    assert!(T::KIND == E::KIND, "tiles multiply the numbers that are there");
    // SAFETY: a kind has one element, so both are the same type.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}
