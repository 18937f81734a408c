//! An allocator for tests: every block ends at a page that nobody may touch.
//!
//! With `ATELIER_GUARD` set, a kernel that reads or writes behind any block, be it an input, packed
//! weights or a buffer of its own, ends the program at once; so does one that uses a block that was
//! given back. The tests of the kernels are run once more that way.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::CStr;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// Asks for guarded memory.
const ASKED: &CStr = c"ATELIER_GUARD";
const PAGE: usize = 4096;
/// Smaller blocks are left to the system: the names and lists of the tests themselves.
const SMALLEST: usize = 64;

/// Whether memory is guarded: 0 not known yet, 1 no, 2 yes.
static STATE: AtomicU8 = AtomicU8::new(0);

struct Guard;

#[global_allocator]
static ALLOCATOR: Guard = Guard;

/// Tells whether memory is guarded in this run.
pub(super) fn is_on() -> bool {
    match STATE.load(Ordering::Relaxed) {
        0 => {
            // The standard library would take memory to answer.
            // SAFETY: the name ends with a zero; nobody changes the environment in these tests.
            let is_on = !unsafe { libc::getenv(ASKED.as_ptr()) }.is_null();
            STATE.store(if is_on { 2 } else { 1 }, Ordering::Relaxed);
            is_on
        }
        state => state == 2,
    }
}

fn is_guarded(layout: Layout) -> bool {
    layout.size() >= SMALLEST && layout.align() <= PAGE && is_on()
}

/// Returns how far before the closed page a block begins.
fn reach(layout: Layout) -> usize {
    layout.size().next_multiple_of(layout.align())
}

// SAFETY: a guarded block is a mapping of its own, at least as long as its layout says, that begins at
// a multiple of its alignment, since the page behind it does; which way a block was given follows from
// its layout and from a state that does not change.
unsafe impl GlobalAlloc for Guard {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_guarded(layout) {
            // SAFETY: the caller keeps the rules of this function, which are the same.
            return unsafe { System.alloc(layout) };
        }
        let open = reach(layout).next_multiple_of(PAGE);
        // SAFETY: new memory is mapped wherever there is room; its last page is closed.
        unsafe {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            let Ok(start) = mmap_anonymous(null_mut(), open + PAGE, access, MapFlags::PRIVATE)
            else {
                return null_mut();
            };
            if mprotect(start.byte_add(open), PAGE, MprotectFlags::empty()).is_err() {
                return null_mut();
            }
            // What is not written shows: zeros would not.
            start.cast::<u8>().write_bytes(0xff, open);
            start.cast::<u8>().add(open - reach(layout))
        }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if !is_guarded(layout) {
            // SAFETY: as above.
            return unsafe { System.dealloc(start, layout) };
        }
        let open = reach(layout).next_multiple_of(PAGE);
        // SAFETY: the mapping was made by `alloc` for this layout and is given up by its owner.
        let _ = unsafe { munmap(start.sub(open - reach(layout)).cast(), open + PAGE) };
    }
}

/// Runs tests of this program again, alone, with guarded memory.
fn again(arguments: &[&str]) -> std::process::ExitStatus {
    let program = std::env::current_exe().expect("the program has a file");
    let mut command = std::process::Command::new(program);
    // A backtrace reads symbols into so many blocks that the system runs out of mappings.
    command.env("RUST_BACKTRACE", "0");
    let asked = ASKED.to_str().expect("the name is plain text");
    command.args(arguments).env(asked, "1").stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null()).status().expect("the program starts")
}

#[test]
fn no_kernel_touches_memory_beyond_a_block_or_after_its_end() {
    let status = again(&["kernels::", "--skip", "kernels::guard"]);
    assert!(status.success(), "`ATELIER_GUARD=1 cargo test --lib kernels::` ends with {status}");
}

#[test]
fn a_number_read_beyond_a_block_or_after_its_end_is_noticed() {
    for name in ["reads_beyond_a_block", "reads_after_the_end"] {
        let name = format!("kernels::guard::{name}");
        let status = again(&["--ignored", "--exact", &name]);
        // A test that only fails ends with 101.
        assert_eq!(status.code(), None, "{name} ends with {status}");
    }
}

#[test]
#[ignore = "ends the program; another test looks whether it does"]
fn reads_beyond_a_block() {
    let values = vec![1f32; 100];
    // SAFETY: there is none. Without the guard this would read what belongs to somebody else.
    let beyond = unsafe { values.as_ptr().add(100).read_volatile() };
    println!("{beyond}");
}

#[test]
#[ignore = "ends the program; another test looks whether it does"]
fn reads_after_the_end() {
    let values = vec![1f32; 100];
    let start = values.as_ptr();
    drop(values);
    // SAFETY: there is none, as above.
    let gone = unsafe { start.read_volatile() };
    println!("{gone}");
}
