//! The engine thread with a real studio, without a window.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use atelier_engine::EngineError;
use atelier_engine::library::Models;
use atelier_engine::protocol::{Event, JobHandle, Output, Request};
use atelier_engine::service::{Engine, Studio};
use atelier_engine::store::Store;

/// How long a job may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Starts an engine over `models`, which keeps its results in `folder` if there is one.
///
/// # Errors
/// When the folder holds no library, or the thread cannot be started.
pub fn studio(models: &Models, folder: Option<&Path>) -> Result<Engine> {
    let store = folder.map(Store::open).transpose()?.map(Arc::new);
    Ok(Engine::spawn(Studio::new(store, models.clone()), Arc::new(|| ()))?)
}

/// Drains until the job has ended; returns all events, of which the last is its end.
///
/// # Errors
/// When it has not ended after [`PATIENCE`].
pub fn wait(engine: &Engine, job: &JobHandle) -> Result<Vec<Event>> {
    let start = Instant::now();
    let mut events = Vec::new();
    while !events.iter().any(|event: &Event| event.is_terminal() && event.job() == job.id()) {
        ensure!(start.elapsed() < PATIENCE, "the job did not end: {events:?}");
        events.extend(engine.drain());
        thread::sleep(Duration::from_micros(500));
    }
    Ok(events)
}

/// Runs a request to its end and returns what came of it.
///
/// # Errors
/// When it ends otherwise.
pub fn finish(engine: &Engine, request: Request) -> Result<Output> {
    match wait(engine, &engine.submit(request)?)?.pop() {
        Some(Event::Finished(_, output)) => Ok(output),
        other => bail!("the job ended with {other:?}"),
    }
}

/// Runs a request that must fail and returns why it did.
///
/// # Errors
/// When it ends otherwise.
pub fn fail(engine: &Engine, request: Request) -> Result<EngineError> {
    match wait(engine, &engine.submit(request)?)?.pop() {
        Some(Event::Failed(_, error)) => Ok(error),
        other => bail!("the job ended with {other:?}"),
    }
}
