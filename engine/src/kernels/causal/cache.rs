//! Keys and values of the tokens that were read.

use crate::kernels::quantized::form::PANEL;

/// The fewest tokens that room is made for.
const LEAST: usize = 256;

/// Holds one layer's keys and values in the order in which attention reads them.
///
/// Keys stand in panels of sixteen tokens, for each place of a head the numbers of all sixteen side
/// by side; values in panels of sixteen places of a head, token after token.
#[derive(Debug)]
pub struct KeyValues {
    kv_heads: usize,
    head: usize,
    /// How many tokens there is room for, a multiple of sixteen.
    capacity: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl KeyValues {
    /// Makes an empty cache without room.
    pub fn new(kv_heads: usize, head: usize) -> Self {
        Self { kv_heads, head, capacity: 0, keys: Vec::new(), values: Vec::new() }
    }

    /// Makes room for `end` tokens in all and keeps the first `length`. Room grows by doubling, up
    /// to `most` tokens.
    pub fn reserve(&mut self, length: usize, end: usize, most: usize) {
        if end <= self.capacity {
            return;
        }
        let room = end.max(self.capacity * 2).max(LEAST).min(most.max(end));
        let room = room.next_multiple_of(PANEL);
        let kept = length.min(self.capacity);
        let panels = self.value_panels();
        // Keys of a head: whole panels of sixteen tokens; values of a panel of places: whole tokens.
        let key_lines = kept.div_ceil(PANEL) * self.head;
        self.keys = moved(
            &self.keys,
            self.kv_heads,
            self.capacity * self.head,
            room * self.head,
            key_lines * PANEL,
        );
        let value_rows = self.kv_heads * panels;
        self.values =
            moved(&self.values, value_rows, self.capacity * PANEL, room * PANEL, kept * PANEL);
        self.capacity = room;
    }

    /// Returns how many tokens there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    fn value_panels(&self) -> usize {
        self.head.div_ceil(PANEL)
    }

    /// Tells whether it was made for these heads.
    pub(super) fn is_for(&self, kv_heads: usize, head: usize) -> bool {
        (self.kv_heads, self.head) == (kv_heads, head)
    }

    pub(super) fn keys_mut(&mut self) -> &mut [f32] {
        &mut self.keys
    }

    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Returns where number `place` of a key stands.
    pub(super) fn key_at(&self, kv_head: usize, token: usize, place: usize) -> usize {
        kv_head * self.capacity * self.head
            + (token / PANEL * self.head + place) * PANEL
            + token % PANEL
    }

    /// Returns where number `place` of a value stands.
    pub(super) fn value_at(&self, kv_head: usize, token: usize, place: usize) -> usize {
        ((kv_head * self.value_panels() + place / PANEL) * self.capacity + token) * PANEL
            + place % PANEL
    }

    /// Returns the keys of sixteen tokens from `token` on, which is a multiple of sixteen:
    /// `[head, 16]`.
    pub(super) fn key_panel(&self, kv_head: usize, token: usize) -> &[f32] {
        &self.keys[self.key_at(kv_head, token, 0)..][..self.head * PANEL]
    }

    /// Returns sixteen places of `count` values from `token` on: `[count, 16]`.
    pub(super) fn value_panel(
        &self,
        kv_head: usize,
        token: usize,
        count: usize,
        panel: usize,
    ) -> &[f32] {
        &self.values[self.value_at(kv_head, token, panel * PANEL)..][..count * PANEL]
    }
}

/// Copies the first `kept` numbers of every row into rows of another length.
fn moved(old: &[f32], rows: usize, old_row: usize, new_row: usize, kept: usize) -> Vec<f32> {
    let mut new = vec![0.0; rows * new_row];
    if kept > 0 {
        for (new, old) in new.chunks_exact_mut(new_row).zip(old.chunks_exact(old_row)) {
            new[..kept].copy_from_slice(&old[..kept]);
        }
    }
    new
}
