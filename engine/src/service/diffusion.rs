//! Pictures by models of the Stable Diffusion family: finds the files of a request, keeps what is
//! loaded, paints, saves.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::rescue::Rescued;
use super::studio::{Resident, ResidentKey, Studio, mixed_up, save};
use crate::error::EngineError;
use crate::library::{DiffusionNeed, LocatedWeights, Shelf, ShelfEntry};
use crate::models::stable_diffusion::prompt::{Wildcards, lora_tags};
use crate::nn::Compute;
use crate::pipelines::diffusion::{
    self, Autoencoder, Companions, DiffusionPipeline, ModelPlan, Thrift, load_control, load_tiny,
};
use crate::pipelines::open_device;
use crate::protocol::{
    DeviceChoice, JobContext, Live, LoraUse, MemoryUse, ModelRef, Notice, PictureOutput,
    PictureRequest, Pixels, Precision, Stage,
};
use crate::weights::detect::{Base, detect};
use crate::weights::inspect::licence;
use crate::weights::open::Checkpoint;

/// What stands in a file of a tiny autoencoder's name, by the line of models.
const TINY_XL: &str = "xl";

/// What is known of a model's file without loading it.
#[derive(Debug, Clone)]
pub(super) struct KnownCheckpoint {
    located: LocatedWeights,
    sha256: String,
    licence: String,
    need: DiffusionNeed,
    base: Option<Base>,
}

/// A LoRA with its strengths in the net and in the text encoders.
type Strong = (PathBuf, [f32; 2]);

/// Holds what a run needs but its model.
struct Ready {
    /// The request with all hashes.
    request: PictureRequest,
    known: KnownCheckpoint,
    device: DeviceChoice,
    thrift: Thrift,
    companions: Companions,
    /// The LoRAs that a prompt may name.
    shelf: Vec<ShelfEntry>,
    /// That memory is saved, where it is.
    saved: Option<Notice>,
    /// The hash of the model that the request named.
    expected: String,
}

/// Holds a picture that was painted over.
pub(super) struct Refined {
    pub(super) pixels: Pixels,
    /// The request as it was run, with all hashes.
    pub(super) request: PictureRequest,
    pub(super) licence: String,
    pub(super) notices: Vec<Notice>,
}

impl Studio {
    /// Paints with a model of the family.
    pub(super) fn paint_diffusion(
        &mut self,
        request: &PictureRequest,
        located: LocatedWeights,
        job: &JobContext,
    ) -> Result<PictureOutput, EngineError> {
        let Ready { request, known, device, thrift, mut companions, shelf, saved, expected } =
            self.ready(request, &located, job)?;
        let rescued = Rescued::new(self.store.clone());
        companions.keeper = rescued.keeper();
        let mut output = PictureOutput {
            pictures: Vec::new(),
            notices: saved.into_iter().collect(),
            latents: None,
        };
        for (first, count, loras) in self.batches(&request, &companions.wildcards, &shelf)? {
            let mut part = request.clone();
            part.seed = request.seed.wrapping_add(u64::from(first));
            part.count = count;
            let plan = ModelPlan {
                model: located.path.clone(),
                loras,
                prediction: request.extras.prediction,
            };
            let store = self.store.clone();
            let pipeline = self.pipeline(&part, &plan, &known, (device, thrift), job)?;
            let mut save = |picture| {
                let saved = save(picture, store.as_deref(), &known.licence, job)?;
                rescued.forget();
                Ok(saved)
            };
            let done = pipeline.run(&part, &companions, job, &mut save)?;
            output.pictures.extend(done.pictures);
            for notice in done.notices {
                if !output.notices.contains(&notice) {
                    output.notices.push(notice);
                }
            }
            match (&mut output.latents, done.latents) {
                (Some(all), Some(more)) => {
                    all.shape[0] += more.shape[0];
                    all.values.extend(more.values);
                }
                (all, more) => *all = more.or(all.take()),
            }
        }
        output.notices.extend(self.notices(expected, known.sha256));
        Ok(output)
    }

