//! One test per rule of the border between front end and engine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::fake::{Fake, Traces, request};
use super::wakes::INTERVAL;
use super::{Engine, Runner};
use crate::error::EngineError;
use crate::protocol::{Event, JobContext, JobId, Live, Output, Pixels, Request, Stage};

const PATIENCE: Duration = Duration::from_secs(20);

fn quiet() -> Arc<dyn Fn() + Send + Sync> {
    Arc::new(|| ())
}

fn spawn(fake: Fake) -> Engine {
    Engine::spawn(fake, quiet()).unwrap()
}

/// Makes a runner whose `gate` jobs say that they have begun and wait to be let on.
fn gated() -> (Fake, Receiver<()>, Sender<()>) {
    let (arrived, has_arrived) = channel();
    let (open, is_open) = channel();
    let mut fake = Fake::default();
    fake.gate = Some((arrived, is_open));
    (fake, has_arrived, open)
}

/// Drains until `terminal` jobs have ended.
fn drain_until(engine: &Engine, terminal: usize) -> Vec<Event> {
    let start = Instant::now();
    let mut events = Vec::new();
    while events.iter().filter(|event: &&Event| event.is_terminal()).count() < terminal {
        assert!(start.elapsed() < PATIENCE, "only {events:?}");
        events.extend(engine.drain());
        thread::sleep(Duration::from_millis(1));
    }
    events
}

fn wait_for(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        thread::sleep(Duration::from_millis(1));
    }
}

fn ended_with(events: &[Event], job: JobId) -> Option<EngineError> {
    events.iter().find_map(|event| match event {
        Event::Failed(id, error) if *id == job => Some(error.clone()),
        _ => None,
    })
}

#[test]
fn a_job_tells_its_start_its_text_and_its_end_in_order() {
    let engine = spawn(Fake::default());
    let job = engine.submit(request("text")).unwrap();
    let events = drain_until(&engine, 1);
    assert!(events.iter().all(|event| event.job() == job.id()));
    assert!(matches!(events.first(), Some(Event::Started(_))));
    assert!(matches!(events.last(), Some(Event::Finished(..))));
    let text: String = events
        .iter()
        .filter_map(
            |event| if let Event::Text(_, text) = event { Some(text.as_str()) } else { None },
        )
        .collect();
    assert_eq!(text, "abc");
}

#[test]
fn progress_is_overwritten_and_a_report_without_a_preview_keeps_the_last_one() {
    struct Reports;
    impl Runner for Reports {
        fn run(&mut self, _: &Request, job: &JobContext) -> Result<Output, EngineError> {
            let preview = Pixels::new(1, 1, vec![7; 4]).map(Arc::new);
            job.report(Live {
                stage: Stage::Sampling,
                steps: Some([1, 3]),
                preview,
                ..Live::default()
            })?;
            for step in 2..=3 {
                let steps = Some([step, 3]);
                job.report(Live { stage: Stage::Sampling, steps, ..Live::default() })?;
            }
            Err(EngineError::Stopped)
        }
        fn forget_models(&mut self) {}
    }
    let engine = Engine::inline(Reports);
    let job = engine.submit(request("reports")).unwrap();
    assert_eq!(job.live().stage, Stage::Waiting);
    // A start and an end: no report went through the lane of events.
    assert_eq!(engine.drain().len(), 2);
    let live = job.live();
    assert_eq!(live.steps, Some([3, 3]));
    assert_eq!(live.preview.unwrap().rgba, [7; 4]);
}

#[test]
fn events_and_reports_never_block_an_engine_that_nobody_drains() {
    struct Storm;
    impl Runner for Storm {
        fn run(&mut self, _: &Request, job: &JobContext) -> Result<Output, EngineError> {
            for _ in 0..10_000 {
                job.text("word".to_owned());
                job.report(Live::default())?;
            }
            Err(EngineError::Stopped)
        }
        fn forget_models(&mut self) {}
    }
    let engine =
        Engine::spawn(Storm, Arc::new(|| thread::sleep(Duration::from_millis(50)))).unwrap();
    let start = Instant::now();
    engine.submit(request("storm")).unwrap();
    wait_for(|| engine.running().is_none() && engine.waiting().is_empty());
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(engine.drain().len(), 10_002);
}

