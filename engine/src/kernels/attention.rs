//! Attention over sequences of different lengths, with the norm and rotation of queries and keys.

use std::ops::Range;

use rayon::prelude::*;

use super::element::Element;
use super::elementwise::exp;
use super::level::{Level, per_level};
use super::norm::rms_factor;
use super::panels::Panels;
use super::product::{Finish, Source, Sums, product_here};
use super::registers::Registers;
use super::shared::Shared;

/// Holds the sizes of an attention layer.
#[derive(Debug, Clone, Copy)]
pub struct AttentionShape {
    /// Number of heads.
    pub heads: usize,
    /// Numbers per head.
    pub head_width: usize,
}

/// Turns queries and keys by their places: cosines and sines, `[rows, head_width / 2]`.
///
/// A head's numbers are two halves, and in each half number `i` and number `i + quarter` form a
/// pair; column `i` of the tables belongs to the pairs of the first half, column `quarter + i` to
/// those of the second.
#[derive(Debug, Clone, Copy)]
pub struct Rotation<'a> {
    /// Cosines.
    pub cos: &'a [f32],
    /// Sines.
    pub sin: &'a [f32],
}

/// Holds the learnt scales of the norms of queries and keys, `head_width` numbers each.
#[derive(Debug, Clone, Copy)]
pub struct HeadNorms<'a> {
    /// For queries.
    pub query: &'a [f32],
    /// For keys.
    pub key: &'a [f32],
    /// Added to the mean square.
    pub eps: f32,
}

/// Computes softmax(q kᵀ / √head_width) v for each sequence and head.
///
/// `qkv` is `[rows, 3, heads, head_width]`, the rows of all sequences one after the other; `out` is
/// `[rows, heads, head_width]`. Queries and keys are first divided by their root mean square and
/// multiplied with the norms' scales, then turned by the rotation, whose rows are those of `qkv`.
///
/// # Panics
/// When a slice is not as long as the shapes say, or a span lies outside the rows.
pub fn attention(
    level: Level,
    qkv: &[f32],
    shape: AttentionShape,
    spans: &[Range<usize>],
    norms: HeadNorms<'_>,
    rotation: Option<Rotation<'_>>,
    out: &mut [f32],
) {
    let AttentionShape { heads, head_width } = shape;
    let width = heads * head_width;
    let rows = out.len() / width;
    assert_eq!(qkv.len(), 3 * rows * width, "there are a query, key and value per output");
    assert!(spans.iter().all(|span| span.end <= rows), "every span lies inside the rows");
    if let Some(rotation) = rotation {
        let len = rows * head_width / 2;
        assert!(rotation.cos.len() == len && rotation.sin.len() == len, "every row has its angle");
    }
    let tasks: Vec<_> =
        spans.iter().flat_map(|span| (0..heads).map(move |head| (span.clone(), head))).collect();
    let results: Vec<Vec<f32>> = tasks
        .par_iter()
        .map(|(span, head)| {
            let head = Head { qkv, shape, head: *head, span: span.clone(), norms, rotation };
            head.run(level)
        })
        .collect();
    for ((span, head), result) in tasks.iter().zip(results) {
        for (row, values) in span.clone().zip(result.chunks_exact(head_width)) {
            out[row * width + head * head_width..][..head_width].copy_from_slice(values);
        }
    }
}

/// One head of one sequence.
struct Head<'a> {
    qkv: &'a [f32],
    shape: AttentionShape,
    head: usize,
    span: Range<usize>,
    norms: HeadNorms<'a>,
    rotation: Option<Rotation<'a>>,
}

