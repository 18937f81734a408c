//! The runner of the real engine: finds the model, paints, saves.

use std::path::PathBuf;
use std::sync::Arc;

use super::Runner;
use super::diffusion::KnownCheckpoint;
use super::residents::Residents;
use crate::error::EngineError;
use crate::kernels;
use crate::library::{
    HOUSE_PICTURE, Hashes, LanguageFile, Located, LocatedFile, ModelFiles, Models, PictureModel,
    available_memory_bytes, devices, total_memory_bytes,
};
use crate::models::house_picture::Lexicon;
use crate::models::language::WIDENED_BYTES;
use crate::models::stable_diffusion::{ControlNet, TinyAutoencoder};
use crate::pipelines::cutout::CutOutPipeline;
use crate::pipelines::diffusion::{Autoencoder, DiffusionPipeline};
use crate::pipelines::enlarge::EnlargePipeline;
use crate::pipelines::object::ObjectPipeline;
use crate::pipelines::picture::{self, PicturePipeline};
use crate::pipelines::sound::{self, SoundPipeline};
use crate::pipelines::words::{self, WordsPipeline};
use crate::protocol::{
    DeviceChoice, JobContext, Live, Notice, Output, Partial, Picture, PictureOutput,
    PictureRequest, Precision, Request, Sound, SoundOutput, SoundRequest, Stage, WordsOutput,
    WordsRequest, WordsTask,
};
use crate::store::Store;

/// The memory for models where the system does not say how much it has.
const FALLBACK_BUDGET_BYTES: u64 = 4 << 30;

/// What the lexicon is called in errors.
const LEXICON: &str = "lexicon.json";

/// How many times larger a model is in memory than in its file, at most: from 8 to 32 bits.
const UNPACKED: u64 = 4;

/// Runs every kind of request with the models of this machine.
pub struct Studio {
    pub(super) store: Option<Arc<Store>>,
    pub(super) models: Models,
    pub(super) residents: Residents<ResidentKey, Resident>,
    /// What is known of models that were opened before, so that a job with a model in memory
    /// reads no file.
    known: Vec<Known>,
    /// The hashes of language models that were read before.
    known_files: Vec<(LocatedFile, String)>,
    /// What is known of models of the Stable Diffusion family.
    pub(super) known_checkpoints: Vec<KnownCheckpoint>,
    /// The hashes of those and of what stands beside them.
    pub(super) hashes: Hashes,
    /// The words that prompts are thought up in, once they were asked for.
    lexicon: Option<(Located, Arc<Lexicon>)>,
    /// What [`DeviceChoice::Auto`] means here, once it was asked for.
    fastest: Option<DeviceChoice>,
    /// Says how much memory is free, where the system says it.
    pub(super) free_memory: fn() -> Option<u64>,
}

/// Is a model in memory: one arbiter keeps all kinds.
pub(super) enum Resident {
    Picture(Box<PicturePipeline>),
    Diffusion(Box<DiffusionPipeline>),
    Vae(Arc<Autoencoder>),
    Control(Arc<ControlNet>),
    Tiny(Arc<TinyAutoencoder>),
    Words(Box<WordsPipeline>),
    Sound(Box<SoundPipeline>),
    Enlarge(Box<EnlargePipeline>),
    CutOut(Box<CutOutPipeline>),
    Object(Box<ObjectPipeline>),
}

impl Resident {
    /// Returns a network that others hold too while they paint.
    pub(super) fn shared(&self) -> Option<Self> {
        match self {
            Self::Vae(vae) => Some(Self::Vae(vae.clone())),
            Self::Control(net) => Some(Self::Control(net.clone())),
            Self::Tiny(tiny) => Some(Self::Tiny(tiny.clone())),
            _ => None,
        }
    }
}

#[derive(Clone, PartialEq)]
pub(super) struct ResidentKey {
    pub(super) name: String,
    pub(super) sha256: String,
    /// Of what else makes the model what it is: configuration and lexicon, or LoRAs.
    pub(super) texts_hash: u64,
    pub(super) device: DeviceChoice,
    pub(super) precision: Precision,
}

