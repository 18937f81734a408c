//! A runner for tests: the prompt says how the job behaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::Duration;

use super::Runner;
use crate::error::EngineError;
use crate::protocol::{
    DeviceChoice, Extras, JobContext, Live, ModelRef, NoiseSource, Output, PictureOutput,
    PictureRequest, Precision, PreviewMode, Prompt, Request, SamplerKind, Sampling, Size, Stage,
};

/// Makes a request whose prompt is `behaviour`.
pub(super) fn request(behaviour: &str) -> Request {
    Request::Picture(Box::new(PictureRequest {
        model: ModelRef::named("fake"),
        prompt: Prompt { text: behaviour.to_owned(), ..Prompt::default() },
        size: Size { width_px: 256, height_px: 256 },
        sampling: Sampling {
            sampler: SamplerKind::Euler,
            steps: 1,
            guidance: 1.0,
            ..Sampling::default()
        },
        seed: 0,
        count: 1,
        noise: NoiseSource::Seed,
        preview: PreviewMode::Off,
        device: DeviceChoice::Cpu,
        precision: Precision::Fast,
        keep_latents: false,
        extras: Extras::default(),
    }))
}

/// Counts what became of a runner after it went into an engine.
#[derive(Default)]
pub(super) struct Traces {
    pub(super) runs: AtomicUsize,
    pub(super) forgotten: AtomicUsize,
    pub(super) dropped: AtomicUsize,
}

/// Runs `finish`, `fail`, `panic`, `text`, `forever`, `deaf`, `gate` and `broken`.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) traces: Arc<Traces>,
    /// A `gate` job says on the first that it is there, then waits for the second.
    pub(super) gate: Option<(Sender<()>, Receiver<()>)>,
    pub(super) kept: Option<JobContext>,
    pub(super) broken: bool,
}

impl Runner for Fake {
    fn run(&mut self, request: &Request, job: &JobContext) -> Result<Output, EngineError> {
        self.traces.runs.fetch_add(1, Ordering::SeqCst);
        if let Some(kept) = self.kept.take() {
            kept.text("from a job that has ended".to_owned());
        }
        let Request::Picture(request) = request else { return Err(EngineError::Stopped) };
        let done = || {
            Ok(Output::Picture(PictureOutput {
                pictures: Vec::new(),
                notices: Vec::new(),
                latents: None,
            }))
        };
        match request.prompt.text.as_str() {
            "fail" => Err(EngineError::NotANumber { stage: "fake".to_owned() }),
            "panic" => panic!("the fake runner panics"),
            "broken" => {
                self.broken = true;
                panic!("the fake runner panics")
            }
            "text" => {
                self.kept = Some(job.clone());
                for word in ["a", "b", "c"] {
                    job.text(word.to_owned());
                }
                done()
            }
            "gate" => {
                if let Some((arrived, open)) = &self.gate {
                    let _ = arrived.send(());
                    let _ = open.recv_timeout(Duration::from_secs(20));
                }
                done()
            }
            "forever" => loop {
                job.report(Live { stage: Stage::Sampling, ..Live::default() })?;
                thread::sleep(Duration::from_micros(200));
            },
            // Reports and never looks at the answer.
            "deaf" => {
                for _ in 0..100 {
                    let _ = job.report(Live { stage: Stage::Sampling, ..Live::default() });
                }
                done()
            }
            _ => done(),
        }
    }

    fn forget_models(&mut self) {
        self.traces.forgotten.fetch_add(1, Ordering::SeqCst);
        assert!(!self.broken, "the fake runner cannot forget");
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.traces.dropped.fetch_add(1, Ordering::SeqCst);
    }
}
