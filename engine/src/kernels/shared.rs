//! Memory that tasks of several threads write to, each its own part.

use std::marker::PhantomData;

/// Lends parts of a slice to several threads.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: it only hands out parts, and whoever takes one promises that no other overlaps it.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// Borrows a slice to lend its parts.
    pub(crate) fn new(values: &'a mut [T]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), owner: PhantomData }
    }

    /// Returns `len` numbers from `start` on.
    ///
    /// # Panics
    /// When they do not lie inside the slice.
    ///
    /// # Safety
    /// No other part that is in use at the same time may overlap this one.
    #[expect(clippy::mut_from_ref, reason = "disjoint parts are lent, as the caller promises")]
    #[inline(always)]
    pub(crate) unsafe fn part(&self, start: usize, len: usize) -> &mut [T] {
        assert!(start <= self.len && len <= self.len - start, "a part lies inside the slice");
        // SAFETY: it lies inside (just checked), and the caller promises that it is lent only once.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}
