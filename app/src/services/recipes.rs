//! Recipes in pictures that are dropped onto the window.

use std::path::Path;

use atelier_engine::EngineError;
use atelier_engine::library::HOUSE_PICTURE;
use atelier_engine::protocol::{DeviceChoice, ModelRef, PictureRequest, Size};
use atelier_engine::store::png::{ForeignRecipe, read_recipe_file};

use crate::state::{PromptState, RecipeClaim, RecipeOffer, SIZE_PRESETS};
use crate::update::LibraryNews;

/// Reads the recipe of a picture file.
///
/// # Errors
/// [`EngineError::Io`] or [`EngineError::Damaged`] when the file is no picture that can be read.
pub fn read(path: &Path) -> Result<LibraryNews, EngineError> {
    let file_name =
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let found = read_recipe_file(path)?;
    let (recipe, foreign) = match (found.request, found.foreign) {
        (Some(request), _) => (request, false),
        (None, Some(foreign)) => (translate(&foreign), true),
        (None, None) => return Ok(LibraryNews::NoRecipe { file_name }),
    };
    let claims = RecipeClaim::of(&recipe, HOUSE_PICTURE);
    Ok(LibraryNews::Recipe(Box::new(RecipeOffer { file_name, recipe, foreign, claims })))
}

/// Makes a request of another program's settings, as far as the house model can follow them.
fn translate(foreign: &ForeignRecipe) -> PictureRequest {
    let mut prompt = PromptState::default();
    prompt.text.clone_from(&foreign.prompt);
    prompt.negative.clone_from(&foreign.negative);
    if let Some(size) = foreign.size {
        prompt.size = nearest_shape(size);
    }
    if let Some(steps) = foreign.steps {
        prompt.sampling.steps = steps.clamp(1, 150);
    }
    // Guidance has no common scale: another model's strength stays behind.
    if let Some(sampler) = foreign.sampler_kind().filter(|kind| kind.info().is_for_flow) {
        prompt.sampling.sampler = sampler;
    }
    prompt.seed.set(foreign.seed.unwrap_or_default());
    prompt.request(ModelRef::named(HOUSE_PICTURE), DeviceChoice::Auto)
}

/// Returns the offered size whose shape comes nearest.
fn nearest_shape(size: Size) -> Size {
    let shape = |size: Size| (f64::from(size.width_px) / f64::from(size.height_px.max(1))).ln();
    let wanted = shape(size);
    let distance = |other: Size| (shape(other) - wanted).abs();
    SIZE_PRESETS
        .iter()
        .map(|preset| preset.size)
        .min_by(|a, b| distance(*a).total_cmp(&distance(*b)))
        .unwrap_or(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_size_becomes_the_nearest_shape() {
        let size = nearest_shape(Size { width_px: 832, height_px: 1216 });
        assert_eq!((size.width_px, size.height_px), (224, 320));
        let size = nearest_shape(Size { width_px: 1024, height_px: 1024 });
        assert_eq!((size.width_px, size.height_px), (256, 256));
    }
}
