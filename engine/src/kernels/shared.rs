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

    /// Asks the processor to fetch numbers that will soon be written.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn expect(&self, start: usize, len: usize) {
        expect::<{ std::arch::x86_64::_MM_HINT_ET0 }, T>(self.start.wrapping_add(start), len);
    }
}

/// Asks the processor to fetch numbers, by one of its hints.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn expect<const HINT: i32, T>(start: *const T, len: usize) {
    const LINE: usize = 64;
    let start = start.cast::<u8>();
    for at in (0..len * size_of::<T>()).step_by(LINE) {
        // SAFETY: every processor of the target has the instruction, which may be given any address.
        unsafe { std::arch::x86_64::_mm_prefetch::<HINT>(start.wrapping_add(at).cast()) };
    }
}
