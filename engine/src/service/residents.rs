//! The arbiter: which models stay in memory between jobs.

/// Keeps loaded models up to a budget, and lets the one that was used longest ago go first.
///
/// One of these serves every kind of model, so that pictures, words and sound share one budget.
pub(super) struct Residents<K, M> {
    budget_bytes: u64,
    /// The one used last stands last.
    entries: Vec<Entry<K, M>>,
    /// Who had to go since the last time that this was asked.
    gone: Vec<K>,
    /// Called when models were dropped, to give back what they worked in.
    freed: fn(),
}

struct Entry<K, M> {
    key: K,
    bytes: u64,
    model: M,
}

impl<K: PartialEq, M> Residents<K, M> {
    /// Keeps at most `budget_bytes` of models, except that one model is always kept; calls `freed`
    /// whenever some were dropped.
    pub(super) fn new(budget_bytes: u64, freed: fn()) -> Self {
        Self { budget_bytes, entries: Vec::new(), gone: Vec::new(), freed }
    }

    /// Returns the model of this key; loads it when it is not in memory, after letting others go
    /// until its `bytes` fit. A model that failed to load is not kept.
    pub(super) fn get_or_load<E>(
        &mut self,
        key: K,
        bytes: u64,
        load: impl FnOnce() -> Result<M, E>,
    ) -> Result<&mut M, E> {
        let entry = match self.entries.iter().position(|entry| entry.key == key) {
            Some(index) => self.entries.remove(index),
            None => {
                self.make_room(bytes);
                Entry { key, bytes, model: load()? }
            }
        };
        Ok(&mut self.entries.push_mut(entry).model)
    }

    /// Tells whether the model of this key is in memory.
    pub(super) fn has(&self, key: &K) -> bool {
        self.entries.iter().any(|entry| entry.key == *key)
    }

    /// Returns the keys of the models that had to make room since the last call.
    pub(super) fn take_gone(&mut self) -> Vec<K> {
        std::mem::take(&mut self.gone)
    }

    /// Returns how many bytes the models in memory hold.
    pub(super) fn held_bytes(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.bytes))
    }

    /// Lets the models go whose keys `is_unwanted` names.
    pub(super) fn drop_where(&mut self, is_unwanted: impl Fn(&K) -> bool) {
        let before = self.entries.len();
        self.entries.retain(|entry| !is_unwanted(&entry.key));
        if self.entries.len() < before {
            (self.freed)();
        }
    }

    /// Lets every model go.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        (self.freed)();
    }

    fn make_room(&mut self, bytes: u64) {
        let held = |entries: &[Entry<K, M>]| -> u64 {
            entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.bytes))
        };
        let before = self.entries.len();
        while !self.entries.is_empty()
            && held(&self.entries).saturating_add(bytes) > self.budget_bytes
        {
            self.gone.push(self.entries.remove(0).key);
        }
        if self.entries.len() < before {
            (self.freed)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses the models of `keys`, each of 10 bytes, and returns which of them had to be loaded.
    fn loaded(residents: &mut Residents<char, char>, keys: &str) -> String {
        let mut loaded = String::new();
        for key in keys.chars() {
            let model = residents.get_or_load(key, 10, || {
                loaded.push(key);
                Ok::<char, ()>(key)
            });
            assert_eq!(model, Ok(&mut { key }));
        }
        loaded
    }

    fn held(residents: &Residents<char, char>) -> String {
        residents.entries.iter().map(|entry| entry.key).collect()
    }

    #[test]
    fn a_model_in_memory_is_not_loaded_again() {
        assert_eq!(loaded(&mut Residents::new(30, || ()), "abcabcaa"), "abc");
    }

    #[test]
    fn the_model_used_longest_ago_makes_room() {
        let mut residents = Residents::new(20, || ());
        assert_eq!(loaded(&mut residents, "abac"), "abc");
        assert_eq!(held(&residents), "ac");
        assert_eq!(residents.take_gone(), ['b']);
        assert_eq!(residents.take_gone(), []);
    }

    #[test]
    fn a_model_larger_than_the_budget_is_kept_alone() {
        let mut residents = Residents::new(5, || ());
        assert_eq!(loaded(&mut residents, "aab"), "ab");
        assert_eq!(held(&residents), "b");
    }

    #[test]
    fn a_model_that_failed_to_load_is_not_kept_and_can_be_tried_again() {
        let mut residents = Residents::new(30, || ());
        assert_eq!(residents.get_or_load('a', 10, || Err("cut")), Err("cut"));
        assert_eq!(held(&residents), "");
        assert_eq!(loaded(&mut residents, "a"), "a");
        residents.clear();
        assert_eq!(loaded(&mut residents, "a"), "a");
    }
}
