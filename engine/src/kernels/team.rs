//! A few threads that work through many short regions one after the other.
//!
//! A token of a language model is some hundred regions of a tenth of a millisecond each. Waking a
//! sleeping thread for every one of them would cost more than a tenth of the time, so the helpers of
//! a [`Team`] wait awake between regions for a short while. They are tasks of rayon's pool: there
//! is no other. Nobody waits for a helper that has not come: whoever calls [`Team::run`] takes all
//! the chunks that no helper has taken, so teams cannot block each other, and a pool that is busy
//! with other work costs only its help.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// How often a helper looks for a new region before it begins to give its core away: some thirty
/// microseconds, longer than what lies between two regions of a token.
const SPINS: u32 = 1000;
/// How often it then lets other threads go first before it sleeps.
const YIELDS: u32 = 50;
/// The number of a region that never comes: the team is over.
const CLOSED: u64 = u64::MAX;
/// The numbers of regions stay below this, so that they fit into half a word, and begin again at 1.
const REGIONS: u64 = u32::MAX as u64;

/// What a region is made of: a function that is told the number of its chunk.
type Chunk<'a> = dyn Fn(usize) + Sync + 'a;

/// The chunks of one thread; on a line of its own, since others look at theirs all the time.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Share {
    /// The region's number in the upper half, the next chunk that nobody has in the lower.
    next: AtomicU64,
}

/// What leader and helpers share.
#[derive(Debug)]
struct Shared {
    /// The number of the present region.
    region: AtomicU64,
    /// A thin pointer to the fat pointer of the region's function.
    work: AtomicPtr<()>,
    chunks: AtomicUsize,
    done: AtomicUsize,
    shares: Vec<Share>,
    sleepers: AtomicUsize,
    has_panicked: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    door: Mutex<()>,
    bell: Condvar,
}

/// Is the caller with helpers from rayon's pool, until it is dropped.
#[derive(Debug)]
pub struct Team {
    shared: Arc<Shared>,
    threads: usize,
}

impl Team {
    /// Calls helpers; with the caller there are as many threads as rayon's pool has, and at most
    /// `most`.
    pub fn gather(most: usize) -> Self {
        let threads = rayon::current_num_threads().min(most).max(1);
        let shared = Arc::new(Shared {
            region: AtomicU64::new(0),
            work: AtomicPtr::new(std::ptr::null_mut()),
            chunks: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            shares: (0..threads).map(|_| Share::default()).collect(),
            sleepers: AtomicUsize::new(0),
            has_panicked: AtomicBool::new(false),
            panic: Mutex::new(None),
            door: Mutex::new(()),
            bell: Condvar::new(),
        });
        for helper in 1..threads {
            let shared = Arc::clone(&shared);
            rayon::spawn(move || shared.help(helper));
        }
        Self { shared, threads }
    }

