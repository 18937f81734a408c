//! Large blocks of memory, in large pages and used again: an allocator for the whole program.
//!
//! Every layer of a network writes a fresh block of some megabytes and drops it a moment later. A
//! system's allocator gives such blocks back and asks for them anew, and the kernel clears each page of
//! 4 kB when it is first touched, which takes a tenth of the time of a step. Here blocks are asked for
//! in pages of 2 MB where the system has them, and wait for the next layer of about their size.

use std::alloc::{GlobalAlloc, Layout, System};

use super::element::Element;

/// Gives large blocks in large pages and uses them again; leaves small ones, and every block where
/// there are no large pages (systems other than Linux), to the system's allocator.
///
/// For `#[global_allocator]` in a program that runs models.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recycler;

/// Makes a vector for a kernel that writes all of it: what stands in it is anything, mostly what the
/// last owner of the memory left there. Zeros would cost a pass over memory for nothing.
pub(crate) fn any_values<T: Element>(len: usize) -> Vec<T> {
    #[cfg(all(not(test), any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let mut values: Vec<T> = Vec::with_capacity(len);
        let start = values.as_mut_ptr();
        // SAFETY: the assembly does nothing, but the compiler must take it to be what it cannot see
        // into: that it fills the block, which it is given, with whatever bytes stand there. Every
        // pattern of bits is a value of `T`, and the block has room for `len` of them.
        unsafe {
            std::arch::asm!("/* {0} */", in(reg) start, options(nostack, preserves_flags));
            values.set_len(len);
        }
        values
    }
    // Where there is no assembly: zeros. In tests: what shows in every sum, should one be read.
    #[cfg(not(all(not(test), any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        vec![T::from_f32(if cfg!(test) { f32::NAN } else { 0.0 }); len]
    }
}

/// Keeps little memory waiting for the next layer as long as it is there, for work in which memory is
/// short.
#[derive(Debug)]
pub struct Lean(());

impl Lean {
    /// Begins to keep little, after letting go of what waits.
    pub fn begin() -> Self {
        #[cfg(target_os = "linux")]
        blocks::be_lean(true);
        super::release_memory();
        Self(())
    }
}

impl Drop for Lean {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        blocks::be_lean(false);
        super::release_memory();
    }
}

/// Lets go of all blocks that wait, and of what the system's allocator keeps of small ones.
pub(super) fn release() {
    #[cfg(target_os = "linux")]
    blocks::release();
    // A model's small blocks lie in the heaps of the threads that loaded it; of 3 GB they left 430 MB.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: this touches only memory that nobody has; it may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(not(target_os = "linux"))]
// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Recycler {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the rules of this function, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.realloc(start, layout, size) }
    }
}

#[cfg(target_os = "linux")]
// SAFETY: a large block is a mapping of its own, at least as long as its layout and aligned to 2 MB,
// which nobody else has until it is given back; which way a block was given follows from its layout
// alone, so it goes back the same way.
unsafe impl GlobalAlloc for Recycler {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if blocks::is_large(layout) {
            return blocks::take(layout.size(), false);
        }
        // SAFETY: the caller keeps the rules of this function, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if blocks::is_large(layout) {
            return blocks::take(layout.size(), true);
        }
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if blocks::is_large(layout) {
            return blocks::give(start, layout.size());
        }
        // SAFETY: as above.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller says that `size`, rounded up to the alignment, is no more than fits.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (blocks::is_large(layout), blocks::is_large(wanted)) {
            // SAFETY: as above.
            (false, false) => return unsafe { System.realloc(start, layout, size) },
            (true, true) if blocks::length(layout.size()) == blocks::length(size) => return start,
            _ => {}
        }
        // SAFETY: the layout is sound, see above.
        let new = unsafe { self.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: both blocks are at least as long as the shorter of the two, and apart.
            unsafe {
                std::ptr::copy_nonoverlapping(start, new, layout.size().min(size));
                self.dealloc(start, layout);
            }
        }
        new
    }
}