    /// Paints over a picture with a model of the family; returns it with the request as it was run, the
    /// model's licence and what is to be said.
    pub(super) fn refine_diffusion(
        &mut self,
        request: &PictureRequest,
        (located, picture): (LocatedWeights, &Pixels),
        job: &JobContext,
    ) -> Result<Refined, EngineError> {
        let Ready { request, known, device, thrift, companions, shelf, saved, expected } =
            self.ready(request, &located, job)?;
        let loras = self.loras(&request, request.seed, &companions.wildcards, &shelf)?;
        let prediction = request.extras.prediction;
        let plan = ModelPlan { model: located.path.clone(), loras, prediction };
        let pipeline = self.pipeline(&request, &plan, &known, (device, thrift), job)?;
        let (pixels, said) = pipeline.refine(&request, &companions, picture, job)?;
        let mut notices: Vec<Notice> = saved.into_iter().chain(said).collect();
        notices.extend(self.notices(expected, known.sha256));
        Ok(Refined { pixels, request, licence: known.licence, notices })
    }

    /// Checks a request and finds, or loads, everything for it but the model.
    fn ready(
        &mut self,
        request: &PictureRequest,
        located: &LocatedWeights,
        job: &JobContext,
    ) -> Result<Ready, EngineError> {
        diffusion::validate(request)?;
        job.report(Live { stage: Stage::Loading, ..Live::default() })?;
        let known = self.known_checkpoint(located, job)?;
        let device = self.device(request.device);
        let mut request = request.clone();
        let expected = std::mem::replace(&mut request.model.sha256, known.sha256.clone());
        self.fill_hashes(&mut request, job)?;
        let (thrift, saved) = self.thrift(&request, &known)?;
        if thrift == Thrift::Lean {
            request.extras.memory = MemoryUse::Low;
        }
        let wildcards = self.wildcards()?;
        let shelf = self.models.shelf(Shelf::Loras);
        let mut companions = self.companions(&request, &known, device, job)?;
        companions.lora_names = shelf.iter().map(|entry| entry.name.clone()).collect();
        companions.wildcards = wildcards;
        companions.free_memory = Some(self.free_memory);
        Ok(Ready { request, known, device, thrift, companions, shelf, saved, expected })
    }

    /// Decides how much memory the model may take, and what is to be said about it.
    fn thrift(
        &self,
        request: &PictureRequest,
        known: &KnownCheckpoint,
    ) -> Result<(Thrift, Option<Notice>), EngineError> {
        let (precision, size) = (request.precision, request.size);
        let name = &known.located.name;
        let needed_bytes = known.need.memory_bytes(precision, size);
        let lean_bytes = known.need.lean_memory_bytes(precision, size);
        match request.extras.memory {
            MemoryUse::High => {
                self.check_room(name, needed_bytes)?;
                Ok((Thrift::Ample, None))
            }
            MemoryUse::Automatic if self.check_room(name, needed_bytes).is_ok() => {
                Ok((Thrift::Ample, None))
            }
            MemoryUse::Automatic => {
                self.check_room(name, lean_bytes)?;
                let free_bytes = self.free_bytes().unwrap_or_default();
                Ok((Thrift::Lean, Some(Notice::SavedMemory { needed_bytes, free_bytes })))
            }
            MemoryUse::Low => {
                self.check_room(name, lean_bytes)?;
                Ok((Thrift::Lean, None))
            }
        }
    }

    /// Returns the model in memory, which is loaded when it is not there.
    fn pipeline(
        &mut self,
        request: &PictureRequest,
        plan: &ModelPlan,
        known: &KnownCheckpoint,
        (device, thrift): (DeviceChoice, Thrift),
        job: &JobContext,
    ) -> Result<&mut DiffusionPipeline, EngineError> {
        let bytes = match thrift {
            Thrift::Ample => known.need.held_bytes(request.precision),
            Thrift::Lean => known.need.lean_held_bytes(request.precision),
        };
        let key = ResidentKey {
            name: known.located.name.clone(),
            sha256: known.sha256.clone(),
            texts_hash: hash_of(plan, thrift),
            device,
            precision: request.precision,
        };
        // The same model with other LoRAs makes way: two copies of its weights help nobody.
        self.residents.drop_where(|other| {
            other.sha256 == key.sha256 && other.device == device && *other != key
        });
        let resident = self.residents.get_or_load(key, bytes, || {
            DiffusionPipeline::load(plan, (device, request.precision), thrift, job)
                .map(|pipeline| Resident::Diffusion(Box::new(pipeline)))
        })?;
        let Resident::Diffusion(pipeline) = resident else { return Err(mixed_up()) };
        Ok(pipeline)
    }