#[derive(Clone)]
struct Known {
    located: Located,
    sha256: String,
    texts_hash: u64,
    licence: String,
}

/// Holds what is run by a model of the house's kind.
pub(super) struct HouseRun {
    /// The request with all hashes.
    pub(super) request: PictureRequest,
    pub(super) licence: String,
    /// The hash of the model that the request named.
    pub(super) expected: String,
}

impl Studio {
    /// Makes a runner that saves what it makes in `store`, or nowhere.
    pub fn new(store: Option<Arc<Store>>, models: Models) -> Self {
        let budget = total_memory_bytes().map_or(FALLBACK_BUDGET_BYTES, |total| total / 2);
        Self {
            store,
            models,
            residents: Residents::new(budget, kernels::release_memory),
            known: Vec::new(),
            known_files: Vec::new(),
            known_checkpoints: Vec::new(),
            hashes: Hashes::default(),
            lexicon: None,
            fastest: None,
            free_memory: available_memory_bytes,
        }
    }

    /// Keeps the hashes of large files in a file, from one run of the program to the next.
    #[must_use]
    pub fn with_hashes_in(self, file: PathBuf) -> Self {
        Self { hashes: Hashes::in_file(file), ..self }
    }

    /// Takes another source for how much memory is free, for tests.
    #[must_use]
    pub fn with_free_memory(self, free_memory: fn() -> Option<u64>) -> Self {
        Self { free_memory, ..self }
    }

    /// Refuses a model that would not fit even alone, before any of it is read: a program that the
    /// system ends for want of memory loses work.
    pub(super) fn check_room(&self, name: &str, needed_bytes: u64) -> Result<(), EngineError> {
        let Some(free_bytes) = self.free_bytes() else { return Ok(()) };
        if needed_bytes <= free_bytes {
            return Ok(());
        }
        Err(EngineError::TooLarge { name: name.to_owned(), needed_bytes, free_bytes })
    }

