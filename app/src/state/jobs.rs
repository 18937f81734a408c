//! What runs and what waits, and how long it may take.

use atelier_engine::pipelines::sound::length_secs;
use atelier_engine::protocol::{
    JobId, Live, PictureRequest, Request, SoundRequest, Stage, WordsTask,
};
use serde::{Deserialize, Serialize};

/// Says how far a job has come in the window's eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobPhase {
    /// It was asked for and waits.
    Waiting,
    /// It runs.
    Running,
    /// It was told to stop.
    Cancelling,
}

/// Holds a job from the moment it is asked for until its terminal event.
#[derive(Debug, Clone)]
pub struct Job {
    /// The window's number for it, also its key among the pending requests; never reused.
    pub ticket: u64,
    /// The engine's number, once it accepted the job.
    pub id: Option<JobId>,
    /// What was asked for.
    pub request: Request,
    /// How far it has come.
    pub phase: JobPhase,
    /// Its latest progress.
    pub live: Live,
    /// When it started, on the window's clock.
    pub started_secs: Option<f64>,
    /// The steps that were seen.
    pub steps_seen: Option<StepsSeen>,
}

impl Job {
    /// Returns the picture that was asked for, if it was one.
    pub fn picture(&self) -> Option<&PictureRequest> {
        match &self.request {
            Request::Picture(request) => Some(request),
            _ => None,
        }
    }

    /// Returns the words of the person that tell the job from others; empty where there are none.
    pub fn words(&self) -> String {
        words_of(&self.request)
    }
}

