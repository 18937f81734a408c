//! What happens to queries, keys and values before they meet.

use super::CausalShape;
use super::cache::KeyValues;
use crate::kernels::level::per_level;
use crate::kernels::norm::rms_factor;
use crate::kernels::quantized::activations::Parts;
use crate::kernels::team::Team;

/// Says how the turned numbers of a head are paired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnPairs {
    /// 0 with 1, 2 with 3, …
    Neighbours,
    /// Each of the first half with its like in the second half.
    Halves,
}

/// Turns queries and keys by their positions.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// Cosines of all positions: `[positions, turned / 2]`.
    pub cos: &'a [f32],
    /// Sines, likewise.
    pub sin: &'a [f32],
    /// How many numbers of a head turn; even.
    pub turned: usize,
    /// How they are paired.
    pub pairs: TurnPairs,
}

/// Holds the scales of the norms of queries and keys, `head` numbers each.
#[derive(Debug, Clone, Copy)]
pub struct HeadScales<'a> {
    /// For queries.
    pub query: &'a [f32],
    /// For keys.
    pub key: &'a [f32],
    /// Added to the mean square.
    pub eps: f32,
}

/// Norms and turns queries and keys and writes keys and values into the cache behind its first
/// `length` tokens; queries stay in `qkv`, multiplied by their scale.
///
/// `qkv` is `[rows, heads + 2 · kv_heads, head]`.
///
/// # Panics
/// When a slice is not as long as the shapes say, or the cache has no room.
pub fn admit(
    team: &mut Team,
    qkv: &mut [f32],
    shape: CausalShape,
    norms: Option<HeadScales<'_>>,
    turn: Option<Turn<'_>>,
    cache: &mut KeyValues,
    length: usize,
) {
    let CausalShape { heads, kv_heads, head, .. } = shape;
    let row = shape.row();
    let rows = qkv.len() / row;
    assert_eq!(qkv.len(), rows * row, "rows are whole");
    assert!(cache.is_for(kv_heads, head), "the cache is for these heads");
    assert!(length + rows <= cache.capacity(), "the cache has room");
    if let Some(norms) = norms {
        assert!(norms.query.len() == head && norms.key.len() == head, "every place has its scale");
    }
    if let Some(turn) = turn {
        let half = turn.turned / 2;
        assert!(turn.turned <= head && turn.turned.is_multiple_of(2), "whole pairs turn");
        assert!(turn.cos.len() >= (length + rows) * half, "every position has its angles");
        assert_eq!(turn.cos.len(), turn.sin.len(), "every cosine has its sine");
    }
    let keys = Parts { start: cache.keys_mut().as_mut_ptr() };
    let values = Parts { start: cache.values_mut().as_mut_ptr() };
    let cache = &*cache;
    let parts = Parts { start: qkv.as_mut_ptr() };
    // Tokens that share lines of the cache are given to one thread.
    const EACH: usize = 16;
    let first = length / EACH;
    let work = |chunk: usize| {
        let from = ((first + chunk) * EACH).max(length);
        let to = ((first + chunk + 1) * EACH).min(length + rows);
        for token in from..to {
            // SAFETY: the row lies within `qkv`, and no other chunk has this token.
            let qkv = unsafe { parts.slice((token - length) * row, row) };
            let (queries, rest) = qkv.split_at_mut(heads * head);
            let (new_keys, new_values) = rest.split_at_mut(kv_heads * head);
            let turn = turn.map(|turn| turn.at(token));
            let (query_scale, key_scale) = match &norms {
                Some(norms) => (Some((norms.query, norms.eps)), Some((norms.key, norms.eps))),
                None => (None, None),
            };
            for query in queries.chunks_exact_mut(head) {
                prepare(query, query_scale, turn, shape.query_scale);
            }
            for (kv_head, key) in new_keys.chunks_exact_mut(head).enumerate() {
                prepare(key, key_scale, turn, 1.0);
                for (place, value) in key.iter().enumerate() {
                    // SAFETY: `key_at` lies within the keys for a token that there is room for, and
                    // no other chunk has this token.
                    unsafe { keys.slice(cache.key_at(kv_head, token, place), 1)[0] = *value };
                }
            }
            for (kv_head, new) in new_values.chunks_exact(head).enumerate() {
                for (place, value) in new.iter().enumerate() {
                    // SAFETY: as above, with `value_at`.
                    unsafe { values.slice(cache.value_at(kv_head, token, place), 1)[0] = *value };
                }
            }
        }
    };
    team.run((length + rows).div_ceil(EACH) - first, &work);
}

/// The angles of one position.
#[derive(Debug, Clone, Copy)]
struct Angles<'a> {
    cos: &'a [f32],
    sin: &'a [f32],
    pairs: TurnPairs,
}

impl<'a> Turn<'a> {
    fn at(&self, position: usize) -> Angles<'a> {
        let half = self.turned / 2;
        Angles {
            cos: &self.cos[position * half..][..half],
            sin: &self.sin[position * half..][..half],
            pairs: self.pairs,
        }
    }
}

per_level! {
    /// Norms, turns and scales one query or key.
    fn prepare(
        x: &mut [f32],
        norm: Option<(&[f32], f32)>,
        angles: Option<Angles<'_>>,
        factor: f32,
    ) {
        if let Some((scale, eps)) = norm {
            let factor = rms_factor(x, eps);
            for (x, scale) in x.iter_mut().zip(scale) {
                *x = *x * factor * scale;
            }
        }
        if let Some(Angles { cos, sin, pairs }) = angles {
            let turned = 2 * cos.len();
            match pairs {
                TurnPairs::Halves => {
                    let (first, second) = x[..turned].split_at_mut(cos.len());
                    for (((u, v), c), s) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                        (*u, *v) = (*u * c - *v * s, *u * s + *v * c);
                    }
                }
                TurnPairs::Neighbours => {
                    for ((pair, c), s) in x[..turned].as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
                        let [u, v] = *pair;
                        *pair = [u * c - v * s, u * s + v * c];
                    }
                }
            }
        }
        if factor != 1.0 {
            x.iter_mut().for_each(|x| *x *= factor);
        }
    }
}
