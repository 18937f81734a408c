//! `atelier inspect`: the recipe in a picture or a sound.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use atelier_engine::EngineError;
use atelier_engine::audio::recipe::{FoundSound, is_sound, recipe_of};
use atelier_engine::protocol::PictureRequest;
use atelier_engine::store::foreign::{self, ForeignPicture};
use atelier_engine::store::png::{self, ForeignRecipe, FoundRecipe, RecipeSource};
use clap::Args;
use serde_json::json;

use super::{Console, Voice};

/// Holds the arguments of `atelier inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// File to read: a picture (PNG, JPEG, WebP) made by Atelier or one of the programs that
    /// `atelier library import` knows, or a WAV, FLAC or MIDI file
    pub file: PathBuf,
    /// Prints the recipe as one JSON object
    #[arg(long)]
    pub json: bool,
}

impl InspectArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        if self.json { Voice::Json } else { Voice::Plain }
    }
}

/// Prints what a picture or a sound says about its making; one that says nothing is no error.
///
/// # Errors
/// [`EngineError::Io`] or [`EngineError::Damaged`] when the file cannot be read as what it is.
pub fn inspect(arguments: &InspectArgs, console: &mut Console) -> Result<(), EngineError> {
    let rows = if begins_as_sound(&arguments.file) {
        let found = recipe_of(&arguments.file)?;
        if arguments.json {
            let FoundSound { request, title, licence, .. } = &found;
            console.event(&json!({ "request": request, "title": title, "licence": licence }));
            return Ok(());
        }
        describe_sound(&found)
    } else {
        let bytes = png::read_file(&arguments.file)?;
        let named = |error| match error {
            EngineError::Damaged { reason, .. } => EngineError::damaged(&arguments.file, reason),
            error => error,
        };
        let is_png = foreign::PictureFormat::of(&bytes) == Some(foreign::PictureFormat::Png);
        let own = is_png.then(|| png::read_recipe(&bytes)).transpose().map_err(named)?;
        let other = match &own {
            Some(FoundRecipe { request: Some(_), .. }) => None,
            _ => Some(foreign::read(&bytes).map_err(named)?),
        };
        if arguments.json {
            let mut told = json!(own.as_ref().map_or(json!({}), |own| json!(own)));
            if let Some(other) = &other {
                told["settings"] = json!(other.settings);
                told["unread"] = json!(other.unread);
            }
            console.event(&told);
            return Ok(());
        }
        match (own, other) {
            (_, Some(other)) if other.settings.is_some() || !is_png => describe_other(&other),
            (Some(own), _) => describe(&own),
            (None, _) => Vec::new(),
        }
    };
    for (name, value) in rows {
        // A value from a stranger's file must not steer the terminal.
        let value: String = value
            .chars()
            .map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c })
            .collect();
        let value = value.replace('\n', &format!("\n{:13}", ""));
        console.line(&format!("{name:<12} {value}"));
    }
    Ok(())
}

fn begins_as_sound(path: &Path) -> bool {
    let mut head = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && is_sound(&head)
}

fn describe_sound(found: &FoundSound) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    match &found.request {
        None => rows.push(("Recipe", "none".to_owned())),
        Some(request) => {
            rows.push(("Recipe by", RecipeSource::Atelier.label().to_owned()));
            rows.push(("Prompt", request.prompt.clone()));
            rows.push(("Seed", request.seed.to_string()));
            rows.push(("Model", request.model.name.clone()));
            if !request.model.sha256.is_empty() {
                rows.push(("Model hash", request.model.sha256.clone()));
            }
        }
    }
    let title = found.title.as_ref().filter(|_| found.request.is_none());
    rows.extend(title.map(|title| ("Title", title.clone())));
    rows.extend(found.licence.as_ref().map(|licence| ("Licence", licence.clone())));
    rows
}

/// Lists what a picture of another program says.
fn describe_other(found: &ForeignPicture) -> Vec<(&'static str, String)> {
    let mut rows = vec![("Picture", format!("{}×{}", found.size.width_px, found.size.height_px))];
    let Some(settings) = &found.settings else {
        rows.push(("Recipe", "none".to_owned()));
        rows.extend(found.unread.iter().map(|said| ("Unread", said.clone())));
        return rows;
    };
    let sampling = &settings.sampling;
    let model = settings.model.as_ref();
    let size = settings.size.map(|size| format!("{}×{}", size.width_px, size.height_px));
    rows.push(("Recipe by", settings.program.label().to_owned()));
    rows.push(("Prompt", settings.prompt.clone()));
    let negative = Some(settings.negative.clone()).filter(|negative| !negative.is_empty());
    let optional = [
        ("Negative", negative),
        ("Seed", settings.seed.map(|seed| seed.to_string())),
        ("Size", size),
        ("Steps", sampling.steps.map(|steps| steps.to_string())),
        ("Guidance", sampling.guidance.map(|guidance| guidance.to_string())),
        ("Sampler", sampling.sampler.clone()),
        ("Schedule", sampling.schedule.clone()),
        ("Model", model.map(|model| model.name.clone())),
        ("Model hash", model.and_then(|model| model.hash.clone())),
        ("VAE", settings.vae.clone()),
        ("CLIP skip", settings.clip_skip.map(|skip| skip.to_string())),
    ];
    rows.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let loras = settings.loras.iter();
    rows.extend(
        loras.map(|lora| ("LoRA", format!("{} ({}, text {})", lora.name, lora.unet, lora.text))),
    );
    rows.extend(settings.other.iter().map(|(key, value)| ("Also", format!("{key}: {value}"))));
    rows.extend(settings.unhonoured.iter().map(|said| ("Not honoured", said.clone())));
    rows
}