/// Returns the words of the person that tell a request from others; empty where there are none.
pub fn words_of(request: &Request) -> String {
    match request {
        Request::Picture(request) => request.prompt.with_styles(),
        Request::Sound(request) => request.prompt.trim().to_owned(),
        Request::Enlarge(request) => request.title(),
        Request::Words(request) => match &request.task {
            WordsTask::Continue { text } => text.clone(),
            WordsTask::Chat { turns, .. } => {
                turns.last().map(|turn| turn.text.clone()).unwrap_or_default()
            }
            WordsTask::Expand { prompt } => prompt.clone(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// Returns the model that a request names, without the folders before it.
pub fn model_of(request: &Request) -> Option<&str> {
    let name = match request {
        Request::Picture(request) => &request.model.name,
        Request::Words(request) => &request.model.name,
        Request::Sound(request) => &request.model.name,
        Request::Enlarge(request) => &request.model.name,
        _ => return None,
    };
    Some(short_name(name))
}

/// Returns the last part of a model's name or path.
pub fn short_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(name)
}

/// Holds the first and the latest step that were seen of a job, with their times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepsSeen {
    /// When the first was seen, on the window's clock, and which one it was.
    pub first: (f64, u32),
    /// When the latest was seen, and which one it is.
    pub last: (f64, u32),
    /// How many there are.
    pub total: u32,
}

impl StepsSeen {
    /// Returns the seconds of one step, once two were seen.
    pub fn secs_per_step(&self) -> Option<f64> {
        let steps = self.last.1.checked_sub(self.first.1).filter(|steps| *steps > 0)?;
        Some((self.last.0 - self.first.0) / f64::from(steps))
    }
}

/// Holds how fast this machine paints, learned from finished jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Seconds per model call and million pixels; 0 while nothing is known.
    pub call_secs: f64,
    /// Seconds outside the steps: loading, reading, developing, saving.
    pub other_secs: f64,
    /// Seconds to make a second of music; 0 while nothing is known.
    #[serde(default)]
    pub music_secs: f64,
}

/// Returns the model calls of a request, weighted by its size in millions of pixels.
fn work(request: &PictureRequest) -> f64 {
    let calls = f64::from(request.sampling.sampler.info().calls_per_step);
    let pixels = f64::from(request.size.width_px) * f64::from(request.size.height_px);
    calls * f64::from(request.sampling.steps) * f64::from(request.count) * pixels / 1e6
}

/// Mixes what was known with what is new: the latest job counts for half, so that a changed machine
/// is learned in a few jobs.
fn mix(old: f64, new: f64) -> f64 {
    if old > 0.0 { (old + new) / 2.0 } else { new }
}

impl Pace {
    /// Learns from a finished job: seconds in its steps and outside them.
    pub fn learn(&mut self, request: &PictureRequest, step_secs: f64, other_secs: f64) {
        let work = work(request);
        if !(work > 0.0 && step_secs > 0.0 && other_secs >= 0.0) {
            return;
        }
        self.call_secs = mix(self.call_secs, step_secs / work);
        self.other_secs = mix(self.other_secs, other_secs);
    }

    /// Returns how long a request takes, once anything is known.
    pub fn estimate_secs(&self, request: &PictureRequest) -> Option<f64> {
        (self.call_secs > 0.0).then(|| self.call_secs * work(request) + self.other_secs)
    }

    /// Learns from a finished piece how many seconds it took.
    pub fn learn_music(&mut self, request: &SoundRequest, secs: f64) {
        let length = length_secs(&request.prompt, &request.plan);
        // What starts from given music is longer than its request says.
        if secs > 0.0 && length > 0.0 && request.given.is_none() {
            self.music_secs = mix(self.music_secs, secs / length);
        }
    }

    /// Returns how long a piece of so many seconds takes, once anything is known.
    pub fn music_estimate_secs(&self, length_secs: f64) -> Option<f64> {
        (self.music_secs > 0.0).then_some(self.music_secs * length_secs)
    }
}

/// The share of a job's progress that loading its model takes.
const LOADING_SHARE: f32 = 0.05;

/// The share of a job's progress after which an enlarged picture is painted over.
const REFINED_FROM: f32 = 0.15;

/// Returns the share of a model that is loaded, by bytes where they are known.
fn loaded(steps: Option<[u32; 2]>, bytes: Option<[u64; 2]>) -> f32 {
    match (bytes, steps) {
        (Some([read, total]), _) if total > 0 => read.min(total) as f32 / total as f32,
        (_, Some([done, total])) if total > 0 => done.min(total) as f32 / total as f32,
        _ => 0.0,
    }
}

/// Returns the share of a text that is written, of the most that it may become.
fn written(job: &Job) -> f32 {
    let Request::Words(request) = &job.request else { return 0.0 };
    let tokens = job.live.words.map_or(0, |stats| stats.written_tokens) as f32;
    LOADING_SHARE + (1.0 - LOADING_SHARE) * (tokens / request.max_tokens.max(1) as f32).min(1.0)
}

/// Holds what runs and what waits.
#[derive(Debug, Clone, Default)]
pub struct JobsState {
    /// The running job first, then the waiting ones in their order.
    pub jobs: Vec<Job>,
    /// The window's clock in seconds, set before every update.
    pub clock_secs: f64,
    /// The number of the next job.
    pub next_ticket: u64,
    /// How fast this machine paints.
    pub pace: Pace,
    /// Whether the queue is open.
    pub queue_open: bool,
}

impl JobsState {
    /// Returns the job that runs or is being stopped.
    pub fn running(&self) -> Option<&Job> {
        self.jobs.iter().find(|job| job.phase != JobPhase::Waiting)
    }

    /// Returns the waiting jobs in their order.
    pub fn waiting(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(|job| job.phase == JobPhase::Waiting)
    }

    /// Returns the first of the jobs that make pictures: the one that runs, or the next.
    pub fn first_picture(&self) -> Option<&Job> {
        self.jobs.iter().find(|job| job.picture().is_some())
    }

    /// Returns a job by the engine's number.
    pub fn by_id(&mut self, id: JobId) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.id == Some(id))
    }

    /// Returns the share of the running job that is done, 0 to 1.
    pub fn progress(&self) -> Option<f32> {
        let job = self.running()?;
        let refines = matches!(&job.request, Request::Enlarge(one) if one.refine.is_some());
        match (job.live.stage, job.live.steps) {
            (Stage::Enlarging, Some([done, total])) if refines && total > 0 => {
                Some(REFINED_FROM * done.min(total) as f32 / total as f32)
            }
            (Stage::Refining, Some([done, total])) if total > 0 => {
                let share = done.min(total) as f32 / total as f32;
                Some(REFINED_FROM + (0.97 - REFINED_FROM) * share)
            }
            (Stage::Sampling, Some([done, total])) if total > 0 => {
                Some(0.05 + 0.9 * done.min(total) as f32 / total as f32)
            }
            (Stage::Loading, steps) => Some(LOADING_SHARE * loaded(steps, job.live.bytes)),
            (
                Stage::Reading
                | Stage::Composing
                | Stage::Rendering
                | Stage::Enlarging
                | Stage::CuttingOut,
                Some([done, total]),
            ) if total > 0 => {
                Some(LOADING_SHARE + (1.0 - LOADING_SHARE) * done.min(total) as f32 / total as f32)
            }
            (Stage::Writing, _) => Some(written(job)),
            (Stage::Decoding | Stage::Saving, _) => Some(0.97),
            _ => Some(0.0),
        }
    }

    /// Returns the seconds that the running job still needs: measured while it steps, learned
    /// from earlier jobs before that.
    pub fn secs_left(&self) -> Option<f64> {
        let job = self.running()?;
        let other_tail = self.pace.other_secs * 0.3;
        if job.live.stage == Stage::Sampling
            && let Some(seen) = job.steps_seen
            && let Some(per_step) = seen.secs_per_step()
        {
            let steps_left = seen.total.saturating_sub(seen.last.1);
            let since_last = self.clock_secs - seen.last.0;
            return Some((per_step * f64::from(steps_left) - since_last).max(0.0) + other_tail);
        }
        match job.live.stage {
            Stage::Decoding | Stage::Saving => None,
            _ => {
                let elapsed = self.clock_secs - job.started_secs?;
                Some((self.pace.estimate_secs(job.picture()?)? - elapsed).max(0.0))
            }
        }
    }
}
