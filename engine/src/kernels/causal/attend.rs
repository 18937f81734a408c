//! Softmax(q kᵀ) v over the cache, a span of tokens at a time.

use std::ops::Range;

use super::CausalShape;
use super::cache::KeyValues;
use crate::kernels::elementwise::{exp, tanh};
use crate::kernels::level::{Level, per_level};
use crate::kernels::quantized::activations::Parts;
use crate::kernels::quantized::form::PANEL;
use crate::kernels::quantized::isa::{plain_rows, with_isa};
use crate::kernels::team::Team;

/// Tokens whose scores are held at once. The shares of a span are computed alone and then joined to
/// those of the spans before it, so that spans can be given to several threads and the bits of a
/// result do not depend on whether they were.
const SPAN: usize = 256;
/// Rows of queries that are worked on at once: their scores stay in the near cache.
const ROWS: usize = 48;

/// Computes softmax(q kᵀ) v for every head of every row: `out` is `[rows, heads, head]`.
///
/// `qkv` and the cache are as [`admit`](super::admit) left them: the rows stand in the cache behind
/// its first `length` tokens. A token sees itself and those before it, as far as the window goes.
///
/// # Panics
/// When a slice is not as long as the shapes say.
pub fn attend(
    team: &mut Team,
    level: Level,
    qkv: &[f32],
    shape: CausalShape,
    cache: &KeyValues,
    length: usize,
    out: &mut [f32],
) {
    let CausalShape { heads, kv_heads, head, .. } = shape;
    let rows = qkv.len() / shape.row();
    assert_eq!(qkv.len(), rows * shape.row(), "rows are whole");
    assert_eq!(out.len(), rows * heads * head, "there is a result for every query");
    assert!(cache.is_for(kv_heads, head), "the cache is for these heads");
    assert!(length + rows <= cache.capacity(), "the rows stand in the cache");
    let parts = Parts { start: out.as_mut_ptr() };
    let group = heads / kv_heads;
    let tokens = (ROWS / group).max(1);
    let blocks = rows.div_ceil(tokens);
    let block = |kv_head: usize, index: usize| Block {
        level,
        qkv,
        shape,
        cache,
        kv_head,
        first: index * tokens,
        tokens: tokens.min(rows - index * tokens),
        length,
    };
    // Each block writes its own heads of its own rows.
    let write = |block: &Block<'_>, sums: &Sums| {
        for row in 0..block.rows() {
            let at = (block.first + row / group) * heads + block.kv_head * group + row % group;
            // SAFETY: the head lies within `out`, and no other block has it.
            sums.write(row, unsafe { parts.slice(at * head, head) });
        }
    };
    if rows > 1 || kv_heads >= 2 * team.threads() {
        return team.run(blocks * kv_heads, &|chunk| {
            // The last blocks look back furthest: they come first, so that none is left alone.
            let block = block(chunk % kv_heads, blocks - 1 - chunk / kv_heads);
            let queries = block.queries();
            let mut sums = Sums::new(block.rows(), head);
            for span in block.spans() {
                sums.join(&block.shares(&queries, span));
            }
            write(&block, &sums);
        });
    }
    // One token: its spans are shared out.
    let spans: Vec<Range<usize>> = block(0, 0).spans().collect();
    let mut shares: Vec<Sums> = (0..kv_heads * spans.len()).map(|_| Sums::default()).collect();
    let slots = Parts { start: shares.as_mut_ptr() };
    team.run(kv_heads * spans.len(), &|chunk| {
        let block = block(chunk / spans.len(), 0);
        let result = block.shares(&block.queries(), spans[chunk % spans.len()].clone());
        // SAFETY: there is a slot for every chunk.
        unsafe { slots.slice(chunk, 1)[0] = result };
    });
    for (kv_head, shares) in shares.chunks_exact(spans.len()).enumerate() {
        let block = block(kv_head, 0);
        let mut sums = Sums::new(block.rows(), head);
        shares.iter().for_each(|shares| sums.join(shares));
        write(&block, &sums);
    }
}

/// Some tokens' queries that share a head of keys and values.
struct Block<'a> {
    level: Level,
    qkv: &'a [f32],
    shape: CausalShape,
    cache: &'a KeyValues,
    kv_head: usize,
    first: usize,
    tokens: usize,
    length: usize,
}