#[cfg(target_os = "linux")]
mod blocks {
    //! Blocks of which each is a mapping of its own.

    use std::alloc::Layout;
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

    /// Blocks from this size on are mapped: small ones fit into the system's allocator.
    const LARGE_BYTES: usize = 1 << 20;
    /// A large page.
    const PAGE_BYTES: usize = 2 << 20;
    /// The small pages that lengths are multiples of.
    const STEP_BYTES: usize = 64 << 10;
    /// How much memory waits at most, unless less is asked for.
    const WAITING_BYTES: usize = 320 << 20;
    /// The same where memory is to be saved.
    const WAITING_BYTES_LEAN: usize = 48 << 20;
    /// How many blocks wait at most.
    const WAITING_BLOCKS: usize = 96;

    /// Blocks that wait, the one that was given back last at the end.
    struct Waiting {
        blocks: [(usize, usize); WAITING_BLOCKS],
        count: usize,
        bytes: usize,
    }

    /// How much memory waits at most now.
    static LIMIT: AtomicUsize = AtomicUsize::new(WAITING_BYTES);

    static WAITING: Mutex<Waiting> =
        Mutex::new(Waiting { blocks: [(0, 0); WAITING_BLOCKS], count: 0, bytes: 0 });

    fn waiting() -> MutexGuard<'static, Waiting> {
        WAITING.lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl Waiting {
        /// Takes the block of this length that was given back last.
        fn take(&mut self, length: usize) -> Option<usize> {
            let found = self.blocks[..self.count].iter().rposition(|block| block.1 == length)?;
            Some(self.remove(found).0)
        }

        fn remove(&mut self, index: usize) -> (usize, usize) {
            let block = self.blocks[index];
            self.blocks.copy_within(index + 1..self.count, index);
            self.count -= 1;
            self.bytes -= block.1;
            block
        }
    }

    pub(super) fn is_large(layout: Layout) -> bool {
        layout.size() >= LARGE_BYTES && layout.align() <= PAGE_BYTES
    }

    /// Returns the length of the mapping for a size: eighths of a power of two, so that sizes near
    /// each other share blocks. What is not touched takes no memory.
    pub(super) fn length(size: usize) -> usize {
        let eighth = (size.next_power_of_two() / 16).max(STEP_BYTES);
        size.next_multiple_of(eighth)
    }

    /// Gives a block of this size; null when there is no memory.
    pub(super) fn take(size: usize, is_zeroed: bool) -> *mut u8 {
        if size > isize::MAX as usize / 4 {
            return null_mut();
        }
        let length = length(size);
        let found = waiting().take(length);
        match found {
            Some(start) => {
                let start = start as *mut u8;
                if is_zeroed {
                    // SAFETY: the block is a mapping of at least `size` bytes that nobody else has.
                    unsafe { start.write_bytes(0, size) };
                }
                start
            }
            None => map(length),
        }
    }

    /// Takes a block back.
    pub(super) fn give(start: *mut u8, size: usize) {
        let length = length(size);
        let most = LIMIT.load(Ordering::Relaxed);
        if length > most / 2 {
            return unmap(start as usize, length);
        }
        loop {
            let mut waiting = waiting();
            if waiting.count < WAITING_BLOCKS && waiting.bytes + length <= most {
                let count = waiting.count;
                waiting.blocks[count] = (start as usize, length);
                waiting.count += 1;
                waiting.bytes += length;
                return;
            }
            // The one that waited longest goes; not while others wait for the lock.
            let (start, length) = waiting.remove(0);
            drop(waiting);
            unmap(start, length);
        }
    }

    /// Lets little memory wait, or as much as is usual.
    pub(super) fn be_lean(is_lean: bool) {
        LIMIT.store(if is_lean { WAITING_BYTES_LEAN } else { WAITING_BYTES }, Ordering::Relaxed);
    }

