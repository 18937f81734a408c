//! Wake-ups for the front end, at most thirty a second and never losing the last.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

/// The shortest time between two wake-ups.
pub(super) const INTERVAL: Duration = Duration::from_millis(33);

/// Calls the front end's waker from a thread of its own, so that neither a slow waker nor the
/// waiting time between two calls holds up the engine.
pub(super) struct Wakes {
    /// `None` when nobody is to be woken.
    slot: Option<Arc<Slot>>,
}

#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    wanted: bool,
    closed: bool,
}

impl Wakes {
    /// Makes wakes that go nowhere.
    pub(super) fn nowhere() -> Self {
        Self { slot: None }
    }

    /// Starts the thread that calls `waker`.
    pub(super) fn spawn(waker: Arc<dyn Fn() + Send + Sync>) -> io::Result<Self> {
        let slot = Arc::new(Slot::default());
        let thread_slot = Arc::clone(&slot);
        thread::Builder::new()
            .name("atelier-waker".to_owned())
            .spawn(move || thread_slot.deliver(&*waker))?;
        Ok(Self { slot: Some(slot) })
    }

    /// Asks for a wake-up: at once when the last one is long enough ago, else when it is.
    pub(super) fn wake(&self) {
        let Some(slot) = &self.slot else { return };
        let mut state = slot.lock();
        if !state.wanted {
            state.wanted = true;
            slot.changed.notify_one();
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        // The thread is not joined: a waker may hold, or wait for, what the dropping thread holds.
        if let Some(slot) = &self.slot {
            slot.lock().closed = true;
            slot.changed.notify_one();
        }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, waker: &(dyn Fn() + Send + Sync)) {
        loop {
            let mut state = self.lock();
            while !state.wanted && !state.closed {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if !state.wanted {
                return;
            }
            state.wanted = false;
            drop(state);
            // One panic in a front end's waker must not leave it asleep for good; the panic
            // itself was already printed.
            let _ = catch_unwind(AssertUnwindSafe(waker));
            self.hold_back(Instant::now());
        }
    }

    fn hold_back(&self, since: Instant) {
        let mut state = self.lock();
        loop {
            let left = INTERVAL.saturating_sub(since.elapsed());
            if left.is_zero() || state.closed {
                return;
            }
            (state, _) =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
