//! Memory for packed weights.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;
use std::sync::Arc;

use crate::error::EngineError;

/// What large pieces of memory begin at multiples of: the size of a large page.
const LARGE_PAGE: usize = 2 << 20;
/// What is asked of the system at once. What nobody has written to takes no memory.
const SLAB: usize = 64 << 20;
/// What every room begins at a multiple of.
pub(super) const LINE: usize = 64;

/// A piece of memory that rooms are cut from.
#[derive(Debug)]
struct Slab {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a slab is memory and nothing else; who may read or write which part is the business of
// the rooms, no two of which overlap.
unsafe impl Send for Slab {}
// SAFETY: as above.
unsafe impl Sync for Slab {}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: `start` was allocated with this layout and no room is left.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

impl Slab {
    fn new(length: usize) -> Option<Self> {
        let layout = Layout::from_size_align(length, LARGE_PAGE).ok()?;
        // SAFETY: the layout is not empty: a slab has room for at least a line.
        let start = NonNull::new(unsafe { alloc(layout) })?;
        advise(start, length);
        Some(Self { start, layout })
    }
}

/// Asks for large pages: the processor fetches ahead within a page only, and weights are read from
/// end to end for every token.
#[cfg(target_os = "linux")]
fn advise(start: NonNull<u8>, length: usize) {
    use std::ffi::{c_int, c_void};

    /// MADV_HUGEPAGE, asm-generic/mman-common.h.
    const LARGE_PAGES: c_int = 14;

    // The standard library links the C library anyway.
    unsafe extern "C" {
        fn madvise(start: *mut c_void, length: usize, advice: c_int) -> c_int;
    }

    // SAFETY: the memory was just allocated and is nobody else's; the advice does not change what
    // it holds. Where the system knows no large pages, it says so and nothing is lost.
    let _ = unsafe { madvise(start.as_ptr().cast(), length, LARGE_PAGES) };
}

#[cfg(not(target_os = "linux"))]
fn advise(_start: NonNull<u8>, _length: usize) {}

/// Gives rooms for the matrices of a model, close together in few large pieces of memory.
#[derive(Debug, Default)]
pub struct Shelf {
    slab: Option<Arc<Slab>>,
    used: usize,
}

impl Shelf {
    /// Makes an empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a room of zeros.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the system has no memory left.
    pub(super) fn take(&mut self, length: usize) -> Result<Room, EngineError> {
        let full =
            || EngineError::Model { reason: format!("{length} bytes of memory were refused") };
        let taken = length.checked_next_multiple_of(LINE).ok_or_else(full)?.max(LINE);
        let fits = |slab: &Arc<Slab>| slab.layout.size() - self.used >= taken;
        let slab = match self.slab.take().filter(fits) {
            Some(slab) => slab,
            None => {
                self.used = 0;
                Arc::new(Slab::new(taken.max(SLAB)).ok_or_else(full)?)
            }
        };
        // SAFETY: `used + taken` lies within the slab (checked or just made so).
        let start = unsafe { slab.start.add(self.used) };
        // SAFETY: no other room reaches into these bytes: `used` only grows while the slab is ours.
        unsafe { start.write_bytes(0, taken) };
        self.used += taken;
        self.slab = Some(Arc::clone(&slab));
        Ok(Room { _slab: Some(slab), start, length })
    }
}

/// Is a part of a slab that nobody else has; begins at a multiple of [`LINE`].
#[derive(Debug)]
pub(super) struct Room {
    _slab: Option<Arc<Slab>>,
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a room owns its bytes, which no other room has.
unsafe impl Send for Room {}
// SAFETY: as above; shared, it only gives them to be read.
unsafe impl Sync for Room {}

impl Room {
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the bytes were written when the room was given and are ours.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and nobody else can reach them while we are borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

#[cfg(test)]
impl Room {
    /// Makes a room of memory that is never given back.
    pub(super) fn of(bytes: &'static mut [u8]) -> Self {
        Self { _slab: None, length: bytes.len(), start: NonNull::from(bytes).cast() }
    }
}