#[test]
fn a_full_queue_refuses_a_job_and_loses_none() {
    let (fake, has_arrived, open) = gated();
    let engine = spawn(fake);
    engine.submit(request("gate")).unwrap();
    has_arrived.recv_timeout(PATIENCE).unwrap();
    for _ in 0..64 {
        engine.submit(request("finish")).unwrap();
    }
    let refused = engine.submit(request("finish"));
    assert_eq!(refused.unwrap_err(), EngineError::QueueFull { limit: 64 });
    open.send(()).unwrap();
    let events = drain_until(&engine, 65);
    assert_eq!(events.iter().filter(|e| matches!(e, Event::Finished(..))).count(), 65);
    engine.submit(request("finish")).unwrap();
}

#[test]
fn cancel_ends_a_running_job_with_one_terminal_event() {
    let engine = spawn(Fake::default());
    let job = engine.submit(request("forever")).unwrap();
    wait_for(|| job.live().stage == Stage::Sampling);
    let start = Instant::now();
    job.cancel();
    job.cancel();
    let mut events = drain_until(&engine, 1);
    assert!(start.elapsed() < Duration::from_millis(200));
    assert_eq!(ended_with(&events, job.id()), Some(EngineError::Cancelled));
    job.cancel();
    engine.submit(request("finish")).unwrap();
    events.extend(drain_until(&engine, 1));
    let ends = events.iter().filter(|e| e.job() == job.id() && e.is_terminal()).count();
    assert_eq!(ends, 1);
}

#[test]
fn cancel_ends_a_waiting_job_at_once_while_another_still_runs() {
    let (fake, has_arrived, open) = gated();
    let traces = Arc::clone(&fake.traces);
    let engine = spawn(fake);
    let running = engine.submit(request("gate")).unwrap();
    let waiting = engine.submit(request("finish")).unwrap();
    has_arrived.recv_timeout(PATIENCE).unwrap();
    waiting.cancel();
    let events: Vec<Event> =
        engine.drain().into_iter().filter(|event| event.job() == waiting.id()).collect();
    assert!(matches!(&events[..], [Event::Failed(_, EngineError::Cancelled)]));
    assert_eq!(engine.running(), Some(running.id()));
    assert!(engine.waiting().is_empty());
    open.send(()).unwrap();
    drain_until(&engine, 1);
    assert_eq!(traces.runs.load(Ordering::SeqCst), 1);
}

#[test]
fn a_job_that_was_done_before_it_noticed_its_cancelling_is_finished() {
    let (fake, has_arrived, open) = gated();
    let engine = spawn(fake);
    let job = engine.submit(request("gate")).unwrap();
    has_arrived.recv_timeout(PATIENCE).unwrap();
    job.cancel();
    open.send(()).unwrap();
    let events = drain_until(&engine, 1);
    assert!(matches!(events.last(), Some(Event::Finished(..))));
}

#[test]
fn a_panic_fails_its_job_only_and_drops_the_models() {
    let fake = Fake::default();
    let traces = Arc::clone(&fake.traces);
    let engine = spawn(fake);
    let bad = engine.submit(request("panic")).unwrap();
    let good = engine.submit(request("finish")).unwrap();
    let events = drain_until(&engine, 2);
    let message = "the fake runner panics".to_owned();
    assert_eq!(ended_with(&events, bad.id()), Some(EngineError::Panicked { message }));
    assert!(matches!(events.last(), Some(Event::Finished(id, _)) if *id == good.id()));
    assert_eq!(traces.forgotten.load(Ordering::SeqCst), 1);
}

