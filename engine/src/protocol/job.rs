//! A job as its two ends see it: the handle in the front end, the context on the engine thread.
//!
//! Progress goes through a mailbox with one slot, overwritten and never queued, so a slow reader
//! cannot hold up the engine. Cancelling goes round the queue through an atomic.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Event, Partial, Pixels, Score, WordsStats};
use crate::error::EngineError;

/// Names a job; never reused by its engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub(crate) u64);

impl JobId {
    /// Returns the number of the job, counted from 1.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Says what a running job is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// It waits in the queue.
    #[default]
    Waiting,
    /// A model is being loaded.
    Loading,
    /// The prompt is being read.
    Encoding,
    /// Noise is becoming a picture.
    Sampling,
    /// Latents are becoming pixels.
    Decoding,
    /// A language model reads what it is to go on with.
    Reading,
    /// Text is being written.
    Writing,
    /// Notes are being written.
    Composing,
    /// Notes are becoming sound.
    Rendering,
    /// A picture is enlarged, tile by tile.
    Enlarging,
    /// An enlarged picture is painted over, tile by tile.
    Refining,
    /// The subject of a picture is told from its background.
    CuttingOut,
    /// The result is being written to disk.
    Saving,
}

/// Shows how far a job is. Overwritten by the next report, never queued.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// What is being done.
    pub stage: Stage,
    /// `[done, total]` of the stage's steps; over all pictures of a batch while sampling.
    pub steps: Option<[u32; 2]>,
    /// `[read, total]` bytes of the model that is being loaded.
    pub bytes: Option<[u64; 2]>,
    /// The picture so far.
    pub preview: Option<Arc<Pixels>>,
    /// What the text took so far.
    pub words: Option<WordsStats>,
    /// The notes so far.
    pub score: Option<Arc<Score>>,
}

#[derive(Debug, Default)]
pub(crate) struct JobShared {
    cancelled: AtomicBool,
    live: Mutex<Live>,
}

impl JobShared {
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn lock_live(&self) -> MutexGuard<'_, Live> {
        // The slot is plain data that is replaced whole, so a panic elsewhere cannot leave it half written.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a front end watch and cancel its job.
#[derive(Clone)]
pub struct JobHandle {
    pub(crate) id: JobId,
    pub(crate) shared: Arc<JobShared>,
    /// Tells the service that a job was cancelled, so that a waiting one ends at once.
    pub(crate) on_cancel: Arc<dyn Fn(JobId) + Send + Sync>,
}

impl JobHandle {
    /// Returns the job's name.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// Asks the job to stop; its terminal event is [`EngineError::Cancelled`] unless it was already done.
    pub fn cancel(&self) {
        self.shared.cancel();
        (self.on_cancel)(self.id);
    }

    /// Returns the latest progress; never blocks longer than a copy of a few words takes.
    pub fn live(&self) -> Live {
        self.shared.lock_live().clone()
    }
}

impl fmt::Debug for JobHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobHandle({})", self.id)
    }
}

/// Lets a pipeline report progress and notice that its job was cancelled.
#[derive(Clone)]
pub struct JobContext {
    id: JobId,
    shared: Arc<JobShared>,
    send: Arc<dyn Fn(Event) + Send + Sync>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl JobContext {
    pub(crate) fn new(
        id: JobId,
        shared: Arc<JobShared>,
        send: Arc<dyn Fn(Event) + Send + Sync>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self { id, shared, send, wake }
    }

    /// Makes a context that nobody watches, for tests and benchmarks of a pipeline alone.
    pub fn detached() -> Self {
        Self::new(JobId(0), Arc::default(), Arc::new(|_| ()), Arc::new(|| ()))
    }

    /// Returns the job's name.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// Replaces the progress shown, then checks for cancelling: to be called once per step, tile,
    /// token and tensor loaded. A report without a preview or a score keeps the last one.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`] when the job was cancelled; the pipeline passes it on at once.
    pub fn report(&self, live: Live) -> Result<(), EngineError> {
        self.check()?;
        let mut slot = self.shared.lock_live();
        let preview = live.preview.or_else(|| slot.preview.take());
        let score = live.score.or_else(|| slot.score.take());
        *slot = Live { preview, score, ..live };
        drop(slot);
        (self.wake)();
        Ok(())
    }

    /// Checks for cancelling without a report.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`] when the job was cancelled.
    pub fn check(&self) -> Result<(), EngineError> {
        if self.shared.is_cancelled() { Err(EngineError::Cancelled) } else { Ok(()) }
    }

    /// Sends a complete part of the output; lossless, never blocks.
    pub fn partial(&self, partial: Partial) {
        (self.send)(Event::Partial(self.id, partial));
        (self.wake)();
    }

    /// Sends more text; lossless, never blocks.
    pub fn text(&self, text: String) {
        (self.send)(Event::Text(self.id, text));
        (self.wake)();
    }
}

impl fmt::Debug for JobContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobContext({})", self.id)
    }
}
