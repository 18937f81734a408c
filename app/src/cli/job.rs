//! Runs one job to its end and tells an observer what happens on the way.

use std::time::Duration;

use atelier_engine::EngineError;
use atelier_engine::protocol::{Event, JobId, Live, Output, Partial, Picture, Request, Stage};
use atelier_engine::service::Engine;

use super::Interrupt;

/// Tells what happens to a job.
pub enum Report<'a> {
    /// The engine took it up.
    Started(JobId),
    /// Its progress changed.
    Progress(&'a Live),
    /// One of its pictures is complete.
    Picture(&'a Picture),
    /// It wrote more text.
    Text(&'a str),
}

/// Runs a job; `pause` is how long to wait between two looks at its progress when nothing wakes
/// the calling thread earlier (the engine's waker should unpark it).
///
/// # Errors
/// What the job failed with; [`EngineError::Cancelled`] after Ctrl-C; what the observer returned,
/// in which case the job is cancelled first.
pub fn run(
    engine: &Engine,
    request: Request,
    interrupt: &Interrupt,
    pause: Duration,
    observer: &mut dyn FnMut(Report<'_>) -> Result<(), EngineError>,
) -> Result<Output, EngineError> {
    let handle = engine.submit(request)?;
    // Whoever waits has made no progress yet.
    let mut shown = Some((Stage::Waiting, None));
    let mut refused = None;
    loop {
        if interrupt.is_pressed() {
            handle.cancel();
        }
        for event in engine.drain() {
            if event.job() != handle.id() {
                continue;
            }
            let report = match &event {
                Event::Started(id) => Report::Started(*id),
                Event::Partial(_, Partial::Picture(picture)) => Report::Picture(picture),
                Event::Text(_, text) => Report::Text(text),
                Event::Finished(_, output) => {
                    return refused.map_or_else(|| Ok(output.clone()), Err);
                }
                Event::Failed(_, error) => return Err(refused.unwrap_or_else(|| error.clone())),
                _ => continue,
            };
            tell(observer, report, &mut refused);
        }
        let live = handle.live();
        let now = (live.stage, live.steps);
        if shown != Some(now) {
            shown = Some(now);
            tell(observer, Report::Progress(&live), &mut refused);
        }
        if refused.is_some() {
            handle.cancel();
        }
        std::thread::park_timeout(pause);
    }
}

/// Tells the observer, unless it has already refused.
fn tell(
    observer: &mut dyn FnMut(Report<'_>) -> Result<(), EngineError>,
    report: Report<'_>,
    refused: &mut Option<EngineError>,
) {
    if refused.is_none() {
        *refused = observer(report).err();
    }
}
