//! What the two ends of an engine share: the jobs that wait, the one that runs, and the events.
//!
//! One lock guards all of it, is held for a few words at a time and never while a job runs, so
//! that every change of a job's state and the event that tells of it happen together.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::wakes::Wakes;
use crate::error::EngineError;
use crate::protocol::{Event, JobId, JobShared, Output, Request};

/// A job that was accepted.
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) request: Request,
    pub(super) shared: Arc<JobShared>,
}

pub(super) struct Queue {
    state: Mutex<State>,
    /// A job arrived, or the engine is to stop, or it has stopped.
    changed: Condvar,
    wakes: Wakes,
    limit: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    running: Option<(JobId, Arc<JobShared>)>,
    events: Vec<Event>,
    phase: Phase,
    accepted: u64,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// No more jobs are accepted; the running one was asked to stop.
    Stopping,
    /// Nothing runs any more, and nothing will.
    Stopped,
}

impl State {
    fn fail_waiting(&mut self, error: &EngineError) {
        let failed = self.waiting.drain(..).map(|job| Event::Failed(job.id, error.clone()));
        self.events.extend(failed);
    }
}

impl Queue {
    pub(super) fn new(limit: usize, wakes: Wakes) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), wakes, limit }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned one is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn submit(&self, request: Request) -> Result<(JobId, Arc<JobShared>), EngineError> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(EngineError::Stopped);
        }
        if state.waiting.len() >= self.limit {
            return Err(EngineError::QueueFull { limit: self.limit });
        }
        state.accepted += 1;
        let id = JobId(state.accepted);
        let shared = Arc::<JobShared>::default();
        state.waiting.push_back(Job { id, request, shared: Arc::clone(&shared) });
        drop(state);
        self.changed.notify_all();
        Ok((id, shared))
    }

    /// Ends a job that waits; one that runs notices the cancelling itself.
    pub(super) fn cancel_waiting(&self, id: JobId) {
        let mut state = self.lock();
        let Some(index) = state.waiting.iter().position(|job| job.id == id) else { return };
        state.waiting.remove(index);
        state.events.push(Event::Failed(id, EngineError::Cancelled));
        drop(state);
        self.wake();
    }

    pub(super) fn waiting(&self) -> Vec<JobId> {
        self.lock().waiting.iter().map(|job| job.id).collect()
    }

    pub(super) fn running(&self) -> Option<JobId> {
        self.lock().running.as_ref().map(|(id, _)| *id)
    }

    pub(super) fn move_waiting(&self, id: JobId, to_index: usize) -> bool {
        let mut state = self.lock();
        let Some(from) = state.waiting.iter().position(|job| job.id == id) else { return false };
        if let Some(job) = state.waiting.remove(from) {
            let to = to_index.min(state.waiting.len());
            state.waiting.insert(to, job);
        }
        true
    }

    pub(super) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.lock().events)
    }

    /// Takes the next job up and tells of it; `None` when none waits or the engine is to stop.
    pub(super) fn take_job(&self) -> Option<Job> {
        let mut state = self.lock();
        let job = loop {
            let job = state.waiting.pop_front()?;
            // Its handle was cancelled but has not yet reached the queue.
            if !job.shared.is_cancelled() {
                break job;
            }
            state.events.push(Event::Failed(job.id, EngineError::Cancelled));
            self.wake();
        };
        state.running = Some((job.id, Arc::clone(&job.shared)));
        state.events.push(Event::Started(job.id));
        drop(state);
        self.wake();
        Some(job)
    }

    /// Waits until a job waits; `false` when the engine is to stop instead.
    pub(super) fn wait_for_job(&self) -> bool {
        let mut state = self.lock();
        while state.phase == Phase::Open && state.waiting.is_empty() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.phase == Phase::Open
    }

    /// Passes on what a running job sends; nothing from a job that has already ended.
    pub(super) fn send(&self, event: Event) {
        let mut state = self.lock();
        if state.running.as_ref().is_some_and(|(id, _)| *id == event.job()) {
            state.events.push(event);
        }
    }

    /// Ends the running job with its one terminal event.
    pub(super) fn end_job(&self, id: JobId, result: Result<Output, EngineError>) {
        let mut state = self.lock();
        if state.running.take_if(|(running, _)| *running == id).is_some() {
            state.events.push(match result {
                Ok(output) => Event::Finished(id, output),
                Err(error) => Event::Failed(id, error),
            });
        }
        drop(state);
        self.wake();
    }

    /// Accepts no more jobs, ends the waiting ones and asks the running one to stop.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Stopping;
        }
        if let Some((_, shared)) = &state.running {
            shared.cancel();
        }
        state.fail_waiting(&EngineError::Cancelled);
        drop(state);
        self.changed.notify_all();
        self.wake();
    }

    /// Notes that the runner is gone; whatever had not ended ends with [`EngineError::Stopped`].
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.phase = Phase::Stopped;
        if let Some((id, _)) = state.running.take() {
            state.events.push(Event::Failed(id, EngineError::Stopped));
        }
        state.fail_waiting(&EngineError::Stopped);
        drop(state);
        self.changed.notify_all();
        self.wake();
    }

    /// Waits until the runner is gone; `false` when it is not after `limit`.
    pub(super) fn wait_until_closed(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        while state.phase != Phase::Stopped {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            (state, _) =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    pub(super) fn wake(&self) {
        self.wakes.wake();
    }
}
