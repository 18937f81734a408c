//! The engine as a front end sees it, and the loop that runs jobs.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, TryLockError, Weak};
use std::time::Duration;
use std::{io, thread};

use super::queue::{Job, Queue};
use super::wakes::Wakes;
use crate::error::EngineError;
use crate::protocol::{Event, JobContext, JobHandle, JobId, Output, Request};

/// How many jobs may wait at once.
const QUEUE_LIMIT: usize = 64;

/// How long dropping an engine waits for a job that does not notice its cancelling.
const DROP_LIMIT: Duration = Duration::from_secs(2);

/// Runs jobs, one at a time, on the engine's thread; the only owner of models and tensors.
pub trait Runner: Send + 'static {
    /// Runs one job to its end.
    ///
    /// Calls [`JobContext::report`] once per step, tile, token and tensor loaded, and passes its
    /// error on at once.
    ///
    /// # Errors
    /// Whatever kept the job from its output; [`EngineError::Cancelled`] when it was cancelled.
    fn run(&mut self, request: &Request, job: &JobContext) -> Result<Output, EngineError>;

    /// Drops every model in memory, because a panic may have left one half changed.
    fn forget_models(&mut self);
}

/// Runs jobs one after the other and tells what becomes of them.
///
/// Per accepted job it sends the events that [`Event`] describes, with exactly one terminal event.
/// No call blocks: [`Engine::submit`] queues, [`Engine::drain`] takes what has happened, and
/// progress is read from the [`JobHandle`]. Dropping the engine cancels every job and waits for
/// the thread, though never longer than two seconds.
pub struct Engine {
    queue: Arc<Queue>,
    place: Place,
    on_cancel: Arc<dyn Fn(JobId) + Send + Sync>,
}

/// Where jobs run.
enum Place {
    Thread(Option<thread::JoinHandle<()>>),
    Inline(Mutex<Box<dyn Runner>>),
}

impl Engine {
    /// Starts an engine on a thread of its own, named `atelier-engine`.
    ///
    /// `waker` is called, at most thirty times a second and from another thread, after something
    /// has changed: events to drain or progress to read. It may be slow; no change goes unannounced.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn spawn(runner: impl Runner, waker: Arc<dyn Fn() + Send + Sync>) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(QUEUE_LIMIT, Wakes::spawn(waker)?));
        let thread_queue = Arc::clone(&queue);
        let thread = thread::Builder::new()
            .name("atelier-engine".to_owned())
            .spawn(move || work(&thread_queue, runner))?;
        Ok(Self::new(queue, Place::Thread(Some(thread))))
    }

    /// Makes an engine without a thread: each [`Engine::drain`] runs one waiting job, for tests.
    pub fn inline(runner: impl Runner) -> Self {
        let queue = Arc::new(Queue::new(QUEUE_LIMIT, Wakes::nowhere()));
        Self::new(queue, Place::Inline(Mutex::new(Box::new(runner))))
    }

    fn new(queue: Arc<Queue>, place: Place) -> Self {
        // A handle outlives its engine without keeping anything of it alive.
        let weak: Weak<Queue> = Arc::downgrade(&queue);
        let on_cancel = Arc::new(move |id| {
            if let Some(queue) = weak.upgrade() {
                queue.cancel_waiting(id);
            }
        });
        Self { queue, place, on_cancel }
    }

    /// Queues a job; never blocks.
    ///
    /// # Errors
    /// [`EngineError::QueueFull`] when 64 jobs already wait; [`EngineError::Stopped`] after
    /// [`Engine::stop`] or when the engine thread has ended.
    pub fn submit(&self, request: Request) -> Result<JobHandle, EngineError> {
        let (id, shared) = self.queue.submit(request)?;
        Ok(JobHandle { id, shared, on_cancel: Arc::clone(&self.on_cancel) })
    }

    /// Takes the events since the last call, oldest first; never blocks. An inline engine runs
    /// one waiting job first.
    pub fn drain(&self) -> Vec<Event> {
        if let Place::Inline(runner) = &self.place {
            let runner = match runner.try_lock() {
                Ok(runner) => Some(runner),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                // A job that drains its own engine gets what there is.
                Err(TryLockError::WouldBlock) => None,
            };
            if let Some(mut runner) = runner
                && let Some(job) = self.queue.take_job()
                && !run_job(&self.queue, &mut **runner, &job)
            {
                self.queue.close();
            }
        }
        self.queue.take_events()
    }

    /// Lists the jobs that wait, the next one first.
    pub fn waiting(&self) -> Vec<JobId> {
        self.queue.waiting()
    }

    /// Returns the job that runs.
    pub fn running(&self) -> Option<JobId> {
        self.queue.running()
    }

    /// Moves a waiting job to place `to_index` of the queue, or to its end when that is shorter;
    /// `false` when the job no longer waits.
    pub fn move_waiting(&self, job: JobId, to_index: usize) -> bool {
        self.queue.move_waiting(job, to_index)
    }

    /// Cancels every job and accepts no more; never blocks. Their events can still be drained.
    pub fn stop(&self) {
        self.queue.stop();
        if matches!(self.place, Place::Inline(_)) {
            self.queue.close();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
        if let Place::Thread(thread) = &mut self.place
            && let Some(thread) = thread.take()
            && self.queue.wait_until_closed(DROP_LIMIT)
        {
            // The thread caught every panic and has nothing left to do.
            let _ = thread.join();
        }
    }
}

/// The engine thread.
fn work(queue: &Arc<Queue>, runner: impl Runner) {
    /// Closes the queue however the thread ends, and after the models are gone.
    struct CloseAtEnd<'a>(&'a Queue);
    impl Drop for CloseAtEnd<'_> {
        fn drop(&mut self) {
            self.0.close();
        }
    }
    let _close = CloseAtEnd(queue);
    let mut runner = runner;
    while queue.wait_for_job() {
        if let Some(job) = queue.take_job()
            && !run_job(queue, &mut runner, &job)
        {
            return;
        }
    }
}

/// Runs one job to its terminal event; `false` when the runner can no longer be used.
fn run_job(queue: &Arc<Queue>, runner: &mut (impl Runner + ?Sized), job: &Job) -> bool {
    let (events, wakes) = (Arc::clone(queue), Arc::clone(queue));
    let context = JobContext::new(
        job.id,
        Arc::clone(&job.shared),
        Arc::new(move |event| events.send(event)),
        Arc::new(move || wakes.wake()),
    );
    match catch_unwind(AssertUnwindSafe(|| runner.run(&job.request, &context))) {
        Ok(result) => {
            queue.end_job(job.id, result);
            true
        }
        Err(panic) => {
            let message = panic_message(&*panic);
            queue.end_job(job.id, Err(EngineError::Panicked { message }));
            catch_unwind(AssertUnwindSafe(|| runner.forget_models())).is_ok()
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_owned()
    }
}
