//! The window's end of the engine.

use std::fmt;

use atelier_engine::EngineError;
use atelier_engine::protocol::{JobContext, JobHandle, JobId, Output, Request};
use atelier_engine::service::{Engine, Runner};

use crate::update::Incoming;

/// Hands requests to the engine and reads what becomes of them.
pub struct EngineLink {
    engine: Engine,
    handles: Vec<JobHandle>,
}

impl fmt::Debug for EngineLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EngineLink({:?})", self.handles)
    }
}

impl EngineLink {
    /// Takes an engine over.
    pub fn new(engine: Engine) -> Self {
        Self { engine, handles: Vec::new() }
    }

    /// Hands over a request; the answer says which job it is, or why not.
    pub fn submit(&mut self, ticket: u64, request: Request) -> Incoming {
        match self.engine.submit(request) {
            Ok(handle) => {
                let job = handle.id();
                self.handles.push(handle);
                Incoming::Accepted { ticket, job }
            }
            Err(error) => Incoming::Refused { ticket, error },
        }
    }

    /// Cancels a job.
    pub fn cancel(&self, job: JobId) {
        if let Some(handle) = self.handles.iter().find(|handle| handle.id() == job) {
            handle.cancel();
        }
    }

    /// Moves a waiting job to a place among the waiting ones.
    pub fn move_waiting(&self, job: JobId, to_index: usize) {
        // A job that started in the meantime cannot be moved, and the queue shows that it runs.
        let _started = !self.engine.move_waiting(job, to_index);
    }

    /// Takes what has happened since the last call; never blocks.
    pub fn poll(&mut self) -> Vec<Incoming> {
        let mut news = Vec::new();
        let events = self.engine.drain();
        // Progress first: it was reported before the event that ends its job.
        for handle in &self.handles {
            let live = handle.live();
            if live.stage != atelier_engine::protocol::Stage::Waiting {
                news.push(Incoming::Progress(handle.id(), live));
            }
        }
        for event in events {
            if event.is_terminal() {
                self.handles.retain(|handle| handle.id() != event.job());
            }
            news.push(Incoming::Engine(event));
        }
        news
    }
}

type MakeRunner = Box<dyn FnOnce() -> Result<Box<dyn Runner>, EngineError> + Send>;

/// Is a runner that is made when its first job comes, on the engine's thread: the window opens
/// before the library is read.
pub struct LateRunner {
    make: Option<MakeRunner>,
    made: Result<Box<dyn Runner>, EngineError>,
}

impl LateRunner {
    /// Makes the runner later, by `make`.
    pub fn new(
        make: impl FnOnce() -> Result<Box<dyn Runner>, EngineError> + Send + 'static,
    ) -> Self {
        Self { make: Some(Box::new(make)), made: Err(EngineError::Stopped) }
    }
}

impl Runner for LateRunner {
    fn run(&mut self, request: &Request, job: &JobContext) -> Result<Output, EngineError> {
        if let Some(make) = self.make.take() {
            self.made = make();
        }
        match &mut self.made {
            Ok(runner) => runner.run(request, job),
            Err(error) => Err(error.clone()),
        }
    }

    fn forget_models(&mut self) {
        if let Ok(runner) = &mut self.made {
            runner.forget_models();
        }
    }
}
