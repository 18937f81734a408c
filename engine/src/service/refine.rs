//! Paints over enlarged pictures: settles what the recipe leaves open, finds the model, keeps it in
//! memory.

use super::diffusion::Refined;
use super::studio::{HouseRun, Studio};
use crate::error::EngineError;
use crate::library::{HOUSE_PICTURE, PictureDefaults, PictureModel, Shelf};
use crate::pipelines::{diffusion, picture};
use crate::protocol::{
    EnlargeRequest, Extras, JobContext, ModelChoice, ModelRef, NoiseSource, Notice, PictureRequest,
    Pixels, PreviewMode, Sampling, Size, Source,
};

/// Holds what is settled of a request to paint over a picture.
pub(super) struct Refining {
    request: PictureRequest,
    model: PictureModel,
    /// The recipe of the picture itself.
    painted: Option<PictureRequest>,
    notices: Vec<Notice>,
}

impl Studio {
    /// Settles how an enlarged picture is painted over and checks that it can be; writes what was left
    /// open into the recipe. `None` where it is not painted over.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`]; [`EngineError::ModelNotFound`].
    pub(super) fn refining(
        &self,
        recipe: &mut EnlargeRequest,
    ) -> Result<Option<Refining>, EngineError> {
        let painted = recipe.painted().cloned();
        let (device, precision, picture) =
            (recipe.device, recipe.precision, recipe.picture.clone());
        let Some(refine) = recipe.refine.as_deref_mut() else { return Ok(None) };
        let extras = &refine.extras;
        if extras.source.is_some() || !extras.controls.is_empty() {
            let reason = "has a picture to change or a ControlNet, which refining has no use for";
            return Err(EngineError::invalid("refining", reason));
        }
        let mut notices = Vec::new();
        let name = match &refine.model {
            Some(model) => model.name.clone(),
            None => match painted.as_ref().map(|painted| self.own_name(&painted.model.name)) {
                Some(Some(name)) => name,
                Some(None) => {
                    let sentence = "The model that painted the picture is not among those that are \
                                    found, so the house's own refined it";
                    notices.push(Notice::Unusual { sentence: sentence.to_owned() });
                    HOUSE_PICTURE.to_owned()
                }
                None => HOUSE_PICTURE.to_owned(),
            },
        };
        let model = self.models.locate_picture(&name)?;
        // What the net predicts stands in the recipe and decides the size at which SD 2.x paints.
        let choice = ModelChoice { prediction: refine.extras.prediction, ..Default::default() };
        let defaults = PictureDefaults::of(&self.models, &name, choice)?;
        let is_own = painted.as_ref().is_some_and(|painted| painted.model.name == name);
        let of_recipe = || painted.as_ref().filter(|_| is_own).map(|painted| painted.sampling);
        let usual = of_recipe().unwrap_or(defaults.sampling);
        let sampling = refine.sampling.unwrap_or(match model {
            // Guidance pushes what is there already, and with it what is rough.
            PictureModel::House(_) => Sampling { guidance: 1.0, ..usual },
            PictureModel::Diffusion(_) => usual,
        });
        let prompt = refine.prompt.clone().or_else(|| Some(painted.as_ref()?.prompt.clone()));
        let seed = refine.seed.or_else(|| Some(painted.as_ref()?.seed));
        let model_ref = refine.model.clone().unwrap_or_else(|| ModelRef::named(name));
        let request = PictureRequest {
            model: model_ref.clone(),
            prompt: prompt.unwrap_or_default(),
            size: refine.tile.unwrap_or(defaults.size),
            sampling,
            seed: seed.unwrap_or_default(),
            count: 1,
            noise: NoiseSource::Seed,
            preview: PreviewMode::EveryStep,
            device,
            precision,
            keep_latents: false,
            extras: Extras {
                source: Some(Source { picture, ..Source::new("", refine.strength) }),
                ..refine.extras.clone()
            },
        };
        match &model {
            PictureModel::House(_) => picture::validate(&request)?,
            PictureModel::Diffusion(_) => diffusion::validate(&request)?,
        }
        refine.model = Some(model_ref);
        refine.prompt = Some(request.prompt.clone());
        refine.sampling = Some(request.sampling);
        refine.seed = Some(request.seed);
        refine.tile = Some(request.size);
        Ok(Some(Refining { request, model, painted, notices }))
    }

    /// Returns a name under which the model of a recipe is found: recipes come from strangers, so a path
    /// in one is none unless it is that of a model in the person's own folders.
    fn own_name(&self, name: &str) -> Option<String> {
        if self.models.names().iter().any(|known| known == name) {
            return Some(name.to_owned());
        }
        let shelf = self.models.shelf(Shelf::Checkpoints);
        let is_it = |path: &std::path::Path| path.to_string_lossy() == name;
        shelf.iter().any(|entry| entry.name == name || is_it(&entry.path)).then(|| name.to_owned())
    }

    /// Returns by how much of a factor a picture is enlarged before it is painted over; the rest comes
    /// behind that.
    pub(super) fn factor_before(refining: &Refining, picture: &Pixels, factor: f32) -> f32 {
        let size = Size { width_px: picture.width_px, height_px: picture.height_px };
        match refining.model {
            PictureModel::House(_) => picture::refined_factor(size, refining.request.size, factor),
            PictureModel::Diffusion(_) => factor,
        }
    }

    /// Paints over an enlarged picture; fills hashes into the recipe.
    ///
    /// # Errors
    /// Those of loading the model and of painting.
    pub(super) fn refine(
        &mut self,
        picture: &Pixels,
        recipe: &mut EnlargeRequest,
        refining: Refining,
        (licences, notices): (&mut Vec<String>, &mut Vec<Notice>),
        job: &JobContext,
    ) -> Result<Pixels, EngineError> {
        let Refining { request, model, painted, notices: said } = refining;
        notices.extend(said);
        let refined = match model {
            PictureModel::House(located) => {
                let (pipeline, HouseRun { request, licence, expected }) =
                    self.house_picture(&request, &located, job)?;
                let (pixels, mut notices) =
                    pipeline.refine(&request, (picture, painted.as_ref()), job)?;
                notices.extend(self.notices(expected, request.model.sha256.clone()));
                Refined { pixels, request, licence, notices }
            }
            PictureModel::Diffusion(located) => {
                self.refine_diffusion(&request, (located, picture), job)?
            }
        };
        notices.extend(refined.notices);
        licences.push(refined.licence);
        if let Some(refine) = recipe.refine.as_deref_mut() {
            refine.model = Some(refined.request.model);
            refine.extras = Extras { source: None, ..refined.request.extras };
        }
        Ok(refined.pixels)
    }
}
