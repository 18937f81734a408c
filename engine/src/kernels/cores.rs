//! How many threads work: one for each physical core that the process may use.
//!
//! Two threads on the two halves of one core share its multipliers, and only get into each other's
//! way.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::thread::available_parallelism;

/// Sizes the one pool that all kernels and the tensor library share. To be called once, before any
/// work; later calls, and a `RAYON_NUM_THREADS` that a person set, change nothing.
pub fn use_cores() {
    if std::env::var_os("RAYON_NUM_THREADS").is_some() {
        return;
    }
    // Somebody else has set the pool up: it stays.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(physical_cores()).build_global();
}

/// Returns how many physical cores the process may use, at least 1: by its affinity and its share of
/// the processor, and where the system tells which processors are halves of one core.
pub fn physical_cores() -> usize {
    let logical = available_parallelism().map_or(1, NonZero::get);
    let cores = allowed().map_or(logical, |allowed| distinct(&allowed, siblings));
    cores.clamp(1, logical)
}

/// Returns the processors that this process may run on; `None` where the system does not say.
fn allowed() -> Option<Vec<usize>> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    numbers(list)
}

/// Returns what the system says about which processors share a core with this one.
fn siblings(processor: usize) -> Option<String> {
    let place = format!("/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list");
    std::fs::read_to_string(place).ok()
}

/// Counts the cores of some processors, each by its list of siblings; one whose list is not told is
/// taken for a core of its own.
fn distinct(processors: &[usize], siblings: impl Fn(usize) -> Option<String>) -> usize {
    let core = |processor: &usize| {
        let list = siblings(*processor).and_then(|list| numbers(&list));
        list.and_then(|list| list.first().copied()).unwrap_or(*processor)
    };
    processors.iter().map(core).collect::<BTreeSet<usize>>().len()
}

/// Reads a list such as `0-3,8,10-11`.
fn numbers(list: &str) -> Option<Vec<usize>> {
    let mut all = Vec::new();
    for part in list.trim().split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (from.trim().parse::<usize>().ok()?, to.trim().parse::<usize>().ok()?);
        if to.checked_sub(from)? > 1 << 16 {
            return None;
        }
        all.extend(from..=to);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_a_core_count_once_and_those_that_are_not_allowed_not_at_all() {
        // Four cores of two threads each: 0 and 4, 1 and 5, 2 and 6, 3 and 7.
        let lists = |processor: usize| Some(format!("{},{}\n", processor % 4, processor % 4 + 4));
        assert_eq!(distinct(&[0, 1, 2, 3, 4, 5, 6, 7], lists), 4);
        assert_eq!(distinct(&[0, 4], lists), 1);
        assert_eq!(distinct(&[1, 2, 6], lists), 2);
        assert_eq!(distinct(&[0, 1, 2], |_| None), 3);
        assert_eq!(distinct(&[0, 1], |_| Some("nonsense".to_owned())), 2);
    }

    #[test]
    fn lists_of_processors_are_read_and_nonsense_is_not() {
        assert_eq!(numbers("\t0-2,8,10-11\n"), Some(vec![0, 1, 2, 8, 10, 11]));
        assert_eq!(numbers("3-1"), None);
        assert_eq!(numbers("0-99999999"), None);
        assert_eq!(numbers(""), None);
        assert!((1..=1 << 12).contains(&physical_cores()));
    }
}