    /// Returns the number of threads, with the caller.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work` once for every chunk below `chunks`, on any thread of the team, and returns when
    /// all are done. Each thread begins with a stretch of neighbouring chunks.
    ///
    /// # Panics
    /// When `work` does, after all chunks have ended.
    pub fn run(&mut self, chunks: usize, work: &Chunk<'_>) {
        if self.threads == 1 || chunks < 2 {
            return (0..chunks).for_each(work);
        }
        assert!(chunks < u32::MAX as usize, "the number of a chunk fits into half a word");
        let shared = &*self.shared;
        let fat: *const Chunk<'_> = work;
        let region = match shared.region.load(Ordering::Relaxed) + 1 {
            REGIONS.. => 1,
            region => region,
        };
        // First no share has a chunk to give: a helper that is still looking for one of the last
        // region would otherwise see the new number of chunks, and take one that is not there yet.
        for share in &shared.shares {
            share.next.swap(CLOSED, Ordering::AcqRel);
        }
        shared.done.store(0, Ordering::Relaxed);
        shared.chunks.store(chunks, Ordering::Relaxed);
        shared.work.store((&raw const fat).cast_mut().cast(), Ordering::Relaxed);
        for share in &shared.shares {
            share.next.store(region << 32, Ordering::Release);
        }
        // Ordered before the look at `sleepers`, as a sleeper's look at it is behind its entry there.
        shared.region.store(region, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            shared.wake();
        }
        shared.work_through(0, region);
        let mut waits = 0;
        while shared.done.load(Ordering::Acquire) < chunks {
            wait(&mut waits);
        }
        if shared.has_panicked.swap(false, Ordering::Relaxed) {
            let panic = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
            resume_unwind(panic.unwrap_or_else(|| Box::new("a chunk panicked")));
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.region.store(CLOSED, Ordering::SeqCst);
        self.shared.wake();
    }
}

fn wait(waits: &mut u32) {
    *waits += 1;
    if *waits < SPINS {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

impl Shared {
    /// Returns the first chunk of a thread's stretch; that of the thread behind the last is the end.
    fn start(&self, thread: usize, chunks: usize) -> usize {
        thread * chunks / self.shares.len()
    }

    /// Takes chunks of this region until none is left, one's own first.
    fn work_through(&self, thread: usize, region: u64) {
        let threads = self.shares.len();
        for owner in (0..threads).map(|n| (thread + n) % threads) {
            let next = &self.shares[owner].next;
            let mut seen = next.load(Ordering::Acquire);
            // Only a chunk of the present region may be taken: it keeps the region from ending, and
            // so what was read about it stays true. The function was written before the shares.
            while seen >> 32 == region {
                let chunks = self.chunks.load(Ordering::Relaxed);
                let work = self.work.load(Ordering::Relaxed);
                let chunk = self.start(owner, chunks) + (seen & 0xffff_ffff) as usize;
                if chunk >= self.start(owner + 1, chunks) {
                    break;
                }
                let taken =
                    next.compare_exchange(seen, seen + 1, Ordering::AcqRel, Ordering::Acquire);
                match taken {
                    Ok(_) => {
                        self.work_on(work, chunk);
                        seen = next.load(Ordering::Acquire);
                    }
                    Err(other) => seen = other,
                }
            }
        }
    }

    fn work_on(&self, work: *mut (), chunk: usize) {
        // SAFETY: the exchange that took the chunk shows that its region was the present one, so
        // `work` is what `run` has stored for it: a pointer to its own pointer to the function. Both
        // live until `run` returns, which is after this chunk was counted as done.
        let work: &Chunk<'_> = unsafe { &**work.cast::<*const Chunk<'_>>() };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(chunk))) {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            self.has_panicked.store(true, Ordering::Relaxed);
        }
        self.done.fetch_add(1, Ordering::Release);
    }

    /// Helps with every region until the team is over.
    fn help(&self, thread: usize) {
        let mut last = 0;
        let mut waits = 0;
        loop {
            let region = self.region.load(Ordering::Acquire);
            if region == CLOSED {
                return;
            }
            if region != last {
                self.work_through(thread, region);
                (last, waits) = (region, 0);
            } else if waits < SPINS + YIELDS {
                wait(&mut waits);
            } else {
                self.sleep(last);
            }
        }
    }

    fn sleep(&self, last: u64) {
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        while self.region.load(Ordering::SeqCst) == last {
            guard = self.bell.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        drop(guard);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    fn wake(&self) {
        // Taken and given back: whoever looked before the region changed is by now waiting.
        drop(self.door.lock().unwrap_or_else(PoisonError::into_inner));
        self.bell.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_of_every_region_is_worked_on_once() {
        let mut team = Team::gather(4);
        for region in 0..3000_usize {
            let counts: Vec<AtomicUsize> = (0..region % 17).map(|_| AtomicUsize::new(0)).collect();
            team.run(counts.len(), &|chunk| {
                counts[chunk].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{region}");
            if region % 500 == 0 {
                std::thread::sleep(std::time::Duration::from_millis(3));
            }
        }
    }

    #[test]
    fn teams_side_by_side_all_come_to_their_end() {
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let mut team = Team::gather(usize::MAX);
                    let sum = AtomicUsize::new(0);
                    for _ in 0..300 {
                        team.run(8, &|chunk| {
                            sum.fetch_add(chunk, Ordering::Relaxed);
                        });
                    }
                    assert_eq!(sum.load(Ordering::Relaxed), 300 * 28);
                });
            }
        });
    }

    #[test]
    fn a_panic_in_a_chunk_comes_out_of_run_and_the_team_goes_on() {
        let mut team = Team::gather(2);
        let result = catch_unwind(AssertUnwindSafe(|| {
            team.run(5, &|chunk| assert!(chunk != 3, "chunk three"));
        }));
        assert!(result.is_err());
        let count = AtomicUsize::new(0);
        team.run(5, &|_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.load(Ordering::Relaxed), 5);
    }
}
