//! Measures the window's frames while a job runs, without a screen.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use atelier_engine::EngineError;
use atelier_engine::library::Models;
use atelier_engine::service::{Engine, Runner, Studio};
use atelier_engine::store::Store;
use egui::{Context, Event, RawInput, Rect, Vec2, pos2};

use crate::action::{Action, JobAction, ModelsAction, PromptAction};
use crate::frame_log::FrameReport;
use crate::i18n::Language;
use crate::services::{EngineLink, LateRunner, Librarian, LibraryPlace};
use crate::shell::{Shell, ShellParts};
use crate::state::{SavedModels, SavedSettings};

/// How long one display refresh lasts at 60 Hz.
pub(crate) const REFRESH: Duration = Duration::from_micros(16_667);

/// The size of the window in points.
const WINDOW: Vec2 = Vec2::new(1440.0, 900.0);

/// How long a checkpoint may take to be found.
const FINDING: Duration = Duration::from_secs(20);

/// How long the jobs may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(600);

/// Says what is painted while frames are measured.
#[derive(Debug, Clone, Default)]
pub struct FrameJob {
    /// Number of pictures, 1 to 16.
    pub pictures: u32,
    /// A file or folder of a checkpoint; `None` for the house model.
    pub model: Option<PathBuf>,
    /// Number of steps; `None` for those that the model is given by itself.
    pub steps: Option<u32>,
}

/// Paints pictures, draws the window at 60 Hz meanwhile, and returns how long the frames took:
/// events, panels, text and tessellation, but not what the graphics card does. Pictures go to
/// `folder`.
///
/// # Errors
/// When no thread is to be had, the model is not one, or the pictures take longer than ten minutes.
pub fn bench_frames(folder: &Path, job: &FrameJob) -> anyhow::Result<FrameReport> {
    let models = Models::standard();
    let for_studio = models.clone();
    bench_frames_with(folder, models, job, move |store| {
        Box::new(Studio::new(Some(store), for_studio))
    })
}

/// Does the same as [`bench_frames`] with a runner of one's own.
///
/// # Errors
/// As [`bench_frames`].
pub fn bench_frames_with(
    folder: &Path,
    models: Models,
    job: &FrameJob,
    make: impl FnOnce(Arc<Store>) -> Box<dyn Runner> + Send + 'static,
) -> anyhow::Result<FrameReport> {
    let (opened, library) = channel();
    let place = LibraryPlace {
        data_folder: folder.join("library"),
        settings_file: folder.join("settings.json"),
        models,
        find_writers: |_| Vec::new(),
    };
    let opened = move |store| {
        let _closing = opened.send(store);
    };
    let librarian = Librarian::spawn(place, opened, || ())?;
    let runner =
        LateRunner::new(move || Ok(make(library.recv().map_err(|_| EngineError::Stopped)??)));
    let engine = EngineLink::new(Engine::spawn(runner, Arc::new(|| ()))?);
    let model = job.model.as_ref().map(std::path::absolute).transpose()?;
    let models = SavedModels {
        folders: model.iter().filter_map(|path| path.parent()).map(Path::to_owned).collect(),
        chosen: model.clone(),
        ..SavedModels::default()
    };
    let settings =
        SavedSettings { language: Some(Language::English), models, ..SavedSettings::default() };
    let ctx = Context::default();
    let mut shell = Shell::new(&ctx, ShellParts { engine, librarian, settings, entropy: 1 });

    let began = Instant::now();
    // The first frames lay out every text and are waited for by nobody who paints.
    for _ in 0..10 {
        frame(&ctx, &mut shell, began, Vec::new());
    }
    if let Some(model) = &model {
        let is_there = |shell: &Shell| shell.state().models.pictures.chosen().is_some();
        while !is_there(&shell) {
            let name = model.display();
            anyhow::ensure!(began.elapsed() < FINDING, "There is no checkpoint at {name}");
            frame(&ctx, &mut shell, began, Vec::new());
            thread::sleep(REFRESH);
        }
        // The size and the sampler that it was made for.
        shell.act(&ctx, Action::Models(ModelsAction::Choose(None)));
        shell.act(&ctx, Action::Models(ModelsAction::Choose(Some(model.clone()))));
    }
    if let Some(steps) = job.steps {
        shell.act(&ctx, Action::Prompt(PromptAction::SetSteps(steps)));
    }
    shell.act(&ctx, Action::Prompt(PromptAction::SetText("a red fox in the snow".to_owned())));
    shell.act(&ctx, Action::Prompt(PromptAction::SetCount(job.pictures)));
    shell.act(&ctx, Action::Job(JobAction::Generate));
    let mut durations_ms = Vec::new();
    while !shell.state().jobs.jobs.is_empty() {
        anyhow::ensure!(began.elapsed() < PATIENCE, "The pictures took longer than ten minutes");
        let took = frame(&ctx, &mut shell, began, Vec::new());
        durations_ms.push(took.as_secs_f64() * 1e3);
        thread::sleep(REFRESH.saturating_sub(took));
    }
    shell.close();
    Ok(FrameReport::of(&durations_ms))
}

/// Draws one frame as eframe would and returns how long it took.
pub(crate) fn frame(
    ctx: &Context,
    shell: &mut Shell,
    began: Instant,
    events: Vec<Event>,
) -> Duration {
    let input = RawInput {
        screen_rect: Some(Rect::from_min_size(pos2(0.0, 0.0), WINDOW)),
        time: Some(began.elapsed().as_secs_f64()),
        events,
        ..RawInput::default()
    };
    let start = Instant::now();
    let mut output = ctx.run_ui(input, |ui| {
        shell.logic(ui.ctx());
        shell.ui(ui);
    });
    let shapes = ctx.tessellate(output.shapes, output.pixels_per_point);
    let took = start.elapsed();
    drop(shapes);
    // There is no graphics card that would take the pictures.
    output.textures_delta.clear();
    took
}
