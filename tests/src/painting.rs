//! Painting with a model of the Stable Diffusion family in a test, without a thread.

use std::path::{Path, PathBuf};

use atelier_engine::EngineError;
use atelier_engine::library::Models;
use atelier_engine::protocol::{
    DeviceChoice, Event, Extras, ModelRef, NoiseSource, Output, PictureOutput, PictureRequest,
    Precision, PreviewMode, Prompt, Request, SamplerKind, Sampling, Size,
};
use atelier_engine::service::{Engine, Studio};

/// Asks `model` for a small picture in three steps.
pub fn request(model: &Path) -> PictureRequest {
    PictureRequest {
        model: ModelRef::named(model.to_string_lossy()),
        prompt: Prompt { text: "a (red:1.2) fox".into(), ..Prompt::default() },
        size: Size { width_px: 64, height_px: 64 },
        sampling: Sampling {
            sampler: SamplerKind::EulerA,
            steps: 3,
            guidance: 4.0,
            ..Sampling::default()
        },
        seed: 7,
        count: 1,
        noise: NoiseSource::Seed,
        preview: PreviewMode::EveryStep,
        device: DeviceChoice::Cpu,
        precision: Precision::Fast,
        keep_latents: false,
        extras: Extras::default(),
    }
}

/// Makes an engine that looks for models in `folders` alone and runs jobs when it is asked for events.
pub fn engine(folders: &[PathBuf]) -> Engine {
    let models = Models::in_places([]).with_folders(folders.iter().cloned());
    Engine::inline(Studio::new(None, models))
}

/// Runs one request to its end.
///
/// # Errors
/// What the engine says when the job fails.
pub fn run(engine: &Engine, request: PictureRequest) -> Result<PictureOutput, EngineError> {
    let handle = engine.submit(Request::Picture(Box::new(request)))?;
    loop {
        for event in engine.drain() {
            match event {
                Event::Finished(id, Output::Picture(output)) if id == handle.id() => {
                    return Ok(output);
                }
                Event::Failed(id, error) if id == handle.id() => return Err(error),
                _ => {}
            }
        }
    }
}
