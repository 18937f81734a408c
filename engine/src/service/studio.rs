//! The runner of the real engine: finds the model, paints, saves.

use std::sync::Arc;

use super::Runner;
use super::residents::Residents;
use crate::error::EngineError;
use crate::library::{Located, ModelFiles, Models, devices, total_memory_bytes};
use crate::pipelines::picture::{self, PicturePipeline};
use crate::protocol::{
    DeviceChoice, JobContext, Live, Notice, Output, Partial, Picture, PictureOutput,
    PictureRequest, Request, Stage,
};
use crate::store::Store;

/// The memory for models where the system does not say how much it has.
const FALLBACK_BUDGET_BYTES: u64 = 4 << 30;

/// How many times larger a model is in memory than in its file, at most: from 8 to 32 bits.
const UNPACKED: u64 = 4;

/// Runs every kind of request with the models of this machine.
pub struct Studio {
    store: Option<Arc<Store>>,
    models: Models,
    residents: Residents<ResidentKey, PicturePipeline>,
    /// What is known of models that were opened before, so that a job with a model in memory
    /// reads no file.
    known: Vec<Known>,
    /// What [`DeviceChoice::Auto`] means here, once it was asked for.
    fastest: Option<DeviceChoice>,
}

#[derive(Clone, PartialEq)]
struct ResidentKey {
    sha256: String,
    /// Of the configuration and the lexicon: the same weights may come with others.
    texts_hash: u64,
    device: DeviceChoice,
}

#[derive(Clone)]
struct Known {
    located: Located,
    sha256: String,
    texts_hash: u64,
    licence: String,
}

impl Studio {
    /// Makes a runner that saves what it makes in `store`, or nowhere.
    pub fn new(store: Option<Arc<Store>>, models: Models) -> Self {
        let budget = total_memory_bytes().map_or(FALLBACK_BUDGET_BYTES, |total| total / 2);
        Self { store, models, residents: Residents::new(budget), known: Vec::new(), fastest: None }
    }

    fn paint(
        &mut self,
        request: &PictureRequest,
        job: &JobContext,
    ) -> Result<PictureOutput, EngineError> {
        picture::validate(request)?;
        job.report(Live { stage: Stage::Loading, ..Live::default() })?;
        let located = self.models.locate(&request.model.name)?;
        let (model, files) = self.known(&located, job)?;
        let device = self.device(request.device);
        let key =
            ResidentKey { sha256: model.sha256.clone(), texts_hash: model.texts_hash, device };
        let bytes = located.weights_bytes().saturating_mul(UNPACKED);
        let pipeline = self.residents.get_or_load(key, bytes, || {
            let files = match files {
                Some(files) => files,
                None => located.open(&mut || job.check())?,
            };
            PicturePipeline::load(
                &files.weights,
                &files.config_json,
                &files.lexicon_json,
                device,
                job,
            )
            .map_err(|error| in_folder(error, &located))
        })?;

        let mut request = request.clone();
        let expected = std::mem::replace(&mut request.model.sha256, model.sha256.clone());
        let store = self.store.as_deref();
        let mut save = |picture| save(picture, store, &model.licence, job);
        let mut output = pipeline.run(&request, job, &mut save)?;
        if !expected.is_empty() && !expected.eq_ignore_ascii_case(&model.sha256) {
            output.notices.push(Notice::ModelDiffers { expected, found: model.sha256 });
        }
        Ok(output)
    }

    /// Returns the device that a choice stands for, so that one model is not loaded twice for it.
    fn device(&mut self, choice: DeviceChoice) -> DeviceChoice {
        if choice != DeviceChoice::Auto {
            return choice;
        }
        *self.fastest.get_or_insert_with(|| {
            devices().first().map_or(DeviceChoice::Cpu, |device| device.choice)
        })
    }

    /// Returns the hash and licence of a model, and its files when they had to be read for that.
    fn known(
        &mut self,
        located: &Located,
        job: &JobContext,
    ) -> Result<(Known, Option<ModelFiles>), EngineError> {
        if let Some(known) = self.known.iter().find(|known| known.located == *located) {
            return Ok((known.clone(), None));
        }
        let mut check = || job.check();
        let files = located.open(&mut check)?;
        let known = Known {
            located: located.clone(),
            sha256: files.sha256_checking(&mut check)?.to_owned(),
            texts_hash: files.texts_hash(),
            licence: files.licence.clone(),
        };
        self.known.retain(|other| other.located.name() != located.name());
        self.known.push(known.clone());
        Ok((known, Some(files)))
    }
}

impl Runner for Studio {
    fn run(&mut self, request: &Request, job: &JobContext) -> Result<Output, EngineError> {
        match request {
            Request::Picture(request) => self.paint(request, job).map(Output::Picture),
            Request::Words(request) => {
                Err(EngineError::ModelNotFound { name: request.model.name.clone() })
            }
            Request::Sound(request) => {
                Err(EngineError::ModelNotFound { name: request.model.name.clone() })
            }
        }
    }

    fn forget_models(&mut self) {
        self.residents.clear();
    }
}

/// Gives the whole path of a damaged file, which the pipeline knows by its name only.
fn in_folder(error: EngineError, located: &Located) -> EngineError {
    match (error, located.folder()) {
        (EngineError::Damaged { reason, path }, Some(folder)) => {
            EngineError::Damaged { reason, path: folder.join(path) }
        }
        (error, _) => error,
    }
}

/// Saves a picture, and only then tells of it.
fn save(
    mut picture: Picture,
    store: Option<&Store>,
    licence: &str,
    job: &JobContext,
) -> Result<Picture, EngineError> {
    if let Some(store) = store {
        // A picture that is painted is saved, also when its job is cancelled just now.
        let _ = job.report(Live { stage: Stage::Saving, ..Live::default() });
        let saved = store.save_picture(&picture.pixels, &picture.recipe, licence)?;
        picture.file = Some(saved.file);
        picture.result_id = Some(saved.id);
    }
    job.partial(Partial::Picture(picture.clone()));
    Ok(picture)
}