impl Head<'_> {
    /// Returns the query (0), key (1) or value (2) of a row of the sequence.
    fn vector(&self, row: usize, which: usize) -> &[f32] {
        let AttentionShape { heads, head_width } = self.shape;
        &self.qkv
            [((self.span.start + row) * 3 + which) * heads * head_width + self.head * head_width..]
            [..head_width]
    }

    /// Collects queries or keys, normed, turned and scaled: `[length, head_width]`.
    fn prepared(&self, which: usize, scale: &[f32], factor: f32) -> Vec<f32> {
        let width = self.shape.head_width;
        let mut out = vec![0f32; self.span.len() * width];
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let table = |table: &'_ [f32]| -> Vec<f32> {
                table[(self.span.start + row) * width / 2..][..width / 2].to_vec()
            };
            let tables = self.rotation.map(|r| (table(r.cos), table(r.sin)));
            let tables = tables.as_ref().map(|(cos, sin)| (cos.as_slice(), sin.as_slice()));
            prepare(self.vector(row, which), scale, self.norms.eps, factor, tables, out);
        }
        out
    }

    fn run(&self, level: Level) -> Vec<f32> {
        let width = self.shape.head_width;
        let length = self.span.len();
        let queries = self.prepared(0, self.norms.query, (width as f32).sqrt().recip());
        let keys = self.prepared(1, self.norms.key, 1.0);
        let keys = Panels::linear(level, length, width, &keys);
        let values =
            Panels::pack(level, width, 1, length, |column, _, row| self.vector(row, 2)[column]);
        let mut out = vec![0f32; length * width];
        // A block of queries at a time: the scores stay in the near cache however long the rest is.
        const BLOCK: usize = 48;
        let mut scores = vec![0f32; BLOCK.min(length) * length];
        for (queries, out) in queries.chunks(BLOCK * width).zip(out.chunks_mut(BLOCK * width)) {
            let rows = queries.len() / width;
            let scores = &mut scores[..rows * length];
            times(queries, rows, width, &keys, scores);
            let mut sums = [0f32; BLOCK];
            softmax_rows(scores, length, &mut sums);
            times(scores, rows, length, &values, out);
            for (out, sum) in out.chunks_exact_mut(width).zip(sums) {
                out.iter_mut().for_each(|out| *out /= sum);
            }
        }
        out
    }
}

/// Multiplies rows with panels, in one task.
fn times(x: &[f32], rows: usize, depth: usize, panels: &Panels, out: &mut [f32]) {
    let source = Source {
        values: x,
        rows,
        group_rows: rows,
        group_start: |_| 0,
        row_stride: depth,
        taps: &[0],
    };
    let width = panels.outputs();
    product_here(panels, &source, Copier { width, out: Shared::new(out) });
}

/// Writes sums as they are.
struct Copier<'a> {
    width: usize,
    out: Shared<'a, f32>,
}

impl Finish for Copier<'_> {
    #[inline(always)]
    unsafe fn finish<T: Element, R: Registers<T>>(&self, sums: &Sums<'_>) {
        let start = sums.row * self.width + sums.column;
        // SAFETY: every pair of row and panel is finished once.
        let out = unsafe { self.out.part(start, sums.values.len()) };
        out.copy_from_slice(sums.values);
    }
}

per_level! {
    /// Norms, scales and turns one query or key.
    fn prepare(
        x: &[f32],
        scale: &[f32],
        eps: f32,
        factor: f32,
        tables: Option<(&[f32], &[f32])>,
        out: &mut [f32],
    ) {
        let factor = rms_factor(x, eps) * factor;
        for ((out, x), scale) in out.iter_mut().zip(x).zip(scale) {
            *out = x * factor * scale;
        }
        if let Some((cos, sin)) = tables {
            let quarter = out.len() / 4;
            for (half, out) in out.chunks_exact_mut(2 * quarter).enumerate() {
                let (first, second) = out.split_at_mut(quarter);
                let cos = &cos[half * quarter..][..quarter];
                let sin = &sin[half * quarter..][..quarter];
                for (((u, v), c), s) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                    (*u, *v) = (*u * c - *v * s, *u * s + *v * c);
                }
            }
        }
    }
}

per_level! {
    /// Replaces scores by e^(score - largest) and writes the sum of every row.
    fn softmax_rows(scores: &mut [f32], length: usize, sums: &mut [f32]) {
        for (row, sum) in scores.chunks_exact_mut(length).zip(sums) {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut parts = [0f32; 16];
            let mut chunks = row.chunks_exact_mut(16);
            for chunk in &mut chunks {
                for (value, part) in chunk.iter_mut().zip(&mut parts) {
                    *value = exp(*value - largest);
                    *part += *value;
                }
            }
            *sum = parts.iter().sum();
            for value in chunks.into_remainder() {
                *value = exp(*value - largest);
                *sum += *value;
            }
        }
    }
}