    /// Returns what is free, with what models in memory would give back.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        (self.free_memory)().map(|free| free.saturating_add(self.residents.held_bytes()))
    }

    fn paint(
        &mut self,
        request: &PictureRequest,
        job: &JobContext,
    ) -> Result<PictureOutput, EngineError> {
        let located = match self.models.locate_picture(&request.model.name)? {
            PictureModel::House(located) => located,
            PictureModel::Diffusion(located) => {
                return self.paint_diffusion(request, located, job);
            }
        };
        let store = self.store.clone();
        let (pipeline, HouseRun { request, licence, expected }) =
            self.house_picture(request, &located, job)?;
        let found = request.model.sha256.clone();
        let mut save = |picture| save(picture, store.as_deref(), &licence, job);
        let mut output = pipeline.run(&request, job, &mut save)?;
        output.notices.extend(self.notices(expected, found));
        Ok(output)
    }

    /// Checks a request for a model of the house's kind and returns the model in memory, with what is
    /// to be run.
    pub(super) fn house_picture(
        &mut self,
        request: &PictureRequest,
        located: &Located,
        job: &JobContext,
    ) -> Result<(&mut PicturePipeline, HouseRun), EngineError> {
        picture::validate(request)?;
        job.report(Live { stage: Stage::Loading, ..Live::default() })?;
        self.check_room(located.name(), located.weights_bytes().saturating_mul(UNPACKED))?;
        let (model, files) = self.known(located, job)?;
        let device = self.device(request.device);
        let key = ResidentKey {
            name: located.name().to_owned(),
            sha256: model.sha256.clone(),
            texts_hash: model.texts_hash,
            device,
            precision: request.precision,
        };
        let bytes = located.weights_bytes().saturating_mul(UNPACKED);
        let mut request = request.clone();
        self.fill_hashes(&mut request, job)?;
        let resident = self.residents.get_or_load(key, bytes, || {
            let files = match files {
                Some(files) => files,
                None => located.open(&mut || job.check())?,
            };
            PicturePipeline::load(
                &files.weights,
                &files.config_json,
                &files.lexicon_json,
                (device, request.precision),
                job,
            )
            .map(|pipeline| Resident::Picture(Box::new(pipeline)))
            .map_err(|error| in_folder(error, located))
        })?;
        let Resident::Picture(pipeline) = resident else { return Err(mixed_up()) };

        let expected = std::mem::replace(&mut request.model.sha256, model.sha256);
        Ok((pipeline, HouseRun { request, licence: model.licence, expected }))
    }

    fn write(
        &mut self,
        request: &WordsRequest,
        job: &JobContext,
    ) -> Result<WordsOutput, EngineError> {
        words::validate(request)?;
        job.report(Live { stage: Stage::Loading, ..Live::default() })?;
        let lexicon = match request.task {
            WordsTask::Expand { .. } | WordsTask::Surprise => Some(self.lexicon(job)?),
            _ => None,
        };
        let (sha256, resident) =
            self.language_model(&request.model.name, request.device, job, |file, device| {
                let tokenizer = file.tokenizer.as_deref();
                WordsPipeline::load(&file.weights, tokenizer, &file.path, device, job)
                    .map(|pipeline| Resident::Words(Box::new(pipeline)))
            })?;
        let Resident::Words(pipeline) = resident else { return Err(mixed_up()) };
        let mut request = request.clone();
        let expected = std::mem::replace(&mut request.model.sha256, sha256.clone());
        let mut output = match &lexicon {
            Some(lexicon) => pipeline.expand(&request, lexicon, job)?,
            None => pipeline.run(&request, job)?,
        };
        output.notices.extend(self.notices(expected, sha256));
        Ok(output)
    }

    fn compose(
        &mut self,
        request: &SoundRequest,
        job: &JobContext,
    ) -> Result<SoundOutput, EngineError> {
        sound::validate(request)?;
        job.report(Live { stage: Stage::Loading, ..Live::default() })?;
        let (sha256, resident) =
            self.language_model(&request.model.name, request.device, job, |file, device| {
                SoundPipeline::load(&file.weights, &file.path, device, job)
                    .map(|pipeline| Resident::Sound(Box::new(pipeline)))
            })?;
        let Resident::Sound(pipeline) = resident else { return Err(mixed_up()) };
        let composed = pipeline.compose(request, job)?;
        let licence = pipeline.licence().to_owned();
        let pcm = Arc::new(sound::render(&composed.score, job)?);
        let mut recipe = request.clone();
        let expected = std::mem::replace(&mut recipe.model.sha256, sha256.clone());
        let sound = Sound { score: composed.score, pcm, recipe, file: None, result_id: None };
        let sound = save_sound(sound, self.store.as_deref(), &licence, job)?;
        let mut notices = composed.notices;
        notices.extend(self.notices(expected, sha256));
        Ok(SoundOutput { sound, plan: composed.plan, notices })
    }

    /// Returns the words that the house picture model knows.
    fn lexicon(&mut self, job: &JobContext) -> Result<Arc<Lexicon>, EngineError> {
        let located = self.models.locate(HOUSE_PICTURE)?;
        if let Some((known, lexicon)) = &self.lexicon
            && *known == located
        {
            return Ok(lexicon.clone());
        }
        let files = located.open(&mut || job.check())?;
        let lexicon = Arc::new(Lexicon::from_json(&files.lexicon_json, LEXICON.as_ref())?);
        self.lexicon = Some((located, lexicon.clone()));
        Ok(lexicon)
    }

    /// Says that the model is another than the recipe names, and which ones had to leave memory for it.
    pub(super) fn notices(
        &mut self,
        expected: String,
        found: String,
    ) -> impl Iterator<Item = Notice> {
        let differs = (!expected.is_empty() && !expected.eq_ignore_ascii_case(&found))
            .then_some(Notice::ModelDiffers { expected, found });
        let names: Vec<String> =
            self.residents.take_gone().into_iter().map(|key| key.name).collect();
        let made_room = (!names.is_empty()).then_some(Notice::MadeRoom { names });
        differs.into_iter().chain(made_room)
    }

    /// Returns the hash of a model of a GGUF file, and the model, which `load` makes of the file when
    /// it is not in memory.
    fn language_model(
        &mut self,
        name: &str,
        device: DeviceChoice,
        job: &JobContext,
        load: impl FnOnce(&LanguageFile, DeviceChoice) -> Result<Resident, EngineError>,
    ) -> Result<(String, &mut Resident), EngineError> {
        let located = self.models.locate_language(name)?;
        let device = self.device(device);
        let (sha256, file) = self.known_file(&located, job)?;
        let key = ResidentKey {
            name: located.name().to_owned(),
            sha256: sha256.clone(),
            texts_hash: 0,
            device,
            precision: Precision::Fast,
        };
        let bytes = resident_bytes(located.bytes());
        self.check_room(located.name(), bytes)?;
        let resident = self.residents.get_or_load(key, bytes, || {
            let file = match file {
                Some(file) => file,
                None => located.open(&mut || job.check())?,
            };
            load(&file, device)
        })?;
        Ok((sha256, resident))
    }

    /// Returns the hash of a language model, and its file when it had to be read for that.
    fn known_file(
        &mut self,
        located: &LocatedFile,
        job: &JobContext,
    ) -> Result<(String, Option<LanguageFile>), EngineError> {
        if let Some((_, hash)) = self.known_files.iter().find(|(known, _)| known == located) {
            return Ok((hash.clone(), None));
        }
        self.check_room(located.name(), located.need().memory_bytes(0))?;
        let file = located.open(&mut || job.check())?;
        self.known_files.retain(|(known, _)| known.name() != located.name());
        self.known_files.push((located.clone(), file.sha256.clone()));
        Ok((file.sha256.clone(), Some(file)))
    }

    /// Returns the device that a choice stands for, so that one model is not loaded twice for it.
    pub(super) fn device(&mut self, choice: DeviceChoice) -> DeviceChoice {
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
            Request::Words(request) => self.write(request, job).map(Output::Words),
            Request::Sound(request) => {
                self.compose(request, job).map(|made| Output::Sound(Box::new(made)))
            }
            Request::Enlarge(request) => {
                self.enlarge(request, job).map(|made| Output::Enlarged(Box::new(made)))
            }
            Request::CutOut(request) => {
                self.cut_out(request, job).map(|made| Output::CutOut(Box::new(made)))
            }
        }
    }

    fn forget_models(&mut self) {
        self.residents.clear();
    }
}