#[test]
fn a_runner_that_cannot_forget_its_models_stops_the_engine() {
    let (fake, has_arrived, open) = gated();
    for engine in [spawn(fake), Engine::inline(Fake::default())] {
        engine.submit(request("gate")).unwrap();
        let broken = engine.submit(request("broken")).unwrap();
        let after = engine.submit(request("finish")).unwrap();
        let _ = open.send(());
        let events = drain_until(&engine, 3);
        assert!(matches!(ended_with(&events, broken.id()), Some(EngineError::Panicked { .. })));
        assert_eq!(ended_with(&events, after.id()), Some(EngineError::Stopped));
        assert_eq!(engine.submit(request("finish")).unwrap_err(), EngineError::Stopped);
    }
    drop(has_arrived);
}

#[test]
fn a_stopped_engine_cancels_every_job_and_accepts_no_more() {
    for engine in [spawn(Fake::default()), Engine::inline(Fake::default())] {
        let first = engine.submit(request("forever")).unwrap();
        let second = engine.submit(request("finish")).unwrap();
        engine.stop();
        assert_eq!(engine.submit(request("finish")).unwrap_err(), EngineError::Stopped);
        let events = drain_until(&engine, 2);
        for job in [first, second] {
            assert_eq!(ended_with(&events, job.id()), Some(EngineError::Cancelled));
        }
    }
}

#[test]
fn dropping_the_engine_ends_the_running_job_and_drops_the_runner() {
    let fake = Fake::default();
    let traces = Arc::clone(&fake.traces);
    let engine = spawn(fake);
    let job = engine.submit(request("forever")).unwrap();
    let waiting = engine.submit(request("finish")).unwrap();
    wait_for(|| job.live().stage == Stage::Sampling);
    drop(engine);
    assert_eq!(traces.dropped.load(Ordering::SeqCst), 1);
    assert_eq!(traces.runs.load(Ordering::SeqCst), 1);
    waiting.cancel();
}

#[test]
fn dropping_the_engine_does_not_wait_for_ever_for_a_job_that_hangs() {
    let (fake, has_arrived, _open) = gated();
    let engine = spawn(fake);
    engine.submit(request("gate")).unwrap();
    has_arrived.recv_timeout(PATIENCE).unwrap();
    let start = Instant::now();
    drop(engine);
    assert!(start.elapsed() < Duration::from_secs(6));
}

#[test]
fn waiting_jobs_can_be_listed_and_reordered() {
    let engine = Engine::inline(Fake::default());
    let jobs: Vec<JobId> = (0..4).map(|_| engine.submit(request("finish")).unwrap().id()).collect();
    assert!(engine.move_waiting(jobs[3], 0));
    assert!(engine.move_waiting(jobs[0], 99));
    assert_eq!(engine.waiting(), [jobs[3], jobs[1], jobs[2], jobs[0]]);
    let mut order = Vec::new();
    while !engine.waiting().is_empty() {
        order.extend(engine.drain().iter().filter(|e| e.is_terminal()).map(Event::job));
    }
    assert_eq!(order, [jobs[3], jobs[1], jobs[2], jobs[0]]);
    assert!(!engine.move_waiting(jobs[0], 0));
}

#[test]
fn an_inline_engine_runs_one_job_per_drain() {
    let fake = Fake::default();
    let traces = Arc::clone(&fake.traces);
    let engine = Engine::inline(fake);
    for _ in 0..3 {
        engine.submit(request("finish")).unwrap();
    }
    assert_eq!(traces.runs.load(Ordering::SeqCst), 0);
    for runs in 1..=3 {
        engine.drain();
        assert_eq!(traces.runs.load(Ordering::SeqCst), runs);
    }
    assert!(engine.drain().is_empty());
}

#[test]
fn a_job_that_has_ended_can_send_nothing_more() {
    let engine = Engine::inline(Fake::default());
    engine.submit(request("text")).unwrap();
    engine.submit(request("finish")).unwrap();
    assert_eq!(engine.drain().len(), 5);
    // The second run starts by sending text in the name of the first.
    assert_eq!(engine.drain().len(), 2);
}