    pub(super) fn release() {
        loop {
            let mut waiting = waiting();
            if waiting.count == 0 {
                return;
            }
            let (start, length) = waiting.remove(0);
            drop(waiting);
            unmap(start, length);
        }
    }

    /// Maps zeros, beginning at a large page; null when there is no memory.
    fn map(length: usize) -> *mut u8 {
        let whole = length + PAGE_BYTES;
        let (read_write, private) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new mapping at a place of the system's choice touches nothing that is there.
        let Ok(start) = (unsafe { mmap_anonymous(null_mut(), whole, read_write, private) }) else {
            return null_mut();
        };
        let start = start as usize;
        let aligned = start.next_multiple_of(PAGE_BYTES);
        // What lies before and behind goes back: it has address space only.
        if aligned > start {
            unmap(start, aligned - start);
        }
        let (end, wanted) = (start + whole, aligned + length);
        if end > wanted {
            unmap(wanted, end - wanted);
        }
        let begin = aligned as *mut u8;
        // SAFETY: the range is the mapping that was just made. Where there are no large pages small
        // ones do.
        let _ = unsafe { madvise(begin.cast(), length, Advice::LinuxHugepage) };
        begin
    }

    fn unmap(start: usize, length: usize) {
        // SAFETY: the range is a mapping made by `map`, or a part of it, whose owner gave it up.
        let _ = unsafe { munmap(start as *mut _, length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 64).expect("a layout")
    }

    #[test]
    fn blocks_are_aligned_apart_and_zero_where_zeros_were_asked_for_also_when_used_again() {
        let recycler = Recycler;
        let size = 3_500_000;
        // SAFETY: every block is used within its layout and given back once, by it.
        unsafe {
            for _ in 0..3 {
                let first = recycler.alloc_zeroed(layout(size));
                let second = recycler.alloc(layout(size + 1));
                assert!(!first.is_null() && !second.is_null());
                assert_eq!((first as usize % 64, second as usize % 64), (0, 0));
                assert!((0..size).step_by(97).all(|at| *first.add(at) == 0));
                first.write_bytes(1, size);
                second.write_bytes(2, size + 1);
                assert!((0..size).step_by(89).all(|at| *first.add(at) == 1));
                recycler.dealloc(first, layout(size));
                recycler.dealloc(second, layout(size + 1));
            }
        }
        release();
    }

    #[test]
    fn a_block_that_grows_and_shrinks_keeps_its_numbers() {
        let recycler = Recycler;
        // SAFETY: as above; each call names the layout that the block has.
        unsafe {
            let mut size = 1000;
            let mut block = recycler.alloc(layout(size));
            for (at, value) in (0..size).enumerate() {
                block.add(at).write(value as u8);
            }
            for wanted in [5000, 1 << 20, (1 << 20) + 4096, 40 << 20, 2 << 20, 1000] {
                block = recycler.realloc(block, layout(size), wanted);
                size = wanted;
                assert!((0..1000).all(|at| *block.add(at) == at as u8), "{wanted}");
            }
            recycler.dealloc(block, layout(size));
        }
    }

    #[test]
    fn threads_never_share_a_block() {
        std::thread::scope(|scope| {
            for mark in 0..4u8 {
                scope.spawn(move || {
                    for round in 0..50usize {
                        let size = (1 << 20) + round % 5 * 300_000;
                        let layout = layout(size);
                        // SAFETY: as above.
                        unsafe {
                            let block = Recycler.alloc(layout);
                            block.write_bytes(mark, size);
                            std::thread::yield_now();
                            assert!((0..size).step_by(4096).all(|at| *block.add(at) == mark));
                            Recycler.dealloc(block, layout);
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn more_than_there_can_be_is_refused_and_not_tried() {
        let layout = Layout::from_size_align(isize::MAX as usize - 63, 64).expect("a layout");
        // SAFETY: nothing is done with the block but to see that there is none.
        assert!(unsafe { Recycler.alloc(layout) }.is_null());
    }
}
