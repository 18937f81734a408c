//! Attention of a decoder: queries over the keys and values of all tokens so far.

mod admit;
mod attend;
mod cache;

pub use admit::{HeadScales, Turn, TurnPairs, admit};
pub use attend::attend;
pub use cache::KeyValues;

/// Holds the sizes and habits of a decoder's attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CausalShape {
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values; divides `heads`.
    pub kv_heads: usize,
    /// Numbers of a head.
    pub head: usize,
    /// How far back a token looks, in tokens, with itself; 0 for no limit.
    pub window: usize,
    /// Queries are multiplied by this before they meet the keys.
    pub query_scale: f32,
    /// Scores are kept softly below this; 0 for no limit.
    pub soft_limit: f32,
}

impl CausalShape {
    /// Returns the numbers of a row of queries, keys and values.
    pub fn row(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head
    }
}

#[cfg(test)]
mod tests;