/// Returns what the model of a GGUF file takes in memory at most, by the size of its file: small ones
/// are widened from 8 to 32 bits, others hold keys and values beside their weights.
fn resident_bytes(file_bytes: u64) -> u64 {
    file_bytes.saturating_mul(if file_bytes <= WIDENED_BYTES { UNPACKED + 1 } else { 2 })
}

/// Says that a model of one kind stands where one of another was asked for: two kinds never share
/// a key, as they never share a file.
pub(super) fn mixed_up() -> EngineError {
    EngineError::Model { reason: "another kind of model stands in its place".to_owned() }
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
pub(super) fn save(
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
    job.partial(Partial::Picture(Box::new(picture.clone())));
    Ok(picture)
}

/// Saves a piece, and only then tells of it.
fn save_sound(
    mut sound: Sound,
    store: Option<&Store>,
    licence: &str,
    job: &JobContext,
) -> Result<Sound, EngineError> {
    if let Some(store) = store {
        // A piece that is rendered is saved, also when its job is cancelled just now.
        let _ = job.report(Live { stage: Stage::Saving, ..Live::default() });
        let saved = store.save_sound(&sound.pcm, &sound.score, &sound.recipe, licence)?;
        sound.file = Some(saved.file);
        sound.result_id = Some(saved.id);
    }
    job.partial(Partial::Sound(Box::new(sound.clone())));
    Ok(sound)
}
