//! Memory that kernels work in, kept between calls so that it is not asked of the system anew.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use super::panels::Held;

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u64; 8]);

thread_local! {
    /// What this thread has at hand.
    static SPARE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Blocks that a thread keeps at most.
const MOST_SPARE: usize = 8;

/// Is a buffer of numbers that goes back to its thread's store when it is dropped.
pub(crate) struct Scratch<T> {
    lines: Vec<Line>,
    len: usize,
    element: std::marker::PhantomData<T>,
}

impl<T: Held> Scratch<T> {
    /// Takes a buffer of `len` numbers, which hold whatever was left there.
    pub(crate) fn take(len: usize) -> Self {
        let wanted = (len * size_of::<T>()).div_ceil(64);
        let spare = SPARE.with_borrow_mut(|spare| {
            // The smallest that is large enough, else the largest, which then grows.
            let best = (0..spare.len()).min_by_key(|index| {
                let lines = spare[*index].len();
                if lines >= wanted { (0, lines) } else { (1, usize::MAX - lines) }
            });
            best.map(|index| spare.swap_remove(index))
        });
        let mut lines = spare.unwrap_or_default();
        if lines.len() < wanted {
            // A fresh block of zeros costs nothing until it is written; a copy would.
            lines = vec![Line([0; 8]); wanted];
        }
        Self { lines, len, element: std::marker::PhantomData }
    }
}

/// Lets go of the memory that this thread keeps for kernels.
pub(super) fn release() {
    SPARE.with_borrow_mut(Vec::clear);
}

impl<T> Drop for Scratch<T> {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        // A buffer that is longer than it must be would hide who reads beyond it.
        #[cfg(all(test, target_os = "linux", target_env = "gnu"))]
        if super::guard::is_on() {
            return;
        }
        // A thread that is ending has no store any more.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < MOST_SPARE {
                spare.push(lines);
            }
        });
    }
}

impl<T: Held> Deref for Scratch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines hold at least `len` numbers of `T`, which any bits are valid for, aligned
        // and initialised; the borrow is that of `self`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Held> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