#[test]
fn wake_ups_come_at_most_thirty_times_a_second_and_the_last_change_is_announced() {
    /// Notes, at each wake-up, when it was and the progress seen then.
    type Seen = Arc<Mutex<Vec<(Instant, u32)>>>;
    struct Steps(u32, Sender<()>);
    impl Runner for Steps {
        fn run(&mut self, _: &Request, job: &JobContext) -> Result<Output, EngineError> {
            for step in 1..=self.0 {
                job.report(Live { steps: Some([step, self.0]), ..Live::default() })?;
                thread::sleep(Duration::from_micros(500));
            }
            // Then nothing for a long while: the last report must be seen without this job's end.
            let _ = self.1.send(());
            while job.check().is_ok() {
                thread::sleep(Duration::from_millis(1));
            }
            Err(EngineError::Cancelled)
        }
        fn forget_models(&mut self) {}
    }
    let seen = Seen::default();
    let handle = Arc::new(Mutex::new(None::<crate::protocol::JobHandle>));
    let (waker_seen, waker_handle) = (Arc::clone(&seen), Arc::clone(&handle));
    let waker = move || {
        let step = waker_handle
            .lock()
            .unwrap()
            .as_ref()
            .and_then(|job| job.live().steps)
            .map_or(0, |[done, _]| done);
        waker_seen.lock().unwrap().push((Instant::now(), step));
    };
    let (quiet, is_quiet) = channel();
    let engine = Engine::spawn(Steps(300, quiet), Arc::new(waker)).unwrap();
    {
        let mut handle = handle.lock().unwrap();
        *handle = Some(engine.submit(request("steps")).unwrap());
    }
    is_quiet.recv_timeout(PATIENCE).unwrap();
    let last_seen = || seen.lock().unwrap().last().map_or(0, |(_, step)| *step);
    wait_for(|| last_seen() == 300);

    let before = seen.lock().unwrap().len();
    handle.lock().unwrap().as_ref().unwrap().cancel();
    wait_for(|| seen.lock().unwrap().len() > before);
    drain_until(&engine, 1);
    let seen = seen.lock().unwrap();
    for pair in seen.windows(2) {
        // One millisecond for the time between the wake-up and this test's clock.
        assert!(pair[1].0 - pair[0].0 >= INTERVAL - Duration::from_millis(1));
    }
}

#[test]
fn a_waker_that_panics_is_called_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let waker_calls = Arc::clone(&calls);
    let waker = move || {
        assert!(waker_calls.fetch_add(1, Ordering::SeqCst) > 0, "the first wake-up panics");
    };
    let engine = Engine::spawn(Fake::default(), Arc::new(waker)).unwrap();
    engine.submit(request("finish")).unwrap();
    wait_for(|| calls.load(Ordering::SeqCst) > 0);
    engine.submit(request("finish")).unwrap();
    wait_for(|| calls.load(Ordering::SeqCst) > 1);
}

#[test]
fn jobs_run_on_one_named_thread() {
    struct Names(Arc<Mutex<Vec<(String, thread::ThreadId)>>>);
    impl Runner for Names {
        fn run(&mut self, _: &Request, _: &JobContext) -> Result<Output, EngineError> {
            let thread = thread::current();
            let name = thread.name().unwrap_or_default().to_owned();
            self.0.lock().unwrap().push((name, thread.id()));
            Err(EngineError::Cancelled)
        }
        fn forget_models(&mut self) {}
    }
    let names = Arc::default();
    let engine = Engine::spawn(Names(Arc::clone(&names)), quiet()).unwrap();
    for _ in 0..3 {
        engine.submit(request("name")).unwrap();
    }
    drain_until(&engine, 3);
    let names = names.lock().unwrap();
    assert!(names.iter().all(|entry| entry.0 == "atelier-engine" && entry.1 == names[0].1));
}

#[test]
fn a_front_end_may_share_the_engine_and_its_handles_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Engine>();
    shared::<crate::protocol::JobHandle>();
    shared::<Traces>();
}