/// Lists what is known as pairs of a name and a value.
fn describe(found: &FoundRecipe) -> Vec<(&'static str, String)> {
    let mut rows = vec![("Picture", format!("{}×{}", found.size.width_px, found.size.height_px))];
    match found.source {
        RecipeSource::None => rows.push(("Recipe", "none".to_owned())),
        source => rows.push(("Recipe by", source.label().to_owned())),
    }
    if let Some(request) = &found.enlargement {
        rows.push(("Enlarged", format!("×{} by {}", request.factor, request.model.name)));
        rows.push(("From", request.picture.path.display().to_string()));
    }
    if let Some(request) = &found.request {
        rows.extend(describe_own(request));
    } else if let Some(foreign) = &found.foreign {
        rows.extend(describe_foreign(foreign));
    } else if !found.text.is_empty() && found.enlargement.is_none() {
        rows.push(("Text", found.text.clone()));
    }
    if let Some(licence) = &found.licence {
        rows.push(("Licence", licence.clone()));
    }
    rows
}

fn describe_own(request: &PictureRequest) -> Vec<(&'static str, String)> {
    let sampling = &request.sampling;
    let mut rows = vec![("Prompt", request.prompt.with_styles())];
    if !request.prompt.negative.is_empty() {
        rows.push(("Negative", request.prompt.negative.clone()));
    }
    rows.extend([
        ("Seed", request.seed.to_string()),
        ("Size", format!("{}×{}", request.size.width_px, request.size.height_px)),
        ("Steps", sampling.steps.to_string()),
        ("Guidance", sampling.guidance.to_string()),
        ("Sampler", sampling.sampler.label().to_owned()),
        ("Model", request.model.name.clone()),
    ]);
    if !request.model.sha256.is_empty() {
        rows.push(("Model hash", request.model.sha256.clone()));
    }
    rows
}

fn describe_foreign(recipe: &ForeignRecipe) -> Vec<(&'static str, String)> {
    let mut rows = vec![("Prompt", recipe.prompt.clone())];
    if !recipe.negative.is_empty() {
        rows.push(("Negative", recipe.negative.clone()));
    }
    let size = recipe.size.map(|size| format!("{}×{}", size.width_px, size.height_px));
    let optional = [
        ("Seed", recipe.seed.map(|seed| seed.to_string())),
        ("Size", size),
        ("Steps", recipe.steps.map(|steps| steps.to_string())),
        ("Guidance", recipe.guidance.map(|guidance| guidance.to_string())),
        ("Sampler", recipe.sampler.clone()),
        ("Model", recipe.model.clone()),
        ("Model hash", recipe.model_hash.clone()),
    ];
    rows.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    rows.extend(recipe.unparsed.iter().map(|(key, value)| ("Also", format!("{key}: {value}"))));
    rows
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use atelier_engine::protocol::{Pixels, Size};

    use super::super::console::tests::taped;
    use super::super::paint::example_request;
    use super::*;

    fn written(request: &PictureRequest) -> tempfile::NamedTempFile {
        let pixels = Pixels::new(1, 1, vec![0; 4]).unwrap();
        let bytes = png::encode(&pixels, request, "CC0-1.0").unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    fn inspected(file: &std::path::Path, json: bool) -> String {
        let arguments = InspectArgs { file: file.to_owned(), json };
        let (mut console, out, _) = taped(arguments.voice(), false);
        inspect(&arguments, &mut console).unwrap();
        out.text()
    }

    #[test]
    fn every_setting_of_our_own_recipe_is_printed() {
        let request = example_request("a red fox");
        let text = inspected(written(&request).path(), false);
        for expected in
            ["a red fox", "Seed         5", "256×256", "Euler", "house-picture", "CC0-1.0"]
        {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }

    #[test]
    fn json_holds_the_request_as_it_was() {
        let request = example_request("雪地里的红狐狸");
        let text = inspected(written(&request).path(), true);
        let found: FoundRecipe = serde_json::from_str(&text).unwrap();
        assert_eq!(found.request, Some(request));
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn a_recipe_cannot_steer_the_terminal() {
        let request = example_request("a \u{1b}[2Jfox\u{7}\nin two lines");
        let text = inspected(written(&request).path(), false);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
        assert!(text.contains("\n             in two lines"), "{text}");
    }

    #[test]
    fn a_foreign_recipe_shows_what_was_understood_and_the_rest() {
        let recipe = ForeignRecipe {
            prompt: "castle".to_owned(),
            steps: Some(30),
            size: Some(Size { width_px: 512, height_px: 768 }),
            unparsed: vec![("Clip skip".to_owned(), "2".to_owned())],
            ..ForeignRecipe::default()
        };
        let rows = describe_foreign(&recipe);
        assert!(rows.contains(&("Size", "512×768".to_owned())));
        assert!(rows.contains(&("Also", "Clip skip: 2".to_owned())));
        assert!(!rows.iter().any(|(name, _)| *name == "Seed"));
    }
}
