//! Random sequences of everything a front end can do, checked against the grammar of events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::Engine;
use super::fake::{Fake, request};
use crate::error::EngineError;
use crate::protocol::{Event, JobHandle, JobId};

#[derive(Debug, Clone)]
enum Act {
    Submit(&'static str),
    Cancel(usize),
    Move(usize, usize),
    Drain,
    Pause,
    Stop,
}

fn acts(behaviours: &'static [&'static str]) -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => prop::sample::select(behaviours).prop_map(Act::Submit),
        4 => (0usize..24).prop_map(Act::Cancel),
        2 => (0usize..24, 0usize..8).prop_map(|(job, to)| Act::Move(job, to)),
        3 => Just(Act::Drain),
        1 => Just(Act::Pause),
    ];
    let broken = prop_oneof![9 => Just(None), 1 => (0usize..40).prop_map(Some)];
    (prop::collection::vec(act, 1..40), broken).prop_map(|(mut acts, stop)| {
        if let Some(at) = stop {
            acts.insert(at.min(acts.len()), Act::Stop);
        }
        acts
    })
}

/// Checks that each accepted job has its start before its text and one terminal event at its end.
fn check_grammar(
    accepted: &[(JobId, &'static str)],
    events: &[Event],
) -> Result<(), TestCaseError> {
    let mut of_job: BTreeMap<JobId, Vec<&Event>> = BTreeMap::new();
    for event in events {
        of_job.entry(event.job()).or_default().push(event);
    }
    prop_assert_eq!(of_job.len(), accepted.len(), "events of jobs that were never accepted");
    for (job, behaviour) in accepted {
        let events = of_job.get(job).map(Vec::as_slice).unwrap_or_default();
        let Some((last, before)) = events.split_last() else {
            return Err(TestCaseError::fail(format!("job {job} never ended")));
        };
        prop_assert!(last.is_terminal(), "job {} ends with {:?}", job, last);
        prop_assert!(!before.iter().any(|event| event.is_terminal()));
        match before.split_first() {
            None => prop_assert!(
                matches!(last, Event::Failed(_, EngineError::Cancelled | EngineError::Stopped)),
                "job {} ended without a start: {:?}",
                job,
                last
            ),
            Some((first, rest)) => {
                prop_assert!(matches!(first, Event::Started(_)));
                prop_assert!(rest.iter().all(|event| matches!(event, Event::Text(..))));
                let fits = match last {
                    Event::Finished(..) => !matches!(*behaviour, "panic" | "fail" | "forever"),
                    Event::Failed(_, EngineError::Cancelled) => true,
                    Event::Failed(_, EngineError::Panicked { .. }) => *behaviour == "panic",
                    Event::Failed(_, EngineError::NotANumber { .. }) => *behaviour == "fail",
                    _ => false,
                };
                prop_assert!(fits, "a {} job ended with {:?}", behaviour, last);
            }
        }
    }
    Ok(())
}

struct Session {
    engine: Engine,
    handles: Vec<JobHandle>,
    accepted: Vec<(JobId, &'static str)>,
    events: Vec<Event>,
    stopped: bool,
}

impl Session {
    fn new(engine: Engine) -> Self {
        let (handles, accepted, events) = (Vec::new(), Vec::new(), Vec::new());
        Self { engine, handles, accepted, events, stopped: false }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Submit(behaviour) => match self.engine.submit(request(behaviour)) {
                Ok(handle) => {
                    assert!(!self.stopped, "a stopped engine accepted a job");
                    self.accepted.push((handle.id(), behaviour));
                    self.handles.push(handle);
                }
                Err(error) => assert!(self.stopped && error == EngineError::Stopped, "{error}"),
            },
            Act::Cancel(job) => {
                if let Some(handle) = self.handles.get(*job) {
                    handle.cancel();
                }
            }
            Act::Move(job, to) => {
                if let Some(handle) = self.handles.get(*job) {
                    self.engine.move_waiting(handle.id(), *to);
                }
            }
            Act::Drain => self.events.extend(self.engine.drain()),
            Act::Pause => thread::sleep(Duration::from_micros(300)),
            Act::Stop => {
                self.engine.stop();
                self.stopped = true;
            }
        }
    }

    fn ended(&self) -> usize {
        self.events.iter().filter(|event| event.is_terminal()).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_session_with_a_thread_keeps_the_grammar_of_events(
        acts in acts(&["finish", "fail", "panic", "text", "forever", "deaf"])
    ) {
        let Ok(engine) = Engine::spawn(Fake::default(), Arc::new(|| ())) else {
            return Err(TestCaseError::reject("no thread"));
        };
        let mut session = Session::new(engine);
        for act in &acts {
            session.act(act);
        }
        for handle in &session.handles {
            handle.cancel();
        }
        let start = Instant::now();
        while session.ended() < session.accepted.len() {
            prop_assert!(start.elapsed() < Duration::from_secs(20), "{:?}", session.events);
            session.events.extend(session.engine.drain());
            thread::sleep(Duration::from_micros(200));
        }
        // Nothing may follow a job's end.
        thread::sleep(Duration::from_millis(1));
        session.events.extend(session.engine.drain());
        check_grammar(&session.accepted, &session.events)?;
    }

    #[test]
    fn any_session_without_a_thread_keeps_the_grammar_and_the_order_of_the_queue(
        acts in acts(&["finish", "fail", "panic", "text", "deaf"])
    ) {
        let mut session = Session::new(Engine::inline(Fake::default()));
        let mut expected: Vec<JobId> = Vec::new();
        for act in &acts {
            let accepted = session.accepted.len();
            match act {
                Act::Cancel(job) => {
                    expected.retain(|id| session.handles.get(*job).map(JobHandle::id) != Some(*id));
                }
                Act::Move(job, to) => {
                    let moved = session.handles.get(*job).map(JobHandle::id);
                    if let Some(at) = expected.iter().position(|id| Some(*id) == moved) {
                        let id = expected.remove(at);
                        expected.insert((*to).min(expected.len()), id);
                    }
                }
                Act::Drain if !expected.is_empty() => {
                    let next = expected.remove(0);
                    session.act(&Act::Drain);
                    let started = session.events.iter().rev().find_map(|event| match event {
                        Event::Started(id) => Some(*id),
                        _ => None,
                    });
                    prop_assert_eq!(started, Some(next));
                    continue;
                }
                Act::Stop => expected.clear(),
                _ => (),
            }
            session.act(act);
            expected.extend(session.accepted[accepted..].iter().map(|(id, _)| *id));
            prop_assert_eq!(session.engine.waiting(), expected.clone());
        }
        while session.ended() < session.accepted.len() {
            let before = session.events.len();
            session.act(&Act::Drain);
            prop_assert!(session.events.len() > before, "an inline engine stands still");
        }
        prop_assert!(session.engine.drain().is_empty());
        check_grammar(&session.accepted, &session.events)?;
    }
}
