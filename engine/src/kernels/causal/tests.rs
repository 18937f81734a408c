//! Attention over a cache against plain loops in f64.

use super::*;
use crate::kernels::{Level, Team};

/// Numbers that look random and are the same everywhere, in -1..1.
fn noise(len: usize, salt: u64) -> Vec<f32> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// All that a layer's attention is given, for `tokens` tokens.
struct Case {
    shape: CausalShape,
    tokens: usize,
    qkv: Vec<f32>,
    cos: Vec<f32>,
    sin: Vec<f32>,
    turned: usize,
    pairs: TurnPairs,
    scales: [Vec<f32>; 2],
}

impl Case {
    fn new(shape: CausalShape, tokens: usize, turned: usize, pairs: TurnPairs) -> Self {
        let angles = noise(tokens * turned / 2, 9);
        Self {
            shape,
            tokens,
            qkv: noise(tokens * shape.row(), 3),
            cos: angles.iter().map(|angle| (3.0 * angle).cos()).collect(),
            sin: angles.iter().map(|angle| (3.0 * angle).sin()).collect(),
            turned,
            pairs,
            scales: [noise(shape.head, 5), noise(shape.head, 6)],
        }
    }

    fn vector(&self, token: usize, place: usize) -> Vec<f64> {
        let at = token * self.shape.row() + place * self.shape.head;
        self.qkv[at..][..self.shape.head].iter().map(|x| f64::from(*x)).collect()
    }

    /// Norms and turns a query or key by plain loops.
    fn prepared(&self, token: usize, place: usize, scale: &[f32]) -> Vec<f64> {
        let x = self.vector(token, place);
        let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        let norm = (mean + 1e-6).sqrt();
        let mut x: Vec<f64> = x.iter().zip(scale).map(|(x, s)| x / norm * f64::from(*s)).collect();
        let half = self.turned / 2;
        for i in 0..half {
            let (a, b) = match self.pairs {
                TurnPairs::Halves => (i, i + half),
                TurnPairs::Neighbours => (2 * i, 2 * i + 1),
            };
            let at = token * half + i;
            let (c, s) = (f64::from(self.cos[at]), f64::from(self.sin[at]));
            (x[a], x[b]) = (x[a] * c - x[b] * s, x[a] * s + x[b] * c);
        }
        x
    }

    fn plain(&self, token: usize, head: usize) -> Vec<f64> {
        let CausalShape { heads, kv_heads, window, query_scale, soft_limit, .. } = self.shape;
        let kv_head = head / (heads / kv_heads);
        let query = self.prepared(token, head, &self.scales[0]);
        let from = if window == 0 { 0 } else { (token + 1).saturating_sub(window) };
        let scores: Vec<f64> = (from..=token)
            .map(|other| {
                let key = self.prepared(other, heads + kv_head, &self.scales[1]);
                let score: f64 = query.iter().zip(&key).map(|(a, b)| a * b).sum();
                let (score, limit) = (score * f64::from(query_scale), f64::from(soft_limit));
                (if limit > 0.0 { (score / limit).tanh() * limit } else { score }).exp()
            })
            .collect();
        let total: f64 = scores.iter().sum();
        let mut out = vec![0.0; self.shape.head];
        for (other, score) in (from..=token).zip(scores) {
            let value = self.vector(other, heads + kv_heads + kv_head);
            for (out, value) in out.iter_mut().zip(value) {
                *out += score / total * value;
            }
        }
        out
    }

    /// Reads the tokens in pieces of these lengths; returns the results of all.
    fn read(&self, level: Level, threads: usize, pieces: &[usize]) -> Vec<f32> {
        let mut team = Team::gather(threads);
        let mut cache = KeyValues::new(self.shape.kv_heads, self.shape.head);
        let [query, key] = &self.scales;
        let norms = Some(HeadScales { query, key, eps: 1e-6 });
        let turn =
            Some(Turn { cos: &self.cos, sin: &self.sin, turned: self.turned, pairs: self.pairs });
        let (row, width) = (self.shape.row(), self.shape.heads * self.shape.head);
        let mut all = Vec::new();
        let mut length = 0;
        for piece in pieces {
            cache.reserve(length, length + piece, 1000);
            let mut qkv = self.qkv[length * row..(length + piece) * row].to_vec();
            admit(&mut team, &mut qkv, self.shape, norms, turn, &mut cache, length);
            let mut out = vec![f32::NAN; piece * width];
            attend(&mut team, level, &qkv, self.shape, &cache, length, &mut out);
            all.extend(out);
            length += piece;
        }
        assert_eq!(length, self.tokens);
        all
    }
}

fn shape(heads: usize, kv_heads: usize, head: usize, window: usize, limit: f32) -> CausalShape {
    CausalShape { heads, kv_heads, head, window, query_scale: 0.3, soft_limit: limit }
}

#[test]
fn attention_agrees_with_a_plain_loop() {
    use TurnPairs::{Halves, Neighbours};
    let cases = [
        Case::new(shape(1, 1, 2, 0, 0.0), 1, 2, Halves),
        Case::new(shape(4, 2, 10, 0, 0.0), 23, 6, Neighbours),
        Case::new(shape(14, 2, 64, 0, 0.0), 290, 64, Halves),
        Case::new(shape(6, 3, 24, 40, 5.0), 560, 24, Halves),
        Case::new(shape(4, 4, 16, 100, 0.0), 300, 16, Neighbours),
    ];
    for level in Level::available() {
        for case in &cases {
            let all = case.tokens;
            let third = all / 3;
            let pieces = if third > 0 { vec![third, third, all - 2 * third] } else { vec![all] };
            let out = case.read(level, 2, &pieces);
            let CausalShape { heads, head, .. } = case.shape;
            for token in (0..all).step_by(7).chain([all - 1]) {
                for h in 0..heads {
                    let got = &out[(token * heads + h) * head..][..head];
                    for (got, want) in got.iter().zip(case.plain(token, h)) {
                        let error = (f64::from(*got) - want).abs();
                        let shape = case.shape;
                        assert!(error < 1e-5, "{level:?} {shape:?} {token} {h}: {got} for {want}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_token_has_the_same_bits_read_alone_and_among_others_and_on_any_number_of_threads() {
    for level in Level::available() {
        for window in [0, 33] {
            let case = Case::new(shape(6, 2, 24, window, 0.0), 530, 24, TurnPairs::Halves);
            let whole = case.read(level, 1, &[530]);
            assert_eq!(whole, case.read(level, 2, &[530]), "{level:?}");
            let mut pieces = vec![500, 1, 1, 17];
            pieces.resize(15, 1);
            assert_eq!(whole, case.read(level, 2, &pieces), "{level:?}");
        }
    }
}

#[test]
fn a_cache_grows_by_doubling_and_not_beyond_what_is_needed() {
    let mut cache = KeyValues::new(2, 8);
    cache.reserve(0, 3, 1000);
    assert_eq!(cache.capacity(), 256);
    cache.reserve(3, 257, 1000);
    assert_eq!(cache.capacity(), 512);
    cache.reserve(257, 600, 700);
    assert_eq!(cache.capacity(), 704);
    cache.reserve(600, 704, 700);
    assert_eq!(cache.capacity(), 704);
}
