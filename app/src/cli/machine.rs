//! What the operating system is asked.

use std::hash::{BuildHasher, RandomState};

/// Returns a seed of at most ten digits that nobody can foresee.
pub fn random_seed() -> u64 {
    // The standard library keys each hasher from the system's random numbers.
    RandomState::new().hash_one(std::process::id()) >> 32
}

/// Tells whether a window could open: outside Linux always.
pub fn has_display() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux")
        || ["WAYLAND_DISPLAY", "WAYLAND_SOCKET", "DISPLAY"].into_iter().any(is_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_and_are_short() {
        let seeds: Vec<u64> = (0..20).map(|_| random_seed()).collect();
        assert!(seeds.iter().any(|seed| *seed != seeds[0]), "{seeds:?}");
        assert!(seeds.iter().all(|seed| *seed < 1 << 32));
    }
}