    /// Splits a batch where the seed's choices name other LoRAs: `(first, count, LoRAs)`.
    fn batches(
        &self,
        request: &PictureRequest,
        wildcards: &Wildcards,
        shelf: &[ShelfEntry],
    ) -> Result<Vec<(u32, u32, Vec<Strong>)>, EngineError> {
        let mut batches: Vec<(u32, u32, Vec<Strong>)> = Vec::new();
        for index in 0..request.count {
            let seed = request.seed.wrapping_add(u64::from(index));
            let loras = self.loras(request, seed, wildcards, shelf)?;
            match batches.last_mut() {
                Some((_, count, same)) if *same == loras => *count += 1,
                _ => batches.push((index, 1, loras)),
            }
        }
        Ok(batches)
    }

    /// Returns the LoRAs of the request and of the prompt for a seed. One that is named twice has
    /// both strengths together. Those of the prompt that are not there are told by the reader.
    fn loras(
        &self,
        request: &PictureRequest,
        seed: u64,
        wildcards: &Wildcards,
        shelf: &[ShelfEntry],
    ) -> Result<Vec<Strong>, EngineError> {
        let mut loras: Vec<Strong> = Vec::new();
        let mut add = |path: PathBuf, [unet, text]: [f32; 2]| match loras
            .iter_mut()
            .find(|(known, _)| *known == path)
        {
            Some((_, strengths)) => {
                strengths[0] += unet;
                strengths[1] += text;
            }
            None => loras.push((path, [unet, text])),
        };
        for LoraUse { model, unet, text } in &request.extras.loras {
            add(self.models.find_on(Shelf::Loras, &model.name)?, [*unet, *text]);
        }
        for text in [request.prompt.with_styles(), request.prompt.negative.clone()] {
            for tag in lora_tags(&text, seed, wildcards) {
                // A name in a prompt is never a path: prompts come from strangers.
                let found = shelf.iter().find(|entry| entry.name.eq_ignore_ascii_case(&tag.name));
                if let Some(entry) = found {
                    add(entry.path.clone(), [tag.unet_weight as f32, tag.text_weight as f32]);
                }
            }
        }
        Ok(loras)
    }

    /// Loads what stands beside the model.
    fn companions(
        &mut self,
        request: &PictureRequest,
        known: &KnownCheckpoint,
        device: DeviceChoice,
        job: &JobContext,
    ) -> Result<Companions, EngineError> {
        let mut companions = Companions::default();
        let compute = Compute::with(&open_device(device)?, request.precision);
        let extras = &request.extras;
        if let Some(vae) = &extras.vae {
            let base = known.base;
            let found = self.beside(Shelf::Vaes, vae, (device, request), job, |path| {
                Autoencoder::load(path, base, &compute, job).map(|vae| Resident::Vae(Arc::new(vae)))
            })?;
            let Resident::Vae(vae) = found else { return Err(mixed_up()) };
            companions.vae = Some(vae);
        }
        for control in &extras.controls {
            let wish = (device, request);
            let found = self.beside(Shelf::ControlNets, &control.model, wish, job, |path| {
                load_control(path, &compute, job).map(|net| Resident::Control(Arc::new(net)))
            })?;
            let Resident::Control(net) = found else { return Err(mixed_up()) };
            companions.controls.push(net);
        }
        if let Some(tiny) = self.tiny_autoencoder(known) {
            let tiny = ModelRef::named(tiny.to_string_lossy());
            let found = self.beside(Shelf::TinyVaes, &tiny, (device, request), job, |path| {
                load_tiny(path, &compute, job).map(|tiny| Resident::Tiny(Arc::new(tiny)))
            });
            // A picture is not given up for its previews.
            if let Ok(Resident::Tiny(tiny)) = found {
                companions.tiny = Some(tiny);
            }
        }
        let own = extras.embeddings.iter();
        for embedding in own {
            companions.embeddings.push(self.models.find_on(Shelf::Embeddings, &embedding.name)?);
        }
        for entry in self.models.shelf(Shelf::Embeddings) {
            if !companions.embeddings.contains(&entry.path) {
                companions.embeddings.push(entry.path);
            }
        }
        Ok(companions)
    }

