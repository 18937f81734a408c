//! Attention over rows of any layout: blocks of queries, blocks of keys, softmax as it goes along.

use half::bf16;
use rayon::prelude::*;

use super::element::Element;
use super::level::Level;
use super::micro::{Isa, Portable, Rows};
use super::panels::{Held, Kind, PanelShape, Panels};
use super::precision::Precision;
use super::scratch::Scratch;
use super::shared::Shared;

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

/// Rows of queries that are worked on together.
const QUERIES: usize = 48;

/// Keys of a block.
const KEYS: usize = 256;

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
    [q, k, v]: [Vectors<'_, T>; 3],
    out: &mut [O],
) {
    let Attend { sequences, head_width, is_causal, .. } = settings;
    q.check(sequences, head_width);
    k.check(sequences, head_width);
    v.check(sequences, head_width);
    assert!(k.rows == v.rows && k.heads == v.heads, "every key has its value");
    assert!(k.heads > 0 && q.heads % k.heads == 0, "heads of queries share heads of keys");
    assert_eq!(out.len(), sequences * q.rows * q.heads * head_width, "every query has its output");
    assert!(!is_causal || q.rows <= k.rows, "a query that sees keys up to itself is one of them");
    let kind = Kind::of(level, Precision::Fast);
    assert!(T::KIND == Kind::F32 || T::KIND == kind, "the processor multiplies such numbers");
    if out.is_empty() {
        return;
    }
    let shared = q.heads / k.heads;
    // Panels of three registers where they waste less.
    let lanes = level.panel_width() / 2;
    let waste = |registers: usize| head_width.next_multiple_of(registers * lanes);
    let registers = if waste(3) < waste(2) { 3 } else { 2 };
    let packed: Vec<[Panels; 2]> = (0..sequences * k.heads)
        .into_par_iter()
        .map(|index| {
            let (sequence, head) = (index / k.heads, index % k.heads);
            let keys = PanelShape { outputs: k.rows, taps: 1, depth: head_width, registers: 2 };
            let keys = Panels::of_outputs(level, keys, |row| k.at(sequence, row, head, head_width));
            let values = PanelShape { outputs: head_width, taps: 1, depth: v.rows, registers };
            let values =
                Panels::of_places(level, values, |row| v.at(sequence, row, head, head_width));
            [keys, values]
        })
        .collect();
    let blocks = q.rows.div_ceil(QUERIES);
    let out = Shared::new(out);
    (0..sequences * q.heads * blocks).into_par_iter().with_max_len(1).for_each(|task| {
        let (index, block) = (task / blocks, task % blocks);
        let (sequence, head) = (index / q.heads, index % q.heads);
        let rows = block * QUERIES..q.rows.min((block + 1) * QUERIES);
        let [keys, values] = &packed[sequence * k.heads + head / shared];
        let head = Head { q, sequence, head, rows, keys, values, settings };
        match (T::KIND, level) {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level's instructions are there, since panels were packed for it.
            (Kind::Bf16, _) => unsafe { avx512_bf16(&head, &out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            (_, level) if level >= Level::Avx512 => unsafe { avx512(&head, &out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            (_, Level::Avx2) => unsafe { avx2(&head, &out) },
            // SAFETY: the portable tiles need nothing of the processor.
            _ => unsafe { block_of::<f32, Portable, T, O>(&head, &out, |a, b, c| a * b + c) },
        }
    });
}

/// A block of queries of one head.
struct Head<'a, T> {
    q: Vectors<'a, T>,
    sequence: usize,
    head: usize,
    rows: std::ops::Range<usize>,
    keys: &'a Panels,
    values: &'a Panels,
    settings: Attend,
}

/// Defines a block compiled for an instruction set.
#[cfg(target_arch = "x86_64")]
macro_rules! block_for {
    ($name:ident, $element:ty, $isa:ty, $features:literal) => {
        #[target_feature(enable = $features)]
        fn $name<T: Held, O: Element>(head: &Head<'_, T>, out: &Shared<'_, O>) {
            // SAFETY: this function may only be called where its features are.
            unsafe { block_of::<$element, $isa, T, O>(head, out, |a, b, c| a.mul_add(b, c)) }
        }
    };
}
#[cfg(target_arch = "x86_64")]
block_for!(avx2, f32, super::micro::Avx2, "avx2,fma,f16c");
#[cfg(target_arch = "x86_64")]
block_for!(avx512, f32, super::micro::Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c");
#[cfg(target_arch = "x86_64")]
block_for!(
    avx512_bf16,
    bf16,
    super::micro::Avx512Bf16,
    "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"
);

/// Computes one block with tiles of `E`, which `T` is.
///
/// # Safety
/// The processor must have the instruction set `I`.
#[inline(always)]
unsafe fn block_of<E: Held, I: Isa<E>, T: Held, O: Element>(
    head: &Head<'_, T>,
    out: &Shared<'_, O>,
    mul_add: impl Fn(f32, f32, f32) -> f32 + Copy,
) {
    let Attend { head_width, scale, is_causal, .. } = head.settings;
    let rows = head.rows.len();
    let depth = head.keys.depth_full();
    let all_keys = head.values.depth();
    let (key_width, value_width) = (head.keys.width(), head.values.width());
    // Scores are taken to base two, so that e^x becomes a shift of the exponent.
    let scale = scale * std::f32::consts::LOG2_E;
    let mut queries = Scratch::<E>::take(rows * depth);
    for (row, line) in head.rows.clone().zip(queries.chunks_exact_mut(depth)) {
        let x = head.q.at(head.sequence, row, head.head, head_width);
        for (line, x) in line.iter_mut().zip(x) {
            *line = E::from_f32(x.to_f32());
        }
        line[head_width..].fill(E::default());
    }
    let sums_width = head.values.count() * value_width;
    let mut sums = Scratch::<f32>::take(rows * sums_width);
    sums.fill(0.0);
    let mut scores = Scratch::<f32>::take(rows * KEYS.next_multiple_of(key_width));
    let stride = KEYS.next_multiple_of(key_width);
    let mut weights = Scratch::<E>::take(rows * stride);
    let mut tile = [0f32; 12 * 32];
    let mut largest = [f32::NEG_INFINITY; QUERIES];
    let mut totals = [0f32; QUERIES];
    let hidden = if is_causal { all_keys - head.q.rows } else { 0 };
    let seen = |row: usize| if is_causal { hidden + row + 1 } else { all_keys };
    let end = seen(head.rows.end - 1);
    for start in (0..end).step_by(KEYS) {
        let count = KEYS.min(end - start);
        let panels = count.div_ceil(key_width);
        // Scores lie panel by panel, in each the rows one after the other.
        for panel in 0..panels {
            let weights = head.keys.panel::<E>(start / key_width + panel);
            let scores = &mut scores[panel * rows * key_width..][..rows * key_width];
            let most = I::rows(head.keys.registers());
            let mut row = 0;
            while row < rows {
                let height = most.min(rows - row);
                let source = Rows {
                    values: &queries[..],
                    first: row * depth,
                    row_stride: depth,
                    taps: &[0],
                    depth,
                };
                // SAFETY: the queries hold all rows, the panel `depth · width` numbers and the scores
                // all rows of it (the slices would have panicked).
                unsafe {
                    I::tile(
                        &source,
                        height,
                        head.keys.registers(),
                        weights,
                        &mut scores[row * key_width..],
                    );
                }
                row += height;
            }
        }
        let padded = count.next_multiple_of(E::GROUP);
        for (row, at) in head.rows.clone().enumerate() {
            let visible = seen(at).saturating_sub(start).min(count);
            let before = largest[row];
            let mut each = [f32::NEG_INFINITY; 16];
            for panel in 0..panels {
                let line = &mut scores[(panel * rows + row) * key_width..][..key_width];
                let inside = visible.saturating_sub(panel * key_width).min(key_width);
                if inside < key_width {
                    line[inside..].fill(f32::NEG_INFINITY);
                }
                raise(&mut each, line);
            }
            let most = before.max(largest_of(each) * scale);
            largest[row] = most;
            // A row that has seen no key yet keeps sums of zero.
            let base = if most == f32::NEG_INFINITY { 0.0 } else { most };
            let factor = if before == f32::NEG_INFINITY { 0.0 } else { (before - base).exp2() };
            let mut parts = [0f32; 16];
            let out = &mut weights[row * stride..][..panels * key_width];
            for (panel, out) in out.chunks_exact_mut(key_width).enumerate() {
                let line = &scores[(panel * rows + row) * key_width..][..key_width];
                for (out, x) in out.as_chunks_mut::<16>().0.iter_mut().zip(line.as_chunks::<16>().0)
                {
                    let mut powers = [0f32; 16];
                    for ((power, x), part) in powers.iter_mut().zip(x).zip(&mut parts) {
                        *power = exp2(mul_add(*x, scale, -base), E::GROUP == 2, mul_add);
                        *part += *power;
                    }
                    // SAFETY: the caller promises the instruction set.
                    unsafe { I::narrow(&powers, out) };
                }
            }
            totals[row] = totals[row] * factor + parts.iter().sum::<f32>();
            if factor != 1.0 {
                sums[row * sums_width..][..sums_width].iter_mut().for_each(|sum| *sum *= factor);
            }
        }
        for index in 0..head.values.count() {
            let panel = &head.values.panel::<E>(index)[start * value_width..];
            let most = I::rows(head.values.registers());
            let mut row = 0;
            while row < rows {
                let height = most.min(rows - row);
                let source = Rows {
                    values: &weights[..],
                    first: row * stride,
                    row_stride: stride,
                    taps: &[0],
                    depth: padded,
                };
                // SAFETY: the weights hold all rows, the panel all keys from `start` on, filled up
                // to whole groups.
                unsafe { I::tile(&source, height, head.values.registers(), panel, &mut tile) };
                for (r, tile) in tile.chunks_exact(value_width).take(height).enumerate() {
                    let sums = &mut sums[(row + r) * sums_width + index * value_width..];
                    for (sum, x) in sums[..value_width].iter_mut().zip(tile) {
                        *sum += x;
                    }
                }
                row += height;
            }
        }
    }
    for (row, at) in head.rows.clone().enumerate() {
        let start = ((head.sequence * head.q.rows + at) * head.q.heads + head.head) * head_width;
        // SAFETY: every row of every head is written once, by one task.
        let out = unsafe { out.part(start, head_width) };
        let factor = 1.0 / totals[row];
        for (out, sum) in out.iter_mut().zip(&sums[row * sums_width..]) {
            *out = O::from_f32(sum * factor);
        }
    }
}

/// Raises sixteen numbers to those of a line, sixteen at a time.
#[inline(always)]
fn raise(most: &mut [f32; 16], line: &[f32]) {
    for chunk in line.as_chunks::<16>().0 {
        for (most, x) in most.iter_mut().zip(chunk) {
            *most = if *x > *most { *x } else { *most };
        }
    }
}

/// Returns the largest of sixteen numbers.
#[inline(always)]
fn largest_of(mut each: [f32; 16]) -> f32 {
    for half in [8, 4, 2, 1] {
        let (low, high) = each.split_at_mut(half);
        for (low, high) in low.iter_mut().zip(high) {
            *low = if *high > *low { *high } else { *low };
        }
    }
    each[0]
}

/// Returns 2^x for x up to 0: to 2e-7, or to 1e-4 where the result is rounded to bf16 anyway.
#[inline(always)]
fn exp2(x: f32, is_coarse: bool, mul_add: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let x = if x < -126.0 { -126.0 } else { x };
    // Adding 1.5·2^23 rounds to an integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x + ROUND;
    let r = x - (shifted - ROUND);
    // Least-squares polynomials at Chebyshev nodes on ±1/2.
    let p = if is_coarse {
        let p = mul_add(5.508_868_4e-2, r, 0.242_604_05);
        let p = mul_add(p, r, 0.693_276_24);
        mul_add(p, r, 0.999_928_94)
    } else {
        let p = mul_add(1.533_757_7e-4, r, 1.339_986e-3);
        let p = mul_add(p, r, 9.618_519_5e-3);
        let p = mul_add(p, r, 5.550_329e-2);
        let p = mul_add(p, r, 0.240_226_45);
        let p = mul_add(p, r, 0.693_147_2);
        mul_add(p, r, 1.0)
    };
    // A masked score ends as 2^-126, which is nothing beside the largest weight of 1.
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}