impl Block<'_> {
    fn group(&self) -> usize {
        self.shape.heads / self.shape.kv_heads
    }

    fn rows(&self) -> usize {
        self.tokens * self.group()
    }

    /// Returns the tokens that a row sees.
    fn sight(&self, row: usize) -> Range<usize> {
        let end = self.length + self.first + row / self.group() + 1;
        let window = self.shape.window;
        let start = if window == 0 { 0 } else { end.saturating_sub(window) };
        start..end
    }

    /// Returns the spans that any row sees a part of.
    fn spans(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (start, end) = (self.sight(0).start, self.sight(self.rows() - 1).end);
        (start / SPAN..end.div_ceil(SPAN)).map(move |n| n * SPAN..end.min((n + 1) * SPAN))
    }

    /// Collects the queries: `[rows, head]`.
    fn queries(&self) -> Vec<f32> {
        let (head, group) = (self.shape.head, self.group());
        let mut queries = Vec::with_capacity(self.rows() * head);
        for token in self.first..self.first + self.tokens {
            let start = token * self.shape.row() + self.kv_head * group * head;
            queries.extend_from_slice(&self.qkv[start..][..group * head]);
        }
        queries
    }

    /// Computes what the tokens of one span add.
    fn shares(&self, queries: &[f32], span: Range<usize>) -> Sums {
        let (rows, head) = (self.rows(), self.shape.head);
        let columns = span.len();
        let width = columns.next_multiple_of(PANEL);
        let mut scores = vec![0.0; rows * width];
        for token in span.clone().step_by(PANEL) {
            let lines = self.cache.key_panel(self.kv_head, token).as_ptr();
            let sums = scores[token - span.start..].as_mut_ptr();
            let (x, strides) = (queries.as_ptr(), [head, width]);
            // SAFETY: levels are those of this processor; there are `rows` queries of `head`
            // numbers, a panel of keys has `head` lines, and a row of scores has room for this one.
            with_isa!(self.level, plain_rows(x, lines, head, rows, sums, strides));
        }
        let mut sums = Sums::new(rows, head);
        for (row, scores) in scores.chunks_exact_mut(width).enumerate() {
            let sight = self.sight(row);
            let start = sight.start.saturating_sub(span.start).min(columns);
            let end = sight.end.saturating_sub(span.start).clamp(start, columns);
            softmax(scores, start..end, self.shape.soft_limit, &mut sums.bounds[row]);
        }
        for panel in 0..sums.stride / PANEL {
            let lines = self.cache.value_panel(self.kv_head, span.start, columns, panel).as_ptr();
            let (x, strides) = (scores.as_ptr(), [width, sums.stride]);
            let sums = sums.values[panel * PANEL..].as_mut_ptr();
            // SAFETY: as above: `rows` rows of `columns` scores, as many lines of values, and
            // a line of sums in every row.
            with_isa!(self.level, plain_rows(x, lines, columns, rows, sums, strides));
        }
        sums
    }
}

/// Holds, for some rows, sums of values weighted by e^(score - largest).
#[derive(Debug, Default)]
struct Sums {
    head: usize,
    stride: usize,
    /// For each row the largest score, and the sum of the weights.
    bounds: Vec<[f32; 2]>,
    values: Vec<f32>,
}

impl Sums {
    fn new(rows: usize, head: usize) -> Self {
        let stride = head.next_multiple_of(PANEL);
        Self {
            head,
            stride,
            bounds: vec![[f32::NEG_INFINITY, 0.0]; rows],
            values: vec![0.0; rows * stride],
        }
    }

    /// Adds the sums of other tokens.
    fn join(&mut self, other: &Self) {
        let rows = self.bounds.iter_mut().zip(&other.bounds);
        let values = self.values.chunks_exact_mut(self.stride);
        for ((ours, theirs), (mine, other)) in
            rows.zip(values.zip(other.values.chunks_exact(self.stride)))
        {
            join_row(ours, mine, theirs, other);
        }
    }

    fn write(&self, row: usize, out: &mut [f32]) {
        let sum = self.bounds[row][1];
        let values = &self.values[row * self.stride..][..self.head];
        for (out, value) in out.iter_mut().zip(values) {
            *out = value / sum;
        }
    }
}

per_level! {
    /// Adds one row's sums to another's.
    fn join_row(ours: &mut [f32; 2], mine: &mut [f32], theirs: &[f32; 2], other: &[f32]) {
        // A row that saw nothing of one of the spans keeps the bits of the other.
        if theirs[1] == 0.0 {
            return;
        }
        if ours[1] == 0.0 {
            *ours = *theirs;
            mine.copy_from_slice(other);
            return;
        }
        let largest = if ours[0] < theirs[0] { theirs[0] } else { ours[0] };
        let (a, b) = (exp(ours[0] - largest), exp(theirs[0] - largest));
        *ours = [largest, ours[1] * a + theirs[1] * b];
        for (mine, other) in mine.iter_mut().zip(other) {
            *mine = *mine * a + *other * b;
        }
    }
}

per_level! {
    /// Replaces the scores that are seen by e^(score - largest) and all others by 0.
    fn softmax(scores: &mut [f32], seen: Range<usize>, soft_limit: f32, bounds: &mut [f32; 2]) {
        scores[..seen.start].fill(0.0);
        scores[seen.end..].fill(0.0);
        let scores = &mut scores[seen];
        if scores.is_empty() {
            return;
        }
        if soft_limit > 0.0 {
            scores.iter_mut().for_each(|score| *score = tanh(*score / soft_limit) * soft_limit);
        }
        let mut most = [f32::NEG_INFINITY; 16];
        let (lines, rest) = scores.as_chunks::<16>();
        for line in lines {
            for (most, score) in most.iter_mut().zip(line) {
                *most = if *score > *most { *score } else { *most };
            }
        }
        for score in rest {
            most[0] = if *score > most[0] { *score } else { most[0] };
        }
        let largest = most.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut parts = [0.0_f32; 16];
        let (lines, rest) = scores.as_chunks_mut::<16>();
        for line in lines {
            for (score, part) in line.iter_mut().zip(&mut parts) {
                *score = exp(*score - largest);
                *part += *score;
            }
        }
        for (score, part) in rest.iter_mut().zip(&mut parts) {
            *score = exp(*score - largest);
            *part += *score;
        }
        *bounds = [largest, parts.iter().sum()];
    }
}
