//! Enlarges pictures: finds the net, keeps it in memory, saves what comes out.

use std::path::Path;
use std::sync::Arc;

use super::studio::{Resident, ResidentKey, Studio, mixed_up};
use crate::error::EngineError;
use crate::library::LocatedWeights;
use crate::pipelines::enlarge::{self, EnlargePipeline};
use crate::pipelines::pictures;
use crate::protocol::{
    EnlargeOutput, EnlargeRequest, Enlarged, JobContext, Live, Partial, Pixels, Request, Size,
    Stage,
};
use crate::store::png;
use crate::weights::upscaler::UpscalerWeights;

/// How many recipes may stand within each other: more would not be read again.
const DEPTH_MAX: usize = 16;

impl Studio {
    /// Enlarges a picture.
    pub(super) fn enlarge(
        &mut self,
        request: &EnlargeRequest,
        job: &JobContext,
    ) -> Result<EnlargeOutput, EngineError> {
        enlarge::validate(request)?;
        job.report(Live { stage: Stage::Loading, ..Live::default() })?;
        let mut recipe = request.clone();
        let path = &request.picture.path;
        let picture = pictures::open(path)?;
        job.check()?;
        let located = LocatedWeights::at(&path.to_string_lossy(), path)?;
        recipe.picture.sha256 = self.hashes.of(&located, &mut || job.check())?;
        let (source, licence) = carried(path);
        recipe.source = source.or(recipe.source.take());
        if recipe.depth() > DEPTH_MAX {
            let painted = recipe.painted().cloned();
            recipe.source = painted.map(|painted| Box::new(Request::Picture(Box::new(painted))));
        }
        let mut licences: Vec<String> = licence.into_iter().collect();
        // What would be refused is refused before the picture is enlarged.
        let refining = self.refining(&mut recipe)?;
        let expected = std::mem::take(&mut recipe.model.sha256);
        let mut notices = Vec::new();
        let factor = recipe.factor;
        let pixels = match refining {
            None => self.enlarged(&picture, factor, &mut recipe, &mut licences, job)?,
            Some(refining) => {
                // The whole way must be possible before its first part is gone.
                enlarge::target(size_of(&picture), factor)?;
                let first = Self::factor_before(&refining, &picture, factor);
                let small = if first > 1.0 {
                    self.enlarged(&picture, first, &mut recipe, &mut licences, job)?
                } else {
                    picture
                };
                let told = (&mut licences, &mut notices);
                let pixels = self.refine(&small, &mut recipe, refining, told, job)?;
                if first < factor {
                    let rest = factor / first;
                    self.enlarged(&pixels, rest, &mut recipe, &mut licences, job)?
                } else {
                    pixels
                }
            }
        };
        licences.dedup();
        let licence = licences.join("; ");
        let made =
            Enlarged { pixels: Arc::new(pixels), recipe, licence, file: None, result_id: None };
        let enlarged = self.save_enlarged(made, job)?;
        let found = enlarged.recipe.model.sha256.clone();
        notices.extend(self.notices(expected, found));
        Ok(EnlargeOutput { enlarged, notices })
    }

    /// Enlarges by the net or the filter that the recipe names.
    fn enlarged(
        &mut self,
        picture: &Pixels,
        factor: f32,
        recipe: &mut EnlargeRequest,
        licences: &mut Vec<String>,
        job: &JobContext,
    ) -> Result<Pixels, EngineError> {
        if recipe.model.name == EnlargeRequest::LANCZOS {
            return enlarge::by_lanczos(picture, factor, job);
        }
        self.by_net((picture, factor), recipe, licences, job)
    }

    /// Enlarges by the net that the recipe names; fills in its hash and adds its licence.
    fn by_net(
        &mut self,
        (picture, factor): (&Pixels, f32),
        recipe: &mut EnlargeRequest,
        licences: &mut Vec<String>,
        job: &JobContext,
    ) -> Result<Pixels, EngineError> {
        let located = self.models.locate_upscaler(&recipe.model.name)?;
        let file = located.open()?;
        let config = UpscalerWeights::of(&file, job)?.config();
        licences.push(located.licence(&file));
        let size = size_of(picture);
        enlarge::target(size, factor)?;
        // Weights of 16 bits are twice as large in memory, in the form for fewer products 16/9 of that.
        let bytes = located.bytes().saturating_mul(4);
        let needed = bytes.saturating_add(enlarge::memory_bytes(&config, size, factor));
        self.check_room(located.name(), needed)?;
        recipe.model.sha256 = match located.file() {
            Some(file) => self.hashes.of(file, &mut || job.check())?,
            None => located.sha256(&mut || job.check())?,
        };
        let device = self.device(recipe.device);
        let key = ResidentKey {
            name: located.name().to_owned(),
            sha256: recipe.model.sha256.clone(),
            texts_hash: 0,
            device,
            precision: recipe.precision,
        };
        let precision = recipe.precision;
        let resident = self.residents.get_or_load(key, bytes, || {
            EnlargePipeline::load(&file, (device, precision), job)
                .map(|pipeline| Resident::Enlarge(Box::new(pipeline)))
        })?;
        let Resident::Enlarge(pipeline) = resident else { return Err(mixed_up()) };
        pipeline.enlarge(picture, factor, job)
    }

    /// Saves an enlarged picture, and only then tells of it.
    fn save_enlarged(
        &self,
        mut enlarged: Enlarged,
        job: &JobContext,
    ) -> Result<Enlarged, EngineError> {
        if let Some(store) = &self.store {
            // A picture that is enlarged is saved, also when its job is cancelled just now.
            let _ = job.report(Live { stage: Stage::Saving, ..Live::default() });
            let Enlarged { pixels, recipe, licence, .. } = &enlarged;
            let saved = store.save_enlarged(pixels, recipe, licence)?;
            enlarged.file = Some(saved.file);
            enlarged.result_id = Some(saved.id);
        }
        job.partial(Partial::Enlarged(Box::new(enlarged.clone())));
        Ok(enlarged)
    }
}

fn size_of(picture: &Pixels) -> Size {
    Size { width_px: picture.width_px, height_px: picture.height_px }
}

/// Returns the recipe and the licence that a picture carries. A picture without a recipe, or with one that
/// cannot be read, can be enlarged all the same.
fn carried(path: &Path) -> (Option<Box<Request>>, Option<String>) {
    let Ok(found) = png::read_recipe_file(path) else { return (None, None) };
    let request = match (found.enlargement, found.request) {
        (Some(request), _) => Some(Request::Enlarge(Box::new(request))),
        (None, Some(request)) => Some(Request::Picture(Box::new(request))),
        (None, None) => None,
    };
    (request.map(Box::new), found.licence.filter(|licence| !licence.is_empty()))
}