    /// Returns a network that stands beside a model, from memory or from its file.
    fn beside(
        &mut self,
        shelf: Shelf,
        model: &ModelRef,
        (device, request): (DeviceChoice, &PictureRequest),
        job: &JobContext,
        load: impl FnOnce(&Path) -> Result<Resident, EngineError>,
    ) -> Result<Resident, EngineError> {
        let located = self.models.locate_on(shelf, &model.name)?;
        let known = self.hashes.of(&located, &mut || job.check())?;
        let key = ResidentKey {
            name: located.name.clone(),
            sha256: known,
            texts_hash: shelf as u64,
            device,
            precision: request.precision,
        };
        self.check_room(&located.name, located.bytes)?;
        let resident = self.residents.get_or_load(key, located.bytes, || load(&located.path))?;
        resident.shared().ok_or_else(mixed_up)
    }

    /// Returns the tiny autoencoder for a line of models, if there is one in the folders.
    fn tiny_autoencoder(&self, known: &KnownCheckpoint) -> Option<PathBuf> {
        let is_xl = known.base == Some(Base::Sdxl);
        let fits = |name: &str| {
            let name = name.to_lowercase();
            name.starts_with("taesd")
                && !name.starts_with("taesd3")
                && !name.contains("encoder")
                && name.contains(TINY_XL) == is_xl
        };
        let mut shelf = self.models.shelf(Shelf::TinyVaes).into_iter();
        shelf.find(|entry| fits(&entry.name)).map(|entry| entry.path)
    }

    fn wildcards(&self) -> Result<Wildcards, EngineError> {
        match self.models.folders_of(Shelf::Wildcards).first() {
            Some(folder) => Wildcards::read(folder),
            None => Ok(Wildcards::default()),
        }
    }

    /// Fills in the hashes of all files that a request names, for its recipe.
    pub(super) fn fill_hashes(
        &mut self,
        request: &mut PictureRequest,
        job: &JobContext,
    ) -> Result<(), EngineError> {
        let extras = &mut request.extras;
        let (models, hashes) = (&self.models, &mut self.hashes);
        let mut hash = |shelf: Shelf, model: &mut ModelRef| -> Result<(), EngineError> {
            let located = models.locate_on(shelf, &model.name)?;
            model.sha256 = hashes.of(&located, &mut || job.check())?;
            Ok(())
        };
        for lora in &mut extras.loras {
            hash(Shelf::Loras, &mut lora.model)?;
        }
        for embedding in &mut extras.embeddings {
            hash(Shelf::Embeddings, embedding)?;
        }
        if let Some(vae) = &mut extras.vae {
            hash(Shelf::Vaes, vae)?;
        }
        for control in &mut extras.controls {
            hash(Shelf::ControlNets, &mut control.model)?;
        }
        let guides = extras.controls.iter_mut().map(|control| &mut control.picture);
        let source = extras.source.iter_mut();
        let sources =
            source.flat_map(|source| std::iter::once(&mut source.picture).chain(&mut source.mask));
        for picture in guides.chain(sources) {
            let located = LocatedWeights::at(&picture.path.to_string_lossy(), &picture.path)?;
            picture.sha256 = self.hashes.of(&located, &mut || job.check())?;
        }
        Ok(())
    }

    /// Returns what is known of a model's file.
    fn known_checkpoint(
        &mut self,
        located: &LocatedWeights,
        job: &JobContext,
    ) -> Result<KnownCheckpoint, EngineError> {
        if let Some(known) = self.known_checkpoints.iter().find(|known| known.located == *located) {
            return Ok(known.clone());
        }
        let file = Checkpoint::open(&located.path)?;
        let need = DiffusionNeed::of(&file);
        // Before gigabytes are read for a hash.
        self.check_room(&located.name, need.lean_held_bytes(Precision::Fast))?;
        let known = KnownCheckpoint {
            located: located.clone(),
            sha256: self.hashes.of(located, &mut || job.check())?,
            licence: licence(&file).unwrap_or_else(|| "unknown".to_owned()),
            need,
            base: detect(&file).base,
        };
        self.known_checkpoints.retain(|other| other.located.path != located.path);
        self.known_checkpoints.push(known.clone());
        Ok(known)
    }
}

/// Returns a number that differs, in all likelihood, where the LoRAs, the prediction or the form of the
/// weights do.
fn hash_of(plan: &ModelPlan, thrift: Thrift) -> u64 {
    let mut hash = DefaultHasher::new();
    plan.model.hash(&mut hash);
    for (path, strengths) in &plan.loras {
        path.hash(&mut hash);
        std::fs::metadata(path).and_then(|about| about.modified()).ok().hash(&mut hash);
        strengths.map(f32::to_bits).hash(&mut hash);
    }
    plan.prediction.hash(&mut hash);
    thrift.hash(&mut hash);
    hash.finish()
}
